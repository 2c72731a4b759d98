"""Which unit of UCUM was meant by its name, its code in capitals or its printed symbol: hours, MG, mmHg."""

import re
from functools import cache
from xml.parsers import expat

from app.profiles import FOLDER
from app.terminology.ucum import unit_flaw

_WORD = re.compile(r"[A-Za-z_]+")
_LONGEST = 60


def unit_meant(code: str) -> str:
    """The code of UCUM that was most likely meant by one that is none; "" if that cannot be told."""
    if len(code) > _LONGEST:
        return ""
    known = _names()
    # Code in capitals is meant in capitals throughout, also where one word of it happens to be a unit.
    made = _WORD.sub(
        lambda word: _meant(word[0], known) if code.isupper() or unit_flaw(word[0]) else word[0],
        code.replace("^", ""),
    )
    found = known.get(code.casefold()) or known.get(code) or made
    return found if found != code and not unit_flaw(found) else ""


def _meant(word: str, known: dict[str, str]) -> str:
    folded = word.casefold()
    return known.get(folded) or known.get(folded.removesuffix("s")) or known.get(word) or word


@cache
def _names() -> dict[str, str]:
    """What units are called besides their code -> code; names and codes in small letters, symbols as printed."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.characters
    parser.Parse((FOLDER / "units" / "ucum-essence.xml").read_bytes(), True)
    found: dict[str, str] = {}
    # The codes in capitals are the case insensitive form of UCUM, so they count most; symbols are often ambiguous.
    for kind in range(3):
        for names, code, is_metric in reader.units:
            for name in names[kind : kind + 1]:
                found.setdefault(name, code)
                for more, prefix in reader.prefixes if is_metric else ():
                    found.setdefault("".join(more[kind : kind + 1]) + name, prefix + code)
    return {name: code for name, code in found.items() if name}


class _Reader:
    """Follows the parser's events. units: (code in capitals, name, printed symbol), code, whether it takes prefixes."""

    def __init__(self) -> None:
        self.units: list[tuple[list[str], str, bool]] = []
        self.prefixes: list[tuple[list[str], str]] = []
        self._names: list[str] = []
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._text = ""
        if name in ("unit", "base-unit", "prefix"):
            self._names = [attributes["CODE"].casefold()]
        if name == "prefix":
            self.prefixes.append((self._names, attributes["Code"]))
        # Nobody measures a patient in units of typesetting; the points of a score are counted.
        elif name in ("unit", "base-unit") and attributes.get("class") != "typeset":
            self.units.append((self._names, attributes["Code"], attributes.get("isMetric", "yes") == "yes"))

    def characters(self, text: str) -> None:
        self._text += text

    def end(self, name: str) -> None:
        if name in ("name", "printSymbol"):
            text = "".join(self._text.split())
            self._names.append(text.casefold() if name == "name" else text)
