"""Bodies by their text: XML, the requests of the conformance rows, and what is at the limits."""

import json

from tests.fuzz.http import Request
from tests.fuzz.making import JSON, XML, as_json, resource, send
from tests.fuzz.mutations import mutate, spoil
from tests.fuzz.searches import query
from tests.fuzz.world import World

_ELEMENTS = ("<id value='1'/>", "<active value='true'/>", "<name><family value='a'/></name>",
    "<text><div xmlns='http://www.w3.org/1999/xhtml'>a</div></text>",
             "<contained><Patient xmlns='http://hl7.org/fhir'/></contained>", "<nope/>", "<active/>", "text",
             "<!-- c -->", "<?pi?>", "&amp;",
             "&x;", "<extension url='http://x'><valueDecimal value='1.10'/></extension>", "<name>" * 200,
             "<![CDATA[x]]>", "<a:b/>", "\x01")  # fmt: skip


_PROLOGUES = ("", "", "", "<?xml version='1.0'?>", "<?xml version='1.0' encoding='utf-16'?>",
    "<!DOCTYPE x [<!ENTITY x 'y'>]>",
              "<!DOCTYPE x [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
              "<!DOCTYPE x SYSTEM 'http://127.0.0.1:1/x.dtd'>", "\ufeff", " ")  # fmt: skip


def xml(world: World) -> Request:
    chance = world.chance
    type_, identifier = "Patient", world.some_id()
    inner = "".join(chance.choice(_ELEMENTS) for _ in range(chance.choice((0, 1, 2, 3, 8))))
    space = chance.choice(("http://hl7.org/fhir", "http://hl7.org/fhir", "http://hl7.org/fhir", "urn:x", ""))
    text = f"{chance.choice(_PROLOGUES)}<{type_} xmlns='{space}'>{inner}</{type_}>"
    method, url = chance.choice(
        (("POST", "/fhir/Patient"), ("PUT", f"/fhir/Patient/{identifier}"), ("POST", "/fhir/$validate"))
    )
    accept = chance.choice((XML, JSON))
    return Request(method, url, (("Content-Type", XML), ("Accept", accept)), text.encode())


def row(world: World) -> Request:
    """A request of the conformance rows, its body or its search changed."""
    chance = world.chance
    step = chance.choice(world.material.steps)
    method, _, path = step.request.replace("${row}", world.some_id()).partition(" ")
    body = step.body.replace("${row}", world.some_id()).encode()
    if body[:1] in (b"{", b"[") and chance.random() < 0.6:
        try:
            body = as_json(mutate(chance, json.loads(body), [world.some_resource()]))
        except ValueError:
            body = spoil(chance, body)
    if "?" in path and chance.random() < 0.5:
        path += f"&{query(world)}"
    headers = tuple(one for one in step.headers.items())
    if body and not any(name.lower() == "content-type" for name, _ in headers):
        headers += (("Content-Type", JSON),)
    return Request(method, f"/fhir{path}".replace("${base}", "http://127.0.0.1/fhir"), headers, body)


def validate(world: World) -> Request:
    return send("POST", "/fhir/$validate", resource(world, share=0.9))


def too_large(world: World) -> Request:
    """Bodies at the limits: very long, very deep, very many."""
    chance = world.chance
    size = chance.choice((100_000, 1_000_000, 9_000_000))
    trees = (
        {"resourceType": "Patient", "name": [{"family": "x" * size}]},
        {"resourceType": "Patient", "name": [{"given": ["x"] * (size // 10)}]},
        {"resourceType": "Bundle", "type": "batch", "entry": [{}] * (size // 100)},
        {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient?_count=0"}}] * 25,
        },
    )
    return send("POST", chance.choice(("/fhir", "/fhir/Patient", "/fhir/$validate")), chance.choice(trees))
