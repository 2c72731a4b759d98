"""Whether a text is a unit of UCUM in its case sensitive form (UCUM 2.2, sections 2.1 and 2.2: grammar).

Prefixes and units come from ucum-essence.xml, which is read when the first unit is asked for. Only the form is
checked, not whether the dimensions make sense.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from xml.parsers import expat

from app.profiles import FOLDER

UCUM = "http://unitsofmeasure.org"
# Longer than any unit in use; keeps hostile input cheap.
MAX_LENGTH = 255
_MAX_DEPTH = 20
# Brackets belong to the name of a unit and may hold what else would be an operator: [m/s2/Hz^(1/2)].
TOKEN = re.compile(r"(?P<note>\{[^{}]*\})|(?P<sign>[./()])|(?P<word>(?:\[[^\[\]]*\]|[^\[\]{}().\/])+)")
EXPONENT = re.compile(r"[+-]?[0-9]+\Z")
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class _Symbols:
    """What UCUM defines. metric: the units that take a prefix."""

    units: frozenset[str]
    metric: frozenset[str]
    prefixes: tuple[str, ...]


@cache
def _symbols() -> _Symbols:
    units: set[str] = set()
    metric: set[str] = set()
    prefixes: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "prefix":
            prefixes.append(attributes["Code"])
        elif name in ("base-unit", "unit"):
            units.add(attributes["Code"])
            if attributes.get("isMetric", "yes") == "yes":
                metric.add(attributes["Code"])

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.Parse((FOLDER / "units" / "ucum-essence.xml").read_bytes(), True)
    return _Symbols(frozenset(units), frozenset(metric), tuple(prefixes))


@lru_cache(maxsize=4096)
def unit_flaw(code: str) -> str:
    """What is wrong with a UCUM code, as the end of a sentence about it; "" if nothing is."""
    if len(code) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} characters"
    if not _PRINTABLE.fullmatch(code):
        return "holds spaces or characters outside ASCII" if code else "is empty"
    return _term_flaw(code)


def _term_flaw(code: str) -> str:
    """A term is components with . or / between them; / may also begin it, and parentheses hold a term."""
    depth, place = 0, 0
    # What came last: nothing or an opening parenthesis, an operator, a component, or its annotation.
    last = "start"
    while place < len(code):
        token = TOKEN.match(code, place)
        if token is None:
            return "has a bracket or brace without its other half"
        kind, text = str(token.lastgroup), token[0]
        sign = text if kind == "sign" else kind
        if sign not in _MAY_FOLLOW[last] or (text == "/" and last == "start" and place):
            return _misplaced(sign, last)
        if kind == "word" and (flaw := _word_flaw(text)):
            return flaw
        depth += {"(": 1, ")": -1}.get(text, 0)
        if not 0 <= depth <= _MAX_DEPTH:
            return "has parentheses that do not match" if depth < 0 else "has too many parentheses"
        last = _STATE[sign]
        place = token.end()
    if last in ("start", "operator"):
        return "ends where a unit was expected"
    return "has parentheses that do not match" if depth else ""


_MAY_FOLLOW = {
    "start": frozenset({"word", "note", "(", "/"}),
    "operator": frozenset({"word", "note", "("}),
    "component": frozenset({"note", ".", "/", ")"}),
    "note": frozenset({".", "/", ")"}),
}
_STATE = {"word": "component", ")": "component", "note": "note", ".": "operator", "/": "operator", "(": "start"}


def _misplaced(sign: str, last: str) -> str:
    if last in ("start", "operator"):
        return f"has {sign} where a unit was expected"
    return "has two units without . or / between them"


def _word_flaw(word: str) -> str:
    """A word is a number, or a unit with its prefix and exponent."""
    if word.isdigit() or _is_unit(word):
        return ""
    exponent = EXPONENT.search(word)
    if exponent and exponent.start() and _is_unit(word[: exponent.start()]):
        return ""
    return "is no unit of UCUM" if len(word) > 40 else f"has {word}, which is no unit of UCUM"


def _is_unit(name: str) -> bool:
    symbols = _symbols()
    if name in symbols.units:
        return True
    return any(name.startswith(each) and name[len(each) :] in symbols.metric for each in symbols.prefixes)
