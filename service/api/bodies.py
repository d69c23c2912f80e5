"""What requests and answers look like; the OpenAPI description is made of these."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ruleedit.models.training import LARGEST_SEED
from ruleedit.surrogate.stability import MOST_EXTRACTIONS
from ruleedit.tables.groups import FOUR_FIFTHS, MOST_CUTS
from service.people import Role
from service.store.records import Reason as Why

Item = TypeVar("Item")


def _has_bytes(data: dict[str, Any]) -> dict[str, Any]:
    """Refuse JSON that no file can hold: lone surrogates, NaN."""
    json.dumps(data, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return data


def _has_zone(moment: datetime) -> datetime:
    """Refuse a moment of no time zone: nobody knows which one was meant."""
    if moment.tzinfo is None or not 2000 < moment.year < 9000:
        raise ValueError("give a moment with its time zone, as in 2026-12-31T18:00:00Z")
    return moment


Id: TypeAlias = Annotated[str, Field(max_length=100)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=200)]
Reason: TypeAlias = Annotated[str, Field(max_length=2_000, description="Why; it stays in the history.")]
Author: TypeAlias = Annotated[str, Field(max_length=200, description="Who; it stays in the history.")]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST_SEED, description="The same seed and data give the same.")]
#: Text of an edit: a rule has at most 10 KiB, the verb and the place some more.
EditText: TypeAlias = Annotated[str, Field(min_length=1, max_length=11_000)]
JsonObject: TypeAlias = Annotated[dict[str, Any], AfterValidator(_has_bytes)]
Thresholds: TypeAlias = dict[Annotated[str, Field(max_length=1_000)], Annotated[float, Field(allow_inf_nan=False)]]
Moment: TypeAlias = Annotated[datetime, Field(strict=False), AfterValidator(_has_zone)]
RELEASE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Asked(BaseModel):
    """A request's body: unknown keys are refused, so that a misspelt one isn't ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Told(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(frozen=True)


class Explained(Asked):
    """A request's body that says why; all of it stays in the audit, the words in the history too."""

    reason: Reason
    reason_code: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] | None = Field(
        default=None, description="The kind of reason, in a word of your own: policy, correction, emergency."
    )
    ticket: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="What it is about elsewhere, as a ticket's number."
    )

    @property
    def why(self) -> Why:
        """The reason with what it cites."""
        return Why(self.reason, self.reason_code, self.ticket)


class PageOf(Told, Generic[Item]):
    """Part of a list, newest first."""

    items: list[Item]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


class DatasetSchema(Told):
    """Every column as a feature, as it was inferred; the target isn't known yet."""

    features: list[dict[str, Any]]


class DatasetBody(Told):
    """A data set."""

    id: str
    created: str
    name: str
    rows: int
    columns: list[str]
    inferred: DatasetSchema = Field(alias="schema")


