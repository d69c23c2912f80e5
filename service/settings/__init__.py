"""Settings: what an operator can choose, and the limits with their reasons."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from ruleedit.errors import Refused, did_you_mean

MIB = 1024 * 1024
#: How decisions are logged.
LOGGED = ("async", "sync", "off")
PREFIX = "RULEEDIT_"
#: What only our own tests read.
TESTS = "RULEEDIT_TEST_"
#: What the command line reads and the service doesn't.
COMMANDS = ("RULEEDIT_DASK",)
#: Signatures that nobody who only verifies could make: no shared secret, and never "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
#: Numbers that may be 0: nothing of it, or always at once. Of the others 0 would leave a service that does nothing.
ZERO = frozenset({
    "workers", "inline_rows", "most_waiting", "key_seconds", "clock_skew", "keep_payloads_days", "decision_log_files",
})  # fmt: skip
_SWITCH = {"on": True, "true": True, "1": True, "yes": True, "off": False, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Settings:
    """One service's settings; `from_environment` reads each from ``RULEEDIT_`` and its name in capitals.

    Parameters
    ----------
    data_dir
        The folder of the database and the files; made, for its owner alone, where it isn't there.
    workbench
        Whether the pages are served at ``/``; NiceGUI has one application a process, so a process has one workbench.
    api
        Whether the API is served; off, this process has the workbench alone, and others have the API.
    shared
        Whether several processes work on this data folder and database at once, each started so. Off, a second
        process is refused.
    follow_seconds
        What another process changed (releases, trials, keys, jobs) is looked for this often where they share: two
        small queries each time.
    lease_seconds
        A process that hasn't said for so long that it is alive is taken for dead by those that share with it, and
        its jobs begin again in another.
    demo
        Whether a ready example is made on the first start.
    workers
        Jobs at once: a long one holds up no short one, and training uses every processor already. 0 leaves them all
        to the processes that this one shares with.
    most_jobs
        Jobs that wait: past that the answer is 429, with Retry-After.
    most_upload
        Bytes of an upload: a table of 1 M rows x 10 columns as CSV.
    most_json
        Bytes of a JSON body: 10,000 rows of 10 short values, more belongs in a file.
    most_depth
        Levels of lists and objects in a JSON body: a schema needs five, and a parser's stack has an end.
    most_rows
        Rows of one request for decisions, so that one request holds up others by well under a second.
    most_cells
        Rows x columns of a table: 5 M x 20, which is 800 MB as numbers; a small Parquet file can claim any number.
    child_memory
        Bytes of address space of a process that reads somebody's file for the first time.
    child_seconds
        Seconds that such a process has: what takes longer is no table or model of an accepted size.
    job_memory
        Bytes of address space of a process that does a heavy step of a job: a table of 5 M x 20 is trained on,
        extracted from and retrained with within half of it; the rest is what libraries reserve and don't use.
    job_seconds
        Seconds that such a process has: retraining a large model takes minutes, so what takes hours hangs.
    look_seconds
        Seconds for looking at one row closely: the search ends by itself after some, so what takes longer hangs.
    most_connections
        Connections at once: each is a file that is open, and systems commonly allow a process 1,024. Past that the
        one that has waited longest without asking for anything is closed; where none waits, the new one gets 503.
    head_seconds
        Seconds in which a request's head has to arrive: half a request must not hold a connection for ever.
    most_head
        Bytes of a request's head, its path and headers together: a bearer token has a few thousand.
    keep_alive_seconds
        Seconds that a connection is kept for a further request: more than the minute after which load balancers
        commonly let go of theirs, so that they never send a request to one that is just being closed.
    backlog
        Connections that the system holds until the service takes them: some seconds of new ones at full load.
    body_seconds
        Seconds between two parts of a body: a connection that sends nothing must not hold a place for ever.
    most_at_once
        Requests at work at once, decisions aside: as many as there are threads for them.
    most_waiting
        Requests that wait for their turn; past that the answer is 503 at once, with Retry-After.
    most_deciding
        Requests for decisions at once: at half a millisecond each the last one still answers in a fifth of a second.
    most_uploading
        Uploads read at once: each may take as much memory as a process that reads one.
    most_looking
        Rows looked at closely at once: each takes a processor for up to some seconds.
    most_following
        Streams of events at once: each is an open connection.
    inline_rows
        Up to so many rows are decided on the event loop: handing them to a thread costs more than deciding.
    progress_seconds
        A job's progress is written at most this often: each write is one wait for the disk.
    authentication
        Whether every request needs a key or a token. Off, the service answers this machine alone, and says so.
    approval
        Whether a release needs somebody else's approval before it serves. Off only where authentication is off.
    key_seconds
        A key is read from the database again after so long: the time until a key that another process on the
        same database revoked is refused here. The process that revokes it refuses it at once.
    oidc_issuer
        The issuer of bearer tokens, as their `iss` says it; empty: none are accepted.
    oidc_audience
        What the tokens' `aud` has to name: a token for another service is none for this one.
    oidc_jwks
        The issuer's keys (JWKS): a file, or an address with https (http on this machine only).
    oidc_jwks_seconds
        The keys are read again after so long, and at once for a token of an unknown key, at most every 10 s.
    oidc_algorithms
        The signatures that are accepted; none of shared secrets can be.
    oidc_name_claim
        The claim that names the person in the history and the audit.
    oidc_roles_claim
        The claim of the roles, a list or a text with spaces; dots lead into objects, as in realm_access.roles.
    oidc_roles
        The role for each of the claim's values, as value=role,value=role; empty: the values are the roles.
    clock_skew
        Seconds by which the issuer's clock and ours may differ.
    database
        A PostgreSQL database by URL; a SQLite file in the data folder unless given.
    heads
        The file of the published audit heads; one in the data folder unless given. Elsewhere, where the
        service may append and nobody may overwrite, it proves more.
    audit_key
        The Ed25519 key that signs them, as PEM; made in the data folder unless given.
    expiry_seconds
        The expiry of a release is written down at most so long after it; decisions follow it to the moment.
    publish_seconds
        A head is published this often where the chain has grown: what is cut off sooner leaves no trace.
    keep_keys_hours
        An Idempotency-Key is known for so long: a client that hasn't given up by then asks anew.
    keep_payloads_days
        The payloads of older audit events are erased; 0 keeps them for ever.
    request_log
        Whether each request leaves a line of JSON on standard error: id, person, route, status, seconds.
    decision_log
        async: decisions are logged beside the answers, and dropped and counted where the disk is too slow; sync:
        each answer waits for its line on the disk; off: none is logged.
    decision_log_values
        Whether the log holds the rows' values, which may be personal; off, it holds their hashes.
    decision_log_queue
        Lines that may wait: some seconds of full load, a few MiB. What comes while they wait is dropped.
    decision_log_bytes
        Bytes of one file of the log: small enough to be moved away and read by itself.
    decision_log_files
        So many complete files are kept: with the size of each this bounds the disk, 10 GiB.
    decision_log_days
        Complete files are removed after so long: what isn't needed any more shouldn't be there.
    """

    data_dir: Path
    workbench: bool = False
    api: bool = True
    shared: bool = False
    follow_seconds: float = 0.25
    lease_seconds: float = 15.0
    demo: bool = False
    workers: int = 2
    most_jobs: int = 100
    most_upload: int = 64 * MIB
    most_json: int = MIB
    most_depth: int = 32
    most_rows: int = 10_000
    most_cells: int = 100_000_000
    child_memory: int = 4 * 1024 * MIB
    child_seconds: float = 120.0
    job_memory: int = 16 * 1024 * MIB
    job_seconds: float = 6 * 3_600.0
    look_seconds: float = 60.0
    most_connections: int = 900
    head_seconds: float = 10.0
    most_head: int = 64 * 1024
    keep_alive_seconds: int = 65
    backlog: int = 2_048
    body_seconds: float = 20.0
    most_at_once: int = 40
    most_waiting: int = 200
    most_deciding: int = 256
    most_uploading: int = 2
    most_looking: int = 2
    most_following: int = 100
    inline_rows: int = 16
    progress_seconds: float = 0.25
    authentication: bool = True
    approval: bool = True
    key_seconds: float = 5.0
    oidc_issuer: str = ""
    oidc_audience: str = ""
    oidc_jwks: str = ""
    oidc_jwks_seconds: float = 3_600.0
    oidc_algorithms: tuple[str, ...] = ("RS256", "ES256")
    oidc_name_claim: str = "sub"
    oidc_roles_claim: str = "roles"
    oidc_roles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    clock_skew: float = 60.0

    database: str = ""
    heads: str = ""
    audit_key: str = ""
    publish_seconds: float = 60.0
    expiry_seconds: float = 1.0
    keep_keys_hours: float = 24.0
    keep_payloads_days: int = 0
    request_log: bool = True
    decision_log: str = "async"
    decision_log_values: bool = False
    decision_log_queue: int = 10_000
    decision_log_bytes: int = 64 * MIB
    decision_log_files: int = 160
    decision_log_days: float = 90.0

    def __post_init__(self) -> None:
        if self.authentication and not self.approval:
            raise Refused("approval can be off only where authentication is off too, on this machine for a demo")
        if self.demo and self.approval:
            raise Refused("the example is put in service without anybody's approval; demo needs approval off")
        if not self.api and not self.workbench:
            raise Refused("api and workbench are both off, so there is nothing to serve; one of them on is accepted")
        if self.workers == 0 and not self.shared:
            raise Refused("workers is 0, and nobody shares the jobs; 1 or more is accepted, or shared on")
        if self.demo and self.shared:
            raise Refused("the example is made by one process; demo needs shared off")
        if self.decision_log not in LOGGED:
            raise Refused(f"decision_log is {self.decision_log!r}; {', '.join(LOGGED)} is accepted")
        if self.oidc_issuer:
            _check_oidc(self)

    @property
    def notice(self) -> str:
        """What every page, answer and event says where something is off; empty where nothing is."""
        off = [name for name in ("authentication", "approval") if not getattr(self, name)]
        return f"{' and '.join(off)} off: for a demo on this machine only" if off else ""

    @property
    def store(self) -> Path | str:
        """Where the records are: a SQLite file, or PostgreSQL by URL."""
        return self.database or self.data_dir / "ruleedit.db"

    @property
    def heads_file(self) -> Path:
        """The file of the published audit heads."""
        return Path(self.heads or self.data_dir / "heads.jsonl")

    @property
    def key_file(self) -> Path:
        """The key that signs them."""
        return Path(self.audit_key or self.data_dir / "audit-key.pem")


def from_environment(environ: Mapping[str, str], **chosen: Any) -> Settings:
    """The settings of ``RULEEDIT_...`` variables; what is ``chosen`` and not None wins.

    Raises `Refused` for a variable that names no setting, and for a value of the wrong kind.
    """
    kinds = get_type_hints(Settings)
    given: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable.startswith(TESTS) or variable in COMMANDS:
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in kinds:
            known = [PREFIX + kind.upper() for kind in kinds]
            raise Refused(f"{variable} is no setting{did_you_mean(variable, known)}; the documentation lists them")
        try:
            given[name] = _read(text, kinds[name], zero=name in ZERO)
        except (ValueError, KeyError):
            raise Refused(f"{variable} is {text!r}; {_wanted(kinds[name], zero=name in ZERO)} is accepted") from None
    return Settings(**(given | {name: value for name, value in chosen.items() if value is not None}))


def _read(text: str, kind: Any, *, zero: bool) -> Any:
    if kind is bool:
        return _SWITCH[text.strip().lower()]
    if kind in (int, float):
        value = kind(text)
        if not 0 <= value < float("inf") or (value == 0 and not zero):
            raise ValueError(text)
        return value
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind == Mapping[str, str]:
        pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
        return {value.strip(): name.strip() for value, name in pairs}
    return Path(text) if kind is Path else text


def _wanted(kind: Any, *, zero: bool) -> str:
    least = "" if zero else " above 0"
    numbers = {int: f"a whole number{least}", float: f"a number{least}"}
    return {bool: "on or off", **numbers}.get(kind, "name=value,name=value")


def _check_oidc(settings: Settings) -> None:
    for name in ("oidc_audience", "oidc_jwks"):
        if not getattr(settings, name):
            raise Refused(f"oidc_issuer is given without {name}; tokens of an issuer need both")
    for algorithm in settings.oidc_algorithms or ("",):
        if algorithm not in ALGORITHMS:
            raise Refused(f"the algorithm {algorithm!r} is not accepted; {', '.join(ALGORITHMS)} are")
    place = urlsplit(settings.oidc_jwks)
    if place.scheme == "http" and not is_loopback(place.hostname or ""):
        raise Refused("oidc_jwks is an http address of another machine, where anybody between could give other keys; "
                      "https is accepted")  # fmt: skip


@functools.lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which nobody reaches from elsewhere."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(host: str, settings: Settings) -> None:
    """Raise `Refused` where ``host`` can be reached from elsewhere and authentication is off."""
    if not settings.authentication and not is_loopback(host):
        raise Refused(
            f"the host {host!r} can be reached from elsewhere, and authentication is off; "
            "127.0.0.1, ::1 or localhost is accepted, or authentication on (without --demo)"
        )
