"""The README's requests, as they stand there, to a service that has nothing yet."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ruleedit.datasets import loans
from tests.serving import Api, refused, serving

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A running service."""
    with serving(tmp_path_factory.mktemp("readme")) as found:
        yield found


@pytest.fixture(scope="module")
def answers(api: Api) -> dict[str, httpx.Response]:
    """What the service said to each request, by its path with the names of what is made."""
    return dict(_played(api))


def _script() -> str:
    """The README's requests, a command to a line."""
    found = re.search(r"## Over HTTP\n.*?```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1].replace("\\\n", " ")


def _row() -> str:
    """The row that it asks about, as the shell has it."""
    found = re.search(r"^row='(.*?)'$", _script(), re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def _played(api: Api) -> Iterator[tuple[str, httpx.Response]]:
    """Send one request after the other; names in capitals are what the service has given by then."""
    known: dict[str, str] = {}
    for line in _script().splitlines():
        if not line.startswith("curl "):
            continue
        words = shlex.split(line, comments=True)[1:]
        path = next(word for word in words if word.startswith("$api")).removeprefix("$api")
        response = _sent(api, [_filled(word, known) for word in words], _filled(path, known))
        if response.status_code == 202:
            known |= {"JOB": response.headers["Location"].rpartition("/")[2]}
            known |= {name.upper(): str(made) for name, made in api.ended(response)["result"].items()}
        elif path == "/v1/datasets":
            known["DATASET"] = response.json()["id"]
        if "ETag" in response.headers:
            known["REVISION"] = response.headers["ETag"].strip('"')
        yield path, response


def _filled(word: str, known: dict[str, str]) -> str:
    """A word with what the shell and the reader put in."""
    return re.sub(r"\b[A-Z]{3,}\b", lambda found: known.get(found[0], found[0]), word.replace("$row", _row()))


def _sent(api: Api, words: list[str], path: str) -> httpx.Response:
    """Send what curl would send: the options that the README uses, and no other."""
    given: dict[str, list[str]] = {"-d": [], "-H": [], "-F": []}
    rest = iter(words)
    for word in rest:
        if word in given:
            given[word].append(next(rest))
        else:
            assert word == "-i" or word.startswith("$api"), word
    headers = dict(line.split(": ", 1) for line in given["-H"])
    if given["-F"]:
        form = dict(part.split("=", 1) for part in given["-F"])
        assert form.pop("file") == "@loans.csv"
        return api.post(path, files={"file": ("loans.csv", loans(4_000).to_csv(index=False).encode())}, data=form)
    if given["-d"]:
        return api.post(path, content=given["-d"][0], headers=headers)
    return api.get(path, headers=headers)


def test_every_request_is_answered(answers: dict[str, httpx.Response]) -> None:
    """Each by 200, 201 or 202, from the upload to the decision."""
    told = {path: response.status_code for path, response in answers.items()}
    assert set(told.values()) == {200, 201, 202}, told
    assert [*told][:: len(told) - 1] == ["/v1/datasets", "/v1/decisions/loans"]


def test_the_row_is_decided_by_the_edit(answers: dict[str, httpx.Response]) -> None:
    """The draft's local view and the release in service name the same rule."""
    near = answers["/v1/rulesets/RULESET/local"].json()
    (decision,) = answers["/v1/decisions/loans"].json()["decisions"]
    assert decision["outcome"] == near["rules"]["outcome"] == "approve"
    assert decision["rule"] == near["rules"]["rule"]
    assert near["rules"]["text"].startswith("IF age between 27 and 30")


@pytest.mark.parametrize("path", ["/v1/rulesets/RULESET/local", "/v1/decisions/loans"])
def test_both_warn_of_the_value_that_is_null(answers: dict[str, httpx.Response], path: str) -> None:
    """Missing is an answer, and one to beware of."""
    told: Any = answers[path].json()
    said = told["warnings"] if "warnings" in told else told["decisions"][0]["warnings"]
    assert [line.partition(":")[0] for line in said] == ["guarantor"]


@pytest.mark.parametrize("path", ["/v1/rulesets/RULESET/local", "/v1/decisions/loans"])
def test_both_refuse_a_row_that_leaves_a_feature_out(api: Api, answers: dict[str, httpx.Response], path: str) -> None:
    """By the same code and the same sentence, with the name that is near."""
    row = {name.replace("income", "Income"): value for name, value in json.loads(_row()).items()}
    sent = str(answers[path].request.url)
    problem = refused(api.post(sent, json={"row": row} if "local" in path else {"rows": [row]}), 422, "columns-missing")
    assert "no column 'income'; did you mean 'Income'?" in problem["detail"]
