"""Reads and shows what can be said in codes or in words: sites, drugs, diagnoses."""

import re
from collections.abc import Sequence
from typing import Any

from app.pain.concepts import Coding, Concept
from app.pain.content import Content, Listing
from app.pain.reading import Place, Reader, code, fields, text, uri

# SNOMED CT identifiers are 6 to 18 digits, the first not zero (SNOMED CT Release File Specification, section 6.1).
_SNOMED_ID = re.compile(r"[1-9]\d{5,17}")


def concept_reader(content: Content) -> Reader:
    """A reader of {"system", "code", "display"?, "version"?, "text"?} or {"text"} into a Concept."""

    def read(value: Any, place: Place) -> Concept | None:
        known = {"system": uri, "code": code, "display": text, "version": text, "text": text}
        got = fields(value, place, known)
        if not isinstance(value, dict):
            return None
        if value.get("system") is None and value.get("code") is None:
            _refuse_stray(value, place)
            return Concept((), got["text"]) if got["text"] else None
        for key in ("system", "code"):
            if value.get(key) is None:
                place.at(key).refuse("required", "A code needs its system, and a system its code.")
        if got["system"] is None or got["code"] is None:
            return None
        coding = _known(Coding(got["system"], got["code"], got["display"], got["version"]), content, place)
        return Concept((coding,), got["text"])

    return read


def _refuse_stray(value: dict[str, Any], place: Place) -> None:
    for key in ("display", "version"):
        if value.get(key) is not None:
            place.at(key).refuse("structure", "This belongs to a code, and there is none.")
    if value.get("text") is None:
        place.refuse("required", "Expected a system and a code, or a text.")


def _known(coding: Coding, content: Content, place: Place) -> Coding:
    """The coding with our display where it has none; notes a problem where we know it cannot be right."""
    twin = _twin(coding.system)
    if coding.system not in content.systems.values() and twin in content.systems.values():
        place.at("system").refuse("code-invalid", f"The URI of this code system is {twin}.")
    if coding.system in content.complete and coding.code not in content.complete[coding.system]:
        name = coding.system.rpartition("/")[2]
        told = f"There is no such code in {name}; the CodeSystem at this URI lists its codes."
        place.at("code").refuse("code-invalid", told)
    if coding.display:
        return coding
    return Coding(coding.system, coding.code, content.displays.get(coding.key), coding.version)


def _twin(system: str) -> str:
    """The URI that is meant where https or a closing slash was written: neither is part of a system's name."""
    return re.sub("^https:", "http:", system).rstrip("/")


def site_reader(content: Content, *, free_text: bool = False) -> Reader:
    """A reader of a body site: a bare string is a SNOMED CT code, or with `free_text` words if it is not a number."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        if isinstance(value, str) and _SNOMED_ID.fullmatch(value.strip()):
            value = {"system": content.systems["snomed"], "code": value.strip()}
        elif isinstance(value, str) and free_text:
            return worded(value, place)
        elif isinstance(value, str):
            place.refuse("value", 'A bare string is a SNOMED CT code of 6 to 18 digits; for words send {"text": …}.')
            return None
        site: Concept | None = read_concept(value, place)
        refuse_other_kinds(site, ("body site",), place, content)
        return site

    return read


def named_reader(listing: Listing) -> Reader:
    """A reader of a name: the id where our list has it, else the words."""

    def read(value: Any, place: Place) -> str | None:
        words = text(value, place)
        known = listing.named(words) if words else None
        return known.id if known else words

    return read


def coded_or_worded(listing: Listing, system: str, kinds: tuple[str, ...], content: Content) -> Reader:
    """A reader of a row of a list: its id, words where it is not listed, or a concept with a code of others."""
    named, coded = named_reader(listing), concept_reader(content)

    def read(value: Any, place: Place) -> str | Concept | None:
        if isinstance(value, str):
            return named(value, place)  # type: ignore[no-any-return]
        got: Concept | None = coded(value, place)
        refuse_other_kinds(got, kinds, place.at("code"), content)
        if got is None or not got.codings:
            return named(got.text, place) if got else None
        ours = content.systems[system]
        return next((one.code for one in got.codings if one.system == ours), got)

    return read


def concept_said(concept: Concept | None, *, words: bool = True) -> str | dict[str, str] | None:
    """A concept of at most one coding in the clinic's JSON: an object, or bare words where `words` allows it."""
    if concept is None:
        return None
    return concept.text if words and not concept.codings else site_view(concept)


def refuse_other_kinds(concept: Concept | None, wanted: tuple[str, ...], place: Place, content: Content) -> None:
    """Notes a problem where a code is known to name something else than what is asked for."""
    for kind in (content.kind_of(coding) for coding in (concept.codings if concept else ())):
        if kind is not None and kind not in wanted:
            place.refuse("code-invalid", f"This code names a {kind}, not a {wanted[0]}.")


def kind_reader(kinds: tuple[str, ...], content: Content) -> Reader:
    """A reader of a concept whose code, where it is known, names one of the kinds."""
    read_concept = concept_reader(content)

    def read(value: Any, place: Place) -> Concept | None:
        concept: Concept | None = read_concept(value, place)
        refuse_other_kinds(concept, kinds, place.at("code"), content)
        return concept

    return read


def unchecked(concepts: Sequence[Concept], path: str, content: Content) -> list[str]:
    """Notes where nothing is known of what one of the concepts names."""
    return [
        f"{path}[{index}] was not checked: it is in no list"
        for index, one in enumerate(concepts)
        if not any(content.kind_of(coding) for coding in one.codings)
    ]


def worded(value: Any, place: Place) -> Concept | None:
    """A concept said in words alone."""
    words = text(value, place)
    return Concept((), words) if words else None


def concept_view(concept: Concept) -> list[dict[str, str]]:
    """A concept in the clinic's JSON: one object for each coding, and one for a text."""
    views = [coding_view(coding) for coding in concept.codings]
    return views + ([{"text": concept.text}] if concept.text else [])


def site_view(site: Concept) -> dict[str, str]:
    """A concept of at most one coding in the clinic's JSON."""
    view = coding_view(site.codings[0]) if site.codings else {}
    return view | ({"text": site.text} if site.text else {})


def coding_view(coding: Coding) -> dict[str, str]:
    view = {"system": coding.system, "code": coding.code}
    view |= {"display": coding.display} if coding.display else {}
    return view | ({"version": coding.version} if coding.version else {})


def unchecked_site(site: Concept | None, path: str, content: Content) -> list[str]:
    """A note where a body site could not be checked."""
    listed = site is None or any(coding.key in content.sites for coding in site.codings)
    return [] if listed else [f"{path} was not checked: not in the list of body sites"]


def misnamed(coding: Coding, path: str, content: Content) -> list[str]:
    """A note where the display sent is not the one we know for the code."""
    ours = content.displays.get(coding.key)
    if not ours or not coding.display or _plain(ours) == _plain(coding.display):
        return []
    return [f"{path}: the display differs from the one listed for this code"]


def _plain(display: str) -> str:
    """A display without SNOMED CT's semantic tag, as it is compared."""
    return re.sub(r"\s*\([a-z/ ]+\)$", "", display).casefold()
