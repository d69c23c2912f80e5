"""The text of a model file, cut where trees are added."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ruleedit.models.file import ModelFile

_SIZES = re.compile(rb"(?<=\ntree_sizes=)[0-9 ]*(?=\n)")


@dataclass(frozen=True)
class Pieces:
    """A model file in bytes: the header without its tree sizes in two pieces, the sizes, the trees, what follows."""

    head: tuple[bytes, bytes]
    sizes: tuple[int, ...]
    trees: bytes
    tail: bytes

    @property
    def blocks(self) -> tuple[bytes, ...]:
        """The trees one by one."""
        ends = itertools.accumulate(self.sizes)
        return tuple(self.trees[end - size : end] for end, size in zip(ends, self.sizes, strict=True))

    def of(self, blocks: Sequence[bytes]) -> Pieces:
        """The same file with other trees."""
        return Pieces(self.head, tuple(map(len, blocks)), b"".join(blocks), self.tail)

    @property
    def text(self) -> str:
        """The pieces put together."""
        sizes = " ".join(map(str, self.sizes)).encode()
        return b"".join((self.head[0], sizes, self.head[1], self.trees, self.tail)).decode()


def cut(file: ModelFile) -> Pieces:
    """Cut a file that passed `read_model` into its pieces."""
    return cut_text(file.text)


def cut_text(text: str) -> Pieces:
    """Cut a text into its pieces that `read_model` would accept, without reading it again."""
    data = text.encode()
    start = data.index(b"\nTree=") + 1
    found = _SIZES.search(data, 0, start)
    assert found is not None, "read_model needs tree_sizes"
    sizes = tuple(map(int, found.group().split()))
    end = start + sum(sizes)
    return Pieces((data[: found.start()], data[found.end() : start]), sizes, data[start:end], data[end:])


def with_trees(file: ModelFile, blocks: Sequence[str]) -> str:
    """The file's text with more trees behind its own and ``tree_sizes``, which count bytes, made longer."""
    pieces = cut(file)
    return pieces.of((*pieces.blocks, *(block.encode() for block in blocks))).text
