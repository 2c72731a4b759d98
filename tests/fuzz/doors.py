"""Operations, the clinic API and every other address of the OpenAPI document."""

from typing import Any

from tests.fuzz.http import Request
from tests.fuzz.making import JSON, resource, send
from tests.fuzz.mutations import TEXTS, hostile, mutate
from tests.fuzz.searches import encoded, query
from tests.fuzz.world import World


def operation(world: World) -> Request:
    """An operation of the server, by GET with some parameters or by POST with some resource."""
    chance = world.chance
    address = _filled(
        world, chance.choice([one for one in world.served.addresses if "$" in one and "reindex" not in one])
    )
    if chance.random() < 0.4:
        names = ("url", "code", "system", "date", "start", "end", "_type", "_since", "max", "mode", "profile",
            "subject",
                 "count", "filter", "from", "to", "_typeFilter", "codeA", "codeB", "after", "_outputFormat",
                 "wait")  # fmt: skip
        pairs = [
            (chance.choice(names), str(chance.choice((*TEXTS, "1", "0", "Patient", "2026", "create"))))
            for _ in range(chance.randint(0, 3))
        ]
        return Request("GET", f"{address}?{encoded([pair for pair in pairs if pair[0] != 'wait'])}")
    posted = chance.choice(
        (*world.material.posted.values(), resource(world), {"resourceType": "Parameters", "parameter": []})
    )
    if chance.random() < 0.3:
        posted = {
            "resourceType": "Parameters",
            "parameter": [{"name": chance.choice(("resource", "meta", "url", "patient")), "resource": posted}],
        }
    prefer = (("Prefer", "respond-async"),) if "export" in address and chance.random() < 0.5 else ()
    return send("POST", address, mutate(chance, posted) if chance.random() < 0.7 else posted, JSON, *prefer)


def _filled(world: World, address: str) -> str:
    """An address of the OpenAPI document with something in each of its places."""
    type_, _, identifier = world.some_reference().partition("/")
    values = {
        "resource_type": type_,
        "resource_id": identifier,
        "version": str(world.chance.randint(0, 3)),
        "compartment": "Patient",
    }
    for name in ("record_id", "name", "job", "number", "conflict_id", "view_id"):
        values[name] = world.chance.choice(
            (identifier, "1", "dn4", "pain-scores", "0", "-1", "9" * 30, "..%2f..", "%00")
        )
    for name, value in values.items():
        address = address.replace(f"{{{name}}}", value)
    return address


def anywhere(world: World) -> Request:
    """Any address of the OpenAPI document that is not under /fhir: sync, exports, guide, cohort, operators."""
    address = _filled(
        world, world.chance.choice([one for one in world.served.addresses if not one.startswith("/fhir")])
    )
    method = world.chance.choice(("GET", "GET", "GET", "POST", "PUT"))
    ask = f"?{query(world)}" if world.chance.random() < 0.3 else ""
    return (
        Request(method, address + ask)
        if method == "GET"
        else send(method, address, hostile(world.chance), "application/json")
    )


def clinic(world: World) -> Request:
    chance = world.chance
    address = chance.choice(sorted(world.material.clinic))
    tree: Any = chance.choice(world.material.clinic[address])
    if "patient" in tree and chance.random() < 0.8:
        tree = tree | {"patient": {"system": "urn:oid:1.2.3", "value": f"{world.name}-{chance.randint(1, 9)}"}}
    if chance.random() < 0.6:
        tree = mutate(chance, tree)
    ask = "?dry_run=true" if chance.random() < 0.1 else ""
    key = (("Idempotency-Key", world.some_id()),) if chance.random() < 0.1 else ()
    return send("POST", address + ask, tree, "application/json", *key)


def clinic_record(world: World) -> Request:
    """Reading, amending and withdrawing what the clinic API has recorded."""
    if not world.records:
        return clinic(world)
    address = world.chance.choice(world.records)
    method = world.chance.choice(("GET", "GET", "PUT", "DELETE"))
    if method != "PUT":
        return Request(method, address)
    tree = world.chance.choice(world.material.clinic[address.rpartition("/")[0]])
    return send(
        method, address, mutate(world.chance, tree) if world.chance.random() < 0.6 else tree, "application/json"
    )