class SchemaAsked(Asked):
    """A schema to look at beside its table, before anything is trained."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"target": "decision", "missing_tokens": ["n/a"], "features": [{"name": "age"}]}]
        }
    )

    target: Name
    missing_tokens: Annotated[list[Annotated[str, Field(max_length=1_000)]], Field(max_length=100)] = Field(
        default_factory=list, description="Cells that mean a missing value, beside the empty one."
    )
    features: Annotated[list[JsonObject], Field(min_length=1, max_length=1_000)] | None = Field(
        default=None,
        description="As in a schema; what one leaves out beside its name is taken from the table. Columns that aren't "
        "here are left out of the model. null: every column but the target, as it is inferred.",
    )


class ColumnBody(Told):
    """One column as it would be read."""

    name: str
    feature: dict[str, Any] | None = Field(description="Whole; null where it has a problem.")
    problem: str | None
    missing: int = Field(description="Rows without a value.")
    examples: list[str]
    notes: list[str] = Field(description="What of the table the range or the categories leave out.")


class SchemaBody(Told):
    """A schema beside its table."""

    found: dict[str, Any] | None = Field(
        alias="schema", description="To train with; null where a column or the target has a problem."
    )
    columns: list[ColumnBody]
    problem: str | None = Field(description="What is wrong with the target, or with the columns together.")


class GroupingAsked(Asked):
    """A sensitive column: each of its values is a group, or of a number each part between two cuts."""

    column: Name
    cuts: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(max_length=MOST_CUTS)] = Field(
        default_factory=list, description="For a number: where it is cut, rising; each is the least of the next group."
    )


class FairnessAsked(Asked):
    """Which columns are sensitive, and when a group has fallen behind."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"columns": [{"column": "gender"}, {"column": "age", "cuts": [30]}], "favourable": "approve"}]
        }
    )

    columns: Annotated[list[GroupingAsked], Field(max_length=20)]
    favourable: Annotated[str, Field(max_length=1_000)] | None = Field(
        default=None, description="The outcome that people want; null: every class is looked at."
    )
    least_ratio: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=FOUR_FIFTHS,
        description="A group whose rate of it falls below so much of the best group's is behind; 0: none ever is.",
    )


class GroupsAsked(FairnessAsked):
    """Which columns of a model are sensitive from now on, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"columns": [{"column": "gender"}], "reason": "law"}]})

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class FairnessBody(Told):
    """Which columns are sensitive, and when a group has fallen behind."""

    columns: list[dict[str, Any]]
    favourable: str | None
    least_ratio: float


class ModelAsked(Asked):
    """Train a model on a data set."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataset": "dataset-1", "target": "decision", "thresholds": {"approve": 0.6}}]}
    )

    dataset: Id
    target: Name = Field(description="The column that the model predicts.")
    seed: Seed = 0
    thresholds: Thresholds = Field(
        default_factory=dict, description="The outcome is the class with the greatest probability / threshold."
    )
    corrected: JsonObject | None = Field(
        default=None,
        alias="schema",
        description="A corrected schema, as `POST /v1/datasets/{dataset}/schema` or a model's answer gives it.",
    )
    groups: FairnessAsked | None = None
    name: Name | None = None


class Holdout(Told):
    """Figures on the held-out rows."""

    rows: int
    accuracy: float | None
    auc: float | None


class ModelBody(Told):
    """A model."""

    id: str
    created: str
    name: str
    dataset: str
    target: str
    known: dict[str, Any] = Field(alias="schema", description="Features with kinds, ranges and categories; classes.")
    thresholds: dict[str, float]
    seed: int
    adopted: bool = Field(description="Whether somebody else trained it.")
    hash: str = Field(description="SHA-256 of the model file.")
    rows: int
    holdout: Holdout
    notes: list[str]
    groups: FairnessBody


