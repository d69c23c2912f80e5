"""Role by route: the matrix is made from the router, and what nobody declared is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from service.api.access import TABLE
from service.app import create_app
from service.auth.access import Access, Entry
from service.people import LOCAL, ROLES, Person
from service.settings import Settings
from tests.serving import Api, guarding, local, serving, serving_app


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Every verb and path that the router serves."""
    found = [(verb, route.path) for route in iter_route_contexts(app.routes) for verb in route.methods or ()]
    return sorted((verb, path) for verb, path in found if verb != "HEAD")


ROUTES = routes_of(create_app(Settings(Path("unused"))))


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that asks for keys, with two routes that nobody declared."""

    def with_more(settings: Settings, **more: object) -> FastAPI:
        app = create_app(settings, **more)  # type: ignore[arg-type]
        app.add_api_route("/v1/forgotten/{thing}", lambda: None, methods=["GET", "POST"], include_in_schema=False)
        return app

    with guarding(with_more, Settings(tmp_path_factory.mktemp("access"))) as api:
        yield api


@pytest.fixture(scope="module")
def people(admin: Api) -> dict[str | None, Api]:
    """A client for each role alone, and one of nobody."""
    return {None: admin.known(None)} | {role: admin.person(f"only-{role}", role) for role in sorted(ROLES)}


def ask(api: Api, verb: str, path: str) -> httpx.Response:
    """Ask a route for nothing that is there."""
    return api.request(verb, re.sub(r"\{\w+\}", "none", path), json={} if verb == "POST" else None)


def test_every_route_is_in_the_table_and_every_entry_is_a_route() -> None:
    """Nothing is served that nobody thought about, nothing is declared that isn't there."""
    assert {f"{verb} {path}" for verb, path in ROUTES} == set(TABLE)
    assert len(ROUTES) > 30


@pytest.mark.parametrize(("verb", "path"), ROUTES, ids=lambda text: text)
def test_each_role_may_what_the_table_says(people: dict[str | None, Api], verb: str, path: str) -> None:
    """401 without a key, 403 without the role, and neither with it."""
    allowed = TABLE[f"{verb} {path}"]
    for role, api in people.items():
        response = ask(api, verb, path)
        if allowed is None or role in allowed:
            assert response.status_code not in (401, 403, 500), (role, response.text)
        else:
            assert response.status_code == (401 if role is None else 403), role
            if path.startswith("/v2"):  # that protocol has no codes
                assert list(response.json()) == ["error"]
                continue
            assert response.json()["code"] == ("credential-needed" if role is None else "role-missing")
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_a_route_that_nobody_declared_is_refused_to_everybody(people: dict[str | None, Api], verb: str) -> None:
    """Whatever the role; and where authentication is off as well."""
    for role, api in people.items():
        response = ask(api, verb, "/v1/forgotten/thing")
        assert response.json()["code"] == ("credential-needed" if role is None else "access-undeclared")


def test_a_forgotten_route_is_refused_without_authentication_too(tmp_path: Path) -> None:
    """So that it is noticed at once."""
    app = create_app(local(tmp_path))
    app.add_api_route("/forgotten", lambda: None)
    with serving_app(app) as api:
        assert ask(api, "GET", "/forgotten").json()["code"] == "access-undeclared"


