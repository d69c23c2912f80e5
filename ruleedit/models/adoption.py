"""Adoption: somebody else's LightGBM classifier, with a schema made from its file and a table.

The file says which columns it splits by category and, where it was trained on a pandas table, which
code each category has. The table says the rest: kinds, ranges, the classes. What neither can say is
refused, with a schema as the way out.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ruleedit.errors import MissingColumns, SchemaError, TableError, TargetError, did_you_mean
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, TableModel, read_thresholds
from ruleedit.models.file import ModelFile, check_classifier, probe, read_model
from ruleedit.models.training import stratified_quarter
from ruleedit.rules import number_text
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_feature, target_codes, target_texts

#: Enough rows to see whether the classes are the wrong way round.
_GLANCE = 10_000
_ASK = "give a schema that lists its categories and their codes"


def adopt(
    text: str,
    frame: pd.DataFrame,
    target: str,
    *,
    schema: Schema | None = None,
    classes: Sequence[str] | None = None,
    thresholds: Mapping[str, float] | None = None,
    seed: int = 0,
) -> TableModel:
    """Take somebody else's LightGBM classifier with a table that it can answer.

    The file's structure is checked and it is loaded in a limited child process before it is loaded
    here. Its columns are looked up in the table by name (with spaces as underscores, as LightGBM
    writes them), or by position where the file has no names. Categories get the codes that the
    file's own pandas categories have; without those a table's whole numbers are the categories.
    Missing values go to the model as NaN, and so does a category that it doesn't know.

    Parameters
    ----------
    schema
        Replaces what would be inferred from the table; checked against the model. Its features are
        put in the model's order, and given codes where the file knows them.
    classes
        The target's classes in the model's order. None: the schema's, else sorted, as numbers where
        all are numbers.

    Raises
    ------
    ModelFileRefused
        The file is damaged, no classifier, or LightGBM can't load it.
    TableError, SchemaError, TargetError
        The table, the schema or the classes don't fit the model.
    """
    file = read_model(text)
    check_classifier(file)
    if not frame.columns.is_unique or not all(isinstance(name, str) for name in frame.columns):
        raise TableError("the table's column names must be texts, each once")
    if schema is None:
        schema, notes = _inferred_schema(file, frame, target, classes)
    else:
        schema, notes = _given_schema(file, frame, target, classes, schema)
    settled = read_thresholds(thresholds or {}, schema)
    rows, answers = encode(frame, schema), target_codes(frame, schema)
    probe(text)
    background = Background.of(rows, answers, schema)
    model = TableModel(schema, settled, text, background, seed, True, stratified_quarter(answers, seed))
    notes += ["the model was trained elsewhere and may have seen the held-out rows", *_reversed(model, rows, answers)]
    return dataclasses.replace(model, notes=tuple(notes))


# ------------------------------------------------------------------ columns


def _inferred_schema(
    file: ModelFile, frame: pd.DataFrame, target: str, classes: Sequence[str] | None
) -> tuple[Schema, list[str]]:
    names, notes = _columns(file.feature_names, [name for name in frame.columns if name != target])
    kinds = [infer_feature(frame[name], name) for name in names]
    columns = _model_columns(file, frame, kinds, ())
    features = tuple(_inferred(column) for column in columns)
    settled, more = _classes(file, frame, target, classes, ())
    return Schema(features, target, settled), notes + more + _unknown_values(features, columns)


def _given_schema(
    file: ModelFile, frame: pd.DataFrame, target: str, classes: Sequence[str] | None, schema: Schema
) -> tuple[Schema, list[str]]:
    if schema.target != target:
        raise SchemaError(f"the schema's target is {schema.target!r}, not {target!r}")
    if len(schema.features) != len(file.feature_names):
        raise SchemaError(f"the schema has {len(schema.features)} features and the model {len(file.feature_names)}")
    names, notes = _columns(file.feature_names, schema.names)
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise MissingColumns(f"the table has no column {lacking[0]!r}{did_you_mean(lacking[0], frame.columns)}")
    columns = _model_columns(file, frame, [schema.feature(name) for name in names], schema.missing_tokens)
    features = tuple(_fitted(column) for column in columns)
    settled, more = _classes(file, frame, target, classes or schema.classes, schema.missing_tokens)
    notes += more + _unknown_values(features, columns)
    return Schema(features, target, settled, schema.missing_tokens), notes


def _columns(wanted: Sequence[str], known: Sequence[str]) -> tuple[list[str], list[str]]:
    """The known columns in the model's order, and what there is to note."""
    found: list[str] = []
    lacking: list[str] = []
    for name in wanted:
        same = [name] if name in known else [column for column in known if re.sub(r"\s", "_", column) == name]
        (found if len(same) == 1 else lacking).append(same[0] if len(same) == 1 else name)
    if not lacking:
        return found, []
    unnamed = all(name == f"Column_{place}" for place, name in enumerate(wanted))
    if unnamed and len(wanted) == len(known):
        return list(known), ["the model file names no columns: they were taken in the table's order, target left out"]
    more = f" and {len(lacking) - 1} more of the model's columns" if len(lacking) > 1 else ""
    hint = f"; the model has {len(wanted)} unnamed columns, the table {len(known)} beside the target" if unnamed else ""
    raise MissingColumns(f"there is no column {lacking[0]!r}{more}{hint or did_you_mean(lacking[0], known)}")


