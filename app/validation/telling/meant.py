"""Which code was meant: by its display, by another system that has it, or by a slip of the pen."""

from collections.abc import Iterator
from typing import Any

from app.terminology import Terminology
from app.terminology.unit_names import unit_meant
from app.validation.telling.suggestions import nearest

_MOST = 4000


def code_of_value_set(terminology: Terminology, url: str, value: Any) -> str:
    """For a coded value outside a value set: the member that was most likely meant."""
    known = terminology.value_set(url)
    if known is None or sum(map(len, known.codes.values())) > _MOST:
        return ""
    members = [(system, code) for system, codes in known.codes.items() for code in sorted(codes)]
    return _suggested(terminology, members, list(_words(value)))


def code_of_system(terminology: Terminology, url: str, value: Any) -> str:
    """For a coding whose code its system does not have: the code that was most likely meant."""
    known = terminology.code_system(url)
    if known is None or len(known.codes) > _MOST:
        return ""
    return _suggested(terminology, [(url, code) for code in known.codes], list(_words(value)))


def unit_of_ucum(code: str) -> str:
    """For a code that is no unit of UCUM: the unit that was most likely meant."""
    found = unit_meant(code)
    return f'Write the code "{found}".' if found else "Write what is only counted in braces, e.g. {tablet}."


def _suggested(terminology: Terminology, members: list[tuple[str, str]], words: list[str]) -> str:
    folded = {word.casefold() for word in words}
    exact = [each for each in members if each[1] in words]
    by_display = [each for each in members if (terminology.display(*each) or "").casefold() in folded - {""}]
    for system, code in [*exact, *by_display]:
        return f'Use the code "{code}" of {system}.'
    near = next((found for word in words if (found := nearest(word, [code for _, code in members]))), "")
    return f'Did you mean the code "{near}"?' if near else ""


def _words(value: Any) -> Iterator[str]:
    """What a coded value says: its codes first, then displays and text."""
    if isinstance(value, str):
        yield value
        return
    if not isinstance(value, dict):
        return
    codings = value.get("coding")
    parts = [each for each in codings if isinstance(each, dict)] if isinstance(codings, list) else []
    for name in ("code", "display", "text"):
        yield from (each[name] for each in [*parts[:10], value] if isinstance(each.get(name), str))
