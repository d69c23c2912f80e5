"""The project's pages in Chromium: its table and model, groups, putting in force, history, audit and export."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from ruleedit.bundle import check
from service.demo import GROUPS
from tests.workbench.conftest import Bench, Window

#: Grants to men alone whoever is young.
UNEQUAL = "new IF age < 45 AND residence = rent THEN approve"


def settle(page: Page) -> None:
    """Wait until what was typed has reached the service: all goes through one socket, in order."""
    page.wait_for_timeout(200)


def test_sensitive_columns_are_marked_and_a_group_left_behind_is_warned_of(window: Window, bench: Bench) -> None:
    """From the impact to the settings and back: the warning names group and limit, its rows are one press away."""
    ruleset = bench.fresh()
    bench.edit(ruleset, UNEQUAL)
    page = window.open(f"/r/{ruleset}/rules")
    page.get_by_role("link", name="Sensitive columns and the limit").click()
    expect(page.get_by_role("heading", name="Sensitive columns")).to_be_visible()
    page.get_by_role("checkbox", name="gender is sensitive").uncheck()
    page.get_by_role("checkbox", name="residence is sensitive").check()
    page.get_by_role("textbox", name="Where age is cut").fill("30, x")
    page.get_by_label("The outcome that people want").select_option("approve")
    page.get_by_label("A group is behind below").fill("95")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="Say why")).to_be_visible()
    page.get_by_label("Reason for this edit").fill("equal treatment act")
    settle(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert").filter(has_text="'30, x' is no list of numbers")).to_be_visible()
    page.get_by_role("textbox", name="Where age is cut").fill("30, 50")
    settle(page)
    window.shoot("sensitive")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    model = bench.api.get(f"/v1/rulesets/{ruleset}").json()["model"]
    groups = bench.api.get(f"/v1/models/{model}").json()["groups"]
    assert groups["columns"] == [{"column": "age", "cuts": [30.0, 50.0]}, {"column": "residence", "cuts": []}]
    assert (groups["favourable"], groups["least_ratio"]) == ("approve", 0.95)
    page = window.open(f"/r/{ruleset}/rules")
    aside = page.locator("aside")
    expect(aside.get_by_role("cell", name="30 to under 50")).to_be_visible()
    warning = aside.get_by_role("status").filter(has_text="residence own falls behind")
    expect(warning).to_contain_text("below the 0.95 set for this project")
    expect(aside.get_by_text("Calibration error")).to_be_visible()
    said = bench.api.get(f"/v1/rulesets/{ruleset}/impact").json()
    worst = next(one for one in said["behind"] if one["value"] == "own")
    assert f"{worst['after']:.2f} of the best" in warning.inner_text()
    window.shoot("behind")
    warning.get_by_role("button", name="Show them").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name=re.compile("whose decision changes"))).to_be_visible()
    window.shoot("behind-rows")


def test_columns_are_corrected_before_training(window: Window, bench: Bench) -> None:
    """A kind, a range, values, missing cells and what is left out: each problem beside its column, then the model."""
    lines = ["customer,age,plan,city,ok"]
    lines += [
        f"c{i},{'?' if i % 9 == 0 else 20 + i % 50},{1 + i % 3},{'abc'[i % 3]},{'yes' if i % 50 > 20 else 'no'}"
        for i in range(600)
    ]
    page = window.open("/")
    page.locator("input[type=file]").first.set_input_files(
        files=[{"name": "plans.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}]
    )
    expect(page.get_by_text("plans.csv: 600 rows, 5 columns")).to_be_visible()
    page.get_by_role("checkbox", name="Use customer").uncheck()
    age = page.get_by_role("article", name="Column age")
    expect(age.get_by_role("combobox")).to_have_value("categorical")
    age.get_by_role("combobox").select_option("integer")
    expect(age.get_by_role("alert")).to_contain_text("'?' is no number")
    page.get_by_role("button", name="Train a model").click()
    expect(page.get_by_role("alert").filter(has_text="Correct what is said beside age")).to_be_visible()
    page.get_by_label("These cells mean a missing value too").fill("?")
    page.get_by_label("These cells mean a missing value too").press("Tab")
    expect(age.get_by_label("age to", exact=True)).to_have_value("69")
    age.get_by_label("age to", exact=True).fill("old")
    age.get_by_label("age to", exact=True).press("Tab")
    expect(age.get_by_role("alert")).to_contain_text("'old' is no number")
    age.get_by_label("age to", exact=True).fill("120")
    age.get_by_label("age to", exact=True).press("Tab")
    expect(age.get_by_role("alert")).to_have_count(0)
    plan = page.get_by_role("article", name="Column plan")
    plan.get_by_role("combobox").select_option("categorical")
    expect(plan.get_by_role("button", name="Edit the values of plan")).to_be_visible()
    plan.get_by_role("checkbox", name="plan may be missing").uncheck()
    settle(page)
    page.get_by_role("button", name="Edit the values of city").click()
    page.get_by_role("textbox", name="The values of city").fill("a\nb")
    page.get_by_role("textbox", name="The values of city").press("Tab")
    expect(page.get_by_text("200 rows hold a value that isn't listed")).to_be_visible()
    page.get_by_role("checkbox", name="age is sensitive").check()
    page.get_by_label("and people want").select_option("yes")
    settle(page)
    window.shoot("review")
    page.get_by_role("button", name="Train a model").click()
    page.wait_for_url("**/rules", timeout=60_000)
    model = bench.api.get("/v1/models").json()["items"][0]
    features = {one["name"]: one for one in model["schema"]["features"]}
    assert set(features) == {"age", "plan", "city"}
    assert features["age"] == {"name": "age", "kind": "integer", "missing": True, "low": 20.0, "high": 120.0}
    assert (features["plan"]["kind"], features["plan"]["missing"]) == ("categorical", False)
    assert features["city"]["categories"] == ["a", "b"]
    assert model["schema"]["missing_tokens"] == ["?"]
    assert model["groups"]["favourable"] == "yes"
    assert [one["column"] for one in model["groups"]["columns"]] == ["age"]


def test_a_retraining_is_tried_on_some_rows_and_then_shows_its_curve(window: Window, bench: Bench) -> None:
    """Not known, then a pilot's figures with their source; the rounds as they come; at last actual beside expected."""
    ruleset = bench.fresh()
    bench.edit(ruleset, "new IF age between 27 and 30 AND income >= 30000 THEN approve")
    page = window.open(f"/r/{ruleset}/in-force")
    retrain = page.get_by_role("radio", name=re.compile("^Retrain"))
    expect(retrain).to_contain_text("not known until run")
    expect(page.get_by_role("radio", name=re.compile("^Overlay"))).to_contain_text("exact")
    page.get_by_role("button", name="Pilot: Retrain").click()
    expect(retrain).to_contain_text("pilot on 2\u202f000 rows", timeout=90_000)
    expect(retrain).to_contain_text(re.compile(r"honoured \d+\.\d%"))
    page.get_by_label("A retraining learns by").select_option("adaptive")
    expect(retrain).to_contain_text("not known until run")
    page.get_by_role("button", name="Pilot: Retrain").click()
    expect(retrain).to_contain_text("pilot on 2\u202f000 rows", timeout=90_000)
    retrain.click()
    page.get_by_label("In service under the name").fill("learned")
    settle(page)
    page.get_by_role("button", name="Make the release").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.locator(".re-course table").first).to_be_attached(timeout=90_000)
    window.shoot("course")
    article = page.get_by_role("article").filter(has_text="learned")
    expect(article.get_by_text("expected (pilot on 2\u202f000 rows)")).to_be_visible(timeout=90_000)
    article.get_by_text("of the retraining").click()
    report = bench.api.get("/v1/releases").json()["items"][0]["report"]
    expect(article.get_by_role("group", name="Rounds").get_by_role("row")).to_have_count(len(report["curve"]) + 1)
    window.shoot("expected-actual")
    expect(article.get_by_role("row", name=re.compile("^flips outside"))).to_contain_text(
        f"{100 * report['outside']['flips']:.2f}%"
    )


