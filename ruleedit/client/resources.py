"""The service's resources, one class each; a thin layer: paths, bodies and values."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ruleedit.client.answers import Conflict, Dataset, Decisions, Impact, Job, LocalView, Model, Release, RuleSet
from ruleedit.client.transport import Transport
from ruleedit.errors import ApiUnreachable, JobFailed

if TYPE_CHECKING:
    import pandas as pd

#: Seconds between two looks at a job.
LOOK = 0.2


class Client:
    """A service by its address.

    Parameters
    ----------
    url
        As in ``http://127.0.0.1:8000``.
    key
        An API key or a bearer token; None where the service runs as a demo on this machine.
    timeout
        Seconds for one answer.
    retries
        Further tries where the service is busy or the answer was lost; no write has its effect twice.
    """

    def __init__(self, url: str, *, key: str | None = None, timeout: float = 60.0, retries: int = 3) -> None:
        self.transport = Transport(url, key=key, timeout=timeout, retries=retries)
        self.jobs = Jobs(self.transport)
        self.datasets = Datasets(self.transport)
        self.models = Models(self.transport, self.jobs)
        self.rulesets = RuleSets(self.transport, self.jobs)
        self.releases = Releases(self.transport, self.jobs)

    def decide(self, name: str, rows: Sequence[Mapping[str, Any]], *, explain: bool = False) -> Decisions:
        """Decide rows by what is in service under a name; None is missing.

        ``explain`` asks too which clauses failed for the nearest other outcome.
        """
        path = f"/v1/decisions/{name}" + ("?explain=true" if explain else "")
        return Decisions.of(self.transport.send("POST", path, json={"rows": list(rows)}).json())

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pages(transport: Transport, path: str) -> Iterator[Any]:
    cursor: str | None = None
    while True:
        page = transport.get(path, cursor=cursor, limit=200)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return


class Jobs:
    """Long work."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, job: str) -> Job:
        """A job as it stands."""
        return Job.of(self._transport.get(f"/v1/jobs/{job}"))

    def list(self) -> Iterator[Job]:
        """The jobs, newest first."""
        return map(Job.of, _pages(self._transport, "/v1/jobs"))

    def cancel(self, job: str) -> Job:
        """Cancel a job."""
        return Job.of(self._transport.post(f"/v1/jobs/{job}/cancel"))

    def wait(self, job: Job | str, *, seconds: float = 3_600.0) -> Job:
        """Wait until a job has succeeded; raises `JobFailed` where it ends otherwise, `ApiUnreachable` in time."""
        name = job if isinstance(job, str) else job.id
        until = time.monotonic() + seconds
        while not (found := self.get(name)).ended:
            if time.monotonic() > until:
                raise ApiUnreachable(f"the job {name} has not ended within {seconds:g} s")
            time.sleep(LOOK)
        if found.state != "succeeded":
            error = found.error or {}
            raise JobFailed(f"the job {name} {found.state}: {error.get('detail')}", problem=str(error.get("code")))
        return found

    def result(self, answer: Mapping[str, Any], key: str) -> str:
        """Wait for the job of a 202 and return the id that it made."""
        result = self.wait(str(answer["id"])).result
        assert result is not None
        return str(result[key])


