"""Hostile input: malformed models and tables, paths in the place of names, bodies past every limit."""

from __future__ import annotations

import http.client
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ruleedit.errors import ModelFileRefused, TableError
from ruleedit.models.folder import load
from service.jobs.inspection import inspect_model, inspect_table
from tests.serving import EDIT, ROW, TARGET, Api, Made, local, make, serving, small_table


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder."""
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    """A service with one of everything, that reads tables of at most a million cells within 2 GiB."""
    with serving(folder, most_cells=1_000_000, child_memory=2 * 2**30) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


# --- malformed models ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(made: Made, folder: Path) -> str:
    """The text of a good model."""
    return load(next((folder / "files").rglob("model.txt")).parent).text


def resized(text: str) -> str:
    """The text with the sizes of its trees put right, so that a reader goes on past them."""
    head, mark, rest = text.partition("Tree=0\n")
    trees, end, tail = (mark + rest).partition("end of trees")
    parts = re.split(r"(?=^Tree=\d+$)", trees, flags=re.MULTILINE)[1:]
    sizes = " ".join(str(len(part.encode())) for part in parts)
    return re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", head, flags=re.MULTILINE) + "".join(parts) + end + tail


def replaced(text: str, key: str, value: str) -> str:
    """The first line of a key with another value."""
    return resized(re.sub(rf"^{key}=.*$", lambda _: f"{key}={value}", text, count=1, flags=re.MULTILINE))


def malformed(text: str) -> list[bytes]:
    """200 files that are no model: cut off, with lines gone, with values that lead elsewhere, or something else."""
    dice = random.Random(20)
    end = text.index("end of trees")
    found = [text[: end * part // 81].encode() for part in range(1, 81)]
    needed = ["num_leaves", "split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value"]
    head = ["num_class", "num_tree_per_iteration", "max_feature_idx", "objective", "feature_names", "tree_sizes"]
    for key in needed + head:
        line = re.search(rf"^{key}=.*\n", text, re.MULTILINE)
        assert line is not None, key
        gone = text.replace(line[0], "", 1)
        found.append((gone if key == "tree_sizes" else resized(gone)).encode())
        for value in ("", "x", "1 2", "-9999999999999999999", "\x00"):
            whole = text.replace(line[0], f"{key}={value}\n", 1)
            found.append((whole if key == "tree_sizes" else resized(whole)).encode())
    for key, value in (
        ("num_leaves", "2147483647"), ("num_leaves", "0"), ("num_leaves", "-1"), ("num_cat", "-1"), ("num_cat", "99"),
        ("max_feature_idx", "2147483647"), ("max_feature_idx", "-1"), ("num_class", "0"), ("num_class", "1000000000"),
        ("num_tree_per_iteration", "0"), ("num_tree_per_iteration", "7"), ("objective", "binary sigmoid:nan"),
        ("objective", "regression"), ("objective", "lambdarank"), ("objective", "custom"), ("version", "v99"),
    ):  # fmt: skip
        found.append(replaced(text, key, value).encode())
    splits = len(re.search(r"^split_feature=(.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    for key, value in (("left_child", "0"), ("right_child", "0"), ("left_child", "5000"), ("right_child", "-5000")):
        found.append(replaced(text, key, " ".join([value] * splits)).encode())
    found.append(replaced(text, "split_feature", " ".join(["99999"] * splits)).encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model.txt", text)
    found += [b"", b"\n", b"tree", b"tree\n" * 1_000, b"\x80\x05\x95\x0c\x00.", packed.getvalue(), b"\x00" * 10_000]
    found += [b'{"name": "tree"}', b"<?xml version='1.0'?><PMML/>", b"\xff\xfe" + text.encode("utf-16-le")]
    while len(found) < 200:
        found.append(dice.randbytes(dice.randint(1, 5_000)))
    return found[:200]


def adopt(api: Api, made: Made, content: bytes) -> httpx.Response:
    """Send a model file."""
    form = {"dataset": made.dataset, "target": TARGET}
    return api.post("/v1/models", files={"file": ("m.txt", content)}, data=form)


def test_the_server_survives_malformed_models(api: Api, made: Made, model: str) -> None:
    """200 of 200: each is refused with 422 at once, nothing of it is kept, and decisions go on."""
    before = api.get("/v1/jobs").json()
    files = malformed(model)
    assert len(files) == 200
    for number, content in enumerate(files):
        response = adopt(api, made, content)
        assert (response.status_code, response.json()["code"]) == (422, "model-file-refused"), (number, content[:80])
        assert leaks(response) == []
    assert api.decide("small", ROW).status_code == 200
    assert api.get("/v1/jobs").json() == before


def test_a_model_that_only_lightgbm_refuses_is_422_too(tmp_path: Path, model: str) -> None:
    """It is loaded in a child with limits before it is anything; whatever becomes of the child is a refusal."""
    path = tmp_path / "m.txt"
    path.write_text(model, encoding="utf-8")
    inspect_model(path, local(tmp_path))
    for limits in ({"child_seconds": 0.05}, {"child_memory": 64 * 2**20}):
        with pytest.raises((ModelFileRefused, ImportError)):
            inspect_model(path, local(tmp_path, **limits))


def test_a_model_is_taken_over_in_a_process_of_its_own(tmp_path: Path, model: str) -> None:
    """There its trees answer a whole table for the first time: what that lacks in memory fails the job alone."""
    with serving(tmp_path, job_memory=64 * 2**20) as api:
        dataset = api.upload(small_table()).json()["id"]
        form = {"dataset": dataset, "target": TARGET, "classes": '["no", "yes"]'}
        job = api.ended(api.post("/v1/models", files={"file": ("m.txt", model.encode())}, data=form))
        assert (job["state"], job["error"]["code"]) == ("failed", "step-failed")
        assert api.get("/healthz").status_code == 200
        assert api.get("/v1/models").json()["items"] == []


# --- tables ----------------------------------------------------------------------------------


def parquet(table: pa.Table, **more: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(table, out, **more)
    return out.getvalue()


def test_a_small_file_that_claims_many_rows_is_refused_unread(api: Api) -> None:
    """A few kilobytes of the same value, 1.2 million times over."""
    content = parquet(pa.table({"x": pa.array([1], pa.int64()).take(pa.array([0] * 1_200_000))}))
    assert len(content) < 20_000
    response = api.upload(content, name="wide.parquet")
    assert (response.status_code, response.json()["code"]) == (422, "table-unreadable")
    assert "1200000 rows" in response.json()["detail"]


def test_a_file_that_unpacks_past_the_child_s_memory_is_refused(api: Api) -> None:
    """A megabyte of text, ten thousand times over: the child dies of it, the service doesn't."""
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * 2**20]))
    response = api.upload(parquet(pa.table({"x": words, "y": pa.array(range(10_000))})), name="deep.parquet")
    assert (response.status_code, response.json()["code"]) == (422, "table-unreadable"), response.text
    assert leaks(response) == []
    assert api.get("/healthz").status_code == 200


