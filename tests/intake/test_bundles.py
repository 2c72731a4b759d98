"""Batches and transactions, on both databases."""

import asyncio

import httpx
import pytest

from tests.answers import count, expressions, issues
from tests.builders import MEDICAL_RECORD, Json, bundle, entry, observation, patient

URN = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"
OTHER_URN = "urn:uuid:7f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"
CONDITION = f"identifier={MEDICAL_RECORD}|MRN-7"


async def test_links_between_entries_become_literal_references(client: httpx.AsyncClient) -> None:
    about = {"url": "https://example.org/about", "valueReference": {"reference": URN}}
    linked = observation(URN, extension=[about], note=[{"text": f"not a link: {URN}"}])

    answer = await client.post("/fhir", json=bundle(entry(linked), entry(patient(), full_url=URN)))

    places = [e["response"]["location"].partition("/fhir/")[2] for e in answer.json()["entry"]]
    stored = (await client.get(f"/fhir/{places[0]}")).json()
    new = places[1].partition("/_history")[0]
    assert answer.json()["type"] == "transaction-response"
    assert stored["subject"]["reference"] == stored["extension"][0]["valueReference"]["reference"] == new
    assert stored["note"][0]["text"] == f"not a link: {URN}"


async def test_conditional_creates_and_references_meet_the_existing_resource(client: httpx.AsyncClient) -> None:
    existing = (await client.post("/fhir/Patient", json=patient("MRN-7"))).json()["id"]

    answer = await client.post(
        "/fhir",
        json=bundle(
            entry(patient("MRN-7"), full_url=URN, ifNoneExist=CONDITION),
            entry(observation(URN)),
            entry(observation(f"Patient?{CONDITION}")),
        ),
    )

    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["200", "201", "201"]
    assert await count(client, "Patient") == 1
    assert await count(client, "Observation", patient=existing) == 2


async def test_parallel_transactions_on_one_condition_agree(client: httpx.AsyncClient) -> None:
    asked = bundle(entry(patient("MRN-7"), full_url=URN, ifNoneExist=CONDITION), entry(observation(URN)))

    answers = await asyncio.gather(*(client.post("/fhir", json=asked) for _ in range(12)))

    assert [a.status_code for a in answers] == [200] * 12
    assert await count(client, "Patient") == 1
    the_one = (await client.get("/fhir/Patient")).json()["entry"][0]["resource"]["id"]
    assert await count(client, "Observation", patient=the_one) == 12


async def test_a_transaction_with_its_57th_entry_wrong_keeps_nothing(client: httpx.AsyncClient) -> None:
    entries = [entry(observation()) for _ in range(80)]
    entries[56] = entry({"resourceType": "Observation", "status": "final"})

    answer = await client.post("/fhir", json=bundle(*entries))

    assert answer.status_code == 400
    assert expressions(answer) == ["Bundle.entry[56].resource.code"]
    assert await count(client, "Observation") == 0


async def test_a_batch_keeps_the_good_entries_and_says_what_is_wrong_with_the_others(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(
        "/fhir",
        json=bundle(
            entry(patient()),
            entry({"resourceType": "Observation", "status": "final"}),
            entry(None, method="DELETE", url="Patient/never"),
            entry(None, method="PATCH", url="Patient/1"),
            entry(observation(), url="Patient"),
            kind="batch",
        ),
    )

    entries = answer.json()["entry"]
    assert [e["response"]["status"] for e in entries] == ["201", "400", "204", "400", "400"]
    assert entries[1]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[1].resource.code"]
    assert await count(client, "Patient") == 1


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ({"resourceType": "Bundle", "type": "collection"}, "Bundle.type"),
        ({"resourceType": "Bundle"}, "Bundle.type"),
        (bundle({"resource": patient()}), "Bundle.entry[0].request"),
        (bundle(entry(patient(), method="PUT", url="Patient")), "Bundle.entry[0].request.url"),
        (bundle(entry(patient(), url="Nope")), "Bundle.entry[0].request.url"),
        (bundle(entry(None, url="Patient")), "Bundle.entry[0].resource"),
        (bundle(entry(patient(), ifNoneMatch="*")), "Bundle.entry[0].request.ifNoneMatch"),
        (bundle(entry(patient(id="a"), method="PUT", url="Patient/b")), "Bundle.entry[0].resource.id"),
        (bundle(entry(observation(URN))), "Bundle.entry[0].resource.subject"),
        (
            bundle(*(entry(patient(id="a"), method="PUT", url="Patient/a") for _ in range(2))),
            "Bundle.entry[1]",
        ),
        ({"resourceType": "Bundle", "type": "transaction", "entry": "x"}, "Bundle.entry"),
    ],
)
async def test_a_wrong_transaction_is_refused_with_the_place(client: httpx.AsyncClient, sent: Json, where: str) -> None:
    answer = await client.post("/fhir", json=sent)

    assert 400 <= answer.status_code < 500
    assert where in expressions(answer)
    assert await count(client, "Patient") == 0