def test_a_retraining_that_is_cancelled_makes_nothing(window: Window, bench: Bench) -> None:
    """Cancel is pressed as soon as it is there; the page says that nothing was made, and nothing was."""
    ruleset = bench.fresh()
    bench.edit(ruleset, "new IF age between 27 and 30 AND income >= 30000 THEN approve")
    before = bench.api.get("/v1/releases").json()["items"]
    page = window.open(f"/r/{ruleset}/in-force")
    page.get_by_role("radio", name=re.compile("^Retrain")).click()
    page.get_by_label("A retraining learns by").select_option("greedy")
    settle(page)
    page.get_by_role("button", name="Make the release").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert").filter(has_text="Cancelled; nothing was made.")).to_be_visible(timeout=90_000)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    assert bench.api.get("/v1/jobs").json()["items"][0]["state"] == "cancelled"
    assert bench.api.get("/v1/releases").json()["items"] == before


@pytest.mark.parametrize("state", ["proposed", "approved"])
def test_what_was_asked_for_or_approved_is_withdrawn_with_a_reason(window: Window, bench: Bench, state: str) -> None:
    """Without a reason nothing happens; with one the release is a draft again, and the record says why."""
    ruleset = bench.fresh()
    bench.edit(ruleset, "new IF age < 40 THEN deny")
    release = bench.api.released(ruleset, f"once-{state}")
    steps = {"proposed": ["propose"], "approved": ["propose", "approve"]}[state]
    for step in steps:
        asked = {"reason": "asked for"} | ({"author": "ada"} if step == "approve" else {})
        assert bench.api.post(f"/v1/releases/{release}/{step}", json=asked).status_code == 200
    page = window.open(f"/r/{ruleset}/in-force")
    article = page.get_by_role("article", name=f"Release {release}")
    expect(article.get_by_text(state, exact=True)).to_be_visible()
    article.get_by_role("button", name="Withdraw").click()
    # Where the button is, and the keyboard is where the reason goes.
    expect(article.get_by_role("alert").filter(has_text="Say why")).to_be_visible()
    expect(page.get_by_label("Reason for this edit")).to_be_focused()
    assert bench.api.get(f"/v1/releases/{release}").json()["state"] == state
    page.get_by_label("Reason for this edit").fill("decided on too early")
    settle(page)
    article.get_by_role("button", name="Withdraw").click()
    expect(article.get_by_text("draft", exact=True)).to_be_visible()
    expect(article.get_by_role("button", name="Withdraw")).to_have_count(0)
    assert bench.api.get(f"/v1/releases/{release}").json()["approved_by"] is None
    event = bench.api.get("/v1/audit").json()["items"][0]
    assert (event["action"], event["reason"]) == ("take back release", "decided on too early")