# ------------------------------------------------------------------ categories


@dataclass(frozen=True)
class _Column:
    """One column of the model.

    ``feature`` is the schema's, or what the table alone looks like. ``info`` is the file's word on
    its values, ``listed`` its pandas categories in the order of their codes (None: it has none) and
    ``present`` the table's values as text.
    """

    feature: Feature
    info: str
    categorical: bool
    listed: tuple[Any, ...] | None
    present: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.feature.name

    @property
    def file_codes(self) -> tuple[int, ...]:
        """The categories that the file was trained on; below 0 are missing ones."""
        return tuple(code for code in map(int, self.info.split(":")) if code >= 0) if _has_codes(self.info) else ()

    def refuse(self, problem: str) -> SchemaError:
        return SchemaError(f"column {self.name!r}: {problem}")


def _model_columns(
    file: ModelFile, frame: pd.DataFrame, features: Sequence[Feature], missing_tokens: Sequence[str]
) -> list[_Column]:
    categorical = _categorical_places(file)
    lists = _lists(file, categorical, features)
    columns = []
    for place, (feature, info) in enumerate(zip(features, file.feature_infos, strict=True)):
        texts = place in categorical or place in lists or feature.kind == "categorical"
        present = _distinct(frame, feature.name, missing_tokens) if texts else ()
        columns.append(_Column(feature, info, place in categorical, lists.get(place), present))
    return columns


def _has_codes(info: str) -> bool:
    return info != "none" and not info.startswith("[")


def _categorical_places(file: ModelFile) -> set[int]:
    """The columns that the model splits by category.

    The parameters at the end of the file say so for all; a column's values say it too, except for
    a column that had one value in training ("none").
    """
    seen = {place for place, info in enumerate(file.feature_infos) if _has_codes(info)}
    parameter = file.parameters.get("categorical_feature", "")
    if re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", parameter):
        given = set(map(int, parameter.split(",")))
        if seen <= given <= set(range(len(file.feature_infos))):
            return given
    return seen


def _lists(file: ModelFile, categorical: set[int], features: Sequence[Feature]) -> dict[int, tuple[Any, ...]]:
    """The pandas categories of each column that has some.

    The file has one list for each column of pandas' category type, in order, and doesn't say which.
    An ordered category is no categorical feature to LightGBM, and a column of whole numbers may be
    one without a list, so the number of lists must agree with one of the readings.
    """
    lists = file.pandas_categorical
    if not lists:
        return {}
    texts = {place for place, feature in enumerate(features) if feature.kind == "categorical"}
    unused = {place for place, info in enumerate(file.feature_infos) if info == "none"}
    readings = [categorical, categorical | (texts & unused), categorical | texts]
    if all(features[place].kind == "integer" for place in categorical - texts):
        readings.append(texts)
    for places in readings:
        if len(places) == len(lists):
            return dict(zip(sorted(places), lists, strict=True))
    codeless = [feature for feature in features if feature.kind == "categorical" and not feature.codes]
    if not codeless and texts >= categorical:
        return {}
    raise SchemaError(
        f"the model file lists categories for {len(lists)} columns and splits {len(categorical)} by category; "
        "give a schema with the categories and codes of each"
    )


