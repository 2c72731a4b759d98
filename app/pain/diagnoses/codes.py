"""The codes of a diagnosis: how they are read, what they require, and what they are at odds with."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from app.pain.coded import concept_reader, misnamed, refuse_other_kinds
from app.pain.concepts import Coding, Concept
from app.pain.content import Content
from app.pain.diagnoses.grading import Grade
from app.pain.diagnoses.rules import Prefixes, begins
from app.pain.diagnoses.translations import months_between
from app.pain.reading import Place, Reader, earliest

# Sides as the words for a site name them.
_NAMED = ("left", "right")


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
            _refuse_unassignable(one, where, content)
            refuse_other_kinds(one, ("diagnosis",), where.at("code"), content)
        texts = [one.text for one, _ in found if one and one.text]
        if len(texts) > 1:
            place.refuse("structure", "Expected at most one text.")
        return Concept(tuple(coding for one, _ in found if one for coding in one.codings), next(iter(texts), None))

    return read


def refuse_too_early(code: Concept, onset: str, recorded: datetime, place: Place, content: Content) -> None:
    """ICD-11 MG30 is chronic pain: three months or more when it was recorded. Only an onset that is surely later is
    refused."""
    months = months_between(earliest(onset), recorded.astimezone(UTC).date())
    for coding in code.codings:
        for system, prefix, least in content.diagnoses.chronic:
            if coding.system == system and coding.code.startswith(prefix) and months < least:
                place.refuse("business-rule", f"{prefix} codes require pain for {least} months or more.")


def refuse_both_pains(code: Concept, place: Place, content: Content) -> None:
    """A pain that is not neuropathic by definition is not coded as neuropathic as well."""
    rules = content.diagnoses
    if rules.is_other_pain(code.codings) and any(begins(coding.key, rules.neuropathic) for coding in code.codings):
        told = "One code names a pain that is not neuropathic by definition, another one states neuropathic pain."
        place.refuse("business-rule", told)


def code_notes(code: Concept, laterality: str | None, stated: Grade, content: Content) -> list[str]:
    """What of the codes was not checked, and where they are at odds with each other, the side or the grade stated."""
    notes = []
    for index, coding in enumerate(code.codings):
        if coding.key not in content.diagnoses.listed:
            notes.append(f"code[{index}] was not checked: not in the list of diagnoses")
        notes += misnamed(coding, f"code[{index}]", content)
        notes += [f"code[{index}]: {words}" for words in _odds(coding, stated, content)]
    if not code.codings:
        notes.append("code was not checked: no code was given, only text")
    return [*notes, *_side_notes(code, laterality, content), *_excluded(code, content), *_order(code, content)]


def _odds(coding: Coding, stated: Grade, content: Content) -> list[str]:
    rules = content.diagnoses
    told = [rules.any_type[coding.key]] if coding.key in rules.any_type else []
    if stated == "unlikely" and begins(coding.key, rules.neuropathic):
        told.append("the code states neuropathic pain, the grade is unlikely")
    return told


def _excluded(code: Concept, content: Content) -> Iterator[str]:
    """ICD-10-CM "excludes1": codes that are not given for the same pain."""
    for rule in content.diagnoses.excludes:
        others: Prefixes = tuple((rule.system, prefix) for prefix in rule.others)
        first = [
            c.code for c in code.codings if begins(c.key, ((rule.system, rule.prefix),)) and not begins(c.key, others)
        ]
        second = [c.code for c in code.codings if begins(c.key, others)]
        if first and second:
            yield f"code: {first[0]} and {second[0]} exclude each other; give {rule.instead}"


def _order(code: Concept, content: Content) -> Iterator[str]:
    """A code of pain stands after that of its cause, unless pain control is the reason for the encounter."""
    rules = content.diagnoses
    for index, coding in enumerate(code.codings):
        later = [c for c in code.codings[index + 1 :] if c.system == coding.system]
        causes = [c.code for c in later if not begins(c.key, rules.secondary) and not begins(c.key, rules.sequels)]
        if begins(coding.key, rules.secondary) and causes:
            yield (
                f"code: {coding.code} comes after the code of the cause, {causes[0]}, "
                "unless pain control is the reason for the encounter"
            )


def site_notes(site: Concept | None, laterality: str | None) -> list[str]:
    """A note where the words for a body site name another side than the laterality."""
    words = [site.text, *(coding.display for coding in site.codings)] if site else []
    named = {side for side in _NAMED for one in words if one and re.search(rf"\b{side}\b", one.casefold())}
    if laterality is None or not named or laterality == "bilateral" or named == {laterality}:
        return []
    return [f"body_site: its words name the side {' and '.join(sorted(named))}, the laterality is {laterality}"]


def _side_notes(code: Concept, laterality: str | None, content: Content) -> list[str]:
    known = content.diagnoses.sides
    sides = sorted({known[coding.key] for coding in code.codings if coding.key in known})
    if len(sides) > 1:
        return [f"code: the codes state different sides: {', '.join(sides)}"]
    if sides and laterality and laterality not in sides:
        return [f"laterality: the code states {sides[0]}"]
    return []


def _refuse_unassignable(concept: Concept | None, place: Place, content: Content) -> None:
    for coding in concept.codings if concept else ():
        if instead := content.diagnoses.headings.get(coding.key):
            place.at("code").refuse("code-invalid", f"This code is a heading and cannot be assigned; use {instead}.")
        elif below := content.diagnoses.above.get(coding.key):
            told = f"This code is a heading and cannot be assigned; use one below it, such as {below}."
            place.at("code").refuse("code-invalid", told)
        elif begins(coding.key, content.diagnoses.absent):
            place.at("code").refuse("code-invalid", "WHO ICD-10 has no such code; it is one of ICD-10-CM.")
