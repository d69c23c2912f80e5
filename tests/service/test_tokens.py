"""OpenID Connect tokens: a real issuer's keys on loopback, and everything that makes a token none."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from ruleedit.errors import Refused
from service.auth.tokens import PAUSE, Tokens, check_keys, read_keys
from service.errors import CredentialRefused
from service.people import Person
from service.settings import Settings
from tests.serving import guarded

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER, AUDIENCE = "https://id.example", "ruleedit"


class Issuer:
    """Somebody who signs tokens, and a real server that gives out the keys to check them."""

    def __init__(self) -> None:
        self.keys = [ECKey.generate_key("P-256", {"kid": "first"})]
        self.reads = 0
        self.answer: bytes | None = None
        self.status = 200
        issuer = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.reads += 1
                content = json.dumps(KeySet(issuer.keys).as_dict()).encode() if issuer.answer is None else issuer.answer
                self.send_response(issuer.status)
                if issuer.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def sign(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token; a claim of None is left out."""
        key = key or self.keys[-1]
        said = {"iss": ISSUER, "aud": AUDIENCE, "sub": "kim", "exp": SECONDS + 300, "roles": ["analyst"], **claims}
        algorithm = {"EC": "ES256", "RSA": "RS256", "oct": "HS256"}[key.key_type]
        head = {"alg": algorithm, "kid": key.kid, **(header or {})}
        algorithms = [head["alg"]]
        return jwt.encode(head, {k: v for k, v in said.items() if v is not None}, key, algorithms=algorithms)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer whose keys are given out on loopback."""
    found = Issuer()
    yield found
    found.close()


class Ticks:
    """Time since some start, moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    """The ticks of `tokens`."""
    return Ticks()


def settings(issuer: Issuer, **more: Any) -> Settings:
    """Settings that accept the issuer's tokens."""
    given = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": issuer.address}
    return Settings(**{"data_dir": Path("unused"), **given, **more})


@pytest.fixture
def tokens(issuer: Issuer, ticks: Ticks) -> Tokens:
    """What checks the issuer's tokens at a fixed time."""
    return Tokens(settings(issuer), lambda: NOW, ticks)


def test_a_token_names_a_person_with_roles(issuer: Issuer, tokens: Tokens) -> None:
    """Unknown roles are left out; the keys are read once."""
    for roles, found in ((["analyst", "king"], {"analyst"}), ("viewer auditor", {"viewer", "auditor"}), ([], set())):
        assert tokens.person(issuer.sign(roles=roles)) == Person("kim", frozenset(found), "oidc")  # type: ignore[arg-type]
    assert issuer.reads == 1


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": ISSUER + "/"}, {"iss": [ISSUER]},
        {"aud": "another"}, {"aud": None}, {"aud": ["another", "third"]}, {"aud": ""},
        {"exp": None}, {"exp": SECONDS - 61}, {"exp": "tomorrow"}, {"exp": True}, {"exp": float("nan")},
        {"nbf": SECONDS + 61}, {"iat": SECONDS + 3_600}, {"nbf": "soon"},
        {"sub": None}, {"sub": ""}, {"sub": " "}, {"sub": 7}, {"sub": "x" * 201},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_with_a_wrong_claim_is_refused(issuer: Issuer, tokens: Tokens, claims: dict[str, Any]) -> None:
    """Issuer, audience, times, name; the refusal doesn't repeat the token."""
    text = issuer.sign(**claims)
    with pytest.raises(CredentialRefused) as refused:
        tokens.person(text)
    assert text not in str(refused.value)
    assert "evil" not in str(refused.value)


def test_one_of_several_audiences_will_do(issuer: Issuer, tokens: Tokens) -> None:
    """As the standard says."""
    assert tokens.person(issuer.sign(aud=["another", AUDIENCE])).name == "kim"