class RuleSetAsked(Asked):
    """Summarise a model in a few rules."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "model-1", "max_clauses": 16}, {"model": "model-1", "seconds": 10.0}]}
    )

    model: Id
    max_clauses: Annotated[int, Field(ge=1, le=10_000)] | None = None
    method: Annotated[str, Field(max_length=40)] | None = None
    max_iterations: Annotated[int, Field(ge=0, le=10_000)] | None = Field(
        default=None, description="Rounds of column generation and of refinement at most."
    )
    seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] | None = Field(
        default=None, description="End the search after so long; the result so far says so, and needn't come out again."
    )
    memory: Annotated[int, Field(ge=1, le=1_048_576)] | None = Field(
        default=None, description="MiB that the search may take beside the rows; with less it looks at fewer of them."
    )
    stability: Annotated[int, Field(ge=0, le=MOST_EXTRACTIONS)] = Field(
        default=0, description="Extract so often again from other rows, to say how stable each rule is."
    )
    probabilities: bool = Field(default=False, description="Outcomes are the model's mean probabilities.")
    ground: Id | None = Field(default=None, description="A rule set whose asserted rules are carried over.")
    seed: Seed = 0
    dataset: Id | None = Field(default=None, description="The rows to extract from; the model's own unless given.")
    name: Name | None = None


class RuleBody(Told):
    """A rule; its text says all, the rest is for programs."""

    id: str
    text: str = Field(examples=["IF age > 30 AND job is not missing THEN approve"])
    outcome: str
    asserted: bool = Field(description="Whether a user added, changed or confirmed it.")
    enabled: bool
    asserts: str | None = None
    confirmed: bool | None = None
    placed: bool | None = None
    remainder_of: str | None = None
    part_of: str | None = None
    confidence: float | None = Field(default=None, description="The share of its rows that its author is sure of.")


class RuleSetItem(Told):
    """A rule set in a list."""

    id: str
    created: str
    name: str
    model: str
    revision: str


class RuleSetBody(RuleSetItem):
    """A rule set at one revision."""

    content: str = Field(description="The hash of what the rules say; it comes back when an edit is undone.")
    rules: list[RuleBody] = Field(description="In order: the first enabled rule that covers a row decides.")
    default: str
    settlements: list[dict[str, Any]]
    known: dict[str, Any] = Field(alias="schema")
    warnings: list[str] = Field(description="What an edit doesn't mend by itself.")
    open_conflicts: list[list[str]] = Field(description="Rules that contradict each other and nobody has settled.")
    origin: dict[str, Any] = Field(description="What the extraction measured.")


class EditsAsked(Explained):
    """Edits, made one after another, all or none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"edits": ["set R3 age > 26"], "reason": "policy 2026/4", "author": "kim"}]}
    )

    edits: Annotated[list[EditText], Field(min_length=1, max_length=1_000)]
    author: Author = ""
    asserts: Literal["whole", "change"] = Field(
        default="whole", alias="assert", description="On all rows that a rule decides, or only where answers differ."
    )


class RestoreAsked(Explained):
    """Which revision the rules are to be as at, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"revision": "9aa71f8b", "reason": "policy withdrawn"}]})

    revision: Annotated[str, Field(min_length=1, max_length=100)]
    author: Author = ""


class ResolutionAsked(Explained):
    """How to settle one conflict, or with no rules all of them."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rules": ["R1", "R4"], "strategy": "priority"}]})

    rules: Annotated[list[Id], Field(min_length=2, max_length=2)] | None = None
    strategy: Annotated[str, Field(max_length=40)]
    outcome: Annotated[str, Field(max_length=11_000)] | None = None
    weights: Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)] | None = (
        None
    )
    reason: Reason = ""
    author: Author = ""


