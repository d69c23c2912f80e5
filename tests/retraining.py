"""What the tests of retraining share: small tables with their feedback, and trainers that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ruleedit.datasets import loans
from ruleedit.feedback import Feedback, feedback
from ruleedit.matching import Indices, Matrix
from ruleedit.models import Background, Model, TableModel
from ruleedit.models.training import stratified_quarter
from ruleedit.retrain import Trainer, lightgbm_trainer
from ruleedit.rules import Outcome, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.tables import encode, infer_schema, target_codes
from ruleedit.text import parse_rule

#: Everything that a schema can say, in one small one.
MIXED = Schema(
    (
        Feature("x", "numeric", low=-5.0, high=5.0),
        Feature("n", "integer", low=0.0, high=40.0),
        Feature("c", "categorical", categories=("a", "b", "c", "rare")),
        Feature("f", "boolean"),
        Feature("whole", "numeric", missing=False),
    ),
    "y",
    ("no", "perhaps", "yes"),
)
#: The loans that the new policy grants and the old one doesn't, without the noise around them.
NEW_POLICY = "IF age > 26 AND age <= 30 AND income >= 30000 AND debt_ratio <= 0.6 THEN approve"


def ask(schema: Schema, *texts: str) -> Feedback:
    """What asserted rules ask for, in this order."""
    rules = [parse_rule(text, f"R{place}").replace(asserted=True) for place, text in enumerate(texts, start=1)]
    base = RuleSet((), Outcome.of(schema.classes[0]))
    return feedback(base, RuleSet(tuple(rules), base.default), schema)


def mixed_rows(count: int = 200, *, seed: int = 0, missing: float = 0.1) -> Matrix:
    """Rows of `MIXED`: numbers, whole numbers, categories and booleans, some of them missing."""
    rng = np.random.default_rng(seed)
    rows = np.column_stack(
        [
            rng.uniform(-4.0, 4.0, count),
            rng.integers(5, 31, count),
            rng.choice([1.0, 2.0, 3.0], count, p=[0.6, 0.3, 0.1]),
            rng.integers(0, 2, count),
            rng.normal(0.0, 1.0, count),
        ]
    ).astype(float)
    gone = rng.random(rows.shape) < missing
    gone[:, 4] = False
    rows[gone] = np.nan
    return rows


def mixed_answers(rows: Matrix, *, seed: int = 0) -> Indices:
    """Answers to rows of `MIXED`: mostly by x, now and then any."""
    rng = np.random.default_rng(seed)
    codes = np.digitize(np.nan_to_num(rows[:, 0]), [-1.0, 1.5])
    return np.where(rng.random(len(rows)) < 0.05, rng.integers(0, 3, len(rows)), codes).astype(np.intp)


def background(rows: Matrix, answers: Indices, schema: Schema) -> Background:
    """What the table looked like."""
    return Background.of(rows, answers, schema)


@dataclass(frozen=True, eq=False)
class Fixed:
    """A model that answers from a lookup of its own: the same class for all, or its rules' classes."""

    schema: Schema
    answer: int = 0
    feedback: Feedback | None = None
    share: float = 0.0

    @property
    def thresholds(self) -> tuple[float, ...]:
        return (1.0 / len(self.schema.classes),) * len(self.schema.classes)

    def proba(self, rows: Matrix) -> npt.NDArray[np.float64]:
        codes = np.full(len(rows), self.answer)
        if self.feedback is not None:
            held = self.feedback.assign(rows)
            follows = (held >= 0) & (np.arange(len(rows)) < self.share * len(rows))
            codes = np.where(follows, self.feedback.outcome_codes()[held], codes)
        return np.eye(len(self.schema.classes))[codes]


@dataclass
class Recorded:
    """A trainer that notes everything it was given; what it trains is up to ``make``."""

    trainer: Trainer
    calls: list[tuple[Matrix, Indices, int]] = field(default_factory=list)

    def __call__(self, rows: Matrix, answers: Indices, seed: int) -> Model:
        self.calls.append((rows, answers, seed))
        return self.trainer(rows, answers, seed)


@dataclass(frozen=True, eq=False)
class Case:
    """A table with a model in force and feedback: training rows less those taken out, and held-out rows."""

    feedback: Feedback
    rows: Matrix
    answers: Indices
    held_out: Matrix
    held_out_answers: Indices
    model: TableModel
    trainer: Trainer


def case(
    schema: Schema, rows: Matrix, answers: Indices, *texts: str, share: float = 0.0, seed: int = 0, trees: int = 30
) -> Case:
    """A case whose training rows hold only a ``share`` of those that the rules hold."""
    asked = ask(schema, *texts)
    held_out = stratified_quarter(answers, seed)
    inside = asked.assign(rows) >= 0
    gone = inside & (np.random.default_rng(seed).random(len(rows)) >= share)
    gone[held_out] = True
    known = Background.of(rows[~gone], answers[~gone], schema)
    thresholds = (1.0 / len(schema.classes),) * len(schema.classes)
    trainer = lightgbm_trainer(TableModel(schema, thresholds, "", known, seed, False, held_out), trees=trees)
    model = trainer(rows[~gone], answers[~gone], seed)
    assert isinstance(model, TableModel)
    return Case(asked, rows[~gone], answers[~gone], rows[held_out], answers[held_out], model, trainer)


def board_case(*texts: str) -> Case:
    """Boards of nine squares: three `x` in a line win, of which a model becomes very sure."""
    squares = ("first", "second", "third", "left", "middle", "right", "seventh", "eighth", "last")
    features = (Feature(name, "categorical", categories=("b", "o", "x")) for name in squares)
    rows = np.random.default_rng(0).integers(1, 4, size=(700, 9)).astype(float)
    lines = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
    won = np.any([(rows[:, line] == 3.0).all(axis=1) for line in lines], axis=0)
    return case(Schema(tuple(features), "won", ("no", "yes")), rows, won.astype(np.intp), *texts, trees=100)


def loans_case(*texts: str, rows: int = 3_000, share: float = 0.0, seed: int = 0) -> Case:
    """Loan applications under the old policy, with feedback."""
    table = loans(rows, seed=seed)
    schema = infer_schema(table, "decision")
    return case(
        schema, encode(table, schema), target_codes(table, schema), *(texts or (NEW_POLICY,)), share=share, seed=seed
    )
