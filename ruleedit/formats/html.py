"""Rules as a report for people: one HTML page that loads nothing and runs nothing, and prints well.

Every name, category, reason and author goes through Jinja2's autoescape, and a content security policy forbids all
but the page's own style sheet, known by its hash.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from ruleedit.conflicts import effective, open_conflicts
from ruleedit.drafts import Draft
from ruleedit.formats.cells import Figures, figures
from ruleedit.formats.page import POLICY, STYLE, clause_words, outcome_words, template
from ruleedit.rules import Rule, Settlement

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Rules for {{ target }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>Rules for <bdi class="name">{{ target }}</bdi></h1>
<p>The first rule that covers a row decides it. A row that no rule covers gets {{ default }}.
A condition doesn't hold for a missing value unless it says so.</p>
{% if conflicts %}<p><strong>{{ conflicts }} of the conflicts between asserted rules
{{ "is" if conflicts == 1 else "are" }} not settled</strong>; until then the earlier rule decides.</p>{% endif %}
<h2>Rules, in order</h2>
<table>
<thead><tr><th>Rule</th><th>Says</th><th>From</th>{% for part in parts %}<th class="number">{{ part }} rows decided</th>
<th class="number">model agrees</th>{% endfor %}</tr></thead>
<tbody>
{% for rule in rules %}<tr{% if not rule.enabled %} class="off"{% endif %}>
<td><bdi>{{ rule.id }}</bdi></td>
<td>{{ rule.sentence }}{% if not rule.enabled %} <span class="note">(disabled)</span>{% endif %}
{% for step in rule.steps %}<div class="note"><bdi>{{ step.author }}</bdi>: <bdi>{{ step.edit }}</bdi>
({{ "no reason given" if not step.reason else "" }}<bdi>{{ step.reason }}</bdi>)</div>{% endfor %}</td>
<td>{{ rule.source }}</td>
{% for cell in rule.cells %}<td class="number">{{ cell }}</td>{% endfor %}
</tr>
{% endfor %}</tbody>
</table>
<h2>Settled conflicts</h2>
{% if settlements %}<ul>
{% for item in settlements %}<li>{{ item }}</li>
{% endfor %}</ul>{% else %}<p>None.</p>{% endif %}
<h2>Edits</h2>
{% if steps %}<table>
<thead><tr><th class="number">Step</th><th>Edit</th><th>Who</th><th>Why</th><th>Revision</th></tr></thead>
<tbody>
{% for step in steps %}<tr><td class="number">{{ loop.index }}</td><td><bdi>{{ step.edit }}</bdi></td>
<td><bdi>{{ step.author }}</bdi></td><td><bdi>{{ step.reason }}</bdi></td>
<td><code>{{ step.revision[:12] }}</code></td></tr>
{% endfor %}</tbody>
</table>{% else %}<p>Nobody has edited these rules.</p>{% endif %}
<h2>Where they come from</h2>
<dl>
{% for name, value in facts %}<dt>{{ name }}</dt><dd><bdi>{{ value }}</bdi></dd>
{% endfor %}</dl>
</body>
</html>
"""


def dumps(draft: Draft) -> str:
    """The draft as a report: rules as sentences, outcomes, who asserted what and why, settlements and figures."""
    page = template(_PAGE)
    rules = effective(draft.rules, draft.schema)
    parts = {name: figures(draft, part) for name, part in (("training", "train"), ("held-out", "holdout"))}
    parts = {name: found for name, found in parts.items() if found}
    rows = [_row(rule, draft, parts) for rule in rules]
    text: str = page.render(
        target=draft.schema.target,
        default=outcome_words(rules.default),
        conflicts=len(open_conflicts(draft.rules, draft.schema)),
        parts=[name.capitalize() for name in parts],
        rules=[*rows, _default_row(draft, parts)],
        settlements=[_settlement(item) for item in draft.rules.settlements],
        steps=draft.history,
        facts=_facts(draft),
        style=STYLE,
        policy=POLICY,
    )
    return text


def _row(rule: Rule, draft: Draft, parts: Mapping[str, Mapping[str | None, Figures]]) -> dict[str, Any]:
    clauses = Markup(" and ").join(map(clause_words, rule.clauses))
    return {
        "id": rule.id,
        "enabled": rule.enabled,
        "sentence": Markup("If {}, then {}.").format(clauses, outcome_words(rule.outcome)),
        "source": _source(rule, draft),
        "steps": [step for step in draft.history if any(put.id == rule.id for _, put in step.change.put)],
        "cells": _cells(rule.id, parts),
    }


def _default_row(draft: Draft, parts: Mapping[str, Mapping[str | None, Figures]]) -> dict[str, Any]:
    sentence = Markup("Otherwise {}.").format(outcome_words(draft.rules.default))
    steps = [step for step in draft.history if step.change.default is not None]
    said = {"id": "default", "enabled": True, "sentence": sentence, "source": "the rest"}
    return said | {"steps": steps, "cells": _cells(None, parts)}


def _source(rule: Rule, draft: Draft) -> str:
    """Where a rule comes from, in a few words."""
    if rule.id not in draft.rules.ids:
        return "a settled conflict"
    if rule.remainder_of:
        return f"what an edit of {rule.remainder_of} uncovered"
    if rule.part_of:
        return f"asserted, a part of {rule.part_of}"
    if rule.confirmed:
        return "extracted and confirmed"
    return "asserted" if rule.asserted else "extracted"


def _cells(rule_id: str | None, parts: Mapping[str, Mapping[str | None, Figures]]) -> list[str]:
    cells: list[str] = []
    for part in parts.values():
        found = part.get(rule_id)
        cells.append("" if found is None else f"{found.decided:,}")
        cells.append("" if found is None or found.precision is None else f"{found.precision:.1%}")
    return cells


def _settlement(item: Settlement) -> Markup:
    first, second = map(escape, item.rules)
    if item.outcome is not None:
        said = Markup("where both hold the answer is {}").format(outcome_words(item.outcome))
    else:
        said = Markup("where both hold {} decides").format(item.winner)
    return Markup("<bdi>{}</bdi> and <bdi>{}</bdi>, by {}: {}.").format(first, second, item.strategy, said)


def _facts(draft: Draft) -> list[tuple[str, str]]:
    """What identifies the rules, and how they were extracted."""
    facts = [("Content", draft.content), ("Revision", draft.revision)]
    for name, key in (("Method", "method"), ("Model", "model"), ("Data fingerprint", "fingerprint"), ("Seed", "seed")):
        if draft.origin.get(key) is not None:
            facts.append((name, str(draft.origin[key])))
    for name, key in (("Agreement with the model, training rows", "train"), ("… held-out rows", "holdout")):
        measured = draft.origin.get(key)
        if isinstance(measured, Mapping) and isinstance(measured.get("agreement"), float):
            facts.append((name, f"{measured['agreement']:.1%} of {int(measured['rows']):,}"))
    facts.append(("Classes", ", ".join(draft.schema.classes)))
    return facts
