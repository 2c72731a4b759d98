"""What is known about diagnoses: sides, headings, durations, what is neuropathic by definition, and translations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.pain.concepts import Coding, Key

Prefixes = tuple[tuple[str, str], ...]  # system URI, what its codes begin with
_TURNED = {"wider": "narrower", "narrower": "wider"}
_CERTAIN = ("equal", "equivalent")
# Characters of the shortest code of ICD-10-CM, a category.
_CATEGORY = 3


@dataclass(frozen=True, slots=True)
class Translation:
    """One row of the code maps, in one of its two directions.

    side: the laterality it holds for.  others: codes that are given together with the target.  is_added: whether it
    is certain, so that the target is written beside the source.
    """

    source: Key
    target: Key
    equivalence: str
    side: str | None
    others: tuple[str, ...]
    is_added: bool


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Codes (prefix) that are not given together with others, and what is given instead."""

    system: str
    prefix: str
    others: tuple[str, ...]
    instead: str


@dataclass(frozen=True, slots=True)
class DiagnosisRules:
    """listed: codes known as diagnoses.  sides: those they state.  headings: code -> what to use instead.
    above: code that has listed ones below it -> the first of them.
    absent: codes a system does not have.  chronic: (system, prefix, months).  neuropathic: codes that say that their
    pain is neuropathic; other_pain, other_pain_codes: that it is not; any_type: that leave it open, and what to ask.
    implausible: distributions that follow no nerve, root or tract.  secondary: codes that come after the code of the
    cause, but for `sequels`.  translated: codes that a translation may have added.  levels: dermatomes.  with_levels,
    with_nerves: distributions they say more of."""

    listed: frozenset[Key]
    sides: Mapping[Key, str]
    headings: Mapping[Key, str]
    above: Mapping[Key, str]
    absent: Prefixes
    chronic: tuple[tuple[str, str, int], ...]
    neuropathic: Prefixes
    other_pain: Prefixes
    other_pain_codes: frozenset[Key]
    any_type: Mapping[Key, str]
    implausible: frozenset[str]
    excludes: tuple[Exclusion, ...]
    secondary: Prefixes
    sequels: Prefixes
    translations: tuple[Translation, ...]
    translated: frozenset[Key]
    levels: tuple[str, ...]
    with_levels: tuple[str, ...]
    with_nerves: tuple[str, ...]

    def is_other_pain(self, codings: Iterable[Coding]) -> bool:
        """Whether a code names a pain that is not neuropathic by definition."""
        return any(self.is_other_pain_code(coding) for coding in codings)

    def is_other_pain_code(self, coding: Coding) -> bool:
        return coding.key in self.other_pain_codes or begins(coding.key, self.other_pain)


def begins(key: Key, prefixes: Prefixes) -> bool:
    """Whether a code is one of those, or below one of them."""
    return any(key[0] == system and key[1].startswith(prefix) for system, prefix in prefixes)


def diagnosis_rules(words: Mapping[str, Any], systems: Mapping[str, str], *, icd_11: bool) -> DiagnosisRules:
    """The rules from the files of app/profiles/vocabulary. icd_11: whether codes of ICD-11 are written by us."""
    file, odds, profile = words["diagnoses"], words["code-conflicts"], words["sensory-profiles"]
    rows = file["diagnosis"]
    return DiagnosisRules(
        listed=frozenset(_key(row, systems) for row in rows),
        sides={_key(row, systems): row["laterality"] for row in rows if "laterality" in row},
        headings={_key(row, systems): row["instead"] for row in file["header"]},
        above=dict(_above(rows, systems)),
        absent=_prefixes(file["absent"], systems),
        chronic=tuple((systems[row["system"]], row["prefix"], row["months"]) for row in file["chronic"]),
        neuropathic=_prefixes(file["neuropathic"], systems),
        other_pain=_prefixes(file["other-pain"], systems),
        other_pain_codes=frozenset(_key(row, systems) for row in file["other-pain"] if "code" in row),
        any_type={_key(row, systems): row["ask"] for row in file["any-type"]},
        implausible=frozenset(file["implausible"]),
        excludes=tuple(
            Exclusion(systems[row["system"]], row["prefix"], tuple(row["with"]), row["instead"])
            for row in odds["excludes"]
        ),
        secondary=_prefixes(odds["secondary"], systems),
        sequels=_prefixes(odds["sequel"], systems),
        translations=tuple(_translations(words["code-maps"], systems, icd_11)),
        translated=frozenset(row.target for row in _translations(words["code-maps"], systems, True) if row.is_added),
        levels=_levels(profile["levels"]),
        with_levels=tuple(profile["levels"]["in"]),
        with_nerves=tuple(profile["nerves"]["in"]),
    )


def _above(rows: Iterable[Mapping[str, Any]], systems: Mapping[str, str]) -> Iterable[tuple[Key, str]]:
    """The codes of ICD-10-CM above those listed: only a code with nothing below it can be assigned."""
    listed = sorted((row["code"] for row in rows if row["system"] == "icd-10-cm"), reverse=True)
    for code in listed:
        for end in range(_CATEGORY, len(code)):
            yield (systems["icd-10-cm"], code[:end].rstrip(".")), code


def _levels(regions: Mapping[str, Any]) -> tuple[str, ...]:
    """Every dermatome, from the neck down."""
    ranges = ((name, range(span[0], span[1] + 1)) for name, span in regions.items() if name != "in")
    return tuple(f"{name}{number}" for name, numbers in ranges for number in numbers)


def _translations(file: Mapping[str, Any], systems: Mapping[str, str], icd_11: bool) -> Iterable[Translation]:
    maps = {one["id"]: one for one in file["map"] if icd_11 or one["target"] != "icd-11"}
    for row in file["row"]:
        if row["map"] not in maps or "to" not in row:
            continue
        one = maps[row["map"]]
        source, target = (systems[one["source"]], row["from"]), (systems[one["target"]], row["to"])
        side, others, equivalence = row.get("side"), tuple(row.get("with", ())), row["is"]
        is_certain = equivalence in _CERTAIN and not others and not row.get("heading")
        yield Translation(source, target, equivalence, side, others, is_certain and one["added"])
        turned = "wider" if side else _TURNED.get(equivalence, equivalence)
        yield Translation(target, source, turned, None, (), is_certain and side is None)


def _prefixes(rows: Iterable[Mapping[str, Any]], systems: Mapping[str, str]) -> Prefixes:
    return tuple((systems[row["system"]], row["prefix"]) for row in rows if "prefix" in row)


def _key(row: Mapping[str, Any], systems: Mapping[str, str]) -> Key:
    return systems[row["system"]], row["code"]
