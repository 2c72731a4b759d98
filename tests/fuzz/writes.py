"""Writes of one resource, by id and by condition."""

from tests.fuzz.http import Request
from tests.fuzz.making import JSON, PATCH, resource, send
from tests.fuzz.patches import operations
from tests.fuzz.searches import encoded, query
from tests.fuzz.world import World


def create(world: World) -> Request:
    made = resource(world)
    type_ = made.get("resourceType") if world.chance.random() < 0.97 else world.some_type()
    extra = (("If-None-Exist", f"identifier=urn:fuzz|{world.some_id()}"),) if world.chance.random() < 0.1 else ()
    key = (("Idempotency-Key", world.some_id()),) if world.chance.random() < 0.1 else ()
    return send("POST", f"/fhir/{type_}", made, JSON, *extra, *key)


def plain_patient(world: World) -> Request:
    """Something that is always right, so that there is something to attack."""
    identifier = world.new_id()
    patient = {"resourceType": "Patient", "id": identifier, "identifier": [{"system": "urn:fuzz", "value": identifier}]}
    return send("PUT", f"/fhir/Patient/{identifier}", patient)


def update(world: World) -> Request:
    made = resource(world)
    type_, identifier = made.get("resourceType"), world.some_id()
    if world.chance.random() < 0.95:
        made["id"] = identifier
    match = (("If-Match", f'W/"{world.chance.randint(1, 4)}"'),) if world.chance.random() < 0.2 else ()
    return send("PUT", f"/fhir/{type_}/{identifier}", made, JSON, *match)


def change_known(world: World) -> Request:
    """An update of what is there by a resource that is mostly right."""
    reference = world.some_reference()
    type_, _, identifier = reference.partition("/")
    made = resource(world, type_, 0.3)
    made["id"] = identifier
    return send("PUT", f"/fhir/{reference}", made)


def conditional(world: World) -> Request:
    method = world.chance.choice(("PUT", "PATCH", "DELETE", "PUT"))
    search = encoded([("identifier", f"urn:fuzz|{world.some_id()}")])
    if world.chance.random() < 0.4:
        search += f"&{query(world, 'Patient')}"
    if method == "DELETE":
        return Request(method, f"/fhir/Patient?{search}")
    if method == "PATCH":
        return send(method, f"/fhir/Patient?{search}", operations(world), PATCH)
    return send(method, f"/fhir/Patient?{search}", resource(world, "Patient"))


def delete(world: World) -> Request:
    return Request("DELETE", f"/fhir/{world.some_reference()}")
