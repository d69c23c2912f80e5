"""The figures of the pages, against counting row by row."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ruleedit.drafts import Draft
from ruleedit.edits import edit
from ruleedit.matching import decide
from ruleedit.models.calibration import Calibration
from ruleedit.rules import Clause, Outcome, Rule, RuleSet
from ruleedit.schema import Feature, Schema
from ruleedit.tables.groups import Grouping, parted
from service.workbench.histogram import nice_step
from service.workspace.insight import Lens, feature_figures, groupable

SCHEMA = Schema(
    (
        Feature("age", "integer", low=0.0, high=100.0),
        Feature("income", "numeric"),
        Feature("job", "categorical", categories=("a", "b", "c")),
        Feature("member", "boolean"),
    ),
    target="ok",
    classes=("no", "yes"),
)
RULES = RuleSet(
    (
        Rule("R1", (Clause("age", ">", 60.0),), Outcome.of("yes")),
        Rule("R2", (Clause("job", "in", ("a", "b")), Clause("age", "<=", 30.0)), Outcome.of("no")),
        Rule("R3", (Clause("income", "is missing"),), Outcome.of("yes")),
    ),
    Outcome.of("no"),
)
DRAFT = Draft.of(RULES, SCHEMA)


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with missing values and unseen categories, a model's outcomes, and the truth."""
    rng = np.random.default_rng(3)
    rows = np.column_stack(
        [rng.integers(0, 100, 3_000), rng.lognormal(3, 1, 3_000), rng.integers(0, 4, 3_000), rng.integers(0, 2, 3_000)]
    ).astype(float)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    outcomes = (np.nan_to_num(rows[:, 0]) > 55).astype(np.intp)
    return rows, outcomes, np.where(rng.random(3_000) < 0.1, 1 - outcomes, outcomes)


