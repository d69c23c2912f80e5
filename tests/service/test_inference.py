"""The Open Inference Protocol v2, asked by a plain client and by tritonclient: the same decisions as everywhere."""

from __future__ import annotations

import json
import math
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from ruleedit.schema import Feature, Schema
from service.api import tensors
from service.errors import RequestInvalid
from tests.serving import ROW, Api, Made, make, serving

with warnings.catch_warnings():
    # gevent, which tritonclient waits with, warns of its own age.
    warnings.simplefilter("ignore")
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException

ROWS: list[dict[str, Any]] = [
    ROW,
    {"age": 25, "income": 1200.5, "job": None, "member": True},
    {"age": 41, "income": None, "job": "never seen", "member": False},
    {"age": 29, "income": 4000.25, "job": "b", "member": True},
]
TYPES = {"age": "INT64", "income": "FP64", "job": "BYTES", "member": "BOOL"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("inference")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture
def client(api: Api, made: Made) -> Iterator[triton.InferenceServerClient]:
    """tritonclient, as its users make it."""
    with triton.InferenceServerClient(url=f"{api.base_url.host}:{api.base_url.port}") as found:
        yield found


def column(name: str, *, rows: list[dict[str, Any]] = ROWS, **more: Any) -> dict[str, Any]:
    """One feature of the rows as a tensor; missing is null."""
    return {"name": name, "shape": [len(rows)], "datatype": TYPES[name], "data": [row[name] for row in rows], **more}


def infer(api: Api, *inputs: dict[str, Any], **more: Any) -> httpx.Response:
    """Ask with JSON tensors."""
    return api.post("/v2/models/small/infer", json={"inputs": list(inputs), **more})


def refused(response: httpx.Response, status: int, said: str) -> None:
    """Check that a response is an error of the protocol's own form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    assert said in response.json()["error"]


def expected(api: Api) -> list[dict[str, Any]]:
    """What the decisions route says of the rows."""
    decisions: list[dict[str, Any]] = api.decide("small", *ROWS).json()["decisions"]
    return decisions


class TestPlain:
    def test_the_server_and_the_model_are_described(self, api: Api, made: Made) -> None:
        """Tensors by feature, the active release as the only version."""
        assert api.get("/v2").json()["extensions"] == ["binary_tensor_data"]
        assert api.get("/v2/health/live").json() == {"live": True}
        assert api.get("/v2/health/ready").json() == {"ready": True}
        body = api.get("/v2/models/small").json()
        assert body["versions"] == [made.release]
        assert {tensor["name"]: tensor["datatype"] for tensor in body["inputs"]} == TYPES
        probabilities = next(tensor for tensor in body["outputs"] if tensor["name"] == "probabilities")
        assert json.loads(probabilities["parameters"]["classes"]) == ["no", "yes"]
        assert api.get(f"/v2/models/small/versions/{made.release}").json() == body
        for path in ("small/ready", f"small/versions/{made.release}/ready"):
            assert api.get(f"/v2/models/{path}").json() == {"name": "small", "ready": True}

    def test_tensors_are_decided_as_rows_are(self, api: Api, made: Made) -> None:
        """Every output, whatever the order of the inputs."""
        body = infer(api, *(column(name) for name in reversed(TYPES)), id="a1").json()
        assert (body["model_name"], body["model_version"], body["id"]) == ("small", made.release, "a1")
        found = {tensor["name"]: tensor["data"] for tensor in body["outputs"]}
        decisions = expected(api)
        for name in ("outcome", "model_outcome", "by"):
            assert found[name] == [decision[name] for decision in decisions]
        assert found["rule"] == [decision["rule"] or "" for decision in decisions]
        assert found["reasons"] == ["; ".join(decision["reasons"]) for decision in decisions]
        assert found["probabilities"] == [p for decision in decisions for p in decision["probabilities"].values()]

    def test_outputs_are_chosen(self, api: Api, made: Made) -> None:
        """In the order that was asked for."""
        wanted = [{"name": "by"}, {"name": "outcome"}]
        body = infer(api, *map(column, TYPES), outputs=wanted).json()
        assert [tensor["name"] for tensor in body["outputs"]] == ["by", "outcome"]

    def test_a_column_vector_is_a_column(self, api: Api, made: Made) -> None:
        """Shape [n, 1], flat or nested."""
        nested = column("age", shape=[4, 1]) | {"data": [[row["age"]] for row in ROWS]}
        others = [column(name) for name in ("income", "job", "member")]
        outputs = [
            infer(api, age, *others).json()["outputs"] for age in (nested, column("age", shape=[4, 1]), column("age"))
        ]
        assert outputs[0] == outputs[1] == outputs[2]

    def test_an_empty_text_is_missing(self, api: Api, made: Made) -> None:
        """As in CSV; the rule on missing jobs holds it."""
        row = [ROW | {"job": ""}]
        body = infer(api, *(column(name, rows=row) for name in TYPES), outputs=[{"name": "by"}]).json()
        assert body["outputs"][0]["data"] == ["overlay"]

    def test_another_version_is_not_there(self, api: Api, made: Made) -> None:
        """404 in the protocol's own form, as for a model that nobody knows."""
        refused(api.post("/v2/models/small/versions/7/infer", json={"inputs": [column("age")]}), 404, "'7'")
        refused(api.get("/v2/models/none"), 404, "'none'")
        refused(api.get("/v2/models/none/ready"), 404, "'none'")
        refused(api.get("/v2/nothing"), 404, "nothing is served")
        refused(api.put("/v2/models/small/infer"), 405, "PUT")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ([], "no inputs"),
            ({}, "no inputs"),
            ({"inputs": [1]}, "no object with a name"),
            ({"inputs": [column("age"), column("age")]}, "twice"),
            ({"inputs": [column("age", shape=[3])]}, "4 values; its shape says 3"),
            ({"inputs": [column("age", shape=[2, 2])]}, "neither [n] nor [n, 1]"),
            ({"inputs": [column("age", shape=[-1])]}, "neither [n] nor [n, 1]"),
            ({"inputs": [column("age", datatype="FP128")]}, "'FP128'"),
            ({"inputs": [column("age", datatype=["INT64"])]}, "datatype"),
            ({"inputs": [column("age", data="x")]}, "no data"),
            ({"inputs": [column("age", data=["a", 1, 2, 3])]}, "'a' is no INT64"),
            ({"inputs": [column("member", data=[1, 0, 1, 0])]}, "1 is no BOOL"),
            ({"inputs": [column("age"), column("job", rows=ROWS[:2])]}, "differ in length"),
            ({"inputs": [column("age", shape=[0], data=[])]}, "no rows"),
            ({"inputs": [column("age")], "id": 7}, "id is no text"),
            ({"inputs": [column("age")], "outputs": [{"name": "x"}]}, "no output 'x'"),
            ({"inputs": [column("age")]}, "has no column 'income'"),
            ({"inputs": [column("age") | {"parameters": {"binary_data_size": 9}}]}, "binary_data_size"),
        ],
    )
    def test_a_wrong_request_is_422(self, api: Api, made: Made, body: Any, said: str) -> None:
        """Naming the input and what is wrong."""
        refused(api.post("/v2/models/small/infer", json=body), 422, said)

    def test_what_is_no_json_is_422(self, api: Api, made: Made) -> None:
        """And a length that isn't the body's, a compressed body, too many rows."""
        refused(api.post("/v2/models/small/infer", content=b"{"), 422, "no JSON")
        for length in ("x", "-1", "99", "9" * 40):
            headers = {"Inference-Header-Content-Length": length}
            refused(api.post("/v2/models/small/infer", content=b"{}", headers=headers), 422, "Content-Length")
        refused(
            api.post("/v2/models/small/infer", content=b"", headers={"Content-Encoding": "gzip"}), 415, "compressed"
        )
        many = [{"name": "age", "shape": [10_001], "datatype": "INT64", "data": [1] * 10_001}]
        refused(api.post("/v2/models/small/infer", json={"inputs": many}), 413, "10001 rows")


