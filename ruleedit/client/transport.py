"""Requests: further tries, idempotency keys, and problems as exceptions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ruleedit.errors import (
    ApiBusy,
    ApiConflict,
    ApiDenied,
    ApiError,
    ApiFailed,
    ApiInvalid,
    ApiStale,
    ApiUnknown,
    ApiUnreachable,
    Refused,
)

if TYPE_CHECKING:
    import httpx

#: The exception of each status; every other 4xx is `ApiInvalid`, every other 5xx `ApiFailed`.
ERRORS: Mapping[int, type[ApiError]] = {
    401: ApiDenied,
    403: ApiDenied,
    404: ApiUnknown,
    409: ApiConflict,
    412: ApiStale,
    429: ApiBusy,
    503: ApiBusy,
}
#: Seconds before a further try where the service doesn't say, doubled each time; never more than the most.
PAUSE, LONGEST_PAUSE = 0.2, 5.0


class Transport:
    """One service by its address, with a key or token, a time limit in seconds and so many further tries."""

    def __init__(self, url: str, *, key: str | None, timeout: float, retries: int) -> None:
        try:
            import httpx
        except ImportError:
            raise Refused("ruleedit.client needs httpx: pip install 'ruleedit[client]'") from None
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._retries = retries
        self._lost = httpx.TransportError
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Ask for JSON; a query's None is left out."""
        return self.send("GET", path, params={name: value for name, value in query.items() if value is not None}).json()

    def content(self, path: str, **query: Any) -> bytes:
        """Ask for a file."""
        sent = {name: value for name, value in query.items() if value is not None}
        return self.send("GET", path, params=sent).content

    def post(self, path: str, body: Any = None, *, revision: str | None = None, **more: Any) -> Any:
        """Send a write once, however often it is tried; ``revision`` is what it was made from."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        if revision is not None:
            headers["If-Match"] = f'"{revision}"'
        sent = {"json": body} if body is not None else more
        return self.send("POST", path, headers=headers, **sent).json()

    def send(self, method: str, path: str, *, tries: int | None = None, **more: Any) -> httpx.Response:
        """Send a request; raises the `ApiError` of its answer, after further tries where these may help.

        ``tries`` is 1 for what must not be asked twice.
        """
        most = self._retries + 1 if tries is None else tries
        for number in range(most):
            last = number == most - 1
            try:
                response = self._http.request(method, path, **more)
            except self._lost as problem:
                if last:
                    raise ApiUnreachable(f"{method} {path}: {problem or type(problem).__name__}") from None
                time.sleep(_pause(number, None))
                continue
            if last or not _passing(response):
                break
            time.sleep(_pause(number, response.headers.get("Retry-After")))
        if response.is_success:
            return response
        raise _error(response)


def _passing(response: httpx.Response) -> bool:
    """Whether the same request may be answered in a while: nobody has time, or an earlier try is still at work."""
    return response.status_code in (429, 503) or (
        response.status_code == 409 and b'"idempotency-key-in-flight"' in response.content
    )


def _pause(number: int, said: str | None) -> float:
    asked = float(said) if said is not None and said.isdigit() else PAUSE * 2**number
    return min(asked, LONGEST_PAUSE)


def _error(response: httpx.Response) -> ApiError:
    status = response.status_code
    kind = ERRORS.get(status) or (ApiFailed if status >= 500 else ApiInvalid)
    try:
        said = response.json()
        detail, problem = str(said["detail"]), str(said["code"])
    except (ValueError, KeyError, TypeError):
        detail, problem = f"status {status} without a problem; is this a RuleEdit service?", ""
    return kind(detail, status=status, problem=problem)


def pages(transport: Transport, path: str, **of: str | None) -> Iterator[Any]:
    """The items of every page of a list, newest first; ``of`` narrows it."""
    cursor: str | None = None
    while True:
        page = transport.get(path, cursor=cursor, limit=200, **of)
        yield from page["items"]
        cursor = page["next"]
        if cursor is None:
            return
