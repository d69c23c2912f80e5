"""What is said beside the rules: tags, reasons, warnings, and what the extraction said of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ruleedit.conflicts import open_conflicts
from ruleedit.conflicts.kept import Kept
from ruleedit.drafts import Draft
from ruleedit.rules import Rule
from service.workbench import words
from service.workbench.tags import Tag


def tags(draft: Draft) -> dict[str, list[tuple[str, str]]]:
    """What stands beside a rule: new, edited, confirmed, remainder, conflicts and overlaps."""
    base = {rule.id for rule in draft.base}
    tags: dict[str, list[tuple[str, str]]] = {}
    for rule in draft.rules:
        if rule.remainder_of:
            tags.setdefault(rule.id, []).append((f"rest of {rule.remainder_of}", ""))
        elif rule.id not in base:
            tags.setdefault(rule.id, []).append(("new", "new"))
        elif rule.asserted:
            tags.setdefault(rule.id, []).append(("confirmed" if rule.confirmed else "edited", "edited"))
        if not rule.enabled:
            tags.setdefault(rule.id, []).append(("disabled", "edited"))
    for conflict in open_conflicts(draft.rules, draft.schema):
        for rule_id in conflict.rules:
            others = ", ".join(other for other in conflict.rules if other != rule_id)
            tags.setdefault(rule_id, []).append((f"conflicts with {others}", "conflict"))
    return tags


def why(draft: Draft, rule: Rule) -> str:
    """The reason of the last step that changed a rule and wasn't taken back."""
    standing = set(draft.standing)
    for at in range(len(draft.history) - 1, -1, -1):
        step = draft.history[at]
        if at in standing and any(put.id == rule.id for _, put in step.change.put):
            return step.reason
    return ""


@dataclass(frozen=True)
class Warned:
    """What is said of a draft already: its warnings, and the rules of each open conflict; ``kept`` knows its boxes."""

    warnings: frozenset[str]
    conflicts: frozenset[frozenset[str]]
    kept: Kept = field(repr=False, compare=False)

    @classmethod
    def of(cls, draft: Draft) -> Warned:
        """Of a draft as it is kept; worth keeping while edits are tried on it."""
        kept = Kept(draft.schema)
        rules = (frozenset(one.rules) for one in open_conflicts(draft.rules, draft.schema, kept))
        return cls(frozenset(draft.warnings(kept)), frozenset(rules), kept)


def new_warnings(before: Warned, after: Draft) -> list[str]:
    """What an edit brings about that it should be said for: empty, covered, overlapping, in conflict."""
    found = [warning for warning in after.warnings(before.kept) if warning not in before.warnings]
    for conflict in open_conflicts(after.rules, after.schema, before.kept):
        if frozenset(conflict.rules) not in before.conflicts:
            found.append(f"conflict: {' and '.join(conflict.rules)} cover the same rows and say different things")
    return found[:3]


def origin(draft: Draft) -> str:
    """What the extraction said of itself, in words."""
    holdout = draft.origin.get("holdout")
    said = []
    if isinstance(holdout, Mapping) and "agreement" in holdout:
        low, high = holdout.get("interval", (holdout["agreement"],) * 2)
        within = f"{words.share(holdout['agreement'])} (±{50 * (high - low):.1f})"
        said.append(f"as extracted they agree with it on {within} of {words.count(holdout['rows'])} held-out rows")
    if "clauses" in draft.origin:
        said.append(f"{draft.origin['clauses']} clauses")
    return " · ".join(said)


def unexplained(draft: Draft) -> None:
    """Where the rules, as extracted, and the model disagree: how many rows, and mostly where."""
    found = draft.origin.get("unexplained")
    if not isinstance(found, Mapping) or not found.get("wrong"):
        return
    with Tag("article", look="re-card", aria_label="What the rules do not explain"):
        rows = f"{words.count(found['wrong'])} of {words.count(found['rows'])} held-out rows"
        Tag("b", f"Unexplained: {words.share(found['share'])}")
        Tag("p", f"On {rows} the extracted rules say something else than the model.", "quiet")
        for region in found.get("regions", []):
            share = region["wrong"] / max(region["rows"], 1)
            said = f"{region['where']}: {words.count(region['wrong'])} of {words.count(region['rows'])} rows"
            Tag("p", f"{said} ({words.share(share, 0)})", "formal small")