class Datasets:
    """Tables."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def upload(self, table: str | Path | IO[bytes] | pd.DataFrame, *, name: str | None = None) -> Dataset:
        """Upload a CSV or Parquet file by its path, an open file (CSV), or a DataFrame."""
        if isinstance(table, str | Path):
            path = Path(table)
            with path.open("rb") as file:
                return self._send(path.name, file, name)
        if hasattr(table, "to_parquet"):
            whole = io.BytesIO()
            table.to_parquet(whole, index=False)
            whole.seek(0)
            return self._send("table.parquet", whole, name or "table")
        return self._send("table.csv", table, name or "table")

    def review(self, dataset: str, target: str, **more: Any) -> Mapping[str, Any]:
        """A schema of a data set before it is trained on, and what is wrong with it, column by column.

        ``more`` as in the API: features, missing_tokens. Its ``schema`` is what `Models.train` takes.
        """
        found: Mapping[str, Any] = self._transport.post(f"/v1/datasets/{dataset}/schema", {"target": target, **more})
        return found

    def get(self, dataset: str) -> Dataset:
        """A data set by its id."""
        return Dataset.of(self._transport.get(f"/v1/datasets/{dataset}"))

    def list(self) -> Iterator[Dataset]:
        """The data sets, newest first."""
        return map(Dataset.of, _pages(self._transport, "/v1/datasets"))

    def _send(self, file: str, content: IO[bytes], name: str | None) -> Dataset:
        data = {} if name is None else {"name": name}
        # Read once: a further try sends the same bytes again.
        return Dataset.of(self._transport.post("/v1/datasets", files={"file": (file, content.read())}, data=data))


class Models:
    """Models."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        self._transport = transport
        self._jobs = jobs

    def train(self, dataset: str, target: str, **more: Any) -> Model:
        """Train a model on a data set and wait; ``more`` as in the API: seed, thresholds, schema, groups, name."""
        body = {"dataset": dataset, "target": target, **more}
        return self.get(self._jobs.result(self._transport.post("/v1/models", body), "model"))

    def adopt(self, file: str | Path, dataset: str, target: str, **more: Any) -> Model:
        """Take over a LightGBM text file and wait; ``more`` as for `train`, and classes."""
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in more.items()}
        content = Path(file).read_bytes()
        data = {"dataset": dataset, "target": target, **texts}
        answer = self._transport.post("/v1/models", files={"file": ("model.txt", content)}, data=data)
        return self.get(self._jobs.result(answer, "model"))

    def get(self, model: str) -> Model:
        """A model by its id."""
        return Model.of(self._transport.get(f"/v1/models/{model}"))

    def mark(self, model: str, columns: Mapping[str, Sequence[float]], *, reason: str, **more: Any) -> Model:
        """Say which columns are sensitive, a number with its cuts; ``more`` as in the API: favourable, least_ratio."""
        listed = [{"column": name, "cuts": list(cuts)} for name, cuts in columns.items()]
        body = {"columns": listed, "reason": reason, **more}
        return Model.of(self._transport.post(f"/v1/models/{model}/groups", body))

    def list(self) -> Iterator[Model]:
        """The models, newest first."""
        return map(Model.of, _pages(self._transport, "/v1/models"))


