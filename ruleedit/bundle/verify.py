#!/usr/bin/env python3
"""Check a RuleEdit audit bundle with nothing but Python's standard library (3.9 or later).

    python verify.py BUNDLE.zip [--head HASH] [--key KEY]

What is checked: every byte of the archive; the chain of events, its end and the signature of its head (Ed25519,
RFC 8032); the hash of every file; the history of the rules, step by step; and every figure before and after, worked out
again by evaluating the rules and the model's trees on the rows in the bundle.

A bundle can't prove its own origin: whoever forges one forges its hashes too. HASH (the head that was published) or KEY
(the signer's public key, in hex) must come from elsewhere. Exit status: 0 verified; 1 something is wrong; 2 the file
can't be read; 3 internally consistent, origin unproved.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

FORMAT = "ruleedit-bundle-1"
START = "0" * 64
ERASURE = "erase payloads"
MAKING = "make bundle"
#: LightGBM and RuleEdit read every number up to this magnitude as 0 (a 32-bit 1e-35).
ZERO = 1.0000000180025095e-35
#: Figures are sums of doubles; another order of adding changes the last digits.
NEAR = 1e-9
MOST_FILES = 1_000
MOST_BYTES = 1 << 30
#: Beside the files: the list of their hashes, the events, and the head.
MANIFEST, EVENTS, HEAD = "bundle.json", "events.jsonl", "head.json"
FIELDS = ("sequence", "id", "time", "actor", "role", "action", "subject", "reason", "payload_hash", "salt", "payload")
EVENT = (*FIELDS, "previous", "hash")

Row = Sequence[float]
Json = Any


class Unreadable(Exception):
    """The file is no bundle, so that nothing can be checked."""


class Verdict(NamedTuple):
    """What was found: what is wrong, what to know, and whether the origin is proved by a head or a key."""

    wrong: list[str]
    notes: list[str]
    proved: bool
    events: int
    figures: int
    rows: int
    head: str

    @property
    def status(self) -> int:
        """The exit status."""
        return 1 if self.wrong else 0 if self.proved else 3

    @property
    def said(self) -> str:
        """The verdict in one line."""
        if self.wrong:
            return f"NOT verified: {len(self.wrong)} problem{'s' * (len(self.wrong) > 1)}"
        return "verified" if self.proved else "internally consistent, origin unproved"


# ---------------------------------------------------------------- the archive


def packed(files: dict[str, bytes]) -> bytes:
    """The files as a zip archive without compression: the same files are the same bytes, on every machine."""
    body, directory = io.BytesIO(), io.BytesIO()
    for name in sorted(files):
        content, title = files[name], name.encode("ascii")
        sizes = (zlib.crc32(content), len(content), len(content), len(title))
        # 0x21 is the first of January 1980: a bundle's dates are its events'.
        common = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0x21, *sizes, 0)
        place = body.tell()
        body.write(b"PK\x03\x04" + common + title + content)
        rest = struct.pack("<HHHII", 0, 0, 0, 0o100644 << 16, place)
        directory.write(b"PK\x01\x02" + struct.pack("<H", 0x0314) + common + rest + title)
    start, listed = body.tell(), directory.getvalue()
    ending = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(listed), start, 0)
    return body.getvalue() + listed + b"PK\x05\x06" + ending


def unpacked(content: bytes) -> dict[str, bytes]:
    """The files of a bundle; nothing is written to disk. Raises `Unreadable`."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            if len(infos) > MOST_FILES or sum(info.file_size for info in infos) > MOST_BYTES:
                raise Unreadable("the archive holds more than a bundle does")
            if len({info.filename for info in infos}) < len(infos) or any(info.compress_type for info in infos):
                raise Unreadable("the archive holds a file twice, or compressed: it is no bundle as RuleEdit writes it")
            return {info.filename: archive.read(info) for info in infos}
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
        ValueError,
    ) as problem:
        raise Unreadable(f"no readable zip archive ({problem})") from None


# ---------------------------------------------------------------- JSON and hashes


def canonical(data: Json) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def content_hash(data: Json) -> str:
    """The hash of JSON data."""
    return digest(canonical(data).encode("utf-8", "surrogatepass"))


def read_json(content: bytes) -> Json:
    """JSON as a file has it."""
    return json.loads(content.decode("utf-8", "surrogatepass"))


# ---------------------------------------------------------------- the chain of events


def read_events(content: bytes) -> list[dict[str, Json]]:
    """One event a line, spelled in one way only."""
    events = []
    for number, line in enumerate(content.decode("utf-8", "surrogatepass").split("\n")[:-1], start=1):
        event = json.loads(line)
        if list(event) != list(EVENT) or line != spelled(event):
            raise ValueError(f"event {number} isn't spelled as RuleEdit writes it")
        events.append(event)
    if content and not content.endswith(b"\n"):
        raise ValueError("the last event isn't whole")
    return events


