"""The tables of the database. A record is written once; what changes is a head, a state, a progress, or a setting.

`service.store.migrations` makes and changes them; a test holds that both say the same.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _resource(name: str, *columns: Column[object] | Index) -> Table:
    """A table of one kind of resource: a number that grows, a public id, and when it was made."""
    return Table(
        name,
        metadata,
        Column("number", Integer, primary_key=True),
        Column("id", String, nullable=False, unique=True),
        Column("created", String, nullable=False),
        *columns,
        sqlite_autoincrement=True,
    )


def _text(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, String, nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, JSON(none_as_null=True), nullable=nullable)


datasets = _resource(
    "datasets", _text("name"), Column("rows", Integer, nullable=False), _text("file"), _json("features")
)

models = _resource(
    "models",
    _text("name"),
    Column("dataset", ForeignKey("datasets.id"), nullable=False),
    _text("target"),
    _text("folder"),
    _json("summary"),
    # The sensitive columns and the least ratio, as a person set them last; null where nobody has.
    _json("groups", nullable=True),
)

documents = Table(
    "documents",
    metadata,
    Column("hash", String, primary_key=True),
    Column("text", Text, nullable=False),
)

rulesets = _resource(
    "rulesets",
    _text("name"),
    Column("model", ForeignKey("models.id"), nullable=False),
    # The rule file as it was at the first revision; every later one is a step from its parent.
    Column("document", ForeignKey("documents.hash"), nullable=False),
    # The present revision: the only thing of a rule set that changes.
    _text("head"),
    # Who wrote the first revision; empty where a model's answers did.
    Column("author", String, nullable=False, server_default=""),
)

revisions = Table(
    "revisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("ruleset", ForeignKey("rulesets.id"), nullable=False),
    # 0 for the first one; the parent is the one of the place before.
    Column("place", Integer, nullable=False),
    Column("revision", String, nullable=False),
    Column("content", String, nullable=False),
    # The step that makes it of its parent, as a rule file's history has it; the first one has none.
    Column("step", Text, nullable=True),
    Column("created", String, nullable=False),
    UniqueConstraint("ruleset", "revision"),
    UniqueConstraint("ruleset", "place"),
    sqlite_autoincrement=True,
)

releases = _resource(
    "releases",
    _text("name"),
    Column("ruleset", ForeignKey("rulesets.id"), nullable=False),
    _text("revision"),
    _text("content"),
    Column("model", ForeignKey("models.id"), nullable=False),
    Column("dataset", ForeignKey("datasets.id"), nullable=False),
    _text("mode"),
    _text("strategy", nullable=True),
    _text("folder"),
    _json("report"),
    # draft, proposed, approved, active or retired.
    _text("state"),
    Column("made_by", String, nullable=False, server_default=""),
    _text("expires", nullable=True),
    _text("proposed_by", nullable=True),
    _text("approved_by", nullable=True),
    _text("approved", nullable=True),
)

activations = Table(
    "activations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String, nullable=False, index=True),
    # The one that serves from then on; none where what was taken back had nothing before it.
    Column("release", ForeignKey("releases.id"), nullable=True),
    Column("action", String, nullable=False),
    Column("created", String, nullable=False),
    sqlite_autoincrement=True,
)

#: Releases on trial beside the one in service; one that has not ended is tried again after a restart.
trials = Table(
    "trials",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("name"),
    Column("release", ForeignKey("releases.id"), nullable=False, index=True),
    _text("kind"),
    # The share of the rows that a canary decides; 0 for a shadow.
    Column("share", Float, nullable=False),
    Column("created", String, nullable=False),
    _text("ended", nullable=True),
    sqlite_autoincrement=True,
)

#: Rows that a rule decides wrongly, by somebody's word.
counterexamples = _resource(
    "counterexamples",
    Column("ruleset", ForeignKey("rulesets.id"), nullable=False, index=True),
    _text("rule"),
    _json("row"),
    _text("outcome"),
    _text("author"),
    _text("reason"),
    _text("withdrawn", nullable=True),
)

#: What was counted of a trial by all processes together: ``what`` is pair, failed or dropped.
trial_counts = Table(
    "trial_counts",
    metadata,
    Column("trial", ForeignKey("trials.number"), primary_key=True, autoincrement=False),
    Column("what", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    Column("trial_outcome", String, primary_key=True),
    Column("rows", BigInteger, nullable=False),
)

keys = _resource(
    "keys",
    _text("name"),
    _json("roles"),
    Column("prefix", String, nullable=False, unique=True),
    # SHA-256 of the whole key: it is random, so no slow hash is needed, and nothing here opens anything.
    _text("digest"),
    _text("made_by"),
    _text("expires", nullable=True),
    _text("revoked", nullable=True),
)

jobs = _resource(
    "jobs",
    _text("kind"),
    _json("request"),
    _text("state"),
    Column("done", Integer, nullable=False),
    Column("of", Integer, nullable=False),
    _json("result", nullable=True),
    _json("error", nullable=True),
    # How often it began.
    Column("attempts", Integer, nullable=False),
    # What the work said of each round.
    _json("course", nullable=True),
    # Which process began it last; see `processes`.
    _text("process", nullable=True),
    Index(None, "state"),
)

#: The processes that share this database, and when each said last that it is alive, by the database's clock.
processes = Table(
    "processes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("seen", Float, nullable=False),
    sqlite_autoincrement=True,
)

#: The audit chain; see `ruleedit.chain.Event`.
events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, unique=True),
    Column("time", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("role", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("payload_hash", String, nullable=False),
    # Both are null once the payload was erased.
    Column("salt", String, nullable=True),
    Column("payload", Text, nullable=True),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    Index(None, "subject", "sequence"),
    Index(None, "actor", "sequence"),
)

#: What was answered to requests with an Idempotency-Key.
replies = Table(
    "replies",
    metadata,
    Column("caller", String, primary_key=True),
    Column("key", String, primary_key=True),
    # Hash of what was asked.
    Column("asked", String, nullable=False),
    Column("reply", Text, nullable=False),
    Column("created", String, nullable=False, index=True),
)