@pytest.mark.parametrize("claims", [{"exp": SECONDS - 59}, {"nbf": SECONDS + 59}, {"iat": SECONDS + 59}], ids=str)
def test_clocks_may_differ_a_little(issuer: Issuer, tokens: Tokens, claims: dict[str, Any]) -> None:
    """By less than the setting's seconds, and not at all where it is 0."""
    text = issuer.sign(**claims)
    assert tokens.person(text).name == "kim"
    with pytest.raises(CredentialRefused):
        Tokens(settings(issuer, clock_skew=0.0), lambda: NOW).person(text)


def unsigned(text: str, **header: Any) -> str:
    """A token with another header and no signature."""
    head = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", **header}).encode()).rstrip(b"=").decode()
    return ".".join([head, text.split(".")[1], ""])


def by_secret(text: str, secret: bytes) -> str:
    """A token signed with what everybody can read, as if it were a shared secret."""
    signed = unsigned(text, alg="HS256", kid="first").rstrip(".")
    digest = hmac.digest(secret, signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_signature_of_another_kind_is_none(issuer: Issuer, tokens: Tokens) -> None:
    """No signature, the public key as a shared secret, an algorithm that isn't named, another key of the same name."""
    text = issuer.sign()
    rsa = RSAKey.generate_key(2048, {"kid": "rsa"})
    issuer.keys = [issuer.keys[0], rsa]  # type: ignore[list-item]
    forged = [
        unsigned(text, alg="none"), unsigned(text, alg="None", kid="first"), unsigned(text, alg="ES256", kid="first"),
        by_secret(text, issuer.keys[0].as_pem(private=False)),
        issuer.sign(rsa, {"alg": "PS256"}),
        issuer.sign(ECKey.generate_key("P-256", {"kid": "first"})),
        issuer.sign(ECKey.generate_key("P-256", {"kid": "other"})),
        text[:-4] + ("AAAA" if text[-4:] != "AAAA" else "BBBB"),
        text.rsplit(".", 1)[0] + ".",
    ]  # fmt: skip
    for other in forged:
        with pytest.raises(CredentialRefused):
            tokens.person(other)
    assert tokens.person(issuer.sign(rsa)).name == "kim"


@pytest.mark.parametrize(
    "text", ["a.b.c", "..", "x", "", "e30.e30.", "a" * 10_000, ".".join(["e30"] * 5), "\N{ROCKET}.a.b", "e30.bnVsbA.x"]
)
def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    """Whatever it is."""
    with pytest.raises(CredentialRefused):
        tokens.person(text)


def test_an_issuer_changes_its_keys(issuer: Issuer, tokens: Tokens, ticks: Ticks) -> None:
    """A token of a new key has them read again, the old one's tokens are refused once it is gone."""
    old = issuer.sign()
    tokens.person(old)
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "second"})]
    ticks.now += PAUSE + 1
    assert tokens.person(issuer.sign()).name == "kim"
    assert issuer.reads == 2
    ticks.now += PAUSE + 1
    with pytest.raises(CredentialRefused):
        tokens.person(old)


def test_made_up_keys_are_not_asked_for_again_and_again(issuer: Issuer, tokens: Tokens, ticks: Ticks) -> None:
    """At most once in ten seconds, however many tokens of unknown keys come."""
    stranger = ECKey.generate_key("P-256", {"kid": "stranger"})
    tokens.person(issuer.sign())
    for _ in range(50):
        ticks.now += 0.5
        with pytest.raises(CredentialRefused):
            tokens.person(issuer.sign(stranger))
    assert issuer.reads <= 1 + 50 * 0.5 / PAUSE + 1


def test_keys_are_read_again_after_a_while(issuer: Issuer, ticks: Ticks) -> None:
    """A key that the issuer took back is gone after the setting's seconds."""
    tokens = Tokens(settings(issuer, oidc_jwks_seconds=100.0), lambda: NOW, ticks)
    old = issuer.sign()
    tokens.person(old)
    issuer.keys = [ECKey.generate_key("P-256", {"kid": "second"})]
    assert tokens.person(old).name == "kim"
    ticks.now += 101
    with pytest.raises(CredentialRefused):
        tokens.person(old)


