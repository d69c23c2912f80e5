"""Rows as tensors and decisions as tensors: the Open Inference Protocol v2, JSON and binary.

One tensor a feature, of shape [n] or [n, 1]. A number is FP64 or any other numeric type, a category
BYTES (UTF-8), a boolean BOOL. Missing is NaN, an empty BYTES element, or null in JSON; a type that
has none of these has no missing values. Binary tensors follow the JSON in the body, little-endian,
a BYTES element after its length in 4 bytes (the protocol's binary tensor data extension).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from ruleedit.decisions import Decision
from ruleedit.schema import Schema
from service.errors import RequestInvalid

#: Numpy's name of each type's elements; BYTES has none.
TYPES: Mapping[str, str] = {
    "BOOL": "|b1",
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
#: The type that a feature's kind is described with; every other that fits is taken too.
TYPE_OF = {"numeric": "FP64", "integer": "INT64", "categorical": "BYTES", "boolean": "BOOL"}
TEXTS = ("outcome", "model_outcome", "rule", "by", "reasons", "reason_codes", "warnings")
LENGTH = "inference-header-content-length"


def described(schema: Schema) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The input and output tensors of a model as its metadata gives them."""
    inputs = [{"name": f.name, "datatype": TYPE_OF[f.kind], "shape": [-1]} for f in schema.features]
    classes = {"classes": json.dumps(list(schema.classes), ensure_ascii=False)}
    probabilities = {"name": "probabilities", "datatype": "FP64", "shape": [-1, len(schema.classes)]}
    texts = [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in TEXTS]
    return inputs, [texts[0], probabilities | {"parameters": classes}, *texts[1:]]


@dataclass(frozen=True)
class Inference:
    """One request: its rows, and what its answer has to hold."""

    id: str | None
    rows: list[dict[str, Any]]
    outputs: Sequence[tuple[str, bool]]


def read(body: bytes, length: str | None) -> Inference:
    """Read a request; ``length`` is the header that says where the JSON ends. Raises `RequestInvalid`."""
    head, rest = _split(body, length)
    try:
        asked = from_json(head)
    except ValueError:
        raise RequestInvalid("the body is no JSON") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), list) or not asked["inputs"]:
        raise RequestInvalid("the body has no inputs; one tensor for each feature is accepted")
    columns: dict[str, list[Any]] = {}
    for tensor in asked["inputs"]:
        name, values, rest = _column(tensor, rest)
        if name in columns:
            raise RequestInvalid(f"the input {name!r} is given twice")
        columns[name] = values
    if rest:
        raise RequestInvalid(f"{len(rest)} bytes follow the last binary tensor")
    sizes = {name: len(values) for name, values in columns.items()}
    if len(set(sizes.values())) != 1:
        raise RequestInvalid(f"the inputs differ in length: {sizes}")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if not rows:
        raise RequestInvalid("the inputs have no rows")
    return Inference(_text(asked.get("id"), "id"), rows, _outputs(asked))


def answer(
    asked: Inference, decisions: Sequence[Decision], schema: Schema, head: Mapping[str, Any]
) -> tuple[bytes, int | None]:
    """The answer's body, and where its JSON ends if binary tensors follow."""
    outputs, binary = [], bytearray()
    for name, as_bytes in asked.outputs:
        shape, datatype, flat = _values(name, decisions, schema)
        tensor: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
        if as_bytes:
            packed = _packed(flat) if datatype == "BYTES" else np.array(flat, dtype="<f8").tobytes()
            tensor["parameters"] = {"binary_data_size": len(packed)}
            binary += packed
        else:
            tensor["data"] = flat
        outputs.append(tensor)
    said = to_json({**head, **({} if asked.id is None else {"id": asked.id}), "outputs": outputs})
    return (said + binary, len(said)) if any(as_bytes for _, as_bytes in asked.outputs) else (said, None)


def _split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(body)):
        raise RequestInvalid("Inference-Header-Content-Length isn't the length of the JSON in the body")
    return body[: int(length)], body[int(length) :]


