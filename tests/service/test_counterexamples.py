"""Counterexamples over HTTP: rows that a rule decides wrongly, by somebody's word, and what drafts make of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROW, Api, Made, guarded, make, refused, serving
from tests.writes import fresh_ruleset

YOUNG = "new IF age < 30 THEN yes"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("counterexamples")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """What is ready in it."""
    return make(api)


@pytest.fixture
def young(api: Api, made: Made) -> dict[str, Any]:
    """A rule set whose first asserted rule says yes to whoever is under 30."""
    return fresh_ruleset(api, made, YOUNG)


def rule_of(ruleset: dict[str, Any]) -> str:
    """The rule that was added."""
    return str(next(rule["id"] for rule in ruleset["rules"] if rule["text"] == YOUNG.removeprefix("new ")))


def mark(api: Api, ruleset: dict[str, Any], **more: Any) -> Any:
    """Ask to mark the row as a counterexample to the added rule."""
    body = {"rule": rule_of(ruleset), "row": ROW, "outcome": "no", "reason": "the committee said no"}
    return api.post(f"/v1/rulesets/{ruleset['id']}/counterexamples", json=body | more)


def listed(api: Api, ruleset: dict[str, Any]) -> list[dict[str, Any]]:
    """The counterexamples of a rule set."""
    items: list[dict[str, Any]] = api.get(f"/v1/rulesets/{ruleset['id']}/counterexamples").json()["items"]
    return items


def test_it_stands_with_author_and_reason_and_changes_no_rule(api: Api, young: dict[str, Any]) -> None:
    """The revision is the same; the list says who asked for what, and what the draft answers."""
    response = mark(api, young, author="kim")
    assert response.status_code == 201, response.text
    (found,) = listed(api, young)
    assert found == response.json()
    assert (found["outcome"], found["decided"], found["answered"]) == ("no", "yes", False)
    assert (found["author"], found["reason"]) == ("kim", "the committee said no")
    assert found["row"] == ROW
    assert api.get(f"/v1/rulesets/{young['id']}").json()["revision"] == young["revision"]


def test_an_edit_that_answers_it_is_seen_to_and_one_that_undoes_it_too(api: Api, young: dict[str, Any]) -> None:
    """What counts is what the draft decides, as the release would: edit by edit."""
    mark(api, young)
    seen = []
    for step in (f"set {rule_of(young)} age < 25", "undo", f"then {rule_of(young)} no", "undo"):
        assert api.edit(young["id"], step).status_code == 200
        seen.append(listed(api, young)[0]["answered"])
    # Left out of the rule the row is the model's again, which says no to the young by itself.
    model_says = api.post(f"/v1/rulesets/{young['id']}/local", json={"row": ROW}).json()["model"]["outcome"]
    assert seen == [model_says == "no", False, True, False]


def test_withdrawn_it_stays_in_the_list_and_in_the_audit(api: Api, young: dict[str, Any]) -> None:
    """Taking it back is an event of its own, with a reason; twice is refused."""
    found = mark(api, young).json()["id"]
    where = f"/v1/rulesets/{young['id']}/counterexamples/{found}/withdraw"
    told = api.post(where, json={"reason": "it was another applicant"}).json()
    assert told["withdrawn"]
    assert [one["withdrawn"] for one in listed(api, young)] == [told["withdrawn"]]
    refused(api.post(where, json={"reason": "again"}), 409, "state-refused")
    events = api.get("/v1/audit", params={"subject": found}).json()["items"]
    assert [(event["action"], event["reason"]) for event in events] == [
        ("withdraw counterexample", "it was another applicant"),
        ("mark counterexample", "the committee said no"),
    ]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"outcome": "yes"}, "refused", "says yes itself"),
        ({"outcome": "perhaps"}, "unknown-class", "perhaps"),
        ({"rule": "R99"}, "unknown-rule", "R99"),
        ({"row": ROW | {"age": 45}}, "refused", "doesn't hold the row"),
        ({"row": {"age": 25}}, "columns-missing", "income"),
        ({"row": ROW | {"age": 25.5}}, "value-refused", "whole"),
    ],
)
def test_what_is_no_counterexample_is_refused_with_the_reason(
    api: Api, young: dict[str, Any], more: dict[str, Any], code: str, said: str
) -> None:
    """The rule holds the row and says otherwise, or it is none; nothing is kept."""
    assert said in refused(mark(api, young, **more), 422, code)["detail"]
    assert listed(api, young) == []


def test_a_disabled_rule_has_none(api: Api, young: dict[str, Any]) -> None:
    """It holds no row."""
    api.edit(young["id"], f"disable {rule_of(young)}")
    assert "is disabled" in refused(mark(api, young), 422, "refused")["detail"]


def test_of_a_rule_that_was_removed_it_still_says_what_is_decided(api: Api, young: dict[str, Any]) -> None:
    """The row is what somebody cares about; the rule was only the reason."""
    mark(api, young)
    assert api.edit(young["id"], f"remove {rule_of(young)} otherwise no").status_code == 200
    (found,) = listed(api, young)
    assert (found["decided"], found["answered"]) == ("no", True)


def test_one_of_another_rule_set_is_not_withdrawn_by_this_ones_address(
    api: Api, made: Made, young: dict[str, Any]
) -> None:
    """A 404, and it stands."""
    found = mark(api, young).json()["id"]
    other = fresh_ruleset(api, made)
    where = f"/v1/rulesets/{other['id']}/counterexamples/{found}/withdraw"
    refused(api.post(where, json={"reason": "r"}), 404, "unknown-counterexample")
    assert listed(api, young)[0]["withdrawn"] is None


def test_more_than_a_hundred_are_a_table(api: Api, young: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is refused; one taken back makes room."""
    monkeypatch.setattr("service.workspace.counterexamples.MOST", 2)
    first = mark(api, young).json()["id"]
    mark(api, young, row=ROW | {"age": 26})
    refused(mark(api, young, row=ROW | {"age": 27}), 409, "state-refused")
    api.post(f"/v1/rulesets/{young['id']}/counterexamples/{first}/withdraw", json={"reason": "r"})
    assert mark(api, young, row=ROW | {"age": 27}).status_code == 201


def test_only_who_may_edit_marks(tmp_path: Path) -> None:
    """A viewer reads them; an analyst marks, and stands there by the key's name."""
    with guarded(tmp_path) as admin:
        analyst = admin.person("ana", "analyst")
        ruleset = fresh_ruleset(analyst, make_unreleased(analyst), YOUNG)
        viewer = admin.person("vic", "viewer")
        refused(mark(viewer, ruleset), 403, "role-missing")
        assert mark(analyst, ruleset).status_code == 201
        assert [one["author"] for one in listed(viewer, ruleset)] == ["ana"]


def make_unreleased(api: Api) -> Made:
    """A model and its rules, with nothing in service."""
    from tests.serving import TARGET, small_table

    dataset = api.upload(small_table(), name="small.csv").json()["id"]
    model = api.result("/v1/models", {"dataset": dataset, "target": TARGET})["model"]
    return Made(dataset, model, api.result("/v1/rulesets", {"model": model, "max_clauses": 8})["ruleset"], "")
