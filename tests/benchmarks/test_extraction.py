"""The extraction benchmark: what it tells of its figures, and that a run that was cut off goes on where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from extraction import own_source, settings, tables, tag, versions
from extraction_report import Seen, against, differences, grid, latest, read_seen, report, standard_error, summary
from peers import BUDGETS, PEERS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "extraction.py"


def seen(learner: str, *fidelity: float, table: str = "t", budget: int | None = 8, **more: object) -> list[Seen]:
    """One learner's fidelity at a budget for seeds 0, 1, ..."""
    figures = {"clauses": 6, "rules": 2, "clock": 1.0, "cpu": 0.5, "megabytes": 200.0}
    return [
        Seen(table, seed, learner, budget, fidelity=share, **{**figures, **more})  # type: ignore[arg-type]
        for seed, share in enumerate(fidelity)
    ]


def test_the_standard_error_is_that_of_the_mean() -> None:
    """The deviation with n - 1, over the root of n."""
    assert standard_error([1.0, 3.0]) == pytest.approx(1.0)
    assert standard_error([0.5, 0.5, 0.5]) == 0.0


def test_a_summary_has_the_mean_at_each_budget() -> None:
    """A learner without a budget is shown with the clauses that it took."""
    lines = summary(
        [
            *seen("CART", 0.8, 0.9),
            *seen("CART", 0.9, 1.0, budget=32),
            *seen("AIX360 BRCG", 0.7, 0.7, budget=None, clauses=12),
        ]
    )
    assert lines[0] == "| table | seeds | CART | AIX360 BRCG |"
    assert lines[2] == "| t | 2 | 0.850 / – / 0.950 | 0.700 (12) |"


def test_why_there_is_nothing_is_said() -> None:
    """In the place of the figure, and in the list of what wasn't measured."""
    ended = Seen("t", 0, "RIPPER", None, end="ended after 150 s")
    assert summary([ended])[2] == "| t | 1 | ended after 150 s |"
    assert "- t, RIPPER: ended after 150 s" in report([*seen("CART", 0.8), ended])
    partly = [*seen("RIPPER", 0.9, budget=None), Seen("t", 1, "RIPPER", None, end="ended after 150 s")]
    assert "(some seeds)" in summary(partly)[2]


def test_differences_are_of_the_same_seeds() -> None:
    """A seed that only one of both has says nothing."""
    given = [*seen("column-generation", 0.9, 0.8, 0.7), *seen("CART", 0.8, 0.8)]
    assert differences(given, "column-generation", "t", 8) == pytest.approx([0.1, 0.0])
    assert differences(given, "column-generation", "t", 16) == []


def test_where_it_is_worse_by_more_than_a_standard_error_is_named() -> None:
    """And only there."""
    given = [
        *seen("column-generation", 0.9, 0.9, table="better"),
        *seen("CART", 0.8, 0.8, table="better"),
        *seen("column-generation", 0.7, 0.71, table="worse", budget=16),
        *seen("CART", 0.8, 0.8, table="worse", budget=16),
        *seen("column-generation", 0.7, 0.89, table="unclear", budget=32),
        *seen("CART", 0.8, 0.8, table="unclear", budget=32),
    ]
    lines = against(given, "column-generation")
    assert lines[-1].endswith("worse by more than one standard error: worse at 16.")
    assert lines[2] == "| better | 2 | +0.1000 ± 0.0000 | – | – |"


def test_a_grid_has_the_error_of_fidelity_and_says_how_many_seeds() -> None:
    """Where a learner has fewer of them than the table."""
    given = [*seen("CART", 0.8, 0.9), *seen("FIGS", 0.7)]
    assert grid(given, "fidelity", "{:.3f}")[2] == "| t | 2 | 8 | 0.850 ± 0.050 | 0.700 (1 of 2) |"
    assert grid(given, "cpu", "{:.1f}")[2] == "| t | 2 | 8 | 0.5 | 0.5 (1 of 2) |"


def test_of_several_versions_the_last_counts() -> None:
    """All lines of the last one, none of those before."""
    old = [*seen("CART", 0.5, versions={"numpy": "1"}), *seen("CART", 0.6, budget=16, versions={"numpy": "1"})]
    new = [*seen("CART", 0.8, versions={"numpy": "2"}), *seen("CART", 0.9, budget=16, versions={"numpy": "2"})]
    assert latest([*old, *new]) == new
    assert latest([*old, *seen("FIGS", 0.5)]) == [*old, *seen("FIGS", 0.5)]


