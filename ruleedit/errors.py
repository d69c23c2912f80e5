"""Every error that RuleEdit raises on purpose.

    RuleEditError                       ruleedit-error
    ├── SchemaError (ValueError)        schema-invalid
    ├── TableError (ValueError)         table-unreadable
    │   ├── MissingColumns              columns-missing
    │   ├── ValueRefused                value-refused
    │   └── NoRows                      no-rows
    ├── TargetError (ValueError)        target-unusable
    ├── TrainingFailed                  training-failed
    ├── RuleTextError (ValueError)      rule-text
    │   ├── UnknownOperator             unknown-operator
    │   └── TooLong                     rule-too-long
    ├── UnknownName (LookupError)       unknown-name
    │   ├── UnknownFeature              unknown-feature
    │   ├── UnknownCategory             unknown-category
    │   ├── UnknownClass                unknown-class
    │   └── UnknownRule                 unknown-rule
    ├── ClauseRefused (ValueError)      clause-refused
    │   └── ValueOutOfRange             value-out-of-range
    ├── EmptyRegion (ValueError)        empty-region
    ├── OutcomeRefused (ValueError)     outcome-refused
    ├── EditRefused (ValueError)        edit-refused
    ├── ConflictsOpen (ValueError)      conflicts-open
    ├── SettlementRefused (ValueError)  settlement-refused
    ├── TooComplex (ValueError)         too-complex
    ├── FileRefused (ValueError)        file-refused
    │   └── ModelFileRefused            model-file-refused
    ├── ExtractionFailed (ValueError)   extraction-failed
    ├── Cancelled                       cancelled
    ├── ApiError                        api-error
    │   ├── ApiInvalid (ValueError)     api-invalid
    │   ├── ApiDenied                   api-denied
    │   ├── ApiUnknown (LookupError)    api-unknown
    │   ├── ApiConflict                 api-conflict
    │   ├── ApiStale                    api-stale
    │   ├── ApiBusy                     api-busy
    │   ├── ApiFailed                   api-failed
    │   ├── ApiUnreachable              api-unreachable
    │   └── JobFailed                   job-failed
    ├── Refused (ValueError)            refused
    └── NotThereYet                     not-there-yet

Each message says what is wrong, where, and what would be accepted. The codes are stable: the
HTTP API gives them as the ``code`` of a problem.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class RuleEditError(Exception):
    """The root of the tree."""

    code: ClassVar[str] = "ruleedit-error"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.code


class SchemaError(RuleEditError, ValueError):
    """A schema that contradicts itself or the data."""

    code = "schema-invalid"


class TableError(RuleEditError, ValueError):
    """A table that can't be read."""

    code = "table-unreadable"


class MissingColumns(TableError):
    """A table without the columns that the schema asks for."""

    code = "columns-missing"


class ValueRefused(TableError):
    """A cell that the schema doesn't allow."""

    code = "value-refused"
    #: What is wrong after the row is named, where one is, and the row's number, from 0.
    cell: str | None = None
    row: int | None = None

    @classmethod
    def at(cls, row: int, cell: str) -> ValueRefused:
        """Build the error for a row, counted from 0; messages count from 1."""
        problem = cls(f"row {row + 1}, {cell}")
        problem.cell, problem.row = cell, row
        return problem

    def of_row(self, row: str) -> ValueRefused:
        """The same error with the row's name in a larger table."""
        return self if self.cell is None else ValueRefused(f"{row}, {self.cell}")


class NoRows(TableError):
    """A table with a header and nothing else."""

    code = "no-rows"


class TargetError(RuleEditError, ValueError):
    """A target column that no classifier can be trained on."""

    code = "target-unusable"


class TrainingFailed(RuleEditError):
    """A training that a cluster's workers couldn't finish."""

    code = "training-failed"


class RuleTextError(RuleEditError, ValueError):
    """Text that is no rule, clause, outcome or edit."""

    code = "rule-text"
    #: The text that was read, and the place in it from which on it can't be; None where no place is to blame.
    source: str = ""
    at: int | None = None

    @classmethod
    def placed(cls, message: str, source: str, at: int) -> RuleTextError:
        """Build the error for a place in a text, counted from 0; messages count from 1."""
        problem = cls(message)
        problem.source, problem.at = source, at
        return problem


class UnknownOperator(RuleTextError):
    """An operator that is none of the language's."""

    code = "unknown-operator"


class TooLong(RuleTextError):
    """Text past the limits of a rule."""

    code = "rule-too-long"


