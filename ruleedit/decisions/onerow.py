"""One row at a time: what a release decides, in the time that a decision system has.

`decide_encoded` works on tables; on a single row numpy's and LightGBM's preparations cost many
times the answer itself. Here regions are tested value by value and the model is asked through
LightGBM's own interface for single rows (``LGBM_BoosterPredictForMatSingleRowFast``). The answers
are the same, bit for bit.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from ruleedit.decisions import Decision, Ground, Grounds, changed_values, warner
from ruleedit.errors import Refused
from ruleedit.matching import outcome_table
from ruleedit.models import TableModel
from ruleedit.overlay import BY, BY_GRAFT, BY_MODEL, BY_OVERLAY, BY_RETRAINED
from ruleedit.regions import Box, NumberSet, Region, TextSet, ValueSet, clauses_box, rule_box
from ruleedit.release import Release
from ruleedit.rules import Clause, Rule, RuleSet
from ruleedit.schema import Feature, Schema

Row: TypeAlias = Sequence[float]
Test: TypeAlias = Callable[[float], bool]
#: LightGBM's C interface: doubles in, probabilities out.
_FLOAT64, _NORMAL = 1, 0


class RowModel:
    """A model that is asked about one encoded row at a time, from one thread after another."""

    def __init__(self, model: TableModel) -> None:
        from lightgbm.basic import _LIB

        self._model = model  # its booster has to outlive the handle below
        self._thresholds = model.thresholds if len(set(model.thresholds)) > 1 else None
        self._codes = model.file_codes
        self._binary = model.file.num_class == 1
        width = len(model.schema.features)
        self._row = (ctypes.c_double * width)()
        self._out = (ctypes.c_double * model.file.num_class)()
        self._length = ctypes.c_int64()
        self._lock = threading.Lock()
        self._fast = ctypes.c_void_p()
        self._release = _LIB.LGBM_FastConfigFree
        self._ask = _LIB.LGBM_BoosterPredictForMatSingleRowFast
        made = _LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
            model.booster._handle,
            ctypes.c_int(_NORMAL),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            ctypes.c_int(_FLOAT64),
            ctypes.c_int32(width),
            ctypes.c_char_p(b"num_threads=1"),
            ctypes.byref(self._fast),
        )
        if made != 0:
            raise Refused("LightGBM can't answer single rows of this model")
        self._arguments = (self._fast, self._row, ctypes.byref(self._length), self._out)

    def __del__(self) -> None:
        if getattr(self, "_fast", None):
            self._release(self._fast)

    def proba(self, row: Row) -> list[float]:
        """The probabilities of an encoded row (features,), NaN for missing; as `TableModel.proba` gives them."""
        with self._lock:
            self._row[:] = list(row)
            for place, codes in self._codes:
                value = row[place]
                self._row[place] = codes[-1 if value != value else int(value)]
            if self._ask(*self._arguments) != 0:
                raise Refused("LightGBM refused a single row")
            answer = self._out[:]
        return [1.0 - answer[0], answer[0]] if self._binary else answer

    def outcome(self, probabilities: Sequence[float]) -> int:
        """The place of the class with the greatest p / threshold, ties to the first."""
        weighed = probabilities
        if self._thresholds is not None:
            weighed = [p / t for p, t in zip(probabilities, self._thresholds, strict=True)]
        return max(range(len(weighed)), key=weighed.__getitem__)


class RowDecider:
    """Decides encoded rows by one release; ``name`` is what a collateral change is blamed on.

    What it says of a row is what `ruleedit.decisions.decide_encoded` says of it.
    """

    def __init__(self, release: Release, name: str | None = None) -> None:
        self.release = release
        self.schema = release.schema
        self.grounds = Grounds(release, name)
        self.warn = warner(release.schema)
        self._classes = release.schema.classes
        self._model = RowModel(release.model)
        self._before = None if release.before is None else RowModel(release.before)
        self._describing = None if release.draft is None else first_rule(release.draft.rules, release.schema)
        feedback = release.feedback
        self._regions = [] if feedback is None else [region_test(rule.region, release.schema) for rule in feedback]
        self._asks = [] if feedback is None else feedback.asks.tolist()
        self._codes = [] if feedback is None else feedback.outcome_codes().tolist()
        said = [] if feedback is None else [rule.outcome for rule in feedback]
        self._said = outcome_table(said, self._classes).tolist()

    def held(self, row: Row) -> int:
        """The place of the feedback rule that holds a row; -1 for none."""
        for place, inside in enumerate(self._regions):
            if inside(row):
                return place
        return -1

    def described(self, row: Row) -> int:
        """The place of the rule that describes the model at a row; -1 for none."""
        return -1 if self._describing is None else self._describing(row)

    def ground(self, held: int, row: Row) -> Ground:
        """Why a row that this feedback rule holds is decided as it is."""
        return self.grounds.of(held, -1 if held >= 0 else self.described(row))

    def decide(self, row: Row) -> Decision:
        """Decide an encoded row (features,)."""
        held = self.held(row)
        asked = held >= 0 and self._asks[held]
        if asked and self.release.mode == "overlay-soft":
            return self._moved(row, held)
        probabilities = self._model.proba(row)
        outcome = own = self._model.outcome(probabilities)
        by = BY_MODEL
        if self.release.mode == "retrain":
            by = BY_RETRAINED
        if self._before is not None:
            own = self._before.outcome(self._before.proba(row))
        if asked and self.release.mode == "graft":
            by = BY_GRAFT
        if asked and self.release.mode == "overlay-hard":
            by, outcome, probabilities = BY_OVERLAY, self._codes[held], self._said[held]
        return self._decision(row, held, outcome, probabilities, own, by)

    def nearest(self, row: Row, outcome: str) -> dict[str, Any] | None:
        """The rule of another outcome that fails the fewest clauses at an encoded row, ties to the first.

        ``failed`` are these clauses with the row's values. Where none fails, ``behind`` is the rule
        that stands before it. Where no rule says another outcome it is the default, if that does; else
        None.
        """
        found: tuple[Rule, list[Clause]] | None = None
        for rule, clauses in self._others:
            if rule.outcome.top(self._classes) == outcome:
                continue
            failed = [clause for clause, inside in clauses if not inside(row)]
            if found is None or len(failed) < len(found[1]):
                found = rule, failed
        first = self.described(row)
        if found is None:
            return self._default(outcome, first)
        rule, failed = found
        told = [{"clause": str(clause), "value": self._cell(clause.feature, row)} for clause in failed]
        return {
            "outcome": rule.outcome.top(self._classes),
            "rule": rule.id,
            "text": str(rule),
            "failed": told,
            "behind": None if failed or first < 0 else self._rules[first].id,
        }

    def _default(self, outcome: str, first: int) -> dict[str, Any] | None:
        draft = self.release.draft
        top = None if draft is None else draft.rules.default.top(self._classes)
        if top in (None, outcome) or first < 0:
            return None
        return {"outcome": top, "rule": None, "text": "the default", "failed": [], "behind": self._rules[first].id}

    def _cell(self, name: str, row: Row) -> float | str | None:
        """A value as the client gave it; a category never seen is None, as a missing value is."""
        place = self.schema.index(name)
        feature, value = self.schema.features[place], row[place]
        if value != value:
            return None
        if feature.is_number:
            return value
        return next((text for text, code in feature.code_of.items() if code == value), None)

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        return () if self.release.draft is None else self.release.draft.rules.rules

    @cached_property
    def _others(self) -> list[tuple[Rule, list[tuple[Clause, Callable[[Row], bool]]]]]:
        return [
            (rule, [(clause, box_test(clauses_box([clause], self.schema), self.schema)) for clause in rule.clauses])
            for rule in self._rules
            if rule.enabled and not rule.outcome.is_model
        ]

    def _decision(
        self, row: Row, held: int, outcome: int, probabilities: Sequence[float], own: int, by: int
    ) -> Decision:
        ground = self.ground(held, row)
        return Decision(
            outcome=self._classes[outcome],
            probabilities=dict(zip(self._classes, probabilities, strict=True)),
            model_outcome=self._classes[own],
            rule=self.release.labels[held] if held >= 0 else None,
            by=BY[by],
            reasons=ground.reasons,
            reason_codes=ground.codes,
            change=ground.change if outcome != own else None,
            warnings=tuple(self.warn(row)),
        )

    def _moved(self, row: Row, held: int) -> Decision:
        """A soft overlay's answer: the nearest row is searched with numpy."""
        rows = np.array([row])
        answers = self.release.answer(rows)
        assert answers.model_outcomes is not None
        outcome, own = int(answers.outcomes[0]), int(answers.model_outcomes[0])
        found = self._decision(row, held, outcome, answers.probabilities[0].tolist(), own, int(answers.by[0]))
        moved = changed_values(self.schema, rows[0], answers.moved[0]) if len(answers.moved) else None
        return replace(found, moved=moved)


