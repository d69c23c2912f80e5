"""The schema: features, their kinds, ranges and categories, and the classes of the target.

The category map lives here, where a person can see and correct it: a known category is the code
1 to K in the order of ``categories``, a value never seen before is 0, a missing value is NaN.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias, get_args

from ruleedit.errors import SchemaError, UnknownCategory, UnknownClass, UnknownFeature

Kind: TypeAlias = Literal["numeric", "integer", "categorical", "boolean"]
KINDS: tuple[Kind, ...] = get_args(Kind)
BOOLEANS = ("false", "true")
#: A step of 1 is exact only up to here.
LARGEST_INTEGER = float(2**53)


@dataclass(frozen=True)
class Feature:
    """One column of the table.

    ``low`` and ``high`` are the closed range that clauses may name (None: open). ``missing``
    says whether a missing value is allowed. ``codes`` gives, for a model that somebody else
    trained, the number its file uses for each category; where empty these are 1 to K.
    """

    name: str
    kind: Kind
    missing: bool = True
    low: float | None = None
    high: float | None = None
    categories: tuple[str, ...] = ()
    codes: tuple[int, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.kind in ("numeric", "integer")

    @cached_property
    def code_of(self) -> dict[str, int]:
        """Our code of each category: 1 to K; for a boolean false is 0 and true is 1."""
        if self.kind == "boolean":
            return {"false": 0, "true": 1}
        return {category: code for code, category in enumerate(self.categories, start=1)}

    @property
    def values(self) -> tuple[str, ...]:
        """The texts that a clause may name: the categories, or false and true."""
        return BOOLEANS if self.kind == "boolean" else self.categories

    def check(self) -> None:
        """Raise `SchemaError` where the feature contradicts itself."""
        problem = self._problem()
        if problem:
            raise SchemaError(f"feature {self.name!r}: {problem}")

    def _problem(self) -> str | None:
        if self.kind not in KINDS:
            return f"kind {self.kind!r} is none of {', '.join(KINDS)}"
        if not self.name:
            return "its name is empty"
        if self.is_number:
            if self.categories or self.codes:
                return f"it is {self.kind}, so it has no categories"
            return self._range_problem()
        if self.low is not None or self.high is not None:
            return f"it is {self.kind}, so it has no range"
        if self.kind == "boolean" and (self.categories or self.codes):
            return "it is boolean: its values are false and true, it lists no categories"
        twice = _twice(self.categories)
        if twice is not None:
            return f"the category {twice!r} is listed twice"
        if any(not category for category in self.categories):
            return "the empty text can't be a category, it is a missing value"
        if self.codes and (len(self.codes) != len(self.categories) or len(set(self.codes)) != len(self.codes)):
            return (
                f"{len(self.codes)} codes for {len(self.categories)} categories; give each category one code of its own"
            )
        if any(code < 0 for code in self.codes):
            return "codes are whole numbers from 0 up"
        return None

    def _range_problem(self) -> str | None:
        for bound in (self.low, self.high):
            if bound is None:
                continue
            if not math.isfinite(bound):
                return "a range is finite; leave the bound out where there is none"
            if self.kind == "integer" and bound != round(bound):
                return f"it is integer, {bound} is no bound for it"
        if self.low is not None and self.high is not None and self.low > self.high:
            return f"its range is empty: low {self.low}, high {self.high}"
        return None

    def to_json(self) -> dict[str, Any]:
        """As JSON, without the fields that don't apply to its kind."""
        out: dict[str, Any] = {"name": self.name, "kind": self.kind, "missing": self.missing}
        if self.is_number:
            out |= {"low": self.low, "high": self.high}
        if self.kind == "categorical":
            out["categories"] = list(self.categories)
        if self.codes:
            out["codes"] = list(self.codes)
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        """Read one feature; raises `SchemaError`."""
        where = f"feature {data.get('name')!r}" if isinstance(data, Mapping) else "a feature"
        _known_keys(data, {"name", "kind", "missing", "low", "high", "categories", "codes"}, where)
        for key in ("name", "kind"):
            if not isinstance(data.get(key), str):
                raise SchemaError(f"{where}: {key!r} must be a text")
        missing = data.get("missing", True)
        if not isinstance(missing, bool):
            raise SchemaError(f"{where}: 'missing' must be true or false")
        bounds = []
        for key in ("low", "high"):
            bound = data.get(key)
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int | float)):
                raise SchemaError(f"{where}: {key!r} must be a number or null")
            bounds.append(None if bound is None else _double(bound, f"{where}: {key!r}"))
        categories = _texts(data.get("categories", []), f"{where}: 'categories'")
        codes = data.get("codes", [])
        if not isinstance(codes, list) or any(isinstance(code, bool) or not isinstance(code, int) for code in codes):
            raise SchemaError(f"{where}: 'codes' must be a list of whole numbers")
        return cls(data["name"], data["kind"], missing, bounds[0], bounds[1], categories, tuple(codes))


