"""Resources for searches: few values, so that they meet; every precision, and what is left out."""

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.search.model import UCUM

FAMILIES = ["Müller", "muller", "Ångström", "Smith", "Smithson", "García", "DE LA CRUZ"]
GIVENS = ["Ana", "ana", "Zoë", "José", "Jo"]
SYSTEMS = ["urn:oid:1.2.3", "https://example.org/ids"]
IDENTIFIER_TYPES = ["MR", "SS"]
TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/v2-0203"
TEXTS = ["Burning pain", "burning feet", "Dull ache", "Ångst"]
CODES = ["a", "b", "c"]
COMPONENT_CODES = ["x", "y", "z"]
CODE_SYSTEMS = ["https://example.org/codes", "https://example.org/others"]
DATES = ["1970", "1970-02", "1970-02-03", "1971-12-31", "2024-02-29", "2024"]
TIMES = [
    "2024-02-29",
    "2024-02",
    "2024-02-29T23:30:00Z",
    "2024-03-01T00:30:00+02:00",
    "2024-02-29T12:00:00-05:00",
    "2025",
]
UNITS = ["g", "mg", "ug", "kg"]
NUMBERS = ["5", "5.0", "5.4", "5.40", "0.005", "5000", "4.95", "5.05", "100", "99.5", "100.5"]
PROBABILITIES = ["0.1", "0.15", "0.05", "0.10", "0.5", "0.99"]
URLS = ["https://example.org/vs", "https://example.org/vs/a", "https://example.org/vs/a/b", "https://example.org/other"]
Json = dict[str, Any]


def resources(seed: int = 7) -> list[Json]:
    """The same resources for the same seed, each before what refers to it."""
    chance = random.Random(seed)
    practitioners = [
        {"resourceType": "Practitioner", "id": f"dr{n}", "name": [{"family": FAMILIES[n]}]} for n in range(3)
    ]
    patients = [_patient(chance, n) for n in range(14)]
    observations = [_observation(chance, n) for n in range(50)]
    risks = [
        {
            "resourceType": "RiskAssessment",
            "id": f"r{n}",
            "status": "final",
            "subject": {"reference": f"Patient/p{n}"},
            "prediction": [{"probabilityDecimal": Decimal(value)}],
        }
        for n, value in enumerate(PROBABILITIES)
    ]
    sets = [{"resourceType": "ValueSet", "id": f"v{n}", "status": "active", "url": url} for n, url in enumerate(URLS)]
    return [*practitioners, *patients, *observations, *risks, *sets]


def _patient(chance: random.Random, number: int) -> Json:
    made: Json = {"resourceType": "Patient", "id": f"p{number}"}
    if chance.random() < 0.8:
        made["name"] = [
            {"family": chance.choice(FAMILIES), "given": chance.sample(GIVENS, chance.randint(1, 2))}
            for _ in range(chance.randint(1, 2))
        ]
    if chance.random() < 0.7:
        made["identifier"] = [_identifier(chance) for _ in range(chance.randint(1, 2))]
    if chance.random() < 0.7:
        made["birthDate"] = chance.choice(DATES)
    if chance.random() < 0.7:
        made["gender"] = chance.choice(["male", "female", "other"])
    if chance.random() < 0.7:
        made["active"] = chance.random() < 0.5
    if chance.random() < 0.6:
        made["generalPractitioner"] = [_reference(chance, f"Practitioner/dr{chance.randint(0, 2)}")]
    return made


def _identifier(chance: random.Random) -> Json:
    system = {"system": chance.choice(SYSTEMS)} if chance.random() < 0.8 else {}
    kind = {"type": _coded(chance, IDENTIFIER_TYPES, [TYPE_SYSTEM])} if chance.random() < 0.5 else {}
    return {**kind, **system, "value": chance.choice(CODES)}


def _reference(chance: random.Random, target: str) -> Json:
    """To the target, by an identifier, or both."""
    number = chance.random()
    identifier = {"identifier": _identifier(chance)} if number < 0.3 else {}
    return {**({"reference": target} if number > 0.1 else {}), **identifier}


def _coded(chance: random.Random, codes: Sequence[str] = CODES, systems: Sequence[str] = tuple(CODE_SYSTEMS)) -> Json:
    chosen = chance.sample(codes, chance.randint(1, 2))
    made: Json = {"coding": [{"system": chance.choice(systems), "code": code} for code in chosen]}
    if chance.random() < 0.3:
        made["text"] = chance.choice(TEXTS)
    if chance.random() < 0.3:
        # No display for types of identifiers: their system is known, and says what it must be.
        made["coding"][0] |= {"display": chance.choice(TEXTS)} if systems == tuple(CODE_SYSTEMS) else {}
    return made


def _quantity(chance: random.Random) -> Json:
    value = Decimal(chance.choice(NUMBERS))
    if chance.random() < 0.2:
        return {"value": value, "unit": "drops"}
    unit = chance.choice(UNITS)
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


def _observation(chance: random.Random, number: int) -> Json:
    made: Json = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": chance.choice(["final", "amended", "preliminary"]),
        "code": _coded(chance),
    }
    if chance.random() < 0.5:
        made["category"] = [_coded(chance)]
    if chance.random() < 0.9:
        made["subject"] = _reference(chance, f"Patient/p{chance.randint(0, 13)}")
    kind = chance.random()
    if kind < 0.6:
        made["effectiveDateTime"] = chance.choice(TIMES)
    elif kind < 0.85:
        ends = {"start": "2024-02-29T10:00:00Z", "end": chance.choice(["2024-03-01", "2025"])}
        made["effectivePeriod"] = {name: ends[name] for name in chance.choice([["start"], ["end"], ["start", "end"]])}
    kind = chance.random()
    if kind < 0.6:
        made["valueQuantity"] = _quantity(chance)
    elif kind < 0.8:
        made["valueString"] = chance.choice(FAMILIES)
    if chance.random() < 0.4:
        made["component"] = [_component(chance) for _ in range(chance.randint(1, 3))]
    return made


def _component(chance: random.Random) -> Json:
    # Other codes than the Observation's own: obs-7.
    code = _coded(chance, COMPONENT_CODES)
    return {"code": code, "valueQuantity": _quantity(chance)} if chance.random() < 0.8 else {"code": code}
