"""The workflow of releases: proposed, approved by somebody else, put in service, taken back, expired.

Where approval is required a release serves only after somebody approved it who had no hand in it:
nobody who edited the rule set since the last approved revision, wrote it, or put the release together;
nor anybody who made their keys, or whose key they made. (An admin who makes two people's keys, and
uses both, can't be told from two people: the events of keys say who made which.)
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.errors import (
    ApprovalNeeded,
    Expired,
    OwnEdit,
    StateRefused,
    UnknownRelease,
    UnknownRuleSet,
)
from service.once import Once
from service.people import SERVICE, Person
from service.scoring import Scoring, Serving
from service.settings import Settings
from service.shelf import Shelf
from service.store.records import Happened, ReleaseRecord, ReleaseState, RuleSetRecord, Why
from service.store.repository import Repository, text_of
from service.views import release_view

log = logging.getLogger(__name__)
#: What happens to releases so that others serve.
SWITCHES = frozenset({"activate release", "roll back release", "expire release", "withdraw release"})


@dataclass(frozen=True)
class Hands:
    """Who had a hand in a release, so that they can't approve it, and since which approved revision they count."""

    names: frozenset[str]
    since: str | None

    def include(self, person: Person) -> bool:
        """Whether a person is among them; letters' case makes nobody somebody else."""
        return person.name.casefold() in {name.casefold() for name in self.names}


