"""Derives the code systems and value sets that follow from other content files, so that each fact has one home.

    python tools/derive_terminology.py

np-instrument and np-item follow from app/profiles/instruments, np-therapy, np-route, np-goal-measure,
np-body-site and np-laterality-value from app/profiles/vocabulary; every code system gets the value set of all
its codes. tests/pain/test_content_files.py fails when a derived file is out of date.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.profiles import FOLDER, canonical, json_files, toml_files

VERSION = "0.1.0"
DATE = "2026-11-01"
LICENCE = "Apache-2.0"
SNOMED_LICENCE = "Apache-2.0; SNOMED CT Global Patient Set (c) SNOMED International, CC BY 4.0"

# A grading system is no answered instrument and has no file; the clinic's decision table is app/pain/grading.py.
GRADING = ("neupsig-2016", "NeuPSIG grading system 2016", "Grading of neuropathic pain, Pain 2016;157:1599-1606.")

Concept = tuple[str, str, str]


def derived() -> dict[str, dict[str, Any]]:
    """Every derived definition, by file stem."""
    instruments = list(toml_files("instruments").values())
    words = toml_files("vocabulary")
    own = [
        _code_system("np-instrument", "Instruments and their scores", _instrument_concepts(instruments)),
        _code_system("np-item", "Items of instruments", _item_concepts(instruments)),
        _code_system("np-therapy", "Therapies", _labelled(words["therapies"]["therapy"], "Therapy")),
        _code_system("np-route", "Routes of administration", _labelled(words["routes"]["route"], "Route")),
        _code_system("np-goal-measure", "Measures of goals", _goal_concepts(words["goals"]["measure"])),
    ]
    written = [s for s in json_files("terminology").values() if s["resourceType"] == "CodeSystem"]
    systems = {system["id"]: system for system in [*written, *own]}
    sets = [_whole(system) for system in systems.values()]
    sets += [
        _listed("np-body-site", "Body sites", words["body-sites"]["site"], words, SNOMED_LICENCE),
        _listed("np-laterality-value", "Laterality", words["laterality"]["side"], words, SNOMED_LICENCE),
        _part("np-evidence-signs", "Sensory signs", "np-evidence-value", ("present", "absent", "not-assessed")),
        _part("np-evidence-test", "Confirmatory test", "np-evidence-value", ("positive", "negative", "not-done")),
    ]
    return {f"{one['resourceType']}-{one['id']}": one for one in [*own, *sets]}


def text(definition: Mapping[str, Any]) -> str:
    """The file content of one definition."""
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def _instrument_concepts(instruments: Iterable[Mapping[str, Any]]) -> list[Concept]:
    concepts = [GRADING]
    for one in instruments:
        concepts.append((one["id"], one["title"], f"{one['title']}, version {one['version']}. {one['citation']}"))
        concepts += [
            (score["id"], score["label"], f"{score['label']}, {score['range'][0]} to {score['range'][1]}.")
            for score in one["score"]
            if score["id"] != one["id"] and score["method"] != "value"
        ]
    return concepts


def _item_concepts(instruments: Iterable[Mapping[str, Any]]) -> list[Concept]:
    concepts: list[Concept] = []
    for one, item in ((each, item) for each in instruments for item in each["item"]):
        code, what = f"{one['id']}.{item['key']}", f"item {item['key']} of {one['title']}"
        concepts.append((code, item["label"], f"{item['label']}: {what}."))
        concepts += [
            (f"{code}.{option['key']}", option["label"], f"{option['label']}: answer to {what}.")
            for option in item["answer"].get("options", [])
        ]
    return concepts


def _labelled(rows: Iterable[Mapping[str, Any]], kind: str) -> list[Concept]:
    return [(row["id"], row["label"], f"{kind}: {row['label'].lower()}.") for row in rows]


def _goal_concepts(measures: Iterable[Mapping[str, Any]]) -> list[Concept]:
    concepts = [
        ("reduction", "Relative reduction from baseline", "The measure named in text, reduced by so many percent.")
    ]
    for one in measures:
        label = one["label"]
        concepts += [
            (one["id"], label, f"{label}, as a value to be reached."),
            (f"{one['id']}-reduction", f"{label}: reduction from baseline", f"{label}, reduced by so many percent."),
        ]
    return concepts


def _head(kind: str, name: str, title: str, licence: str) -> dict[str, Any]:
    return {
        "resourceType": kind,
        "id": name,
        "url": canonical(kind, name),
        "version": VERSION,
        "name": "".join(word.capitalize() for word in name.split("-")),
        "title": title,
        "status": "draft",
        "experimental": False,
        "date": DATE,
        "publisher": "Dermatome",
        "description": f"{title}. Derived from the content files of this package.",
        "copyright": licence,
    }


def _code_system(name: str, title: str, concepts: list[Concept]) -> dict[str, Any]:
    return _head("CodeSystem", name, title, LICENCE) | {
        "caseSensitive": True,
        "valueSet": canonical("ValueSet", name),
        "content": "complete",
        "count": len(concepts),
        "concept": [{"code": code, "display": display, "definition": text} for code, display, text in concepts],
    }


def _whole(system: Mapping[str, Any]) -> dict[str, Any]:
    return _head("ValueSet", system["id"], system["title"], system["copyright"]) | {
        "compose": {"include": [{"system": system["url"]}]}
    }


def _part(name: str, title: str, system: str, codes: Iterable[str]) -> dict[str, Any]:
    include = {"system": canonical("CodeSystem", system), "concept": [{"code": code} for code in codes]}
    return _head("ValueSet", name, title, LICENCE) | {"compose": {"include": [include]}}


def _listed(
    name: str, title: str, rows: Iterable[Mapping[str, Any]], words: Mapping[str, Any], licence: str
) -> dict[str, Any]:
    by_system: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        coding = row["coding"]
        url = words["systems"]["system"].get(coding["system"]) or canonical("CodeSystem", coding["system"])
        by_system.setdefault(url, []).append({"code": coding["code"], "display": coding["display"]})
    include = [{"system": system, "concept": concepts} for system, concepts in by_system.items()]
    return _head("ValueSet", name, title, licence) | {"compose": {"include": include}}


if __name__ == "__main__":
    for stem, definition in derived().items():
        (FOLDER / "terminology" / f"{stem}.json").write_text(text(definition), "utf-8")
