"""Checks every code in app/profiles against the codes that were verified; a code that was not fails the build.

    python -m tools.codes

Clinical codes must be verified rows of tests/data/verified-codes.csv with the display given there; codes that are
only read in the records of others may also begin like one of tests/data/verified-headings.csv. Codes of HL7 must be in
the code systems of base R4, those of other guides in tests/data/guide-codes.csv, ours in our code systems, and units
must follow the grammar of UCUM.
tests/test_codes.py runs it, with the units put to a UCUM library too.
"""

import csv
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app.mapping.definitions import own_definitions
from app.pain.content import load_content
from app.profiles import FOLDER, json_files, r4, toml_files
from app.terminology import Answer, Terminology, load_terminology
from tools.code_shapes import flaw_of_shape, looks_clinical
from tools.coded import Found, coded, prefixes, texts

_DATA = Path(__file__).parent.parent / "tests" / "data"
_WRONG_ON_PURPOSE = "examples/invalid/"
# Base R4 and the table of units are of others; the rest names no codes.
_LEFT_OUT = ("r4/", "units/", "package.json", "guide/alignment.json")
UCUM = "ucum"


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a code, and where it stands."""

    file: str
    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.path}: {self.reason}"


@cache
def systems() -> Mapping[str, str]:
    """The names of code systems in our TOML files -> their URLs."""
    own = {one["id"]: one["url"] for one in _own_systems()}
    found: Mapping[str, str] = toml_files("vocabulary")["systems"]["system"]
    return {**found, **own}


@cache
def listed() -> frozenset[str]:
    """The clinical code systems, of which single codes were verified."""
    return frozenset(row["system"] for row in _rows("verified-codes.csv"))


@cache
def verified() -> Mapping[tuple[str, str], str]:
    """The verified codes with their displays."""
    return {
        (row["system"], row["code"]): row["display"]
        for row in _rows("verified-codes.csv")
        if row["status"] == "verified"
    }


@cache
def unverified() -> frozenset[tuple[str, str]]:
    """Codes that were found somewhere without their term: never to be used."""
    return frozenset((r["system"], r["code"]) for r in _rows("verified-codes.csv") if r["status"] != "verified")


def _toml(path: Path) -> Any:
    return tomllib.loads(path.read_text("utf-8"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


_READ: Mapping[str, Callable[[Path], Any]] = {".toml": _toml, ".json": _json}


def content_files() -> dict[str, Any]:
    """Every content file with codes, by name, and the definitions that are made from them."""
    names = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.suffix in _READ)
    found = {name: _READ[Path(name).suffix](FOLDER / name) for name in names if not name.startswith(_LEFT_OUT)}
    found |= {name: _spelled_out(file) for name, file in found.items() if name.startswith("views/")}
    made = own_definitions(load_content())
    kinds = ("ConceptMap", "Questionnaire")
    return found | {f"{one['resourceType']}/{one['id']}": one for one in made if one["resourceType"] in kinds}


def _spelled_out(view: Any) -> Any:
    """A view whose constants stand where they are named: systems are told by them."""
    text = json.dumps(view)
    for constant in view.get("constant", ()):
        text = re.sub(rf"%{constant['name']}\b", f"'{constant.get('valueUri', '')}'", text)
    return json.loads(text)


def flaws(files: Mapping[str, Any]) -> list[Flaw]:
    """Everything wrong with the codes of files, by name of the file."""
    return [flaw for name, file in files.items() for flaw in _flaws(name, file)]


def units(files: Mapping[str, Any]) -> list[str]:
    """Every UCUM code in files, once."""
    url = systems()[UCUM]
    return sorted({one.code for file in files.values() for one in coded(file, systems()) if one.system == url})


def _flaws(name: str, file: Any) -> Iterator[Flaw]:
    is_example = name.startswith("examples/")
    # What a record must not be coded with is no verified code; it is listed so that it can be refused.
    headings = frozenset(load_content().diagnoses.headings)
    for one in coded(file, systems()):
        if one.key in headings and _may_name_headings(name, one.path):
            continue
        if reason := _reason(one, is_wrong=name.startswith(_WRONG_ON_PURPOSE)):
            yield Flaw(name, one.path or "top", reason)
    for path, system, prefix in prefixes(file, systems()):
        if not any(known == system and code.startswith(prefix) for known, code in (*verified(), *_read_only())):
            yield Flaw(name, path or "top", f"no verified code of {system} begins with {prefix}")
    if not is_example:
        yield from (Flaw(name, path, reason) for path, reason in _strays(file, headings))


def _may_name_headings(name: str, path: str) -> bool:
    """Where a heading is named to be refused: in the list, in the rule made from it, in an example of the defect."""
    return name.startswith(_WRONG_ON_PURPOSE) or "header" in path or path.endswith(".expression")


def _reason(one: Found, *, is_wrong: bool) -> str:
    """What is wrong with a code, "" if nothing is."""
    if one.system == systems()[UCUM]:
        return _terminology().flaw(one.system, one.code) and f"{one.code} is no unit of UCUM"
    if is_wrong and (one.system not in listed() or _begins_known(one.code)):
        # The code of another system, or one that does not exist in ours or HL7's, may be the very defect.
        return ""
    if one.system in listed():
        return _clinical(one)
    if not one.system:
        return "" if _is_known_anywhere(one.code) else f"{one.code} is no verified unit, and no code of ours or of HL7"
    if one.system in _own_codes():
        known = _own_codes()[one.system].get(one.code)
        return f"{one.system} has no code {one.code}" if known is None else _display(one, known)
    if (one.system, one.code) in _guide_codes():
        return _display(one, _guide_codes()[one.system, one.code])
    terminology = _terminology()
    answer = terminology.has_code(one.system, one.code)
    if answer is Answer.VALID:
        return "" if one.display is None else _display(one, terminology.display(one.system, one.code) or one.display)
    return f"{one.code} of {one.system} is " + ("unknown" if answer is Answer.INVALID else "verified nowhere")


def _clinical(one: Found) -> str:
    if one.key in unverified():
        return f"{one.code} of {one.system} is unverified and must not be used"
    if one.key not in verified():
        return f"{one.code} of {one.system} is no verified code" + flaw_of_shape(one.system, one.code)
    return flaw_of_shape(one.system, one.code) or _display(one, verified()[one.key])


def _display(one: Found, known: str) -> str:
    if one.display is None or one.display == known:
        return ""
    return f"{one.code} of {one.system} is called {known}, not {one.display}"


def _is_known_anywhere(code: str) -> bool:
    """Whether a code that stands without its system is a unit, or one of ours or of HL7."""
    ours = any(code in codes for codes in _own_codes().values())
    return ours or (systems()[UCUM], code) in verified() or code in _hl7_codes()


@cache
def _hl7_codes() -> frozenset[str]:
    return frozenset(code for one in r4()["code_systems"].values() for code in one["codes"])


def _strays(file: Any, headings: frozenset[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Texts that are clinical codes by their looks, wherever they stand, and are none that was verified."""
    more = {code for _, code in headings}
    for path, text in texts(file):
        unknown = (code for code in looks_clinical(text) if code not in more and not _begins_known(code))
        yield from ((path, f"{code} looks like a clinical code and is no verified one") for code in unknown)


@cache
def _terminology() -> Terminology:
    return load_terminology()


@cache
def _own_codes() -> Mapping[str, Mapping[str, str]]:
    return {one["url"]: {row["code"]: row["display"] for row in one["concept"]} for one in _own_systems()}


def _own_systems() -> list[dict[str, Any]]:
    return [one for one in json_files("terminology").values() if one["resourceType"] == "CodeSystem"]


@cache
def _begins_known(code: str) -> bool:
    """Whether a code of any system is verified, or begins one: it stands then for all that begin so."""
    return any(known.startswith(code) for _, known in (*verified(), *_read_only()))


@cache
def _read_only() -> frozenset[tuple[str, str]]:
    """Headings and codes that are looked for in the records of others, and never written."""
    return frozenset((row["system"], row["code"]) for row in _rows("verified-headings.csv"))


@cache
def _guide_codes() -> Mapping[tuple[str, str], str]:
    return {(row["system"], row["code"]): row["display"] for row in _rows("guide-codes.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(files: Mapping[str, Any] | None = None) -> int:
    found = flaws(content_files() if files is None else files)
    print("\n".join(map(str, found)) or "every code is verified")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
