"""The model card: what a release is for, what it was made of, how well it does, for whom, and who to complain to.

What only people know (purpose, limits, contact) comes from them and is said to be not given where it isn't. Source of
the sections: M. Mitchell et al., *Model Cards for Model Reporting* (FAT* 2019), section 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from markupsafe import Markup

from ruleedit.bundle.effect import Measured
from ruleedit.conflicts import effective
from ruleedit.drafts import Draft
from ruleedit.errors import FileRefused
from ruleedit.files import read_json
from ruleedit.formats.page import POLICY, STYLE, clause_words, outcome_words, template
from ruleedit.release import Release
from ruleedit.rules import Rule

NOT_GIVEN = "Not given."
_TITLES = {
    "purpose": "Purpose",
    "users": "Meant for",
    "out_of_scope": "Not meant for",
    "data": "Where the data is from",
    "contact": "Who answers for it",
    "complaints": "Who to complain to",
}
#: The longest text of a card's field.
LONGEST = 10_000


@dataclass(frozen=True)
class Card:
    """What people say of a release; empty where nobody said it. ``limits`` are known limits, one a text."""

    purpose: str = ""
    users: str = ""
    out_of_scope: str = ""
    data: str = ""
    contact: str = ""
    complaints: str = ""
    limits: tuple[str, ...] = ()

    @classmethod
    def loads(cls, text: str, where: str = "the card") -> Card:
        """Read a card's JSON: an object with any of the fields; raises `FileRefused`."""
        data = read_json(text, where)
        known = [field.name for field in fields(cls)]
        if not isinstance(data, Mapping) or (strange := [name for name in data if name not in known]):
            told = f"the unknown key {strange[0]!r}" if isinstance(data, Mapping) else "no JSON object"
            raise FileRefused(f"{where} has {told}; known are {', '.join(known)}")
        limits = data.get("limits", [])
        if not isinstance(limits, list) or not all(isinstance(item, str) for item in [*limits, *_texts(data)]):
            raise FileRefused(f"{where}: its fields are texts, and 'limits' is a list of texts")
        if any(len(item) > LONGEST for item in [*limits, *_texts(data)]):
            raise FileRefused(f"{where}: a field has more than {LONGEST:,} characters")
        return replace(cls(**{name: value for name, value in data.items() if name != "limits"}), limits=tuple(limits))

    def to_json(self) -> dict[str, Any]:
        """As JSON; null where nothing is given."""
        return {name: value or None for name, value in asdict(self).items()} | {"limits": list(self.limits)}