def test_rules_are_counted_where_they_decide(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Each row once: at the first rule that holds it, or at the default."""
    rows, outcomes, _ = table
    found = {one.rule: one for one in Lens(DRAFT, rows, outcomes, None).decided(DRAFT)}
    first = rows[:, 0] > 60
    second = ~first & np.isin(rows[:, 2], (1, 2)) & (rows[:, 0] <= 30)
    third = ~first & ~second & np.isnan(rows[:, 1])
    for name, mask, says in (("R1", first, 1), ("R2", second, 0), ("R3", third, 1), ("", ~(first | second | third), 0)):
        assert found[name].covered == mask.sum()
        assert found[name].agrees == pytest.approx((outcomes[mask] == says).mean())
        assert found[name].outcomes == tuple(np.bincount(outcomes[mask], minlength=2))


@pytest.mark.parametrize("name", ["age", "income", "job", "member"])
def test_a_features_bars_hold_every_known_value_once(
    name: str, table: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """Bars and missing values together are all rows, but for categories never seen."""
    rows, outcomes, _ = table
    found = feature_figures(name, SCHEMA, rows, outcomes)
    column = rows[:, SCHEMA.index(name)]
    unseen = int((column == 0).sum()) if name == "job" else 0
    assert sum(map(sum, found.counts)) + sum(found.missing) + unseen == len(rows)
    assert sum(found.missing) == np.isnan(column).sum()
    assert len(found.counts) == (len(found.edges) - 1 if found.edges else len(found.values))


def test_a_far_value_does_not_squeeze_the_bars(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The bars reach to the last half per cent; what lies beyond counts in the outermost."""
    rows, outcomes, _ = table
    far = rows.copy()
    far[0, 1] = 1e12
    assert feature_figures("income", SCHEMA, far, outcomes).edges[-1] < 1e4


def test_a_table_of_missing_values_alone_has_no_bars_to_fall_over() -> None:
    """Nothing is there, and that is said."""
    rows = np.full((5, 4), np.nan)
    found = feature_figures("income", SCHEMA, rows, np.zeros(5, dtype=np.intp))
    assert (sum(map(sum, found.counts)), found.missing) == (0, (5, 0))


def test_an_effect_is_what_the_overlay_does(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Shares, F1 and groups before and after, counted by hand."""
    rows, outcomes, truth = table
    draft = edit(DRAFT, ["new IF age < 20 THEN yes"], reason="r")
    found = Lens(DRAFT, rows, outcomes, truth).effect(draft)
    after = np.where(rows[:, 0] < 20, 1, outcomes)
    assert found.glance.changed == (after != outcomes).sum() > 100
    assert found.shares[1] == pytest.approx((outcomes.mean(), after.mean()))
    assert found.honoured == pytest.approx((outcomes[rows[:, 0] < 20] == 1).mean())
    assert found.f1 is not None
    assert found.f1[0] > found.f1[1]
    for group, name, inside in zip(
        found.groups["member"], ("false", "true", None), (rows[:, 3] == 0, rows[:, 3] == 1, np.isnan(rows[:, 3])),
        strict=True,
    ):  # fmt: skip
        assert (group.value, group.rows) == (name, inside.sum())
        assert group.after[1] == pytest.approx(after[inside].mean())


def test_an_overlay_is_as_sure_as_its_rule_says(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Calibration before is the model's; after, rows asked for are as sure as the class or the distribution."""
    rows, outcomes, truth = table
    sure = np.random.default_rng(5).uniform(0.5, 1.0, len(rows)).astype(np.float32)
    draft = edit(DRAFT, ["new IF age < 20 THEN yes 0.7, no 0.3", "new IF age between 20 and 25 THEN no"], reason="r")
    found = Lens(DRAFT, rows, outcomes, truth, sure=sure).effect(draft).calibration
    own = Calibration(sure, outcomes == truth)
    low, high = rows[:, 0] < 20, (rows[:, 0] >= 20) & (rows[:, 0] <= 25)
    after = np.where(low, 0.7, np.where(high, 1.0, sure))
    says = np.where(low, 1, np.where(high, 0, outcomes))
    assert found == pytest.approx((own.error, Calibration(after, says == truth).error))
    assert Lens(DRAFT, rows, outcomes, None, sure=sure).effect(draft).calibration is None


def test_sensitive_columns_come_first_and_numbers_by_their_cuts(
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """A number that was marked makes groups too; the others follow."""
    rows, outcomes, truth = table
    marked = (Grouping("age", (30.0, 60.0)), Grouping("member"))
    found = Lens(DRAFT, rows, outcomes, truth, sensitive=marked).effect(DRAFT)
    assert list(found.groups) == ["age", "member", "job"]
    assert [group.value for group in found.groups["age"]] == ["under 30", "30 to under 60", "60 and over", None]
    counted = parted(marked, rows, SCHEMA, outcomes, outcomes)
    assert found.groups["age"] == tuple(counted["age"])


def test_nothing_edited_changes_nothing(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """No row changes, and there is nothing to honour."""
    rows, outcomes, _ = table
    found = Lens(DRAFT, rows, outcomes, None).effect(DRAFT)
    assert (found.glance.changed, found.honoured, found.f1) == (0, None, None)


def test_reach_is_what_comes_in_and_goes_out(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """A threshold moved both widens and, for another, narrows; a disabled rule gives up all its rows."""
    rows, outcomes, _ = table
    wider = edit(DRAFT, ["set R1 age > 50"], reason="r")
    lens = Lens(DRAFT, rows, outcomes, None)
    found = lens.reach(DRAFT, wider, "R1")
    gained = (rows[:, 0] > 50) & ~(rows[:, 0] > 60)
    assert (found.gained, found.lost) == (gained.sum(), 0)
    assert found.gained_outcomes == tuple(np.bincount(outcomes[gained], minlength=2))
    off = edit(DRAFT, ["disable R1"], reason="r")
    assert lens.reach(DRAFT, off, "R1").lost == (rows[:, 0] > 60).sum()


def test_a_disabled_rule_decides_nothing_and_the_next_takes_its_rows(
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """As `decide` says row by row, whatever was disabled, moved or added."""
    rows, outcomes, _ = table
    lens = Lens(DRAFT, rows, outcomes, None)
    for edits in (["disable R1"], ["move R3 before R1"], ["new IF age < 20 THEN yes", "remove R2"]):
        draft = edit(DRAFT, edits, reason="r")
        places = decide(draft.rules, rows, SCHEMA)
        found = lens.decided(draft)
        assert [one.covered for one in found] == [
            *((places == at).sum() for at in range(len(draft.rules.rules))),
            (places < 0).sum(),
        ]


def test_many_pages_look_through_one_lens_at_once(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Each gets the answer that it would get alone, though all of them fill the same memory."""
    rows, outcomes, truth = table
    drafts = [edit(DRAFT, [f"set R1 age > {at}"], reason="r") for at in range(61, 95)]
    alone = [Lens(DRAFT, rows, outcomes, truth).effect(draft).glance.changed for draft in drafts]
    lens = Lens(DRAFT, rows, outcomes, truth)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda draft: (lens.effect(draft).glance.changed, lens.decided(draft)), drafts))
    assert [changed for changed, _ in found] == alone
    assert [figures[0].covered for _, figures in found] == [int((rows[:, 0] > at).sum()) for at in range(61, 95)]
    assert lens.feature("age") is lens.feature("age")


def test_groups_are_made_of_few_values() -> None:
    """Numbers make none, nor do categories of a thousand values."""
    many = Feature("zip", "categorical", categories=tuple(f"z{i}" for i in range(1_000)))
    assert groupable(Schema((*SCHEMA.features, many), target="ok", classes=("no", "yes"))) == ("job", "member")


@pytest.mark.parametrize(
    ("low", "high", "whole", "step"),
    [(0.0, 1.0, False, 0.005), (18.0, 75.0, True, 1.0), (5_000.0, 102_000.0, False, 500.0), (0.0, 1e-6, False, 5e-9)],
)
def test_a_step_is_one_that_people_would_choose(low: float, high: float, whole: bool, step: float) -> None:
    """1, 2 or 5 times a power of ten, at most two hundred to the range; whole for whole numbers."""
    assert nice_step(low, high, whole) == pytest.approx(step)
