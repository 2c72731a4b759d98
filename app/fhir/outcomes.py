"""Issues and the OperationOutcome they make."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem.

    code: a code of FHIR's issue-type CodeSystem, e.g. "structure", "required", "code-invalid".
    diagnostics: what was expected and where, in a sentence a stranger understands; codes, paths and
        rules only, never names, identifiers or free text of the record.
    expression: the FHIRPath of the element, e.g. "Observation.value"; "" where there is none.
    rule: constraint key or other stable rule id, e.g. "obs-6"; "" where there is none.
    profile: canonical URL of the profile whose rule is broken; "" for base R4.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: Severity = "error"
    rule: str = ""
    profile: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity in ("error", "fatal")

    def within(self, path: str) -> "Issue":
        """The same issue seen from outside: `Patient.name` within `Bundle.entry[1].resource` becomes
        `Bundle.entry[1].resource.name`."""
        _, _, rest = self.expression.partition(".")
        return replace(self, expression=f"{path}.{rest}" if rest else path)


class Refused(Exception):
    """Content that cannot be accepted, with every issue found in it."""

    def __init__(self, issues: Iterable[Issue]) -> None:
        self.issues = tuple(issues)
        super().__init__(f"{len(self.issues)} issues")


class NotFound(Refused):
    """There is no such type, resource, version or operation here."""


class Gone(Refused):
    """The resource was deleted."""


class PreconditionFailed(Refused):
    """If-Match is stale, or a condition matches several resources."""


class TooLarge(Refused):
    """More than this server takes at once."""


class NotSupported(Refused):
    """A verb this server does not offer there."""


class WrongMediaType(Refused):
    """A body of a type this server does not read."""


class NotAcceptable(Refused):
    """An answer of a type this server does not give."""


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome resource of the issues; with none, one information issue that says so."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue(issue) for issue in issues]
        or [{"severity": "information", "code": "informational", "diagnostics": "No issues found."}],
    }


def _issue(issue: Issue) -> dict[str, Any]:
    made: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.diagnostics}
    if issue.rule:
        made["details"] = {"text": f"{issue.rule} ({issue.profile})" if issue.profile else issue.rule}
    if issue.expression:
        made["expression"] = [issue.expression]
    return made
