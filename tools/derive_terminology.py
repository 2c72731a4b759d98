"""Derives the code systems and value sets that follow from other content files, so that each fact has one home.

    python tools/derive_terminology.py

np-instrument, np-item and np-score-band follow from app/profiles/instruments, np-therapy, np-route, np-goal-measure,
np-body-site and np-laterality-value from app/profiles/vocabulary; np-test, np-symptom and np-finding from
app/profiles/examinations and findings.toml, np-stimulus, np-nerve and their like from qualifiers.toml; every code
system gets the value set of all its codes. tests/pain/test_content_files.py fails when a derived file is out of date.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.profiles import FOLDER, canonical, json_files, toml_files

VERSION = "0.1.0"
DATE = "2026-11-01"
LICENCE = "Apache-2.0"
SNOMED_LICENCE = "Apache-2.0; SNOMED CT Global Patient Set (c) SNOMED International, CC BY 4.0"

# A grading system is no answered instrument and has no file; its decision table is app/pain/diagnoses/grading.py.
GRADING = ("neupsig-2016", "NeuPSIG grading system 2016", "Grading of neuropathic pain, Pain 2016;157:1599-1606.")

Concept = tuple[str, str, str]
Files = Mapping[str, Mapping[str, Any]]

# What a result can have besides its qualifiers.
_RESULT_PARTS = (
    (
        "z-score",
        "z-score",
        "How many standard deviations the result lies from the mean of the norm it was compared to.",
    ),
    ("skin-temperature", "Skin temperature", "Temperature of the skin at the place of the measurement."),
)


def derived() -> dict[str, dict[str, Any]]:
    """Every derived definition, by file stem."""
    instruments = list(toml_files("instruments").values())
    words = toml_files("vocabulary")
    own = [
        _code_system("np-instrument", "Instruments and their scores", _instrument_concepts(instruments)),
        _code_system("np-item", "Items of instruments", _item_concepts(instruments)),
        _code_system("np-score-band", "Bands of scores", _band_concepts(instruments)),
        _code_system("np-rule", "Guideline and safety rules", _rule_concepts(toml_files("guidelines"), instruments)),
        _code_system("np-therapy", "Therapies", _labelled(words["therapies"]["therapy"], "Therapy")),
        _code_system("np-order", "Examinations and tests", _labelled(words["orders"]["order"], "Order")),
        _code_system("np-device", "Devices", _labelled(words["devices"]["device"], "Device")),
        _code_system("np-activity-outcome", "Outcomes of activities", _outcome_concepts(words["outcomes"])),
        _code_system("np-stop-reason", "Reasons for an end", _labelled(words["outcomes"]["reason"], "Reason")),
        _code_system("np-route", "Routes of administration", _labelled(words["routes"]["route"], "Route")),
        _code_system("np-goal-measure", "Measures of goals", _goal_concepts(words["goals"]["measure"])),
    ]
    own += [_code_system(*one) for one in _diagnosis_systems(words)]
    examined = toml_files("examinations")
    own += [_code_system(*one) for one in _examination_systems(examined, words)]
    written = [s for s in json_files("terminology").values() if s["resourceType"] == "CodeSystem"]
    systems = {system["id"]: system for system in [*written, *own]}
    sets = [_whole(system) for system in systems.values()]
    sets += [
        _listed("np-body-site", "Body sites", words["body-sites"]["site"], words, SNOMED_LICENCE),
        _listed("np-laterality-value", "Laterality", words["laterality"]["side"], words, SNOMED_LICENCE),
        _part("np-evidence-signs", "Sensory signs", "np-evidence-value", ("present", "absent", "not-assessed")),
        _part("np-evidence-test", "Confirmatory test", "np-evidence-value", ("positive", "negative", "not-done")),
    ]
    sets += [_part(*one) for one in _examination_sets(examined, words)]
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


def _band_concepts(instruments: Iterable[Mapping[str, Any]]) -> list[Concept]:
    """Every band once, with the scores that have it and between which values."""
    found: dict[str, list[str]] = {}
    for one, score in ((each, score) for each in instruments for score in each["score"]):
        for band in one["bands"][score["bands"]] if "bands" in score else ():
            found.setdefault(band["id"], []).append(f"{score['label']} {band['from']} to {band['to']}")
    names = {code: code.replace("-", " ").capitalize() for code in found}
    return [(code, names[code], f"{names[code]}: {'; '.join(found[code])}.") for code in sorted(found)]


def _rule_concepts(guidelines: Files, instruments: Iterable[Mapping[str, Any]]) -> list[Concept]:
    """The guideline rules, and the answers of instruments that ask for action."""
    rules = [
        (row["id"], row["title"], f"{row['trigger']}.") for file in guidelines.values() for row in file.get("rule", ())
    ]
    asked = [row for one in instruments for row in one.get("safety", ())]
    return [*sorted(rules), *((row["id"], row["title"], f"{row['title']}. {row['message']}") for row in asked)]


def _labelled(rows: Iterable[Mapping[str, Any]], kind: str) -> list[Concept]:
    return [(row["id"], row["label"], f"{kind}: {row['label'].lower()}.") for row in rows]


def _outcome_concepts(outcomes: Mapping[str, Any]) -> list[Concept]:
    return _labelled(outcomes["response"], "Response") + _labelled(outcomes["status"], "State of the activity")


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


def _examination_systems(files: Files, words: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Concept]]]:
    """Every derived code system: id, title, concepts."""
    yield "np-test", "Examinations, their parameters and parts", _test_concepts(files, words)
    symptoms = [row for file in files.values() if file["system"] == "np-symptom" for row in file["parameter"]]
    yield (
        "np-symptom",
        "Symptoms of neuropathic pain",
        [(row["key"], row["label"], f"{row['label']}, as the patient reports it.") for row in symptoms],
    )
    found = words["findings"]["finding"]
    yield "np-finding", "Findings of examinations", [(row["id"], row["label"], row["definition"]) for row in found]
    for row in words["qualifiers"]["qualifier"].values():
        if "row" in row:
            yield row["system"], row["title"], [(one["id"], one["label"], one["definition"]) for one in row["row"]]


def _examination_sets(files: Files, words: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[str]]]:
    """Every derived value set that is a part of a code system: id, title, system, codes."""
    for name, codes in words["findings"]["list"].items():
        yield f"np-finding-{name}", f"Findings: {name.replace('-', ' ')}", "np-finding", codes
    tests: dict[str, dict[str, None]] = {}
    for file in files.values():
        for row in file["parameter"]:
            profile = row.get("profile", file["profile"])
            codes = [one["code"] for one in file["presence"].values()] if "presence" in file else [row["key"]]
            tests.setdefault(profile, {}).update(dict.fromkeys(codes))
    for profile, found in tests.items():
        yield f"np-test-{profile}", f"Parameters of {profile}", "np-test", list(found)
    kinds = [f"{file['id']}.{one['id']}" for file in files.values() for one in file.get("kind", [])]
    yield "np-examination", "Examinations", "np-test", [*files, *kinds]
    for name, row in words["qualifiers"]["qualifier"].items():
        if "options" in row:
            yield f"np-{name}", row["label"], row["system"], row["options"]


def _test_concepts(files: Files, words: Mapping[str, Any]) -> list[Concept]:
    found: dict[str, Concept] = {}
    for file in files.values():
        found[file["id"]] = (file["id"], file["title"], f"{file['title']}, as a report of its results.")
        for one in file.get("kind", []):
            code, label = f"{file['id']}.{one['id']}", f"{file['title']}: {one['label'].lower()}"
            found[code] = (code, label, f"{label}, as a report of its results.")
        for one in file.get("presence", {}).values():
            found[one["code"]] = (one["code"], one["label"], f"{one['label']}: which one is the value.")
        for row in file["parameter"] if file["system"] == "np-test" else ():
            found.setdefault(row["key"], (row["key"], row["label"], f"{row['label']}: {file['title'].lower()}."))
    for name, row in words["qualifiers"]["qualifier"].items():
        if row["as"] == "component":
            found[name] = (name, row["label"], f"{row['label']}: what qualifies a result.")
    return [*found.values(), *_RESULT_PARTS]


def _diagnosis_systems(words: Mapping[str, Any]) -> Iterator[tuple[str, str, list[Concept]]]:
    profiles, refractory = words["sensory-profiles"], words["refractory"]
    yield "np-evidence-method", "What an input of a grade rests on", _defined(words["grading-evidence"]["method"])
    yield "np-sensory-profile", "Sensory profiles", _defined(profiles["profile"])
    yield "np-extent", "Extent of pain", _defined(profiles["extent"])
    yield "np-dermatome", "Dermatomes", list(_dermatomes(profiles["levels"]))
    yield "np-refractory-status", "Refractory to treatment", _defined(refractory["status"])
    yield "np-first-line-class", "First-line classes of medicines", _defined(refractory["class"])
    yield "np-trial-outcome", "Outcomes of a trial of a medicine", _defined(refractory["outcome"])


def _defined(rows: Iterable[Mapping[str, Any]]) -> list[Concept]:
    return [(row["id"], row["label"], row["definition"]) for row in rows]


def _dermatomes(regions: Mapping[str, Any]) -> Iterator[Concept]:
    for letter, region in (("C", "cervical"), ("T", "thoracic"), ("L", "lumbar"), ("S", "sacral")):
        low, high = regions[letter]
        for name in (f"{letter}{number}" for number in range(low, high + 1)):
            yield name, name, f"The territory of the {region} nerve root {name}."


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