class LocalAsked(BaseModel):
    """One row to look at closely."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={"examples": [{"row": {"age": 25, "income": 31000, "job": None}}]},
    )

    row: dict[str, Any] = Field(
        description="Every feature of the model by name; null is missing, columns that the model doesn't know are "
        "ignored. A number is a JSON number."
    )
    revision: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="The present one unless given."
    )
    seed: Seed = 0


class FromTo(Told):
    """A value as it is and as it would be; null is missing, or a category never seen."""

    old: float | str | None = Field(alias="from")
    to: float | str | None


class LocalChangeBody(Told):
    """The smallest change of the row after which something else is answered."""

    outcome: str = Field(description="What is answered then.")
    changes: dict[str, FromTo]
    distance: float = Field(
        description="Standard deviations, plus 1 for each category that changes or value filled in."
    )
    least: bool = Field(description="Whether it is proved that no smaller change is enough.")


class NearestRuleBody(Told):
    """The rule of another class that needs the least change to cover the row."""

    outcome: str
    rule: str | None = Field(description="Null is the default.")
    text: str | None
    fails: list[str] = Field(description="Its clauses that are false for the row.")
    held: list[str] = Field(description="Rules ahead of it that hold the row and say something else.")
    distance: float


class ByRulesBody(Told):
    """What the rules say of the row."""

    rule: str | None = Field(description="The rule that decides; null is the default.")
    text: str | None
    outcome: str | None = Field(description="Null where the rules leave the row to the model.")
    nearest: list[NearestRuleBody]
    change: LocalChangeBody | None


class AroundBody(Told):
    """The rule by which the model answers around the row (LORE)."""

    text: str
    rows: int = Field(description="Rows made near the row that the rule holds.")
    precision: float = Field(description="The share of these that the model answers as the rule says.")
    others: list[str] = Field(description="Rules with another outcome of which the row fails the fewest conditions.")


class ByModelBody(Told):
    """What the model says of the row."""

    outcome: str
    change: LocalChangeBody | None = Field(description="Null where none was found.")
    around: AroundBody | None = Field(description="Null where it answers all alike around the row.")


class LocalBody(Told):
    """One row as the rules and the model see it."""

    revision: str
    rules: ByRulesBody
    model: ByModelBody
    warnings: list[str] = Field(
        description="What to beware of: missing values, unseen categories, numbers out of range."
    )


class CounterexampleAsked(Explained):
    """A row that a rule decides wrongly."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"rule": "R3", "row": {"age": 25, "income": 31000, "job": None}, "outcome": "approve", "reason": "ours"}
            ]
        },
    )

    rule: Id
    row: dict[str, Any] = Field(description="Every feature of the model by name, as decisions take it.")
    outcome: Name = Field(description="The class that the row should get.")
    author: Author = ""


class CounterexampleBody(Told):
    """A counterexample, and what a revision makes of it."""

    id: str
    created: str
    ruleset: str
    rule: str
    row: dict[str, Any]
    outcome: str
    author: str
    reason: str
    withdrawn: str | None = Field(description="When it was taken back.")
    revision: str
    decided: str = Field(description="What the hard overlay of that revision answers.")
    answered: bool = Field(description="Whether that is the class that the row should get.")


class CounterexamplesBody(Told):
    """The counterexamples to a rule set's rules, oldest first."""

    revision: str
    items: list[CounterexampleBody]


class RuleImpactBody(Told):
    """One feedback rule's share of the impact."""

    rule: str
    kind: str
    covered: int
    changed: int


class ParentImpactBody(Told):
    """The pieces of a carved rule, summed up under it."""

    rule: str
    parts: list[str]
    covered: int
    changed: int


class GroupBody(Told):
    """A group of a sensitive column: shares of each class, and their ratio to the best group's."""

    column: str
    value: str | None = Field(description="null for the rows whose value is missing.")
    rows: int
    before: dict[str, float]
    after: dict[str, float]
    ratio_before: dict[str, float]
    ratio_after: dict[str, float]


class BehindBody(Told):
    """A group that the edits leave behind: its ratio has fallen, and is below the least one."""

    column: str
    value: str
    rows: int
    outcome: str
    before: float
    after: float
    says: str


class SidesBody(Told):
    """A figure before and after."""

    before: float | None
    after: float | None


class QualityBody(Told):
    """How good the decisions are over the whole data set, before and after."""

    macro_f1: SidesBody
    calibration_error: SidesBody = Field(
        description="The expected calibration error: how far probabilities are from the share of right answers."
    )


class ImpactBody(Told):
    """What the hard overlay would change."""

    revision: str
    rows: int
    covered: int
    changed: int
    changed_by_edit: int
    changed_by_assertion: int
    undecided: int
    flips: dict[str, int]
    by_rule: list[RuleImpactBody]
    by_parent: list[ParentImpactBody]
    doubts: list[dict[str, Any]] = Field(
        description="What the data say against the edits, each with `kind` and `says`."
    )
    groups: list[GroupBody] = Field(description="The groups of the model's sensitive columns.")
    least_ratio: float
    quality: QualityBody | None = Field(description="Against the target; null where the data set has none.")
    behind: list[BehindBody] = Field(description="The furthest behind first.")


