"""How requests with resources are put together: mostly right, so that what is wrong is looked at."""

import json
from typing import Any

from tests.fuzz.http import Request
from tests.fuzz.material import Json
from tests.fuzz.mutations import mutate
from tests.fuzz.world import World

Headers = tuple[tuple[str, str], ...]
JSON, XML = "application/fhir+json", "application/fhir+xml"
PATCH, MERGE = "application/json-patch+json", "application/merge-patch+json"


def as_json(tree: Any) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode("utf-8", "surrogatepass")


def send(method: str, url: str, tree: Any, media_type: str = JSON, *headers: tuple[str, str]) -> Request:
    return Request(method, url, (("Content-Type", media_type), *headers), as_json(tree))


def put(resource: Json) -> Request:
    """A resource under its own id, as it is."""
    return send("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", resource)


def resource(world: World, type_: str = "", share: float = 0.45) -> Json:
    """A valid resource, or, by its share, a changed one; references mostly to what is there."""
    made: Json = _about(world, world.some_resource(type_))
    if world.chance.random() > share:
        return made
    changed: Json = mutate(world.chance, made, [world.some_resource() for _ in range(2)])
    return changed


def _about(world: World, tree: Any) -> Any:
    """The same, with references to what is here, as far as there is something of that type."""
    if isinstance(tree, list):
        return [_about(world, one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    made = {name: _about(world, one) for name, one in tree.items()}
    if isinstance(made.get("reference"), str) and (there := world.known_of(made["reference"].partition("/")[0])):
        made["reference"] = world.chance.choice(there)
    return made
