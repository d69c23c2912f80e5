"""API keys: random, shown once, kept as a hash, looked up by their prefix.

A key is ``re_PREFIX_SECRET``: the prefix names the record, the secret has 256 random bits. The
database holds the SHA-256 of the whole; comparing takes the same time wherever they differ.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from service.errors import CredentialRefused, RequestInvalid, StateRefused, UnknownKey
from service.people import LOCAL, SERVICE, Person, Role
from service.store.change import Change
from service.store.records import Happened, KeyRecord, Why
from service.store.repository import Repository, text_of

MARK = "re_"
_REFUSED = "the key isn't known, has expired or was revoked; ask an admin for another"
#: Compared where nothing has the prefix, so that an unknown prefix takes as long as a wrong secret.
_NOBODY = "0" * 64


class Keys:
    """The API keys of one service.

    Parameters
    ----------
    seconds
        How long a record may be used before the database is asked again; see `Settings.key_seconds`.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        new_id: Callable[[str], str],
        clock: Callable[[], datetime],
        seconds: float,
    ) -> None:
        self._repository = repository
        self._new_id = new_id
        self._clock = clock
        self._seconds = seconds
        self._read: dict[str, tuple[float, KeyRecord]] = {}

    def issue(
        self, name: str, roles: Iterable[Role], *, by: Person, expires: datetime | None = None, reason: Why = ""
    ) -> tuple[KeyRecord, str]:
        """Make a key for a person; returns its record and the key, which nobody can read again.

        Raises `RequestInvalid` for a moment in the past and for a name that the service uses itself.
        """
        if name in (LOCAL.name, SERVICE.name):
            raise RequestInvalid(f"body.name: {name!r} is the service's own; give the person's or the system's name")
        if expires is not None and expires <= self._clock():
            raise RequestInvalid("body.expires: the moment is in the past; a key expires later, or never (null)")
        prefix = secrets.token_hex(6)
        text = f"{MARK}{prefix}_{secrets.token_urlsafe(32)}"
        record = KeyRecord(
            id=self._new_id("key"),
            created=self._repository.moment(),
            name=name,
            roles=sorted(set(roles)),
            prefix=prefix,
            digest=_digest(text),
            made_by=by.name,
            expires=None if expires is None else text_of(expires),
        )
        detail = {"name": name, "roles": record.roles, "prefix": prefix, "expires": record.expires}
        with self._repository.change(by) as change:
            change.add(record)
            change.happened(Happened("issue key", record.id, reason, detail))
        return record, text

    def revoke(
        self, key: str, reason: Why, *, by: Person, answer: Callable[[Change, KeyRecord], Any] = lambda *_: None
    ) -> Any:
        """Let a key open nothing any more, from now on; returns what ``answer`` says of it.

        Raises `UnknownKey`, `StateRefused`.
        """
        record = self._repository.get(KeyRecord, key, UnknownKey)
        if "admin" in record.roles and not any(other.id != key for other in self._admins()):
            raise StateRefused(f"the key {key!r} is the last one of an admin; issue another one before")
        with self._repository.change(by) as change:
            change.revoke_key(key)
            change.happened(Happened("revoke key", key, reason, {"name": record.name}))
            reply = answer(change, replace(record, revoked=change.moment))
        self._read.pop(record.prefix, None)
        return reply

    def bootstrap(self, *, again: bool = False) -> str | None:
        """The first admin key, where there is no admin key that opens anything; None where there is one.

        ``again`` makes one in any case: whoever starts the service with it can read the data folder anyway.
        """
        if self._admins() and not again:
            return None
        return self.issue("admin", ["admin"], by=SERVICE, reason="printed when the service was started")[1]

    def known(self, text: str) -> Person | None:
        """The person of a key that was read lately; None where the database has to be asked (`person`).

        Raises `CredentialRefused`.
        """
        read, record = self._read.get(_prefix(text), (0.0, None))
        if record is None or time.monotonic() - read > self._seconds:
            return None
        return self._check(text, record)

    def person(self, text: str) -> Person:
        """The person whose key this is; raises `CredentialRefused` whatever is wrong with it."""
        record = self._repository.key_of(_prefix(text))
        person = self._check(text, record)
        assert record is not None
        self._read[record.prefix] = (time.monotonic(), record)
        return person

    def _check(self, text: str, record: KeyRecord | None) -> Person:
        same = hmac.compare_digest(_digest(text), _NOBODY if record is None else record.digest)
        if record is None or not same or record.revoked is not None or self._past(record):
            raise CredentialRefused(_REFUSED)
        return Person(record.name, frozenset(role for role in get_args(Role) if role in record.roles), "key")

    def _past(self, record: KeyRecord) -> bool:
        return record.expires is not None and text_of(self._clock()) >= record.expires

    def _admins(self) -> list[KeyRecord]:
        return [key for key in self._repository.keys_of("admin") if not self._past(key)]


def _prefix(text: str) -> str:
    return text.removeprefix(MARK).partition("_")[0]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
