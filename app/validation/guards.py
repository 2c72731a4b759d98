"""Constraints about one code: of many such constraints on an element, only those of its own codes need a look.

A constraint that begins with `code.coding.exists(system = 'S' and (code = 'a' or code = 'b'))`, perhaps with
`and …`, and goes on with `implies` holds wherever the element has none of these codes.
"""

from functools import lru_cache
from typing import Any

from app.fhir.fhirpath.syntax import Tree, parse

Codes = frozenset[tuple[str, str]]
_CODINGS = parse("code.coding")
_SYSTEM, _CODE = parse("system"), parse("code")


@lru_cache(maxsize=4096)
def guard_of(text: str) -> Codes | None:
    """The (system, code) pairs a constraint is about; None where it may be about any."""
    tree = parse(text)
    if tree.kind != "binary" or tree.value != "implies":
        return None
    first = tree.parts[0]
    while first.kind == "binary" and first.value == "and":
        first = first.parts[0]
    if first.kind != "path" or first.parts[0] != _CODINGS:
        return None
    call = first.parts[1]
    return _pairs(call.parts[0]) if call.kind == "call" and call.value == "exists" and call.parts else None


def codes_of(value: Any) -> Codes | None:
    """The (system, code) pairs of an element's code; None where it has not the form of a CodeableConcept."""
    code = value.get("code", {}) if isinstance(value, dict) else None
    rows = code.get("coding", []) if isinstance(code, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    pairs = [(row.get("system"), row.get("code")) for row in rows]
    return frozenset((system, code) for system, code in pairs if isinstance(system, str) and isinstance(code, str))


def _pairs(test: Tree) -> Codes | None:
    """The pairs of `system = 'S' and (code = 'a' or …)`."""
    if test.kind != "binary" or test.value != "and":
        return None
    system, codes = _equals(test.parts[0], _SYSTEM), _alternatives(test.parts[1])
    return frozenset((system, code) for code in codes) if system is not None and codes else None


def _alternatives(test: Tree) -> list[str] | None:
    if test.kind == "binary" and test.value == "or":
        before, last = _alternatives(test.parts[0]), _alternatives(test.parts[1])
        return before + last if before and last else None
    code = _equals(test, _CODE)
    return None if code is None else [code]


def _equals(test: Tree, name: Tree) -> str | None:
    """The text something is to be equal to."""
    if test.kind != "binary" or test.value != "=" or test.parts[0] != name or test.parts[1].kind != "literal":
        return None
    text = test.parts[1].value
    return text if isinstance(text, str) else None
