"""A code as operations take it: code and system, a coding, or a codeableConcept; and what can be said of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.fhir.outcomes import Issue, Refused, Unprocessable
from app.fhir.questions import Question
from app.routers.operations.call import Call
from app.terminology import Answer, Terminology
from app.terminology.server import TerminologyServer


@dataclass(frozen=True, slots=True)
class Coded:
    """One code. Each is "" where it was not given."""

    code: str
    system: str = ""
    version: str = ""
    display: str = ""


def read(call: Call, version: str = "version", ending: str = "") -> list[Coded]:
    """The codes that were given, of which one will do. version: the parameter for that of the code system; ending: of
    the names of the parameters, as in codeA. Raises Refused for none, and for more than one kind."""
    given = call.given
    names = [name + ending for name in ("code", "coding", "codeableConcept") if given.values.get(name + ending)]
    if len(names) != 1:
        kinds = [name for name in call.operation.parameters if name.startswith("cod") and not name.endswith("System")]
        told = f"Give the code in one of the parameters {', '.join(kinds)}."
        raise Refused([Issue("value", told, "Parameters.parameter")])
    if names[0] == f"code{ending}":
        system, display = given.one("system", ""), given.one("display", "")
        return [Coded(given.one(names[0]), system, given.one(version, ""), display)]
    value = given.one(names[0])
    codings = value.get("coding", []) if names[0].startswith("codeable") else [value]
    found = [_of(each) for each in codings if isinstance(each.get("code"), str)]
    if not found:
        raise Refused([Issue("required", "There is no code in it.", given.place(names[0]).place)])
    return found


def require_system(codes: Sequence[Coded], name: str = "system") -> None:
    """Refuse codes that do not say of which system they are."""
    if any(not each.system for each in codes):
        raise Refused([Issue("required", "Say of which code system the code is.", name)])


def require_version(terminology: Terminology, coded: Coded) -> None:
    """Refuse to speak for a version of a code system that is not the one held here."""
    known = terminology.code_system(coded.system)
    if coded.version and known and coded.version != known.version:
        held = f"version {known.version}" if known.version else "a version that is not told"
        raise unanswerable(f"{coded.system} is held here in {held}, not in the one asked for")


def unanswerable(told: str) -> Unprocessable:
    """What cannot be told here is called neither right nor wrong."""
    return Unprocessable([Issue("not-supported", f"This cannot be told here: {told}.")])


def _of(coding: Mapping[str, Any]) -> Coded:
    return Coded(coding["code"], *(str(coding.get(name, "")) for name in ("system", "version", "display")))


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of one code. message: what is to be said of it; display: what the code system calls it."""

    coded: Coded
    answer: Answer
    message: str = ""
    display: str = ""


def with_display(terminology: Terminology, finding: Finding) -> Finding:
    """The finding, with what is to be said of the display that was given."""
    coded = finding.coded
    finding = replace(finding, display=terminology.display(coded.system, coded.code) or finding.display)
    if finding.answer is not Answer.VALID or not coded.display:
        return finding
    match terminology.is_display(coded.system, coded.code, coded.display):
        case Answer.INVALID:
            told = f"The display is none of this code; the code system says {finding.display!r}."
            return replace(finding, answer=Answer.INVALID, message=told)
        case Answer.UNCHECKED:
            return replace(finding, message=finding.message or "The display could not be checked here.")
    return finding


async def asked_outside(
    server: TerminologyServer | None, findings: Iterable[Finding], value_set: str = ""
) -> list[Finding]:
    """The findings, with what an outside terminology server says of the codes that could not be checked here."""
    found = list(findings)
    questions = {
        place: Question(each.coded.system, each.coded.code, each.coded.version, each.coded.display, value_set)
        for place, each in enumerate(found)
        if each.answer is Answer.UNCHECKED and each.coded.system
    }
    if server is None or not questions:
        return found
    verdicts = await server.verdicts(questions.values())
    for place, question in questions.items():
        verdict = verdicts[question]
        said = verdict.reason or ("the display is none of this code" if verdict.is_misnamed else "")
        answer = Answer.INVALID if verdict.is_misnamed else verdict.answer
        told = f"Asked {server.name}{': ' + said if said else ''}."
        found[place] = replace(found[place], answer=answer, message=told, display=verdict.display)
    return found


def decided(findings: Sequence[Finding]) -> Finding:
    """The one that decides: a code that is right, else all are wrong. Raises Unprocessable where one that could not be
    checked might be right."""
    for wanted in (Answer.VALID, Answer.UNCHECKED, Answer.INVALID):
        found = next((each for each in findings if each.answer is wanted), None)
        if found and wanted is Answer.UNCHECKED:
            raise Unprocessable([Issue("not-supported", f"The code was not checked. {found.message}".strip())])
        if found:
            return found
    raise ValueError("no findings")
