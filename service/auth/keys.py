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
#: What happens to keys so that they open nothing any more.
REVOKED = frozenset({"revoke key"})
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
        self._forgotten = 0

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
        record, text = self._new(name, roles, by, expires)
        with self._repository.change(by) as change:
            _keep(change, record, reason)
        return record, text

    def _new(
        self, name: str, roles: Iterable[Role], by: Person, expires: datetime | None = None
    ) -> tuple[KeyRecord, str]:
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
        return record, text

    def revoke(
        self, key: str, reason: Why, *, by: Person, answer: Callable[[Change, KeyRecord], Any] = lambda *_: None
    ) -> Any:
        """Let a key open nothing any more, from now on; returns what ``answer`` says of it.

        Raises `UnknownKey`, `StateRefused`.
        """
        record = self._repository.get(KeyRecord, key, UnknownKey)
        with self._repository.change(by) as change:
            if "admin" in record.roles and not any(one.id != key for one in self._admins(change.keys_of("admin"))):
                raise StateRefused(f"the key {key!r} is the last one of an admin; issue another one before")
            change.revoke_key(key)
            change.happened(Happened("revoke key", key, reason, {"name": record.name}))
            reply = answer(change, replace(record, revoked=change.moment))
        self.forget()
        return reply

    def forget(self) -> None:
        """Ask the database anew for every key: one was revoked, here or by another process."""
        self._forgotten += 1
        self._read.clear()

    def bootstrap(self, *, again: bool = False) -> str | None:
        """The first admin key, where there is no admin key that opens anything; None where there is one.

        Of several processes that start at once one makes it. ``again`` makes one in any case: whoever
        starts the service with it can read the data folder anyway.
        """
        if self._admins(self._repository.keys_of("admin")) and not again:
            return None
        record, text = self._new("admin", ["admin"], SERVICE)
        with self._repository.change(SERVICE) as change:
            if self._admins(change.keys_of("admin")) and not again:
                change.abandon()
            _keep(change, record, "printed when the service was started")
        return None if change.sealed is None else text

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
        before = self._forgotten
        record = self._repository.key_of(_prefix(text))
        person = self._check(text, record)
        assert record is not None
        # What was read before a revocation must not be kept after it.
        if before == self._forgotten:
            self._read[record.prefix] = (time.monotonic(), record)
        return person

    def _check(self, text: str, record: KeyRecord | None) -> Person:
        same = hmac.compare_digest(_digest(text), _NOBODY if record is None else record.digest)
        if record is None or not same or record.revoked is not None or self._past(record):
            raise CredentialRefused(_REFUSED)
        return Person(record.name, frozenset(role for role in get_args(Role) if role in record.roles), "key")

    def _past(self, record: KeyRecord) -> bool:
        return record.expires is not None and text_of(self._clock()) >= record.expires

    def _admins(self, found: Iterable[KeyRecord]) -> list[KeyRecord]:
        return [key for key in found if not self._past(key)]


def _keep(change: Change, record: KeyRecord, reason: Why) -> None:
    change.add(record)
    detail = {"name": record.name, "roles": record.roles, "prefix": record.prefix, "expires": record.expires}
    change.happened(Happened("issue key", record.id, reason, detail))


def _prefix(text: str) -> str:
    return text.removeprefix(MARK).partition("_")[0]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