def _inferred(column: _Column) -> Feature:
    """A column's feature where nobody gave a schema."""
    feature = column.feature
    if column.listed is not None:
        return _from_list(column)
    if column.categorical:
        return _from_codes(column)
    if feature.kind == "categorical":
        raise column.refuse(f"it holds texts ({_shown(column.present)}), and to the model it is a number; {_ASK}")
    return _widened(feature, column.info)


def _fitted(column: _Column) -> Feature:
    """A schema's feature, checked against the model and with the file's codes."""
    feature = column.feature
    if feature.is_number or feature.kind == "boolean":
        if feature.is_number and (column.categorical or column.listed is not None):
            raise column.refuse(f"the model splits it by category, and the schema says {feature.kind}; {_ASK}")
        if column.listed not in (None, (False, True)) or not set(column.file_codes) <= {0, 1}:
            raise column.refuse(f"the model has other values than false and true; {_ASK}")
        return feature
    if feature.codes:
        return feature
    if column.listed is not None:
        known = _from_list(column)
    elif column.categorical:
        known = _from_codes(dataclasses.replace(column, present=feature.categories))
    else:
        raise column.refuse(f"to the model it is a number; {_ASK}")
    code_of = dict(zip(known.categories, known.codes, strict=True))
    strange = [category for category in feature.categories if category not in code_of]
    if strange:
        raise column.refuse(f"the model has no category {strange[0]!r}{did_you_mean(strange[0], code_of)}")
    return dataclasses.replace(feature, codes=tuple(code_of[category] for category in feature.categories))


def _from_list(column: _Column) -> Feature:
    """The feature of a pandas category: its codes count its list from 0."""
    listed = column.listed or ()
    if max(_whole_bounds(column), default=0) >= len(listed):
        raise column.refuse(f"the model file lists {len(listed)} categories for it and has codes beyond; {_ASK}")
    if listed == (False, True):
        return Feature(column.name, "boolean")
    texts = _spelled(listed, column)
    if column.present and not set(texts) & set(column.present):
        raise column.refuse(
            f"the table has {_shown(column.present)} and the model {_shown(texts)}, nothing in common; {_ASK}"
        )
    return Feature(column.name, "categorical", categories=texts, codes=tuple(range(len(texts))))


def _from_codes(column: _Column) -> Feature:
    """The feature of whole numbers that the model was given as they are."""
    codes = set(column.file_codes)
    for text in column.present:
        number = _number(text)
        if number is None or number != math.floor(number):
            raise column.refuse(f"the model splits it by whole numbers, and the table has {text!r}; {_ASK}")
        # LightGBM takes what is below 0 or past 32 bits as missing, like a category that it doesn't know.
        if 0 <= number < 2**31:
            codes.add(int(number))
    ordered = tuple(sorted(codes))
    return Feature(column.name, "categorical", categories=_spelled(ordered, column), codes=ordered)


def _whole_bounds(column: _Column) -> tuple[float, ...]:
    """The greatest value that the file has seen: a code, or the upper end of a range."""
    if column.info.startswith("["):
        return (float(column.info.strip("[]").split(":")[1]),)
    return column.file_codes


def _spelled(categories: Iterable[Any], column: _Column) -> tuple[str, ...]:
    """The model's categories as the table writes them: 1.0 may be "1" or "1.0" there, False "false"."""
    spellings: dict[Any, list[str]] = {}
    texts = []
    for text in column.present:
        spellings.setdefault(text.strip().lower(), []).append(text)
        spellings.setdefault(_number(text), []).append(text)
    for category in categories:
        key = str(category).lower() if isinstance(category, bool) else category
        found = [category] if isinstance(category, str) else spellings.get(key, [])
        if len(found) > 1:
            raise column.refuse(f"the table writes one category as {_shown(found)}; write it one way, or {_ASK}")
        plain = number_text(category) if isinstance(category, float) else str(category)
        texts.append(found[0] if found else plain)
    return tuple(texts)


