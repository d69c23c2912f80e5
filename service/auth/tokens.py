"""Bearer tokens of an OpenID Connect issuer: signed JWTs (RFC 7519), checked against the issuer's keys (RFC 7517).

Issuer, audience, expiry and signature are always checked, and only the algorithms that the settings
name are accepted. Keys come from a file or an address; a token of an unknown key has them read
again, which is how an issuer changes its keys.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, get_args

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import Claims, JWTClaimsRegistry

from ruleedit.errors import Refused
from service.errors import CredentialRefused
from service.people import Person, Role
from service.settings import Settings

log = logging.getLogger(__name__)
#: Seconds between two readings for unknown keys: tokens that anybody can make up must not become requests elsewhere.
PAUSE = 10.0
MOST_BYTES = 1024 * 1024
LONGEST_NAME = 200
_KINDS = ("RSA", "EC", "OKP")
#: What reading somebody's keys may raise, whatever stands in the file.
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, JoseError)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> NoReturn:
        raise OSError("the address of the keys answers with a redirect, which is not followed")


class Tokens:
    """The tokens of one issuer; ``clock`` is the seam of the tests."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], datetime],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._ticks = ticks
        self._keys: KeySet | None = None
        self._read = -float("inf")
        self._failed = False
        self._lock = threading.Lock()
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock().timestamp()),
            leeway=round(settings.clock_skew),
            iss={"essential": True, "value": settings.oidc_issuer},
            aud={"essential": True, "value": settings.oidc_audience},
            exp={"essential": True},
        )

    def person(self, text: str) -> Person:
        """The person that a token names; raises `CredentialRefused` with what is wrong, never with the token."""
        if not self._settings.oidc_issuer:
            raise CredentialRefused("no issuer of tokens is set; a key is accepted")
        try:
            claims = self._verified(text)
            self._claims.validate(claims)
        except ExpiredTokenError:
            raise CredentialRefused("the token has expired; ask the issuer for another") from None
        except (JoseError, ValueError, TypeError, ArithmeticError, RecursionError) as problem:
            said = getattr(problem, "error", "") or "unreadable"
            raise CredentialRefused(f"the token is refused ({said.replace('_', ' ')})") from None
        return Person(self._name(claims), self._roles(claims), "oidc")

    def _verified(self, text: str) -> Claims:
        keys = self._fresh(self._settings.oidc_jwks_seconds)
        algorithms = self._settings.oidc_algorithms
        try:
            return jwt.decode(text, keys, algorithms=algorithms).claims
        except InvalidKeyIdError:
            # Perhaps the issuer has a new key.
            return jwt.decode(text, self._fresh(PAUSE), algorithms=algorithms).claims

    def _fresh(self, seconds: float) -> KeySet:
        """The issuer's keys as they were at most ``seconds`` ago; older ones where they can't be read again."""
        with self._lock:
            if self._ticks() - self._read > (PAUSE if self._failed else seconds):
                self._read = self._ticks()
                try:
                    self._keys, self._failed = read_keys(self._settings.oidc_jwks), False
                except UNREADABLE as problem:
                    self._failed = True
                    log.warning("the issuer's keys can't be read: %s", problem)
            if self._keys is None:
                raise CredentialRefused("the issuer's keys can't be read at the moment; ask again later, or use a key")
            return self._keys

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._settings.oidc_name_claim)
        if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME:
            raise CredentialRefused(f"the token has no name in its claim {self._settings.oidc_name_claim!r}")
        return name.strip()

    def _roles(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        found: Any = claims
        for part in self._settings.oidc_roles_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        values = found.split() if isinstance(found, str) else found if isinstance(found, list) else []
        known = self._settings.oidc_roles
        named = {known.get(value) if known else value for value in values if isinstance(value, str)}
        return frozenset(role for role in get_args(Role) if role in named)


def read_keys(place: str) -> KeySet:
    """An issuer's public keys from a file or an address; keys of shared secrets are left out.

    Raises `OSError`, `ValueError` or `JoseError` for what can't be read or holds no key.
    """
    if place.startswith(("https://", "http://")):
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler())
        with opener.open(place, timeout=5) as answer:
            content = answer.read(MOST_BYTES + 1)
    else:
        with Path(place).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES} bytes")
    listed = json.loads(content)["keys"]
    return KeySet.import_key_set({"keys": [key for key in listed if key.get("kty") in _KINDS]})


def check_keys(settings: Settings) -> None:
    """Refuse to start with a file of keys that can't be read; an address may answer later."""
    if settings.oidc_issuer and not settings.oidc_jwks.startswith(("https://", "http://")):
        try:
            read_keys(settings.oidc_jwks)
        except UNREADABLE as problem:
            raise Refused(f"oidc_jwks can't be read ({type(problem).__name__}); a JWKS file is accepted") from None
