"""Two records of one patient are made one, and two again: what refers to them follows, whatever was written since."""

import httpx
import pytest

from tests.builders import MEDICAL_RECORD, Json, observation, patient
from tests.forms import COMPLETE, assessment
from tests.rights.test_erase import about, member, put
from tests.security.limited import limited

SOURCE = {"name": "source-patient", "valueReference": {"reference": "Patient/s"}}
TARGET = {"name": "target-patient", "valueReference": {"reference": "Patient/t"}}
PREVIEW = {"name": "preview", "valueBoolean": True}


def parameters(*parts: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(parts)}


def identified(side: str, value: str) -> Json:
    return {"name": f"{side}-patient-identifier", "valueIdentifier": {"system": MEDICAL_RECORD, "value": value}}


async def merge(client: httpx.AsyncClient, *more: Json, code: str = "merge", **headers: str) -> httpx.Response:
    return await client.post(f"/fhir/Patient/${code}", json=parameters(SOURCE, TARGET, *more), headers=headers)


async def done(client: httpx.AsyncClient, *more: Json, code: str = "merge") -> dict[str, Json]:
    answer = await merge(client, *more, code=code)
    assert answer.status_code == 200, answer.text
    return {each["name"]: each["resource"] for each in answer.json()["parameter"]}


async def read(client: httpx.AsyncClient, name: str) -> Json:
    answer = await client.get(f"/fhir/{name}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


async def subject(client: httpx.AsyncClient, name: str) -> str:
    return str((await read(client, name))["subject"]["reference"])


def without_meta(resource: Json) -> Json:
    return {name: value for name, value in resource.items() if name != "meta"}


async def filled(client: httpx.AsyncClient) -> None:
    """Source and target, each with an assessment, and others that refer to the source."""
    await put(client, patient("one", id="s", active=True, birthDate="1960-01-01"))
    await put(client, patient("two", id="t"))
    for who in ("s", "t"):
        made = assessment("dn4", COMPLETE["dn4"], patient=f"Patient/{who}")
        answer = await client.post("/pain/assessments", json=made)
        assert answer.status_code == 201, answer.text
    await put(
        client, observation("Patient/s", id="o", note=[{"text": "a", "authorReference": {"reference": "Patient/s"}}])
    )
    await put(client, about("Group", id="study", type="person", actual=True, member=[member("s"), member("t")]))
    stated = [{"fullUrl": "http://x/Observation/1", "resource": observation("Patient/s", id="1")}]
    await put(client, about("Bundle", id="document", type="collection", entry=stated))


async def everything(client: httpx.AsyncClient, who: str) -> set[str]:
    answer = await client.get(f"/fhir/Patient/{who}/$everything", params={"_count": "200"})
    found = (each["resource"] for each in answer.json()["entry"])
    apart = ("Patient", "Provenance")
    return {f"{each['resourceType']}/{each['id']}" for each in found if each["resourceType"] not in apart}


async def test_what_refers_to_the_source_refers_to_the_target(client: httpx.AsyncClient) -> None:
    await filled(client)
    before = await everything(client, "s") | await everything(client, "t")

    made = await done(client)

    source, target = await read(client, "Patient/s"), await read(client, "Patient/t")
    assert source["active"] is False
    assert source["link"] == [{"other": {"reference": "Patient/t"}, "type": "replaced-by"}]
    assert target["link"] == [{"other": {"reference": "Patient/s"}, "type": "replaces"}]
    assert [(each["value"], each.get("use")) for each in target["identifier"]] == [("two", None), ("one", "old")]
    assert without_meta(made["result"]) == without_meta(target)
    assert await everything(client, "s") == set()
    assert await everything(client, "t") == before
    moved = await read(client, "Observation/o")
    assert moved["subject"] == moved["note"][0]["authorReference"] == {"reference": "Patient/t"}
    assert (await read(client, "Group/study"))["member"] == [member("t"), member("t")]
    # What says how things were stays.
    assert (await read(client, "Bundle/document"))["entry"][0]["resource"]["subject"] == {"reference": "Patient/s"}
    told = [each["diagnostics"] for each in made["outcome"]["issue"]]
    assert any(each.startswith("QuestionnaireResponse: 1 changed") for each in told), told
    found = await client.get("/fhir/Provenance", params={"target": "Observation/o"})
    (record,) = [each["resource"] for each in found.json()["entry"]]
    assert {"reference": "Observation/o/_history/2"} in record["target"]
    assert {"reference": "Patient/s/_history/1"} in [each["what"] for each in record["entity"]]
    assessments = await client.get("/fhir/QuestionnaireResponse", params={"subject": "Patient/t"})
    assert len(assessments.json()["entry"]) == 2


async def test_a_reversal_gives_back_what_was_moved_and_leaves_what_came_since(client: httpx.AsyncClient) -> None:
    await filled(client)
    names = ("Patient/s", "Patient/t", "Observation/o", "Group/study", "Bundle/document")
    before = {name: without_meta(await read(client, name)) for name in names}
    mine = await everything(client, "s")
    await done(client)
    # Changed since, deleted since, and new since.
    changed = await read(client, "Observation/o")
    await put(client, changed | {"valueInteger": 7})
    await put(client, observation("Patient/t", id="new"))
    deleted = next(each for each in mine if each.startswith("Observation/") and each != "Observation/o")
    response = await client.delete(f"/fhir/{deleted}")

    await done(client, code="unmerge")

    after = {name: without_meta(await read(client, name)) for name in names}
    assert after == before | {"Observation/o": before["Observation/o"] | {"valueInteger": 7}}
    assert await subject(client, "Observation/new") == "Patient/t"
    assert await everything(client, "s") == mine - ({deleted} if response.status_code < 300 else set())
    assert (await merge(client, code="unmerge")).status_code == 422
    # And once more, from the beginning.
    await done(client)
    assert await subject(client, "Observation/o") == "Patient/t"
    await done(client, code="unmerge")
    assert await subject(client, "Observation/o") == "Patient/s"


async def test_what_came_to_the_source_since_is_merged_by_asking_again(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    await put(client, observation("Patient/s", id="first"))
    await done(client)
    await put(client, observation("Patient/s", id="late"))

    await done(client)

    assert await subject(client, "Observation/late") == "Patient/t"
    await done(client, code="unmerge")
    assert [await subject(client, f"Observation/{name}") for name in ("first", "late")] == ["Patient/s"] * 2


async def test_what_cannot_be_told_apart_any_more_is_named_and_nothing_changed(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    await put(client, about("Group", id="study", type="person", actual=True, member=[member("s"), member("t")]))
    await done(client)
    await put(client, await read(client, "Group/study") | {"name": "Renamed"})

    answer = await merge(client, code="unmerge")

    assert answer.status_code == 409
    assert "Group/study" in answer.json()["issue"][0]["diagnostics"]
    assert (await read(client, "Patient/s"))["active"] is False


async def test_a_preview_changes_nothing(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    await put(client, observation("Patient/s", id="o"))

    made = await done(client, PREVIEW)

    assert made["result"]["link"]
    assert "would change" in made["outcome"]["issue"][0]["diagnostics"]
    assert [(await read(client, f"{n}"))["meta"]["versionId"] for n in ("Patient/s", "Patient/t", "Observation/o")] == [
        "1"
    ] * 3


async def test_patients_are_found_by_identifiers(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    asked = parameters(identified("source", "one"), identified("target", "two"))

    answer = await client.post("/fhir/Patient/$merge", json=asked)

    assert answer.status_code == 200, answer.text
    assert (await read(client, "Patient/s"))["active"] is False


async def test_the_client_may_say_what_becomes_of_the_target(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    whole = [{"system": MEDICAL_RECORD, "value": value} for value in ("one", "two")]
    result = patient(
        id="t", identifier=whole, gender="other", link=[{"other": {"reference": "Patient/s"}, "type": "replaces"}]
    )

    lacking = [
        await merge(client, {"name": "result-patient", "resource": result | change})
        for change in (
            {"id": "u"},
            {"link": [{"other": {"reference": "Patient/s"}, "type": "seealso"}]},
            {"identifier": whole[1:]},
        )
    ]
    made = await done(client, {"name": "result-patient", "resource": result})

    assert [each.status_code for each in lacking] == [422] * 3
    assert without_meta(made["result"]) == result
    assert without_meta(await read(client, "Patient/t")) == result


async def test_a_repeated_request_gets_the_same_answer(client: httpx.AsyncClient) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))
    key = {"Idempotency-Key": "merge-1"}

    first, second = await merge(client, **key), await merge(client, **key)

    assert first.status_code == second.status_code == 200
    assert first.content == second.content
    assert (await read(client, "Patient/t"))["meta"]["versionId"] == "2"


REFUSED: list[tuple[tuple[Json, ...], int]] = [
    ((SOURCE,), 422),
    ((SOURCE, {**SOURCE, "name": "target-patient"}), 422),
    ((SOURCE, {"name": "target-patient", "valueReference": {"reference": "Patient/nobody"}}), 404),
    ((SOURCE, {"name": "target-patient", "valueReference": {"reference": "Group/study"}}), 422),
    ((SOURCE, {"name": "target-patient", "valueReference": {"reference": "Patient/gone"}}), 410),
    ((identified("source", "nobody"), TARGET), 422),
    ((SOURCE, identified("source", "two"), TARGET), 422),
    ((SOURCE, TARGET, {"name": "force", "valueBoolean": True}), 400),
    ((SOURCE, TARGET, {"name": "preview", "valueString": "yes"}), 400),
    (({"name": "source-patient", "valueReference": {"reference": "Patient/merged"}}, TARGET), 422),
    ((SOURCE, {"name": "target-patient", "valueReference": {"reference": "Patient/merged"}}), 422),
]


@pytest.mark.parametrize(("parts", "status"), REFUSED)
async def test_bad_requests_change_nothing(client: httpx.AsyncClient, parts: tuple[Json, ...], status: int) -> None:
    replaced = [{"other": {"reference": "Patient/u"}, "type": "replaced-by"}]
    for one in (patient("one", id="s"), patient("two", id="t"), patient(id="u"), patient(id="merged", link=replaced)):
        await put(client, one)
    await put(client, patient(id="gone"))
    await client.delete("/fhir/Patient/gone")

    answer = await client.post("/fhir/Patient/$merge", json=parameters(*parts))

    assert answer.status_code == status, answer.text
    assert (await read(client, "Patient/s"))["meta"]["versionId"] == "1"


@pytest.mark.parametrize("code", ["merge", "unmerge"])
async def test_only_administrators_may(client: httpx.AsyncClient, code: str) -> None:
    await put(client, patient("one", id="s"))
    await put(client, patient("two", id="t"))

    assert (await merge(limited(client, "system/*.cruds"), code=code)).status_code == 403
