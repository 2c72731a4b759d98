"""Everything the clinic's ideas need to know from the content files, parsed once at start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from app.pain.concepts import Coding, Concept, Key
from app.pain.diagnoses.rules import DiagnosisRules, diagnosis_rules
from app.pain.examinations.types import Examinations, examinations
from app.pain.instruments.types import Instrument, codings, instrument
from app.pain.plans.lists import PLANNED
from app.pain.reading import squeezed
from app.pain.rules.files import guidelines
from app.pain.rules.guidelines import Guidelines
from app.profiles import canonical, json_files, toml_files

# What the codes of a list are, in the words of a refusal.
_KINDS = {
    "drugs": "medicine",
    "therapies": "procedure",
    "orders": "procedure",
    "devices": "device",
    "routes": "route",
    "measures": "observation",
}
# Those whose concepts are what a diagnosis, or an outcome, may name.
_NAMED = {"np-symptom": "symptom", "np-nerve": "nerve"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a list: a drug, therapy, order, device, route or measure.

    codings: written for it.  also: further codes it is recognised by.  kind: class of a drug, tier of a therapy,
    unit of a measure.  row: everything the file says of it.
    """

    id: str
    label: str
    kind: str
    codings: tuple[Coding, ...]
    also: tuple[Coding, ...]
    row: Mapping[str, Any] = field(default_factory=dict)

    @property
    def concept(self) -> Concept:
        return Concept(self.codings, self.label)


@dataclass(frozen=True, slots=True)
class Listing:
    """A list looked up by code or by name (id, label or spelling; case and spacing ignored).

    codes: every row that has a code, in the order of the list.  narrower: names that say more than their row.
    """

    rows: Mapping[str, Listed]
    names: Mapping[str, str]
    narrower: frozenset[str]
    codes: Mapping[Key, tuple[str, ...]]

    def named(self, name: str) -> Listed | None:
        words = squeezed(name)
        return self.rows.get(self.names.get(words) or self.names.get(words.replace("-", ""), ""))

    def of(self, concept: Concept) -> Listed | None:
        """The row a concept means: by its codes first, among rows that share a code the one its text names."""
        by_name = self.named(concept.text) if concept.text else None
        by_code = self._coded(concept)
        return by_name if by_name in by_code or not by_code else by_code[0]

    def said(self, words: str) -> Concept:
        """What a name means: the row's codes and label, the words themselves where they say more than the label."""
        row = self.named(words)
        if row is None:
            return Concept((), words)
        return Concept(row.codings, words if squeezed(words) in self.narrower else row.label)

    def at_odds(self, concept: Concept) -> bool:
        """Whether a word of the concept (text or display) names another thing than its codes."""
        by_code = self._coded(concept)
        keys = {coding.key for row in by_code for coding in (*row.codings, *row.also)}
        words = [concept.text, *(coding.display for coding in concept.codings)]
        named = [row for one in words if one and (row := self.named(one))]
        return bool(by_code) and any(keys.isdisjoint(c.key for c in (*row.codings, *row.also)) for row in named)

    def _coded(self, concept: Concept) -> list[Listed]:
        return [self.rows[name] for coding in concept.codings for name in self.codes.get(coding.key, ())]


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """systems: name used in content files -> URI.  displays: our display of a code.  complete: code systems we know
    whole, with their codes.  kinds: what a code is, e.g. "diagnosis"; whole: what all codes of a system are.
    sides: laterality -> coding.  facts: context key -> how it is read.  dose_units: UCUM code -> row of
    dose-units.toml.  grading: grading-evidence.toml; refractory: refractory.toml.  icd_11:
    whether codes of ICD-11 are written.  dose_limits: drug -> mg per day.  outcomes: outcomes.toml."""

    instruments: Mapping[str, Instrument]
    systems: Mapping[str, str]
    displays: Mapping[Key, str]
    complete: Mapping[str, frozenset[str]]
    kinds: Mapping[Key, str]
    whole: Mapping[str, str]
    sites: frozenset[Key]
    sides: Mapping[str, Coding]
    drugs: Listing
    therapies: Listing
    orders: Listing
    devices: Listing
    routes: Listing
    measures: Listing
    diagnoses: DiagnosisRules
    grading: Mapping[str, Any]
    refractory: Mapping[str, Any]
    icd_11: bool
    facts: Mapping[str, Mapping[str, Any]]
    dose_units: Mapping[str, Mapping[str, Any]]
    dose_limits: Mapping[str, int]
    outcomes: Mapping[str, Any]
    examinations: Examinations
    guidelines: Guidelines

    def own(self, system: str, code: str) -> Coding:
        """A concept of one of our code systems, e.g. own("np-grade", "definite")."""
        uri = self.systems[system]
        return Coding(uri, code, self.displays[uri, code])

    def codes(self, system: str) -> frozenset[str]:
        """All codes of one of our code systems."""
        return self.complete[self.systems[system]]

    def kind_of(self, coding: Coding) -> str | None:
        """What a code names, where that is known: "diagnosis", "medicine", "procedure", "body site", …"""
        return self.kinds.get(coding.key) or self.whole.get(coding.system)