async def test_two_creates_on_one_condition_in_one_transaction_are_refused(client: httpx.AsyncClient) -> None:
    asked = bundle(*(entry(patient("MRN-7"), full_url=u, ifNoneExist=CONDITION) for u in (URN, OTHER_URN)))

    answer = await client.post("/fhir", json=asked)

    assert answer.status_code == 400
    assert issues(answer)[0]["code"] == "duplicate"
    assert await count(client, "Patient") == 0


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_a_bundle_sent_again_with_its_key_is_answered_again_and_done_once(
    client: httpx.AsyncClient, kind: str
) -> None:
    asked = bundle(entry(patient("MRN-1")), entry(observation()), kind=kind)

    answers = [await client.post("/fhir", json=asked, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert answers[0].content == answers[1].content
    assert (await count(client, "Patient"), await count(client, "Observation")) == (1, 1)


async def test_an_empty_transaction_does_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir", json=bundle())

    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


async def test_a_relative_reference_is_relative_to_its_own_entry(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/q", json=patient("here", id="q"))
    asked = bundle(
        entry(patient("a", id="q"), full_url="http://a/fhir/Patient/q"),
        entry(patient("b", id="q"), full_url="http://b/fhir/Patient/q"),
        entry(observation("Patient/q"), full_url="http://a/fhir/Observation/1"),
        entry(observation("Patient/q"), full_url="http://b/fhir/Observation/1"),
        entry(observation("Patient/q"), full_url=URN),
    )

    answer = (await client.post("/fhir", json=asked)).json()

    places = [one["response"]["location"].partition("/fhir/")[2].partition("/_history")[0] for one in answer["entry"]]
    subjects = [(await client.get(f"/fhir/{place}")).json()["subject"]["reference"] for place in places[2:]]
    assert subjects == [places[0], places[1], "Patient/q"]


async def test_the_same_condition_spelled_otherwise_is_the_same(client: httpx.AsyncClient) -> None:
    other = CONDITION.replace("|", "%7C").replace(":", "%3A")
    asked = bundle(entry(patient("MRN-7"), ifNoneExist=CONDITION), entry(patient("MRN-7"), ifNoneExist=other))

    answer = await client.post("/fhir", json=asked)

    assert issues(answer)[0]["code"] == "duplicate"


@pytest.mark.parametrize(
    "condition",
    [
        "",
        " ",
        "_count=1",
        "_format=json",
        "_cursor=1",
        "identifier",
        "nickname=x",
        "Observation?code=x",
        "_id=a&_count=5",
    ],
)
async def test_a_condition_that_does_not_select_is_refused(client: httpx.AsyncClient, condition: str) -> None:
    await client.post("/fhir/Patient", json=patient("MRN-1"))

    direct = await client.post("/fhir/Patient", json=patient(), headers={"If-None-Exist": condition})
    inside = await client.post("/fhir", json=bundle(entry(patient(), ifNoneExist=condition)))

    assert (direct.status_code, inside.status_code) == (400, 400)
    assert all("entry[0]" in place for place in expressions(inside))
    assert await count(client, "Patient") == 1


async def test_conditional_creates_meet_whatever_way_they_are_spelled(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/x", json=patient(id="x"))
    spellings = ("subject=Patient/x", "subject:Patient=x", "patient=x", "patient=Patient/x")

    answers = await asyncio.gather(
        *(
            client.post("/fhir/Observation", json=observation("Patient/x"), headers={"If-None-Exist": spelling})
            for spelling in spellings * 6
        )
    )

    assert sorted(a.status_code for a in answers) == [200] * 23 + [201]


async def test_conditional_creates_see_plain_writes_of_the_same_identifier(client: httpx.AsyncClient) -> None:
    plain = [client.put("/fhir/Patient/p", json=patient("MRN-7", id="p"))]
    conditional = [
        client.post("/fhir/Patient", json=patient("MRN-7"), headers={"If-None-Exist": f"identifier=a|b,{value}"})
        for value in (f"{MEDICAL_RECORD}|MRN-7", "MRN-7") * 6
    ]

    await asyncio.gather(*conditional[:6], *plain, *conditional[6:])

    # The plain PUT may come after a conditional create has made one: two at most, and never two conditional ones.
    made = [e["resource"]["id"] for e in (await client.get("/fhir/Patient")).json()["entry"]]
    assert len([name for name in made if name != "p"]) <= 1


async def test_large_transactions_side_by_side_all_get_through(client: httpx.AsyncClient) -> None:
    asked = [
        bundle(*(entry(patient(id=f"p{n}"), method="PUT", url=f"Patient/p{n}") for n in order))
        for order in (range(900), reversed(range(900)), range(450, 1350))
    ]

    answers = await asyncio.gather(*(client.post("/fhir", json=one) for one in asked))

    assert [a.status_code for a in answers] == [200, 200, 200]
    assert await count(client, "Patient") == 1350


async def test_a_batch_reads_and_searches(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/p", json=patient("MRN-7", id="p"))
    search = f"Patient?{CONDITION}"
    urls = ("Patient/p", "/Patient/p", search, "Patient/p/_history/1", "Patient/none", "Nope", "../sync/status")

    answer = await client.post(
        "/fhir", json=bundle(*(entry(None, method="GET", url=url) for url in urls), kind="batch")
    )

    entries = answer.json()["entry"]
    assert [e["response"]["status"] for e in entries] == ["200", "200", "200", "200", "404", "404", "404"]
    assert entries[0]["resource"]["id"] == entries[1]["resource"]["id"] == "p"
    assert entries[0]["response"]["etag"] == 'W/"1"'
    assert entries[2]["resource"]["total"] == 1
    assert entries[4]["response"]["outcome"]["resourceType"] == "OperationOutcome"


async def test_a_transaction_reads_what_it_has_written(client: httpx.AsyncClient) -> None:
    asked = bundle(
        entry(None, method="GET", url="Patient/p"),
        entry(None, method="GET", url=f"Patient?{CONDITION}"),
        entry(patient("MRN-7", id="p"), method="PUT", url="Patient/p"),
        entry(None, method="GET", url="Patient/p/_history"),
    )

    answer = await client.post("/fhir", json=asked)

    entries = answer.json()["entry"]
    assert [e["response"]["status"] for e in entries] == ["200", "200", "201", "200"]
    assert entries[0]["resource"]["id"] == "p"
    assert entries[1]["resource"]["total"] == 1
    assert entries[3]["resource"]["total"] == 1


async def test_a_transaction_whose_reading_fails_writes_nothing(client: httpx.AsyncClient) -> None:
    asked = bundle(entry(patient("MRN-7")), entry(None, method="GET", url="Patient/never"))

    answer = await client.post("/fhir", json=asked)

    assert answer.status_code == 404
    assert expressions(answer) == ["Bundle.entry[1].request.url"]
    assert await count(client, "Patient") == 0


async def test_keyed_transactions_side_by_side_do_not_wait_for_each_other_for_ever(client: httpx.AsyncClient) -> None:
    asked = [bundle(*(entry(patient(f"{n}-{m}")) for m in range(100))) for n in range(12)]

    answers = await asyncio.gather(
        *(client.post("/fhir", json=one, headers={"Idempotency-Key": f"k{n}"}) for n, one in enumerate(asked))
    )

    assert [a.status_code for a in answers] == [200] * 12
    assert await count(client, "Patient") == 1200


async def test_a_bundle_kept_as_it_is_keeps_its_own_links(client: httpx.AsyncClient) -> None:
    inner = bundle({"fullUrl": URN, "resource": patient()}, {"resource": observation(URN), "fullUrl": OTHER_URN})
    inner["type"] = "collection"

    answer = await client.post("/fhir", json=bundle(entry(inner), entry(patient(), full_url=URN)))

    assert answer.status_code == 200, answer.text
    kept = (await client.get("/fhir/Bundle")).json()["entry"][0]["resource"]
    assert kept["entry"][1]["resource"]["subject"]["reference"] == URN
