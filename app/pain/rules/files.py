"""Reads the files of app/profiles/guidelines into Guidelines.

A malformed file, or a name that stands nowhere, raises ValueError saying where: the service must not start then.
"""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from app.pain.concepts import Key
from app.pain.diagnoses.grading import GRADES
from app.pain.plans.lists import PLANNED
from app.pain.rules.case import Catalogue, Edition, Group, WordList
from app.pain.rules.classes import medicine_classes, pharmacy
from app.pain.rules.guidelines import Case, Guidelines, More, Rule
from app.pain.rules.language import condition
from app.pain.rules.leaves import ANY, Names
from app.pain.rules.limits import Band, Factor, MorphineEquivalents, RenalTable, doses_within
from app.pain.rules.medicines import MedicineClass
from app.pain.rules.results import Severity
from app.pain.topical import SiteKind

if TYPE_CHECKING:
    from app.pain.content import Listing

_SEVERITIES: tuple[Severity, ...] = ("block", "warn", "info")
_GROUP_KEYS = {"label", "codings", "prefixes", "except-prefixes", "words", "except-words", "listed"}
_GROUP_KEYS |= {"unsaid", "unsaid-prefixes", "unsaid-words", "unsaid-listed", "asks"}
_RULE_KEYS = {"id", "title", "trigger", "citation", "year", "reread", "case", "more"}


def guidelines(
    files: Mapping[str, Any], vocabulary: Mapping[str, Any], systems: Mapping[str, str], lists: Mapping[str, "Listing"]
) -> Guidelines:
    """The guideline content of app/profiles/guidelines, with what it needs of the vocabulary."""
    drugs = lists["drugs"]
    catalogue = Catalogue({systems[name]: lists[kind] for name, kind in PLANNED.items() if name in systems})
    classes = medicine_classes(files["medicine-classes"]["class"], systems, drugs)
    facts = vocabulary["plan-context"]["fact"]
    denials = tuple(files["conditions"]["negations"])
    groups = {
        kind: {name: _group(row, systems, denials) for name, row in files[file][kind].items()}
        for kind, file in (("condition", "conditions"), ("procedure", "procedures"), ("device", "procedures"))
    }
    kinds = tuple(_site_kind(row, systems) for row in vocabulary["topical-sites"]["kind"])
    words = _word_lists(files["words"])
    editions = {row["id"]: _edition(row) for row in files["editions"]["edition"]}
    names = Names(
        {
            "class": {ANY, *classes},
            "condition": groups["condition"],
            "procedure": groups["procedure"],
            "device": groups["device"],
            "fact": facts,
            "list of words": words,
            "kind of site": {kind.id for kind in kinds},
            "route": lists["routes"].rows,
            "use": ("current", "proposed", "past"),
            "grade": GRADES,
            "sex": ("male", "female"),
            "part of a plan": ("non-drug", "goal", "review"),
            "line": {line for one in editions.values() for line in one.lines},
        }
    )
    found = Guidelines(
        rules=tuple(_rule(row, names) for row in _rule_rows(files)),
        classes=classes,
        pharmacy=pharmacy(drugs, systems["atc"], classes),
        conditions=groups["condition"],
        procedures=groups["procedure"],
        devices=groups["device"],
        words=words,
        site_kinds=kinds,
        catalogue=catalogue,
        implied={key: row["implied_by"] for key, row in facts.items() if "implied_by" in row},
        never={key: (row["never_from"], row["never_because"]) for key, row in facts.items() if "never_from" in row},
        editions=editions,
        renal={row["jurisdiction"]: _renal(row) for row in files["renal"]["table"]},
        morphine=_morphine(files["morphine-equivalents"], classes),
    )
    _check(found, drugs, {name for kind in PLANNED.values() for name in lists[kind].rows})
    return found


def _check(found: Guidelines, drugs: "Listing", listed: Collection[str]) -> None:
    """What the parts say of each other holds."""
    ids = [rule.id for rule in found.rules]
    editions = found.editions.values()
    renal = {drug for table in found.renal.values() for drug in table.drugs}
    planned = {
        name
        for group in (*found.procedures.values(), *found.devices.values())
        for name in group.listed | group.unsaid_listed
    }
    known = {*drugs.rows, *found.pharmacy.names.values()}
    stray = {
        "second rule": {name for name in ids if ids.count(name) > 1},
        "class": {name for one in editions for names in one.lines.values() for name in names} - set(found.classes),
        "drug": {*found.morphine.uncounted, *found.morphine.factors, *renal} - known,
        "therapy, order or device": (planned | {name for one in editions for name in one.therapies}) - set(listed),
        "condition": set(found.implied.values()) - set(found.conditions),
    }
    problems = [f"unknown {kind} {name!r}" for kind, names in stray.items() for name in sorted(names)]
    problems += [] if doses_within(found.renal.values()) else ["renal: bands do not run from the highest down to 0"]
    if problems:
        raise ValueError(f"guidelines: {'; '.join(problems)}")