class RuleSets:
    """Rule sets; an edit is made from the revision that was read, and refused with `ApiStale` if another came first."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        self._transport = transport
        self._jobs = jobs

    def extract(self, model: str, **more: Any) -> RuleSet:
        """Summarise a model in rules and wait.

        ``more`` as in the API: max_clauses, method, max_iterations, seconds, memory (MiB), stability,
        probabilities, ground, seed, dataset, name.
        """
        answer = self._transport.post("/v1/rulesets", {"model": model, **more})
        return self.get(self._jobs.result(answer, "ruleset"))

    def get(self, ruleset: str, *, revision: str | None = None) -> RuleSet:
        """A rule set, at its present revision unless another is named."""
        return RuleSet.of(self._transport.get(f"/v1/rulesets/{ruleset}", revision=revision))

    def list(self) -> Iterator[Mapping[str, Any]]:
        """The rule sets without their rules, newest first."""
        return _pages(self._transport, "/v1/rulesets")

    def edit(self, ruleset: RuleSet, edits: Sequence[str], *, reason: str, **more: Any) -> RuleSet:
        """Make edits, all or none; ``more`` as in the API: author, assert."""
        body = {"edits": list(edits), "reason": reason, **more}
        path = f"/v1/rulesets/{ruleset.id}/edits"
        return RuleSet.of(self._transport.post(path, body, revision=ruleset.revision))

    def resolve(self, ruleset: RuleSet, rules: Sequence[str] | None = None, *, strategy: str, **more: Any) -> RuleSet:
        """Settle the conflict of two rules, or all; ``more`` as in the API: outcome, weights, reason, author."""
        body = {"strategy": strategy, **({} if rules is None else {"rules": list(rules)}), **more}
        path = f"/v1/rulesets/{ruleset.id}/resolutions"
        return RuleSet.of(self._transport.post(path, body, revision=ruleset.revision))

    def impact(self, ruleset: RuleSet, *, dataset: str | None = None) -> Impact:
        """What the hard overlay of this revision would change on a data set, the model's own unless one is named."""
        path = f"/v1/rulesets/{ruleset.id}/impact"
        return Impact.of(self._transport.get(path, dataset=dataset, revision=ruleset.revision))

    def local(self, ruleset: RuleSet, row: Mapping[str, Any], *, seed: int = 0) -> LocalView:
        """Look at one row closely: what this revision and the model answer, and the smallest change of each answer."""
        body = {"row": dict(row), "revision": ruleset.revision, "seed": seed}
        return LocalView.of(self._transport.send("POST", f"/v1/rulesets/{ruleset.id}/local", json=body).json())

    def conflicts(self, ruleset: RuleSet) -> tuple[Conflict, ...]:
        """The conflicts of this revision, settled or not."""
        found = self._transport.get(f"/v1/rulesets/{ruleset.id}/conflicts", revision=ruleset.revision)
        return tuple(map(Conflict.of, found["conflicts"]))

    def pilot(self, ruleset: RuleSet, mode: str, **more: Any) -> Job:
        """Try a mode on some rows of this revision and wait; its result says what it would do.

        ``more`` as in the API: strategy, rows, dataset, seed.
        """
        body = {"mode": mode, "revision": ruleset.revision, **more}
        return self._jobs.wait(str(self._transport.post(f"/v1/rulesets/{ruleset.id}/pilots", body)["id"]))

    def history(self, ruleset: str) -> Mapping[str, Any]:
        """Who changed what, when and why."""
        found: Mapping[str, Any] = self._transport.get(f"/v1/rulesets/{ruleset}/history")
        return found

    def export(self, ruleset: RuleSet, form: str) -> bytes:
        """This revision in a format of other tools."""
        path = f"/v1/rulesets/{ruleset.id}/export"
        return self._transport.content(path, format=form, revision=ruleset.revision)


class Releases:
    """Releases."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        self._transport = transport
        self._jobs = jobs

    def make(self, ruleset: RuleSet, name: str, mode: str, **more: Any) -> Release:
        """Put this revision in force and wait; ``more`` as in the API: strategy, dataset, seed, pilot."""
        body = {"ruleset": ruleset.id, "revision": ruleset.revision, "name": name, "mode": mode, **more}
        return self.get(self._jobs.result(self._transport.post("/v1/releases", body), "release"))

    def get(self, release: str) -> Release:
        """A release by its id."""
        return Release.of(self._transport.get(f"/v1/releases/{release}"))

    def list(self) -> Iterator[Release]:
        """The releases, newest first."""
        return map(Release.of, _pages(self._transport, "/v1/releases"))

    def activate(self, release: Release | str, *, reason: str) -> Release:
        """Decide by it under its name from the next request on."""
        return self._move(release, "activate", reason)

    def roll_back(self, release: Release | str, *, reason: str) -> Release:
        """Take it out of service; the one that served before is the answer."""
        return self._move(release, "rollback", reason)

    def propose(self, release: Release | str, *, reason: str) -> Release:
        """Ask for its approval."""
        return self._move(release, "propose", reason)

    def approve(self, release: Release | str, *, reason: str) -> Release:
        """Approve it; nobody who had a hand in it can."""
        return self._move(release, "approve", reason)

    def reject(self, release: Release | str, *, reason: str) -> Release:
        """Give it back as a draft."""
        return self._move(release, "reject", reason)

    def _move(self, release: Release | str, step: str, reason: str) -> Release:
        name = release if isinstance(release, str) else release.id
        return Release.of(self._transport.post(f"/v1/releases/{name}/{step}", {"reason": reason}))
