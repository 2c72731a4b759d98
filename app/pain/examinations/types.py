"""Examinations as their content files describe them: parameters, units, findings, and what qualifies a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.pain.concepts import Coding, Concept, Key
from app.pain.instruments.types import codings

Number = int | Decimal


@dataclass(frozen=True, slots=True)
class Qualifier:
    """What may be said with a result, e.g. by which stimulus.

    place: where it stands in the Observation: component, extension or method.  answers: id -> concept, ours last.
    is_open: whether words are taken where there is no answer.  of_present: whether only what is there has it.
    codings: further codes of the component.
    """

    name: str
    label: str
    place: str
    system: str
    answers: Mapping[str, Concept]
    is_open: bool
    of_present: bool
    codings: tuple[Coding, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A result in words.  means: the interpretation that follows from it, "" where none does."""

    coding: Coding
    means: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing an examination tells.

    kind: presence, quantity, integer, coded or text.  coding: our own concept.  codings: others, written before it.
    units: accepted UCUM units, the one others are converted to first.  low, high: limits of the scale, never norms.
    findings: id -> codings, for a coded one.  needs: what must be said with it.  qualifiers: what may be.
    absent: the finding that stands for "absent", "" where that cannot be said.  z_limit: a z-score beyond it is
    abnormal; None where there are no z-scores.
    """

    key: str
    label: str
    kind: str
    coding: Coding
    codings: tuple[Coding, ...]
    profile: str
    category: str
    units: tuple[str, ...]
    low: Number | None
    high: Number | None
    list: str
    findings: Mapping[str, tuple[Coding, ...]]
    needs: tuple[str, ...]
    qualifiers: tuple[str, ...]
    method: tuple[Coding, ...]
    absent: str
    z_limit: Number | None

    @property
    def can_be_absent(self) -> bool:
        return self.kind == "presence" or bool(self.absent and self.units)


@dataclass(frozen=True, slots=True)
class ExaminationKind:
    """What exactly was examined.  coding: our own concept.  codings: of the report.  procedure: of the Procedure."""

    id: str
    label: str
    coding: Coding
    codings: tuple[Coding, ...]
    procedure: tuple[Coding, ...]


@dataclass(frozen=True, slots=True)
class SitedCoding:
    """A code that holds only where every result has this site and side; for any where they are None and ""."""

    coding: Coding
    site: Key | None
    laterality: str


@dataclass(frozen=True, slots=True)
class SkinTemperature:
    unit: str
    low: Number
    high: Number
    warn_below: Number


@dataclass(frozen=True, slots=True)
class ExaminationType:
    """An examination.

    category: of the report.  kinds: what may be examined.  present, absent: concepts of an Observation whose value is
    the parameter, where its kind is presence.  is_procedure: a Procedure is written as well; its codes are `procedure`,
    or with stated_procedure those the clinic sends.
    """

    id: str
    title: str
    version: str
    source: str
    licence: str
    category: str
    coding: Coding
    codings: tuple[Coding, ...]
    parameters: Mapping[str, Parameter]
    kinds: Mapping[str, ExaminationKind]
    present: Concept | None
    absent: Concept | None
    is_procedure: bool
    stated_procedure: bool
    procedure: tuple[SitedCoding, ...]
    has_images: bool
    skin_temperature: SkinTemperature | None


@dataclass(frozen=True, slots=True)
class Examinations:
    """Everything the content files say of examinations."""

    types: Mapping[str, ExaminationType]
    qualifiers: Mapping[str, Qualifier]
    findings: Mapping[str, Finding]


def examinations(
    files: Mapping[str, Mapping[str, Any]],
    words: Mapping[str, Any],
    systems: Mapping[str, str],
    displays: Mapping[Key, str],
) -> Examinations:
    """Every examination. words: the vocabulary files; systems: name -> URI; displays: of our own concepts."""
    listed, own = words["findings"], systems["np-finding"]
    findings = {
        row["id"]: Finding(Coding(own, row["id"], row["label"]), row.get("means", "")) for row in listed["finding"]
    }
    sites = {row["id"]: codings([row["coding"]], systems)[0].key for row in words["body-sites"]["site"]}
    return Examinations(
        types={name: _type(file, listed["list"], findings, sites, systems) for name, file in files.items()},
        qualifiers={
            name: _qualifier(name, row, systems, displays) for name, row in words["qualifiers"]["qualifier"].items()
        },
        findings=findings,
    )


def _qualifier(name: str, row: Mapping[str, Any], systems: Mapping[str, str], displays: Mapping[Key, str]) -> Qualifier:
    uri = systems[row["system"]]
    rows = {one["id"]: one for one in row.get("row", [])}
    known = row.get("options") or rows or [code for system, code in displays if system == uri]
    answers = {
        code: Concept(
            (*codings(rows.get(code, {}).get("codings", []), systems), Coding(uri, code, displays[uri, code])),
            displays[uri, code],
        )
        for code in known
    }
    others = codings(row.get("codings", []), systems)
    return Qualifier(
        name, row["label"], row["as"], uri, answers, row.get("open", False), row.get("of_present", False), others
    )


def _type(
    file: Mapping[str, Any],
    lists: Mapping[str, Any],
    findings: Mapping[str, Finding],
    sites: Mapping[str, Key],
    systems: Mapping[str, str],
) -> ExaminationType:
    procedure, presence = file.get("procedure"), file.get("presence", {})
    parameters = (_parameter(row, file, lists, findings, systems) for row in file["parameter"])
    return ExaminationType(
        id=file["id"],
        title=file["title"],
        version=file["version"],
        source=file["source"],
        licence=file["licence"],
        category=f"report-{file['category']}",
        coding=Coding(systems["np-test"], file["id"], file["title"]),
        codings=codings(file["codings"], systems),
        parameters={one.key: one for one in parameters},
        kinds={row["id"]: _kind(row, file, systems) for row in file.get("kind", [])},
        present=_presence(presence.get("present"), systems),
        absent=_presence(presence.get("absent"), systems),
        is_procedure=procedure is not None,
        stated_procedure=bool(procedure and procedure.get("stated")),
        procedure=tuple(_sited(row, sites, systems) for row in (procedure or {}).get("coding", [])),
        has_images=file.get("has_images", False),
        skin_temperature=SkinTemperature(**file["skin_temperature"]) if "skin_temperature" in file else None,
    )


def _parameter(
    row: Mapping[str, Any],
    file: Mapping[str, Any],
    lists: Mapping[str, Any],
    findings: Mapping[str, Finding],
    systems: Mapping[str, str],
) -> Parameter:
    meant = row.get("meant_by", {})
    is_number = row["kind"] in ("quantity", "integer")
    return Parameter(
        key=row["key"],
        label=row["label"],
        kind=row["kind"],
        coding=Coding(systems[file["system"]], row["key"], row["label"]),
        codings=codings(row.get("codings", []), systems),
        profile=row.get("profile", file["profile"]),
        category=row.get("observation_category", file["observation_category"]),
        units=tuple(row.get("units", [])),
        low=row.get("low"),
        high=row.get("high"),
        list=row.get("findings", ""),
        findings={
            one: (*codings(meant.get(one, []), systems), findings[one].coding)
            for one in lists.get(row.get("findings", ""), [])
        },
        needs=tuple(row.get("needs", [])),
        qualifiers=tuple(file["qualifiers"]),
        method=codings(row.get("method", []), systems),
        absent=file.get("absent", ""),
        z_limit=file.get("z_limit") if is_number else None,
    )


def _kind(row: Mapping[str, Any], file: Mapping[str, Any], systems: Mapping[str, str]) -> ExaminationKind:
    own = Coding(systems["np-test"], f"{file['id']}.{row['id']}", f"{file['title']}: {row['label'].lower()}")
    others = codings(row.get("codings", []), systems), codings(row.get("procedure", []), systems)
    return ExaminationKind(row["id"], row["label"], own, *others)


def _presence(row: Mapping[str, Any] | None, systems: Mapping[str, str]) -> Concept | None:
    if row is None:
        return None
    own = Coding(systems["np-test"], row["code"], row["label"])
    return Concept((*codings(row["codings"], systems), own), row["label"])


def _sited(row: Mapping[str, Any], sites: Mapping[str, Key], systems: Mapping[str, str]) -> SitedCoding:
    site = sites[row["site"]] if "site" in row else None
    return SitedCoding(codings([row], systems)[0], site, row.get("laterality", ""))