def spelled(event: dict[str, Json]) -> str:
    """An event as a line."""
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def chain_problems(events: Sequence[dict[str, Json]]) -> Iterator[str]:
    """What is wrong in the chain, event by event; the first event says nothing was before it."""
    last = START
    erased: dict[int, None] = {}
    for place, event in enumerate(events, start=1):
        if event["sequence"] != place or event["previous"] != last:
            yield f"event {place} doesn't follow the one before it: events are missing, added or moved"
        told = [event[name] for name in ("id", "time", "actor", "role", "action", "subject", "reason", "payload_hash")]
        line = json.dumps([event["sequence"], *told, event["previous"]], separators=(",", ":"), ensure_ascii=False)
        if digest(line.encode("utf-8", "surrogatepass")) != event["hash"]:
            yield f"event {place} isn't what its hash says: it was changed"
        last = event["hash"]
        if event["payload"] is None and event["salt"] is None and event["action"] != ERASURE:
            erased[place] = None
            continue
        whole = isinstance(event["payload"], str) and isinstance(event["salt"], str)
        text = (event["salt"] + event["payload"]).encode("utf-8", "surrogatepass") if whole else b""
        if not whole or digest(text) != event["payload_hash"]:
            yield f"the payload of event {place} isn't what its hash says: it was changed"
        elif event["action"] == ERASURE:
            for first, final in json.loads(event["payload"]).get("erased", []):
                for sequence in range(max(1, first), min(final, place - 1) + 1):
                    erased.pop(sequence, None)
    for place in erased:
        yield f"the payload of event {place} is gone, and no later event {ERASURE!r} names it"


# ---------------------------------------------------------------- Ed25519 (RFC 8032, section 5.1.7)

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
Point = tuple[int, int, int, int]


def _add(one: Point, other: Point) -> Point:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % _P, (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: Point) -> Point:
    found: Point = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            found = _add(found, point)
        point, number = _add(point, point), number >> 1
    return found


def _point(data: bytes) -> Point | None:
    """A point from its 32 bytes; None where they are none."""
    y = int.from_bytes(data, "little") & ((1 << 255) - 1)
    if len(data) != 32 or y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and data[31] >> 7):
        return None
    x = _P - x if x & 1 != data[31] >> 7 else x
    return x, y, 1, x * y % _P


def signature_holds(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature is the key's."""
    base = _point(bytes([0x58]) + bytes([0x66]) * 31)
    holder, point = _point(key), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if base is None or holder is None or point is None or len(signature) != 64 or s >= _ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _ORDER
    left, right = _times(s, base), _add(point, _times(h, holder))
    same_x = (left[0] * right[2] - right[0] * left[2]) % _P == 0
    return same_x and (left[1] * right[2] - right[1] * left[2]) % _P == 0


# ---------------------------------------------------------------- the text of rules

_TOKEN = re.compile(
    r"\s*(?:`(?P<name>(?:[^`]|``)*)`|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))"
    r"|(?P<sign>[=!<>]+)|(?P<mark>[(),])|(?P<word>[^\W\d]\w*))"
)
Token = tuple[str, str]


def tokens_of(text: str) -> list[Token]:
    """A rule's text cut into tokens."""
    found: list[Token] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"can't read {text[place : place + 20]!r}")
        kind = match.lastgroup or ""
        inner = match.group(kind)
        if kind in ("name", "text"):
            inner = inner.replace("``", "`") if kind == "name" else inner.replace("''", "'")
        found.append((kind, inner))
        place = match.end()
    return [*found, ("end", "")]


class Clause(NamedTuple):
    """One condition: the feature's name, the operator, the values."""

    feature: str
    operator: str
    values: tuple[Any, ...]


class Text:
    """Reads a rule or an outcome, as RuleEdit writes them."""

    def __init__(self, text: str) -> None:
        self.tokens = tokens_of(text)
        self.place = 0

    def take(self) -> Token:
        token = self.tokens[self.place]
        self.place += 1
        return token

    def next_is(self, text: str) -> bool:
        kind, found = self.tokens[self.place]
        same = kind in ("word", "mark") and found.lower() == text
        self.place += same
        return same

    def value(self) -> Any:
        kind, text = self.take()
        return float(text) if kind == "number" else text

    def clause(self) -> Clause:
        feature = self.take()[1]
        if self.next_is("is"):
            negated = self.next_is("not")
            self.take()
            return Clause(feature, "present" if negated else "missing", ())
        if self.next_is("between"):
            low = self.value()
            self.take()
            return Clause(feature, "between", (low, self.value()))
        negated = self.next_is("not")
        if self.next_is("in"):
            self.take()
            values = [self.value()]
            while self.next_is(","):
                values.append(self.value())
            self.take()
            return Clause(feature, "not in" if negated else "in", tuple(values))
        sign = self.take()[1]
        return Clause(feature, {"=": "in", "!=": "not in"}.get(sign, sign), (self.value(),))

    def outcome(self) -> dict[str, float]:
        """Classes with their probabilities; empty for `model`."""
        kind, name = self.take()
        if (kind, name.lower()) == ("word", "model"):
            return {}
        if self.tokens[self.place][0] != "number":
            return {name: 1.0}
        found = {name: self.value()}
        while self.next_is(","):
            name = self.take()[1]
            found[name] = self.value()
        return found


def outcome_of(text: str) -> dict[str, float]:
    """An outcome from its text."""
    return Text(text).outcome()


def rule_of(text: str) -> tuple[list[Clause], dict[str, float]]:
    """A rule from its text: its clauses and its outcome."""
    reader = Text(text)
    reader.take()
    clauses = [reader.clause()]
    while reader.next_is("and"):
        clauses.append(reader.clause())
    reader.take()
    return clauses, reader.outcome()


# ---------------------------------------------------------------- rules on rows


