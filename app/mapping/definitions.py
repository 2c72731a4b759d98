"""Every definition this package publishes, in one list: what is stored at start, shown at /guide and packed."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from app.fhir.resources import built
from app.mapping.elements import Element, Resource
from app.mapping.questionnaires.questionnaire import questionnaires
from app.pain.content import Content
from app.profiles import canonical, package, shared_json, toml_files
from app.terminology.own_maps import own_maps

_NAME = "dermatome"


@cache
def own_definitions(content: Content) -> tuple[Resource, ...]:
    """Our definitions in the order of their groups, each by name, the ImplementationGuide that lists them last.

    They are as they were written: profiles with their differential, value sets with their compose. app/guide adds
    snapshots and expansions. Made once for each content: nobody changes them.
    """
    files = [one for folder in _FOLDERS for one in shared_json(folder).values()]
    found: list[Resource] = [*files, *map(dict, own_maps(icd_11=content.icd_11)), *questionnaires(content)]
    order = [one["id"] for one in groups()]
    listed = sorted(found, key=lambda one: (order.index(group_of(one)), one["id"]))
    return (*listed, _implementation_guide(listed))


_FOLDERS = ("structuredefinitions", "terminology", "searchparameters", "operations")


@cache
def groups() -> tuple[Mapping[str, Any], ...]:
    """The kinds of definitions, in the order in which they are told."""
    return tuple(toml_files("guide")["groups"]["group"])


def group_of(definition: Resource) -> str:
    """The id of the group a definition belongs to."""
    kind = "Extension" if definition.get("type") == "Extension" else None
    named = (one for one in groups() if one["type"] == definition["resourceType"] and one.get("of") == kind)
    return str(next(named)["id"])


def title_of(definition: Resource) -> str:
    """What people call a definition. SearchParameters have no title in R4."""
    return str(definition.get("title") or definition["name"])


def _implementation_guide(listed: Iterable[Resource]) -> Resource:
    manifest = package()
    rows = [_row(one) for one in listed]
    used = {row["groupingId"] for row in rows}
    return built(
        {
            "resourceType": "ImplementationGuide",
            "id": _NAME,
            "url": canonical("ImplementationGuide", _NAME),
            "version": manifest["version"],
            "name": _NAME.capitalize(),
            "title": manifest["title"],
            "status": "draft",
            "experimental": False,
            "date": toml_files("guide")["groups"]["version"],
            "publisher": "Dermatome",
            "description": manifest["description"],
            "copyright": "Apache-2.0; the codes of other terminologies keep the terms of their owners.",
            "packageId": manifest["name"],
            "license": manifest["license"],
            "fhirVersion": list(manifest["fhirVersions"]),
            "dependsOn": [_dependency(name, version) for name, version in manifest["dependencies"].items()],
            "definition": {"grouping": [_grouping(one) for one in groups() if one["id"] in used], "resource": rows},
        }
    )


def _dependency(name: str, version: str) -> Element:
    """A package as R4 names it: by the canonical URL of its guide, which the manifest knows."""
    return {"uri": package()["guides"][name], "packageId": name, "version": version}


def _grouping(group: Mapping[str, Any]) -> Element:
    return {"id": group["id"], "name": group["name"], "description": group["description"]}


def _row(definition: Resource) -> Element:
    made = {
        "reference": {"reference": f"{definition['resourceType']}/{definition['id']}"},
        "name": title_of(definition),
        "description": definition.get("description"),
        "exampleBoolean": False,
        "groupingId": group_of(definition),
    }
    return {key: value for key, value in made.items() if value is not None}
