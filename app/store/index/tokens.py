"""Index values of token parameters (R4 3.1.1.4.10)."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from app.store.index.rows import Found, Given
from app.store.index.values import STRING_LENGTH, folded, indexed
from app.store.tables import SearchString, SearchToken
from app.terminology.registry import Terminology, load_terminology


def tokens(given: Given) -> Iterator[Found]:
    """Rows of a Coding, CodeableConcept, Identifier, ContactPoint, code, boolean, id, uri or string."""
    if isinstance(given.value, dict):
        maker = _COMPLEX.get(given.type)
        if maker:
            yield from maker(given.value)
    elif isinstance(given.value, bool):
        yield token("true" if given.value else "false")
    elif isinstance(given.value, str):
        # A string is no code: its case has no meaning.
        value = given.value.casefold() if given.type == "string" else given.value
        yield token(value, system_of(given.binding, value) if given.binding else "")


def token(value: str, system: str = "", suffix: str = "") -> Found:
    return SearchToken, suffix, {"value": indexed(value), "system": indexed(system)}


def identifier_tokens(value: Mapping[str, Any], suffix: str = "") -> Iterator[Found]:
    """The system and value of an Identifier."""
    code, system = value.get("value"), value.get("system")
    if isinstance(code, str) or isinstance(system, str):
        yield token(_text(code), _text(system), suffix)


def _coding(value: Mapping[str, Any]) -> Iterator[Found]:
    code, system = _text(value.get("code")), _text(value.get("system"))
    if code or system:
        yield token(code, system)
        written = spelling(system, code)
        if written != code:
            yield token(written, system)
    yield from _said(value.get("display"))


def _concept(value: Mapping[str, Any]) -> Iterator[Found]:
    for each in _dicts(value.get("coding")):
        yield from _coding(each)
    yield from _said(value.get("text"))


def _identifier(value: Mapping[str, Any]) -> Iterator[Found]:
    yield from identifier_tokens(value)
    kind, code = value.get("type"), value.get("value")
    if not isinstance(kind, dict):
        return
    for coding in _dicts(kind.get("coding")):
        if isinstance(code, str) and isinstance(coding.get("code"), str):
            yield token(code, f"{_text(coding.get('system'))}|{coding['code']}", ":of-type")
    yield from _said(kind.get("text"))


def _contact_point(value: Mapping[str, Any]) -> Iterator[Found]:
    """The value, and again with its system (phone, email): `telecom=phone|555` is asked by many."""
    if isinstance(number := value.get("value"), str):
        yield token(number)
        if isinstance(system := value.get("system"), str):
            yield token(number, system)


def _said(text: Any) -> Iterator[Found]:
    if isinstance(text, str):
        yield SearchString, ":text", {"value": folded(text)[:STRING_LENGTH], "exact": text}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each


_COMPLEX: dict[str, Callable[[Mapping[str, Any]], Iterator[Found]]] = {
    "Coding": _coding,
    "CodeableConcept": _concept,
    "Identifier": _identifier,
    "ContactPoint": _contact_point,
}


def spelling(system: str, code: str) -> str:
    """A code as its system writes it, where the system takes no notice of case; else the code itself."""
    known = _terminology().code_system(system) if system else None
    return (known.find(code) if known and known.ignores_case else None) or code


@cache
def system_of(value_set: str, code: str) -> str:
    """The system of a code element, told by the value set it is bound to; "" where that leaves several open."""
    found = _terminology().value_set(value_set)
    if found is None:
        return ""
    holding = [system for system, codes in found.codes.items() if code in codes]
    return (holding or list(found.open_systems) or [""])[0] if len(holding or found.open_systems) == 1 else ""


@cache
def _terminology() -> Terminology:
    return load_terminology()