def _texts(data: Mapping[str, Any]) -> list[Any]:
    return [value for name, value in data.items() if name != "limits"]


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card for {{ target }}</title>
<style>{{ style }}</style>
</head>
<body>
<h1>Model card for <bdi class="name">{{ target }}</bdi></h1>
<dl>
{% for title, text in said %}<dt>{{ title }}</dt><dd><bdi>{{ text }}</bdi></dd>
{% endfor %}</dl>
<h2>How well it does</h2>
{% if figures %}<p>On {{ "{:,}".format(figures.rows) }}{% if figures.rows != figures.of %} of
{{ "{:,}".format(figures.of) }}{% endif %} held-out rows, on which nothing was trained.</p>
<table>
<thead><tr><th>Who answers</th><th class="number">accuracy</th><th>What it is</th></tr></thead>
<tbody>
{% for name, share, what in baselines %}<tr><td>{{ name }}</td><td class="number">{{ share }}</td>
<td><bdi>{{ what }}</bdi></td></tr>
{% endfor %}</tbody>
</table>
<p>The rules before the edits answer as the model did on {{ percent(figures.baselines.rules.fidelity) }} of these rows
(fidelity). The edits change {{ "{:,}".format(figures.changed) }} decisions{% if flips %}
({% for pair, count in flips %}<bdi>{{ pair }}</bdi> {{ count }}{{ ", " if not loop.last }}{% endfor %}){% endif %}.</p>
{% else %}<p>Not measured here: the release was written without rows.</p>{% endif %}
<h2>Edits in force</h2>
<p>{{ mode }} Where nothing is asked, {{ outside }}.</p>
<table>
<thead><tr><th>Rule</th><th>Asks for</th><th class="number">rows</th><th class="number">agreed before</th>
<th class="number">after</th></tr></thead>
<tbody>
{% for item in feedback %}<tr><td><bdi>{{ item.rule }}</bdi></td><td><bdi>{{ item.outcome }}</bdi></td>
<td class="number">{{ "{:,}".format(item.coverage) }}</td><td class="number">{{ percent(item.mra_before) }}</td>
<td class="number">{{ percent(item.mra_after) }}</td></tr>
{% endfor %}</tbody>
</table>
<table>
<thead><tr><th>Edit</th><th>Who</th><th>Why</th></tr></thead>
<tbody>
{% for step in steps %}<tr><td><bdi>{{ step.edit }}</bdi></td><td><bdi>{{ step.author or "not given" }}</bdi></td>
<td><bdi>{{ step.reason or "not given" }}</bdi></td></tr>
{% endfor %}</tbody>
</table>
<h2>For whom</h2>
{% if groups %}<table>
<thead><tr><th>Group</th><th class="number">rows</th><th class="number">changed</th>
<th class="number">accuracy before</th>
<th class="number">after</th>{% for name in classes %}<th class="number"><bdi>{{ name }}</bdi> before</th>
<th class="number">after</th>{% endfor %}</tr></thead>
<tbody>
{% for item in groups %}<tr><td><bdi class="name">{{ item.feature }}</bdi>
{% if item.missing %}missing{% elif item.value is none %}never seen before
{% else %}<bdi class="value">{{ item.value }}</bdi>
{% endif %}</td><td class="number">{{ "{:,}".format(item.rows) }}</td><td class="number">{{ item.changed }}</td>
<td class="number">{{ percent(item.accuracy_before) }}</td><td class="number">{{ percent(item.accuracy_after) }}</td>
{% for name in classes %}<td class="number">{{ percent(item.before[name]) }}</td>
<td class="number">{{ percent(item.after[name]) }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>{% else %}<p>No groups were asked for (option --group).</p>{% endif %}
<h2>Rules in force, in order</h2>
<table>
<thead><tr><th>Rule</th><th>Says</th><th>From</th></tr></thead>
<tbody>
{% for id, sentence, source in rules %}<tr><td><bdi>{{ id }}</bdi></td><td>{{ sentence }}</td><td>{{ source }}</td></tr>
{% endfor %}</tbody>
</table>
<h2>Model and data</h2>
<dl>
{% for name, value in facts %}<dt>{{ name }}</dt><dd><bdi>{{ value }}</bdi></dd>
{% endfor %}</dl>
<table>
<thead><tr><th>Feature</th><th>Kind</th><th>Missing values</th><th>Values</th></tr></thead>
<tbody>
{% for feature in features %}<tr><td><bdi class="name">{{ feature.name }}</bdi></td><td>{{ feature.kind }}</td>
<td>{{ "allowed" if feature.missing else "forbidden" }}</td><td><bdi>{{ feature.span }}</bdi></td></tr>
{% endfor %}</tbody>
</table>
<h2>Known limits</h2>
{% if limits %}<ul>
{% for text in limits %}<li><bdi>{{ text }}</bdi></li>
{% endfor %}</ul>{% endif %}
{% if not given_limits %}<p>Limits that people know of: {{ not_given | lower }}</p>{% endif %}
</body>
</html>
"""
_MODES = {
    "overlay-hard": (
        "A hard overlay: a row for which something is asked gets that answer.",
        "the model answers as it is",
    ),
    "overlay-soft": (
        "A soft overlay: the model is asked about such a row moved into the rule's region, and may still disagree.",
        "the model answers as it is",
    ),
    "retrain": ("The edits were learned by a new model.", "some answers may have changed: collateral"),
    "graft": ("The edits are trees in the model's file.", "its scores are the same to the bit"),
}


def card_html(release: Release, card: Card, measured: Measured | None) -> str:
    """A release's card as one page that loads nothing and runs nothing; ``measured`` None: without figures."""
    draft = release.draft
    assert draft is not None, "a model without edits has no card"
    figures = None if measured is None else measured.figures
    limits = [*card.limits, *release.model.notes, *map(str, release.report.get("notes", ()))]
    text: str = template(_PAGE).render(
        target=release.schema.target,
        said=[(title, getattr(card, name) or NOT_GIVEN) for name, title in _TITLES.items()],
        figures=figures,
        baselines=[] if figures is None else _baselines(figures),
        flips=[] if figures is None else [(pair, f"{count:,}") for pair, count in figures["flips"].items()],
        mode=_MODES[release.mode][0],
        outside=_MODES[release.mode][1],
        feedback=(figures or release.report)["feedback"],
        steps=draft.history,
        groups=[] if figures is None else figures["groups"],
        classes=release.schema.classes,
        rules=_rules(draft),
        facts=_facts(release),
        features=[_feature(item) for item in release.schema.to_json()["features"]],
        limits=limits,
        given_limits=bool(card.limits),
        not_given=NOT_GIVEN,
        percent=_percent,
        style=STYLE,
        policy=POLICY,
    )
    return text


def _percent(share: float | None) -> str:
    return "not known" if share is None else f"{share:.1%}"


def _baselines(figures: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    base, accuracy = figures["baselines"], figures["accuracy"]
    majority = base["majority"]
    return [
        ("The release, edits in force", _percent(accuracy["after"]), ""),
        ("The model before the edits", _percent(accuracy["before"]), ""),
        ("The rules alone", _percent(base["rules"]["accuracy"]), "the rule list that summarises the model, without it"),
        ("Always one class", _percent(majority["accuracy"]), f"the commonest in training: {majority['class']}"),
        ("Chance", _percent(base["random"]["accuracy"]), "by the classes' shares in training"),
    ]


def _rules(draft: Draft) -> list[tuple[str, Markup, str]]:
    listed = effective(draft.rules, draft.schema)
    told = [(rule.id, _sentence(rule), _source(rule, draft)) for rule in listed.enabled]
    last = Markup("Otherwise {}.").format(outcome_words(listed.default))
    return [*told, ("", last, "the rest")]


def _sentence(rule: Rule) -> Markup:
    clauses = Markup(" and ").join(map(clause_words, rule.clauses))
    return Markup("If {}, then {}.").format(clauses, outcome_words(rule.outcome))


def _source(rule: Rule, draft: Draft) -> str:
    if rule.id not in draft.rules.ids:
        return "a settled conflict"
    return "asserted by people" if rule.asserted else "extracted from the model"


def _facts(release: Release) -> list[tuple[str, str]]:
    """What identifies model and data, and how they were made."""
    model = release.before or release.model
    counts = zip(release.schema.classes, model.background.class_counts, strict=True)
    facts = [
        ("Model", f"LightGBM, {len(model.file.trees):,} trees, objective {model.file.objective}"),
        ("Trained by", "somebody else, and adopted" if model.adopted else f"RuleEdit, seed {model.seed}"),
        ("Training rows by class", ", ".join(f"{name} {count:,}" for name, count in counts)),
        ("Rows of the table, held-out ones included", f"{model.background.rows:,}"),
        ("Data fingerprint", model.background.fingerprint),
        ("Model file before the edits (SHA-256)", model.file.hash),
        ("Rules (revision)", release.draft.revision if release.draft else ""),
    ]
    if release.before is not None:
        facts.append(("Model file in force (SHA-256)", release.model.file.hash))
    thresholds = zip(release.schema.classes, model.thresholds, strict=True)
    return [*facts, ("Thresholds", ", ".join(f"{name} {value:.3g}" for name, value in thresholds))]


def _feature(item: Mapping[str, Any]) -> dict[str, Any]:
    """A feature with its values in a few words."""
    categories: Sequence[str] = item.get("categories", ())
    values = ", ".join(categories[:12]) + (f" and {len(categories) - 12} more" if len(categories) > 12 else "")
    if item["kind"] in ("numeric", "integer"):
        low, high = ("open" if bound is None else f"{bound:g}" for bound in (item["low"], item["high"]))
        values = f"{low} to {high}"
    return {**item, "span": values or "false, true"}