class Schema:
    """The features in the order of the columns, and the classes."""

    def __init__(self, data: Json) -> None:
        self.features = data["features"]
        self.classes: list[str] = data["classes"]
        self.places = {feature["name"]: place for place, feature in enumerate(self.features)}

    def text(self, place: int, code: float) -> str | None:
        """A category's or boolean's text; None for one never seen."""
        feature = self.features[place]
        if feature["kind"] == "boolean":
            return ("false", "true")[int(code)]
        return feature["categories"][int(code) - 1] if code else None

    def belongs(self, place: int, value: float, group: str | None) -> bool:
        """Whether a value is in a group by its name: a text, None for a missing one, of a number a part as
        'under 30', '30 to under 60' or '60 and over'."""
        if value != value or group is None:
            return value != value and group is None
        if self.features[place]["kind"] in ("categorical", "boolean"):
            return self.label(place, value) == group
        if group.startswith("under "):
            return value < float(group[6:])
        if group.endswith(" and over"):
            return value >= float(group[:-9])
        low, high = group.split(" to under ")
        return float(low) <= value < float(high)

    def label(self, place: int, value: float) -> str | None:
        """A category's or boolean's text; empty for one never seen, None for a missing value."""
        return None if value != value else self.text(place, value) or ""

    def holds(self, clause: Clause, row: Row) -> bool:
        """Whether a clause is true for a row: an ordinary one never is for a missing value."""
        place = self.places[clause.feature]
        value = row[place]
        if value != value or clause.operator in ("missing", "present"):
            return (value != value) == (clause.operator == "missing")
        if self.features[place]["kind"] not in ("numeric", "integer"):
            return (self.text(place, value) in clause.values) == (clause.operator == "in")
        values = [0.0 if abs(number) <= ZERO else number for number in clause.values]
        value = 0.0 if abs(value) <= ZERO else value
        if clause.operator in ("in", "not in"):
            return (value in values) == (clause.operator == "in")
        if clause.operator == "between":
            return values[0] <= value <= values[1]
        return {"<": value < values[0], "<=": value <= values[0], ">": value > values[0], ">=": value >= values[0]}[
            clause.operator
        ]

    def top(self, outcome: dict[str, float]) -> int:
        """An outcome's greatest class as its place, ties to the first; -1 for `model`."""
        shares = [outcome.get(name, 0.0) for name in self.classes]
        return shares.index(max(shares)) if outcome else -1


class Listed:
    """An ordered list of rules: the first that covers a row decides, then the default."""

    def __init__(self, data: Json, schema: Schema) -> None:
        self.schema = schema
        self.rules = data["rules"]
        self.read = [rule_of(rule["text"]) for rule in self.rules]
        self.default = outcome_of(data["default"])

    def decides(self, row: Row) -> int:
        """The place of the rule that decides a row; -1 for the default."""
        for place, (clauses, _) in enumerate(self.read):
            if self.rules[place].get("enabled", True) and all(self.schema.holds(clause, row) for clause in clauses):
                return place
        return -1

    def outcome(self, place: int) -> dict[str, float]:
        """What the rule at a place, or for -1 the default, answers."""
        return self.read[place][1] if place >= 0 else self.default


class Asking:
    """What the edits ask for, row by row: the meaning of base and edited rules, written as plainly as it is meant."""

    def __init__(self, decided: Json, after: Json, feedback: Json, schema: Schema) -> None:
        self.schema = schema
        self.edited = Listed(decided["after"], schema)
        self.said_before = Listed(decided["before"], schema)
        self.base = Listed(after["base"], schema)
        self.feedback = feedback
        self.place = {item["id"]: place for place, item in enumerate(feedback)}
        self.uncovered = {
            (item["source"], canonical(outcome_of(item["outcome"]))): place
            for place, item in enumerate(feedback)
            if item["kind"] == "uncovered"
        }

    def __call__(self, row: Row) -> tuple[int, dict[str, float]]:
        """The place of the feedback rule that holds a row (-1: none), and the outcome asked (empty: none)."""
        place = self.edited.decides(row)
        outcome = self.edited.outcome(place)
        rule = self.edited.rules[place] if place >= 0 else {}
        if rule.get("asserted"):
            if rule["asserts"] == "change" and self.said_before.outcome(self.said_before.decides(row)) == outcome:
                return -1, {}
            return self.place[rule["feedback"]], outcome
        was = self.base.decides(row)
        if was < 0 or self.base.rules[was]["id"] == rule.get("id"):
            return -1, {}
        return self.uncovered[self.base.rules[was]["id"], canonical(outcome)], outcome


# ---------------------------------------------------------------- the model's trees