class TestTriton:
    @pytest.mark.parametrize("binary", [True, False])
    def test_its_tensors_are_decided_as_rows_are(
        self, api: Api, made: Made, client: triton.InferenceServerClient, binary: bool
    ) -> None:
        """Binary by default, or JSON; missing is NaN and the empty text."""
        result = client.infer("small", arrays(binary=binary))
        decisions = expected(api)
        assert result.as_numpy("outcome").tolist() == [decision["outcome"].encode() for decision in decisions]
        probabilities = [list(decision["probabilities"].values()) for decision in decisions]
        np.testing.assert_array_equal(result.as_numpy("probabilities"), probabilities)
        assert result.as_numpy("rule").tolist() == [(decision["rule"] or "").encode() for decision in decisions]
        assert result.get_response()["model_version"] == made.release

    def test_outputs_are_chosen_in_either_form(self, client: triton.InferenceServerClient) -> None:
        """One in binary, one as JSON."""
        wanted = [
            triton.InferRequestedOutput("probabilities", binary_data=True),
            triton.InferRequestedOutput("by", binary_data=False),
        ]
        result = client.infer("small", arrays(), outputs=wanted, request_id="r7")
        assert result.as_numpy("by").tolist() == ["model", "overlay", "model", "model"]
        assert result.as_numpy("probabilities").shape == (4, 2)
        assert result.as_numpy("outcome") is None
        assert result.get_response()["id"] == "r7"

    def test_the_server_is_live_and_ready(self, made: Made, client: triton.InferenceServerClient) -> None:
        """And the model by name and version."""
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("small")
        assert client.is_model_ready("small", made.release)
        assert not client.is_model_ready("none")
        assert client.get_server_metadata()["name"] == "ruleedit"
        assert client.get_model_metadata("small")["versions"] == [made.release]

    def test_a_refusal_is_its_exception(self, client: triton.InferenceServerClient) -> None:
        """With our message."""
        with pytest.raises(InferenceServerException, match="has no column 'income'"):
            client.infer("small", arrays()[:1])
        with pytest.raises(InferenceServerException, match="no active release named 'none'"):
            client.infer("none", arrays())


