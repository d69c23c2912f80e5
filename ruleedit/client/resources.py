"""The service's resources, one class each; a thin layer: paths, bodies and values."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ruleedit.client.answers import (
    Conflict,
    Dataset,
    Decisions,
    Impact,
    Job,
    LocalView,
    Model,
    Release,
    RuleSet,
    release_id,
)
from ruleedit.client.oversight import AuditTrail, Keys, Trials
from ruleedit.client.transport import Transport, pages
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
        self.trials = Trials(self.transport)
        self.audit = AuditTrail(self.transport)
        self.keys = Keys(self.transport)

    def decide(self, name: str, rows: Sequence[Mapping[str, Any]], *, explain: bool = False) -> Decisions:
        """Decide rows by what is in service under a name; None is missing.

        ``explain`` asks too which clauses failed for the nearest other outcome.
        """
        path = f"/v1/decisions/{name}" + ("?explain=true" if explain else "")
        return Decisions.of(self.transport.send("POST", path, json={"rows": list(rows)}).json())

    def decide_table(self, name: str, table: Dataset | str | Path | IO[bytes] | pd.DataFrame) -> pd.DataFrame:
        """Decide a whole table by what is in service under a name: one that was uploaded, or one that isn't kept.

        A path is that of a CSV or Parquet file. Returns a row for each row, in the table's order: outcome,
        p_CLASS for each class, model_outcome, rule, by. It needs pandas.
        """
        import pandas as pd

        if isinstance(table, Dataset):
            answer = self.transport.send("POST", f"/v1/decisions/{name}/batch", json={"dataset": table.id})
        else:
            answer = self.transport.send("POST", f"/v1/decisions/{name}/file", files={"file": _table(table)})
        return pd.read_csv(io.BytesIO(answer.content), keep_default_na=False)

    def me(self) -> Mapping[str, Any]:
        """Whom the service takes the client for: name, roles, kind."""
        found: Mapping[str, Any] = self.transport.get("/v1/me")
        return found

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _table(table: str | Path | IO[bytes] | pd.DataFrame) -> tuple[str, bytes]:
    """A table as a file: its name, which says whether it is CSV or Parquet, and its bytes."""
    if isinstance(table, str | Path):
        return Path(table).name, Path(table).read_bytes()
    if hasattr(table, "to_parquet"):
        whole = io.BytesIO()
        table.to_parquet(whole, index=False)
        return "table.parquet", whole.getvalue()
    return "table.csv", table.read()


class Jobs:
    """Long work."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, job: str) -> Job:
        """A job as it stands."""
        return Job.of(self._transport.get(f"/v1/jobs/{job}"))

    def list(self) -> Iterator[Job]:
        """The jobs, newest first."""
        return map(Job.of, pages(self._transport, "/v1/jobs"))

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
        file, content = _table(table)
        data = {} if name is None and isinstance(table, str | Path) else {"name": name or "table"}
        # Read once: a further try sends the same bytes again.
        return Dataset.of(self._transport.post("/v1/datasets", files={"file": (file, content)}, data=data))

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
        return map(Dataset.of, pages(self._transport, "/v1/datasets"))


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
        return map(Model.of, pages(self._transport, "/v1/models"))


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
        return pages(self._transport, "/v1/rulesets")

    def edit(self, ruleset: RuleSet, edits: Sequence[str], *, reason: str, **more: Any) -> RuleSet:
        """Make edits, all or none; ``more`` as in the API: author, assert."""
        body = {"edits": list(edits), "reason": reason, **more}
        path = f"/v1/rulesets/{ruleset.id}/edits"
        return RuleSet.of(self._transport.post(path, body, revision=ruleset.revision))

    def restore(self, ruleset: RuleSet, revision: str, *, reason: str, **more: Any) -> RuleSet:
        """Let the rules be as they were at a revision, as one step more; ``more`` as in the API: author."""
        body = {"revision": revision, "reason": reason, **more}
        return RuleSet.of(self._transport.post(f"/v1/rulesets/{ruleset.id}/restore", body, revision=ruleset.revision))

    def compare(self, ruleset: str, **more: Any) -> Mapping[str, Any]:
        """Where two revisions decide differently; ``more`` as in the API: from (as ``old``), to (``new``), dataset."""
        asked = {"from": more.pop("old", None), "to": more.pop("new", None), **more}
        found: Mapping[str, Any] = self._transport.get(f"/v1/rulesets/{ruleset}/compare", **asked)
        return found

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

    def diff(self, ruleset: RuleSet, *, since: str | None = None) -> Mapping[str, Any]:
        """Rules added, removed and changed up to this revision, since another one or the first."""
        path = f"/v1/rulesets/{ruleset.id}/diff"
        found: Mapping[str, Any] = self._transport.get(path, to=ruleset.revision, **{"from": since})
        return found

    def bring(self, content: bytes, form: str, model: str, **more: str) -> RuleSet:
        """Take rules of other tools as a rule set about a model; ``more`` as in the API: default, name."""
        data = {"model": model, "format": form, **more}
        return RuleSet.of(self._transport.post("/v1/rulesets/import", files={"file": ("rules", content)}, data=data))

    def history(self, ruleset: str) -> Mapping[str, Any]:
        """Who changed what, when and why."""
        found: Mapping[str, Any] = self._transport.get(f"/v1/rulesets/{ruleset}/history")
        return found

    def export(self, ruleset: RuleSet, form: str, *, dialect: str | None = None) -> bytes:
        """This revision in a format of other tools; ``dialect`` is SQL's."""
        path = f"/v1/rulesets/{ruleset.id}/export"
        return self._transport.content(path, format=form, revision=ruleset.revision, dialect=dialect)