def _text(value: Any, where: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise RequestInvalid(f"{where} is no text")
    return value


def _column(tensor: Any, rest: bytes) -> tuple[str, list[Any], bytes]:
    """A tensor's name and values, and the bytes behind it."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestInvalid("an input is no object with a name")
    name, datatype = tensor["name"], tensor.get("datatype")
    if not isinstance(datatype, str) or (datatype != "BYTES" and datatype not in TYPES):
        raise RequestInvalid(f"input {name!r}: the datatype {datatype!r} is none of BYTES, {', '.join(TYPES)}")
    size = _size(tensor.get("shape"), name)
    parameters = tensor.get("parameters")
    there = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if there is None:
        return name, _listed(tensor.get("data"), datatype, size, name), rest
    if not isinstance(there, int) or isinstance(there, bool) or not 0 <= there <= len(rest):
        raise RequestInvalid(f"input {name!r}: binary_data_size isn't the number of its bytes in the body")
    return name, _unpacked(rest[:there], datatype, size, name), rest[there:]


def _size(shape: Any, name: str) -> int:
    whole = isinstance(shape, list) and all(type(length) is int and length >= 0 for length in shape)
    if not whole or len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise RequestInvalid(f"input {name!r}: the shape {shape!r:.60} is neither [n] nor [n, 1]")
    return int(shape[0])


def _listed(data: Any, datatype: str, size: int, name: str) -> list[Any]:
    if not isinstance(data, list):
        raise RequestInvalid(f"input {name!r} has no data")
    flat = [inner for item in data for inner in (item if isinstance(item, list) else [item])]
    if len(flat) != size:
        raise RequestInvalid(f"input {name!r} has {len(flat)} values; its shape says {size}")
    kinds: tuple[type, ...] = {"BYTES": (str,), "BOOL": (bool,)}.get(datatype, (int, float))
    for value in flat:
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and datatype != "BOOL")):
            raise RequestInvalid(f"input {name!r}: {value!r:.60} is no {datatype}")
    return [None if isinstance(value, float) and math.isnan(value) else value for value in flat]


def _unpacked(content: bytes, datatype: str, size: int, name: str) -> list[Any]:
    if datatype == "BYTES":
        return _texts(content, size, name)
    kind = np.dtype(TYPES[datatype])
    if len(content) != size * kind.itemsize:
        raise RequestInvalid(
            f"input {name!r} has {len(content)} bytes; {size} values of {datatype} have another length"
        )
    values = np.frombuffer(content, dtype=kind).tolist()
    return [None if value != value else value for value in values]


def _texts(content: bytes, size: int, name: str) -> list[str]:
    texts: list[str] = []
    place = 0
    try:
        while place < len(content):
            (length,) = struct.unpack_from("<I", content, place)
            place += 4 + length
            if place > len(content):
                raise RequestInvalid(f"input {name!r}: a BYTES element is longer than the tensor")
            texts.append(content[place - length : place].decode("utf-8"))
    except (struct.error, UnicodeDecodeError):
        raise RequestInvalid(f"input {name!r}: its elements are no lengths and UTF-8 texts") from None
    if len(texts) != size:
        raise RequestInvalid(f"input {name!r} has {len(texts)} elements; its shape says {size}")
    return texts


def _outputs(asked: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The outputs to answer with, and whether each is wanted in binary."""
    parameters = asked.get("parameters")
    every = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    given = asked.get("outputs")
    if not given:
        return [(name, every) for name in ("outcome", "probabilities", *TEXTS[1:])]
    wanted = []
    for output in given if isinstance(given, list) else [given]:
        name = output.get("name") if isinstance(output, dict) else None
        if name not in ("probabilities", *TEXTS):
            raise RequestInvalid(f"no output {name!r:.60}; there are probabilities, {', '.join(TEXTS)}")
        own = output.get("parameters")
        wanted.append((name, own.get("binary_data", every) is True if isinstance(own, dict) else every))
    return wanted


def _values(name: str, decisions: Sequence[Decision], schema: Schema) -> tuple[list[int], str, list[Any]]:
    if name == "probabilities":
        flat = [decision.probabilities[label] for decision in decisions for label in schema.classes]
        return [len(decisions), len(schema.classes)], "FP64", flat
    values = [getattr(decision, name) for decision in decisions]
    texts = ["" if value is None else value if isinstance(value, str) else "; ".join(value) for value in values]
    return [len(decisions)], "BYTES", texts


def _packed(texts: Sequence[str]) -> bytes:
    encoded = [text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)
