"""SQL in every value of a search: it is text like any other, and finds what is literally so; nothing else happens."""

import random
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.answers import count

# Taken as given by either database, were it ever to see them: ends of texts, comments, patterns, parameters, casts.
PIECES = (
    *(
        "'",
        "''",
        '"',
        "`",
        ";",
        "--",
        "/*",
        "*/",
        "\\",
        "\\'",
        "%",
        "_",
        "?",
        ":x",
        "$1",
        "$$",
        "$a$",
        "@x",
        "||",
        "::text",
    ),
    *(
        " OR ",
        "1=1",
        " UNION SELECT ",
        "NULL",
        "); DROP TABLE version",
        "pg_sleep(9)",
        "randomblob(1)",
        "0x00",
        "{}",
        "%s",
    ),
    *(
        "\N{FULLWIDTH APOSTROPHE}",
        "\N{MODIFIER LETTER APOSTROPHE}",
        "\N{KELVIN SIGN}",
        "\u00df",
        "\u0130",
        "e\u0301",
        "\U0001f600",
    ),
    *("a", "B", "7", ",", "|", "$", "~", "*", "^", "[", "(", "<", "&", "#", "+"),
)
SYSTEM = "urn:x"


def drawn(number: int) -> list[str]:
    """Different values, the same ones each time."""
    chance = random.Random(20261123)
    found = {"".join(chance.choices(PIECES, k=chance.randint(1, 6))).strip() for _ in range(number * 2)}
    return sorted(found - {""})[:number]


def escaped(value: str) -> str:
    """As it stands in a search (R4 3.1.1.4.6)."""
    return "".join(f"\\{mark}" if mark in "\\,|$" else mark for mark in value)


def resource(number: int, value: str) -> list[dict[str, Any]]:
    """One of each type whose parameters are asked about, holding the value."""
    uri = "".join(value.split())
    return [
        {
            "resourceType": "Patient",
            "id": f"p{number}",
            "name": [{"family": value}],
            "identifier": [{"system": SYSTEM, "value": value}],
        },
        {"resourceType": "Device", "id": f"d{number}", "url": uri},
        {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"coding": [{"system": SYSTEM, "code": uri}]},
            "subject": {"identifier": {"system": SYSTEM, "value": value}},
            "valueString": value,
        },
    ]


ASKED: dict[str, Callable[[str], str]] = {
    "Patient?family:exact": lambda value: value,
    "Patient?identifier": lambda value: value,
    "Observation?subject:identifier": lambda value: value,
    "Device?url": lambda value: "".join(value.split()),
    "Observation?code": lambda value: "".join(value.split()),
}


async def ids(client: httpx.AsyncClient, asked: str, value: str) -> set[int]:
    path, _, name = asked.partition("?")
    answer = await client.get(f"/fhir/{path}", params={name: value, "_count": "1000"})
    assert answer.status_code == 200, answer.text
    entries = [each for each in answer.json().get("entry", []) if each["search"]["mode"] == "match"]
    return {int(each["resource"]["id"][1:]) for each in entries}


async def test_what_is_found_is_what_is_literally_so(client: httpx.AsyncClient) -> None:
    values = drawn(40)
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for number, value in enumerate(values)
        for each in resource(number, value)
    ]
    stored = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert stored.status_code == 200, stored.text

    for asked, kept in ASKED.items():
        for value in values:
            found = await ids(client, asked, escaped(kept(value)))
            assert found == {n for n, each in enumerate(values) if kept(each) == kept(value)}, (asked, value)
    for value in values[::4]:
        # Case and accents are folded there, so more may be found; never what does not hold it.
        assert values.index(value) in await ids(client, "Patient?family:contains", escaped(value))
        assert values.index(value) in await ids(client, "Patient?identifier", f"{SYSTEM}|{escaped(value)}")


NAMES = (
    *("_id", "_lastUpdated", "_text", "_content", "_filter", "_sort", "_elements", "_type", "_include", "_revinclude"),
    *(
        "_has:Observation:subject:code",
        "_list",
        "_tag",
        "_profile",
        "_security",
        "_source",
        "_summary",
        "_total",
        "_count",
    ),
    *("birthdate", "general-practitioner", "general-practitioner.name", "organization:Organization.name", "family"),
    *("identifier:of-type", "gender:not", "gender:in", "address:contains", "_cursor", "name:text", "language:below"),
)
OTHERS = (
    *(
        "RiskAssessment?probability",
        "Observation?value-quantity",
        "Observation?code-value-quantity",
        "Observation?date",
    ),
    *("Observation?combo-code-value-quantity", "Observation?subject", "Encounter?length", "Observation?value-date"),
)


async def test_no_value_of_any_parameter_is_more_than_a_value(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/kept", json={"resourceType": "Patient", "id": "kept"})
    statuses = set()

    for value in drawn(12):
        for asked in (*(f"Patient?{name}" for name in NAMES), *OTHERS, f"Patient?{value}"):
            path, _, name = asked.partition("?")
            answer = await client.get(f"/fhir/{path}", params={name: value})
            assert answer.status_code < 500, (asked, value, answer.text)
            statuses.add(answer.status_code)

    assert statuses <= {200, 400, 410, 413}
    assert await count(client, "Patient") == 1


@pytest.mark.parametrize("door", ["/sync/queue?target=", "/sync/ledger?reference=Patient/", "/fhir/_history?_since="])
async def test_nor_of_other_doors(client: httpx.AsyncClient, door: str) -> None:
    path, _, name = door.rstrip("=").partition("?")
    name, _, before = name.partition("=")

    statuses = {(await client.get(path, params={name: before + value})).status_code for value in drawn(12)}

    assert statuses <= {200, 400, 404}
