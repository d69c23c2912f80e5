"""Who may use which route: a table of paths and roles, looked up before anything of a request is read.

The table is `service.api.access.TABLE`. A route that isn't in it is refused to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from service.people import ROLES, Person, Role

#: The roles that may use a route; None: anybody, known or not.
Allowed: TypeAlias = frozenset[Role] | None
ANYBODY: Allowed = None
#: Everybody whom the service knows.
KNOWN: Allowed = ROLES


@dataclass(frozen=True)
class Entry:
    """A route of the table: its template and who may use it."""

    path: str
    allowed: Allowed

    def admits(self, person: Person | None) -> bool:
        """Whether somebody may use it; None is nobody whom the service knows."""
        return self.allowed is None or (person is not None and bool(self.allowed & person.roles))


class _Branch:
    """The paths that begin alike: by their next part, ``{}`` for any part; ``*`` is whatever follows."""

    def __init__(self) -> None:
        self.next: dict[str, _Branch] = {}
        self.entry: Entry | None = None

    def add(self, parts: list[str], entry: Entry) -> None:
        branch = self
        for part in parts:
            part = "{}" if part.startswith("{") else part
            branch = branch.next.setdefault(part, _Branch())
        branch.entry = entry

    def find(self, parts: list[str], at: int) -> Entry | None:
        if at == len(parts):
            return self.entry
        found = None
        if parts[at] in self.next and parts[at] not in ("{}", "*"):
            found = self.next[parts[at]].find(parts, at + 1)
        if found is None and parts[at] and "{}" in self.next:
            found = self.next["{}"].find(parts, at + 1)
        return self.next["*"].entry if found is None and "*" in self.next else found


class Access:
    """The table, ready to be asked; keys are a verb and a template such as ``GET /v1/jobs/{job}``."""

    def __init__(self, table: Mapping[str, Iterable[Role] | None]) -> None:
        self._verbs: dict[str, _Branch] = {}
        for route, roles in table.items():
            verb, path = route.split(" ")
            entry = Entry(path, None if roles is None else frozenset(roles))
            self._verbs.setdefault(verb, _Branch()).add(path.split("/")[1:], entry)

    def entry(self, verb: str, path: str) -> Entry | None:
        """The entry of a request's path; None where nobody has said who may use it."""
        branch = self._verbs.get("GET" if verb == "HEAD" else verb)
        return None if branch is None else branch.find(path.split("/")[1:], 0)