class Tree:
    """One tree of a LightGBM text model."""

    def __init__(self, lines: dict[str, str]) -> None:
        def integers(key: str) -> list[int]:
            return [int(number) for number in lines.get(key, "").split()]

        def reals(key: str) -> list[float]:
            return [float(number) for number in lines.get(key, "").split()]

        self.feature, self.threshold = integers("split_feature"), reals("threshold")
        self.kind, self.left, self.right = integers("decision_type"), integers("left_child"), integers("right_child")
        self.leaves = reals("leaf_value")
        self.bounds, self.words = integers("cat_boundaries"), integers("cat_threshold")
        self.linear = lines.get("is_linear", "0") == "1"
        self.constants, self.counts = reals("leaf_const"), integers("num_features")
        self.used, self.factors = integers("leaf_features"), reals("leaf_coeff")

    def value(self, row: Row) -> float:
        """The value of the leaf that a row reaches."""
        node = 0 if self.feature else -1
        while node >= 0:
            node = self.left[node] if self._left(node, row[self.feature[node]]) else self.right[node]
        return self._linear(~node, row) if self.linear else self.leaves[~node]

    def _left(self, node: int, value: float) -> bool:
        """Whether a value goes left: by a bitset of categories, or by a threshold with a way for missing values."""
        kind = self.kind[node]
        if kind & 1:
            place = int(self.threshold[node])
            words = self.words[self.bounds[place] : self.bounds[place + 1]]
            code = -1 if value != value else int(value)
            return 0 <= code < 32 * len(words) and bool(words[code // 32] >> code % 32 & 1)
        missing = kind >> 2 & 3
        if value != value and missing != 2:
            value = 0.0
        if (missing == 1 and abs(value) <= ZERO) or (missing == 2 and value != value):
            return bool(kind & 2)
        return value <= self.threshold[node]

    def _linear(self, leaf: int, row: Row) -> float:
        start = sum(self.counts[:leaf])
        places = range(start, start + self.counts[leaf])
        values = [row[self.used[place]] for place in places]
        if any(value != value for value in values):
            return self.leaves[leaf]
        total = self.constants[leaf]
        for place, value in zip(places, values):
            total += self.factors[place] * value
        return total


class Model:
    """A LightGBM text model with the thresholds of its classes, and the codes of its file where it was adopted."""

    def __init__(self, text: str, record: Json, schema: Schema) -> None:
        head, *blocks = text.split("\nTree=")
        blocks[-1] = blocks[-1].split("\nend of trees")[0]
        self.head = dict(line.split("=", 1) for line in head.split("\n") if "=" in line)
        self.average = "\naverage_output\n" in head + "\n"
        self.scores = int(self.head["num_class"])
        self.trees = [Tree(dict(line.split("=", 1) for line in block.split("\n") if "=" in line)) for block in blocks]
        objective, *options = self.head["objective"].split(" ")
        if objective not in ("binary", "multiclass"):
            raise ValueError(f"the objective {objective!r} is not worked out")
        self.sigmoid = float(dict(option.split(":") for option in options if ":" in option).get("sigmoid", "1"))
        self.thresholds = [record["thresholds"][name] for name in schema.classes]
        self.codes = self._file_codes(schema) if record["adopted"] else {}

    @staticmethod
    def _file_codes(schema: Schema) -> dict[int, list[float]]:
        """For each category column the file's number for our code: NaN for one never seen (0)."""
        return {
            place: [math.nan, *(feature.get("codes") or range(1, len(feature["categories"]) + 1))]
            for place, feature in enumerate(schema.features)
            if feature["kind"] == "categorical"
        }

    def probabilities(self, row: Row) -> list[float]:
        """The probabilities of an encoded row, class by class: sums of leaves, then sigmoid or softmax."""
        if self.codes:
            given = list(row)
            for place, codes in self.codes.items():
                given[place] = codes[int(row[place])] if row[place] == row[place] else math.nan
            row = given
        scores = [0.0] * self.scores
        for number, tree in enumerate(self.trees):
            scores[number % self.scores] += tree.value(row)
        if self.average:
            scores = [score / (len(self.trees) // self.scores) for score in scores]
        if self.scores == 1:
            p = _logistic(self.sigmoid * scores[0])
            return [1.0 - p, p]
        powers = [math.exp(score - max(scores)) for score in scores]
        total = 0.0
        for power in powers:
            total += power
        return [power / total for power in powers]

    def outcome(self, shares: Sequence[float]) -> int:
        """The class with the greatest probability / threshold, ties to the first."""
        if len(set(self.thresholds)) > 1:
            shares = [share / threshold for share, threshold in zip(shares, self.thresholds)]
        return list(shares).index(max(shares))


def _logistic(score: float) -> float:
    try:
        return 1.0 / (1.0 + math.exp(-score))
    except OverflowError:
        return 0.0


# ---------------------------------------------------------------- figures


def read_rows(content: bytes, width: int) -> tuple[list[list[float]], list[str]]:
    """Encoded rows, NaN for an empty cell, and what stands behind the features' columns."""
    _, *lines = csv.reader(io.StringIO(content.decode("utf-8", "surrogatepass"), newline=""))
    rows = [[float(cell) if cell else math.nan for cell in line[:width]] for line in lines]
    return rows, [line[width] for line in lines if len(line) > width]


def mean(values: Iterable[float]) -> float | None:
    """The mean; None of nothing."""
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else None


def macro_f1(truth: Sequence[int], found: Sequence[int]) -> float | None:
    """The mean F1 of the classes that are there or were answered."""
    scores = []
    for name in sorted({*truth, *found}):
        both = sum(1 for one, other in zip(truth, found) if one == other == name)
        scores.append(2.0 * both / (list(truth).count(name) + list(found).count(name)))
    return mean(scores)


class Sample(NamedTuple):
    """The rows with everything that is worked out of them, row by row."""

    rows: list[list[float]]
    truth: list[int]
    held: list[int]
    asked: list[dict[str, float]]
    before: list[list[float]]
    after: list[list[float]]
    old: list[int]
    new: list[int]

    def part(self, here: Sequence[int]) -> Sample:
        """The rows at these places alone."""
        truth = [self.truth[n] for n in here] if self.truth else []
        return self._replace(
            rows=[self.rows[n] for n in here],
            truth=truth,
            old=[self.old[n] for n in here],
            new=[self.new[n] for n in here],
        )


def flips(pairs: Iterable[tuple[int, int]], classes: Sequence[str]) -> dict[str, int]:
    """How many went from each class to each other one."""
    counts: dict[tuple[int, int], int] = {}
    for pair in pairs:
        counts[pair] = counts.get(pair, 0) + 1
    return {f"{classes[old]} -> {classes[new]}": count for (old, new), count in counts.items()}


def feedback_figures(sample: Sample, feedback: Json, schema: Schema) -> list[Json]:
    """Per feedback rule its rows, and how far they are answered as it asks, before and after."""
    found = []
    for place, item in enumerate(feedback):
        here = [number for number, held in enumerate(sample.held) if held == place]
        asked = outcome_of(item["outcome"])
        told: dict[str, Json] = {"rule": item["id"], "outcome": item["outcome"], "coverage": len(here)}
        asks = item["kind"] != "undecided" and bool(asked)
        top = schema.top(asked)
        told["mra_before"] = mean(float(sample.old[number] == top) for number in here) if asks else None
        told["mra_after"] = mean(float(sample.new[number] == top) for number in here) if asks else None
        if asks and here and len(asked) > 1:
            wanted = [asked.get(name, 0.0) for name in schema.classes]
            for name, shares in (("distance_before", sample.before), ("distance_after", sample.after)):
                told[name] = mean(
                    math.fsum(abs(p - q) for p, q in zip(shares[number], wanted)) / 2.0 for number in here
                )
        found.append(told)
    return found


def outside_rows(sample: Sample, feedback: Json) -> list[int]:
    """The numbers of the rows for which nothing is asked."""
    asks = [item["kind"] != "undecided" and bool(outcome_of(item["outcome"])) for item in feedback]
    return [number for number, held in enumerate(sample.held) if held < 0 or not asks[held]]


def outside_figures(sample: Sample, feedback: Json, schema: Schema) -> Json:
    """What happened to the rows for which nothing is asked."""
    rows = outside_rows(sample, feedback)
    truth = [sample.truth[number] for number in rows] if sample.truth else []
    flipped = [(sample.old[n], sample.new[n]) for n in rows if sample.old[n] != sample.new[n]]
    return {
        "rows": len(rows),
        "f1_before": macro_f1(truth, [sample.old[n] for n in rows]) if truth else None,
        "f1_after": macro_f1(truth, [sample.new[n] for n in rows]) if truth else None,
        "flips": len(flipped) / len(rows) if rows else None,
        "flipped": len(flipped),
        "flips_by_class": flips(flipped, schema.classes),
    }


def part_figures(told: Json, sample: Sample, rows: Sequence[int], schema: Schema) -> list[Json]:
    """The rows outside by the class that the model gave, or by a feature's value, as a report parts them."""
    found = []
    for item in told:
        if "class" in item:
            label = {"class": item["class"]}
            here = [n for n in rows if schema.classes[sample.old[n]] == item["class"]]
        else:
            place = schema.places[item["feature"]]
            label = {"feature": item["feature"], "value": item["value"]}
            here = [n for n in rows if schema.belongs(place, sample.rows[n][place], item["value"])]
        flipped = sum(1 for n in here if sample.old[n] != sample.new[n])
        share = flipped / len(here) if here else None
        found.append({**label, "rows": len(here), "flipped": flipped, "flips": share})
    return found


def accuracy(sample: Sample, answers: Sequence[int]) -> float | None:
    """The share of true answers; None without true classes."""
    return mean(float(one == two) for one, two in zip(sample.truth, answers)) if sample.truth else None


def baseline_figures(sample: Sample, before: Listed, counts: Sequence[int], schema: Schema) -> Json:
    """What knows less than the model: the commonest class, chance by the classes' shares, the rules alone."""
    listed = list(counts)
    majority = listed.index(max(listed))
    told = [schema.top(before.outcome(before.decides(row))) for row in sample.rows]
    chance = [count / sum(listed) for count in listed]
    return {
        "majority": {
            "class": schema.classes[majority],
            "accuracy": accuracy(sample, [majority] * len(sample.rows)),
        },
        "random": {"accuracy": mean(chance[code] for code in sample.truth) if sample.truth else None},
        "rules": {
            "accuracy": accuracy(sample, told),
            "fidelity": mean(float(one == two) for one, two in zip(told, sample.old)),
        },
    }


def group_figures(sample: Sample, names: Sequence[str], schema: Schema) -> list[Json]:
    """Rows, decisions and accuracy of each value of the features that groups were asked for by."""
    found = []
    for name in names:
        place = schema.places[name]
        texts = [None if row[place] != row[place] else schema.text(place, row[place]) for row in sample.rows]
        gone = [row[place] != row[place] for row in sample.rows]
        for value, missing in sorted(set(zip(texts, gone)), key=lambda item: (item[1], item[0] is None, item[0] or "")):
            here = [n for n in range(len(texts)) if texts[n] == value and gone[n] == missing]
            part = sample.part(here)
            found.append(
                {
                    "feature": name,
                    "value": value,
                    "missing": missing,
                    "rows": len(here),
                    "before": shares(part.old, schema),
                    "after": shares(part.new, schema),
                    "changed": sum(1 for one, two in zip(part.old, part.new) if one != two),
                    "accuracy_before": accuracy(part, part.old),
                    "accuracy_after": accuracy(part, part.new),
                }
            )
    return found


def shares(answers: Sequence[int], schema: Schema) -> dict[str, float]:
    """Each class's share of the answers."""
    return {name: list(answers).count(code) / len(answers) for code, name in enumerate(schema.classes)}


class Bundle:
    """The files of a bundle, read; each method checks one part and yields what is wrong."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.manifest = read_json(files[MANIFEST])
        self.notes: list[str] = []
        self.figures = 0
        self.rows = 0

    def json(self, name: str) -> Json:
        """One of the JSON files."""
        return read_json(self.files[name])

    def check_files(self) -> Iterator[str]:
        """The files are those that the manifest lists, with the hashes that it has of them."""
        listed = self.manifest["files"]
        if self.manifest.get("format") != FORMAT:
            yield f"{MANIFEST}: the format is {self.manifest.get('format')!r}; this program checks {FORMAT}"
        for name in sorted({*listed, *self.files} - {MANIFEST, EVENTS, HEAD}):
            if name not in self.files:
                yield f"{name}: the file is not there"
            elif name not in listed:
                yield f"{name}: the file is not in the list"
            elif digest(self.files[name]) != listed[name]:
                yield f"{name}: the file isn't what its hash says: it was changed"

    def check_chain(self) -> Iterator[str]:
        """Events, and that the last of them is about this very bundle."""
        events = read_events(self.files[EVENTS])
        yield from chain_problems(events)
        head = self.json(HEAD)
        if not events or (head["sequence"], head["hash"]) != (events[-1]["sequence"], events[-1]["hash"]):
            yield "the head is not the last event: the end was cut off, or events were added"
        if self.files[HEAD] != (json.dumps(head, indent=2) + "\n").encode():
            yield f"{HEAD} isn't spelled as RuleEdit writes it"
        making = events[-1] if events else {}
        told = json.loads(making["payload"]) if making.get("payload") else {}
        if making.get("action") != MAKING or told.get("bundle") != digest(self.files[MANIFEST]):
            yield "the last event is not about this bundle: its list of files was changed"
        erased = sum(1 for event in events if event["payload"] is None)
        if erased:
            self.notes.append(
                f"{erased} of {len(events)} events were erased: their hashes stand, their payloads are gone"
            )
        yield from self._check_release(events)

    def _check_release(self, events: Sequence[dict[str, Json]]) -> Iterator[str]:
        """What the event of the release says is what the files are."""
        wanted = {
            "model_sha256": digest(self.files["model/model.txt"]),
            "revision": self.json("rules/after.json")["revision"],
            "report_sha256": content_hash(self.json("report.json")),
        }
        subject = self.manifest["release"]
        for event in events:
            if event["action"] == "make release" and event["subject"] == subject and event["payload"]:
                told = json.loads(event["payload"])
                for name, value in wanted.items():
                    if told.get(name, value) != value:
                        yield f"event {event['sequence']}: its {name} is not that of the release in the bundle"
                return
        self.notes.append("no event with a payload tells of the release itself")

    def check_history(self) -> Iterator[str]:
        """The rules are what their history makes of the base, and each revision follows from the one before."""
        data, schema = self.json("rules/after.json"), content_hash(self.json("schema.json"))
        if content_hash(data["schema"]) != schema:
            yield "rules/after.json: its schema is not schema.json"
        state = {"rules": list(data["base"]["rules"]), "default": data["base"]["default"]}
        state["settlements"] = data["base"]["settlements"]
        revision = content_hash(["extracted", content_hash({"schema": schema, **state})])
        for number, step in enumerate(data["history"], start=1):
            if not _made(state, step["change"]):
                yield f"step {number} of the history can't be made on the rules before it"
                return
            content = content_hash({"schema": schema, **state})
            revision = content_hash([revision, step["edit"], step["author"], step["reason"], content])
            if (step["content"], step["revision"]) != (content, revision):
                yield f"step {number} of the history isn't what its hashes say: it was changed"
        same = all(state[name] == data[name] for name in state)
        if not same or data["revision"] != revision or data["content"] != content_hash({"schema": schema, **state}):
            yield "rules/after.json: its rules aren't what its history makes of its base"
        told = self.json("rules/before.json")
        if {name: told[name] for name in state} != data["base"]:
            yield "rules/before.json: its rules are not the base of the edited ones"
        yield from self._check_retold(data)

    def _check_retold(self, data: Json) -> Iterator[str]:
        """What is told again elsewhere in the bundle is what the rule file says."""
        names = ("edit", "author", "reason", "revision")
        steps = [{name: step[name] for name in names} for step in data["history"]]
        if [{name: step[name] for name in names} for step in self.json("edits.json")] != steps:
            yield "edits.json: its edits are not those of the history"
        if self.json("conflicts.json")["settlements"] != data["settlements"]:
            yield "conflicts.json: its settlements are not those of the rules"
        decided = self.json("rules/decided.json")
        for name, rules in (("after", data["rules"]), ("before", data["base"]["rules"])):
            own = [(rule["id"], rule["text"]) for rule in decided[name]["rules"] if "settles" not in rule]
            if own != [(rule["id"], rule["text"]) for rule in rules if rule["enabled"]]:
                yield f"rules/decided.json: its rules {name} are not those of the rule file"

    def check_figures(self) -> Iterator[str]:
        """Every answer and every figure, worked out again."""
        if "data/rows.csv" not in self.files:
            self.notes.append("figures are not recomputed: the bundle was made without rows")
            return
        schema = Schema(self.json("schema.json"))
        feedback = self.json("feedback.json")
        record = self.json("model/model.json")
        asking = Asking(self.json("rules/decided.json"), self.json("rules/after.json"), feedback, schema)
        sample = self._sample(schema, asking, record)
        self.rows = len(sample.rows)
        yield from self._check_answers(sample, schema, feedback)
        worked = {
            "rows": len(sample.rows),
            "of": self.manifest["sample"]["of"],
            "outcomes": {"before": shares(sample.old, schema), "after": shares(sample.new, schema)},
            "changed": sum(1 for one, two in zip(sample.old, sample.new) if one != two),
            "flips": flips(((a, b) for a, b in zip(sample.old, sample.new) if a != b), schema.classes),
            "feedback": feedback_figures(sample, feedback, schema),
            "outside": outside_figures(sample, feedback, schema),
            "accuracy": {"before": accuracy(sample, sample.old), "after": accuracy(sample, sample.new)},
            "baselines": baseline_figures(sample, asking.said_before, record["background"]["class_counts"], schema),
            "groups": group_figures(sample, self.manifest["groups"], schema),
        }
        yield from self._differences("effect.json", self.json("effect.json"), worked)
        yield from self._check_report(worked, sample, outside_rows(sample, feedback), schema)

    def _sample(self, schema: Schema, asking: Asking, record: Json) -> Sample:
        """The rows with the answers before and after."""
        width = len(schema.features)
        rows, names = read_rows(self.files["data/rows.csv"], width)
        model = Model(self.files["model/model.txt"].decode(), record, schema)
        earlier = self.files.get("model/before.txt")
        first = model if earlier is None else Model(earlier.decode(), record, schema)
        moved = self._moved(width)
        asked = [asking(row) for row in rows]
        before = [first.probabilities(row) for row in rows]
        after = []
        for number, row in enumerate(rows):
            wanted = asked[number][1]
            if self.manifest["mode"] == "overlay-hard" and wanted:
                after.append([wanted.get(name, 0.0) for name in schema.classes])
            elif number in moved and wanted:
                after.append(model.probabilities(moved[number]))
            else:
                after.append(before[number] if earlier is None else model.probabilities(row))
        old = [first.outcome(shares) for shares in before]
        hard = self.manifest["mode"] == "overlay-hard"
        new = [
            schema.top(asked[number][1]) if hard and asked[number][1] else model.outcome(shares)
            for number, shares in enumerate(after)
        ]
        truth = [schema.classes.index(name) for name in names]
        return Sample(rows, truth, [held for held, _ in asked], [what for _, what in asked], before, after, old, new)

    def _moved(self, width: int) -> dict[int, list[float]]:
        """The rows that a soft overlay asks the model about instead: as they were moved, which is not worked out."""
        if "data/moved.csv" not in self.files:
            return {}
        rows, _ = read_rows(self.files["data/moved.csv"], width + 1)
        self.notes.append(
            "where a soft overlay moves a row to is taken from the bundle; the model's answer there is not"
        )
        return {int(row[0]): row[1:] for row in rows}

    def _check_answers(self, sample: Sample, schema: Schema, feedback: Json) -> Iterator[str]:
        """Row by row: the outcome before, after, and the feedback rule that holds the row."""
        _, *told = csv.reader(io.StringIO(self.files["data/answers.csv"].decode("utf-8", "surrogatepass"), newline=""))
        ids = [*(item["id"] for item in feedback), ""]
        worked = [
            [schema.classes[old], schema.classes[new], ids[held]]
            for old, new, held in zip(sample.old, sample.new, sample.held)
        ]
        self.figures += 3 * len(worked)
        if len(told) != len(worked):
            yield f"data/answers.csv: {len(told)} answers to {len(worked)} rows"
        wrong = [number for number, pair in enumerate(zip(told, worked), start=1) if pair[0] != pair[1]]
        if wrong:
            first = wrong[0]
            yield (
                f"data/answers.csv: {len(wrong)} rows are answered otherwise by rules and trees, the first is row "
                f"{first}: {told[first - 1]} against {worked[first - 1]}"
            )

    def _check_report(
        self, worked: dict[str, Json], sample: Sample, outside: Sequence[int], schema: Schema
    ) -> Iterator[str]:
        """The report of the release, as far as these rows are all that it is about."""
        report = self.json("report.json")
        if not self.manifest["sample"]["whole"]:
            told = self.manifest["sample"]
            self.notes.append(f"report.json is about {told['of']} rows; {told['rows']} of them are in the bundle")
            return
        parts = [name for name in ("classes", "groups") if name in report["outside"]]
        more = {name: part_figures(report["outside"][name], sample, outside, schema) for name in parts}
        worked = {**worked, "outside": {**worked["outside"], **more}}
        for name in ("feedback", "outside"):
            yield from self._differences(f"report.json, {name}", known(report[name], worked[name]), worked[name])
        rest = sorted(set(report) - {"feedback", "outside"})
        self.notes.append(f"report.json also holds what was measured when it was made: {', '.join(rest)}")

    def _differences(self, where: str, told: Json, worked: Json) -> Iterator[str]:
        """The figures that differ from those worked out; keys and lengths must be the same."""
        if isinstance(worked, dict) and isinstance(told, dict):
            for key in sorted({*worked, *told}):
                if key not in worked or key not in told:
                    yield f"{where}, {key}: {'is not there' if key in worked else 'has no place there'}"
                else:
                    yield from self._differences(f"{where}, {key}", told[key], worked[key])
        elif isinstance(worked, list) and isinstance(told, list) and len(worked) == len(told):
            for place, pair in enumerate(zip(told, worked), start=1):
                yield from self._differences(f"{where}, {place}", *pair)
        else:
            self.figures += 1
            if not same(told, worked):
                yield f"{where}: the bundle says {told!r}, worked out it is {worked!r}"


def known(told: Json, worked: Json) -> Json:
    """What is told, without keys that are not worked out here."""
    if isinstance(told, dict) and isinstance(worked, dict):
        return {key: known(value, worked[key]) for key, value in told.items() if key in worked}
    if isinstance(told, list) and isinstance(worked, list) and len(told) == len(worked):
        return [known(one, two) for one, two in zip(told, worked)]
    return told


def same(told: Json, worked: Json) -> bool:
    """Whether a figure is the one worked out."""
    if isinstance(worked, float) and isinstance(told, (int, float)) and not isinstance(told, bool):
        return abs(told - worked) <= NEAR * max(1.0, abs(worked))
    return type(told) is type(worked) and bool(told == worked)


def _made(state: dict[str, Json], change: Json) -> bool:
    """Make a change of the history on the rules; False where they aren't as it says."""
    rules = state["rules"]
    for item in reversed(change["out"]):
        if item["place"] >= len(rules) or rules[item["place"]] != item["rule"]:
            return False
        del rules[item["place"]]
    for item in change["put"]:
        rules.insert(item["place"], item["rule"])
    for name in ("default", "settlements"):
        if name in change:
            if state[name] != change[name][0]:
                return False
            state[name] = change[name][1]
    return True


# ---------------------------------------------------------------- all of it


def verify(content: bytes, head: str | None = None, key: str | None = None) -> Verdict:
    """Check a bundle's bytes against itself, and against a head or a public key from elsewhere.

    Raises `Unreadable` where it is no bundle at all.
    """
    files = unpacked(content)
    if not {MANIFEST, EVENTS, HEAD} <= set(files):
        raise Unreadable(f"no {MANIFEST}, {EVENTS} or {HEAD}: it is no bundle")
    wrong: list[str] = []
    if not all(name.isascii() for name in files) or packed(files) != content:
        wrong.append("the archive isn't spelled as RuleEdit writes it: bytes beside the files were changed")
    try:
        bundle = Bundle(files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        return Verdict([*wrong, f"{MANIFEST} is damaged ({problem})"], [], False, 0, 0, 0, "")
    for check in (bundle.check_files, bundle.check_chain, bundle.check_history, bundle.check_figures):
        wrong += _found(check)
    events = files[EVENTS].count(b"\n")
    proved, told, found = _origin(bundle, head, key)
    return Verdict(wrong + told, bundle.notes, proved, events, bundle.figures, bundle.rows, found)


def _found(check: Callable[[], Iterator[str]]) -> list[str]:
    """What a check finds wrong; a part that can't be read is wrong too."""
    found: list[str] = []
    try:
        found.extend(check())
    except (
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        OverflowError,
        csv.Error,
        RecursionError,
    ) as problem:
        part = check.__name__.replace("check_", "")
        found.append(f"{part}: a part is damaged or missing ({type(problem).__name__}: {problem})")
    return found


def _origin(bundle: Bundle, head: str | None, key: str | None) -> tuple[bool, list[str], str]:
    """Whether a head or key from elsewhere proves where the bundle is from, what is wrong, and its own head."""
    try:
        told = bundle.json(HEAD)
        stated = str(told["hash"])
        message = canonical(["ruleedit-head-1", told["sequence"], told["hash"], told["time"]]).encode()
        signed = "signature" in told
        holds = signed and signature_holds(bytes.fromhex(told["key"]), message, bytes.fromhex(told["signature"]))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return False, [f"{HEAD} is damaged ({problem})"], ""
    wrong = [f"the signature of {HEAD} doesn't hold"] if signed and not holds else []
    if head is not None and head.strip().lower() != stated:
        earlier = any(event["hash"] == head.strip().lower() for event in read_events(bundle.files[EVENTS]))
        if not earlier:
            return (
                False,
                [*wrong, "the head given is not that of the bundle: it was forged, or is of another state"],
                stated,
            )
        bundle.notes.append("the head given proves the events up to it, not those after it")
    if key is not None and (not signed or told["key"] != key.strip().lower()):
        wrong.append("the bundle is not signed with the key given")
    proved = (head is not None and head.strip().lower() == stated) or (key is not None and holds)
    return proved and not wrong, wrong, stated


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the bundle that the arguments name, say what was found, and return the exit status."""
    reader = argparse.ArgumentParser(description="Check a RuleEdit audit bundle.")
    reader.add_argument("bundle", metavar="BUNDLE.zip")
    reader.add_argument("--head", metavar="HASH", help="the head of the chain as it was published")
    reader.add_argument("--key", metavar="KEY", help="the signer's public key (Ed25519), in hex")
    given = reader.parse_args(arguments)
    try:
        with open(given.bundle, "rb") as file:
            verdict = verify(file.read(), given.head, given.key)
    except (Unreadable, OSError) as problem:
        print(f"{given.bundle}: {problem}", file=sys.stderr)
        return 2
    for line in verdict.wrong:
        print(f"WRONG  {line}")
    for line in verdict.notes:
        print(f"note   {line}")
    print(f"{verdict.events} events, {verdict.figures} figures worked out again on {verdict.rows} rows")
    print(f"head {verdict.head}")
    print(verdict.said)
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
