"""The folder of a model: written whole or not at all, and checked completely before it is used.

    model.txt     the LightGBM text model
    schema.json   the schema, where a person can see it
    model.json    thresholds, seed, background, and the hashes of the other three files
    holdout.csv   the held-out rows of the training table: one column ``row``, zero-based

Nothing in it can run code: no pickles are written or read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ruleedit.errors import FileRefused, OutcomeRefused, Refused, SchemaError, UnknownClass
from ruleedit.matching import Indices
from ruleedit.models import Background, Model, TableModel, is_number, json_object, read_thresholds
from ruleedit.models.file import ModelFile, check_classifier
from ruleedit.schema import Schema

#: The version of ``model.json``; another one is refused.
FORMAT = 1
MARKER = "model.json"
#: More digits than a table can have rows; a longer number is no row.
_HOLDOUT = re.compile(r"row\n(?:[0-9]{1,15}\n)*")
_RECORD: Mapping[str, type] = {
    "format": int,
    "thresholds": dict,
    "seed": int,
    "adopted": bool,
    "notes": list,
    "background": dict,
    "model_sha256": str,
    "schema_sha256": str,
    "holdout_sha256": str,
}


def save(model: Model, folder: str | Path) -> None:
    """Write a model's folder; a model folder that is there is replaced whole.

    Raises `FileRefused` where a file, or a folder of something else, is in the way, and `Refused`
    for a model that is no LightGBM model: saving it would need a format that runs code.
    """
    write_folder(folder, model_files(model), marker=MARKER)


def model_files(model: Model) -> dict[str, bytes]:
    """The files of a model's folder by name."""
    if not isinstance(model, TableModel):
        raise Refused(f"a {type(model).__name__} works in memory only; LightGBM models can be saved")
    holdout = "".join(f"{line}\n" for line in ("row", *model.holdout.tolist())).encode()
    record = {
        "format": FORMAT,
        "thresholds": dict(zip(model.schema.classes, model.thresholds, strict=True)),
        "seed": model.seed,
        "adopted": model.adopted,
        "notes": list(model.notes),
        "background": model.background.to_json(),
        "model_sha256": model.file.hash,
        "schema_sha256": model.schema.hash,
        "holdout_sha256": hashlib.sha256(holdout).hexdigest(),
    }
    return {
        "model.txt": model.text.encode(),
        "schema.json": _json_bytes(model.schema.to_json(), indent=2),
        MARKER: _json_bytes(record),
        "holdout.csv": holdout,
    }


def write_folder(folder: str | Path, files: Mapping[str, bytes], *, marker: str) -> None:
    """Write ``files`` as ``folder``, which others see as it was before or complete.

    A folder that is there is replaced whole if it is empty or has the file ``marker``, which says
    that it is one of ours; another one is refused, so that nobody's files are lost.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise FileRefused(f"{str(folder)!r} is a file; give a folder, new or of ours")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / marker).is_file():
        raise FileRefused(f"the folder {str(folder)!r} has other files and no {marker!r}; give a new folder")
    fresh = folder.with_name(f".{folder.name}.new-{uuid.uuid4().hex}")
    try:
        fresh.mkdir(parents=True)
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        _swap(fresh, folder)
    except OSError as problem:
        raise FileRefused(f"the folder {str(folder)!r} can't be written: {problem.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _swap(fresh: Path, folder: Path) -> None:
    """Put ``fresh`` where ``folder`` is; where that fails, the old one is put back."""
    if not folder.exists():
        os.rename(fresh, folder)
        return
    old = fresh.with_name(fresh.name.replace(".new-", ".old-"))
    os.rename(folder, old)
    try:
        os.rename(fresh, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def load(folder: str | Path) -> TableModel:
    """Read a model's folder; raises `FileRefused`, or `ModelFileRefused` for ``model.txt`` itself.

    Every file must be there, whole, and the one that ``model.json`` was written for. LightGBM
    itself is not started before the model is asked.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileRefused(f"no folder {str(folder)!r}; give one that train or adopt has written")
    record = json_object(_json(folder, MARKER), _RECORD, MARKER)
    if record["format"] != FORMAT:
        raise FileRefused(f"{MARKER} has the format {record['format']}; {FORMAT} is accepted")
    schema = _schema(folder, record["schema_sha256"])
    background = Background.from_json(record["background"])
    if (len(background.deviations), len(background.class_counts)) != (len(schema.features), len(schema.classes)):
        _refuse("'background' is of another schema")
    if not all(isinstance(note, str) for note in record["notes"]):
        _refuse("'notes' is no list of texts")
    model = TableModel(
        schema=schema,
        thresholds=_thresholds(record["thresholds"], schema),
        text=_text(folder, "model.txt"),
        background=background,
        seed=record["seed"],
        adopted=record["adopted"],
        holdout=_holdout(folder, background.rows, record["holdout_sha256"]),
        notes=tuple(record["notes"]),
    )
    _check_file(model.file, schema, record["model_sha256"])
    return model


