"""Posted profiles, value sets and code systems take part in validation: here, in other processes, after a restart."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Settings
from app.validation.packages.definitions import Definitions
from tests.answers import count
from tests.conftest import serving
from tests.validation.samples import OBSERVATION, PATIENT, changed
from tests.validation.test_profiles import SLICED, element, structure

BASE = "https://example.org/StructureDefinition"
FINAL = f"{BASE}/final"
DERIVED = f"{BASE}/derived"
CODES = "https://example.org/codes"
METHODS = "https://example.org/ValueSet/methods"


def profile(url: str, *elements: dict[str, Any], **rest: Any) -> dict[str, Any]:
    about = {"name": "Example", "status": "draft", "abstract": False, "fhirVersion": "4.0.1"}
    return structure(url, "Observation", *elements, **about) | rest


def value_set(*codes: str) -> dict[str, Any]:
    include = {"system": CODES, "concept": [{"code": code} for code in codes]}
    return {"resourceType": "ValueSet", "url": METHODS, "status": "active", "compose": {"include": [include]}}


def claims(url: str, **rest: Any) -> dict[str, Any]:
    return OBSERVATION | {"meta": {"profile": [url]}} | rest


STATUS = element("Observation.status", fixedCode="final")
PROFILE = profile(FINAL, STATUS)
AMENDED = claims(FINAL, status="amended")


@pytest.fixture
async def other(database_url: str, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Another process on the same database."""
    async with serving(Settings(database_url=database_url, log_level="error")) as client:
        yield client


async def put(client: httpx.AsyncClient, resource: dict[str, Any], id_: str) -> httpx.Response:
    type_ = resource["resourceType"]
    return await client.put(f"/fhir/{type_}/{id_}", json=resource | {"id": id_})


async def status(client: httpx.AsyncClient, resource: dict[str, Any]) -> int:
    without_id = {name: value for name, value in resource.items() if name != "id"}
    return (await client.post("/fhir/Observation", json=without_id)).status_code


def issues(response: httpx.Response) -> list[tuple[str, str, str]]:
    found = response.json()["issue"]
    return [(each["severity"], each["code"], each.get("expression", [""])[0]) for each in found]


async def test_a_posted_profile_holds_from_the_next_request_until_it_is_deleted(client: httpx.AsyncClient) -> None:
    before = await status(client, AMENDED)
    created = await put(client, PROFILE, "final")
    held = await status(client, AMENDED)
    await put(client, profile(FINAL, element("Observation.method", min=1)), "final")
    updated = await status(client, AMENDED | {"method": {"text": "x"}}), await status(client, AMENDED)
    await client.delete("/fhir/StructureDefinition/final")
    after = await status(client, AMENDED)

    assert (before, created.status_code, held, updated, after) == (201, 201, 422, (201, 422), 201)


async def test_a_profile_of_a_transaction_holds_afterwards(client: httpx.AsyncClient) -> None:
    entries = [
        {"resource": PROFILE, "request": {"method": "POST", "url": "StructureDefinition"}},
        {
            "resource": profile(DERIVED, element("Observation.method", min=1), baseDefinition=FINAL),
            "request": {"method": "POST", "url": "StructureDefinition"},
        },
    ]

    done = await client.post("/fhir", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})

    assert done.status_code == 200
    assert await status(client, claims(DERIVED)) == 422
    assert await status(client, claims(DERIVED, method={"text": "x"})) == 201


async def test_a_posted_value_set_and_code_system_decide(client: httpx.AsyncClient) -> None:
    bound = element("Observation.method", binding={"strength": "required", "valueSet": METHODS})
    method = {"coding": [{"system": CODES, "code": "b"}]}
    await put(client, profile(FINAL, bound), "final")
    unknown = await status(client, claims(FINAL, method=method))
    await put(client, value_set("a"), "methods")
    refused = await status(client, claims(FINAL, method=method))
    await put(client, value_set("a", "b"), "methods")
    accepted = await status(client, claims(FINAL, method=method))
    system = {"resourceType": "CodeSystem", "url": CODES, "status": "active", "content": "complete",
              "concept": [{"code": "a"}]}  # fmt: skip
    await put(client, system, "codes")
    not_a_code = await status(client, claims(FINAL, method=method))

    assert (unknown, refused, accepted, not_a_code) == (201, 422, 201, 422)


