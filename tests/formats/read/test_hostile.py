"""Files that mean harm: refused by name, quickly, with nothing loaded, unpacked or run."""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
from pathlib import Path

import pytest

from ruleedit.errors import FileRefused, Refused
from ruleedit.formats import EXPORTS
from ruleedit.formats.read import FORMATS, MOST_BYTES, read_rules
from ruleedit.formats.read.archives import MOST_FILES, unpacked
from tests.formats.read.tables import SCHEMA, book, dmn, pmml, refusal
from tests.formats.samples import HOSTILE, draft_of
from tests.strategies import Dice

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
ENTITIES = (
    '<!DOCTYPE definitions [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{LAUGHS}]>',
    '<!DOCTYPE d SYSTEM "http://127.0.0.1:1/evil.dtd">',
    '<!DOCTYPE d [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]>',
    "<!DOCTYPE d>",
)


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def with_part(content: bytes, name: str, part: bytes) -> bytes:
    """A workbook with one part replaced or added."""
    return zipped({**unpacked(content, "it"), name: part})


@pytest.mark.parametrize("head", ENTITIES)
@pytest.mark.parametrize("form", ["dmn", "pmml"])
def test_a_document_type_is_refused(form: str, head: str) -> None:
    """Entities, inner and outer, those that grow and those that name files: none is looked at."""
    body = dmn(("&x;&l9;", "-", '"deny"')).replace("<![CDATA[&x;&l9;]]>", "&x;") if form == "dmn" else pmml()
    began = time.process_time()
    told = refusal(head + body, form)
    assert "document type" in told or "no readable XML" in told
    assert "root:" not in told
    assert time.process_time() - began < 5


def test_a_deep_or_large_document_is_refused() -> None:
    """Elements inside each other without end, and a file past the limit."""
    deep = "<a>" * 5_000 + "</a>" * 5_000
    for form in ("dmn", "pmml"):
        assert "no readable XML" in refusal(deep, form)
    for form in FORMATS:
        assert "at most" in refusal(b" " * (MOST_BYTES + 1), form)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("xl/worksheets/sheet1.xml", ENTITIES[1].encode() + b"<worksheet/>"),
        ("xl/sharedStrings.xml", b'<!doctype x [<!ENTITY a "b">]><sst/>'),
        ("xl/sharedStrings.xml", '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><sst/>'.encode("utf-16")),
        ("xl/worksheets/sheet1.xml", b"<worksheet>"),
        ("xl/workbook.xml", b""),
        ("[Content_Types].xml", b"<x/>"),
        ("../../evil.xml", b"<x/>"),
        ("/etc/evil.xml", b"<x/>"),
        ("C:/evil.xml", b"<x/>"),
        ("xl/media/bomb.bin", b"\0" * 40 * 2**20),
    ],
)
def test_a_hostile_workbook_is_refused(name: str, part: bytes) -> None:
    """Entities, damaged parts, names that lead elsewhere, bombs."""
    content = with_part(book([["age", "outcome"], [1, "deny"], [None, "deny"]]), name, part)
    assert refusal(content, "xlsx")


def test_a_bomb_of_many_small_files_is_refused() -> None:
    """By their number; a file that is there twice too."""
    assert "at most" in refusal(zipped({f"{n}": b"" for n in range(MOST_FILES + 1)}), "xlsx")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    assert "twice" in refusal(out.getvalue(), "xlsx")


def test_an_archive_that_lies_about_its_sizes_is_refused() -> None:
    """The sizes in its directory are what is believed before unpacking, and what is held to after."""
    content = bytearray(zipped({"a": b"\0" * 100_000}))
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = (10).to_bytes(4, "little")
    with pytest.raises(FileRefused):
        unpacked(bytes(content), "it")


def test_500_names_that_lead_out_open_nothing() -> None:
    """Path traversal in every spelling is refused before anything is unpacked, and nothing appears on disk."""
    dice = Dice(3)
    parts = ("..", "../", "..\\", "/", "\\", "C:", "a/", "~", ".", "%2e%2e/", "\u2025/", "etc/passwd", "a")
    tried = 0
    before = set(Path().iterdir())
    while tried < 500:
        name = "".join(dice.pick(parts) for _ in range(dice.number(1, 6)))
        leads = (
            ".." in name.replace("\\", "/").split("/") or name[0] in "/\\" or "\\" in name or ":" in name.split("/")[0]
        )
        if not leads:
            continue
        tried += 1
        with pytest.raises(FileRefused):
            unpacked(zipped({name: b"x"}), "it")
    assert set(Path().iterdir()) == before


def test_links_and_encrypted_files_are_refused() -> None:
    """A link could point anywhere; nobody gave a password."""
    link = zipfile.ZipInfo("a")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert "a link" in refusal(out.getvalue(), "xlsx")
    content = bytearray(zipped({"a": b"1"}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1
    assert "encrypted" in refusal(bytes(content), "xlsx")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_never_a_condition(text: str) -> None:
    """As a cell, an outcome, a name or an id it is refused or a plain text; nothing is run."""
    quoted = '"' + text.replace('"', '""') + '"'
    for content in (f"age,outcome\n{quoted},deny\n", f"age,outcome\n1,{quoted}\n", f"{quoted},outcome\n1,deny\n"):
        try:
            draft, _ = read_rules(content.encode(), "csv", SCHEMA)
        except FileRefused:
            continue
        # Of a number's column only numbers and missing can be said, and only classes follow.
        clauses = [clause for rule in draft.rules for clause in rule.clauses]
        assert {clause.feature for clause in clauses} <= {"age"}
        assert not any(isinstance(value, str) for clause in clauses for value in clause.values)
        assert all(set(rule.outcome.classes) <= set(SCHEMA.classes) for rule in draft.rules)


@pytest.mark.parametrize("form", FORMATS)
def test_noise_is_refused_and_never_a_fault(form: str) -> None:
    """Random bytes, and good files with a byte changed, cut or doubled."""
    dice = Dice(9)
    draft = draft_of("IF age > 20 AND job in (car) THEN approve", "IF income <= 2.5 THEN deny")
    good = EXPORTS[{"text": "csv", "xlsx": "dmn-xlsx"}.get(form, form)](draft)
    raw = good if isinstance(good, bytes) else good.encode()
    for _ in range(150):
        content = bytearray(raw)
        place = dice.number(0, len(content) - 1)
        kind = dice.number(0, 3)
        if kind == 0:
            content[place] = dice.number(0, 255)
        elif kind == 1:
            del content[place:]
        elif kind == 2:
            content[place:place] = content[place // 2 : place]
        else:
            content = bytearray(dice.number(0, 255) for _ in range(60))
        with contextlib.suppress(FileRefused, Refused):
            read_rules(bytes(content), form, draft.schema)