def _check_file(file: ModelFile, schema: Schema, recorded: str) -> None:
    if file.hash != recorded:
        raise FileRefused(f"model.txt is not the file that {MARKER} was written for; restore it or train again")
    check_classifier(file)
    answers = max(2, file.num_class)
    for what, found, wanted in (
        ("features", len(file.feature_names), len(schema.features)),
        ("classes", answers, len(schema.classes)),
    ):
        if found != wanted:
            raise FileRefused(f"model.txt has {found} {what} and schema.json {wanted}; both must be of one model")


def _schema(folder: Path, recorded: str) -> Schema:
    try:
        schema = Schema.from_json(_json(folder, "schema.json"))
    except SchemaError as problem:
        raise FileRefused(f"schema.json: {problem}") from None
    if schema.hash != recorded:
        # The order of the categories is what the model's codes mean: a corrected schema needs a new model.
        raise FileRefused(f"schema.json is not the schema that {MARKER} was written for; train with the corrected one")
    return schema


def _thresholds(given: dict[str, Any], schema: Schema) -> tuple[float, ...]:
    if set(given) != set(schema.classes) or not all(is_number(value) for value in given.values()):
        _refuse("'thresholds' is not one number for each class")
    try:
        return read_thresholds(given, schema)
    except (OutcomeRefused, UnknownClass) as problem:
        raise FileRefused(f"{MARKER}: {problem}") from None


def _holdout(folder: Path, rows: int, recorded: str) -> Indices:
    text = _text(folder, "holdout.csv")
    if not _HOLDOUT.fullmatch(text):
        raise FileRefused("holdout.csv is no list of row numbers under the header 'row'; is the file whole?")
    numbers = np.array([int(line) for line in text.split("\n")[1:-1]], dtype=np.intp)
    if (np.diff(numbers) <= 0).any() or (numbers >= rows).any():
        raise FileRefused(f"holdout.csv: row numbers from 0 to {rows - 1} in ascending order are accepted")
    if hashlib.sha256(text.encode()).hexdigest() != recorded:
        raise FileRefused(f"holdout.csv is not the file that {MARKER} was written for; restore it or train again")
    return numbers


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_bytes().decode()
    except UnicodeDecodeError:
        raise FileRefused(f"{name} is no text in UTF-8; is the file whole?") from None
    except OSError:
        raise FileRefused(f"the folder {str(folder)!r} has no readable {name!r}; it is no whole model") from None


def _json(folder: Path, name: str) -> Any:
    text = _text(folder, name)
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise FileRefused(f"{name} is no valid JSON; is the file whole?") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _refuse(problem: str) -> NoReturn:
    raise FileRefused(f"{MARKER}: {problem}")


def _json_bytes(data: Any, *, indent: int | None = None) -> bytes:
    return (json.dumps(data, indent=indent, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
