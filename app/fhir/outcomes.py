"""Issues and the OperationOutcome they make."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.fhir.questions import Question
from app.profiles import canonical

Severity = Literal["fatal", "error", "warning", "information"]
# Of one transaction; a single resource has fewer (app/validation/telling/report.py).
MOST_TOLD = 2000
RULES = canonical("CodeSystem", "np-validation-rule")
DETAIL = canonical("StructureDefinition", "issue-detail")
# Of the HL7 extensions pack; R4 core has no elements for them.
LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
COLUMN = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col"


@dataclass(frozen=True, slots=True)
class Issue:
    """One problem.

    code: a code of FHIR's issue-type CodeSystem, e.g. "structure", "required", "code-invalid".
    diagnostics: what was expected and where, in a sentence a stranger understands; codes, paths and
        rules only, never names, identifiers or free text of the record.
    expression: the FHIRPath of the element, e.g. "Observation.value"; "" where there is none.
    rule: stable id of the rule: the key of a constraint, e.g. "obs-6", or one of ours (docs/validation-rules.md), e.g.
        "dmt-unknown-element"; "" where no rule of content is broken.
    profile: canonical URL of the profile whose rule is broken; "" for base R4.
    expected, found: what the rule asks for and what is there, short: codes, types, counts and forms, no free text.
    suggestion: how it may be put right, in a sentence; "" where nothing sensible can be said.
    member: JSON name below the expression that is meant, where FHIRPath cannot name it: an unknown property.
    pointer, entry, line, column: where in the text that was posted (app/fhir/places.py); None where that is not known.
    questions: the codes it is about that could not be checked here; one of them that is right settles it.
    """

    code: str
    diagnostics: str
    expression: str = ""
    severity: Severity = "error"
    rule: str = ""
    profile: str = ""
    expected: str = ""
    found: str = ""
    suggestion: str = ""
    member: str = ""
    pointer: str | None = None
    entry: int | None = None
    line: int | None = None
    column: int | None = None
    questions: tuple[Question, ...] = ()

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


class Forbidden(Refused):
    """What nobody, or not this caller, may do."""


class NotFound(Refused):
    """There is no such type, resource, version or operation here."""


class Gone(Refused):
    """The resource was deleted. version: the one that is the deletion, 0 where that is not known."""

    def __init__(self, issues: Iterable[Issue], version: int = 0) -> None:
        super().__init__(issues)
        self.version = version


class PreconditionFailed(Refused):
    """If-Match is stale, or a condition matches several resources."""


class Conflict(Refused):
    """What is there stands in the way: something refers to it, or others kept changing it."""


class TooLarge(Refused):
    """More than this server takes at once."""


class NotSupported(Refused):
    """A verb this server does not offer there."""


class Unprocessable(Refused):
    """A request that is understood and does not fit what is there, such as a patch of an element that is missing."""


class NotReady(Refused):
    """What cannot be told yet: the same request may work later."""


class TooMany(Refused):
    """More at a time than this server serves one: the same request may be answered later. after: in seconds."""

    def __init__(self, issues: Iterable[Issue], after: int = 2) -> None:
        super().__init__(issues)
        self.after = after


class Busy(Refused):
    """More at a time than this server serves all: the same request may be answered soon."""


class Misdirected(Refused):
    """A request for a host that this server is not."""


class Late(Refused):
    """A request that did not arrive in the time there is for it."""


class Failed(Refused):
    """Work that was taken on, and could not be done."""


class OutOfRange(Refused):
    """A part of a file that it does not have. size: of the file, in bytes."""

    def __init__(self, issues: Iterable[Issue], size: int) -> None:
        super().__init__(issues)
        self.size = size


class WrongMediaType(Refused):
    """A body of a type this server does not read."""


class NotAcceptable(Refused):
    """An answer of a type this server does not give."""


def bounded(issues: Sequence[Issue]) -> Sequence[Issue]:
    """No more issues than help anybody; a last one says how many are left out."""
    if len(issues) <= MOST_TOLD:
        return issues
    rest = f"{len(issues) - MOST_TOLD} more issues are not told."
    return [*issues[:MOST_TOLD], Issue("informational", rest, severity="information")]


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome resource of the issues; with none, one information issue that says so."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue(issue) for issue in issues]
        or [{"severity": "information", "code": "informational", "diagnostics": "No issues found."}],
    }


def _issue(issue: Issue) -> dict[str, Any]:
    extensions = _extensions(issue)
    made: dict[str, Any] = {"extension": extensions} if extensions else {}
    made |= {"severity": issue.severity, "code": issue.code}
    if issue.rule:
        text = f"{issue.rule} ({issue.profile})" if issue.profile else issue.rule
        made["details"] = {"coding": [{"system": RULES, "code": issue.rule}], "text": text}
    made["diagnostics"] = issue.diagnostics
    if issue.expression:
        made["expression"] = [issue.expression]
    return made


def _extensions(issue: Issue) -> list[dict[str, Any]]:
    numbers = ((LINE, issue.line), (COLUMN, issue.column))
    found = [{"url": url, "valueInteger": number} for url, number in numbers if number is not None]
    if parts := _detail(issue):
        found.append({"url": DETAIL, "extension": parts})
    return found


def _detail(issue: Issue) -> list[dict[str, Any]]:
    """What OperationOutcome has no element for; the definition of the extension says what each part means."""
    texts = {
        "pointer": issue.pointer,
        "expected": issue.expected,
        "found": issue.found,
        "suggestion": issue.suggestion,
    }
    parts: list[dict[str, Any]] = [{"url": name, "valueString": text} for name, text in texts.items() if text]
    if issue.entry is not None:
        parts.append({"url": "entry", "valueUnsignedInt": issue.entry})
    if issue.profile:
        parts.append({"url": "profile", "valueCanonical": issue.profile})
    return parts
