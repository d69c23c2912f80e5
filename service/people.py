"""People: who asks for something, and which roles they have.

Whoever changes anything is a `Person` that the service knows from a credential. Where authentication
is off, everybody on this machine is `LOCAL`, and says a name or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from service.errors import AuthorRefused

Role: TypeAlias = Literal["viewer", "analyst", "approver", "auditor", "decision-client", "admin"]
#: How the service knows a person: it asked nobody, an API key, a token of an identity provider, or it acts itself.
Kind: TypeAlias = Literal["local", "key", "oidc", "service"]
ROLES: frozenset[Role] = frozenset(get_args(Role))


@dataclass(frozen=True)
class Person:
    """Who asks: the name that the history and the audit keep, the roles, and how the service knows both."""

    name: str
    roles: frozenset[Role]
    kind: Kind

    def signing(self, author: str) -> Person:
        """The person as the author that a body names: anybody where nobody is known, else nobody but oneself.

        Raises `AuthorRefused`.
        """
        if author in ("", self.name):
            return self
        if self.kind == "local":
            return replace(self, name=author)
        raise AuthorRefused(f"the author is {author!r}, and the credential is {self.name!r}'s; leave the author out")

    def to_json(self) -> dict[str, Any]:
        """The person as a job's request keeps them."""
        return {"name": self.name, "roles": sorted(self.roles), "kind": self.kind}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Person:
        """The person that `to_json` wrote."""
        return cls(data["name"], frozenset(data["roles"]), data["kind"])


#: Whoever works on this machine where authentication is off.
LOCAL = Person("local", ROLES, "local")
#: The service itself: what happens by the clock, and the example.
SERVICE = Person("ruleedit", frozenset(), "service")
