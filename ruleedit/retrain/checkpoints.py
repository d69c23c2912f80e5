"""Checkpoints: each training of a retraining is kept, so that one that was cut off is taken up where it was.

A retraining is a function of its rows, its feedback and its seed. Taken up again it makes the same
rows and asks for the same trainings, and gets from the checkpoints those that were already done:
the result is that of a run that nobody cut off, byte for byte. What a training is about is in its
key, so checkpoints of other rows or another seed are never taken.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ruleedit.errors import ModelFileRefused
from ruleedit.files import write_text
from ruleedit.models.file import read_model


class Checkpoints(Protocol):
    """Where the model files of finished trainings are kept; a key is 64 hexadecimal digits."""

    def get(self, key: str) -> str | None:
        """The model file kept under a key, None where there is none."""

    def put(self, key: str, text: str) -> None:
        """Keep a model file."""


class CheckpointFolder:
    """Checkpoints as files of a folder, which is made when the first one is kept."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> str | None:
        """The model file kept under a key; None where there is none, or a damaged one."""
        try:
            text = self._path(key).read_text(encoding="utf-8")
            read_model(text)
        except (OSError, UnicodeDecodeError, ModelFileRefused):
            return None
        return text

    def put(self, key: str, text: str) -> None:
        """Keep a model file whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self._path(key), text)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.model.txt"


def training_key(*about: str | npt.NDArray[Any]) -> str:
    """The key of a training: a hash of all that it depends on, texts and arrays."""
    found = hashlib.sha256()
    for part in about:
        data = part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes()
        found.update(f"{len(data)}:".encode() + data)
    return found.hexdigest()
