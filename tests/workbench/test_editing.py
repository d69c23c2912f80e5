"""Editing in Chromium: every way to change a rule, by pointer, by text and by keyboard, with its effect beside it."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.workbench.conftest import Bench, Window
from tests.workbench.test_pages import YOUNG, apply, reason


@pytest.fixture
def own(bench: Bench) -> str:
    """A rule set of this test's own."""
    return bench.fresh()


def rules(bench: Bench, ruleset: str) -> list[dict[str, object]]:
    """The rules as they are kept."""
    found: list[dict[str, object]] = bench.api.get(f"/v1/rulesets/{ruleset}").json()["rules"]
    return found


def typing(page: Page, text: str) -> None:
    """Begin a new edit and type."""
    page.get_by_role("button", name="Type an edit").click()
    box = page.get_by_role("combobox", name="An edit as text")
    expect(box).to_be_focused()
    box.press_sequentially(text, delay=5)


def test_an_edit_is_completed_word_by_word_with_the_keyboard_alone(window: Window, bench: Bench, own: str) -> None:
    """Arrows choose, Tab and Enter take, also in the middle of the text; Enter with nothing chosen applies."""
    page = window.open(f"/r/{own}/rules")
    typing(page, "new IF emp")
    offered = page.locator(".re-next [role=option]")
    expect(offered).to_have_text(["employment"])
    page.keyboard.press("ArrowDown")
    expect(offered).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    box = page.get_by_role("combobox", name="An edit as text")
    expect(box).to_have_value("new IF employment ")
    expect(box).to_be_focused()
    box.press_sequentially("= ")
    for word in ("student", "THEN", "deny"):
        box.press_sequentially(word[:2], delay=5)
        expect(offered).to_have_text([word])
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    expect(box).to_have_value("new IF employment = student THEN deny ")
    expect(page.get_by_text("Impact of this edit")).to_be_visible()
    # In the middle: another value where the caret stands, the rest kept.
    page.evaluate("document.activeElement.setSelectionRange(20, 27)")
    box.press_sequentially("ret", delay=5)
    expect(offered).to_have_text(["retired"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(box).to_have_value("new IF employment = retired THEN deny ")
    reason(page, "by keyboard")
    box.focus()
    with page.expect_navigation():
        page.keyboard.press("Enter")
    made = next(rule for rule in rules(bench, own) if "employment = retired" in str(rule["text"]))
    # The keyboard is at the rule that is new.
    page.wait_for_function(f"document.activeElement.closest('[data-rule={json.dumps(made['id'])}]')")


def test_what_is_wrong_is_marked_under_the_word(window: Window, own: str) -> None:
    """The word alone, with the problem beneath; nothing is marked once it is right."""
    page = window.open(f"/r/{own}/rules")
    typing(page, "new IF agee > 25 THEN deny")
    word = page.locator(".re-wrong .word")
    expect(word).to_have_text("agee")
    expect(page.get_by_role("alert").filter(has_text="did you mean 'age'")).to_be_visible()
    box = page.get_by_role("combobox", name="An edit as text")
    expect(box).to_have_attribute("aria-invalid", "true")
    # It stands under the very letters: same font, same left edge.
    left = page.evaluate(
        """() => { const box = document.querySelector('.re-input.formal');
        const word = document.querySelector('.re-wrong .word');
        const context = document.createElement('canvas').getContext('2d'); context.font = getComputedStyle(box).font;
        const ahead = context.measureText('new IF ').width + parseFloat(getComputedStyle(box).paddingLeft) + 1;
        return Math.abs(box.getBoundingClientRect().left + ahead - word.getBoundingClientRect().left); }"""
    )
    assert left < 3
    window.shoot("wrong-word")
    box.fill("new IF agee > 25 AND ")
    expect(word).to_have_text("agee")
    expect(page.get_by_role("alert").filter(has_text="did you mean 'age'")).to_be_visible()
    box.fill("new IF age > 25 THEN deny")
    expect(word).to_have_count(0)
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)


def test_a_clause_can_be_typed_where_it_stands(window: Window, bench: Bench, own: str) -> None:
    """The text and the slider are one: each follows the other, and a wrong word is marked there too."""
    page = window.open(f"/r/{own}/rules")
    page.locator(".re-chip:not(.add)", has_text="income").first.click()
    page.get_by_text("As text").click()
    box = page.get_by_role("combobox", name="The clause as text")
    page.get_by_role("slider").press("ArrowLeft")
    value = page.get_by_role("spinbutton", name="Value").input_value()
    expect(box).to_have_value(f"income <= {value}")
    box.fill("income <= much")
    expect(page.locator(".re-wrong .word, .re-wrong .re-problem").first).to_be_visible()
    page.get_by_role("button", name="Apply").click()
    assert len(bench.api.get(f"/v1/rulesets/{own}/history").json()["history"]) == 0
    box.fill("income <= 31234")
    expect(page.get_by_role("spinbutton", name="Value")).to_have_value("31234")
    expect(page.locator("aside .formal")).to_contain_text("31234")
    reason(page, "typed")
    apply(page)
    assert any("income <= 31234" in str(rule["text"]) for rule in rules(bench, own))


def test_a_clause_is_dropped_only_when_that_is_applied(window: Window, bench: Bench, own: str) -> None:
    """Pressing Drop shows what it would do; Escape leaves all as it was, Apply drops it."""
    before = [rule["text"] for rule in rules(bench, own)]
    page = window.open(f"/r/{own}/rules")
    chip = page.locator(".re-chip:not(.add)", has_text="guarantor").first
    chip.click()
    page.get_by_role("button", name="Drop clause").click()
    expect(page.locator(".re-chip b")).to_have_text("dropped")
    expect(page.locator("aside .formal")).to_contain_text("drop R")
    page.keyboard.press("Escape")
    expect(chip).to_be_focused()
    assert [rule["text"] for rule in rules(bench, own)] == before
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Drop clause").click()
    reason(page, "a guarantor is no matter")
    apply(page)
    assert bench.api.get(f"/v1/rulesets/{own}/history").json()["history"][0]["edit"].startswith("drop R")


def test_ctrl_z_takes_back_the_last_edit_from_wherever_the_keyboard_is(window: Window, bench: Bench, own: str) -> None:
    """On a chip it undoes the edit; in a field it undoes what was typed, and the rules stay."""
    first = [rule["text"] for rule in rules(bench, own)]
    bench.edit(own, "disable R1")
    page = window.open(f"/r/{own}/rules")
    search = page.get_by_role("searchbox")
    search.press_sequentially("inc")
    page.keyboard.press("Control+z")
    page.wait_for_timeout(300)
    assert not rules(bench, own)[0]["enabled"]
    search.fill("")
    page.locator(".re-chip").first.focus()
    with page.expect_navigation():
        page.keyboard.press("Control+z")
    assert rules(bench, own)[0]["enabled"]
    assert [rule["text"] for rule in rules(bench, own)] == first


def test_a_rule_is_moved_with_alt_and_an_arrow_or_to_any_place(window: Window, bench: Bench, own: str) -> None:
    """Alt and an arrow ask why and show the effect; the place can be another; the keyboard stays at the rule."""
    names = [rule["id"] for rule in rules(bench, own)]
    page = window.open(f"/r/{own}/rules")
    page.wait_for_function("() => Boolean(window.focusRule)")
    page.locator(f'[data-rule="{names[2]}"] .re-chip').first.focus()
    page.keyboard.press("Alt+ArrowUp")
    place = page.get_by_role("spinbutton", name="Place from 1 to")
    expect(place).to_have_value("2")
    place.fill("99")
    expect(page.get_by_role("alert").filter(has_text="Give a place")).to_be_visible()
    place.fill("1")
    expect(page.locator("aside .formal")).to_contain_text(f"move {names[2]} before {names[0]}")
    reason(page, "it goes first")
    apply(page)
    assert rules(bench, own)[0]["id"] == names[2]
    expect(page.locator(f'[data-rule="{names[2]}"] .re-chip').first).to_be_focused()


def test_what_can_be_done_with_a_rule_is_one_press_away(window: Window, bench: Bench, own: str) -> None:
    """A copy is made behind it, disabled; Escape closes what was opened and gives the keyboard back."""
    names = [rule["id"] for rule in rules(bench, own)]
    page = window.open(f"/r/{own}/rules")
    more = page.get_by_role("button", name=f"Actions for {names[0]}")
    more.focus()
    page.keyboard.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    page.get_by_role("button", name=f"Disable {names[0]}").click()
    expect(page.get_by_label("Reason for this edit")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Impact of this draft")).to_be_visible()
    page.get_by_role("button", name=f"Copy {names[0]}").click()
    reason(page, "to try")
    apply(page)
    found = rules(bench, own)
    assert (found[1]["enabled"], found[1]["text"]) == (False, found[0]["text"])


def test_rules_are_seen_at_a_glance_and_grouped_by_outcome(window: Window, bench: Bench, own: str) -> None:
    """A press on a part of a bar goes to its rule; groups stand under their outcome, each rule once."""
    page = window.open(f"/r/{own}/rules")
    part = page.locator(".re-cover button:not(.rest)").last
    name = str(part.get_attribute("aria-label")).split(":")[0]
    part.click()
    expect(page.locator(f'[data-rule="{name}"] .re-chip').first).to_be_focused()
    page.get_by_label("Group the rules").select_option("outcome")
    expect(page.locator(".re-group").first).to_contain_text("rules,")
    heads = page.locator(".re-group").all_inner_texts()
    assert len({head.split()[1] for head in heads}) == len(heads)
    assert page.locator("article[data-rule]").count() == len(rules(bench, own))


def test_of_many_features_a_search_finds_the_one_for_a_new_clause(window: Window, bench: Bench, own: str) -> None:
    """Type a part of its name, choose, and the clause is added as one step."""
    page = window.open(f"/r/{own}/rules")
    name = rules(bench, own)[0]["id"]
    page.get_by_role("button", name=f"Add a clause to {name}").click()
    page.get_by_role("searchbox", name="Which feature?").fill("late")
    page.locator(".editor-place").get_by_role("button", name="late payments").click()
    page.get_by_role("spinbutton", name="Value").fill("2")
    expect(page.get_by_text("Impact of this edit")).to_be_visible()
    reason(page, "only who was late")
    apply(page)
    assert "late_payments > 2" in str(rules(bench, own)[0]["text"])


def test_a_row_is_marked_as_a_counterexample_and_every_edit_is_measured_by_it(
    window: Window, bench: Bench, own: str
) -> None:
    """From What if to the rule, to an edit that leaves the row out at a price that is said, and answers it."""
    page = window.open(f"/r/{own}/what-if")
    for name, value in (YOUNG | {"age": 24}).items():
        field = page.get_by_label(name.replace("_", " "), exact=True)
        if isinstance(value, str | bool):
            field.select_option(label=str(value).lower() if isinstance(value, bool) else value)
        else:
            field.fill(str(value))
            field.press("Tab")
    expect(page.locator(".re-big")).to_contain_text("deny")
    expect(page.locator("[aria-busy]")).to_have_count(0)
    page.wait_for_timeout(300)
    page.get_by_text("is wrong here…").click()
    page.get_by_role("button", name="Mark as a counterexample").click()
    expect(page.get_by_role("alert").filter(has_text="Say why")).to_be_visible()
    reason(page, "the committee approved her")
    page.get_by_role("button", name="Mark as a counterexample").click()
    expect(page.get_by_role("status").filter(has_text="stands as a counterexample")).to_be_visible()
    page.get_by_role("link", name="To the rules").click()
    expect(page.get_by_text("Counterexamples: 0 of 1 answered as asked")).to_be_visible()
    expect(page.get_by_text("the committee approved her")).to_be_visible()
    page.get_by_role("button", name="What would leave it out?").click()
    offer = page.locator(".re-cases .re-chip").first
    expect(offer).to_contain_text("gives up")
    window.shoot("counterexample")
    name = bench.api.get(f"/v1/rulesets/{own}/counterexamples").json()["items"][0]["rule"]
    page.get_by_role("button", name="Type an edit").click()
    page.get_by_role("combobox", name="An edit as text").fill("new IF age = 24 AND income = 60000 THEN approve")
    expect(page.get_by_text("Counterexamples: 1 of 1 answered as asked")).to_be_visible()
    reason(page, "as the committee said")
    apply(page)
    expect(page.get_by_text("answered as asked", exact=True)).to_be_visible()
    # An edit that loses it again says so before it is made.
    page.get_by_role("button", name="Type an edit").click()
    page.get_by_role("combobox", name="An edit as text").fill("new IF age < 25 THEN deny before R1")
    expect(
        page.get_by_role("status").filter(has_text=f"A counterexample to {name} is answered deny again")
    ).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take it back…").click()
    page.locator(".re-cases").get_by_role("button", name="Cancel").click()
    expect(page.locator(".re-cases input")).to_have_count(0)
    page.get_by_role("button", name="Take it back…").click()
    page.get_by_role("button", name="Take it back", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Say why")).to_be_visible()
    page.get_by_label("Reason for this edit").last.fill("the committee met again")
    page.wait_for_timeout(200)
    with page.expect_navigation():
        page.get_by_role("button", name="Take it back", exact=True).click()
    expect(page.get_by_text("Counterexamples:")).to_have_count(0)
    event = bench.api.get("/v1/audit").json()["items"][0]
    assert (event["action"], event["reason"]) == ("withdraw counterexample", "the committee met again")


def test_the_boundary_is_drawn_over_any_two_features(window: Window, bench: Bench, own: str) -> None:
    """Both surfaces, what the draft changes, rules and rows; the same feature both ways changes their places."""
    bench.edit(own, "new IF age between 27 and 30 AND income >= 30000 THEN approve")
    page = window.open(f"/r/{own}/boundary")
    expect(page.get_by_role("img", name="With the draft in force")).to_be_visible()
    expect(page.get_by_text("The draft changes the decision in")).to_be_visible()
    drawn = page.locator("svg[role=img]").first
    assert drawn.locator(".dot").count() > 50
    across, upward = page.get_by_label("Across"), page.get_by_label("Upward")
    first, second = across.input_value(), upward.input_value()
    across.select_option(second)
    expect(upward).to_have_value(first)
    expect(page.get_by_role("img", name="The model: decisions over income and age")).to_be_visible()
    across.select_option("employment")
    expect(page.get_by_role("img", name="The model: decisions over employment and age")).to_be_visible()
    page.get_by_label("all else as in row").fill("99999999")
    page.keyboard.press("Tab")
    expect(page.get_by_role("alert").filter(has_text="There is no row")).to_be_visible()


def test_a_slider_of_what_if_moves_the_row_and_its_decision(window: Window, own: str) -> None:
    """The number beside it follows in the browser, the decision once it is known."""
    page = window.open(f"/r/{own}/what-if")
    expect(page.get_by_role("heading", name="What each value adds")).to_be_visible()
    slider = page.get_by_role("slider", name="Slider of debt ratio")
    slider.focus()
    page.keyboard.press("End")
    expect(page.get_by_label("debt ratio", exact=True)).to_have_value(slider.input_value())
    expect(page.locator(".re-big")).to_contain_text("deny")
    page.get_by_label("debt ratio", exact=True).fill("0.25")
    page.keyboard.press("Tab")
    expect(slider).to_have_value("0.25")
