"""Patches of all three kinds."""

from typing import Any

from tests.fuzz.http import Request
from tests.fuzz.making import MERGE, PATCH, resource, send
from tests.fuzz.mutations import hostile, mutate
from tests.fuzz.world import World

_POINTERS = (
    "/active",
    "/name/0/family",
    "/name/-",
    "/extension/0",
    "",
    "/",
    "/id",
    "/meta/profile/0",
    "/status",
    "/~2",
    "/name/01",
)


def operations(world: World) -> Any:
    chance = world.chance
    names = ("add", "remove", "replace", "move", "copy", "test", "nope")
    made: Any = [
        {
            "op": chance.choice(names),
            "path": chance.choice(_POINTERS),
            "value": hostile(chance),
            "from": chance.choice(_POINTERS),
        }
        for _ in range(chance.choice((0, 1, 1, 2, 5, 200)))
    ]
    return mutate(chance, made) if chance.random() < 0.3 else made


def _fhirpath_patch(world: World) -> Any:
    chance = world.chance
    paths = ("Patient.active", "Patient", "Patient.name[0]", "Patient.name.given", "Patient.where(true)", "((",
        "Patient.nope",
             "Patient.name.repeat(given)", "Patient.descendants()", "%resource", "iif(true,1,2)",
             "Patient.name.where(")  # fmt: skip
    parts = [
        {"name": "type", "valueCode": chance.choice(("add", "insert", "delete", "replace", "move", "nope"))},
        {"name": "path", "valueString": chance.choice(paths)},
        {"name": "name", "valueString": chance.choice(("active", "birthDate", "name", "nope", "extension"))},
        {"name": "index", "valueInteger": chance.choice((0, 1, -1, 2**31))},
        {"name": "value", "valueBoolean": True},
    ]
    tree = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    return mutate(chance, tree) if chance.random() < 0.5 else tree


def patch(world: World) -> Request:
    url = f"/fhir/{world.some_reference()}"
    kind = world.chance.random()
    if kind < 0.4:
        return send("PATCH", url, operations(world), PATCH)
    if kind < 0.7:
        return send("PATCH", url, _fhirpath_patch(world))
    return send("PATCH", url, resource(world, url.split("/")[2]), MERGE)
