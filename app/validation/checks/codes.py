"""Checks of codes: against the value set of a binding, and against the code system they claim."""

import re
from collections.abc import Iterator
from typing import Any

from app.fhir.outcomes import Severity
from app.fhir.questions import Question
from app.terminology import Answer, Terminology
from app.terminology.ucum import UCUM
from app.validation.rules import Binding
from app.validation.telling import meant
from app.validation.telling.report import Report, Spot

# A unit that is none is an error only where a profile or a required binding asks for units of UCUM: R4 leaves the
# binding of Quantity.code open, and its own examples write "ea" and "drop".
_FLAW_OF_UNIT: tuple[Severity, str] = ("warning", "dmt-unit")
_FLAW_OF_CODE: tuple[Severity, str] = ("error", "dmt-code-system")
# A list of more codes than this helps nobody.
MOST_CODES = 12
_PLAIN = re.compile(r"[A-Za-z0-9_.\-]{1,40}", re.ASCII)
_CODED = frozenset(
    {"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Age", "Count", "Distance", "Duration"}
)


def check_binding(report: Report, terminology: Terminology, binding: Binding, value: Any, spot: Spot) -> None:
    """Check one coded value against a binding: an error if it is required, a warning if extensible."""
    is_checked = binding.strength in ("required", "extensible")
    if spot.type not in _CODED or not (is_checked or binding.greatest):
        return
    found = list(codings(value, spot.type))
    if binding.greatest:
        _check_greatest(report, terminology, binding.greatest, found, spot)
    if not is_checked:
        return
    answers = [terminology.contains(binding.value_set, *each) for each in found]
    name = _name(binding.value_set)
    if Answer.VALID in answers:
        return
    if Answer.UNCHECKED in answers:
        _unchecked(report, name, spot, _questions(value, spot.type, binding, answers))
    elif found:
        severity: Severity = "error" if binding.strength == "required" else "warning"
        text = f"{_shown(found)} not in the value set {name} ({binding.strength}){_expected(terminology, binding)}"
        report.add(
            "code-invalid",
            text,
            spot,
            severity=severity,
            rule=f"dmt-binding-{binding.strength}",
            expected=f"a code of {binding.value_set}",
            found=_codes(found),
            suggestion=lambda: meant.code_of_value_set(terminology, binding.value_set, value),
        )
    elif binding.strength == "required" and spot.type != "Quantity":
        text = f"A code of the value set {name} is required, but none is given{_expected(terminology, binding)}"
        report.add(
            "code-invalid",
            text,
            spot,
            rule="dmt-binding-required",
            expected=f"a code of {binding.value_set}",
            found="no code",
            suggestion=lambda: meant.code_of_value_set(terminology, binding.value_set, value),
        )


def _check_greatest(
    report: Report, terminology: Terminology, value_set: str, found: list[tuple[str | None, str]], spot: Spot
) -> None:
    """The maximum value set of a binding: an error whatever its strength (extension elementdefinition-maxValueSet)."""
    if found and all(terminology.contains(value_set, *each) is Answer.INVALID for each in found):
        text = f"{_shown(found)} not in the value set {_name(value_set)}, the greatest that is allowed"
        expected = f"a code of {value_set}"
        report.add("code-invalid", text, spot, rule="dmt-binding-max", expected=expected, found=_codes(found))


def _name(value_set: str) -> str:
    return value_set.partition("|")[0].rpartition("/")[2]


def _unchecked(report: Report, name: str, spot: Spot, questions: tuple[Question, ...]) -> None:
    text = f"Not checked here: value set {name}"
    report.add("informational", text, spot, severity="information", rule="dmt-binding-unchecked", questions=questions)


def _questions(value: Any, type_: str, binding: Binding, answers: list[Answer]) -> tuple[Question, ...]:
    """What another server may be asked of a coded value; a code without a system cannot be asked about."""
    answered = zip(_coded(value, type_), answers, strict=True)
    unchecked = (coding for coding, answer in answered if answer is Answer.UNCHECKED)
    questions = (question_of(coding, binding.value_set, binding.strength) for coding in unchecked)
    return tuple(each for each in questions if each.system)


def question_of(coding: dict[str, Any], value_set: str = "", strength: str = "") -> Question:
    """The question about one Coding or Quantity."""
    system, code, version, display = (
        text if isinstance(text := coding.get(name), str) else "" for name in ("system", "code", "version", "display")
    )
    return Question(system, code, version, display, value_set, strength)


