"""Everything the clinic's ideas need to know from the content files, parsed once at start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.pain.concepts import Coding, Concept
from app.pain.instruments import Instrument, codings, instrument
from app.pain.reading import squeezed
from app.profiles import canonical, json_files, toml_files

Key = tuple[str, str]  # system URI, code


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list: a drug, therapy, route or measure.

    codings: written for it.  also: further codes it is recognised by.  kind: class of a drug, tier of a therapy,
    unit of a measure.
    """

    id: str
    label: str
    kind: str
    codings: tuple[Coding, ...]
    also: tuple[Coding, ...]

    @property
    def concept(self) -> Concept:
        return Concept(self.codings, self.label)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list looked up by id, by name (case and spacing ignored) or by code (the first row that has it)."""

    rows: Mapping[str, Listed]
    names: Mapping[str, str]
    codes: Mapping[Key, str]

    def named(self, name: str) -> Listed | None:
        return self.rows.get(self.names.get(squeezed(name), ""))

    def of(self, concept: Concept) -> Listed | None:
        """The row a concept means, by its text or else by one of its codes."""
        by_name = self.named(concept.text) if concept.text else None
        by_code = (self.codes[key] for c in concept.codings if (key := (c.system, c.code)) in self.codes)
        return by_name or self.rows.get(next(by_code, ""))


@dataclass(frozen=True, slots=True)
class DiagnosisRules:
    """What is known about diagnosis codes: sides they state, headings, and those that require chronic pain."""

    sides: Mapping[Key, str]
    headings: Mapping[Key, str]
    chronic: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """systems: name used in content files -> URI.  displays: our display of a code.  complete: code systems we know
    whole, with their codes.  sides: laterality -> coding.  facts: context key -> how it is read."""

    instruments: Mapping[str, Instrument]
    systems: Mapping[str, str]
    displays: Mapping[Key, str]
    complete: Mapping[str, frozenset[str]]
    sites: frozenset[Key]
    sides: Mapping[str, Coding]
    drugs: Listing
    therapies: Listing
    routes: Listing
    measures: Listing
    diagnoses: DiagnosisRules
    facts: Mapping[str, Mapping[str, Any]]
    topical: tuple[tuple[str, tuple[str, ...]], ...]

    def own(self, system: str, code: str) -> Coding:
        """A concept of one of our code systems, e.g. own("np-grade", "definite")."""
        uri = self.systems[system]
        return Coding(uri, code, self.displays[uri, code])

    def codes(self, system: str) -> frozenset[str]:
        """All codes of one of our code systems."""
        return self.complete[self.systems[system]]


@cache
def load_content() -> Content:
    """The content of this package. Raises where a file is malformed: the service must not start then."""
    words = toml_files("vocabulary")
    own = [one for one in json_files("terminology").values() if one["resourceType"] == "CodeSystem"]
    systems = words["systems"]["system"] | {one["id"]: canonical("CodeSystem", one["id"]) for one in own}
    lists = {name: _listing(rows, systems) for name, rows in _rows(words).items()}
    sites = [codings([row["coding"]], systems)[0] for row in words["body-sites"]["site"]]
    sides = {row["id"]: codings([row["coding"]], systems)[0] for row in words["laterality"]["side"]}
    diagnoses = codings(words["diagnoses"]["diagnosis"], systems)
    listed = [c for one in lists.values() for row in one.rows.values() for c in (*row.codings, *row.also)]
    displays = {(c.system, c.code): c.display or c.code for c in (*diagnoses, *listed, *sides.values(), *sites)}
    displays |= {(one["url"], row["code"]): row["display"] for one in own for row in one["concept"]}
    return Content(
        instruments={name: instrument(file, systems) for name, file in toml_files("instruments").items()},
        systems=systems,
        displays=displays,
        complete={one["url"]: frozenset(row["code"] for row in one["concept"]) for one in own},
        sites=frozenset((site.system, site.code) for site in sites),
        sides=sides,
        diagnoses=_diagnosis_rules(words["diagnoses"], systems),
        facts=words["plan-context"]["fact"],
        topical=tuple((row["id"], tuple(row["keywords"])) for row in words["topical-sites"]["kind"]),
        **lists,
    )


def _rows(words: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    return {
        "drugs": words["drugs"]["drug"],
        "therapies": words["therapies"]["therapy"],
        "routes": words["routes"]["route"],
        "measures": words["goals"]["measure"],
    }


def _listing(rows: Iterable[Mapping[str, Any]], systems: Mapping[str, str]) -> Listing:
    found: dict[str, Listed] = {}
    names: dict[str, str] = {}
    codes: dict[Key, str] = {}
    for row in rows:
        label = row.get("name") or row["label"]
        also = codings([*row.get("also", []), *row.get("related", [])], systems)
        kind = row.get("class") or row.get("tier") or row.get("unit", "")
        one = Listed(row["id"], label, kind, codings(row["codings"], systems), also)
        found[one.id] = one
        for name in (one.id, label, *row.get("names", [])):
            names.setdefault(squeezed(name), one.id)
        for coding in (*one.codings, *also):
            codes.setdefault((coding.system, coding.code), one.id)
    return Listing(found, names, codes)


def _diagnosis_rules(file: Mapping[str, Any], systems: Mapping[str, str]) -> DiagnosisRules:
    rows = file["diagnosis"]
    return DiagnosisRules(
        sides={(systems[r["system"]], r["code"]): r["laterality"] for r in rows if "laterality" in r},
        headings={(systems[r["system"]], r["code"]): r["instead"] for r in file["header"]},
        chronic=tuple((systems[r["system"]], r["prefix"], r["months"]) for r in file["chronic"]),
    )
