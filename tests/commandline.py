"""The command line in this process: its arguments in, its exit status and what it printed out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

# A console keeps the width that it is made with: it must be no terminal's, nor another test's.
os.environ.pop("COLUMNS", None)
from ruleedit.cli import common, main
from ruleedit.datasets import loans

_CONSOLE = common.console


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object that it printed."""
        return json.loads(self.out)


def run(*arguments: object, columns: int = 80) -> Ended:
    """Run ``ruleedit`` with these arguments."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with (
        mock.patch.object(sys, "argv", ["ruleedit", *map(str, arguments)]),
        mock.patch.dict(os.environ, {"COLUMNS": str(columns)}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        status: object = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    assert isinstance(status, int)
    return Ended(status, *texts)


def done(*arguments: object) -> Ended:
    """Run a command that must succeed, with nothing on standard error."""
    ended = run(*arguments)
    assert (ended.status, ended.err) == (0, ""), ended
    return ended


def answer(*arguments: object) -> Any:
    """Run a command with ``--json`` and return its object."""
    return done(*arguments, "--json").json


def refused(code: str, *arguments: object) -> str:
    """Run a command that must be refused: one line on standard error that ends with the code, status 2."""
    ended = run(*arguments)
    assert (ended.status, ended.out) == (2, ""), ended
    assert ended.err.startswith("ruleedit: ")
    assert ended.err.endswith(f" ({code})\n")
    assert ended.err.count("\n") == 1
    return ended.err


def three_classes(rows: int = 600) -> pd.DataFrame:
    """A table with three classes, missing values and a category of text that is no word."""
    rng = np.random.default_rng(5)
    size = rng.normal(50.0, 20.0, rows).round(1)
    colour = rng.choice(["red", "sky blue", "it's grey"], rows)
    grade = np.where(size > 62, "high", np.where((size > 40) | (colour == "red"), "mid", "1"))
    frame = pd.DataFrame({"size": size, "hue colour": colour, "grade": grade})
    frame.loc[rng.random(rows) < 0.05, "size"] = np.nan
    return frame


@dataclass(frozen=True)
class Shop:
    """A folder with two tables, a model of each and the rules of both, made by the command line."""

    folder: Path

    @property
    def csv(self) -> Path:
        """Loan applications."""
        return self.folder / "loans.csv"

    @property
    def model(self) -> Path:
        """The model of the loans."""
        return self.folder / "model"

    @property
    def rules(self) -> Path:
        """The rules of that model."""
        return self.folder / "rules.json"

    @property
    def edited(self) -> Path:
        """These rules with one new rule and one that is removed."""
        return self.folder / "edited.json"

    @property
    def grades(self) -> Path:
        """The table with three classes."""
        return self.folder / "grades.csv"

    @property
    def grader(self) -> Path:
        """The model of that table."""
        return self.folder / "grader"

    @property
    def grading(self) -> Path:
        """The rules of that model."""
        return self.folder / "grading.json"

    def release(self, mode: str) -> Path:
        """The release of the edited loans rules in one mode; made when it is first asked for."""
        folder = self.folder / f"release-{mode}"
        if not folder.exists():
            report = answer("apply", self.model, self.edited, "--data", self.csv, "--mode", mode, "--out", folder)
            (self.folder / f"{mode}.report").write_text(json.dumps(report))
        return folder

    def report(self, mode: str) -> Any:
        """What applying said."""
        self.release(mode)
        return json.loads((self.folder / f"{mode}.report").read_text())

    @classmethod
    def opened(cls, folder: Path) -> Shop:
        """Make the tables, models and rules."""
        shop = cls(folder)
        loans(700, seed=3).to_csv(shop.csv, index=False)
        three_classes().to_csv(shop.grades, index=False)
        done("train", shop.csv, "--target", "decision", "--out", shop.model)
        done("train", shop.grades, "--target", "grade", "--out", shop.grader)
        done("extract", shop.model, "--data", shop.csv, "--out", shop.rules, "--max-clauses", 10)
        done("extract", shop.grader, "--data", shop.grades, "--out", shop.grading, "--max-clauses", 8)
        edits = ["new IF age < 30 AND amount > 9000 THEN deny", "remove R2"]
        done("edit", shop.rules, *edits, "--reason", "policy 7", "--author", "ann", "--out", shop.edited)
        return shop
