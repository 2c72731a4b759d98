"""Everything the clinic's ideas need to know from the content files, parsed once at start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.pain.concepts import Coding, Concept, Key
from app.pain.instruments import Instrument, codings, instrument
from app.pain.reading import squeezed
from app.profiles import canonical, json_files, toml_files

# What the codes of a list are, in the words of a refusal.
_KINDS = {"drugs": "medicine", "therapies": "procedure", "routes": "route", "measures": "observation"}
_THERAPIES = "np-therapy"


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
    """A list looked up by code or by name (id, label or spelling; case and spacing ignored).

    codes: every row that has a code, in the order of the list.  narrower: names that say more than their row.
    """

    rows: Mapping[str, Listed]
    names: Mapping[str, str]
    narrower: frozenset[str]
    codes: Mapping[Key, tuple[str, ...]]

    def named(self, name: str) -> Listed | None:
        return self.rows.get(self.names.get(squeezed(name), ""))

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


@dataclass(frozen=True, slots=True)
class DiagnosisRules:
    """What is known about diagnoses.

    listed: codes known as diagnoses.  sides: those they state.  headings: code -> what to use instead.
    chronic: (system, prefix, months).  neuropathic, other_pain: (system, prefix) of codes that say that their pain
    is neuropathic, or is not.  implausible: distributions that follow no nerve, root or tract.
    """

    listed: frozenset[Key]
    sides: Mapping[Key, str]
    headings: Mapping[Key, str]
    chronic: tuple[tuple[str, str, int], ...]
    neuropathic: tuple[tuple[str, str], ...]
    other_pain: tuple[tuple[str, str], ...]
    implausible: frozenset[str]


@dataclass(frozen=True, slots=True)
class Content:
    """systems: name used in content files -> URI.  displays: our display of a code.  complete: code systems we know
    whole, with their codes.  kinds: what a code is, e.g. "diagnosis"; whole: what all codes of a system are.
    sides: laterality -> coding.  facts: context key -> how it is read."""

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

    def kind_of(self, coding: Coding) -> str | None:
        """What a code names, where that is known: "diagnosis", "medicine", "procedure", "body site", …"""
        return self.kinds.get(coding.key) or self.whole.get(coding.system)


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
    instruments = {name: instrument(file, systems) for name, file in toml_files("instruments").items()}
    others = {row["kind"]: codings(row["codes"], systems) for row in words["others"]["other"]}
    known = (*(c for row in others.values() for c in row), *diagnoses, *listed, *sides.values(), *sites)
    displays = {c.key: c.display or c.code for c in known}
    displays |= {(one["url"], row["code"]): row["display"] for one in own for row in one["concept"]}
    return Content(
        instruments=instruments,
        systems=systems,
        displays=displays,
        complete={one["url"]: frozenset(row["code"] for row in one["concept"]) for one in own},
        kinds=_kinds(others, own, lists, {"body site": sites, "side": sides.values(), "diagnosis": diagnoses}),
        whole={systems[name]: kind for name, kind in words["others"]["whole"].items()},
        sites=frozenset(site.key for site in sites),
        sides=sides,
        diagnoses=_diagnosis_rules(words["diagnoses"], systems),
        facts=words["plan-context"]["fact"],
        topical=tuple((row["id"], tuple(row["keywords"])) for row in words["topical-sites"]["kind"]),
        **lists,
    )


def _kinds(
    others: Mapping[str, Iterable[Coding]],
    own: Iterable[Mapping[str, Any]],
    lists: Mapping[str, "Listing"],
    rest: Mapping[str, Iterable[Coding]],
) -> dict[Key, str]:
    """What every listed code is. A concept of ours is no diagnosis, medicine or site; a therapy is a procedure."""
    found = {(one["url"], row["code"]): "concept of this service" for one in own for row in one["concept"]}
    found |= dict(_listed_kinds(lists))
    found |= {coding.key: kind for kind, codes in (*others.items(), *rest.items()) for coding in codes}
    therapies = next(one["url"] for one in own if one["id"] == _THERAPIES)
    return found | {(therapies, name): "procedure" for name in lists["therapies"].rows}


def _listed_kinds(lists: Mapping[str, "Listing"]) -> Iterable[tuple[Key, str]]:
    for name, kind in _KINDS.items():
        for key in lists[name].codes:
            yield key, kind


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
    narrower: set[str] = set()
    codes: dict[Key, tuple[str, ...]] = {}
    for row in rows:
        label = row.get("name") or row["label"]
        also = codings([*row.get("also", []), *row.get("related", [])], systems)
        kind = row.get("class") or row.get("tier") or row.get("unit", "")
        one = Listed(row["id"], label, kind, codings(row["codings"], systems), also)
        found[one.id] = one
        more = row.get("narrower", [])
        narrower |= {squeezed(name) for name in more}
        for name in (one.id, label, *row.get("names", []), *more):
            names.setdefault(squeezed(name), one.id)
        for coding in (*one.codings, *also):
            codes[coding.key] = (*codes.get(coding.key, ()), one.id)
    return Listing(found, names, frozenset(narrower), codes)


def _diagnosis_rules(file: Mapping[str, Any], systems: Mapping[str, str]) -> DiagnosisRules:
    rows = file["diagnosis"]
    return DiagnosisRules(
        listed=frozenset((systems[r["system"]], r["code"]) for r in rows),
        sides={(systems[r["system"]], r["code"]): r["laterality"] for r in rows if "laterality" in r},
        headings={(systems[r["system"]], r["code"]): r["instead"] for r in file["header"]},
        chronic=tuple((systems[r["system"]], r["prefix"], r["months"]) for r in file["chronic"]),
        neuropathic=tuple((systems[r["system"]], r["prefix"]) for r in file["neuropathic"]),
        other_pain=tuple((systems[r["system"]], r["prefix"]) for r in file["other-pain"]),
        implausible=frozenset(file["implausible"]),
    )