def arrays(*, binary: bool = True) -> list[triton.InferInput]:
    """The rows as tritonclient's tensors."""
    ages = np.array([row["age"] for row in ROWS], dtype=np.int64)
    incomes = np.array([math.nan if row["income"] is None else row["income"] for row in ROWS])
    if not binary:
        incomes = np.nan_to_num(incomes, nan=1e3)
    jobs = np.array([(row["job"] or "").encode() for row in ROWS], dtype=np.object_)
    members = np.array([row["member"] for row in ROWS], dtype=bool)
    made = []
    for (name, datatype), values in zip(TYPES.items(), (ages, incomes, jobs, members), strict=True):
        tensor = triton.InferInput(name, [4], datatype)
        tensor.set_data_from_numpy(values, binary_data=binary)
        made.append(tensor)
    return made


# --- binary tensors by themselves -------------------------------------------------------------


def binary(datatype: str, content: bytes, size: int = 2, *, said: int | None = None) -> tuple[bytes, str]:
    """A body with one binary tensor, and where its JSON ends."""
    parameters = {"binary_data_size": len(content) if said is None else said}
    head = json.dumps({"inputs": [{"name": "x", "shape": [size], "datatype": datatype, "parameters": parameters}]})
    return head.encode() + content, str(len(head))


@pytest.mark.parametrize("datatype", list(tensors.TYPES))
def test_every_numeric_type_reads_back(datatype: str) -> None:
    """Little-endian, as the protocol says."""
    content = np.array([0, 1], dtype=tensors.TYPES[datatype]).tobytes()
    assert [row["x"] for row in tensors.read(*binary(datatype, content)).rows] == [0, 1]


def test_texts_read_back() -> None:
    """Each after its length; the empty one and one with other scripts too."""
    texts = ["", "été 😀"]
    content = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    assert [row["x"] for row in tensors.read(*binary("BYTES", content)).rows] == texts


def test_nan_is_missing() -> None:
    """In binary and in JSON."""
    assert tensors.read(*binary("FP64", struct.pack("<d", math.nan), 1)).rows == [{"x": None}]
    body = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [NaN]}]}'
    assert tensors.read(body, None).rows == [{"x": None}]


@pytest.mark.parametrize(
    ("datatype", "content", "said"),
    [
        ("FP64", b"12345678", "8 bytes"),
        ("INT64", b"", "0 bytes"),
        ("BYTES", b"\xff\xff\xff\xff", "longer"),
        ("BYTES", b"\x01\x00", "no lengths"),
        ("BYTES", b"\x01\x00\x00\x00\xff", "UTF-8"),
        ("BYTES", b"\x00\x00\x00\x00", "1 elements"),
        ("BYTES", b"\x00\x00\x00\x00" * 3, "3 elements"),
    ],
)
def test_broken_bytes_are_refused(datatype: str, content: bytes, said: str) -> None:
    """Never read past the end."""
    with pytest.raises(RequestInvalid, match=said):
        tensors.read(*binary(datatype, content))


def test_bytes_that_nobody_claims_are_refused() -> None:
    """Some behind the last tensor, or fewer than it says."""
    body, length = binary("BOOL", b"\x01\x00")
    with pytest.raises(RequestInvalid, match="1 bytes follow"):
        tensors.read(body + b"x", length)
    with pytest.raises(RequestInvalid, match="binary_data_size"):
        tensors.read(*binary("BOOL", b"\x01\x00", said=3))
    with pytest.raises(RequestInvalid, match="binary_data_size"):
        tensors.read(*binary("BOOL", b"\x01\x00", said=-1))


def test_what_a_model_takes_is_by_kind() -> None:
    """Every kind of feature has its type."""
    features = tuple(Feature(kind, kind) for kind in ("numeric", "integer", "categorical", "boolean"))
    inputs, outputs = tensors.described(Schema(features, "y", ("a", "b")))
    assert [tensor["datatype"] for tensor in inputs] == ["FP64", "INT64", "BYTES", "BOOL"]
    assert outputs[1]["shape"] == [-1, 2]
