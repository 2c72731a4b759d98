"""Our concept maps, made from the content files: diagnoses there and back, medicines, and our own codes."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from app.profiles import canonical, package, toml_files
from app.terminology.own_concepts import own_concepts

ConceptMap = Mapping[str, Any]
Coded = tuple[str, str]  # name of a system as in systems.toml, code

# How a target stands to its source, and how the source then stands to the target (R4 concept-map-equivalence).
REVERSED = {"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}
SIDE = canonical("StructureDefinition", "laterality")
_ICD_11 = "icd-11"
# R4 asks for a comment with these (cmd-1).
_COMMENTS = {
    "narrower": "The target says more than the source.",
    "inexact": "Each says something that the other does not.",
}
_DIAGNOSES = (
    "SNOMED CT Global Patient Set (c) SNOMED International, CC BY 4.0. ICD-10 and ICD-11 (c) World Health Organization "
    "(ICD-11: CC BY-ND 3.0 IGO). ICD-10-CM: public domain. The rest: Apache-2.0."
)
_MEDICINES = (
    "RxNorm: courtesy of the U.S. National Library of Medicine. ATC: (c) WHO Collaborating Centre for Drug Statistics "
    "Methodology. The rest: Apache-2.0."
)
_OWN = (
    "SNOMED CT Global Patient Set (c) SNOMED International, CC BY 4.0. LOINC (c) Regenstrief Institute, Inc., used "
    "under the licence at https://loinc.org/license. The rest: Apache-2.0."
)
# Our code systems whose concepts the content files list with codes of others: file, table, name of the id.
_LISTS = (
    ("np-therapy", "therapies", "therapy"),
    ("np-route", "routes", "route"),
    ("np-goal-measure", "goals", "measure"),
    ("np-order", "orders", "order"),
    ("np-device", "devices", "device"),
)


class Row(NamedTuple):
    """One translation. target: None where there is none; side: the laterality it holds for, "" for any; others:
    codes that are given together with the target, or that the target says besides what the source says."""

    source: Coded
    target: Coded | None
    equivalence: str
    side: str = ""
    others: tuple[tuple[str, Coded], ...] = ()
    comment: str = ""


@cache
def _words() -> Mapping[str, Any]:
    return toml_files("vocabulary")


@cache
def own_maps(*, icd_11: bool = True) -> tuple[ConceptMap, ...]:
    """Every map of this service. icd_11: whether those with codes of ICD-11 are among them."""
    kept = [one for one in _words()["code-maps"]["map"] if icd_11 or one["target"] != _ICD_11]
    return (*(made for one in kept for made in _both_ways(one)), _medicines(), _own_codes())


def _both_ways(one: Mapping[str, Any]) -> Iterator[ConceptMap]:
    file = _words()["code-maps"]
    rows = [_row(each, one) for each in file["row"] if each["map"] == one["id"]]
    yield _map(one["id"], one["title"], "How SNOMED CT codes of pain, its causes and signs are classified.", rows)
    back = one["reversed"]
    yield _map(back["id"], back["title"], "What a classification's code of pain says in SNOMED CT.", _turned(rows))


def _row(each: Mapping[str, Any], one: Mapping[str, Any]) -> Row:
    return Row(
        (one["source"], each["from"]),
        (one["target"], each["to"]) if "to" in each else None,
        each["is"],
        each.get("side", ""),
        tuple((_url(one["target"]), (one["target"], code)) for code in each.get("with", ())),
        each.get("comment", ""),
    )


def _turned(rows: Iterable[Row]) -> list[Row]:
    """The rows the other way. A code of one side is narrower than what has no side: the side is told as a product."""
    turned = []
    for row in rows:
        if row.target is not None:
            equivalence = "wider" if row.side else REVERSED.get(row.equivalence, row.equivalence)
            others = ((SIDE, _side(row.side)),) if row.side else ()
            turned.append(Row(row.target, row.source, equivalence, "", others, row.comment))
    return turned


def _side(name: str) -> Coded:
    row = next(one for one in _words()["laterality"]["side"] if one["id"] == name)
    return row["coding"]["system"], row["coding"]["code"]


def _medicines() -> ConceptMap:
    """A drug has one ingredient in RxNorm, and in ATC a code for each use: the two are related, not the same."""
    rows: dict[Row, None] = {}
    for drug in _words()["drugs"]["drug"]:
        codes = [(each["system"], each["code"]) for each in drug.get("codings", ())]
        pairs = ((one, other) for one in codes for other in codes if (one[0], other[0]) == ("rxnorm", "atc"))
        rows |= dict.fromkeys(Row(one, other, "relatedto") for one, other in pairs)
    title = "Medicines for neuropathic pain, from RxNorm to ATC"
    return _map(
        "np-medicines", title, "The RxNorm and ATC codes this service writes for one medicine.", rows, _MEDICINES
    )


def _own_codes() -> ConceptMap:
    """What we write for one of our own concepts means the same as it."""
    words = _words()
    rows = [
        Row((system, row["id"]), (each["system"], each["code"]), "equivalent")
        for system, file, table in _LISTS
        for row in words[file][table]
        for each in row.get("codings", ())
    ]
    rows += [Row((o.system, o.code), (o.other["system"], o.other["code"]), o.equivalence) for o in own_concepts()]
    title = "Concepts of this service, to SNOMED CT and LOINC"
    return _map("np-own-codes", title, "The codes this service writes beside its own.", rows, _OWN)


def _map(name: str, title: str, about: str, rows: Iterable[Row], rights: str = _DIAGNOSES) -> ConceptMap:
    groups: dict[tuple[str, str], dict[str, list[Row]]] = {}
    known = list(rows)
    targets = {row.source[0]: row.target[0] for row in known if row.target}
    for row in known:
        far = row.target[0] if row.target else targets[row.source[0]]
        groups.setdefault((row.source[0], far), {}).setdefault(row.source[1], []).append(row)
    return {
        "resourceType": "ConceptMap",
        "id": name,
        "url": canonical("ConceptMap", name),
        "version": package()["version"],
        "name": "".join(word.capitalize() for word in name.split("-")),
        "title": title,
        "status": "draft",
        "experimental": False,
        "date": _words()["code-maps"]["version"],
        "publisher": "Dermatome",
        "description": about,
        "copyright": rights,
        "group": [
            {"source": _url(near), "target": _url(far), "element": [_element(near, *each) for each in elements.items()]}
            for (near, far), elements in groups.items()
        ],
    }


def _element(system: str, code: str, rows: Iterable[Row]) -> dict[str, Any]:
    return _named((system, code)) | {"target": [_target(row) for row in rows]}


def _target(row: Row) -> dict[str, Any]:
    made: dict[str, Any] = (_named(row.target) if row.target else {}) | {"equivalence": row.equivalence}
    if comment := row.comment or _COMMENTS.get(row.equivalence):
        made["comment"] = comment
    if row.side:
        made["dependsOn"] = [_other(SIDE, _side(row.side))]
    if row.others:
        made["product"] = [_other(*each) for each in row.others]
    return made


def _other(said_by: str, coded: Coded) -> dict[str, str]:
    """What a translation depends on, or gives besides. said_by: the definition of the element that holds it."""
    named = _named(coded)
    return {"property": said_by, "system": _url(coded[0]), "value": named["code"], "display": named["display"]}


def _named(coded: Coded) -> dict[str, str]:
    return {"code": coded[1], "display": _displays()[coded]}


@cache
def _displays() -> Mapping[Coded, str]:
    """The display of every code that stands in a content file, by the name of its system."""
    words = _words()
    listed = {name: words[file][table] for name, file, table in _LISTS}
    rows = [*words["diagnoses"]["diagnosis"], *(side["coding"] for side in words["laterality"]["side"])]
    tables = [words["drugs"]["drug"], *listed.values()]
    rows += [each for table in tables for row in table for each in row.get("codings", ())]
    own = {(name, row["id"]): row["label"] for name, table in listed.items() for row in table}
    own |= {(one.system, one.code): one.display for one in own_concepts()}
    rows += [dict(one.other) for one in own_concepts()]
    return own | {(one["system"], one["code"]): one["display"] for one in rows}


def _url(system: str) -> str:
    return str(_words()["systems"]["system"].get(system) or canonical("CodeSystem", system))