class ConflictBody(Told):
    """Rules that meet and disagree."""

    rules: list[str]
    outcomes: list[str]
    rows: int | None = Field(description="Rows of the named data set in the intersection.")
    witness: dict[str, Any] | None = Field(description="A row that is in it.")
    resolved: bool
    strategy: str | None
    authors: list[str | None] = Field(description="Who wrote each of the rules last.")


class FindingBody(Told):
    """What else a reader of the rules may have missed."""

    kind: str = Field(examples=["shadowed", "duplicate", "outside-schema", "hidden-conflict", "gap"])
    rules: list[str]
    says: str
    rows: int | None


class ConflictsBody(Told):
    """Every conflict of a revision, settled or not."""

    revision: str
    conflicts: list[ConflictBody]
    findings: list[FindingBody]


class StepBody(Told):
    """One step of a history."""

    edit: str
    author: str
    reason: str
    content: str
    revision: str
    at: str | None
    undoes: int | None = None
    redoes: int | None = None
    change: dict[str, Any]


class HistoryBody(Told):
    """Every step of a rule set, oldest first."""

    revision: str
    content: str
    first: str = Field(description="The revision as it was extracted.")
    history: list[StepBody]


class ChangedRule(Told):
    """A rule that both revisions have."""

    id: str
    before: RuleBody
    after: RuleBody


class DiffBody(Told):
    """What one revision says that another doesn't."""

    old: str = Field(alias="from")
    to: str
    same: bool
    added: list[RuleBody]
    removed: list[RuleBody]
    changed: list[ChangedRule]
    order: dict[str, list[str]] | None
    default: dict[str, str] | None
    settlements: dict[str, list[dict[str, Any]]] | None


class PilotAsked(Asked):
    """Try a mode on some of the rows, before a revision is put in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"mode": "retrain", "rows": 2000}]})

    mode: Annotated[str, Field(max_length=40)] = Field(description="overlay-hard, overlay-soft, retrain or graft.")
    revision: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="The present one unless given."
    )
    strategy: Annotated[str, Field(max_length=40)] | None = None
    rows: Annotated[int, Field(ge=100, le=100_000)] = Field(
        default=2_000, description="At most so many rows are drawn to train on, and to measure on."
    )
    dataset: Id | None = Field(default=None, description="The model's own unless given.")
    seed: Seed = 0


class PilotsBody(Told):
    """The pilots of a revision, newest first."""

    revision: str
    pilots: list[JobBody] = Field(
        description="Jobs; the result of each has `honoured`, `flips`, `f1_before`, `f1_after`, `trainings`, `rows`."
    )


class ReleaseAsked(Asked):
    """Put a revision of a rule set in force."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"ruleset": "ruleset-1", "mode": "overlay-hard", "name": "loans"}]}
    )

    ruleset: Id
    revision: Annotated[str, Field(max_length=100)] | None = Field(
        default=None, description="The present one unless given."
    )
    mode: Annotated[str, Field(max_length=40)] = Field(description="overlay-hard, overlay-soft, retrain or graft.")
    strategy: Annotated[str, Field(max_length=40)] | None = None
    name: Annotated[str, Field(pattern=RELEASE_NAME)] = Field(description="The name under which it will decide.")
    dataset: Id | None = Field(default=None, description="The model's own unless given.")
    seed: Seed = 0
    prove: bool = Field(
        default=False,
        description="Prove of every rule that the trees answer as it asks, or show a row where they don't; for retrain "
        "and graft. A retraining is taught what was found first.",
    )
    groups: Annotated[list[Name], Field(max_length=20)] | None = Field(
        default=None, description="Features by whose values the report parts what changed; those of few values if null."
    )
    expires: Moment | None = Field(
        default=None, description="When it stops serving, and what served before serves again: for an emergency."
    )
    pilot: Id | None = Field(
        default=None, description="The job of a pilot of this revision and mode: kept as what was expected."
    )


