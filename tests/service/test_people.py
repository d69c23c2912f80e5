"""People: whose name a change carries."""

from __future__ import annotations

import pytest

from service.errors import AuthorRefused
from service.people import LOCAL, ROLES, SERVICE, Person

KIM = Person("kim", frozenset({"analyst"}), "key")


def test_where_nobody_is_known_an_author_is_whoever_the_body_says() -> None:
    """With every role, and still known as local."""
    assert LOCAL.signing("kim") == Person("kim", ROLES, "local")
    assert LOCAL.signing("") == LOCAL


def test_with_a_credential_nobody_signs_as_somebody_else() -> None:
    """The credential's own name may be given, or none."""
    assert KIM.signing("kim") == KIM.signing("") == KIM
    for person in (KIM, SERVICE):
        with pytest.raises(AuthorRefused, match="leave the author out"):
            person.signing("alex")


def test_a_person_survives_in_a_job_s_request() -> None:
    """Name, roles and how the service knows them."""
    for person in (KIM, LOCAL, SERVICE):
        assert Person.from_json(person.to_json()) == person


def test_the_service_itself_may_nothing() -> None:
    """What it does by the clock was asked for by people who may."""
    assert SERVICE.roles == frozenset()