@dataclass(frozen=True)
class Schema:
    """The features in the order of the model's columns, the target and its classes.

    ``missing_tokens`` lists the cells that mean a missing value in a CSV, beside the empty one.
    """

    features: tuple[Feature, ...]
    target: str
    classes: tuple[str, ...]
    missing_tokens: tuple[str, ...] = ()
    _places: dict[str, int] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_places", {feature.name: place for place, feature in enumerate(self.features)})
        for feature in self.features:
            feature.check()
        twice = _twice(self.names)
        if twice is not None:
            raise SchemaError(f"the feature {twice!r} is listed twice")
        if self.target in self._places:
            raise SchemaError(f"the target {self.target!r} is listed as a feature")
        twice = _twice(self.classes)
        if twice is not None or "" in self.classes:
            problem = "one is empty" if twice is None else f"{twice!r} is listed twice"
            raise SchemaError(f"the classes of {self.target!r}: {problem}; each class is a text of its own")
        if not self.features:
            raise SchemaError("there is no feature")

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    def index(self, name: str) -> int:
        """The column of a feature; raises `UnknownFeature` with the nearest name."""
        place = self._places.get(name)
        if place is None:
            raise UnknownFeature.among(name, self.names)
        return place

    def feature(self, name: str) -> Feature:
        """The feature of this name; raises `UnknownFeature`."""
        return self.features[self.index(name)]

    def check_class(self, name: str) -> None:
        """Raise `UnknownClass` where ``name`` is no class of the target."""
        if name not in self.classes:
            raise UnknownClass.among(name, self.classes, where=f" of {self.target!r}")

    def check_category(self, feature: Feature, value: str) -> None:
        """Raise `UnknownCategory` where ``value`` is not among the feature's values."""
        if value not in feature.code_of:
            raise UnknownCategory.among(value, feature.values, where=f" of {feature.name!r}")

    def to_json(self) -> dict[str, Any]:
        """As JSON; `from_json` reads it back."""
        out: dict[str, Any] = {"target": self.target, "classes": list(self.classes)}
        if self.missing_tokens:
            out["missing_tokens"] = list(self.missing_tokens)
        out["features"] = [feature.to_json() for feature in self.features]
        return out

    @classmethod
    def from_json(cls, data: Any) -> Schema:
        """Read a schema; raises `SchemaError` with the place that is wrong."""
        if not isinstance(data, Mapping):
            raise SchemaError("a schema is a JSON object with 'target', 'classes' and 'features'")
        _known_keys(data, {"target", "classes", "missing_tokens", "features"}, "the schema")
        if not isinstance(data.get("target"), str):
            raise SchemaError("the schema's 'target' must be a text")
        if not isinstance(data.get("features"), list):
            raise SchemaError("the schema's 'features' must be a list")
        return cls(
            features=tuple(Feature.from_json(item) for item in data["features"]),
            target=data["target"],
            classes=_texts(data.get("classes", []), "the schema's 'classes'"),
            missing_tokens=_texts(data.get("missing_tokens", []), "the schema's 'missing_tokens'"),
        )

    @cached_property
    def hash(self) -> str:
        """A content hash: SHA-256 of the canonical JSON."""
        return content_hash(self.to_json())


def canonical_json(data: Any) -> str:
    """``data`` as canonical JSON: sorted keys, no spaces; raises `ValueError` for NaN and infinities."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(data: Any) -> str:
    """SHA-256 of ``data`` as canonical JSON in UTF-8."""
    return hashlib.sha256(canonical_json(data).encode("utf-8", "surrogatepass")).hexdigest()


def _texts(data: Any, where: str) -> tuple[str, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str) or any(not isinstance(item, str) for item in data):
        raise SchemaError(f"{where} must be a list of texts")
    return tuple(data)


def _double(number: float, where: str) -> float:
    try:
        return float(number) + 0.0
    except OverflowError:
        raise SchemaError(f"{where} is too large for a number") from None


def _twice(texts: Iterable[str]) -> str | None:
    """The first text that comes a second time, or None."""
    seen: set[str] = set()
    for text in texts:
        if text in seen:
            return text
        seen.add(text)
    return None


def _known_keys(data: Any, known: set[str], where: str) -> None:
    if not isinstance(data, Mapping):
        raise SchemaError(f"{where} must be a JSON object")
    for key in data:
        if key not in known:
            raise SchemaError(f"{where} has an unknown key {key!r}; known are {', '.join(sorted(known))}")
