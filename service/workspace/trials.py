"""Trials of releases as a user begins, ends and reads them; they and what was counted outlive a restart.

Each process counts what it decided, and now and then adds that to the database, so that the counts are
those of all processes together.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, replace
from typing import Any

from ruleedit.errors import RuleEditError
from service.errors import NothingActive, StateRefused, UnknownRelease, UnknownTrial
from service.once import Once
from service.people import Person
from service.scoring import KINDS, Scoring, Serving
from service.scoring.trial import Kind, Trial, log
from service.shelf import Shelf
from service.store.records import Happened, ReleaseRecord, TrialCounts, TrialRecord, Why
from service.store.repository import Repository
from service.workspace.workflow import Workflow, released

#: What happens to trials.
TRIED = frozenset(f"{step} {kind}" for step in ("begin", "end") for kind in KINDS)


class Trials:
    """The releases on trial of one service."""

    def __init__(self, repository: Repository, shelf: Shelf, scoring: Scoring, once: Once, workflow: Workflow) -> None:
        self._repository = repository
        self._shelf = shelf
        self._scoring = scoring
        self._once = once
        self._workflow = workflow
        self._switching = threading.Lock()
        self._counting = threading.Lock()

    def follow(self) -> None:
        """Try what the database says is on trial; one whose release may no longer serve is left out, and said."""
        with self._switching:
            wanted = {(record.name, record.kind): record for record in self._repository.trials()}
            for (name, kind), trial in self._scoring.trials.items():
                record = wanted.get((name, kind))
                if record is not None and trial.number == record.number:
                    del wanted[name, kind]
                else:
                    self._end(name, kind)
            for record in wanted.values():
                self._take_up(record)

    def close(self) -> None:
        """Try nothing any more in this process, and write what was counted."""
        with self._switching:
            for name, kind in self._scoring.trials:
                self._end(name, kind)

    def write(self) -> None:
        """Add what was counted here since the last time to the database."""
        for trial in self._scoring.trials.values():
            self._write(trial)

    def begin(self, name: str, kind: Kind, share: float, reason: Why, *, by: Person) -> dict[str, Any]:
        """Try a release beside the one in service under its name.

        Raises `StateRefused` where it is in service itself, nothing is, or another is tried; and for a canary,
        which decides in earnest, as activating it would.
        """
        with self._switching, self._once.attempt(f"begin {kind}", name, share, reason, by.name) as attempt:
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
                    trial.number = change.begin_trial(record).number
                    change.happened(Happened(f"begin {kind}", name, reason, released(release) | {"share": share}))
                    reply = attempt.answer(change, trial_view(record, "running", TrialCounts()))
            except BaseException:
                trial.close()
                raise
            self._scoring.begin(release.name, trial)
        return dict(reply)

    def end(self, name: str, kind: Kind, reason: Why, *, by: Person) -> dict[str, Any]:
        """End a release's trial; the answer is what was counted. Raises `StateRefused` where there is none.

        What other processes counted in the last moment is only in what `show` says later.
        """
        with self._switching, self._once.attempt(f"end {kind}", name, reason, by.name) as attempt:
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
            self._end(release.name, kind)
        return dict(reply)

    def show(self, name: str, kind: Kind) -> dict[str, Any]:
        """A release's last trial and what was counted of it; raises `UnknownTrial`."""
        release = self._release(name)
        record = next((found for found in self._repository.trials(name) if found.kind == kind), None)
        if record is None:
            raise UnknownTrial(name)
        trial = self._scoring.tried(release.name, kind)
        here = trial is not None and trial.number == record.number
        with self._counting:
            counts = self._repository.counted(record.number)
            if trial is not None and here:
                counts += trial.counts() - trial.written
        return trial_view(record, "ended" if record.ended else "running" if here else "stopped", counts)

    def _take_up(self, record: TrialRecord) -> None:
        release = self._release(record.release)
        try:
            self._check(release, record.kind)
            self._scoring.begin(record.name, self._trial(record, release))
        except RuleEditError as problem:
            log.warning("%s isn't tried as %s: %s", record.release, record.kind, problem)

    def _end(self, name: str, kind: Kind) -> None:
        ended = self._scoring.end(name, kind)
        if ended is not None:
            self._write(ended)

    def _write(self, trial: Trial) -> None:
        with self._counting:
            counts = trial.counts()
            fresh = counts - trial.written
            if fresh:
                self._repository.count_trial(trial.number, fresh)
                trial.written = counts

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
        trial = Trial(record.kind, serving, record.share)
        trial.number = record.number
        return trial

    def _release(self, name: str) -> ReleaseRecord:
        return self._repository.get(ReleaseRecord, name, UnknownRelease)


def trial_view(record: TrialRecord, state: str, counts: TrialCounts) -> dict[str, Any]:
    """A trial and what was counted of it, as JSON."""
    return {
        **{key: value for key, value in asdict(record).items() if key != "number"},
        "state": state,
        "rows": sum(counts.pairs.values()),
        "differing": sum(count for (one, other), count in counts.pairs.items() if one != other),
        "pairs": [
            {"outcome": one, "trial_outcome": other, "rows": count} for (one, other), count in counts.pairs.items()
        ],
        "failed": counts.failed,
        "dropped": counts.dropped,
    }