async def test_another_process_knows_a_new_profile_at_once(client: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    await put(client, PROFILE, "final")

    assert await status(other, AMENDED) == 422


async def test_another_process_validates_by_a_new_profile_at_once(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    await other.post(f"/fhir/Observation/$validate?profile={FINAL}", json=OBSERVATION)
    await put(client, PROFILE, "final")
    await asyncio.sleep(2.1)

    verdict = await other.post(f"/fhir/Observation/$validate?profile={FINAL}", json=OBSERVATION | {"status": "amended"})

    assert verdict.status_code == 200
    assert ("error", "Observation.status") in [(severity, path) for severity, _, path in issues(verdict)]


async def test_another_process_sees_a_change_within_seconds(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    await put(client, PROFILE, "final")
    assert await status(other, AMENDED) == 422
    await client.delete("/fhir/StructureDefinition/final")

    deadline = time.monotonic() + 5
    while (seen := await status(other, AMENDED)) != 201 and time.monotonic() < deadline:
        await asyncio.sleep(0.1)

    assert seen == 201


async def test_a_posted_profile_holds_after_a_restart(client: httpx.AsyncClient, database_url: str) -> None:
    await put(client, PROFILE, "final")

    async with serving(Settings(database_url=database_url, log_level="error")) as again:
        assert await status(again, AMENDED) == 422


RULE = {"key": "x-1", "severity": "error", "human": "x"}
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown base": (
        profile(FINAL, STATUS, baseDefinition=f"{BASE}/nowhere"),
        "StructureDefinition",
        "is not known here",
    ),
    "unknown element": (
        profile(FINAL, element("Observation.status", min=1), element("Observation.colour")),
        "StructureDefinition.differential.element[1]",
        "Observation.colour: there is no element colour",
    ),
    "constraint": (
        profile(FINAL, element("Observation", constraint=[RULE | {"expression": "colour.exists()"}])),
        "StructureDefinition.differential.element[0]",
        "colour",
    ),
    "built on itself": (profile(FINAL, STATUS, baseDefinition=FINAL), "StructureDefinition", "built on itself"),
    "slow pattern": (
        profile(FINAL, element("Observation", constraint=[RULE | {"expression": "status.matches('.*.*.*x')"}])),
        "StructureDefinition.differential.element[0]",
        "too many open repetitions",
    ),
    "computed pattern": (
        profile(FINAL, element("Observation", constraint=[RULE | {"expression": "'a'.matches(code.text)"}])),
        "StructureDefinition.differential.element[0]",
        "not computed",
    ),
    "slicing": (
        profile(FINAL, element("Observation.component:a/b", min=1), element("Observation.component", **SLICED)),
        "StructureDefinition",
        "no slice a",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_profile_that_cannot_be_used_is_refused_with_element_and_reason(
    client: httpx.AsyncClient, name: str
) -> None:
    broken, path, reason = BROKEN[name]
    ours = await count(client, "StructureDefinition")

    response = await client.post("/fhir/StructureDefinition", json=broken)

    assert response.status_code == 422
    assert issues(response) == [("error", "business-rule", path)]
    assert reason in response.json()["issue"][0]["diagnostics"]
    assert await count(client, "StructureDefinition") == ours


async def test_a_profile_that_others_build_on_stays(client: httpx.AsyncClient) -> None:
    await put(client, PROFILE, "final")
    await put(client, profile(DERIVED, element("Observation.component", min=1), baseDefinition=FINAL), "derived")

    deleted = await client.delete("/fhir/StructureDefinition/final")
    narrowed = await put(client, profile(FINAL, element("Observation.component", max="0")), "final")

    assert (deleted.status_code, narrowed.status_code) == (422, 422)
    assert DERIVED in deleted.json()["issue"][0]["diagnostics"]
    assert DERIVED in narrowed.json()["issue"][0]["diagnostics"]
    assert await status(client, AMENDED) == 422


async def test_a_second_resource_with_the_same_url_is_refused(client: httpx.AsyncClient) -> None:
    await put(client, PROFILE, "final")

    again = await client.post("/fhir/StructureDefinition", json=PROFILE)
    same = await put(client, PROFILE, "final")

    assert again.status_code == 422
    assert issues(again) == [("error", "business-rule", "StructureDefinition.url")]
    assert "StructureDefinition/final has this url" in again.json()["issue"][0]["diagnostics"]
    assert same.status_code == 200


async def test_the_repetition_of_a_post_gets_the_first_answer(client: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "profile-1"}

    first = await client.post("/fhir/StructureDefinition", json=PROFILE, headers=headers)
    again = await client.post("/fhir/StructureDefinition", json=PROFILE, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.headers["location"] == again.headers["location"]


async def test_of_definitions_posted_at_once_with_one_url_one_is_taken(
    client: httpx.AsyncClient, other: httpx.AsyncClient
) -> None:
    answers = await asyncio.gather(
        *(each.post("/fhir/StructureDefinition", json=PROFILE) for each in (client, other, client, other))
    )

    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422]
    assert await status(client, AMENDED) == await status(other, AMENDED) == 422


UNUSED = {
    "base": profile("http://hl7.org/fhir/StructureDefinition/bp", element("Observation.method", min=1)),
    "logical": profile(f"{BASE}/model", element("model")) | {"kind": "logical", "type": f"{BASE}/model"},
    "no url": {"resourceType": "CodeSystem", "status": "active", "content": "complete"},
}


@pytest.mark.parametrize("name", UNUSED)
async def test_a_definition_that_plays_no_part_is_stored_and_says_so(client: httpx.AsyncClient, name: str) -> None:
    definition = UNUSED[name]
    if name == "logical":
        definition = definition | {"derivation": "specialization"}
        definition["differential"] = {"element": [{"id": "model", "path": "model"}]}

    response = await client.post(
        f"/fhir/{definition['resourceType']}", json=definition, headers={"Prefer": "return=OperationOutcome"}
    )

    assert response.status_code == 201
    told = [each["diagnostics"] for each in response.json()["issue"] if each["severity"] == "warning"]
    assert any("plays no part in validation here" in each for each in told)


async def test_what_cannot_be_checked_of_a_posted_profile_is_said(client: httpx.AsyncClient) -> None:
    asking = profile(
        FINAL,
        element("Observation", constraint=[RULE]),
        element("Observation.extension:x", type=[{"code": "Extension", "profile": [f"{BASE}/unknown"]}]),
    )

    response = await client.post(
        "/fhir/StructureDefinition", json=asking, headers={"Prefer": "return=OperationOutcome"}
    )

    told = " ".join(each["diagnostics"] for each in response.json()["issue"])
    assert response.status_code == 201
    assert "the constraint x-1 has no FHIRPath expression" in told
    assert f"the profile {BASE}/unknown is not known here" in told


async def test_an_unknown_profile_is_what_the_setting_says(database_url: str) -> None:
    strict = Settings(database_url=database_url, log_level="error", unknown_profiles="error")

    async with serving(strict) as client:
        unknown = await client.post("/fhir/Observation", json=claims(f"{BASE}/unknown"))
        await put(client, PROFILE, "final")
        known = await status(client, claims(FINAL))

    assert unknown.status_code == 422
    assert issues(unknown) == [("error", "business-rule", "Observation.meta.profile[0]")]
    assert known == 201


async def test_a_large_posted_profile_does_not_keep_others_waiting(client: httpx.AsyncClient) -> None:
    slices = [element(f"Observation.component:s{n}.code.text", min=1) for n in range(300)]
    many = profile(FINAL, element("Observation.component", **SLICED), *slices)

    judged, while_judging = await read_meanwhile(client, put(client, many, "final"))
    checked, while_building = await read_meanwhile(client, client.post("/fhir/Observation", json=AMENDED))

    assert (judged.status_code, checked.status_code) == (201, 201)
    # 6 and 13: the threads take turns. One or two where everybody waits for the work.
    assert min(while_judging, while_building) > 2


async def read_meanwhile(
    client: httpx.AsyncClient, request: Coroutine[Any, Any, httpx.Response]
) -> tuple[httpx.Response, int]:
    """The answer to a request, and how many reads were answered meanwhile."""
    task, count = asyncio.create_task(request), 0
    while not task.done():
        await client.get("/fhir/Patient/none")
        count += 1
    return task.result(), count


async def test_packages_hold_and_keep_their_definitions(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "final.json").write_text(json.dumps(PROFILE))
    settings = Settings(database_url=database_url, log_level="error", packages=tmp_path / "packages")
    other = profile(FINAL, element("Observation.status", fixedCode="amended"))
    derived = profile(DERIVED, element("Observation.method", min=1), baseDefinition=FINAL)

    async with serving(settings) as client:
        outcome = await client.post(
            "/fhir/StructureDefinition", json=other, headers={"Prefer": "return=OperationOutcome"}
        )
        built_on = await put(client, derived, "derived")
        statuses = [await status(client, each) for each in (AMENDED, claims(FINAL), claims(DERIVED))]

    assert outcome.status_code == built_on.status_code == 201
    assert any("a package of this server defines its url" in each["diagnostics"] for each in outcome.json()["issue"])
    assert statuses == [422, 201, 422]


async def test_many_definitions_posted_one_by_one_are_put_in_force_once(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    build = Definitions.build

    def counted(self: Definitions) -> None:
        built.append(1)
        build(self)

    monkeypatch.setattr(Definitions, "build", counted)

    for number in range(20):
        await put(client, profile(f"{BASE}/{number}", STATUS), str(number))
    statuses = await asyncio.gather(*(status(client, claims(f"{BASE}/{n}", status="amended")) for n in range(20)))

    assert statuses == [422] * 20
    assert len(built) == 1


async def test_resources_without_profiles_do_not_care(client: httpx.AsyncClient) -> None:
    await put(client, PROFILE, "final")

    assert (await client.post("/fhir/Patient", json=changed(PATIENT, "id", None))).status_code == 201


async def test_many_who_post_definitions_at_once_are_all_served(client: httpx.AsyncClient) -> None:
    profiles = [profile(f"{BASE}/many-{place}", STATUS) for place in range(12)]

    answers = await asyncio.gather(*(put(client, each, f"many-{place}") for place, each in enumerate(profiles)))

    assert {each.status_code for each in answers} == {201}


async def test_a_profile_of_a_datatype_with_a_least_value_is_taken_and_held(client: httpx.AsyncClient) -> None:
    five = {"value": 5, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
    about = {"name": "Least", "status": "draft", "abstract": False, "kind": "complex-type"}
    least = structure(f"{BASE}/least", "Quantity", element("Quantity", minValueQuantity=five), **about)
    user = profile(
        DERIVED, element("Observation.valueQuantity", type=[{"code": "Quantity", "profile": [least["url"]]}])
    )

    posted = [(await put(client, each, id_)).status_code for id_, each in (("least", least), ("user", user))]
    held = [await status(client, claims(DERIVED, valueQuantity=five | {"value": value})) for value in (4, 6)]

    assert posted == [201, 201]
    assert held == [422, 201]