@cache
def load_content(*, icd_11: bool = True, instruments_off: frozenset[str] = frozenset()) -> Content:
    """The content of this package. Raises where a file is malformed: the service must not start then.

    icd_11: whether codes and displays of ICD-11 are written; those a client sends are kept as they are all the same.
    instruments_off: ids of instruments that are not offered.
    """
    words = toml_files("vocabulary")
    own = [one for one in json_files("terminology").values() if one["resourceType"] == "CodeSystem"]
    systems = words["systems"]["system"] | {one["id"]: canonical("CodeSystem", one["id"]) for one in own}
    lists = {name: _listing(rows, systems) for name, rows in _rows(words).items()}
    sites = [codings([row["coding"]], systems)[0] for row in words["body-sites"]["site"]]
    sides = {row["id"]: codings([row["coding"]], systems)[0] for row in words["laterality"]["side"]}
    diagnoses = codings(words["diagnoses"]["diagnosis"], systems)
    listed = [c for one in lists.values() for row in one.rows.values() for c in (*row.codings, *row.also)]
    files = {name: file for name, file in toml_files("instruments").items() if name not in instruments_off}
    instruments = {name: instrument(file, systems) for name, file in files.items()}
    others = {row["kind"]: codings(row["codes"], systems) for row in words["others"]["other"]}
    known = (*(c for row in others.values() for c in row), *diagnoses, *listed, *sides.values(), *sites)
    displays = {c.key: c.display or c.code for c in known}
    displays |= {(one["url"], row["code"]): row["display"] for one in own for row in one["concept"]}
    return Content(
        instruments=instruments,
        systems=systems,
        displays={key: display for key, display in displays.items() if icd_11 or key[0] != systems["icd-11"]},
        complete={one["url"]: frozenset(row["code"] for row in one["concept"]) for one in own},
        kinds=_kinds(others, own, lists, {"body site": sites, "side": sides.values(), "diagnosis": diagnoses}),
        whole={systems[name]: kind for name, kind in words["others"]["whole"].items()},
        sites=frozenset(site.key for site in sites),
        sides=sides,
        diagnoses=diagnosis_rules(words, systems, icd_11=icd_11),
        grading=words["grading-evidence"],
        refractory=words["refractory"],
        icd_11=icd_11,
        facts=words["plan-context"]["fact"],
        dose_units={row["ucum"]: row for row in words["dose-units"]["unit"]},
        dose_limits={row["drug"]: row["most"] for row in words["dose-limits"]["limit"]},
        outcomes=words["outcomes"],
        examinations=examinations(toml_files("examinations"), words, systems, displays),
        guidelines=guidelines(toml_files("guidelines"), words, systems, lists),
        **lists,
    )


def _kinds(
    others: Mapping[str, Iterable[Coding]],
    own: Iterable[Mapping[str, Any]],
    lists: Mapping[str, "Listing"],
    rest: Mapping[str, Iterable[Coding]],
) -> dict[Key, str]:
    """What every listed code is. A concept of ours is none of these, but for what a record may name."""
    found = {
        (one["url"], row["code"]): _NAMED.get(one["id"], "concept of this service")
        for one in own
        for row in one["concept"]
    }
    found |= dict(_listed_kinds(lists))
    found |= {coding.key: kind for kind, codes in (*others.items(), *rest.items()) for coding in codes}
    urls = {one["id"]: one["url"] for one in own}
    planned = {(urls[system], row): _KINDS[name] for system, name in PLANNED.items() for row in lists[name].rows}
    return found | planned


def _listed_kinds(lists: Mapping[str, "Listing"]) -> Iterable[tuple[Key, str]]:
    for name, kind in _KINDS.items():
        for key in lists[name].codes:
            yield key, kind


def _rows(words: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    return {
        "drugs": words["drugs"]["drug"],
        "therapies": words["therapies"]["therapy"],
        "orders": words["orders"]["order"],
        "devices": words["devices"]["device"],
        "routes": words["routes"]["route"],
        "measures": words["goals"]["measure"],
    }


def _listing(rows: Iterable[Mapping[str, Any]], systems: Mapping[str, str]) -> Listing:
    found: dict[str, Listed] = {}
    names: dict[str, str] = {}
    narrower: set[str] = set()
    codes: dict[Key, tuple[str, ...]] = {}
    for row in rows:
        label = row.get("name") or row["label"]
        also = codings([*row.get("also", []), *row.get("related", [])], systems)
        kind = row.get("class") or row.get("tier") or row.get("unit", "")
        one = Listed(row["id"], label, kind, codings(row["codings"], systems), also, row)
        found[one.id] = one
        more = row.get("narrower", [])
        narrower |= {squeezed(name) for name in more}
        for name in (one.id, label, *row.get("names", []), *more):
            names.setdefault(squeezed(name), one.id)
        for coding in (*one.codings, *also):
            codes[coding.key] = (*codes.get(coding.key, ()), one.id)
    for name, row_id in list(names.items()):
        # "root block" for root-block, where it means nothing else.
        names.setdefault(name.replace("-", ""), row_id)
    return Listing(found, names, frozenset(narrower), codes)
