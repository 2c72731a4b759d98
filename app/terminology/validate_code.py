"""$validate-code of FHIR R4: what is sent about a code, and what the answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app import outbound
from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.fhir.questions import Question
from app.terminology.expansion import Answer

_LONGEST = 255
# What may be sent: codes and systems look like this, so that no sentence of a record can leave as one.
_CODE = re.compile(r"[!-~]{1,100}")
_SYSTEM = re.compile(r"(https?://|urn:)[!-~]{1,240}")
# Servers say an unknown code system or value set with the same `result: false` as an unknown code. These say which.
_UNKNOWN_PARTS = ("x-caused-by-unknown-system", "x-unknown-system")
_PART = r"(code ?system|value ?set)"
_UNKNOWN_WORDS = re.compile(
    rf"unknown {_PART}|{_PART}( \S{{1,255}})? (is unknown|is not known|not found|could not be found)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one question. at: microseconds since 1970 when the server said so, 0 if it did not.

    reason: why it is not checked.  display: what the server calls the code; is_misnamed: the display sent is none.
    """

    answer: Answer
    at: int = 0
    reason: str = ""
    display: str = ""
    is_misnamed: bool = False


def sendable(question: Question) -> Question:
    """What is sent: nothing of the binding but the value set, and no display or version that looks like a text."""
    display = " ".join(question.display.split())
    version = question.version if _CODE.fullmatch(question.version) else ""
    return replace(question, display=display if len(display) <= _LONGEST else "", version=version, strength="")


def unfit(question: Question) -> Verdict | None:
    """Why a question is not asked, None if it is."""
    if not _CODE.fullmatch(question.code):
        return Verdict(Answer.UNCHECKED, reason="not asked, since the code does not look like one")
    urls = [question.system, *([question.value_set] if question.value_set else [])]
    if all(_SYSTEM.fullmatch(url) for url in urls):
        return None
    return Verdict(Answer.UNCHECKED, reason="not asked, since its system is no absolute address")


def request(question: Question) -> tuple[str, bytes]:
    """The address, relative to the server, and the body."""
    url, value_set = question.system, question.value_set
    parts = [{"name": "url", "valueUri": value_set or url}, {"name": "code", "valueCode": question.code}]
    if value_set:
        parts.append({"name": "system", "valueUri": url})
    if question.version:
        parts.append({"name": "systemVersion" if value_set else "version", "valueString": question.version})
    if question.display:
        parts.append({"name": "display", "valueString": question.display})
    body = lossless.dumps({"resourceType": "Parameters", "parameter": parts})
    return f"{'ValueSet' if value_set else 'CodeSystem'}/$validate-code", body


def verdict_of(answer: outbound.Answered, now: int) -> Verdict:
    """What an answer means. Raises Unusable for a server error."""
    if answer.status >= 500 or answer.status in (408, 429):
        raise outbound.Unusable(f"it answered {answer.status}", is_away=True)
    if answer.status != 200:
        return Verdict(Answer.UNCHECKED, reason=f"it answered {answer.status}")
    parts = _parts(answer.body)
    result = parts.get("result", {}).get("valueBoolean")
    if not isinstance(result, bool):
        return Verdict(Answer.UNCHECKED, reason="its answer is not that of $validate-code")
    if not result and _is_unknown(parts):
        return Verdict(Answer.UNCHECKED, reason="it does not know the code system or the value set")
    return Verdict(Answer.VALID if result else Answer.INVALID, now, display=_text(parts, "display"))


def _parts(body: bytes) -> Mapping[str, Mapping[str, Any]]:
    """The parameters by name; none if the body is something else."""
    try:
        tree = lossless.parse_object(body)
    except Refused:
        return {}
    given = tree.get("parameter") if tree.get("resourceType") == "Parameters" else None
    found = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return {str(each.get("name")): each for each in found}


def _is_unknown(parts: Mapping[str, Mapping[str, Any]]) -> bool:
    if any(name in parts for name in _UNKNOWN_PARTS) or _UNKNOWN_WORDS.search(_text(parts, "message")):
        return True
    outcome = parts.get("issues", {}).get("resource")
    issues = outcome.get("issue") if isinstance(outcome, dict) else None
    return any(isinstance(each, dict) and each.get("code") == "not-found" for each in issues or ())


def _text(parts: Mapping[str, Mapping[str, Any]], name: str) -> str:
    """A text of the server's, fit to be told: one line, printable, short."""
    value = parts.get(name, {}).get("valueString")
    line = " ".join(value[:1000].split()) if isinstance(value, str) else ""
    return "".join(mark for mark in line if mark.isprintable())[:_LONGEST]