class Workflow:
    """The releases of one service as they are proposed, approved and switched."""

    def __init__(
        self,
        repository: Repository,
        shelf: Shelf,
        scoring: Scoring,
        once: Once,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._repository = repository
        self._shelf = shelf
        self._scoring = scoring
        self._once = once
        self._required = settings.approval
        self._clock = clock
        self._switching = threading.Lock()

    def start(self) -> None:
        """Put in service what was, except for what has expired meanwhile or needs an approval that it hasn't."""
        self.retire()
        self.follow()

    def follow(self) -> None:
        """Serve what the database says, whoever changed it; raises where a release can't be loaded."""
        with self._switching:
            active = self._repository.active()
            for name in set(self._scoring.names) - {record.name for record in active}:
                self._scoring.drop(name)
            for record in active:
                line = self._repository.line(record.name)
                self._scoring.put(self._ready(record, line[:-1]))

    # --- approval -----------------------------------------------------------------------------

    def propose(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Ask for approval of a draft; raises `StateRefused`, `Expired`."""
        return self._move("propose release", name, reason, by, ["draft"], "proposed", {"proposed_by": by.name})

    def approve(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Approve a proposed release; raises `OwnEdit` for whoever had a hand in it, and `StateRefused`."""
        more = {"approved_by": by.name, "approved": self._repository.moment()}
        return self._move("approve release", name, reason, by, ["proposed"], "approved", more)

    def reject(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Give a proposed release back as a draft; raises `StateRefused`."""
        return self._move("reject release", name, reason, by, ["proposed"], "draft", {"proposed_by": None})

    def withdraw(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Take back a proposal or an approval; what was approved isn't any more. Raises `StateRefused`.

        A release that decides is taken out of service first.
        """
        with self._switching:
            if any(trial.kind == "canary" and trial.ended is None for trial in self._repository.trials(name)):
                raise StateRefused(f"the release {name!r} decides as a canary; end that first")
            more = {"proposed_by": None, "approved_by": None, "approved": None}
            return self._move("take back release", name, reason, by, ["proposed", "approved"], "draft", more)

    def approval(self, name: str, *, by: Person) -> dict[str, Any]:
        """What stands between a release and its service, and whether the asker may approve it."""
        record = self._release(name)
        hands = self.hands(record)
        return {
            "required": self._required,
            "state": record.state,
            "hands": sorted(hands.names),
            "since": hands.since,
            "yours": self._tie(hands, by) is not None,
        }

    def hands(self, record: ReleaseRecord) -> Hands:
        """Who had a hand in a release since the last approved revision of its name.

        An approved revision that isn't among those before this one (another rule set's, or a later one)
        approves nothing here: then everybody counts who ever edited it.
        """
        revisions = self._repository.revisions(record.ruleset, record.revision)
        approved = self._repository.approved(record.name)
        places = {item.revision: place for place, item in enumerate(revisions)}
        since = None
        if approved is not None and approved.ruleset == record.ruleset and approved.revision in places:
            since = approved.revision
        later = revisions if since is None else revisions[places[since] + 1 :]
        names = {json.loads(item.step)["author"] for item in later if item.step is not None}
        if since is None:
            names.add(self._repository.get(RuleSetRecord, record.ruleset, UnknownRuleSet).author)
        return Hands(frozenset(names | {record.made_by}) - {""}, since)

    def _tie(self, hands: Hands, by: Person) -> str | None:
        """How somebody is one with a person who had a hand in a release, or may be; None where they aren't.

        Whoever makes a key can use it: the keys that a person made, for whatever names, may be that person's.
        """
        if hands.include(by):
            return f"{by.name!r} had a hand in it"
        makers = self._repository.key_makers()
        for hand in sorted(hands.names - {SERVICE.name}):
            for maker, name in ((hand, by.name), (by.name, hand)):
                if made_for(maker, name, makers):
                    return f"{hand!r} had a hand in it, and {maker!r} made a key of {name!r}"
        return None

    def _move(
        self,
        action: str,
        name: str,
        reason: Why,
        by: Person,
        before: Sequence[ReleaseState],
        after: ReleaseState,
        more: Mapping[str, str | None],
    ) -> dict[str, Any]:
        with self._once.attempt(action, name, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._release(name)
            if record.state not in before:
                only = " or ".join(before)
                raise StateRefused(f"the release {name!r} is {record.state}; only one that is {only} can be {after}")
            if after != "draft":
                self.check_expiry(record.expires)
            hands = self.hands(record)
            tie = self._tie(hands, by) if after == "approved" else None
            if tie is not None:
                since = "ever" if hands.since is None else "since the last approved revision"
                raise OwnEdit(f"{tie}; somebody approves {name!r} who had none {since}, and by a key of nobody who had")
            with self._repository.change(by) as change:
                change.move_release(name, record.state, after, **more)
                payload = released(record) | {"hands": sorted(hands.names), "since": hands.since, **more}
                payload |= {"reverts": record.state} if after == "draft" else {}
                change.happened(Happened(action, name, reason, payload))
                moved = replace(record, state=after, **more)  # type: ignore[arg-type]
                return dict(attempt.answer(change, release_view(moved)))

    # --- service ------------------------------------------------------------------------------

    def activate(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Put a release in service under its name; raises `ApprovalNeeded`, `Expired`."""
        with self._switching, self._once.attempt("activate release", name, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._release(name)
            self.check_servable(record)
            # Loaded before anything is said to be in service: a release that can't be loaded never is.
            line = [earlier for earlier in self._repository.line(record.name) if earlier.id != name]
            serving = self._ready(record, line)
            with self._repository.change(by) as change:
                # Loading took its time, in which another process may have taken the approval back.
                self.check_servable(change.release(name))
                payload = released(record) | {"replaces": change.activate(name)}
                change.happened(Happened("activate release", name, reason, payload))
                reply = attempt.answer(change, release_view(replace(record, state="active")))
            self._scoring.put(serving)
        return dict(reply)

    def roll_back(self, name: str, reason: Why, *, by: Person) -> dict[str, Any]:
        """Take the active release out of service; the last one before it that may serve does again, and is returned."""
        with self._switching, self._once.attempt("roll back release", name, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._release(name)
            with self._repository.change(by) as change:
                earlier = change.roll_back(name, self._may_serve)
                payload = released(record) | {"reverts": name, "serves_again": earlier.id}
                change.happened(Happened("roll back release", name, reason, payload))
                serving = self._ready(earlier, self._below(earlier))
                reply = attempt.answer(change, release_view(earlier))
            self._scoring.put(serving)
        return dict(reply)

    def retire(self) -> None:
        """Take out of service what has expired, and what nobody approved where that is required.

        Decisions don't wait for it: from the moment of expiry they are the earlier release's. This writes
        it down, with its event.
        """
        for record in self._repository.active():
            if not self._may_serve(record):
                with self._switching:
                    self._retire(record)

    def check_expiry(self, expires: str | None) -> None:
        """Raise `Expired` where a moment has passed."""
        if expires is not None and self._now() >= expires:
            raise Expired(f"it expires at {expires}, which has passed; make a release that expires later")

    def _retire(self, record: ReleaseRecord) -> None:
        expired = record.expires is not None and self._now() >= record.expires
        action = "expire release" if expired else "withdraw release"
        reason = f"it serves until {record.expires}" if expired else "nobody has approved it, and that is required"
        with self._repository.change(SERVICE) as change:
            if change.release(record.id).state != "active":
                change.abandon()
            earlier = change.step_down(action, record.id, self._may_serve)
            payload = released(record) | {"reverts": record.id, "serves_again": earlier.id if earlier else None}
            change.happened(Happened(action, record.id, reason, payload))
        if change.sealed is None:
            return
        if earlier is None:
            self._scoring.drop(record.name)
        else:
            self._scoring.put(self._ready(earlier, self._below(earlier)))
        log.warning("%s %s: %s", action, record.id, reason)

    def check_servable(self, record: ReleaseRecord) -> None:
        """Raise `ApprovalNeeded` or `Expired` where a release may not decide."""
        self.check_expiry(record.expires)
        if not self._may_serve(record):
            raise ApprovalNeeded(
                f"the release {record.id!r} is {record.state} and nobody has approved it; propose it, and somebody who "
                "had no hand in it approves it"
            )

    def _may_serve(self, record: ReleaseRecord) -> bool:
        if record.expires is not None and self._now() >= record.expires:
            return False
        return not self._required or record.approved_by is not None

    def _below(self, record: ReleaseRecord) -> list[ReleaseRecord]:
        """The releases that served before one under its name."""
        line = self._repository.line(record.name)
        place = max((place for place, item in enumerate(line) if item.id == record.id), default=0)
        return line[:place]

    def _ready(self, record: ReleaseRecord, below: Sequence[ReleaseRecord]) -> Serving:
        """A release ready to serve, together with what serves once it has expired."""
        serving = self._scoring.find(record.name, record.id) or Serving.of(
            record.id, record.name, self._shelf.release(record.id), self._shelf.reference(record)
        )
        then = None
        if record.expires is not None:
            places = [place for place, earlier in enumerate(below) if self._may_serve(earlier)]
            then = self._ready(below[places[-1]], below[: places[-1]]) if places else None
        return replace(serving, expires=record.expires, then=then)

    def _release(self, name: str) -> ReleaseRecord:
        return self._repository.get(ReleaseRecord, name, UnknownRelease)

    def _now(self) -> str:
        return text_of(self._clock())


def made_for(maker: str, name: str, makers: Mapping[str, frozenset[str]]) -> bool:
    """Whether somebody made a key of this name, or one of somebody's who did, and so on."""
    asked, seen = [name.casefold()], set[str]()
    while asked:
        for before in makers.get(asked.pop(), frozenset()):
            if before == maker.casefold():
                return True
            if before not in seen:
                seen.add(before)
                asked.append(before)
    return False


def released(record: ReleaseRecord) -> dict[str, Any]:
    """What an event says of a release."""
    names = ("name", "ruleset", "revision", "content", "model", "dataset", "mode", "strategy")
    people = ("made_by", "proposed_by", "approved_by", "expires")
    return {name: getattr(record, name) for name in (*names, *people)} | {"hashes": {"folder": record.folder}}
