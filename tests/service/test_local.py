"""One row over HTTP: what decides it, what it lacks for another class, the smallest change of each answer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruleedit.client import Client, LocalView
from tests.serving import EDIT, ROW, Api, Made, make, refused, serving

HELD = ROW | {"job": None}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("local")) as found:
        yield found


@pytest.fixture(scope="module")
def made(api: Api) -> Made:
    """A rule set with one edit, and the model that it is about."""
    return make(api)


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[Client]:
    """The client, as a notebook makes it."""
    with Client(str(api.base_url)) as found:
        yield found


def look(client: Client, made: Made, row: dict[str, Any]) -> LocalView:
    """Look at a row by the present revision."""
    return client.rulesets.local(client.rulesets.get(made.ruleset), row)


def changed(row: dict[str, Any], found: Any) -> dict[str, Any]:
    """The row with the values of a change."""
    assert found is not None
    values = {name: new == "true" if name == "member" else new for name, (_, new) in found.values.items()}
    return row | values


def outcomes(client: Client, made: Made, row: dict[str, Any]) -> tuple[str | None, str]:
    """What the rules and the model answer, by looking at that row in turn."""
    view = look(client, made, row)
    return view.outcome, view.model_outcome


def test_the_rule_that_decides_is_named(client: Client, made: Made) -> None:
    """That of the edit for a row in its region, with the revision that was asked."""
    view = look(client, made, HELD)
    rules = client.rulesets.get(made.ruleset)
    new = next(rule for rule in rules.rules if rule.asserted)
    assert (view.rule, view.outcome) == (new.id, "yes")
    assert view.raw["revision"] == rules.revision
    assert view.raw["rules"]["text"] == new.text


def test_the_nearest_rule_of_the_other_class_says_what_fails(client: Client, made: Made) -> None:
    """Each failing clause is one of that rule's, or rules before it hold the row; the default has none."""
    rules = {rule.id: rule for rule in client.rulesets.get(made.ruleset).rules}
    for row in (HELD, ROW, ROW | {"age": 60}):
        view = look(client, made, row)
        assert [near.outcome for near in view.nearest] == [name for name in ("no", "yes") if name != view.outcome]
        for near in view.nearest:
            assert near.fails or near.held
            assert near.rule is not None or not near.fails
            assert all(clause in rules[near.rule].text for clause in near.fails if near.rule)


def test_each_smallest_change_flips_the_answer_that_it_says(client: Client, made: Made) -> None:
    """Of the rules and of the model; what isn't named stays."""
    for row in (ROW, ROW | {"age": 60}):
        view = look(client, made, row)
        assert view.rules_change is not None
        assert view.model_change is not None
        assert outcomes(client, made, changed(row, view.rules_change))[0] == view.rules_change.outcome != view.outcome
        assert outcomes(client, made, changed(row, view.model_change))[1] == view.model_change.outcome
        assert view.model_change.outcome != view.model_outcome
        assert view.model_change.least
        assert view.model_change.distance > 0.0
        assert {old for old, _ in view.model_change.values.values()} <= {*row.values(), "true"}


def test_no_value_is_taken_away(client: Client, made: Made) -> None:
    """Nobody is told to leave a field empty."""
    for age, job in itertools.product((22, 35, 41), ("a", "b")):
        view = look(client, made, ROW | {"age": age, "job": job})
        for change in (view.rules_change, view.model_change):
            assert change is None or None not in {new for _, new in change.values.values()}


def test_around_the_row_the_model_answers_by_a_rule(client: Client, made: Made) -> None:
    """The same for the same seed, with its precision."""
    first, again = (look(client, made, ROW) for _ in range(2))
    assert first == again
    assert first.around is not None
    assert first.around.endswith(f"THEN {first.model_outcome}")
    assert 0.5 < first.raw["model"]["around"]["precision"] <= 1.0


def test_what_to_beware_of_is_said(client: Client, made: Made) -> None:
    """Missing values, categories never seen, numbers out of range."""
    said = look(client, made, {"age": 500, "income": None, "job": "z", "member": True}).warnings
    assert [line.partition(":")[0] for line in said] == ["age", "income", "job"]


def test_another_revision_can_be_asked(api: Api, made: Made) -> None:
    """Before the edit another rule decided."""
    first = api.get(f"/v1/rulesets/{made.ruleset}/history").json()["first"]
    asked = {"row": HELD, "revision": first}
    before = api.post(f"/v1/rulesets/{made.ruleset}/local", json=asked).json()
    now = api.post(f"/v1/rulesets/{made.ruleset}/local", json={"row": HELD}).json()
    assert before["revision"] == first != now["revision"]
    assert before["rules"]["rule"] != now["rules"]["rule"]
    assert before["model"] == now["model"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"row": {"age": 25}}, 422, "columns-missing"),
        ({"row": ROW | {"age": "young"}}, 422, "value-refused"),
        ({"row": ROW | {"age": 25.5}}, 422, "value-refused"),
        ({"row": [1, 2]}, 422, "request-invalid"),
        ({"rows": [ROW]}, 422, "request-invalid"),
        ({"row": ROW, "seed": -1}, 422, "request-invalid"),
        ({"row": ROW, "revision": "none"}, 422, "unknown-revision"),
    ],
)
def test_what_is_no_row_is_refused(api: Api, made: Made, body: Any, status: int, code: str) -> None:
    """With what, where, and what would be accepted."""
    refused(api.post(f"/v1/rulesets/{made.ruleset}/local", json=body), status, code)


def test_an_unknown_rule_set_is_404(api: Api) -> None:
    """As elsewhere."""
    refused(api.post("/v1/rulesets/none/local", json={"row": ROW}), 404, "unknown-ruleset")


def test_looking_changes_nothing(api: Api, made: Made) -> None:
    """No event, no revision."""
    before = api.get("/v1/audit").json()["items"][0]["sequence"], api.get(f"/v1/rulesets/{made.ruleset}").json()
    assert api.post(f"/v1/rulesets/{made.ruleset}/local", json={"row": ROW}).status_code == 200
    after = api.get("/v1/audit").json()["items"][0]["sequence"], api.get(f"/v1/rulesets/{made.ruleset}").json()
    assert before == after


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """422 that names the limit; the service goes on."""
    with serving(tmp_path, look_seconds=0.0) as api:
        made = make(api)
        problem = refused(api.post(f"/v1/rulesets/{made.ruleset}/local", json={"row": ROW}), 422, "step-failed")
        assert "more than 0 s" in problem["detail"]
        assert api.decide("small", ROW).status_code == 200


def test_more_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    """503 at once, with Retry-After."""
    with serving(tmp_path, most_looking=0, most_waiting=0) as api:
        response = api.post("/v1/rulesets/any/local", json={"row": ROW})
        refused(response, 503, "overloaded")
        assert response.headers["Retry-After"] == "5"


def test_an_edited_rule_shows_at_once(api: Api, client: Client, made: Made) -> None:
    """A draft is looked at as it stands."""
    rules = client.rulesets.edit(client.rulesets.get(made.ruleset), ["undo"], reason="test")
    assert client.rulesets.local(rules, HELD).rule not in {rule.id for rule in rules.rules if rule.asserted}
    rules = client.rulesets.edit(rules, [EDIT.replace("30", "31")], reason="test")
    assert client.rulesets.local(rules, HELD).rule in {rule.id for rule in rules.rules if rule.asserted}
