"""Sessions of the workbench: how long a cookie stands for a key, and where signing in leads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.api.sign_in import _local
from service.auth.sessions import IDLE, MOST, Sessions, is_page


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_a_cookie_stands_for_its_key_until_it_is_closed() -> None:
    """Each session has a value of its own; closing one leaves the other."""
    sessions = Sessions(Clock())
    one, other = sessions.open("re_a"), sessions.open("re_b")
    assert one != other
    assert (sessions.credential(one), sessions.credential(other)) == ("re_a", "re_b")
    sessions.close(one)
    assert (sessions.credential(one), sessions.credential(other)) == (None, "re_b")
    assert sessions.credential("made up") is None


def test_a_session_ends_when_nobody_uses_it() -> None:
    """Every use begins the time anew."""
    clock = Clock()
    sessions = Sessions(clock)
    token = sessions.open("re_a")
    for _ in range(3):
        clock.now += IDLE - timedelta(seconds=1)
        assert sessions.credential(token) == "re_a"
    clock.now += IDLE + timedelta(seconds=1)
    assert sessions.credential(token) is None
    clock.now -= IDLE
    assert sessions.credential(token) is None


def test_the_oldest_session_ends_where_there_are_too_many() -> None:
    """Signing in again and again fills no memory."""
    sessions = Sessions(Clock())
    first = sessions.open("re_a")
    last = [sessions.open("re_b") for _ in range(MOST)][-1]
    assert sessions.credential(first) is None
    assert sessions.credential(last) == "re_b"


@pytest.mark.parametrize("path", ["/", "/r/x/rules", "/_nicegui/1/static/x.js", "/_nicegui_ws/socket.io"])
def test_pages_are_where_the_cookie_counts(path: str) -> None:
    """The first page, those of rule sets, and what they load."""
    assert is_page(path)


@pytest.mark.parametrize("path", ["/v1/rulesets", "/docs", "/metrics", "/rulesets", "/v2/models/x/infer", ""])
def test_the_api_is_no_page(path: str) -> None:
    """There a credential is given with each request."""
    assert not is_page(path)


@pytest.mark.parametrize("address", ["//elsewhere", "/\\elsewhere", "https://elsewhere", "", "elsewhere", "/a\nb"])
def test_signing_in_leads_nowhere_else(address: str) -> None:
    """An address of another site becomes the first page."""
    assert _local(address) == "/"


def test_signing_in_leads_back() -> None:
    """To the page that somebody wanted."""
    assert _local("/r/x/rules?row=7") == "/r/x/rules?row=7"
