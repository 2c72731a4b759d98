"""Checks of codes: against the value set of a binding, and against the code system they claim."""

import re
from collections.abc import Iterator
from typing import Any

from app.fhir.outcomes import Severity
from app.terminology import Answer, Terminology
from app.validation.report import Report, Spot
from app.validation.rules import Binding

# A list of more codes than this helps nobody.
MOST_CODES = 12
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,40}", re.ASCII)
_CODED = frozenset({"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Age", "Duration", "Count"})


def check_binding(report: Report, terminology: Terminology, binding: Binding, value: Any, spot: Spot) -> None:
    """Check one coded value against a binding: an error if it is required, a warning if extensible."""
    if binding.strength not in ("required", "extensible") or spot.type not in _CODED:
        return
    found = list(codings(value, spot.type))
    answers = [terminology.contains(binding.value_set, *each) for each in found]
    name = binding.value_set.rpartition("/")[2]
    if Answer.VALID in answers:
        return
    if Answer.UNCHECKED in answers:
        report.add("informational", f"Not checked here: value set {name}", spot, severity="information")
    elif found:
        severity: Severity = "error" if binding.strength == "required" else "warning"
        text = f"{_shown(found)} not in the value set {name} ({binding.strength}){_expected(terminology, binding)}"
        report.add("code-invalid", text, spot, severity=severity)
    elif binding.strength == "required" and spot.type != "Quantity":
        text = f"A code of the value set {name} is required, but none is given{_expected(terminology, binding)}"
        report.add("code-invalid", text, spot)


def _shown(found: list[tuple[str | None, str]]) -> str:
    """The codes found, as far as they look like codes: free text is not told back."""
    codes = [code for _, code in found if _PLAIN.fullmatch(code)]
    if not codes or len(codes) < len(found) or len(codes) > MOST_CODES:
        return "What is given is"
    return f"{', '.join(codes)} {'is' if len(codes) == 1 else 'are'}"


def _expected(terminology: Terminology, binding: Binding) -> str:
    codes = terminology.codes(binding.value_set)
    return f": expected {', '.join(codes)}" if 0 < len(codes) <= MOST_CODES else ""


def codings(value: Any, type_: str) -> Iterator[tuple[str | None, str]]:
    """The (system, code) pairs of a coded value. A code alone has no system of its own."""
    if type_ in ("code", "string", "uri"):
        if isinstance(value, str):
            yield None, value
        return
    if not isinstance(value, dict):
        return
    codings = value.get("coding", []) if type_ == "CodeableConcept" else [value]
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            system = coding.get("system")
            yield (system if isinstance(system, str) else "", coding["code"])


def check_coding(report: Report, terminology: Terminology, value: dict[str, Any], spot: Spot) -> None:
    """A code that a complete, known code system does not have is an error, whatever the binding."""
    system, code, display = value.get("system"), value.get("code"), value.get("display")
    if not isinstance(system, str) or not isinstance(code, str):
        return
    if terminology.has_code(system, code) is Answer.INVALID:
        report.add("code-invalid", f"{_shown([(system, code)])} not in the code system {system}", spot.at("code"))
        return
    if terminology.is_value_set(system):
        report.add("code-invalid", "system names a value set, not a code system", spot.at("system"))
        return
    expected = terminology.display(system, code)
    if expected and isinstance(display, str) and " ".join(display.split()).casefold() != expected.casefold():
        report.add(
            "code-invalid", f"The display differs from the one in {system}", spot.at("display"), severity="warning"
        )


def is_member(terminology: Terminology, value: Any, type_: str, value_set: str) -> bool:
    """memberOf() of constraints. What cannot be told here counts as a member: it is no error."""
    answers = {terminology.contains(value_set, *each) for each in codings(value, type_)}
    return bool(answers & {Answer.VALID, Answer.UNCHECKED})
