"""The FHIR door, one resource at a time, on both databases."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.answers import count, expressions, issues
from tests.builders import MEDICAL_RECORD, observation, patient

UNKNOWN_TYPE = [("GET", "/fhir/Nope"), ("GET", "/fhir/Nope/1"), ("POST", "/fhir/Nope"), ("PUT", "/fhir/Nope/1")]


async def test_a_created_resource_is_read_back_as_sent(client: httpx.AsyncClient) -> None:
    text = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'

    created = await client.post("/fhir/Observation", content=text)
    read = await client.get(f"/fhir/Observation/{created.json()['id']}")

    assert created.status_code == 201
    assert created.headers["location"].endswith(f"/fhir/Observation/{created.json()['id']}/_history/1")
    assert created.headers["etag"] == 'W/"1"'
    assert '"value":1.10}' in read.text
    assert read.content == created.content


async def test_a_repeated_update_makes_no_second_version(client: httpx.AsyncClient) -> None:
    resource = patient("MRN-1", id="one")

    answers = [await client.put("/fhir/Patient/one", json=resource) for _ in range(2)]

    assert [a.status_code for a in answers] == [201, 200]
    assert [a.headers["etag"] for a in answers] == ['W/"1"', 'W/"1"']


async def test_history_shows_every_version_newest_first_page_by_page(client: httpx.AsyncClient) -> None:
    for active in (True, False, True):
        await client.put("/fhir/Patient/one", json=patient(id="one", active=active))
    await client.delete("/fhir/Patient/one")

    first = (await client.get("/fhir/Patient/one/_history?_count=3")).json()
    following = next(link["url"] for link in first["link"] if link["relation"] == "next")
    second = (await client.get(following)).json()

    assert first["total"] == 4
    assert [e["request"]["method"] for e in first["entry"]] == ["DELETE", "PUT", "PUT"]
    assert [e["response"]["status"] for e in second["entry"]] == ["201"]
    assert (await client.get("/fhir/Patient/one/_history/2")).json()["active"] is False


async def test_a_deleted_resource_is_gone_and_can_be_made_again(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one"))

    deleted = await client.delete("/fhir/Patient/one")
    gone = await client.get("/fhir/Patient/one")
    again = await client.put("/fhir/Patient/one", json=patient(id="one"))

    assert (deleted.status_code, gone.status_code, again.status_code) == (204, 410, 201)
    assert issues(gone)[0]["code"] == "deleted"
    assert again.headers["etag"] == 'W/"3"'


async def test_a_stale_if_match_changes_nothing(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one", active=True))

    stale = await client.put("/fhir/Patient/one", json=patient(id="one", active=False), headers={"If-Match": 'W/"7"'})
    right = await client.delete("/fhir/Patient/one", headers={"If-Match": 'W/"1"'})

    assert stale.status_code == 412
    assert issues(stale)[0]["code"] == "conflict"
    assert right.status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": 'W/"1"'}, 304),
        ({"If-None-Match": 'W/"2"'}, 200),
        ({"If-Modified-Since": "Fri, 01 May 2126 07:30:00 GMT"}, 304),
        ({"If-Modified-Since": "Fri, 01 May 2020 07:30:00 GMT"}, 200),
        ({"If-Modified-Since": "nonsense"}, 200),
    ],
)
async def test_a_client_that_has_the_version_is_told_so(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one"))

    answer = await client.get("/fhir/Patient/one", headers=headers)

    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"1"'


async def test_a_condition_that_is_not_served_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.put("/fhir/Patient/one", json=patient(id="one"), headers={"If-None-Match": "*"})

    assert answer.status_code == 400
    assert await count(client, "Patient") == 0


async def test_parallel_conditional_creates_make_one_resource(client: httpx.AsyncClient) -> None:
    condition = {"If-None-Exist": f"identifier={MEDICAL_RECORD}|MRN-7"}

    answers = await asyncio.gather(
        *(client.post("/fhir/Patient", json=patient("MRN-7"), headers=condition) for _ in range(24))
    )

    assert sorted(a.status_code for a in answers) == [200] * 23 + [201]
    assert len({a.json()["id"] for a in answers}) == 1
    assert await count(client, "Patient") == 1


async def test_parallel_updates_with_if_match_have_one_winner(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one"))

    answers = await asyncio.gather(
        *(
            client.put("/fhir/Patient/one", json=patient(f"MRN-{n}", id="one"), headers={"If-Match": 'W/"1"'})
            for n in range(12)
        )
    )

    assert sorted(a.status_code for a in answers) == [200] + [412] * 11


async def test_a_condition_that_matches_several_is_refused(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await client.post("/fhir/Patient", json=patient("MRN-7"))

    answer = await client.post(
        "/fhir/Patient", json=patient("MRN-7"), headers={"If-None-Exist": f"identifier={MEDICAL_RECORD}|MRN-7"}
    )

    assert answer.status_code == 412
    assert issues(answer)[0]["code"] == "multiple-matches"


async def test_an_unknown_parameter_in_a_condition_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", json=patient(), headers={"If-None-Exist": "nickname=x"})

    assert answer.status_code == 400
    assert await count(client, "Patient") == 0


async def test_the_answer_to_a_repeated_idempotency_key_is_replayed(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "visit-1"}

    first = await client.post("/fhir/Patient", json=patient("MRN-1"), headers=key)
    second = await client.post("/fhir/Patient", json=patient("MRN-1"), headers=key)
    other = await client.post("/fhir/Patient", json=patient("MRN-2"), headers=key)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"]
    assert other.status_code == 422
    assert await count(client, "Patient") == 1


@pytest.mark.parametrize(("method", "address"), UNKNOWN_TYPE)
async def test_an_unknown_type_is_not_found(client: httpx.AsyncClient, method: str, address: str) -> None:
    answer = await client.request(method, address, json={"resourceType": "Nope", "id": "1"})

    assert answer.status_code == 404
    assert issues(answer)[0]["code"] == "not-found"


@pytest.mark.parametrize(
    ("sent", "status", "where"),
    [
        ({"resourceType": "Patient", "id": "other"}, 400, ["Patient.id"]),
        ({"resourceType": "Patient"}, 400, ["Patient.id"]),
        ({"resourceType": "Observation", "id": "one"}, 400, ["Patient.resourceType"]),
        ({"resourceType": "Patient", "id": "one", "gender": "x"}, 422, ["Patient.gender"]),
        ({"resourceType": "Patient", "id": "one", "birthDate": "x", "nick": "y"}, 400, ["Patient.birthDate"]),
    ],
)
async def test_a_wrong_update_is_refused_with_the_place(
    client: httpx.AsyncClient, sent: dict[str, str], status: int, where: list[str]
) -> None:
    answer = await client.put("/fhir/Patient/one", json=sent)

    assert answer.status_code == status, answer.text
    assert set(where) <= set(expressions(answer))
    assert await count(client, "Patient") == 0


async def test_validate_finds_every_problem_and_stores_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/$validate", json={"resourceType": "Observation", "status": "nope"})

    assert answer.status_code == 200
    assert {"Observation.status", "Observation.code"} <= set(expressions(answer))
    assert await count(client, "Observation") == 0


async def test_validate_takes_parameters(client: httpx.AsyncClient) -> None:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": observation()}]}

    answer = await client.post("/fhir/Observation/$validate", json=parameters)

    assert [issue for issue in issues(answer) if issue["severity"] == "error"] == []


async def test_answers_can_be_minimal_or_an_outcome(client: httpx.AsyncClient) -> None:
    minimal = await client.post("/fhir/Patient", json=patient(), headers={"Prefer": "return=minimal"})
    outcome = await client.post("/fhir/Patient", json=patient(), headers={"Prefer": "return=OperationOutcome"})

    assert (minimal.status_code, minimal.content) == (201, b"")
    assert issues(outcome)


async def test_the_capability_statement_says_what_is_served(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fhir/metadata")

    statement = answer.json()
    check = await client.post("/fhir/$validate", json=statement)
    served = {r["type"]: {p["name"] for p in r["searchParam"]} for r in statement["rest"][0]["resource"]}

    assert [i for i in issues(check) if i["severity"] == "error"] == []
    assert served["Observation"] >= {"_id", "_lastUpdated", "identifier", "patient", "subject", "code", "derived-from"}
    assert len(served) > 140
    assert all("validate" in [each["name"] for each in r["operation"]] for r in statement["rest"][0]["resource"])


@pytest.mark.parametrize("parameter", [None, 5, [], [{"name": "resource"}], [{"name": "mode", "valueCode": "create"}]])
async def test_validate_refuses_parameters_it_cannot_read(client: httpx.AsyncClient, parameter: object) -> None:
    answer = await client.post("/fhir/$validate", json={"resourceType": "Parameters", "parameter": parameter})

    assert answer.status_code == 400
    assert issues(answer)


async def test_if_match_star_asks_for_any_version(client: httpx.AsyncClient) -> None:
    headers = {"If-Match": "*"}

    none = await client.put("/fhir/Patient/one", json=patient(id="one"), headers=headers)
    await client.put("/fhir/Patient/one", json=patient(id="one"))
    some = await client.put("/fhir/Patient/one", json=patient(id="one", active=True), headers=headers)

    assert (none.status_code, some.status_code) == (412, 200)


async def test_pages_of_a_history_hold_while_others_write(client: httpx.AsyncClient) -> None:
    for number in range(12):
        await write_basic(client, f"b{number % 4}", number)

    first = await client.get("/fhir/Basic/_history?_count=5")
    pages, following = [first.json()], next_link(first.json())
    while following:
        # Written while the client leafs through: old resources and new ones.
        writes = (write_basic(client, f"b{number}", 100 + len(pages)) for number in range(8))
        reading = asyncio.create_task(client.get(following))
        await asyncio.gather(*writes)
        pages.append((await reading).json())
        following = next_link(pages[-1])
    again = [(await client.get(self_link(page))).json() for page in pages[1:]]

    versions = [(e["resource"]["id"], e["resource"]["meta"]["versionId"]) for page in pages for e in page["entry"]]
    assert sorted(versions) == sorted((f"b{n % 4}", str(n // 4 + 1)) for n in range(12))
    assert {page["total"] for page in pages} == {12}
    assert again == pages[1:]


async def test_parallel_patches_with_if_match_have_one_winner(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one"))
    headers = {"If-Match": 'W/"1"', "Content-Type": "application/json-patch+json"}

    answers = await asyncio.gather(
        *(
            client.patch(
                "/fhir/Patient/one",
                content=f'[{{"op":"add","path":"/name","value":[{{"family":"f{n}"}}]}}]',
                headers=headers,
            )
            for n in range(12)
        )
    )

    assert sorted(a.status_code for a in answers) == [200] + [412] * 11


async def test_parallel_patches_are_all_done_one_after_the_other(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one", name=[{"family": "first"}]))
    headers = {"Content-Type": "application/json-patch+json"}

    answers = await asyncio.gather(
        *(
            client.patch(
                "/fhir/Patient/one",
                content=f'[{{"op":"add","path":"/name/-","value":{{"family":"f{n}"}}}}]',
                headers=headers,
            )
            for n in range(12)
        )
    )
    names = (await client.get("/fhir/Patient/one")).json()["name"]

    assert [a.status_code for a in answers] == [200] * 12
    assert sorted(name["family"] for name in names) == sorted(["first", *(f"f{n}" for n in range(12))])


async def test_parallel_conditional_updates_make_one_resource(client: httpx.AsyncClient) -> None:
    condition = {"identifier": f"{MEDICAL_RECORD}|MRN-7"}

    answers = await asyncio.gather(
        *(client.put("/fhir/Patient", json=patient("MRN-7", active=n % 2 == 0), params=condition) for n in range(16))
    )

    assert sorted(a.status_code for a in answers) == [200] * 15 + [201]
    assert await count(client, "Patient") == 1


async def test_parallel_deletes_with_if_match_have_one_winner(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/one", json=patient(id="one"))

    answers = await asyncio.gather(
        *(client.delete("/fhir/Patient/one", headers={"If-Match": 'W/"1"'}) for _ in range(8))
    )

    assert sorted(a.status_code for a in answers) == [204] + [412] * 7


async def write_basic(client: httpx.AsyncClient, basic_id: str, number: int) -> None:
    resource = {"resourceType": "Basic", "id": basic_id, "code": {"text": str(number)}}
    answer = await client.put(f"/fhir/Basic/{basic_id}", json=resource)
    assert answer.status_code in (200, 201), answer.text


def next_link(page: dict[str, Any]) -> str:
    return next((link["url"] for link in page["link"] if link["relation"] == "next"), "")


def self_link(page: dict[str, Any]) -> str:
    return next((link["url"] for link in page["link"] if link["relation"] == "self"), "")