class ReasonAsked(Explained):
    """Why a release is put in service or taken out of it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "policy 2026-14", "reason_code": "policy", "ticket": "RISK-12"}]}
    )

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]
    author: Author = ""


class ReleaseBody(Told):
    """A release with the report of what putting it in force measured."""

    id: str
    created: str
    name: str
    ruleset: str
    revision: str
    content: str
    model: str
    dataset: str
    mode: str
    strategy: str | None
    state: Literal["draft", "proposed", "approved", "active", "retired"]
    made_by: str
    expires: str | None
    proposed_by: str | None
    approved_by: str | None
    approved: str | None = Field(description="When.")
    report: dict[str, Any]


class ComparisonBody(Told):
    """Where two releases answer differently."""

    rows: int
    flipped: int
    share: float
    share_interval: list[float]
    flips: dict[str, int]
    classes: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    difference: dict[str, Any] = Field(description="Rules about where they differ, measured on held-out rows.")
    matches: list[dict[str, Any]] = Field(description="The rules of both in pairs, by the rows that they hold.")
    accuracy: dict[str, float] | None
    macro_f1: dict[str, float | None] | None
    notes: list[str]


class KeyAsked(Explained):
    """Make a key for a person or a system."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "kim", "roles": ["analyst"], "expires": "2027-01-01T00:00:00Z", "reason": "joined"}]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^\S(.*\S)?$")] = Field(
        description="Whose it is; the history and the audit keep this name. One person, one name."
    )
    roles: Annotated[list[Role], Field(min_length=1, max_length=6)]
    expires: Moment | None = Field(default=None, description="When it ends to open anything; null: never.")
    reason: Reason = ""


class RevocationAsked(Explained):
    """Why a key is taken back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "left the bank"}]})

    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class KeyBody(Told):
    """A key's record: everything but the key."""

    id: str
    created: str
    name: str
    roles: list[str]
    prefix: str = Field(description="How the key begins, after `re_`: to find out which one somebody has.")
    made_by: str
    expires: str | None
    revoked: str | None


class KeyMade(KeyBody):
    """A key that was just made."""

    key: str = Field(description="The key, shown this once: give it as `Authorization: Bearer ...`.")


class PersonBody(Told):
    """Whom the service takes the asker for."""

    name: str
    roles: list[str]
    kind: str = Field(description="key, oidc, or local where authentication is off.")


class ApprovalBody(Told):
    """What stands between a release and its service."""

    required: bool = Field(description="Whether it needs an approval to serve.")
    state: str
    hands: list[str] = Field(description="Who had a hand in it and so can't approve it.")
    since: str | None = Field(description="The last approved revision: who edited before it doesn't count.")
    yours: bool = Field(
        description="Whether the asker is among them, or made a key of one who is, or has a key that one made."
    )


class CanaryAsked(ReasonAsked):
    """Which share of the rows a release on trial decides, and why."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"share": 0.05, "reason": "policy 2026/4"}]})

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class PairBody(Told):
    """Rows by two outcomes."""

    outcome: str = Field(description="A shadow: what was answered; a canary: the model's own outcome.")
    trial_outcome: str = Field(description="What the release on trial says.")
    rows: int


class TrialBody(Told):
    """A release on trial; what was counted is of all processes together, each of which tells it once a second."""

    name: str
    release: str
    kind: Literal["shadow", "canary"]
    share: float = Field(description="The share of the rows that a canary decides; 0 for a shadow.")
    created: str
    ended: str | None
    state: Literal["running", "stopped", "ended"] = Field(description="stopped: the release may not serve any more.")
    rows: int
    differing: int
    pairs: list[PairBody]
    failed: int = Field(description="Rows that it couldn't decide; the release in service did.")
    dropped: int = Field(description="Rows that a shadow had no time for.")


class DecisionsAsked(BaseModel):
    """Rows to decide."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rows": [{"age": 25, "income": 31000, "job": None}]}]}
    )

    rows: Annotated[list[dict[str, Any]], Field(min_length=1)] = Field(
        description="Every feature of the model by name; null is missing, columns that the model doesn't know are "
        "ignored. A number is a JSON number."
    )