def _rule_rows(files: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = [row for name, file in files.items() if name.startswith("rules-") for row in file["rule"]]
    return sorted(rows, key=lambda row: str(row["id"]))


def _rule(row: Mapping[str, Any], names: Names) -> Rule:
    place = f"guidelines: rule {row.get('id')}"
    if set(row) - _RULE_KEYS or not _RULE_KEYS - {"more"} <= set(row):
        raise ValueError(f"{place}: expected {', '.join(sorted(_RULE_KEYS))}; only more may be left out")
    cases = [_case(one, names, f"{place}.case[{index}]") for index, one in enumerate(row["case"])]
    if [one.severity for one in cases] != sorted((one.severity for one in cases), key=_SEVERITIES.index):
        raise ValueError(f"{place}: the gravest case stands first")
    return Rule(
        id=row["id"],
        title=row["title"],
        trigger=row["trigger"],
        citation=row["citation"] + ("" if row["reread"] else "; stated from the publication, not re-read"),
        year=row["year"],
        cases=tuple(cases),
        more=tuple(More(one["message"], condition(one["when"], names, f"{place}.more")) for one in row.get("more", ())),
    )


def _case(row: Mapping[str, Any], names: Names, place: str) -> Case:
    if set(row) != {"severity", "message", "when"} or row["severity"] not in _SEVERITIES:
        raise ValueError(f"{place}: expected severity ({', '.join(_SEVERITIES)}), message and when")
    return Case(row["severity"], row["message"], condition(row["when"], names, f"{place}.when"))


def _group(row: Mapping[str, Any], systems: Mapping[str, str], negations: tuple[str, ...]) -> Group:
    strange = sorted(set(row) - _GROUP_KEYS)
    if strange:
        raise ValueError(f"guidelines: {row.get('label')}: unknown option {', '.join(strange)}")
    left_open = [*row.get("unsaid-prefixes", ()), *({**one, "prefix": one["code"]} for one in row.get("unsaid", ()))]
    return Group(
        label=row["label"],
        keys=_keys(row.get("codings", ()), systems),
        prefixes=_prefixes(row.get("prefixes", ()), systems),
        except_prefixes=_prefixes(row.get("except-prefixes", ()), systems),
        words=tuple(row.get("words", ())),
        except_words=tuple(row.get("except-words", ())),
        negations=negations,
        unsaid=_prefixes(left_open, systems),
        unsaid_words=tuple(row.get("unsaid-words", ())),
        unsaid_listed=frozenset(row.get("unsaid-listed", ())),
        asks=row.get("asks", "type"),
        listed=frozenset(row.get("listed", ())),
    )


def _prefixes(rows: Iterable[Mapping[str, str]], systems: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        system = systems[row["system"]]
        found[system] = (*found.get(system, ()), row["prefix"].replace(".", ""))
    return found


def _word_lists(file: Mapping[str, Any]) -> dict[str, WordList]:
    denied = tuple(file["negations"])
    return {name: WordList(tuple(row["named"]), tuple(row["others"]), denied) for name, row in file["list"].items()}


def _keys(rows: Iterable[Mapping[str, str]], systems: Mapping[str, str]) -> frozenset[Key]:
    return frozenset((systems[row["system"]], row["code"]) for row in rows)


def _site_kind(row: Mapping[str, Any], systems: Mapping[str, str]) -> SiteKind:
    return SiteKind(row["id"], tuple(row["keywords"]), _keys(row.get("codings", ()), systems))


def _edition(row: Mapping[str, Any]) -> Edition:
    rows = row["line"]
    names = [one["line"] for one in rows]
    strange = {key for one in rows for key in one} - {"line", "medicines", "therapies", "note"}
    if strange or len(names) != len(set(names)):
        raise ValueError(f"guidelines: edition {row['id']}: a line stands once, with medicines, therapies and a note")
    return Edition(
        id=row["id"],
        title=row["title"],
        year=row["year"],
        citation=row["citation"],
        lines={one["line"]: tuple(one.get("medicines", ())) for one in rows},
        therapies={name: one["line"] for one in rows for name in one.get("therapies", ())},
        notes={one["line"]: one["note"] for one in rows if "note" in one},
    )


def _renal(row: Mapping[str, Any]) -> RenalTable:
    drugs = {name: tuple(_band(band) for band in bands) for name, bands in row["drug"].items()}
    return RenalTable(row["jurisdiction"], row["label"], drugs)


def _band(row: Mapping[str, Any]) -> Band:
    scaled = row.get("scaled-at")
    return Band(Decimal(row["from"]), Decimal(row["most"]), None if scaled is None else Decimal(scaled))


def _morphine(file: Mapping[str, Any], classes: Mapping[str, MedicineClass]) -> MorphineEquivalents:
    factors = {row["drug"]: _factor(row) for row in file["factor"]}
    return MorphineEquivalents(file["year"], classes[file["class"]], factors, frozenset(file["uncounted"]))


def _factor(row: Mapping[str, Any]) -> Factor:
    units, days = row.get("units-per-mg", (1, 1))
    return Factor(Decimal(row["factor"]) * units / days, frozenset(row["routes"]), row["assumed"])
