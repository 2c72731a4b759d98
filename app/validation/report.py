"""Where the checks stand and what they have found."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from app.fhir.fhirpath import Frame
from app.fhir.outcomes import Issue, Severity

# More issues help nobody; the bounds keep hostile input cheap. Errors are counted apart: no number of warnings may
# keep one from being told.
MAX_ERRORS = 1000
MAX_OTHERS = 200


class Spot(NamedTuple):
    """One element: its path in the resource, its type, and the path of its rule (Observation.component.code)."""

    path: str
    type: str
    rule_path: str = ""

    def at(self, name: str, type_: str = "") -> "Spot":
        return Spot(f"{self.path}.{name}", type_, f"{self.rule_path}.{name}")


class Report:
    """Collects issues. profile: canonical URL that new issues are about, "" for base R4."""

    __slots__ = ("_errors", "_seen", "issues", "profile")

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.profile = ""
        self._errors = 0
        self._seen: set[Issue] = set()

    @property
    def is_full(self) -> bool:
        """Whether there is no use in looking any further."""
        return self._errors >= MAX_ERRORS

    def add(self, code: str, text: str, spot: Spot | str, *, severity: Severity = "error", rule: str = "") -> None:
        path = spot if isinstance(spot, str) else spot.path
        issue = Issue(code, f"{path}: {text}." if path else f"{text}.", path, severity, rule, self.profile)
        if issue in self._seen or not self._has_room(issue):
            return
        self._seen.add(issue)
        self._errors += issue.is_error
        self.issues.append(issue)

    def _has_room(self, issue: Issue) -> bool:
        return self._errors < MAX_ERRORS if issue.is_error else len(self.issues) - self._errors < MAX_OTHERS


@dataclass(slots=True)
class Scope:
    """The resource around the current element. owner: the outermost one in whose `contained` this one is, or itself."""

    resource: dict[str, Any]
    owner: dict[str, Any]
    path: str
    frame: Frame
    is_contained: bool = False
    # id -> type of the owner's contained resources, once it was needed.
    contained_types: dict[str, str] | None = None
    # Type and path of the element that holds the one being checked: the context of an extension.
    holder_type: str = ""
    holder_path: str = ""
