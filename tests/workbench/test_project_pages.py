"""The project's pages in Chromium: its table and model, groups, putting in force, history, audit and export."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

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
