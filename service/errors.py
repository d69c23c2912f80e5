"""Every error that the service raises on purpose, beside the library's.

    RuleEditError
    └── ServiceError                    service-error
        ├── UnknownResource             unknown-resource
        │   ├── UnknownDataset          unknown-dataset
        │   ├── UnknownModel            unknown-model
        │   ├── UnknownRuleSet          unknown-ruleset
        │   ├── UnknownRevision         unknown-revision
        │   ├── UnknownRelease          unknown-release
        │   ├── UnknownTrial            unknown-trial
        │   ├── UnknownCounterexample   unknown-counterexample
        │   ├── UnknownJob              unknown-job
        │   ├── UnknownKey              unknown-key
        │   └── NothingActive           no-active-release
        ├── Stale                       revision-stale
        ├── PreconditionNeeded          if-match-missing
        ├── StateRefused                state-refused
        │   ├── ApprovalNeeded          approval-needed
        │   └── Expired                 release-expired
        ├── KeyInFlight                 idempotency-key-in-flight
        ├── KeyReused                   idempotency-key-reused
        ├── StepFailed                  step-failed
        ├── TooLarge                    too-large
        ├── TooDeep                     too-deep
        ├── TooSlow                     too-slow
        ├── MediaRefused                media-type-refused
        ├── RequestInvalid              request-invalid
        ├── AuthorRefused               author-refused
        ├── CredentialNeeded            credential-needed
        ├── CredentialRefused           credential-refused
        ├── AccessRefused               access-refused
        │   ├── RoleMissing             role-missing
        │   ├── AccessUndeclared        access-undeclared
        │   ├── OwnEdit                 own-edit
        │   └── NotLocal                not-local
        ├── DecisionLogFailed           decision-log-failed
        ├── Overloaded                  overloaded
        ├── QueueFull                   queue-full
        └── NotReady                    not-ready

`service.gate.problems` says which status each of them answers with.
"""

from __future__ import annotations

from typing import ClassVar

from ruleedit.errors import RuleEditError


class ServiceError(RuleEditError):
    """The root of the tree; ``retry_after`` are seconds after which the same may be asked again with another answer."""

    code = "service-error"
    retry_after: int | None = None


class UnknownResource(ServiceError, LookupError):
    """An id of nothing that the service has."""

    code = "unknown-resource"
    what: ClassVar[str] = "resource"

    def __init__(self, name: str) -> None:
        super().__init__(f"no {self.what} {name!r}")
        self.name = name


class UnknownDataset(UnknownResource):
    """No such data set."""

    code = "unknown-dataset"
    what = "data set"


class UnknownModel(UnknownResource):
    """No such model."""

    code = "unknown-model"
    what = "model"


class UnknownRuleSet(UnknownResource):
    """No such rule set."""

    code = "unknown-ruleset"
    what = "rule set"


class UnknownRevision(UnknownResource):
    """No such revision of a rule set."""

    code = "unknown-revision"
    what = "revision"


class UnknownRelease(UnknownResource):
    """No such release."""

    code = "unknown-release"
    what = "release"


class UnknownTrial(UnknownResource):
    """A release that was never on trial in that way."""

    code = "unknown-trial"
    what = "trial of the release"


class UnknownCounterexample(UnknownResource):
    """No such counterexample."""

    code = "unknown-counterexample"
    what = "counterexample"


class UnknownJob(UnknownResource):
    """No such job."""

    code = "unknown-job"
    what = "job"


class UnknownKey(UnknownResource):
    """No such API key."""

    code = "unknown-key"
    what = "key"


class NothingActive(UnknownResource):
    """No release is active under a name."""

    code = "no-active-release"
    what = "active release named"


class Stale(ServiceError):
    """A write from a revision that is no longer the rule set's present one."""

    code = "revision-stale"


class PreconditionNeeded(ServiceError):
    """A write that doesn't say which revision it was made from."""

    code = "if-match-missing"


class StateRefused(ServiceError):
    """Something that the resource's state doesn't allow now."""

    code = "state-refused"


class KeyInFlight(ServiceError):
    """A request with an Idempotency-Key whose first sending is still at work."""

    code = "idempotency-key-in-flight"
    retry_after = 1


class KeyReused(ServiceError):
    """An Idempotency-Key that was used for another request."""

    code = "idempotency-key-reused"


class ApprovalNeeded(StateRefused):
    """A release that nobody has approved, where that is required."""

    code = "approval-needed"


class Expired(StateRefused):
    """A release whose time has passed."""

    code = "release-expired"


class StepFailed(ServiceError):
    """A heavy step whose process died, or needed more time or memory than the settings allow."""

    code = "step-failed"


class TooLarge(ServiceError):
    """A body past its limit."""

    code = "too-large"


class TooDeep(ServiceError):
    """JSON that nests deeper than is read."""

    code = "too-deep"


class TooSlow(ServiceError):
    """A body that stopped arriving."""

    code = "too-slow"


class MediaRefused(ServiceError):
    """A body of another media type than the route takes."""

    code = "media-type-refused"


class RequestInvalid(ServiceError, ValueError):
    """A request that isn't as the API's description says."""

    code = "request-invalid"


class AuthorRefused(ServiceError, ValueError):
    """An author other than the one whose credential it is."""

    code = "author-refused"


class CredentialNeeded(ServiceError):
    """A request without a key or token, where one is needed."""

    code = "credential-needed"


class CredentialRefused(ServiceError):
    """A key or token that opens nothing: unknown, expired, revoked, or of somebody else's making."""

    code = "credential-refused"


class AccessRefused(ServiceError):
    """Something that this person may not do, whatever the body says."""

    code = "access-refused"


class RoleMissing(AccessRefused):
    """None of the person's roles may do it."""

    code = "role-missing"


class AccessUndeclared(AccessRefused):
    """A route that nobody has said who may use."""

    code = "access-undeclared"


class OwnEdit(AccessRefused):
    """An approval by somebody who had a hand in what is approved."""

    code = "own-edit"


class NotLocal(AccessRefused):
    """Where authentication is off: a request that doesn't come from this machine's own user."""

    code = "not-local"


class Overloaded(ServiceError):
    """More requests at once than the service takes."""

    code = "overloaded"

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(Overloaded):
    """More jobs waiting than the service takes."""

    code = "queue-full"


class NotReady(ServiceError):
    """The service is starting."""

    code = "not-ready"
    retry_after = 1


class DecisionLogFailed(ServiceError):
    """A decision that has to be logged before it is given, and can't be."""

    code = "decision-log-failed"
    retry_after = 1
