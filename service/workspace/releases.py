"""Releases: tried, made, compared, handed to auditors, and what they decide."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from ruleedit.bundle import Bundle, Choices, bundle, card
from ruleedit.comparison import compare
from ruleedit.conflicts import refuse_open
from ruleedit.errors import Refused, TableError
from ruleedit.inforce import check_mode
from ruleedit.retrain.report import subgroups
from ruleedit.tables.batches import Piece, pieces
from service.audit.ledger import ChainLedger
from service.errors import UnknownRelease
from service.jobs.inspection import inspect_table
from service.people import Person
from service.scoring import Serving
from service.scoring.batch import check, decided_csv
from service.shelf import truth_or_none
from service.store.records import (
    ReleaseRecord,
)
from service.store.repository import text_of
from service.views import (
    job_view,
    release_view,
)
from service.workspace.desk import Page
from service.workspace.rulesets import RuleSets

#: Rows of a pilot unless somebody says how many: enough to tell an agreement of 0.99 from one of 0.98.
PILOT_ROWS = 2_000
#: So many of the newest pilots are looked through for those of a revision.
MOST_PILOTS = 200


class Releases(RuleSets):
    """Releases, over rule sets."""

    def pilot(
        self,
        ruleset: str,
        mode: str,
        *,
        by: Person,
        revision: str | None = None,
        strategy: str | None = None,
        rows: int = PILOT_ROWS,
        dataset: str | None = None,
        seed: int = 0,
    ) -> dict[str, Any]:
        """Try a mode on at most so many rows, as a job whose result says what putting it in force would do."""
        request = {"ruleset": ruleset, "revision": revision, "mode": mode, "strategy": strategy, "rows": rows}
        request |= {"dataset": dataset, "seed": seed}
        with self._once.attempt("pilot", request) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            record = self._ruleset(ruleset)
            draft = self._shelf.draft(ruleset, revision or record.head)
            check_mode(mode, strategy, False)
            refuse_open(draft.rules, draft.schema)
            table = self.dataset(dataset or self._training_table(record))["id"]
            return self._submit(attempt, "pilot", request | {"revision": draft.revision, "dataset": table}, by)

    def pilots(self, ruleset: str, revision: str | None = None) -> dict[str, Any]:
        """The pilots of a revision, the present one unless one is named, newest first."""
        record = self._ruleset(ruleset)
        wanted = (ruleset, revision or record.head)
        found = self._repository.jobs_of("pilot", MOST_PILOTS)
        listed = [job for job in found if (job.request["ruleset"], job.request["revision"]) == wanted]
        return {"revision": wanted[1], "pilots": [job_view(job) for job in listed]}

    def _check_pilot(self, pilot: str, *wanted: str | None) -> None:
        job = self._jobs.get(pilot)
        tried = tuple(job.request.get(key) for key in ("ruleset", "revision", "mode", "strategy"))
        if job.kind != "pilot" or job.state != "succeeded" or tried != wanted:
            raise Refused(f"the job {pilot!r} is no pilot of this revision, mode and strategy that has succeeded")

    def make_release(
        self,
        ruleset: str,
        name: str,
        mode: str,
        *,
        by: Person,
        revision: str | None = None,
        strategy: str | None = None,
        dataset: str | None = None,
        seed: int = 0,
        prove: bool = False,
        groups: Sequence[str] | None = None,
        expires: datetime | None = None,
        pilot: str | None = None,
    ) -> dict[str, Any]:
        """Put a revision in force as a release, as a job; raises `ConflictsOpen` at once where conflicts are open.

        ``prove`` and ``groups`` are `put_in_force`'s. At ``expires`` the release that served before
        serves again. ``pilot`` is the job whose result is kept as what was expected.
        """
        request: dict[str, Any] = {
            "ruleset": ruleset,
            "revision": revision,
            "name": name,
            "mode": mode,
            "strategy": strategy,
        }
        request |= {"dataset": dataset, "seed": seed, "expires": None if expires is None else text_of(expires)}
        request |= {"prove": prove, "groups": None if groups is None else list(groups), "pilot": pilot}
        with self._once.attempt("release", request) as attempt:
            if attempt.earlier is not None:
                return dict(attempt.earlier)
            self.workflow.check_expiry(request["expires"])
            record = self._ruleset(ruleset)
            draft = self._shelf.draft(ruleset, revision or record.head)
            check_mode(mode, strategy, prove)
            subgroups(draft.schema, groups)
            refuse_open(draft.rules, draft.schema)
            if pilot is not None:
                self._check_pilot(pilot, ruleset, draft.revision, mode, strategy)
            table = self.dataset(dataset or self._training_table(record))["id"]
            return self._submit(attempt, "release", request | {"revision": draft.revision, "dataset": table}, by)

    def release(self, name: str) -> dict[str, Any]:
        """A release with its report; raises `UnknownRelease`."""
        return release_view(self._repository.get(ReleaseRecord, name, UnknownRelease))

    def bundle(self, name: str, choices: Choices, *, by: Person) -> Bundle:
        """A release's audit bundle with the service's chain and signature; that it was handed out is an event."""
        record = self._repository.get(ReleaseRecord, name, UnknownRelease)
        ledger = ChainLedger(self._repository, self._heads, by)
        return bundle(self._shelf.release(record.id), choices, name=record.id, ledger=ledger)

    def card(self, name: str, choices: Choices) -> str:
        """A release's model card, a page that loads and runs nothing; raises as `ruleedit.bundle.card` does."""
        self._repository.get(ReleaseRecord, name, UnknownRelease)
        return card(self._shelf.release(name), choices)

    def compare(self, name: str, other: str, dataset: str | None, seed: int) -> dict[str, Any]:
        """Where two releases differ on a data set, the first one's own unless another is named."""
        record = self._repository.get(ReleaseRecord, name, UnknownRelease)
        before, after = self._shelf.release(name), self._shelf.release(other)
        frame = self._shelf.frame(dataset or record.dataset)
        truth = truth_or_none(frame, before.schema)
        return compare(
            before, after, frame, truth=truth, groups=self.fairness(record.model).parting, seed=seed
        ).to_json()

    def releases(self, page: Page) -> dict[str, Any]:
        """The releases, newest first."""
        return self._page(ReleaseRecord, page, release_view)

    def decide_batch(self, name: str, dataset: str, request: str) -> Iterator[bytes]:
        """Decide a data set by what is in service under a name, as CSV in parts; raises as `tables.encode` does."""
        return self._decided(name, self._shelf.pieces(dataset), request, {"dataset": dataset})

    def decide_file(self, name: str, source: BinaryIO, suffix: str, request: str) -> Iterator[bytes]:
        """The same of a table that is given with the request and not kept."""
        self.serving(name)
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._files.incoming(source, suffix))
            try:
                inspect_table(file.path, self.settings)
            except TableError as problem:
                raise type(problem)(str(problem).replace(file.path.name, "the file")) from None
            parts = self._decided(name, pieces(file.path), request, {"file": file.name})
            kept = stack.pop_all()
        answer = _until_sent(parts, kept)
        # A client may be gone before the first part is asked for.
        weakref.finalize(answer, kept.close)
        return answer

    def _decided(self, name: str, table: Sequence[Piece], request: str, of: dict[str, str]) -> Iterator[bytes]:
        serving = self.serving(name)
        check(table, serving.release.schema)

        def ended(told: dict[str, Any]) -> None:
            asked = {"name": name, "release": serving.id, "revision": serving.revision}
            self.scoring.note_batch(request, asked | of | told)

        return decided_csv(serving, table, ended)

    def serving(self, name: str) -> Serving:
        """The release that decides under a name; raises `NothingActive`."""
        return self.scoring.get(name)


def _until_sent(parts: Iterator[bytes], kept: contextlib.ExitStack) -> Iterator[bytes]:
    """The parts of an answer, and what they are read from let go of with the last."""
    with kept:
        yield from parts