class BatchAsked(Asked):
    """A data set to decide."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"dataset": "dataset-1"}]})

    dataset: Id


class EditBody(Told):
    """An edit that made a rule what it is."""

    edit: str
    revision: str


class ChangeBody(Told):
    """Why an outcome isn't the model's own."""

    cause: Literal["edit", "collateral"] = Field(
        description="An edit whose region holds the row, or a retraining that nobody asked for here."
    )
    rule: str | None = Field(default=None, description="The feedback rule that holds the row.")
    edits: list[EditBody] | None = Field(default=None, description="The edits that made that rule what it is.")
    release: str | None = Field(default=None, description="The release whose retraining changed the decision.")


class FailedClause(Told):
    """A clause that doesn't hold, and the row's value there."""

    clause: str
    value: float | str | None


class NearestBody(Told):
    """The rule of another outcome that fails the fewest clauses."""

    outcome: str
    rule: str | None = Field(description="null for the default, where no rule says another outcome.")
    text: str
    failed: list[FailedClause]
    behind: str | None = Field(description="Where no clause fails: the rule that stands before it.")


class DecisionBody(Told):
    """One row's answer."""

    outcome: str
    probabilities: dict[str, float]
    model_outcome: str | None = Field(description="What the model answered before the edits.")
    rule: str | None = Field(description="The feedback rule that holds the row; null where nothing is asked.")
    by: str = Field(description="overlay, moved, graft, retrained or model.")
    reasons: list[str] = Field(description="For people: the rule that holds the row, or that describes the model.")
    reason_codes: list[str] = Field(
        description="The same for programs: asserted:RULE, uncovered:RULE, settled:RULES or described:RULE."
    )
    change: ChangeBody | None = Field(description="Why the outcome isn't the model's own; null where it is.")
    warnings: list[str] = Field(description="Missing values, categories never seen, numbers out of range.")
    release: str = Field(description="The release that decided this row.")
    moved: dict[str, Any] | None = Field(default=None, description="Values that the model was asked about instead.")
    nearest: NearestBody | None = Field(default=None, description="With explain=true: the nearest other outcome.")


class DecisionsBody(Told):
    """The answers, in the order of the rows."""

    name: str
    release: str
    revision: str | None = Field(description="The rule set's revision that is in force.")
    decisions: list[DecisionBody]


class InferenceServer(Told):
    """The server, as the Open Inference Protocol describes it."""

    name: str
    version: str
    extensions: list[str]


class InferenceReady(Told):
    """Whether the server is alive or ready, or a model is."""

    name: str | None = None
    live: bool | None = None
    ready: bool | None = None


class TensorDescribed(Told):
    """A tensor that a model takes or gives; -1 stands for any number of rows."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, str] | None = None


class InferenceModel(Told):
    """A name under which a release decides; its version is that release."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorDescribed]
    outputs: list[TensorDescribed]


class TensorAsked(Told):
    """One feature's values."""

    name: str
    shape: list[int] = Field(min_length=1, max_length=2, description="[n] or [n, 1].")
    datatype: str = Field(description="FP64 or any numeric type, BYTES or BOOL.")
    data: list[Any] | None = Field(default=None, description="The values; absent where they follow in binary.")
    parameters: dict[str, Any] | None = Field(default=None, description="binary_data_size: the bytes that follow.")


class OutputAsked(Told):
    """An output that is wanted."""

    name: str
    parameters: dict[str, Any] | None = Field(default=None, description="binary_data: whether in binary.")


