"""Settings: from the environment, each of its kind, and the combinations that are refused."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from ruleedit.errors import Refused
from service.settings import ZERO, Settings, check_host, from_environment, is_loopback

FOLDER = {"RULEEDIT_DATA_DIR": "/srv/ruleedit"}


def test_each_setting_is_read_as_its_kind() -> None:
    """Switches, numbers, lists, pairs, paths."""
    settings = from_environment(
        FOLDER
        | {
            "RULEEDIT_WORKERS": "3",
            "RULEEDIT_CLOCK_SKEW": "1.5",
            "RULEEDIT_AUTHENTICATION": "off",
            "RULEEDIT_APPROVAL": " OFF ",
            "RULEEDIT_OIDC_ALGORITHMS": "ES256, PS512,",
            "RULEEDIT_OIDC_ROLES": "risk team=analyst, risk-head=approver",
            "PATH": "/bin",
            "RULEEDIT_TEST_ANYTHING": "x",
        }
    )
    assert settings == Settings(
        Path("/srv/ruleedit"),
        workers=3,
        clock_skew=1.5,
        authentication=False,
        approval=False,
        oidc_algorithms=("ES256", "PS512"),
        oidc_roles={"risk team": "analyst", "risk-head": "approver"},
    )


def test_what_the_command_says_wins() -> None:
    """And what it doesn't say comes from the environment."""
    chosen = from_environment(FOLDER | {"RULEEDIT_WORKERS": "3"}, data_dir=Path("here"), workers=None)
    assert (chosen.data_dir, chosen.workers) == (Path("here"), 3)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("RULEEDIT_WORKER", "3", "did you mean 'RULEEDIT_WORKERS'"),
        ("RULEEDIT_WORKERS", "many", "a whole number is accepted"),
        ("RULEEDIT_WORKERS", "-1", "a whole number is accepted"),
        ("RULEEDIT_CLOCK_SKEW", "inf", "a number is accepted"),
        ("RULEEDIT_CLOCK_SKEW", "nan", "a number is accepted"),
        ("RULEEDIT_MOST_ROWS", "0", "a whole number above 0 is accepted"),
        ("RULEEDIT_PROGRESS_SECONDS", "0.0", "a number above 0 is accepted"),
        ("RULEEDIT_DEMO", "maybe", "on or off is accepted"),
        ("RULEEDIT_OIDC_ROLES", "analyst", "name=value"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, text: str, said: str) -> None:
    """Before anything listens."""
    with pytest.raises(Refused, match=re.escape(said)):
        from_environment(FOLDER | {variable: text})


def test_0_is_accepted_where_it_says_something() -> None:
    """No payload is erased, no request waits, a key is read anew each time; every other number is above 0."""
    given = {f"RULEEDIT_{name.upper()}": "0" for name in ZERO} | {"RULEEDIT_SHARED": "on"}
    settings = from_environment(FOLDER | given)
    numbers = {field.name for field in dataclasses.fields(Settings) if field.type in ("int", "float")}
    assert numbers >= ZERO
    for name in numbers:
        assert (getattr(settings, name) == 0) == (name in ZERO)


OIDC = {"oidc_issuer": "https://id.example", "oidc_audience": "ruleedit", "oidc_jwks": "/keys.json"}


@pytest.mark.parametrize(
    "given",
    [
        {"approval": False},
        {"demo": True},
        {**OIDC, "oidc_audience": ""},
        {**OIDC, "oidc_jwks": ""},
        {**OIDC, "oidc_jwks": "http://id.example/keys"},
        {**OIDC, "oidc_algorithms": ("HS256",)},
        {**OIDC, "oidc_algorithms": ("none",)},
        {**OIDC, "oidc_algorithms": ("RS256", "HS512")},
        {**OIDC, "oidc_algorithms": ()},
    ],
    ids=str,
)
def test_settings_that_would_open_the_door_are_refused(given: dict[str, object]) -> None:
    """Approval off with keys on, shared secrets, keys over plain http."""
    with pytest.raises(Refused):
        Settings(Path("x"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("place", ["https://id.example/keys", "http://127.0.0.1:1/keys", "/keys.json"])
def test_keys_come_over_https_or_from_here(place: str) -> None:
    """A file, this machine, or an address that proves itself."""
    Settings(Path("x"), **{**OIDC, "oidc_jwks": place})  # type: ignore[arg-type]


def test_the_safe_settings_are_the_ones_that_nobody_chose() -> None:
    """Authentication and approval on; then nothing is noticed, and any address will do."""
    settings = from_environment(FOLDER)
    assert (settings.authentication, settings.approval, settings.notice) == (True, True, "")
    check_host("0.0.0.0", settings)


def test_the_notice_names_what_is_off() -> None:
    """One or both."""
    assert Settings(Path("x"), authentication=False).notice.startswith("authentication off")
    assert Settings(Path("x"), authentication=False, approval=False).notice.startswith(
        "authentication and approval off"
    )


def test_every_setting_is_documented_with_its_reason() -> None:
    """In the class that declares it."""
    text = inspect.getdoc(Settings) or ""
    for field in dataclasses.fields(Settings):
        assert re.search(rf"^{field.name}\n    \S", text, re.MULTILINE), field.name


def test_what_is_this_machine() -> None:
    """Addresses and the one name."""
    assert all(map(is_loopback, ["127.0.0.1", "::1", "localhost", "127.9.9.9"]))
    assert not any(map(is_loopback, ["", "0.0.0.0", "::", "example.org", "10.0.0.1", "localhost.example.org"]))


def test_a_variable_of_the_commands_is_no_concern_of_the_service() -> None:
    """Whoever keeps a scheduler's address in the environment starts the service all the same."""
    assert from_environment(FOLDER | {"RULEEDIT_DASK": "tcp://host:8786"}) == from_environment(FOLDER)