def test_damaged_tables_are_refused(api: Api, count: Callable[[int, int], int]) -> None:
    """Parquet files with a byte changed, cut off, or of zeros: a table or 422, and the service lives."""
    dice = random.Random(7)
    good = parquet(pa.table({"x": list(range(500)), "y": ["a", "b"] * 250}))
    for _ in range(count(2, 60)):
        content = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        response = api.upload(bytes(content[: dice.choice([len(content), len(content) // 2])]), name="t.parquet")
        assert response.status_code in (201, 422), response.text
        assert leaks(response) == []
    assert api.get("/healthz").status_code == 200


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """With a refusal that names the time."""
    path = tmp_path / "t.parquet"
    path.write_bytes(parquet(pa.table({"x": [1, 2]})))
    assert inspect_table(path, local(tmp_path))[0] == 2
    with pytest.raises(TableError, match=r"0\.05 s"):
        inspect_table(path, local(tmp_path, child_seconds=0.05))


def test_a_large_table_is_read_in_a_child_with_the_same_outcome(api: Api, tmp_path: Path) -> None:
    """Past a mebibyte; errors come through with their code and the user's name of the file."""
    frame = pd.concat([pd.read_csv(io.BytesIO(small_table(400)))] * 150)
    content = frame.to_csv(index=False).encode()
    assert len(content) > 2**20
    small, large = api.upload(small_table(400)).json(), api.upload(content).json()
    assert large["rows"] == 60_000
    assert [feature["kind"] for feature in large["schema"]["features"]] == [
        feature["kind"] for feature in small["schema"]["features"]
    ]
    broken = api.upload(content.replace(b"age,income", b"age,age", 1), name="mine.csv")
    assert (broken.status_code, broken.json()["code"]) == (422, "table-unreadable")
    assert "'mine.csv'" in broken.json()["detail"]


# --- paths in the place of names -------------------------------------------------------------

TARGETS = ["etc/passwd", "proc/self/environ", "ruleedit.db", "lock", "audit.key", "files", "..", "windows/win.ini"]
STEPS = [
    "../",
    "..\\",
    "..%2f",
    "%2e%2e/",
    "%252e%252e%252f",
    "....//",
    "..;/",
    "..%c0%af",
    "./",
    "/",
    "//",
    "file:///",
]


def traversals(number: int) -> list[str]:
    """So many names that try to lead out of the data folder."""
    dice = random.Random(24)
    found = {
        "/etc/passwd",
        "C:\\win.ini",
        "~root/.ssh/id_rsa",
        "$HOME",
        "`id`",
        "|id",
        "\\\\host\\share",
        "a\x00b",
    }
    while len(found) < number:
        text = "".join(dice.choice(STEPS) for _ in range(dice.randint(1, 7))) + dice.choice(TARGETS)
        found.add(text + dice.choice(["", "", "%00", ".csv", "%00.csv", "/", "\N{FULLWIDTH SOLIDUS}x", "?x", "#x"]))
    return sorted(found)


class Opened:
    """The files that this process opens while it listens; Python tells of every one."""

    def __init__(self) -> None:
        self.listening = False
        self.paths: set[str] = set()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.listening and event in ("open", "os.listdir", "os.remove", "os.rename", "os.mkdir", "shutil.rmtree"):
            self.paths.add(os.fsdecode(arguments[0]) if isinstance(arguments[0], str | bytes) else "")


OPENED = Opened()


def raw(api: Api, verb: str, path: str) -> httpx.Response:
    """Ask for a path as it stands: other clients tidy it up before they send it."""
    connection = http.client.HTTPConnection(api.base_url.host, api.base_url.port, timeout=20)
    try:
        body, media = json.dumps({"rows": [ROW]}), {"Content-Type": "application/json"}
        connection.request(verb, path, *((body, media) if verb == "POST" else ()))
        answer = connection.getresponse()
        return httpx.Response(answer.status, content=answer.read())
    finally:
        connection.close()


def ask_everywhere(api: Api, made: Made, name: str) -> list[httpx.Response]:
    """The name wherever a client gives one."""
    quoted = quote(name, safe="".join(map(chr, range(33, 127)))).replace("#", "%23").replace("?", "%3f")
    paths = [f"/v1/{kind}/{quoted}" for kind in ("datasets", "models", "rulesets", "releases", "jobs")]
    paths += [f"/v1/rulesets/{quoted}/export", f"/{quoted}", f"/docs/{quoted}"]
    asked = [raw(api, "GET", path) for path in paths]
    ruleset = f"/v1/rulesets/{made.ruleset}"
    asked += [
        api.get(f"{ruleset}/export", params={"format": name}),
        api.get(f"{ruleset}/export", params={"revision": name}),
        api.get(f"{ruleset}/impact", params={"dataset": name}),
        api.post("/v1/models", json={"dataset": name, "target": name}),
        api.post("/v1/releases", json={"ruleset": made.ruleset, "mode": "overlay-hard", "name": name}),
        raw(api, "POST", f"/v1/decisions/{quoted}"),
        api.upload(b"x,y\n1,a\n", name=name + ".csv"),
        api.post("/v1/datasets", files={"file": ("a.csv", b"x,y\n1,a\n")}, data={"name": name}),
    ]
    return asked


def test_names_that_are_paths_open_nothing_outside(
    api: Api, made: Made, folder: Path, count: Callable[[int, int], int]
) -> None:
    """500 of them, at every place where a client gives a name: Python itself says what was opened meanwhile."""
    names = traversals(500)[:: 500 // count(50, 500)]
    ask_everywhere(api, made, "warm")
    OPENED.paths.clear()
    OPENED.listening = True
    try:
        answers = [response for name in names for response in ask_everywhere(api, made, name)]
    finally:
        OPENED.listening = False
    # The hook hears: the uploads among them are written inside.
    assert any(path.startswith(str(folder)) for path in OPENED.paths)
    spooled = os.path.realpath(tempfile.gettempdir())
    for path in OPENED.paths:
        inside = Path(os.path.realpath(path)).is_relative_to(folder.resolve())
        code = path.endswith((".py", ".pyc", ".so")) or path.startswith(sys.base_prefix)
        # A bare name is looked up in a folder that was opened before, and that was heard of too.
        bare = os.sep not in path and path != ".."
        assert inside or code or bare or os.path.dirname(path) == spooled or path == "/dev/null", path
    for response in answers:
        assert response.status_code < 500, response.text
        assert leaks(response) == [], response.text
    assert (folder / "ruleedit.db").exists()
    assert not list(folder.parent.glob("*passwd*"))


# --- what answers give away ------------------------------------------------------------------


def leaks(response: httpx.Response) -> list[str]:
    """What an answer says that is nobody's business outside: paths of this machine, tracebacks, SQL."""
    text = response.text
    telling = ["Traceback", 'File "', "site-packages", "sqlalchemy", "SELECT ", "root:x:"]
    telling += [tempfile.gettempdir() + "/", str(Path(__file__).parents[2]), sys.prefix]
    return [word for word in telling if word in text]


def test_nothing_of_this_machine_is_in_an_answer(api: Api, made: Made) -> None:
    """Whatever goes wrong, and in the exports."""
    ruleset = f"/v1/rulesets/{made.ruleset}"
    asked = [
        api.upload(b"", name="a.csv"), api.upload(b"\xff\xfe", name="a.csv"), api.upload(b"PAR1", name="a.parquet"),
        api.upload(b"x" * 2_000_000, name="a.csv"), adopt(api, made, b"tree"), api.get("/v1/datasets/none"),
        api.post("/v1/releases", json={"ruleset": made.ruleset, "mode": "no", "name": "x"}), api.get("/nothing"),
        api.edit(made.ruleset, "nonsense"), api.edit(made.ruleset, EDIT * 50), api.decide("small", {"age": "x"}),
        api.get("/openapi.json"), api.get("/docs"), api.get("/"), api.get("/metrics"), api.get("/v1/jobs"),
        *(api.get(f"{ruleset}/export", params={"format": form}) for form in ("json", "csv", "html", "python", "sql")),
    ]  # fmt: skip
    for response in asked:
        # An export as SQL is one, as the description's example of it is.
        ours = {"SELECT "} if "openapi" in response.request.url.path else set()
        assert set(leaks(response)) <= ours, response.request.url


def test_limits_of_rules_answer_quickly(api: Api, made: Made) -> None:
    """Text of 10 KiB, 256 clauses: one more is 422, and takes a few seconds of a processor at most."""
    long_name = "IF job in (" + ", ".join(["a"] * 5_000) + ") THEN yes"
    clauses = "IF " + " AND ".join(f"age > {21 + n % 40}" for n in range(257)) + " THEN yes"
    deep = "IF " + "(" * 5_000 + "age > 30" + ")" * 5_000 + " THEN yes"
    for text in (long_name, clauses, deep, "IF " + "`" * 9_000, "IF age > " + "9" * 9_000 + " THEN yes"):
        # The server is in this process.
        began = time.process_time()
        response = api.edit(made.ruleset, f"new {text}")
        assert response.status_code == 422, response.text
        assert time.process_time() - began < 5


# --- memory ----------------------------------------------------------------------------------


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def chunks(total: int) -> Iterator[bytes]:
    """A body of unsaid length."""
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    yield start
    for _ in range(total // 2**20):
        yield b"1,2,3\n" * (2**20 // 6)


def test_memory_stays_steady_under_bodies_past_every_limit(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """Of a real server process: uploads, JSON, depth, rows, models, again and again; 96 MiB more at most."""
    command = [sys.executable, "-c", "from ruleedit.cli import main; main()", "serve", "--port", "0"]
    off = {"RULEEDIT_AUTHENTICATION": "off", "RULEEDIT_APPROVAL": "off"}
    process = subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")], stdout=subprocess.PIPE, text=True, env=os.environ | off
    )
    assert process.stdout is not None
    try:
        address = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert address is not None
        with Api(base_url=address[0], timeout=60) as api:
            made = make_when_ready(api)
            past_every_limit(api, made)
            before = resident(process.pid)
            for _ in range(count(1, 40)):
                past_every_limit(api, made)
            assert resident(process.pid) - before < 96 * 2**20
            assert api.decide("small", ROW).status_code == 200
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def make_when_ready(api: Api) -> Made:
    """Wait for the service, and make one of everything."""
    from tests.serving import wait_ready

    wait_ready(api)
    return make(api)


def past_every_limit(api: Api, made: Made) -> None:
    """One body past each limit; each is refused."""
    media = {"Content-Type": "multipart/form-data; boundary=x"}
    as_json = {"Content-Type": "application/json"}
    with_rows = json.dumps({"rows": [{}] * 10_001}).encode()
    for response in (
        api.post("/v1/decisions/small", content=b" " * (2**20 + 1), headers=as_json),
        api.post("/v1/decisions/small", content=b"[" * 2**20, headers=as_json),
        api.post("/v1/decisions/small", content=with_rows, headers=as_json),
        api.upload(",".join(f"c{n}" for n in range(1_001)).encode() + b"\n" + b"1," * 1_000 + b"1\n"),
        adopt(api, made, b"tree\n" + b"x=1\n" * 2**19),
    ):
        assert response.status_code in (413, 422), response.text
    # The server may answer and close before everything was sent.
    try:
        assert api.post("/v1/datasets", content=chunks(70 * 2**20), headers=media).status_code == 413
    except httpx.TransportError:
        assert api.get("/healthz").status_code == 200