def first_rule(rules: RuleSet, schema: Schema) -> Callable[[Row], int]:
    """What finds the place of the rule that decides an encoded row, -1 for the default; as `matching.decide` does."""
    tests = [(place, box_test(rule_box(rule, schema), schema)) for place, rule in enumerate(rules) if rule.enabled]

    def find(row: Row) -> int:
        for place, inside in tests:
            if inside(row):
                return place
        return -1

    return find


def region_test(region: Region, schema: Schema) -> Callable[[Row], bool]:
    """What says whether an encoded row is in a region; as `matching.region_mask` does."""
    parts = [
        (box_test(part.box, schema), [box_test(hole, schema) for hole in part.holes])
        for part in region.parts
        if not part.box.is_empty
    ]

    def inside(row: Row) -> bool:
        for box, holes in parts:  # noqa: SIM110, a generator costs more than what it yields
            if box(row) and not any(hole(row) for hole in holes):
                return True
        return False

    return inside


def box_test(box: Box, schema: Schema) -> Callable[[Row], bool]:
    """What says whether an encoded row is in a box; as `matching.box_mask` does."""
    if box.is_empty:
        return lambda row: False
    tests = tuple(_set_tests(box, schema))

    def inside(row: Row) -> bool:
        for place, test in tests:  # noqa: SIM110, a generator costs more than what it yields
            if not test(row[place]):
                return False
        return True

    return inside


def _set_tests(box: Box, schema: Schema) -> Iterator[tuple[int, Test]]:
    for name, values in box.sets:
        place = schema.index(name)
        yield place, value_test(values, schema.features[place])


def value_test(values: ValueSet, feature: Feature) -> Test:
    """What says whether an encoded value is in a set; as `matching.set_mask` does."""
    return _number_test(values) if isinstance(values, NumberSet) else _text_test(values, feature)


def _number_test(values: NumberSet) -> Test:
    intervals, missing = values.intervals, values.missing
    if len(intervals) == 1 and not missing:
        ((low, high),) = intervals
        # No comparison is true of a missing value, which is what an interval says of it.
        return lambda value: low <= value <= high

    def inside(value: float) -> bool:
        if value != value:
            return missing
        return any(low <= value <= high for low, high in intervals)

    return inside


def _text_test(values: TextSet, feature: Feature) -> Test:
    codes = frozenset(float(feature.code_of[member]) for member in values.members if member in feature.code_of)
    inverted, missing = values.inverted, values.missing

    def inside(value: float) -> bool:
        if value != value:
            return missing
        return (value in codes) != inverted

    return inside