class Releases:
    """Releases."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        self._transport = transport
        self._jobs = jobs

    def make(self, ruleset: RuleSet, name: str, mode: str, **more: Any) -> Release:
        """Put this revision in force and wait.

        ``more`` as in the API: strategy, dataset, seed, prove, groups, expires, pilot.
        """
        body = {"ruleset": ruleset.id, "revision": ruleset.revision, "name": name, "mode": mode, **more}
        return self.get(self._jobs.result(self._transport.post("/v1/releases", body), "release"))

    def get(self, release: str) -> Release:
        """A release by its id."""
        return Release.of(self._transport.get(f"/v1/releases/{release}"))

    def list(self) -> Iterator[Release]:
        """The releases, newest first."""
        return map(Release.of, pages(self._transport, "/v1/releases"))

    def activate(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Decide by it under its name from the next request on.

        ``more``, here and below, is what the audit keeps beside the words: reason_code, ticket.
        """
        return self._move(release, "activate", reason, more)

    def roll_back(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Take it out of service; the one that served before is the answer."""
        return self._move(release, "rollback", reason, more)

    def propose(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Ask for its approval."""
        return self._move(release, "propose", reason, more)

    def approve(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Approve it; nobody who had a hand in it can."""
        return self._move(release, "approve", reason, more)

    def reject(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Give it back as a draft."""
        return self._move(release, "reject", reason, more)

    def withdraw(self, release: Release | str, *, reason: str, **more: str) -> Release:
        """Take back its proposal or approval, before it is in service."""
        return self._move(release, "withdraw", reason, more)

    def approval(self, release: Release | str) -> Mapping[str, Any]:
        """Whether it needs an approval, who had a hand in it, and whether the asker is among them."""
        found: Mapping[str, Any] = self._transport.get(f"/v1/releases/{release_id(release)}/approval")
        return found

    def compare(self, release: Release | str, other: Release | str, *, dataset: str | None = None) -> Mapping[str, Any]:
        """Where another release answers differently, as rules with figures on held-out rows."""
        path = f"/v1/releases/{release_id(release)}/compare"
        found: Mapping[str, Any] = self._transport.get(path, dataset=dataset, **{"with": release_id(other)})
        return found

    def bundle(self, release: Release | str, *, rows: int | None = None, groups: Sequence[str] = ()) -> bytes:
        """Its audit bundle, a zip that checks itself (`ruleedit verify`); ``rows`` held-out ones at most, 0: none."""
        query = {"without_rows": True} if rows == 0 else {"rows": rows}
        return self._transport.content(
            f"/v1/releases/{release_id(release)}/bundle", group=list(groups) or None, **query
        )

    def _move(self, release: Release | str, step: str, reason: str, more: Mapping[str, str]) -> Release:
        body = {"reason": reason, **more}
        return Release.of(self._transport.post(f"/v1/releases/{release_id(release)}/{step}", body))
