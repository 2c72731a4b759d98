"""Search, on both databases."""

import httpx
import pytest

from tests.answers import issues
from tests.builders import MEDICAL_RECORD, bundle, entry, observation, patient

LONG = "v" * 1000


@pytest.fixture
async def filled(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two patients with three observations."""
    other = {"coding": [{"system": "https://example.org/codes", "code": "b"}, {"code": "a"}]}
    answer = await client.post(
        "/fhir",
        json=bundle(
            entry(patient("MRN-1", id="p1"), method="PUT", url="Patient/p1"),
            entry(patient(LONG, id="p2"), method="PUT", url="Patient/p2"),
            entry(observation("Patient/p1", id="o1"), method="PUT", url="Observation/o1"),
            entry(observation("http://dermatome.test/fhir/Patient/p1", id="o2"), method="PUT", url="Observation/o2"),
            entry(observation("Patient/p2/_history/1", id="o3", code=other), method="PUT", url="Observation/o3"),
        ),
    )
    assert answer.status_code == 200, answer.text
    return client


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("Patient?_id=p1", ["p1"]),
        ("Patient?_id=p1,p2", ["p1", "p2"]),
        (f"Patient?identifier={MEDICAL_RECORD}|MRN-1", ["p1"]),
        ("Patient?identifier=MRN-1", ["p1"]),
        (f"Patient?identifier={MEDICAL_RECORD}|", ["p1", "p2"]),
        ("Patient?identifier=|MRN-1", []),
        (f"Patient?identifier={LONG}", ["p2"]),
        ("Patient?identifier=mrn-1", []),
        ("Observation?patient=p1", ["o1", "o2"]),
        ("Observation?patient=Patient/p1", ["o1", "o2"]),
        ("Observation?patient=http://dermatome.test/fhir/Patient/p1", ["o1", "o2"]),
        ("Observation?subject:Patient=p2", ["o3"]),
        ("Observation?subject:Group=p2", []),
        ("Observation?subject=Patient/p1,Patient/p2", ["o1", "o2", "o3"]),
        ("Observation?code=https://example.org/codes|a", ["o1", "o2"]),
        ("Observation?code=a", ["o1", "o2", "o3"]),
        ("Observation?code=|a", ["o3"]),
        ("Observation?code=a&code=b", ["o3"]),
        ("Observation?code=a&patient=p2", ["o3"]),
        ("Observation?_lastUpdated=gt2020&_lastUpdated=lt2100-01-01T00:00:00+02:00", ["o1", "o2", "o3"]),
        ("Observation?_lastUpdated=lt2020", []),
        ("Observation?_lastUpdated=lt2020,gt2020", ["o1", "o2", "o3"]),
        (r"Patient?identifier=urn:oid:1.2.3|MRN\-1,x", []),
        ("Observation?_lastUpdated=ne2020-02", ["o1", "o2", "o3"]),
    ],
)
async def test_search_finds(filled: httpx.AsyncClient, search: str, found: list[str]) -> None:
    answer = await filled.get(f"/fhir/{search}")

    assert answer.status_code == 200, answer.text
    assert [e["resource"]["id"] for e in answer.json().get("entry", [])] == found
    assert answer.json()["total"] == len(found)


@pytest.mark.parametrize(
    "search",
    [
        "Patient?_count=-1",
        "Patient?_count=many",
        "Patient?_lastUpdated=yesterday",
        "Patient?_lastUpdated=xx2020",
        "Patient?identifier:exact=1",
        "Patient?identifier=",
        "Patient?_cursor=zzz",
        "Observation?subject:nope=1",
        "Observation?subject:Bogus=1",
        "Patient?identifier=|",
        "Patient?_lastUpdated=2020-01-01T00:00:00%2B99:99",
        "Patient?identifier=" + ",".join("a" * 300),
    ],
)
async def test_a_malformed_search_is_refused_with_the_parameter(client: httpx.AsyncClient, search: str) -> None:
    answer = await client.get(f"/fhir/{search}")

    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == [search.partition("?")[2].partition("=")[0]]


async def test_an_unknown_parameter_is_reported_and_left_out_of_the_self_link(filled: httpx.AsyncClient) -> None:
    answer = (await filled.get("/fhir/Patient?_id=p1&nickname=x")).json()

    outcomes = [e["resource"] for e in answer["entry"] if e["search"]["mode"] == "outcome"]
    assert outcomes[0]["issue"][0]["severity"] == "warning"
    assert outcomes[0]["issue"][0]["expression"] == ["nickname"]
    assert "nickname" not in answer["link"][0]["url"]
    assert answer["total"] == 1


async def test_an_unknown_parameter_is_refused_when_handling_is_strict(filled: httpx.AsyncClient) -> None:
    answer = await filled.get("/fhir/Patient?nickname=x", headers={"Prefer": "handling=strict"})

    assert answer.status_code == 400


async def test_pages_show_each_match_once_also_while_others_write(filled: httpx.AsyncClient) -> None:
    seen, address = [], "/fhir/Observation?_count=1"
    while address:
        page = (await filled.get(address)).json()
        seen += [e["resource"]["id"] for e in page["entry"]]
        await filled.put(f"/fhir/Observation/{seen[-1]}", json=observation(id=seen[-1], status="amended"))
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")

    assert seen == ["o1", "o2", "o3"]


async def test_a_new_version_is_found_by_its_new_values_only(filled: httpx.AsyncClient) -> None:
    await filled.put("/fhir/Observation/o1", json=observation("Patient/p2", id="o1"))

    assert (await filled.get("/fhir/Observation?patient=p1&_count=0")).json()["total"] == 1
    assert (await filled.get("/fhir/Observation?patient=p2&_count=0")).json()["total"] == 2
