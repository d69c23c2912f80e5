"""Work on a table's pieces: here, one after the other, or by the workers of a Dask cluster.

`Over` is the seam: a function and pieces in, results in the order of the pieces out. Every such function
depends on its piece and on what all share, and on nothing else; so a piece whose worker was killed is simply worked on
again by another, and counts once. Dask's messages between scheduler and workers are pickles: let nobody
but your own machines reach a scheduler.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ruleedit.errors import Refused

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
#: A piece whose worker died is tried so often again before it is blamed for it.
RETRIES = 3
#: So many workers of a cluster on this machine unless told otherwise: one for each processor, up to this.
MOST_WORKERS = 8
#: What asks for a cluster on this machine instead of a scheduler's address.
LOCAL = "local"


class Over(Protocol):
    """Does a piece of work on each of many things; the results come in the order of the things."""

    def __call__(self, work: Callable[..., Any], things: Sequence[Any], *shared: Any) -> Iterator[Any]:
        """``work(thing, *shared)`` for each thing."""


def here(work: Callable[..., Any], things: Sequence[Any], *shared: Any) -> Iterator[Any]:
    """One after the other in this process: no result is made before it is asked for."""
    return (work(thing, *shared) for thing in things)


class Spread:
    """By a cluster's workers, each thing by one of them.

    What all share is sent once for each worker that needs it. It is kept as a task, not as data: where the only
    worker that has it dies, it is made again.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def __call__(self, work: Callable[..., Any], things: Sequence[Any], *shared: Any) -> Iterator[Any]:
        """``work(thing, *shared)`` for each thing, in order, by whoever is free."""
        common = [self.client.submit(_itself, value, pure=False, retries=RETRIES) for value in shared]
        futures = self.client.map(
            _with_shared,
            list(things),
            [work] * len(things),
            *([one] * len(things) for one in common),
            pure=False,
            retries=RETRIES,
        )
        try:
            while futures:
                # A result that was taken is forgotten: the workers' memory is free for the next.
                yield futures.pop(0).result()
        finally:
            self.client.cancel([*futures, *common])


def _itself(value: T) -> T:
    return value


def _with_shared(thing: Any, work: Callable[..., Any], *shared: Any) -> Any:
    return work(thing, *shared)


@contextlib.contextmanager
def cluster(address: str, *, workers: int | None = None) -> Iterator[Client]:
    """A client of the scheduler at an address (``tcp://host:8786``), or of a cluster on this machine (``local``).

    A cluster of this machine has ``workers`` processes of one thread each, listens on this machine alone and ends
    with the context. Raises `Refused` where Dask isn't installed or nobody answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise Refused("Dask is not installed here; install the extra: pip install 'ruleedit[dask]'") from None
    with contextlib.ExitStack() as stack:
        where: Any = address
        if address == LOCAL:
            where = stack.enter_context(
                LocalCluster(
                    n_workers=workers or _processors(),
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    # A free one: another cluster of this machine may have the usual one.
                    dashboard_address="127.0.0.1:0",
                    # Tables are read in batches; nobody's memory is ended for being half full of file cache.
                    memory_limit=0,
                )
            )
        try:
            client = stack.enter_context(Client(where, timeout="20s", set_as_default=False))
        except (OSError, TimeoutError, ValueError) as problem:
            raise Refused(
                f"no Dask scheduler answers at {address!r} ({problem}); give its address, such as "
                f"tcp://host:8786, or {LOCAL!r} for workers on this machine"
            ) from None
        if address == LOCAL:
            client.register_plugin(_quiet())
        yield client


def _quiet() -> Any:
    """What sends all that a worker's libraries print to standard error: standard output is the command's."""
    from distributed import WorkerPlugin

    class Quiet(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            os.dup2(2, 1)

    return Quiet()


def _processors() -> int:
    return max(1, min(MOST_WORKERS, len(os.sched_getaffinity(0))))
