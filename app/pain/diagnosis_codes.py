"""The codes of a diagnosis: how they are read, what they require, and what they are at odds with."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from app.pain.coded import concept_reader, misnamed, refuse_other_kinds
from app.pain.concepts import Coding, Concept
from app.pain.content import Content
from app.pain.grading import Grade
from app.pain.reading import Place, Reader, earliest


def code_reader(content: Content) -> Reader:
    """A reader of one concept or a list of them into one Concept: the codings in their order, at most one text."""
    read_one = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        if not isinstance(value, list):
            found = [(read_one(value, place), place)]
        elif not value:
            place.refuse("required", "Expected at least one code or a text.")
            return None
        else:
            found = [(read_one(one, place.nth(index)), place.nth(index)) for index, one in enumerate(value)]
        for one, where in found:
            _refuse_heading(one, where, content)
            refuse_other_kinds(one, ("diagnosis",), where.at("code"), content)
        texts = [one.text for one, _ in found if one and one.text]
        if len(texts) > 1:
            place.refuse("structure", "Expected at most one text.")
        return Concept(tuple(coding for one, _ in found if one for coding in one.codings), next(iter(texts), None))

    return read


def refuse_too_early(code: Concept, onset: str, recorded: datetime, place: Place, content: Content) -> None:
    """ICD-11 MG30 is chronic pain: three months or more when it was recorded. Only an onset that is surely later is
    refused."""
    months = _months(earliest(onset), recorded.astimezone(UTC).date())
    for coding in code.codings:
        for system, prefix, least in content.diagnoses.chronic:
            if coding.system == system and coding.code.startswith(prefix) and months < least:
                place.refuse("business-rule", f"{prefix} codes require pain for {least} months or more.")


def code_notes(code: Concept, laterality: str | None, stated: Grade, content: Content) -> list[str]:
    """What of the codes was not checked, and where they are at odds with the side or the grade that is stated."""
    notes = []
    for index, coding in enumerate(code.codings):
        if coding.key not in content.diagnoses.listed:
            notes.append(f"code[{index}] was not checked: not in the list of diagnoses")
        notes += misnamed(coding, f"code[{index}]", content)
        notes += [f"code[{index}]: {words}" for words in _odds(coding, stated, content)]
    if not code.codings:
        notes.append("code was not checked: no code was given, only text")
    return notes + _side_notes(code, laterality, content)


def _odds(coding: Coding, stated: Grade, content: Content) -> list[str]:
    rules = content.diagnoses
    if stated == "unlikely":
        return ["the code states neuropathic pain, the grade is unlikely"] if _has(coding, rules.neuropathic) else []
    told = f"the pain of this diagnosis is not neuropathic by definition, the grade is {stated}"
    return [told] if _has(coding, rules.other_pain) else []


def _has(coding: Coding, prefixes: Iterable[tuple[str, str]]) -> bool:
    return any(coding.system == system and coding.code.startswith(prefix) for system, prefix in prefixes)


def _side_notes(code: Concept, laterality: str | None, content: Content) -> list[str]:
    known = content.diagnoses.sides
    sides = sorted({known[coding.key] for coding in code.codings if coding.key in known})
    if len(sides) > 1:
        return [f"code: the codes state different sides: {', '.join(sides)}"]
    if sides and laterality and laterality not in sides:
        return [f"laterality: the code states {sides[0]}"]
    return []


def _refuse_heading(concept: Concept | None, place: Place, content: Content) -> None:
    for coding in concept.codings if concept else ():
        if instead := content.diagnoses.headings.get(coding.key):
            place.at("code").refuse("code-invalid", f"This code is a heading and cannot be assigned; use {instead}.")


def _months(start: date, end: date) -> int:
    """Whole months between two days."""
    return (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)
