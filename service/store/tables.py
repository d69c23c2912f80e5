"""The tables of the database. A record is written once; what changes is a head, a state or a progress."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

#: The version of the tables, kept as SQLite's ``user_version``; another one is refused.
VERSION = 1
metadata = MetaData()


def _resource(name: str, *columns: Column[object]) -> Table:
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
)

rulesets = _resource(
    "rulesets",
    _text("name"),
    Column("model", ForeignKey("models.id"), nullable=False),
    # The present revision: the only thing of a rule set that changes.
    _text("head"),
)

revisions = Table(
    "revisions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("ruleset", ForeignKey("rulesets.id"), nullable=False),
    Column("revision", String, nullable=False),
    Column("content", String, nullable=False),
    Column("document", ForeignKey("documents.hash"), nullable=False),
    Column("created", String, nullable=False),
    UniqueConstraint("ruleset", "revision"),
    sqlite_autoincrement=True,
)

documents = Table(
    "documents",
    metadata,
    Column("hash", String, primary_key=True),
    Column("text", Text, nullable=False),
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
    # draft, active or retired; proposed and approved come with approvals.
    _text("state"),
)

activations = Table(
    "activations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String, nullable=False, index=True),
    Column("release", ForeignKey("releases.id"), nullable=False),
    Column("action", String, nullable=False),
    Column("created", String, nullable=False),
    sqlite_autoincrement=True,
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
    Column("done", Integer, nullable=False, default=0),
    Column("of", Integer, nullable=False, default=0),
    _json("result", nullable=True),
    _json("error", nullable=True),
)

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("created", String, nullable=False),
    Column("action", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("author", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", JSON, nullable=False),
    sqlite_autoincrement=True,
)