@pytest.mark.parametrize(
    ("status", "content"),
    [
     (500, b""), (302, b""), (200, b"{"), (200, b"{}"), (200, b'{"keys": []}'), (200, b'{"keys": [7]}'),
     (200, b'{"keys": [{"kty": "EC"}]}'), (200, b" " * 1_100_000),
     (200, b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'),
    ],
)  # fmt: skip
def test_an_issuer_that_answers_nonsense_locks_nobody_in(
    issuer: Issuer, tokens: Tokens, ticks: Ticks, status: int, content: bytes
) -> None:
    """Refused while there are no keys; with keys read before it goes on by those, and later by new ones."""
    issuer.status, issuer.answer = status, content
    text = issuer.sign()
    with pytest.raises(CredentialRefused, match="can't be read at the moment"):
        tokens.person(text)
    issuer.status, issuer.answer = 200, None
    ticks.now += PAUSE + 1
    assert tokens.person(text).name == "kim"
    issuer.status, issuer.answer = status, content
    ticks.now += 4_000
    assert tokens.person(text).name == "kim"


def test_keys_come_from_a_file_too(issuer: Issuer, tmp_path: Path) -> None:
    """A file that can't be read is refused before the service starts."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(KeySet(issuer.keys).as_dict()))  # type: ignore[arg-type]
    chosen = settings(issuer, oidc_jwks=str(path))
    check_keys(chosen)
    assert Tokens(chosen, lambda: NOW).person(issuer.sign()).name == "kim"
    for content in ("", "{}", '{"keys": []}'):
        path.write_text(content)
        with pytest.raises(Refused, match="a JWKS file is accepted"):
            check_keys(chosen)


def test_shared_secrets_among_the_keys_are_left_out(issuer: Issuer, tmp_path: Path) -> None:
    """Nobody who can read the list can sign."""
    keys = KeySet(issuer.keys).as_dict()["keys"]  # type: ignore[arg-type]
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "s"}, *keys, {"kty": "new"}]}))
    assert [key.kid for key in read_keys(str(path)).keys] == ["first"]


def test_claims_are_found_and_mapped_by_the_settings(issuer: Issuer) -> None:
    """A nested claim of roles, names of our own for them, another claim for the name."""
    chosen = settings(
        issuer,
        oidc_name_claim="preferred_username",
        oidc_roles_claim="realm_access.roles",
        oidc_roles={"risk-team": "analyst", "risk-head": "approver", "odd": "king"},
    )
    tokens = Tokens(chosen, lambda: NOW)
    text = issuer.sign(preferred_username="kim@bank", realm_access={"roles": ["risk-head", "odd", "viewer", 7]})
    assert tokens.person(text) == Person("kim@bank", frozenset({"approver"}), "oidc")
    for other in ({}, [], "x", None, {"roles": {"analyst": 1}}, {"roles": None}):
        assert tokens.person(issuer.sign(preferred_username="kim", realm_access=other)).roles == frozenset()


def test_without_an_issuer_no_token_is_accepted(issuer: Issuer) -> None:
    """Only keys."""
    with pytest.raises(CredentialRefused, match="a key is accepted"):
        Tokens(Settings(Path("unused")), lambda: NOW).person(issuer.sign())


def test_a_service_knows_people_by_token_and_by_key(issuer: Issuer, tmp_path: Path) -> None:
    """Over HTTP: the same routes, the same roles, 401 for what is refused."""
    given = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_jwks": issuer.address}
    soon = int(datetime.now(UTC).timestamp()) + 300
    with guarded(tmp_path, **given) as admin:
        kim = admin.known(issuer.sign(exp=soon, roles=["viewer"]))
        assert kim.get("/v1/me").json() == {"name": "kim", "roles": ["viewer"], "kind": "oidc"}
        assert kim.get("/v1/datasets").status_code == 200
        assert kim.post("/v1/keys", json={}).json()["code"] == "role-missing"
        late = admin.known(issuer.sign(exp=soon - 3_600)).get("/v1/me")
        assert (late.status_code, late.json()["code"]) == (401, "credential-refused")
        assert "expired" in late.json()["detail"]
