"""Base selection: equal quotas at random, or the most useful bases by an integer program."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ruleedit.matching import Indices
from ruleedit.retrain.population import Population
from ruleedit.retrain.selection import (
    limits,
    quotas,
    select_by_program,
    select_random,
    usefulness,
)
from tests.retraining import MIXED, Fixed, ask, mixed_rows


def population(rule: int, *rows: int) -> Population:
    """Bases by number; each one's neighbours are the next ones."""
    near = np.array([[(place + 1) % len(rows), (place + 2) % len(rows)] for place in range(len(rows))])
    return Population(rule, np.array(rows), near, True)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def value(chosen: list[Indices], weights: list[np.ndarray]) -> float:  # type: ignore[type-arg]
    """What the program maximises, apart from the price of repeats."""
    return float(sum(weight[places].sum() for places, weight in zip(chosen, weights, strict=True)))


class TestRandom:
    @pytest.mark.parametrize(("count", "rules"), [(10, 1), (10, 3), (2, 3), (11, 4)])
    def test_quotas_are_equal_to_within_one(self, count: int, rules: int) -> None:
        """They sum to the count, and who gets one more changes from round to round."""
        shares = [quotas(count, rules, first) for first in range(rules)]
        assert all(sum(share) == count and max(share) - min(share) <= 1 for share in shares)
        assert len({tuple(share) for share in shares}) == (1 if count % rules == 0 else rules)

    def test_no_base_comes_twice_while_there_are_enough(self) -> None:
        """Drawn without putting back."""
        (places,) = select_random([population(0, *range(20))], 15, rng())
        assert len(set(places)) == 15

    def test_a_small_population_is_drawn_from_again(self) -> None:
        """The quota is kept all the same."""
        chosen = select_random([population(0, 1, 2, 3), population(1, *range(50))], 40, rng())
        assert [len(places) for places in chosen] == [20, 20]


class TestProgram:
    def test_the_most_useful_bases_are_taken(self) -> None:
        """With one rule it takes the greatest weights."""
        weights = np.linspace(0.0, 1.0, 30)
        (places,) = select_by_program([population(0, *range(30))], [weights], 5, rng())
        assert sorted(places) == [25, 26, 27, 28, 29]

    @pytest.mark.parametrize("count", [4, 10, 21, 40])
    def test_quotas_are_honoured(self, count: int) -> None:
        """Each rule gets between half and twice its equal share, however its bases weigh."""
        bases = [population(0, *range(50)), population(1, *range(40, 90)), population(2, 1, 2, 3)]
        weights = [np.ones(50), np.full(50, 0.01), np.zeros(3)]
        chosen = select_by_program(bases, weights, count, rng())
        least, most = limits(count, 3)
        assert sum(map(len, chosen)) == count
        assert all(least <= len(places) <= most for places in chosen)

    def test_a_training_row_serves_once_while_there_are_others(self) -> None:
        """Rows that two rules share are given to one of them."""
        bases = [population(0, *range(12)), population(1, *range(12))]
        chosen = select_by_program(bases, [np.ones(12), np.ones(12)], 12, rng())
        assert sorted(itertools.chain(*chosen)) == list(range(12))

    def test_a_row_serves_again_where_quotas_ask_for_it(self) -> None:
        """Six bases and forty rows to make: possible, and no more repeats than needed."""
        bases = [population(0, *range(6)), population(1, *range(6, 100))]
        chosen = select_by_program(bases, [np.ones(6), np.ones(94)], 40, rng())
        assert len(chosen[0]) == limits(40, 2)[0]
        assert len(set(chosen[1])) == len(chosen[1])

    def test_it_is_the_best_choice(self) -> None:
        """Against every choice on a small program with shared rows."""
        dice = np.random.default_rng(3)
        bases = [population(0, 0, 1, 2, 3), population(1, 2, 3, 4, 5)]
        for _ in range(10):
            weights = [dice.random(4), dice.random(4)]
            chosen = select_by_program(bases, weights, 4, dice)
            least, most = limits(4, 2)
            options = []
            for first, second in itertools.product(range(16), repeat=2):
                picked = [np.flatnonzero([bits >> place & 1 for place in range(4)]) for bits in (first, second)]
                rows = [*bases[0].rows[picked[0]], *bases[1].rows[picked[1]]]
                if len(rows) == len(set(rows)) == 4 and all(least <= len(places) <= most for places in picked):
                    options.append(value(picked, weights))
            assert value(chosen, weights) >= max(options) - 0.01

    def test_twenty_rules_that_share_their_bases_are_solved(self) -> None:
        """The size that DESIGN asks for: 20 rules at once, 1,000 bases each."""
        dice = np.random.default_rng(0)
        bases = [population(rule, *dice.choice(5_000, 1_000, replace=False)) for rule in range(20)]
        chosen = select_by_program(bases, [dice.random(1_000) for _ in bases], 400, dice)
        assert sum(map(len, chosen)) == 400

    def test_the_same_seed_chooses_the_same(self) -> None:
        """Ties are broken by the generator, and the solver adds no chance of its own."""
        bases = [population(0, *range(100))]
        one, other, third = (
            select_by_program(bases, [np.ones(100)], 10, np.random.default_rng(seed))[0] for seed in (5, 5, 6)
        )
        assert np.array_equal(one, other)
        assert not np.array_equal(one, third)


class TestUsefulness:
    ROWS = mixed_rows(60)

    def test_a_model_that_agrees_everywhere_has_nothing_to_learn(self) -> None:
        """No base is worth anything."""
        asked = ask(MIXED, "IF x > -9 THEN yes".replace("-9", "-5"))
        assert (usefulness(population(0, *range(10)), asked, self.ROWS, Fixed(MIXED, 2)) == 0.0).all()

    def test_a_model_that_disagrees_everywhere_has_no_boundary(self) -> None:
        """Every base is worth the half for disagreement."""
        asked = ask(MIXED, "IF x > -5 THEN yes")
        assert (usefulness(population(0, *range(10)), asked, self.ROWS, Fixed(MIXED, 0)) == 0.5).all()

    def test_bases_at_the_boundary_are_worth_most(self) -> None:
        """A base that the model gets wrong with half of its neighbours right has the full weight."""
        asked = ask(MIXED, "IF x > -5 THEN yes")

        class Even(Fixed):
            def proba(self, rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
                return np.eye(3)[np.where(rows[:, 4] > 0, 2, 0)]

        rows = self.ROWS.copy()
        rows[:4, 4] = (-1.0, -1.0, 1.0, 1.0)
        near = np.array([[1, 2], [0, 2], [0, 3], [0, 2]])
        worth = usefulness(Population(0, np.arange(4), near, True), asked, rows, Even(MIXED))
        assert worth.tolist() == [1.0, 1.0, 0.5, 0.5]
