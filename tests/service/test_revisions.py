"""Revisions over HTTP: any is restored as one step, two are compared by what they decide; and a release's card."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from ruleedit.bundle import check
from ruleedit.client import Client
from tests.serving import Api, Made, make, refused, serving

YOUNG = "new IF age < 40 THEN yes"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("revisions")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture
def ruleset(api: Api, made: Made) -> dict[str, Any]:
    """A rule set of the test's own."""
    return api.extracted(made)


def restore(api: Api, ruleset: str, revision: str, tag: str = "*") -> Any:
    """Ask for an earlier revision."""
    body = {"revision": revision, "reason": "test"}
    return api.post(f"/v1/rulesets/{ruleset}/restore", json=body, headers={"If-Match": tag})


def test_what_was_undone_is_restored_as_one_step(api: Api, ruleset: dict[str, Any]) -> None:
    """Though something else was edited since, where a redo reaches it no more; an undo takes the step back."""
    name = ruleset["id"]
    young = api.edit(name, YOUNG).json()
    api.edit(name, "undo")
    other = api.edit(name, "disable R1").json()
    answer = restore(api, name, young["revision"], f'"{other["revision"]}"')
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"] == young["content"]
    assert answer.json()["revision"] not in (young["revision"], other["revision"])
    assert answer.headers["ETag"] == f'"{answer.json()["revision"]}"'
    assert api.edit(name, "undo").json()["content"] == other["content"]
    steps = api.get(f"/v1/rulesets/{name}/history").json()["history"]
    assert [step["edit"].split()[0] for step in steps] == ["new", "undo", "disable", "restore", "undo"]
    assert (
        api.get("/v1/audit", params={"subject": name, "action": "restore rules"}).json()["items"][0]["reason"] == "test"
    )


def test_a_file_with_a_restored_revision_is_read_again(api: Api, made: Made, ruleset: dict[str, Any]) -> None:
    """Its history is replayed, hash by hash; and the bundle of its release checks itself."""
    name = ruleset["id"]
    api.edit(name, YOUNG)
    restore(api, name, ruleset["revision"])
    api.edit(name, "new IF age > 60 THEN no")
    text = api.get(f"/v1/rulesets/{name}/export").content
    form = {"model": made.model, "format": "json"}
    again = api.post("/v1/rulesets/import", files={"file": ("rules.json", io.BytesIO(text))}, data=form)
    assert again.status_code == 201, again.text
    release = api.released(name, "restored")
    assert check(api.get(f"/v1/releases/{release}/bundle").content).wrong == []


def test_what_can_t_be_restored_is_refused(api: Api, ruleset: dict[str, Any]) -> None:
    """A revision of nobody, the present rules, and a write from an old revision."""
    name = ruleset["id"]
    assert restore(api, name, "none").json()["code"] == "unknown-revision"
    refused(restore(api, name, ruleset["revision"]), 422, "edit-refused")
    api.edit(name, YOUNG)
    refused(restore(api, name, ruleset["revision"], f'"{ruleset["revision"]}"'), 412, "revision-stale")


def test_two_revisions_are_compared_by_what_they_decide(api: Api, ruleset: dict[str, Any]) -> None:
    """How many decisions differ and which way is what the impact says; the new rule is one that was added."""
    name = ruleset["id"]
    api.edit(name, YOUNG)
    found = api.get(f"/v1/rulesets/{name}/compare").json()
    impact = api.get(f"/v1/rulesets/{name}/impact").json()
    assert found["flipped"] == impact["changed"] > 0
    assert found["flips"] == impact["flips"]
    assert [one["status"] for one in found["matches"] if one["status"] != "same"] == ["added"]
    back = {"from": api.get(f"/v1/rulesets/{name}").json()["revision"], "to": ruleset["revision"]}
    assert api.get(f"/v1/rulesets/{name}/compare", params=back).json()["flips"] == {"yes -> no": impact["changed"]}
    same = {"from": ruleset["revision"], "to": ruleset["revision"]}
    assert api.get(f"/v1/rulesets/{name}/compare", params=same).json()["flipped"] == 0


def test_what_is_not_settled_is_not_compared(api: Api, ruleset: dict[str, Any]) -> None:
    """Nobody knows what it decides."""
    name = ruleset["id"]
    api.edit(name, YOUNG, "new IF age > 30 THEN no")
    assert api.get(f"/v1/rulesets/{name}/compare").json()["code"] == "conflicts-open"


def test_the_client_restores_and_compares(api: Api, ruleset: dict[str, Any]) -> None:
    """As in a notebook."""
    with Client(str(api.base_url)) as client:
        first = client.rulesets.get(ruleset["id"])
        edited = client.rulesets.edit(first, [YOUNG], reason="test")
        assert client.rulesets.compare(first.id, old=first.revision)["flipped"] > 0
        assert client.rulesets.restore(edited, first.revision, reason="test").content == first.content


def test_a_card_says_what_the_query_says(api: Api, made: Made) -> None:
    """As text, whatever it is; what isn't given is said not to be. A page that may load and run nothing."""
    answer = api.get(f"/v1/releases/{made.release}/card", params={"purpose": "<script>1</script>", "group": "member"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "&lt;script&gt;1" in answer.text
    assert "<script" not in answer.text
    assert "Not given." in answer.text
    bundle = api.get(f"/v1/releases/{made.release}/bundle", params={"contact": "kim@example.org"}).content
    assert check(bundle).wrong == []
    refused(api.get("/v1/releases/none/card"), 404, "unknown-release")
