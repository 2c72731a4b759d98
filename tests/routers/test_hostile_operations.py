"""Operations given anything at all: each answer is a verdict or a refusal that says why, never an error of ours."""

import json
import random
from typing import Any

import httpx
import pytest

from app.routers.operations.table import Operation, operations
from tests.builders import observation, patient

TEXTS = (
    *("", "a", "x" * 300, "Patient/a", "urn:x", "http://loinc.org", "http://hl7.org/fhir/observation-status", "final"),
    *(
        "2026",
        "9999",
        "0001",
        "2026-02-30",
        "9999-12-31T23:59:59-14:00",
        "-1",
        "0",
        "1e999",
        "NaN",
        "true",
        "a|b",
        "a,b",
    ),
    *("$", "\\", "\0", "\N{GRINNING FACE}", "average", "Observation", "*", "null", "[]", "{}"),
)
RESOURCES: tuple[Any, ...] = (
    *(None, 7, [], {}, {"resourceType": "Patient"}, {"resourceType": "StructureDefinition"}),
    {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": "urn:x"}]}},
    {
        "resourceType": "ValueSet",
        "url": "urn:v",
        "status": "active",
        "compose": {"include": [{"valueSet": ["urn:v"]}]},
    },
    {"resourceType": "CodeSystem", "status": "active", "content": "complete"},
    {
        "resourceType": "CodeSystem",
        "url": "urn:x",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "a", "property": [{"code": "parent", "valueCode": "a"}]}],
    },
    {
        "resourceType": "ConceptMap",
        "url": "urn:m",
        "status": "active",
        "group": [{"source": "urn:x", "target": "urn:y", "unmapped": {"mode": "other-map", "url": "urn:m"}}],
    },
)
VALUES: dict[str, tuple[Any, ...]] = {
    "integer": (0, 1, -1, 2**31),
    "positiveInt": (0, 1),
    "boolean": (True, False),
    "decimal": (0, 0.5, -3, 1e10),
    "Coding": ({}, {"code": "a"}, {"system": "urn:x", "code": "a"}),
    "CodeableConcept": ({}, {"text": "x"}, {"coding": [{}]}, {"coding": [{"system": "urn:x", "code": "a"}]}),
    "Period": ({}, {"start": "2026"}, {"start": "2026", "end": "2020"}),
    "Reference": ({}, {"reference": "Patient/a"}, {"reference": "x"}, {"identifier": {"value": "a"}}),
    "Meta": ({}, {"tag": [{}]}, {"tag": [{"code": "x"}]}, {"source": "x"}),
}


PREFERENCES = ("", "respond-async", "respond-async, handling=lenient", "handling=strict")


class Chance:
    """Requests to operations, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def address(self, operation: Operation) -> str:
        type_ = "Patient" if operation.types == ("Resource",) else next(iter(operation.types), "")
        version = self.random.choice(("1", "2", "x", "99999999999"))
        below = {"system": "", "type": f"/{type_}", "instance": f"/{type_}/a"}
        level = self.random.choice(operation.levels)
        return f"/fhir{below.get(level, f'/{type_}/a/_history/{version}')}/${operation.code}"

    def query(self, operation: Operation) -> list[tuple[str, str]]:
        names = [*operation.parameters, "x", "_cursor", "patient", "code", "date"]
        return [(self.random.choice(names), self.random.choice(TEXTS)) for _ in range(self.random.randint(0, 3))]

    def body(self, operation: Operation) -> str:
        odd = ("", "null", "[]", "{", json.dumps(self.random.choice(RESOURCES)))
        if self.random.random() < 0.1:
            return self.random.choice(odd)
        parts = [self._part(operation) for _ in range(self.random.randint(0, 4))]
        return json.dumps({"resourceType": "Parameters", "parameter": parts})

    def _part(self, operation: Operation) -> Any:
        if self.random.random() < 0.05:
            return self.random.choice((None, 7, [], {}, {"name": 7}, {"name": "code", "part": []}))
        name = self.random.choice([*operation.parameters, "x"])
        parameter = operation.parameters.get(name)
        if parameter and parameter.is_resource:
            return {"name": name, "resource": self.random.choice(RESOURCES)}
        type_ = parameter.type if parameter else self.random.choice([*VALUES, "string"])
        return {"name": name, f"value{type_[0].upper()}{type_[1:]}": self.random.choice(VALUES.get(type_, TEXTS))}


@pytest.mark.own_server
async def test_nothing_that_is_asked_is_an_error_of_ours(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/a", json=patient(id="a"))
    await client.put("/fhir/Observation/a", json=observation("Patient/a", id="a", effectiveDateTime="9999"))
    await client.put("/fhir/Group/a", json={"resourceType": "Group", "type": "person", "actual": True, "id": "a"})
    chance = Chance(20261101)
    told = set()

    for _ in range(25):
        for operation in operations():
            method = chance.random.choice(operation.methods)
            sent = {"content": chance.body(operation)} if method == "POST" else {}
            address, query = chance.address(operation), chance.query(operation)
            headers = {"Prefer": chance.random.choice(PREFERENCES)}
            answer = await client.request(method, address, params=query, headers=headers, **sent)  # type: ignore[arg-type]
            assert answer.status_code < 500, (method, address, query, sent)
            assert answer.status_code < 400 or answer.json()["resourceType"] == "OperationOutcome"
            told.add(answer.status_code)

    assert {200, 202, 400, 404} <= told