def test_our_own_source_is_part_of_what_a_figure_comes_from() -> None:
    """A peer's figures stay when our methods change; another limit asks for all again."""
    assert versions("column-generation")["ruleedit.surrogate"] == own_source()
    assert "ruleedit.surrogate" not in versions("CART")
    assert tag(settings(10.0), versions("CART")) != tag(settings(20.0), versions("CART"))


def test_tables_are_those_of_the_folder_and_the_built_in_ones(tmp_path: Path) -> None:
    """An id that is no feature is left out, an empty cell is missing."""
    text = "id,a,class\n1,,2\n2,x,4\n"
    (tmp_path / "breast_cancer_wisconsin_original.csv.gz").write_bytes(_gzipped(text))
    found = {name: (frame, target) for name, frame, target in tables(tmp_path, None)}
    assert list(found) == ["breast_cancer_wisconsin_original", "breast_cancer", "wine", "digits"]
    frame, target = found["breast_cancer_wisconsin_original"]
    assert (list(frame.columns), target) == (["a", "class"], "class")
    assert frame["a"].isna().tolist() == [True, False]
    assert [name for name, _, _ in tables(None, ["wine"])] == ["wine"]


def _gzipped(text: str) -> bytes:
    import gzip

    return gzip.compress(text.encode())


#: In the place of real ones two learners: one that never ends, and one that lacks what it imports.
RUNS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import extraction
def never(data, budgets):
    while True:
        pass
def lacking(data, budgets):
    import there_is_no_such_thing
extraction.PEERS["FIGS"], extraction.PEERS["RUG"] = never, lacking
if __name__ == "__main__":
    folder = Path(sys.argv[2])
    given = list(extraction.tables(None, ["wine"]))
    extraction.run_all(given, ["CART", "tree", "FIGS", "RUG"], range(1), 2.0, folder / "first")
    lines = (folder / "first").read_text().splitlines()
    kept = [line for line in lines if '"learner": "tree"' not in line]
    cut = next(line for line in lines if '"learner": "tree"' in line)[:40]
    (folder / "second").write_text("\\n".join([*kept, cut]) + "\\n")
    extraction.run_all(given, ["CART", "tree", "FIGS", "RUG"], range(1), 2.0, folder / "second")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Seen], list[Seen]]:
    """What two runs gave on the smallest table: a whole one, and one that found a file without the tree's lines."""
    folder = tmp_path_factory.mktemp("runs")
    command = [sys.executable, "-c", RUNS, str(SCRIPT.parent), str(folder)]
    subprocess.run(command, capture_output=True, text=True, check=True)
    return read_seen(folder / "first"), read_seen(folder / "second")


def test_a_learner_s_lines_say_what_they_come_from(runs: tuple[list[Seen], list[Seen]]) -> None:
    """A figure for each budget, with the seconds, the settings and the versions."""
    done = [one for one in runs[0] if not one.end]
    assert {(one.learner, one.budget) for one in done} == {(name, b) for name in ("CART", "tree") for b in BUDGETS}
    assert all(None not in (one.fidelity, one.clauses, one.clock, one.cpu, one.megabytes) for one in done)
    assert all(one.settings == {"budgets": list(BUDGETS), "limit": 2.0, "threads": 1} for one in done)
    assert {one.learner for one in done if "ruleedit.surrogate" in one.versions} == {"tree"}
    assert any("| wine | 1 |" in line for line in report(runs[0]))


def test_a_learner_past_its_limit_is_ended_and_said_so(runs: tuple[list[Seen], list[Seen]]) -> None:
    """Its limit is of the processor's time; the others go on, one that isn't installed is said so."""
    assert {one.learner: one.end for one in runs[0] if one.end} == {
        "FIGS": "ended after 2 s",
        "RUG": "not installed: there_is_no_such_thing",
    }


def test_a_run_that_was_cut_off_goes_on_where_it_was(runs: tuple[list[Seen], list[Seen]]) -> None:
    """What the file holds isn't run again; a line that was cut off is, and what wasn't installed is tried again."""
    first, second = runs
    again = second[len([one for one in first if one.learner != "tree"]) :]
    assert [one.learner for one in again] == ["tree"] * len(BUDGETS) + ["RUG"]
    figures = [{(o.learner, o.budget): (o.fidelity, o.clauses, o.rules) for o in run} for run in runs]
    assert figures[0] == figures[1]


def test_every_learner_can_be_told_apart_on_the_plot(tmp_path: Path) -> None:
    """A panel for each table, drawn from the figures alone."""
    pytest.importorskip("matplotlib", reason="matplotlib is of the extra 'bench', which isn't installed")
    from extraction_report import draw

    given = [one for table in "abcde" for name in PEERS for one in seen(name, 0.8, 0.9, table=table)]
    draw(given, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