def _widened(feature: Feature, info: str) -> Feature:
    """A number's range in the table and in the file's training data; numeric where that had fractions."""
    if not feature.is_number or not info.startswith("["):
        return feature
    bounds = [float(bound) for bound in info.strip("[]").split(":")]
    if not all(map(math.isfinite, bounds)):
        return feature
    whole = feature.kind == "integer" and all(bound == math.floor(bound) for bound in bounds)
    low = min(bounds[0], bounds[0] if feature.low is None else feature.low)
    high = max(bounds[1], bounds[1] if feature.high is None else feature.high)
    return dataclasses.replace(feature, kind="integer" if whole else "numeric", low=low, high=high)


def _unknown_values(features: Sequence[Feature], columns: Sequence[_Column]) -> list[str]:
    """A note for each column with categories that the model doesn't know."""
    notes = []
    for feature, column in zip(features, columns, strict=True):
        strange = [text for text in column.present if text not in feature.code_of]
        if strange and feature.kind == "categorical":
            notes.append(f"column {feature.name!r}: the model doesn't know {_shown(strange)} and takes it as missing")
    return notes


# ------------------------------------------------------------------ classes


def _classes(
    file: ModelFile, frame: pd.DataFrame, target: str, given: Sequence[str] | None, missing_tokens: Sequence[str]
) -> tuple[tuple[str, ...], list[str]]:
    """The classes in the model's order, and what there is to note."""
    found = set(target_texts(frame, target, missing_tokens))
    classes, notes = (tuple(given), []) if given else _sorted_classes(found)
    count = max(2, file.num_class)
    if len(classes) != count:
        raise TargetError(
            f"the model has {count} classes, and {target!r} has {len(classes)} ({_shown(classes)}); "
            "give its classes in the model's order"
        )
    return classes, notes


def _sorted_classes(found: set[str]) -> tuple[tuple[str, ...], list[str]]:
    """The classes as scikit-learn would sort them: numbers by value, else by text."""
    by_text = tuple(sorted(found))
    if any(_number(text) is None for text in found):
        return by_text, []
    by_value = tuple(sorted(found, key=lambda text: (float(text), text)))
    if by_value == by_text:
        return by_text, []
    return by_value, ["the classes are numbers and were taken in order of value; give classes if the model has another"]


def _reversed(model: TableModel, rows: Matrix, answers: Indices) -> list[str]:
    """A note where a model of two classes is right less often than wrong: its classes may be swapped."""
    if len(model.schema.classes) != 2:
        return []
    second = model.proba(rows[:_GLANCE])[:, 1]
    is_second = answers[:_GLANCE] == 1
    if is_second.all() or not is_second.any() or second[is_second].mean() >= second[~is_second].mean():
        return []
    first, other = model.schema.classes
    return [f"the model answers against the table: give classes {other!r}, {first!r} if that is its order"]


# ------------------------------------------------------------------ what every part uses


def _distinct(frame: pd.DataFrame, name: str, missing_tokens: Sequence[str]) -> tuple[str, ...]:
    """The present values of a column as text, sorted."""
    column = frame[name].drop_duplicates()
    gone = {"", *missing_tokens}
    # Cell by cell: Arrow compares no number with a text.
    present = column[np.array([not (pd.isna(cell) or cell in gone) for cell in column], dtype=bool)]
    return tuple(sorted(set(target_texts(present.to_frame(name), name))))


def _number(text: str) -> int | float | None:
    """A text as a finite number: an int where it is written as one, so that no digit is lost."""
    if "_" in text:
        return None
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    return None


def _shown(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - 4} more" if len(texts) > 4 else ""
    return ", ".join(map(repr, texts[:4])) + more