class InferenceAsked(Told):
    """Rows as tensors, one for each feature."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "inputs": [
                        {"name": "age", "shape": [1], "datatype": "INT64", "data": [25]},
                        {"name": "job", "shape": [1], "datatype": "BYTES", "data": [""]},
                    ]
                }
            ]
        }
    )

    id: str | None = None
    inputs: list[TensorAsked] = Field(min_length=1)
    outputs: list[OutputAsked] | None = None
    parameters: dict[str, Any] | None = Field(default=None, description="binary_data_output: all outputs in binary.")


class TensorBody(Told):
    """One output."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] | None = None


class InferenceBody(Told):
    """The outputs as tensors."""

    model_name: str
    model_version: str = Field(description="The release that decided.")
    id: str | None = None
    parameters: dict[str, str]
    outputs: list[TensorBody]


class InferenceError(Told):
    """What went wrong, as the Open Inference Protocol says it."""

    error: str


class SplitTable(Told):
    """A table as pandas' split form."""

    columns: list[str]
    data: list[list[Any]]
    index: list[Any] | None = None


class InvocationAsked(Told):
    """Rows in exactly one of MLflow's forms."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"dataframe_records": [{"age": 25, "income": 31000, "job": None}]}]}
    )

    dataframe_split: SplitTable | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    inputs: dict[str, list[Any]] | list[Any] | None = None
    instances: list[Any] | None = None
    params: dict[str, Any] | None = None


class PredictionsBody(Told):
    """The answers, in the order of the rows."""

    predictions: list[DecisionBody]


class JobProgress(Told):
    """Steps done, and all of them; 0 of 0 before anything is known."""

    done: int
    of: int


class JobError(Told):
    """Why a job failed."""

    code: str
    detail: str


class JobBody(Told):
    """A job as it stands."""

    id: str
    created: str
    kind: str
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: JobProgress
    course: list[dict[str, Any]] = Field(
        description="Of a retraining, each round so far: `training`, `agreement`, `f1_outside`, `flips`, `accepted` "
        "and more, measured on validation rows."
    )
    result: dict[str, Any] | None
    error: JobError | None


class Health(Told):
    """Whether the service is alive, or ready."""

    status: Literal["ok"]
    notice: str | None = Field(default=None, description="What is off, where something is.")


class EventBody(Told):
    """One event of the audit chain.

    `hash` is SHA-256 of the canonical JSON of [sequence, id, time, actor, role, action, subject, reason,
    payload_hash, previous]; `payload_hash` that of the salt followed by the payload's canonical JSON.
    """

    sequence: int
    id: str
    time: str = Field(description="By the server's clock.")
    actor: str = Field(description="By the credential.")
    role: str
    action: str
    subject: str
    reason: str
    payload_hash: str
    salt: str | None
    payload: dict[str, Any] | None = Field(description="What changed; null once it was erased.")
    previous: str
    hash: str


class PublishedHead(Told):
    """Where the chain stood at a time, signed."""

    sequence: int
    hash: str
    time: str
    key: str = Field(description="The public key (Ed25519) that checks the signature, in hex.")
    signature: str


class AuditVerdict(Told):
    """What a check of the whole chain found."""

    ok: bool
    events: int = Field(description="Events that were found sound, from the first on.")
    erased: int = Field(description="Those of them whose payload was erased.")
    head: str = Field(description="Hash of the last sound event.")
    bad: int | None = Field(description="The place at which something is wrong, counted from 1.")
    problem: str | None
    published: PublishedHead | None = Field(description="The head that the chain was checked against.")
    key: str = Field(description="The public key that this service signs with, in hex.")


class ErasureAsked(Explained):
    """Whose payloads to erase."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [12, 13], "reason": "erasure request 7"}]})

    events: Annotated[list[Annotated[int, Field(ge=1, le=2**63 - 1)]], Field(min_length=1, max_length=1_000)] = Field(
        description="Their sequences."
    )
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class ErasureBody(Told):
    """What was erased."""

    erased: int
    event: EventBody = Field(description="The event that names it.")