class UnknownName(RuleEditError, LookupError):
    """A name that is not among the known ones."""

    code = "unknown-name"
    what: ClassVar[str] = "name"

    @classmethod
    def among(cls, name: str, known: Iterable[str], *, where: str = "") -> UnknownName:
        """Build the error for ``name`` with the nearest of the ``known`` names as a hint."""
        return cls(f"no {cls.what} {name!r}{where}{did_you_mean(name, known)}")


class UnknownFeature(UnknownName):
    """A feature that the schema doesn't have."""

    code = "unknown-feature"
    what = "feature"


class UnknownCategory(UnknownName):
    """A category that the schema doesn't list."""

    code = "unknown-category"
    what = "category"


class UnknownClass(UnknownName):
    """An outcome that is no class of the target."""

    code = "unknown-class"
    what = "class"


class UnknownRule(UnknownName):
    """A rule id that the rule set doesn't have."""

    code = "unknown-rule"
    what = "rule"


class ClauseRefused(RuleEditError, ValueError):
    """A clause whose operator or value doesn't fit its feature."""

    code = "clause-refused"


class ValueOutOfRange(ClauseRefused):
    """A clause value outside the feature's range in the schema."""

    code = "value-out-of-range"


class EmptyRegion(RuleEditError, ValueError):
    """A rule that no row can satisfy."""

    code = "empty-region"


class OutcomeRefused(RuleEditError, ValueError):
    """A distribution that is none, or an outcome that doesn't fit its place."""

    code = "outcome-refused"


class EditRefused(RuleEditError, ValueError):
    """An edit that can't be made on this rule set."""

    code = "edit-refused"


class ConflictsOpen(RuleEditError, ValueError):
    """Asserted rules that contradict each other and nobody has settled."""

    code = "conflicts-open"


class SettlementRefused(RuleEditError, ValueError):
    """A strategy that can't settle the conflict it was chosen for."""

    code = "settlement-refused"


class TooComplex(RuleEditError, ValueError):
    """An exact computation that would pass its stated limit."""

    code = "too-complex"


class FileRefused(RuleEditError, ValueError):
    """A file of ours that is damaged, incomplete or of another version."""

    code = "file-refused"


class ModelFileRefused(FileRefused):
    """A model file that is not whole or that LightGBM could not load safely."""

    code = "model-file-refused"


class ExtractionFailed(RuleEditError, ValueError):
    """No rule set came out, and why."""

    code = "extraction-failed"


class Cancelled(RuleEditError):
    """Work that somebody stopped."""

    code = "cancelled"


class ApiError(RuleEditError):
    """What a service answered to `ruleedit.client` instead of what was asked for.

    ``status`` is the HTTP status, 0 where there was no answer; ``problem`` is the service's own code
    for the class of error, as in ``value-refused``.
    """

    code = "api-error"

    def __init__(self, detail: str, *, status: int = 0, problem: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem


class ApiInvalid(ApiError, ValueError):
    """A request that the service refuses as it is (400, 413, 415, 422, 428)."""

    code = "api-invalid"


class ApiDenied(ApiError):
    """A credential that is missing, opens nothing, or isn't enough (401, 403)."""

    code = "api-denied"


class ApiUnknown(ApiError, LookupError):
    """An id or a name of nothing that the service has (404)."""

    code = "api-unknown"


class ApiConflict(ApiError):
    """Something that the present state doesn't allow (409)."""

    code = "api-conflict"


class ApiStale(ApiError):
    """An edit of a revision that is no longer the present one (412): read it again."""

    code = "api-stale"


class ApiBusy(ApiError):
    """A service that is starting or has too much to do (429, 503), after every further try."""

    code = "api-busy"


class ApiFailed(ApiError):
    """Something that failed on the service's side (5xx)."""

    code = "api-failed"


class ApiUnreachable(ApiError):
    """A service that doesn't answer, or not within the time."""

    code = "api-unreachable"


class JobFailed(ApiError):
    """A job that failed or was cancelled; ``problem`` is its error's code."""

    code = "job-failed"


class Refused(RuleEditError, ValueError):
    """Something that this version can't do by design, refused by name."""

    code = "refused"


class NotThereYet(RuleEditError):
    """A part of the contract that a later version brings."""

    code = "not-there-yet"


def did_you_mean(name: str, known: Iterable[str], *, most: int = 8) -> str:
    """Return a hint for ``name``: the nearest known names, or the known ones where none is near."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    folded = [known_name for known_name in names if known_name.lower() == name.lower() and known_name not in near]
    near = folded + near
    if near:
        return "; did you mean " + " or ".join(repr(match) for match in near) + "?"
    if not names:
        return "; there are none"
    shown = ", ".join(repr(known_name) for known_name in names[:most])
    return f"; there {'is' if len(names) == 1 else 'are'} {shown}" + (
        f" and {len(names) - most} more" if len(names) > most else ""
    )