def test_an_outcome_becomes_a_distribution_by_sliders(window: Window, bench: Bench) -> None:
    """One slider moved, the others give way; what the form says is what the edit says."""
    ruleset = bench.fresh()
    page = window.open(f"/r/{ruleset}/rules")
    page.get_by_role("button", name=re.compile("^Outcome of R1")).click()
    page.get_by_label("Outcome", exact=True).select_option("shares")
    slider = page.get_by_role("slider", name="Probability of approve, slider")
    slider.focus()
    page.keyboard.press("End")
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_label("Probability of deny, per cent")).to_have_value("30")
    expect(page.locator("aside .formal")).to_contain_text("approve 0.7, deny 0.3")
    window.shoot("distribution")
    page.get_by_label("Reason for this edit").fill("seven in ten are to be let through")
    settle(page)
    with page.expect_navigation():
        page.get_by_role("button", name="Apply").click()
    rules = bench.api.get(f"/v1/rulesets/{ruleset}").json()["rules"]
    assert next(rule for rule in rules if rule["id"] == "R1")["outcome"] == "approve 0.7, deny 0.3"


def test_a_release_is_handed_to_the_auditor(window: Window, bench: Bench, tmp_path: Path) -> None:
    """The bundle checks itself against the head that the page shows; the card says what was typed, and runs nothing."""
    ruleset = bench.ruleset()
    marked = GROUPS.to_json() | {"reason": "as the example has them"}
    assert bench.api.post(f"/v1/models/{ruleset['model']}/groups", json=marked).status_code == 200
    page = window.open(f"/r/{ruleset['id']}/export")
    page.get_by_text("What only people know").click()
    page.get_by_label("Purpose").fill("Granting loans <img src=x onerror=window.hurt=1>")
    settle(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download the audit bundle").click()
    started.value.save_as(tmp_path / "bundle.zip")
    head = page.locator(".formal").filter(has_text=re.compile("^[0-9a-f]{64}$")).inner_text()
    verdict = check((tmp_path / "bundle.zip").read_bytes(), head)
    assert (verdict.wrong, verdict.proved) == ([], True)
    page.get_by_role("button", name="Show the model card").click()
    card = page.frame_locator("iframe")
    expect(card.get_by_role("heading", name="Model card for decision")).to_be_visible()
    expect(card.get_by_text("Granting loans <img src=x")).to_be_visible()
    expect(card.get_by_role("heading", name="For whom")).to_be_visible()
    expect(card.get_by_role("cell", name="gender female")).to_be_visible()
    assert page.evaluate("window.hurt") is None
    window.shoot("handover")


def test_events_are_looked_for_and_the_heads_shown(window: Window, bench: Bench) -> None:
    """By what and of what; a moment that is none is said; the verdict shows the head and the key."""
    ruleset = bench.fresh()
    bench.edit(ruleset, "disable R1")
    page = window.open(f"/r/{ruleset}/audit")
    lines = page.get_by_role("group", name="Events").locator("tbody tr")
    page.get_by_role("textbox", name="Of what").fill(ruleset)
    settle(page)
    page.get_by_role("button", name="Show these").click()
    expect(lines).to_have_count(2)
    page.get_by_role("textbox", name="What", exact=True).fill("edit rules")
    page.get_by_role("textbox", name="What", exact=True).press("Enter")
    expect(lines).to_have_count(1)
    page.get_by_role("textbox", name="Who").fill("nobody")
    page.get_by_role("textbox", name="Who").press("Enter")
    expect(page.get_by_text("No event is like this.")).to_be_visible()
    page.get_by_role("textbox", name="From the moment on").fill("yesterday")
    page.get_by_role("textbox", name="From the moment on").press("Enter")
    expect(page.get_by_role("alert").filter(has_text="'yesterday' is no moment")).to_be_visible()
    page.get_by_role("button", name="Check the chain").click()
    key = bench.api.get("/v1/audit/verify").json()["key"]
    expect(page.get_by_role("cell", name=key)).to_be_visible()
    window.shoot("audit-heads")


def test_two_revisions_stand_side_by_side_and_any_is_restored(window: Window, bench: Bench) -> None:
    """Each rule beside its other self, how many decisions differ, and one step back even to what was undone."""
    ruleset = bench.fresh()
    bench.edit(ruleset, "new IF age < 40 THEN deny")
    undone = bench.api.get(f"/v1/rulesets/{ruleset}").json()
    bench.edit(ruleset, "undo")
    bench.edit(ruleset, "disable R1")
    page = window.open(f"/r/{ruleset}/history")
    page.get_by_label("The new revision").select_option(undone["revision"])
    side = page.get_by_role("group", name="Rules that differ")
    expect(side.get_by_role("row").filter(has_text="IF age < 40 THEN deny")).to_contain_text("added")
    page.get_by_role("button", name="What do they decide differently?").click()
    expect(page.get_by_text("decisions differ")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("approve -> deny", exact=True)).to_be_visible()
    window.shoot("history-compare")
    with page.expect_navigation():
        page.get_by_role("button", name="Restore the rules as after step 1").click()
    now = bench.api.get(f"/v1/rulesets/{ruleset}").json()
    assert now["content"] == undone["content"]
    steps = bench.api.get(f"/v1/rulesets/{ruleset}/history").json()["history"]
    assert [step["edit"].split()[0] for step in steps] == ["new", "undo", "disable", "restore"]


def test_what_opens_is_as_usable_as_what_is_there(bench: Bench, chromium: Browser) -> None:
    """The columns of a table, a distribution and a card: nothing serious for axe, dark, on a tablet; none too wide."""
    ruleset = bench.ruleset()["id"]
    window = Window(chromium, bench.base, width=820, dark=True)
    page = window.open("/")
    page.get_by_label("A table that is here already").select_option(index=1)
    expect(page.get_by_role("article", name="Column age")).to_be_visible()
    page.get_by_role("checkbox", name="age is sensitive").check()
    looked_at(window, "review-dark")
    page = window.open(f"/r/{ruleset}/rules")
    page.get_by_role("button", name=re.compile("^Outcome of R2")).click()
    page.get_by_label("Outcome", exact=True).select_option("shares")
    expect(page.get_by_role("slider").first).to_be_visible()
    looked_at(window, "distribution-dark")
    page = window.open(f"/r/{ruleset}/export")
    page.get_by_text("What only people know").click()
    page.get_by_role("button", name="Show the model card").click()
    expect(page.locator("iframe")).to_be_visible()
    looked_at(window, "handover-dark")
    assert (window.wrong, window.elsewhere) == ([], [])
    window.page.close()


def looked_at(window: Window, name: str) -> None:
    """Have axe look at a page, and see that it needn't be scrolled sideways."""
    window.page.wait_for_timeout(300)
    window.shoot(name)
    results = Axe().run(window.page).response["violations"]
    serious = [
        (one["id"], [node["html"][:150] for node in one["nodes"][:3]])
        for one in results
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == [], name
    assert window.page.evaluate("document.documentElement.scrollWidth") <= 820, name
