"""Who works on a page, asked anew at each step: a key that was revoked, or a role that was taken, counts at once."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI, Request

from service.api.access import TABLE
from service.auth.access import Access
from service.auth.keys import MARK, Keys
from service.auth.sessions import COOKIE, Sessions
from service.auth.tokens import Tokens
from service.errors import CredentialNeeded, RoleMissing
from service.people import Person
from service.settings import Settings

_ACCESS = Access(TABLE)


@dataclass(frozen=True)
class Actor:
    """The person behind one open page."""

    app: FastAPI
    settings: Settings
    person: Person
    token: str

    @classmethod
    def of(cls, app: FastAPI, settings: Settings, request: Request) -> Actor:
        """Whoever asked for a page; the gate has let them in."""
        return cls(app, settings, request.scope["person"], request.cookies.get(COOKIE, ""))

    def may(self, route: str) -> bool:
        """Whether the person's roles allow what a route of the API does, such as ``POST /v1/datasets``."""
        verb, path = route.split(" ")
        entry = _ACCESS.entry(verb, path)
        return entry is not None and entry.admits(self.person)

    def acting(self, route: str) -> Person:
        """The person as the credential stands now; raises `CredentialNeeded`, `CredentialRefused`, `RoleMissing`."""
        person = self._now()
        verb, path = route.split(" ")
        entry = _ACCESS.entry(verb, path)
        if entry is None or not entry.admits(person):
            roles = ", ".join(sorted((entry.allowed if entry else None) or ()))
            listed = ", ".join(sorted(person.roles)) or "of no role"
            raise RoleMissing(f"this step is for {roles}; {person.name!r} is {listed}")
        return person

    def _now(self) -> Person:
        if not self.settings.authentication:
            return self.person
        sessions: Sessions = self.app.state.sessions
        credential = sessions.credential(self.token)
        if credential is None:
            raise CredentialNeeded("the session has ended; load the page again to sign in")
        if credential.startswith(MARK):
            keys: Keys = self.app.state.workspace.keys
            return keys.known(credential) or keys.person(credential)
        tokens: Tokens = self.app.state.tokens
        return tokens.person(credential)