def test_a_stranger_learns_nothing_of_what_is_there(people: dict[str | None, Api]) -> None:
    """401 for what is served, what isn't, other verbs and other spellings alike."""
    stranger = people[None]
    asked = ["/v1/nothing", "/v1/datasets", "/v1/datasets/", "//v1/datasets", "/V1/DATASETS", "/v1/datasets/../jobs"]
    for path in asked:
        for verb in ("GET", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"):
            assert stranger.request(verb, path).status_code == 401, (verb, path)


def test_who_is_known_is_told_what_isn_t_there(people: dict[str | None, Api]) -> None:
    """404 and 405 as ever; a slash at the end leads to the route without, for those who may."""
    viewer = people["viewer"]
    assert viewer.get("/v1/nothing").status_code == 404
    assert viewer.delete("/v1/datasets").status_code == 405
    assert viewer.get("/v1/datasets/", follow_redirects=True).status_code == 200
    assert people["decision-client"].get("/v1/datasets/", follow_redirects=True).status_code == 403
    assert viewer.get("/v1/forgotten").status_code == 404


def test_a_refused_upload_is_never_read(people: dict[str | None, Api]) -> None:
    """A stranger's table is refused before its body is looked at, however it is formed."""
    for api, status in ((people[None], 401), (people["viewer"], 403)):
        response = api.post("/v1/datasets", content=b"x" * 500_000, headers={"Content-Type": "text/plain"})
        assert response.status_code == status


def test_the_description_says_who_may(people: dict[str | None, Api]) -> None:
    """The security schemes, the roles, 401 and 403 with every route that asks for a key."""
    described = people["viewer"].get("/openapi.json").json()
    assert set(described["components"]["securitySchemes"]) == {"key", "token"}
    for path, verbs in described["paths"].items():
        for verb, said in verbs.items():
            allowed = TABLE[f"{verb.upper()} {path}"]
            assert said["security"] == ([] if allowed is None else [{"key": []}, {"token": []}])
            assert allowed is None or all(role in said["description"] for role in allowed)
            assert {"401", "403"} <= set(said["responses"])


def test_no_role_may_everything_but_the_local_person_may_all_that_is_declared() -> None:
    """Duties are separated: who edits approves nothing, who hands out keys decides nothing."""
    for role in ROLES:
        assert any(allowed is not None and role not in allowed for allowed in TABLE.values())
    assert not {route for route, allowed in TABLE.items() if allowed and "analyst" in allowed and "/approve" in route}
    assert all(Entry("", None if roles is None else frozenset(roles)).admits(LOCAL) for roles in TABLE.values())


def test_a_person_of_no_role_may_nothing_but_know_it(tmp_path: Path) -> None:
    """Health is for anybody, everything else for some role."""
    nobody = Person("kim", frozenset(), "oidc")
    allowed = [route for route, roles in TABLE.items() if Entry("", roles and frozenset(roles)).admits(nobody)]
    assert allowed == ["GET /healthz", "GET /readyz", "GET /v2/health/live", "GET /v2/health/ready", "GET /ping"]


def test_the_table_s_templates_are_matched_part_by_part() -> None:
    """A parameter is one part and never empty, a star is the rest, a plain part goes before a parameter."""
    access = Access(
        {"GET /a/{x}": ["viewer"], "GET /a/{x}/b": ["admin"], "GET /a/me": None, "POST /a": [], "GET /w/*": ["auditor"]}
    )
    found = {
        path: access.entry("GET", path)
        for path in ("/a/1", "/a/me", "/a/me/b", "/a/", "/a", "/a/1/", "/a/1/c", "/w/x/y", "/w/", "/w", "/a/*", "/a/{}")
    }
    said = {path: entry and entry.path for path, entry in found.items()}
    assert said == {
        "/a/1": "/a/{x}", "/a/me": "/a/me", "/a/me/b": "/a/{x}/b", "/a/": None, "/a": None, "/a/1/": None,
        "/a/1/c": None, "/w/x/y": "/w/*", "/w/": "/w/*", "/w": None, "/a/*": "/a/{x}", "/a/{}": "/a/{x}",
    }  # fmt: skip
    assert access.entry("HEAD", "/a/1") == access.entry("GET", "/a/1")
    assert access.entry("PUT", "/a/1") is None
    assert not access.entry("POST", "/a").admits(LOCAL)  # type: ignore[union-attr]


# --- where authentication is off -------------------------------------------------------------


@pytest.fixture(scope="module")
def open_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service for this machine's own user."""
    with serving(tmp_path_factory.mktemp("open")) as api:
        yield api


def test_without_authentication_everything_says_so(open_api: Api) -> None:
    """Every page, every answer's header, readiness, and who one is."""
    notice = "authentication and approval off: for a demo on this machine only"
    for path in ("/", "/docs", "/healthz", "/v1/datasets", "/v1/nothing", "/metrics"):
        assert open_api.get(path).headers["ruleedit-notice"] == notice
    for path in ("/", "/docs"):
        assert "Authentication and approval off" in open_api.get(path).text
    assert open_api.get("/readyz").json() == {"status": "ok", "notice": notice}
    assert open_api.get("/v1/me").json() == {"name": "local", "roles": sorted(ROLES), "kind": "local"}


def test_with_authentication_nothing_says_so(admin: Api) -> None:
    """No notice, no header."""
    assert admin.get("/readyz").json() == {"status": "ok"}
    assert "ruleedit-notice" not in admin.get("/healthz").headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:8000"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
    ],
    ids=str,
)
def test_without_authentication_other_sites_and_proxies_are_refused(open_api: Api, headers: dict[str, str]) -> None:
    """A page of elsewhere that a browser here shows must not act, nor a proxy that others reach."""
    response = open_api.post("/v1/datasets", files={"file": ("a.csv", b"x,y\n1,a\n")}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "not-local")


def test_a_link_from_elsewhere_may_be_followed_but_no_form_sent(open_api: Api) -> None:
    """Browsers say which of them it is, and a form's origin."""
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert open_api.get("/docs", headers=followed).status_code == 200
    file = {"file": ("a.csv", b"x,y\n1,a\n")}
    sent = open_api.post("/v1/datasets", files=file, headers={**followed, "Origin": "http://evil.example"})
    assert (sent.status_code, sent.json()["code"]) == (403, "not-local")


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:8000", "localhost:8000", "127.3.2.1"])
def test_without_authentication_this_machine_s_names_are_accepted(open_api: Api, host: str) -> None:
    """And the browser's own requests to the same origin."""
    more = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert open_api.get("/v1/datasets", headers=more).status_code == 200
