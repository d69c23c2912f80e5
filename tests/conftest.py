"""Two modes: what CI runs on every change, and the soak (``--soak``) with the full counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.commandline import Shop
from tests.databases import ENGINES, database
from tests.strategies import Dice, World, make_world

settings.register_profile(
    "ci",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", settings.get_profile("ci"), derandomize=False, max_examples=2_000, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--soak``."""
    parser.addoption(
        "--soak", action="store_true", help="run the tests marked soak, and the others with their full counts"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the Hypothesis profile of the mode."""
    settings.load_profile("soak" if config.getoption("--soak") else "ci")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests marked soak out unless they are asked for."""
    if config.getoption("--soak"):
        return
    left_out = [item for item in items if item.get_closest_marker("soak")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def count(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """Return ``count(ci, full)``: how often a promise is tried in the present mode."""
    soak = bool(pytestconfig.getoption("--soak"))
    return lambda ci, full: full if soak else ci


@pytest.fixture(scope="session")
def worlds(count: Callable[[int, int], int]) -> list[World]:
    """Random schemas with rule sets, tables, boxes and regions: 1,000, in the soak 10,000 (promises 9 and 10)."""
    dice = Dice(20)
    return [make_world(dice) for _ in range(count(1_000, 10_000))]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Two tables, a model of each and their rules, made once by the command line; nobody changes them."""
    return Shop.opened(tmp_path_factory.mktemp("shop"))


@pytest.fixture(params=ENGINES)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """An empty database of each kind."""
    with database(request.param, tmp_path) as found:
        yield found