def told_codes(value: Any, type_: str) -> str:
    """The codes of a coded value, fit to be told; "" if there are none."""
    return _codes(list(codings(value, type_))) if type_ in _CODED - {"string", "uri"} else ""


def _shown(found: list[tuple[str | None, str]]) -> str:
    codes = _codes(found)
    return f"{codes} {'is' if len(found) == 1 else 'are'}" if codes else "What is given is"


def _codes(found: list[tuple[str | None, str]]) -> str:
    """The codes found, as far as they look like codes: free text is not told back."""
    codes = [code for _, code in found if _PLAIN.fullmatch(code)]
    return "" if len(codes) < len(found) or len(codes) > MOST_CODES else ", ".join(codes)


def _expected(terminology: Terminology, binding: Binding) -> str:
    codes = terminology.codes(binding.value_set)
    return f": expected {', '.join(codes)}" if 0 < len(codes) <= MOST_CODES else ""


def codings(value: Any, type_: str) -> Iterator[tuple[str | None, str]]:
    """The (system, code) pairs of a coded value. A code alone has no system of its own."""
    for coding in _coded(value, type_):
        system = coding.get("system", "")
        yield (system if isinstance(system, str | None) else "", coding["code"])


def _coded(value: Any, type_: str) -> Iterator[dict[str, Any]]:
    """The parts of a coded value that have a code, as Codings; system None for a code alone."""
    if type_ in ("code", "string", "uri"):
        if isinstance(value, str):
            yield {"code": value, "system": None}
        return
    if not isinstance(value, dict):
        return
    codings = value.get("coding", []) if type_ == "CodeableConcept" else [value]
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            yield coding


def check_coding(report: Report, terminology: Terminology, value: dict[str, Any], spot: Spot, language: Any) -> None:
    """A code that a complete, known code system does not have is an error, whatever the binding.

    language: that of the resource; displays are held in English.
    """
    system, code = value.get("system"), value.get("code")
    if not isinstance(system, str) or not isinstance(code, str):
        return
    if flaw := terminology.flaw(system, code):
        severity, rule = _FLAW_OF_UNIT if system == UCUM else _FLAW_OF_CODE
        report.add(
            "code-invalid",
            f"The code {flaw}",
            spot.at("code"),
            severity=severity,
            rule=rule,
            suggestion=lambda: meant.unit_of_ucum(code) if system == UCUM else "",
        )
        return
    answer = terminology.has_code(system, code)
    if answer is Answer.INVALID:
        report.add(
            "code-invalid",
            f"{_shown([(system, code)])} not in the code system {system}",
            spot.at("code"),
            rule="dmt-code-system",
            expected=f"a code of {system}",
            found=_codes([(system, code)]),
            suggestion=lambda: meant.code_of_system(terminology, system, value),
        )
        return
    if terminology.is_value_set(system):
        text = "system names a value set, not a code system"
        report.add("code-invalid", text, spot.at("system"), rule="dmt-system-value-set", expected="a code system")
        return
    if answer is Answer.UNCHECKED:
        held = "held in part only" if terminology.is_known(system) else "not held"
        text = f"Not checked here: a code system that is {held}"
        report.add(
            "informational",
            text,
            spot.at("system"),
            severity="information",
            rule="dmt-system-unchecked",
            questions=(question_of(value),),
        )
    _check_display(report, terminology, value, spot, is_english=_is_english(language))


def _check_display(
    report: Report, terminology: Terminology, value: dict[str, Any], spot: Spot, *, is_english: bool
) -> None:
    """A display that no designation of a complete code system has is an error; in another language a warning."""
    system, code, display = value["system"], value["code"], value.get("display")
    if not isinstance(display, str) or terminology.is_display(system, code, display) is not Answer.INVALID:
        return
    expected = terminology.display(system, code) or ""
    report.add(
        "code-invalid",
        f"The display differs from the one in {system}",
        spot.at("display"),
        severity="error" if is_english else "warning",
        rule="dmt-display",
        expected=expected,
        suggestion=f'Write the display "{expected}", or leave it out.',
    )


def _is_english(language: Any) -> bool:
    """Whether a resource without a language, or with this one, is taken to be written in English."""
    return not isinstance(language, str) or language.lower().partition("-")[0] == "en"


def is_member(terminology: Terminology, value: Any, type_: str, value_set: str) -> bool:
    """memberOf() of constraints. What cannot be told here counts as a member: it is no error."""
    answers = {terminology.contains(value_set, *each) for each in codings(value, type_)}
    return bool(answers & {Answer.VALID, Answer.UNCHECKED})
