"""The audit bundle of a release, in every mode, by the command line and by `verify.py` alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruleedit.bundle import Choices, bundle, check, verify
from ruleedit.chain import Event, Head, erase, new_key, seal, sign_head
from ruleedit.errors import Refused
from ruleedit.formats import EXPORTS, export
from ruleedit.release import Release, load
from tests.commandline import Shop, answer, done, refused, run
from tests.strategies import Dice

MODES = ("overlay-hard", "overlay-soft", "retrain", "graft")


@pytest.fixture(scope="module")
def release(shop: Shop) -> Release:
    """The hard overlay of the shop."""
    return load(shop.release("overlay-hard"))


@pytest.fixture(scope="module")
def made(release: Release) -> bytes:
    """Its bundle, with figures by purpose."""
    return bundle(release, Choices(groups=("purpose",))).content


def files_of(content: bytes) -> dict[str, bytes]:
    """A bundle's files."""
    return verify.unpacked(content)


def repacked(files: dict[str, bytes], *, honest: bool) -> bytes:
    """The files as a bundle again; ``honest``: with every hash and the chain's end made anew, as a forger would."""
    if honest:
        manifest = json.loads(files[verify.MANIFEST])
        outside = (verify.MANIFEST, verify.EVENTS, verify.HEAD)
        manifest["files"] = {name: verify.digest(c) for name, c in sorted(files.items()) if name not in outside}
        files = {**files, verify.MANIFEST: (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()}
        files = forged_chain(files)
    return verify.packed(files)


def forged_chain(files: dict[str, bytes]) -> dict[str, bytes]:
    """The last event and the head made to fit the files."""
    events = verify.read_events(files[verify.EVENTS])
    last = events[-1]
    last["payload"] = verify.canonical({"bundle": verify.digest(files[verify.MANIFEST])})
    last["payload_hash"] = verify.digest((last["salt"] + last["payload"]).encode())
    names = ("id", "time", "actor", "role", "action", "subject", "reason", "payload_hash", "previous")
    line = json.dumps([last["sequence"], *(last[name] for name in names)], separators=(",", ":"), ensure_ascii=False)
    last["hash"] = verify.digest(line.encode())
    head = {"sequence": last["sequence"], "hash": last["hash"], "time": ""}
    return {
        **files,
        verify.EVENTS: "".join(f"{verify.spelled(event)}\n" for event in events).encode(),
        verify.HEAD: (json.dumps(head, indent=2) + "\n").encode(),
    }


# --- what is in it ----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_worked_out_again(shop: Shop, mode: str) -> None:
    """Answers and figures by rules and trees are the release's; the report's too, because every row is there."""
    found = bundle(load(shop.release(mode)), Choices(groups=("purpose",)))
    verdict = check(found.content, found.head)
    assert (verdict.wrong, verdict.status, verdict.rows) == ([], 0, 175)
    assert verdict.figures > 3 * 175
    told = json.loads(files_of(found.content)["effect.json"])
    report = json.loads(files_of(found.content)["report.json"])
    assert told["outside"]["flips"] == report["outside"]["flips"]
    assert [item["mra_after"] for item in told["feedback"]] == [item["mra_after"] for item in report["feedback"]]
    assert ("data/moved.csv" in found.files) == (mode == "overlay-soft")
    assert ("model/before.txt" in found.files) == (mode in ("retrain", "graft"))


def test_models_of_several_classes_too(shop: Shop, tmp_path: Path) -> None:
    """Three classes, missing values, a distribution, a settlement, thresholds of one's own."""
    model, rules, out = tmp_path / "m", tmp_path / "r.json", tmp_path / "release"
    done("train", shop.grades, "--target", "grade", "--threshold", "high=0.5", "--out", model)
    done("extract", model, "--data", shop.grades, "--out", rules, "--max-clauses", 8)
    edits = [
        "new IF size > 60 THEN mid",
        "new IF `hue colour` = red THEN high 0.6, mid 0.4",
        "remove R1 otherwise '1'",
    ]
    done("edit", rules, *edits, "--reason", "policy", "--out", rules)
    done("resolve", rules, "--strategy", "mixture", "--out", rules)
    done("apply", model, rules, "--data", shop.grades, "--mode", "overlay-hard", "--out", out)
    found = bundle(load(out), Choices(groups=("hue colour",)))
    verdict = check(found.content, found.head)
    assert (verdict.wrong, verdict.said) == ([], "verified")
    told = json.loads(files_of(found.content)["effect.json"])
    assert any("distance_after" in item for item in told["feedback"])
    assert [group["value"] for group in told["groups"]] == ["it's grey", "red", "sky blue"]
    assert sum(group["rows"] for group in told["groups"]) == told["rows"]


def test_the_same_release_gives_the_same_bytes(release: Release, made: bytes) -> None:
    """No time, no chance, no order of a dictionary."""
    assert bundle(release, Choices(groups=("purpose",))).content == made


def test_it_holds_the_exports_or_why_not(release: Release, made: bytes) -> None:
    """Each as the format makes it, SQL in its dialects too; a refusal has its reason."""
    files, manifest = files_of(made), json.loads(files_of(made)[verify.MANIFEST])
    assert release.draft is not None
    for form in EXPORTS:
        content = None
        with contextlib.suppress(Refused):
            content = export(release.draft, form)
        assert (content is None) == (form in manifest["exports_refused"])
        assert content is None or content in [content for name, content in files.items() if "exports/" in name]
    assert files["exports/rules.tsql.sql"] == export(release.draft, "sql", dialect="tsql")
    done_ = [name for name in files if name.startswith("exports/")]
    assert len(done_) + len(manifest["exports_refused"]) == len(EXPORTS) + 6


def test_a_refused_export_is_listed(shop: Shop, tmp_path: Path) -> None:
    """A rule that leaves its rows to the model goes to no PMML."""
    done("edit", shop.rules, "new IF age < 30 THEN model", "--reason", "r", "--out", tmp_path / "r.json")
    done(
        "apply", shop.model, tmp_path / "r.json", "--data", shop.csv, "--mode", "overlay-hard", "--out", tmp_path / "x"
    )
    found = bundle(load(tmp_path / "x"))
    assert "none leaves its rows to a model" in found.refused["pmml"]
    assert check(found.content, found.head).said == "verified"


def test_its_events_tell_the_whole_history(release: Release, made: bytes) -> None:
    """The model, the extraction, each edit with author and reason, the release, the bundle."""
    events = verify.read_events(files_of(made)[verify.EVENTS])
    told = [(event["action"], event["actor"], event["reason"]) for event in events]
    assert told == [
        ("train model", "", ""),
        ("extract rules", "", ""),
        ("edit rules", "ann", "policy 7"),
        ("edit rules", "ann", "policy 7"),
        ("make release", "", ""),
        ("make bundle", "", ""),
    ]
    assert json.loads(events[2]["payload"])["edit"].startswith("new IF age < 30")
    assert {event["role"] for event in events} == {"command line"}


def test_rows_can_be_a_part_or_left_out(release: Release) -> None:
    """With a part the effect is about these; without any no figure is worked out, and both say so."""
    part = bundle(release, Choices(rows=40))
    verdict = check(part.content, part.head)
    assert (verdict.said, verdict.rows) == ("verified", 40)
    assert "report.json is about 175 rows; 40 of them are in the bundle" in verdict.notes
    none = bundle(release, Choices(without_rows=True))
    verdict = check(none.content, none.head)
    assert (verdict.said, verdict.rows, verdict.figures) == ("verified", 0, 0)
    assert "figures are not recomputed: the bundle was made without rows" in verdict.notes
    assert not [name for name in none.files if name.startswith("data/")]


def test_a_model_without_edits_has_none(shop: Shop) -> None:
    """There is nothing to account for."""
    with pytest.raises(Refused, match="has no audit bundle"):
        bundle(load(shop.model))
    with pytest.raises(Refused, match="groups are by the values"):
        bundle(load(shop.release("overlay-hard")), Choices(groups=("age",)))


# --- where it is from -------------------------------------------------------------------------


def test_without_a_head_the_origin_is_unproved(made: bytes) -> None:
    """Status 3; with the head 0; with another one 1; with an earlier event's again 3."""
    events = verify.read_events(files_of(made)[verify.EVENTS])
    assert (check(made).said, check(made).status) == ("internally consistent, origin unproved", 3)
    assert check(made, events[-1]["hash"].upper()).status == 0
    assert check(made, "0" * 64).wrong == [
        "the head given is not that of the bundle: it was forged, or is of another state"
    ]
    earlier = check(made, events[2]["hash"])
    assert (earlier.status, "the head given proves the events up to it, not those after it" in earlier.notes) == (
        3,
        True,
    )


def test_a_signature_proves_the_origin(release: Release, made: bytes) -> None:
    """By the signer's public key; another key, or none where one was wanted, is wrong."""
    private, other = new_key(), new_key()
    found = bundle(release, key=private)
    public = json.loads(files_of(found.content)[verify.HEAD])["key"]
    assert check(found.content, key=public).status == 0
    assert check(found.content).status == 3
    head = verify.read_events(files_of(found.content)[verify.EVENTS])[-1]
    stranger = sign_head(Head(head["sequence"], head["hash"], ""), other)
    assert check(found.content, key=stranger.key).wrong == ["the bundle is not signed with the key given"]
    assert check(made, key=public).wrong == ["the bundle is not signed with the key given"]
    swapped = {**files_of(found.content), verify.HEAD: (json.dumps(stranger.to_json(), indent=2) + "\n").encode()}
    assert check(verify.packed(swapped), key=public).status == 1
    broken = json.loads(swapped[verify.HEAD]) | {"key": public}
    swapped[verify.HEAD] = (json.dumps(broken, indent=2) + "\n").encode()
    assert f"the signature of {verify.HEAD} doesn't hold" in check(verify.packed(swapped)).wrong


class Kept:
    """A ledger as a service has one: events of its own, one of them erased."""

    def __init__(self, gone: bool = True) -> None:
        first = self._sealed(None, "add data set", {"rows": 7})
        release = self._sealed(first, "make release", {"revision": "r"})
        approval = self._sealed(release, "approve release", {"of": "x"})
        erasure = self._sealed(approval, "erase payloads", {"erased": [[1, 1]] if gone else []})
        self.events = (erase(first), release, approval, erasure)

    def _sealed(self, previous: Event | None, action: str, payload: dict[str, Any]) -> Event:
        text = dict.fromkeys(("time", "subject"), "2026-11-22T07:00:00.000Z")
        return seal(
            previous=previous,
            id=action,
            actor="kim",
            role="approver",
            action=action,
            reason="fine",
            payload=payload,
            **text,
        )

    def close(self, subject: str, bundle: str) -> tuple[tuple[Event, ...], Head]:
        """As the protocol says."""
        last = self._sealed(self.events[-1], verify.MAKING, {"bundle": bundle})
        return (*self.events, last), Head(last.sequence, last.hash, last.time)


def test_erased_payloads_are_told_and_approvals_listed(release: Release) -> None:
    """The chain verifies without them; one that no event names is wrong."""
    found = bundle(release, ledger=Kept())
    verdict = check(found.content, found.head)
    assert (verdict.wrong, verdict.said) == ([], "verified")
    assert "1 of 5 events were erased: their hashes stand, their payloads are gone" in verdict.notes
    approvals = json.loads(files_of(found.content)["approvals.json"])
    assert [(item["by"], item["action"], item["event"]) for item in approvals] == [("kim", "approve release", 3)]
    lost = bundle(release, ledger=Kept(gone=False))
    assert "the payload of event 1 is gone" in check(lost.content, lost.head).wrong[0]


# --- tampering --------------------------------------------------------------------------------


def mutated(content: bytes, dice: Dice) -> bytes:
    """The bundle with a byte changed, a piece cut, moved, doubled or overwritten, or a file swapped for another."""
    kind, place = dice.number(0, 6), dice.number(0, len(content) - 1)
    data = bytearray(content)
    if kind in (0, 1):
        data[place] ^= 1 << dice.number(0, 7)
    elif kind == 2:
        del data[place : place + dice.number(1, 200)]
    elif kind == 3:
        data[place:place] = data[place // 2 : place // 2 + dice.number(1, 50)]
    elif kind == 4:
        del data[place:]
    else:
        files = files_of(content)
        first, second = dice.pick(sorted(files)), dice.pick(sorted(files))
        if kind == 5 or files[first] == files[second]:
            lines = files[first].split(b"\n")
            at = dice.number(0, len(lines) - 1)
            changed = [*lines[:at], *lines[at + 1 :]] if dice.number(0, 1) else [*lines, lines[at]]
            files[first] = b"\n".join(changed)
        else:
            files[first], files[second] = files[second], files[first]
        return verify.packed(files)
    return bytes(data)


def found_out(content: bytes, head: str) -> bool:
    """Whether a bundle is refused or found wrong, given its head."""
    try:
        return verify.verify(content, head).status == 1
    except verify.Unreadable:
        return True


def test_every_tampering_is_found(release: Release, count: Callable[[int, int], int]) -> None:
    """Bytes, lines, files, the archive itself: given the head, nothing passes."""
    whole = bundle(release, Choices(rows=8, groups=("purpose",)))
    assert not found_out(whole.content, whole.head)
    dice, tried = Dice(16), 0
    while tried < count(100, 1_000):
        changed = mutated(whole.content, dice)
        if changed != whole.content:
            tried += 1
            assert found_out(changed, whole.head), tried


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all figures: numbers and nulls."""
    if isinstance(data, dict):
        return [place for key, value in data.items() for place in leaves(value, (*path, key))]
    if isinstance(data, list):
        return [place for key, value in enumerate(data) for place in leaves(value, (*path, key))]
    return [path] if data is None or (isinstance(data, int | float) and not isinstance(data, bool)) else []


def altered(data: Any, path: tuple[Any, ...]) -> Any:
    """The data with the figure at a place a little different."""
    if not path:
        return 0.5 if data is None else data + 1 if isinstance(data, int) else data + 1e-6
    if isinstance(data, dict):
        return {key: altered(value, path[1:]) if key == path[0] else value for key, value in data.items()}
    return [altered(value, path[1:]) if key == path[0] else value for key, value in enumerate(data)]


@pytest.mark.parametrize("name", ["effect.json", "report.json"])
def test_each_stored_figure_altered_is_found(release: Release, name: str) -> None:
    """Though every hash and the chain's end are forged to fit: the rows, rules and trees say otherwise."""
    files = files_of(bundle(release, Choices(groups=("purpose",))).content)
    data = json.loads(files[name])
    told = {key: data[key] for key in ("feedback", "outside")} if name == "report.json" else data
    known = [place for place in leaves(told) if name == "effect.json" or place[-1] in verify_keys()]
    assert len(known) > 10
    for place in known:
        changed = {**files, name: (json.dumps(altered(data, place), indent=2, ensure_ascii=False) + "\n").encode()}
        verdict = verify.verify(repacked(changed, honest=True))
        assert verdict.status == 1, place
        assert any(name in line for line in verdict.wrong), (place, verdict.wrong)


def verify_keys() -> set[str]:
    """The figures of a report that are worked out again."""
    rule = {"coverage", "mra_before", "mra_after", "distance_before", "distance_after"}
    return rule | {"rows", "f1_before", "f1_after", "flips", "flipped"}


def test_altered_answers_rules_and_trees_are_found(made: bytes) -> None:
    """Though the hashes are forged: an answer, a rule's text, an edit's reason, a leaf, a row."""
    files = files_of(made)
    reasons = files["rules/after.json"].replace(b"policy 7", b"policy 8", 1)
    answers = files["data/answers.csv"].split(b"\n")
    answers[1] = b",".join([*answers[1].split(b",")[::-1]])
    leaf = files["model/model.txt"].split(b"leaf_value=")
    for name, content in {
        "rules/after.json": reasons,
        "data/answers.csv": b"\n".join(answers),
        "model/model.txt": leaf[0] + b"leaf_value=9" + b"leaf_value=".join(leaf[1:]),
        "data/rows.csv": b"\n".join(files["data/rows.csv"].split(b"\n")[:-2]) + b"\n",
        "edits.json": files["edits.json"].replace(b"ann", b"bob"),
        "conflicts.json": files["conflicts.json"].replace(b'"settlements": []', b'"settlements": [1]'),
        "rules/decided.json": files["rules/decided.json"].replace(b"age < 30", b"age < 31"),
    }.items():
        assert content != files[name], name
        assert verify.verify(repacked({**files, name: content}, honest=True)).status == 1, name
    assert verify.verify(repacked(files, honest=True)).status == 3


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """A text, another zip, an empty file: status 2 and one line."""
    for content in (b"", b"hello", verify.packed({"a": b"1"})):
        (tmp_path / "b.zip").write_bytes(content)
        assert "the bundle can't be read" in refused("file-refused", "verify", tmp_path / "b.zip")


# --- on the command line ----------------------------------------------------------------------


def test_the_commands(shop: Shop, tmp_path: Path) -> None:
    """bundle prints the head; verify ends with 0, 3 or 1; the key signs."""
    folder, out = shop.release("overlay-hard"), tmp_path / "bundle.zip"
    told = answer("bundle", folder, "--out", out, "--group", "purpose")
    assert told["refused"] == {}
    assert "head " + told["head"] in done("bundle", folder, "--out", out, "--group", "purpose").out
    assert answer("verify", out, "--head", told["head"])["verdict"] == "verified"
    unproved = run("verify", out)
    assert (unproved.status, unproved.out.splitlines()[-1]) == (3, "internally consistent, origin unproved")
    wrong = run("verify", out, "--head", "0" * 64)
    assert (wrong.status, "WRONG: the head given" in wrong.out) == (1, True)
    key = tmp_path / "key"
    key.write_text(new_key() + "\n")
    done("bundle", folder, "--out", out, "--sign", key)
    public = json.loads(files_of(out.read_bytes())[verify.HEAD])["key"]
    done("verify", out, "--key", public)
    key.write_text("no key")
    assert "no Ed25519 private key" in refused("file-refused", "bundle", folder, "--out", out, "--sign", key)


def test_its_own_program_verifies_it_with_nothing_but_python(made: bytes, tmp_path: Path) -> None:
    """Unpacked from the bundle and run in an isolated Python without site-packages."""
    (tmp_path / "verify.py").write_bytes(files_of(made)["verify.py"])
    (tmp_path / "b.zip").write_bytes(made)
    head = json.loads(files_of(made)[verify.HEAD])["hash"]
    for more, status, said in (
        ([], 3, "internally consistent, origin unproved"),
        (["--head", head], 0, "verified"),
        (["--head", "1" * 64], 1, "NOT verified: 1 problem"),
    ):
        command = [sys.executable, "-I", "-S", tmp_path / "verify.py", tmp_path / "b.zip", *more]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout.splitlines()[-1]) == (status, said), ended
