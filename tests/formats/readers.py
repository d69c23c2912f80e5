"""The readers that exports are checked against: there, skipped with a reason, or in CI a failure."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from typing import Any, NoReturn

import pytest

#: `.ci/run` sets it to ``required``: there a reader that can't run is a failure.
SETTING = "RULEEDIT_TEST_READERS"


def absent(reason: str) -> NoReturn:
    """Skip the test with a reason, or fail it where every reader is required."""
    if os.environ.get(SETTING) == "required":
        pytest.fail(f"{reason}, and {SETTING}=required")
    pytest.skip(reason)


def reader(module: str) -> Any:
    """A reader's module."""
    try:
        return import_module(module)
    except ImportError:
        absent(f"{module} isn't installed")


def need_java() -> None:
    """Go on where there is Java, which the readers of PMML run on."""
    if shutil.which("java") is None:
        absent("no java on the path, which the readers of PMML need")
