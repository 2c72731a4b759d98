"""Where the checks stand and what they have found."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.fhir.fhirpath import Frame, Node
from app.fhir.fhirpath.native.runtime import MAX_STEPS
from app.fhir.outcomes import Issue, Severity
from app.fhir.questions import Question
from app.validation.telling.explanations import fix_of

# More issues help nobody; the bounds keep hostile input cheap. Errors are counted apart: no number of warnings may
# keep one from being told.
MAX_ERRORS = 1000
MAX_OTHERS = 200
# Suggestions compare with many names and codes; more of them than this help nobody either.
MAX_SUGGESTIONS = 100
# Errors of form: where there is one, the JSON may be other than its type says.
_OF_FORM = frozenset({"structure", "value"})

# A suggestion that takes looking for comes as a function: it is asked only if its issue is told.
Suggestion = str | Callable[[], str]


class Spot(NamedTuple):
    """One element: its path in the resource, its type, and the path of its rule (Observation.component.code)."""

    path: str
    type: str
    rule_path: str = ""

    def at(self, name: str, type_: str = "") -> "Spot":
        return Spot(f"{self.path}.{name}", type_, f"{self.rule_path}.{name}")


class Report:
    """Collects issues.

    profile: canonical URL that new issues are about, "" for base R4. oddities: how often something was found that may
    not have the form of its type, or that is a primitive with an `_x`.
    """

    __slots__ = ("_errors", "_seen", "_suggestions", "issues", "oddities", "profile")

    def __init__(self) -> None:
        self.issues: list[Issue] = []
        self.profile = ""
        self.oddities = 0
        self._errors = 0
        self._suggestions = 0
        self._seen: set[tuple[Any, ...]] = set()

    @property
    def has_errors(self) -> bool:
        return self._errors > 0

    @property
    def is_full(self) -> bool:
        """Whether there is no use in looking any further."""
        return self._errors >= MAX_ERRORS

    def add(
        self,
        code: str,
        text: str,
        spot: Spot | str,
        *,
        severity: Severity = "error",
        rule: str = "",
        expected: str = "",
        found: str = "",
        suggestion: Suggestion = "",
        member: str = "",
        questions: tuple[Question, ...] = (),
    ) -> None:
        """Tell one problem, once. text: a sentence without its place and its full stop; the rest as in Issue. Without a
        suggestion it is what app/profiles/rules says of the rule."""
        path = spot if isinstance(spot, str) else spot.path
        is_error = severity in ("error", "fatal")
        self.oddities += is_error and code in _OF_FORM
        key = (code, text, path, severity, rule, self.profile, expected, found, member, questions)
        if key in self._seen or not self._has_room(is_error=is_error):
            return
        self._seen.add(key)
        self._errors += is_error
        told, fix = f"{path}: {text}." if path else f"{text}.", self._suggested(suggestion, rule)
        self.issues.append(
            Issue(code, told, path, severity, rule, self.profile, expected, found, fix, member, questions=questions)
        )

    def _suggested(self, suggestion: Suggestion, rule: str) -> str:
        if not suggestion:
            return fix_of(rule)
        if isinstance(suggestion, str):
            return suggestion
        self._suggestions += 1
        return suggestion() if self._suggestions <= MAX_SUGGESTIONS else ""

    def _has_room(self, *, is_error: bool) -> bool:
        return self._errors < MAX_ERRORS if is_error else len(self.issues) - self._errors < MAX_OTHERS


@dataclass(slots=True)
class Scope:
    """The resource around the current element. owner: the outermost one in whose `contained` this one is, or itself.

    is_sound: the elements that were checked so far have the form of their types, and no primitive has an `_x`; False
    too where base R4 is not checked in this scope.
    """

    resource: dict[str, Any]
    owner: dict[str, Any]
    path: str
    frame: Frame
    is_contained: bool = False
    is_sound: bool = False
    # What is left of the steps that translated constraints may take.
    steps: int = MAX_STEPS
    # id -> the owner's contained resources, once they were needed.
    contained: dict[str, dict[str, Any]] | None = None
    # Type, path and content of the element that holds the one being checked: the context of an extension.
    holder_type: str = ""
    holder_path: str = ""
    holder: Node | None = None
