"""Batches and transactions of every other kind of request."""

import json
from typing import Any

from tests.fuzz.http import Request
from tests.fuzz.making import JSON, send
from tests.fuzz.material import Json
from tests.fuzz.mutations import mutate
from tests.fuzz.patches import patch
from tests.fuzz.reads import read, search
from tests.fuzz.world import World
from tests.fuzz.writes import conditional, create, delete, plain_patient, update


def bundle(world: World) -> Request:
    chance = world.chance
    entries = [_entry(world) for _ in range(chance.choice((0, 1, 2, 4, 8, 40)))]
    tree: Any = {
        "resourceType": "Bundle",
        "type": chance.choice(("transaction", "transaction", "batch", "collection")),
        "entry": entries,
    }
    key = (("Idempotency-Key", world.some_id()),) if chance.random() < 0.2 else ()
    return send(
        "POST", "/fhir", mutate(chance, tree, [world.some_resource()]) if chance.random() < 0.4 else tree, JSON, *key
    )


def _entry(world: World) -> Json:
    chance = world.chance
    inner = chance.choice((create, plain_patient, update, delete, read, search, conditional, patch))(world)
    made: Json = {"request": {"method": inner.method, "url": inner.url.removeprefix("/fhir/")}}
    for name, element in (("If-Match", "ifMatch"), ("If-None-Exist", "ifNoneExist")):
        if inner.header(name):
            made["request"][element] = inner.header(name)
    if inner.body and inner.header("Content-Type") == JSON:
        made["resource"] = json.loads(inner.body)
    if chance.random() < 0.6:
        made["fullUrl"] = (
            chance.choice(("urn:uuid:", "urn:uuid:", "urn:oid:", "http://x/"))
            + f"{chance.getrandbits(32):08x}-0000-4000-8000-000000000000"
        )
    return made


def record_bundle(world: World) -> Request:
    """A whole record that is mostly right: a transaction with links between its entries."""
    tree = world.material.posted["transaction"]
    return send("POST", "/fhir", mutate(world.chance, tree) if world.chance.random() < 0.6 else tree)
