"""Trials of releases as a user begins, ends and reads them; they outlive a restart, their counters don't."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from ruleedit.errors import RuleEditError
from service.errors import NothingActive, StateRefused, UnknownRelease, UnknownTrial
from service.once import Once
from service.people import Person
from service.scoring import Scoring, Serving
from service.shelf import Shelf
from service.store.records import Happened, ReleaseRecord, TrialRecord, Why
from service.store.repository import Repository
from service.trial import Kind, Trial, log
from service.workflow import Workflow, released


class Trials:
    """The releases on trial of one service."""

    def __init__(self, repository: Repository, shelf: Shelf, scoring: Scoring, once: Once, workflow: Workflow) -> None:
        self._repository = repository
        self._shelf = shelf
        self._scoring = scoring
        self._once = once
        self._workflow = workflow

    def start(self) -> None:
        """Take up the trials that have not ended; one whose release may no longer serve is left out, and said."""
        for record in self._repository.trials():
            release = self._release(record.release)
            try:
                self._check(release, record.kind)
                self._scoring.begin(record.name, self._trial(record, release))
            except RuleEditError as problem:
                log.warning("%s isn't tried as %s: %s", record.release, record.kind, problem)

    def begin(self, name: str, kind: Kind, share: float, reason: Why, *, by: Person) -> dict[str, Any]:
        """Try a release beside the one in service under its name.

        Raises `StateRefused` where it is in service itself, nothing is, or another is tried; and for a canary,
        which decides in earnest, as activating it would.
        """
        with self._once.attempt(f"begin {kind}", name, share, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            release = self._release(name)
            self._check(release, kind)
            self._check_beside(release)
            record = TrialRecord(release.name, name, kind, share, self._repository.moment())
            # Loaded before anything is said to be on trial.
            trial = self._trial(record, release)
            try:
                with self._repository.change(by) as change:
                    change.begin_trial(record)
                    change.happened(Happened(f"begin {kind}", name, reason, released(release) | {"share": share}))
                    reply = attempt.answer(change, trial_view(record, trial))
            except BaseException:
                trial.close()
                raise
            self._scoring.begin(release.name, trial)
        return dict(reply)

    def end(self, name: str, kind: Kind, reason: Why, *, by: Person) -> dict[str, Any]:
        """End a release's trial; the answer is what was counted. Raises `StateRefused` where there is none."""
        with self._once.attempt(f"end {kind}", name, reason, by.name) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            release = self._release(name)
            told = self.show(name, kind)
            with self._repository.change(by) as change:
                change.end_trial(name, kind)
                told |= {"state": "ended", "ended": change.moment}
                counted = {key: told[key] for key in ("rows", "differing", "pairs", "failed", "dropped")}
                change.happened(Happened(f"end {kind}", name, reason, released(release) | counted))
                reply = attempt.answer(change, told)
            self._scoring.end(release.name, kind)
        return dict(reply)

    def show(self, name: str, kind: Kind) -> dict[str, Any]:
        """A release's last trial and what was counted since the service started; raises `UnknownTrial`."""
        release = self._release(name)
        found = next((record for record in self._repository.trials(name) if record.kind == kind), None)
        if found is None:
            raise UnknownTrial(name)
        trial = None if found.ended else self._scoring.tried(release.name, kind)
        return trial_view(found, trial)

    def _check(self, release: ReleaseRecord, kind: Kind) -> None:
        self._workflow.check_expiry(release.expires)
        if kind == "canary":
            self._workflow.check_servable(release)

    def _check_beside(self, release: ReleaseRecord) -> None:
        try:
            active = self._scoring.get(release.name)
        except NothingActive:
            raise StateRefused(f"nothing is in service as {release.name!r}; activate a release first") from None
        if active.id == release.id:
            raise StateRefused(f"the release {release.id!r} is in service itself; try another one beside it")

    def _trial(self, record: TrialRecord, release: ReleaseRecord) -> Trial:
        # One of its own, so that what it decides on trial isn't counted as decided in service.
        loaded, reference = self._shelf.release(release.id), self._shelf.reference(release)
        serving = replace(Serving.of(release.id, release.name, loaded, reference), expires=release.expires)
        return Trial(record.kind, serving, record.share, record.created)

    def _release(self, name: str) -> ReleaseRecord:
        return self._repository.get(ReleaseRecord, name, UnknownRelease)


def trial_view(record: TrialRecord, trial: Trial | None) -> dict[str, Any]:
    """A trial as JSON; without its ``trial`` in memory nothing was counted since the start."""
    pairs, failed, dropped = ({}, 0, 0) if trial is None else trial.counts()
    return {
        **asdict(record),
        "state": "ended" if record.ended else "running" if trial is not None else "stopped",
        "rows": sum(pairs.values()),
        "differing": sum(count for (one, other), count in pairs.items() if one != other),
        "pairs": [{"outcome": one, "trial_outcome": other, "rows": count} for (one, other), count in pairs.items()],
        "failed": failed,
        "dropped": dropped,
    }
