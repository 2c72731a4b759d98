"""A response to one of our instruments: by the clinic API, by $extract and by FHIR it makes the same resources."""

import asyncio
from typing import Any

import httpx
import pytest

from app.intake.extraction import stored_parts
from app.settings import Settings
from tests.answers import count, expressions, issues
from tests.builders import bundle, entry, patient
from tests.conftest import BASE, serving
from tests.forms import COMPLETE, Json, answered, assessment, unlinked

OUTCOME = {"Prefer": "return=OperationOutcome"}
FEW = {"burning": True, "itching": False}


async def with_patient(client: httpx.AsyncClient) -> None:
    assert (await client.put("/fhir/Patient/p", json=patient(id="p"))).status_code == 201


async def parts(client: httpx.AsyncClient, response_id: str) -> list[Json]:
    """What belongs to a response, in an order that does not depend on ids."""
    found: list[Json] = []
    for search in (
        f"Observation?derived-from=QuestionnaireResponse/{response_id}",
        f"DetectedIssue?implicated=QuestionnaireResponse/{response_id}",
    ):
        page = (await client.get(f"/fhir/{search}&_count=100")).json()
        found += [one["resource"] for one in page.get("entry", [])]
    return sorted(found, key=_code)


def _code(resource: Json) -> str:
    return str(resource["code"]["coding"][-1])


def of_bundle(made: Json) -> list[Json]:
    resources = [one["resource"] for one in made.get("entry", [])]
    return sorted((one for one in resources if one["resourceType"] != "QuestionnaireResponse"), key=_code)


def states(resources: list[Json]) -> dict[str, str]:
    return {one["code"]["coding"][-1]["code"]: one["status"] for one in resources}


async def test_three_doors_make_the_same_resources_of_the_same_answers(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    for name, answers in COMPLETE.items():
        by_clinic = await client.post("/pain/assessments", json=assessment(name, answers))
        extracted = await client.post(
            "/fhir/QuestionnaireResponse/$extract", json=answered(name, answers, id=f"q-{name}")
        )
        by_fhir = await client.put(
            f"/fhir/QuestionnaireResponse/q-{name}", json=answered(name, answers, id=f"q-{name}")
        )

        assert (by_clinic.status_code, by_fhir.status_code) == (201, 201), (name, by_clinic.text, by_fhir.text)
        wanted = [unlinked(one) for one in await parts(client, by_clinic.json()["id"])]
        came = await parts(client, f"q-{name}")
        told = extracted.json()
        made = told if told["resourceType"] == "Bundle" else told["parameter"][0]["resource"]
        assert [unlinked(one) for one in came] == wanted, name
        assert [unlinked(one) for one in of_bundle(made)] == wanted, name
        assert [one["id"] for one in of_bundle(made)] == [one["id"] for one in came], name
        view = (await client.get(f"/pain/assessments/q-{name}")).json()
        assert (view["answers"], view["scores"]) == (dict(answers), by_clinic.json()["scores"]), name
        assert view["notes"] == [], name


async def test_a_response_without_an_id_is_extracted_with_itself_to_one_transaction(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    made = await client.post("/fhir/QuestionnaireResponse/$extract", json=answered("dn4", FEW))

    stored = await client.post("/fhir", json=made.json(), headers={"Prefer": "return=representation"})

    assert stored.status_code == 200, stored.text
    assert {one["request"]["method"] for one in made.json()["entry"]} == {"POST"}
    first, *others = [one["resource"] for one in stored.json()["entry"]]
    assert {tuple(one["derivedFrom"][0].values()) for one in others} == {(f"QuestionnaireResponse/{first['id']}",)}
    # The Observations came with it, so no second ones were made.
    assert len(await parts(client, first["id"])) == len(others) == 4


REFUSED: tuple[tuple[Json, str], ...] = (
    ({"questionnaire": "https://example.org/Questionnaire/other"}, "questionnaire"),
    ({"questionnaire": "https://w3id.org/dermatome/fhir/Questionnaire/none"}, "questionnaire"),
    ({"status": "in-progress"}, "status"),
    ({"authored": "2999-01-01"}, "authored"),
    ({"authored": None}, "authored"),
    ({"subject": None}, "subject"),
    ({"subject": {"reference": "Group/g"}}, "subject"),
    ({"item": [{"linkId": "burning", "answer": [{"valueInteger": 1}]}]}, "item[0].answer[0]"),
    ({"item": [{"linkId": "unheard", "answer": [{"valueInteger": 1}]}]}, "item[0]"),
)


async def test_what_cannot_be_scored_is_a_422_with_its_place(client: httpx.AsyncClient) -> None:
    for changes, place in REFUSED:
        asked = {name: value for name, value in (answered("dn4", FEW) | changes).items() if value is not None}

        refused = await client.post("/fhir/QuestionnaireResponse/$extract", json=asked)

        assert refused.status_code == 422, refused.text
        assert expressions(refused) == [f"QuestionnaireResponse.{place}"]


async def test_an_amended_response_amends_and_an_entry_in_error_takes_all_along(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    first = await client.put("/fhir/QuestionnaireResponse/q", json=answered("dn4", FEW, id="q"))
    links = first.headers["link"]
    again = await client.put("/fhir/QuestionnaireResponse/q", json=answered("dn4", FEW, id="q"))
    before = await parts(client, "q")
    amended = answered("dn4", {"burning": False}, id="q", status="amended")
    await client.put("/fhir/QuestionnaireResponse/q", json=amended)
    after = await parts(client, "q")
    refused = await client.delete("/fhir/QuestionnaireResponse/q")
    wrong = amended | {"status": "entered-in-error"}
    told = await client.put("/fhir/QuestionnaireResponse/q", json=wrong, headers=OUTCOME)

    assert links.count('rel="related"') == 4
    assert [one["meta"]["versionId"] for one in before] == ["1"] * 4, again.text
    assert states(after) == {
        "dn4": "amended",
        "dn4-interview": "amended",
        "dn4.burning": "amended",
        "dn4.itching": "entered-in-error",
    }
    assert refused.status_code == 409
    assert "dmt-extract" in told.text
    assert set(states(await parts(client, "q")).values()) == {"entered-in-error"}


async def test_an_answer_given_again_takes_its_observation_back(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    for answers in (FEW, {"burning": True}, FEW):
        await client.put("/fhir/QuestionnaireResponse/q", json=answered("dn4", answers, id="q"))

    found = await parts(client, "q")

    assert len(found) == 4
    assert "entered-in-error" not in states(found).values()


async def test_every_way_in_is_scored_once(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    by_patch = [{"op": "add", "path": "/status", "value": "completed"}]
    draft = answered("dn4", FEW, id="patched", status="in-progress")
    named = [{"system": "urn:oid:1.2.3", "value": "form-1"}]
    key = {"Idempotency-Key": "form-2"}

    await client.put("/fhir/QuestionnaireResponse/patched", json=draft)
    assert await count(client, "Observation") == 0
    await client.patch(
        "/fhir/QuestionnaireResponse/patched", json=by_patch, headers={"Content-Type": "application/json-patch+json"}
    )
    for _ in range(2):
        await client.post(
            "/fhir/QuestionnaireResponse",
            json=answered("nrs", {"current": 7}, identifier=named[0]),
            headers={"If-None-Exist": "identifier=urn:oid:1.2.3|form-1"},
        )
        await client.post("/fhir/QuestionnaireResponse", json=answered("nrs", {"current": 3}), headers=key)
        asked = "/fhir/QuestionnaireResponse?identifier=urn:oid:1.2.3|form-3"
        await client.put(asked, json=answered("nrs", {"current": 4}, identifier=named[0] | {"value": "form-3"}))
    in_bundle = answered("nrs", {"current": 5}, subject={"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"})
    new = entry(patient("new"), full_url="urn:uuid:00000000-0000-4000-8000-000000000001")
    for kind in ("transaction", "batch"):
        entries = [new, entry(in_bundle)] if kind == "transaction" else [entry(answered("nrs", {"current": 6}))]
        made = await client.post("/fhir", json=bundle(*entries, kind=kind), headers=OUTCOME)
        assert len(made.json()["entry"]) == len(entries)
        assert "dmt-extract" in str(made.json()["entry"][-1]["response"]["outcome"])

    found = (await client.get("/fhir/Observation?_count=100")).json()["entry"]
    values = sorted(
        one["resource"]["valueQuantity"]["value"]
        for one in found
        if one["resource"].get("method", {}).get("coding", [{}])[0]["code"] == "nrs"
    )
    assert values == [3, 4, 5, 6, 7]
    assert len(found) == 5 + 4


async def test_racing_updates_leave_the_observations_of_the_last_answers(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    answers = [{"current": number} for number in range(6)]

    replies = await asyncio.gather(
        *(client.put("/fhir/QuestionnaireResponse/q", json=answered("nrs", each, id="q")) for each in answers)
    )

    assert {one.status_code for one in replies} <= {200, 201}
    stored = (await client.get("/fhir/QuestionnaireResponse/q")).json()
    (observed,) = await parts(client, "q")
    assert observed["valueQuantity"]["value"] == stored["item"][0]["answer"][0]["valueInteger"]


async def test_a_response_given_to_another_patient_takes_its_observations_along(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    await client.put("/fhir/Patient/other", json=patient(id="other"))
    sent = answered("phq-9", dict.fromkeys(COMPLETE["phq-9"], 1), id="q")
    await client.put("/fhir/QuestionnaireResponse/q", json=sent)

    await client.put("/fhir/QuestionnaireResponse/q", json=sent | {"subject": {"reference": "Patient/other"}})

    made = await parts(client, "q")
    assert {(one.get("subject") or one["patient"])["reference"] for one in made} == {"Patient/other"}


# What a response may become that is not scored, and what is told of the Observations of its former answers.
LEFT: tuple[Json, ...] = (
    {"status": "in-progress"},
    {"status": "stopped"},
    {"questionnaire": "https://example.org/Questionnaire/other"},
    {"authored": "2999-01-01"},
)


async def test_observations_whose_response_is_not_scored_any_more_are_told_and_taken_up_again(
    client: httpx.AsyncClient,
) -> None:
    await with_patient(client)
    sent = answered("nrs", {"current": 7}, id="q", author={"reference": "Patient/p"})
    await client.put("/fhir/QuestionnaireResponse/q", json=sent)
    for number, changes in enumerate(LEFT):
        other = sent | changes

        told = await client.put("/fhir/QuestionnaireResponse/q", json=other, headers=OUTCOME)
        again = (
            answered("vas", COMPLETE["vas"], id="q") if number == 2 else sent | {"authored": f"2026-04-0{number + 1}"}
        )
        mended = await client.put("/fhir/QuestionnaireResponse/q", json=again)

        assert any("stay as they are" in one["diagnostics"] for one in issues(told)), (changes, told.text)
        assert mended.status_code == 200, mended.text
        live = [one for one in await parts(client, "q") if one["status"] != "entered-in-error"]
        assert {one["effectiveDateTime"] for one in live} == {again["authored"]}, changes
        assert {one["method"]["coding"][0]["code"] for one in live} == {again["questionnaire"].rpartition("/")[2]}


async def test_what_others_write_into_an_observation_meanwhile_is_not_passed_over(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_patient(client)
    await client.put("/fhir/QuestionnaireResponse/q", json=answered("nrs", {"current": 7}, id="q"))
    (observed,) = await parts(client, "q")
    noted = observed | {"note": [{"text": "Seen."}]}
    replies: list[asyncio.Task[httpx.Response]] = []

    async def while_others_write(*given: Any) -> Any:
        found = await stored_parts(*given)
        if not replies:
            replies.append(asyncio.create_task(client.put(f"/fhir/Observation/{observed['id']}", json=noted)))
            await asyncio.wait(replies, timeout=0.5)
        return found

    monkeypatch.setattr("app.intake.extraction.stored_parts", while_others_write)
    amended = await client.put("/fhir/QuestionnaireResponse/q", json=answered("nrs", {"current": 3}, id="q"))
    written = await replies[0]

    assert (amended.status_code, written.status_code) == (200, 200), (amended.text, written.text)
    (after,) = await parts(client, "q")
    history = (await client.get(f"/fhir/Observation/{observed['id']}/_history")).json()["entry"]
    assert "Seen." in str(after)
    assert [one["resource"]["meta"]["versionId"] for one in history] == ["3", "2", "1"]


async def test_observations_that_come_along_are_told_however_they_name_the_response(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    for number, link in enumerate((f"{BASE}/fhir/QuestionnaireResponse/q0", "QuestionnaireResponse/q1")):
        sent = answered("nrs", {"current": 7}, id=f"q{number}")
        own = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "Pain"},
            "derivedFrom": [{"reference": link}],
        }
        put = entry(sent, method="PUT", url=f"QuestionnaireResponse/q{number}")

        made = await client.post("/fhir", json=bundle(put, entry(own)), headers=OUTCOME)

        assert "came with it" in str(made.json()["entry"][0]["response"]["outcome"]), made.text
        assert await count(client, "Observation") == number + 1


async def test_a_safety_answer_is_told_and_stored_as_an_issue(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    sent = answered("phq-9", dict.fromkeys(COMPLETE["phq-9"], 1), id="q")

    told = await client.put("/fhir/QuestionnaireResponse/q", json=sent, headers=OUTCOME)

    (issue,) = [one for one in await parts(client, "q") if one["resourceType"] == "DetectedIssue"]
    assert (issue["status"], issue["implicated"][0]["reference"]) == ("final", "QuestionnaireResponse/q")
    assert issue["detail"] in told.text


async def test_a_score_of_the_form_that_differs_is_told_and_ours_is_stored(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    sent = answered("dn4", COMPLETE["dn4"], id="q")
    sent["item"].append({"linkId": "score.dn4", "answer": [{"valueDecimal": 9}]})

    told = await client.put("/fhir/QuestionnaireResponse/q", json=sent, headers=OUTCOME)

    assert any("says 9 for the score dn4; by its answers it is 6" in one["diagnostics"] for one in issues(told))
    (total,) = [one for one in await parts(client, "q") if one["code"]["coding"][-1]["code"] == "dn4"]
    assert total["valueQuantity"]["value"] == 6


async def test_the_clinic_api_amends_what_came_by_fhir(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    sent = answered("dn4", COMPLETE["dn4"], id="q", author={"reference": "Device/form"})
    sent["item"].append({"linkId": "score.dn4", "answer": [{"valueDecimal": 6}]})
    await client.put("/fhir/QuestionnaireResponse/q", json=sent)
    view = (await client.get("/pain/assessments/q")).json()

    same = await client.put("/pain/assessments/q", json=view)
    unchanged = (await client.get("/fhir/QuestionnaireResponse/q")).json()
    changed = await client.put("/pain/assessments/q", json=view | {"answers": view["answers"] | {"burning": False}})
    after = (await client.get("/fhir/QuestionnaireResponse/q")).json()

    assert (same.status_code, changed.status_code) == (200, 200), (same.text, changed.text)
    assert (unchanged["meta"]["versionId"], unchanged["item"]) == ("1", sent["item"])
    assert "score.dn4" not in [one["linkId"] for one in after["item"]]
    assert after["author"] == {"reference": "Device/form"}
    (total,) = [one for one in await parts(client, "q") if one["code"]["coding"][-1]["code"] == "dn4"]
    assert (total["status"], total["valueQuantity"]["value"]) == ("amended", 5)


async def test_what_was_stored_and_not_scored_is_told(client: httpx.AsyncClient) -> None:
    sent = answered("dn4", FEW, id="q", authored="2999-01-01")

    told = await client.put("/fhir/QuestionnaireResponse/q", json=sent, headers=OUTCOME)

    assert told.status_code == 201
    assert any("no score made of it" in one["diagnostics"] for one in issues(told))
    assert await count(client, "Observation") == 0


async def test_nothing_is_scored_where_the_operator_wants_it_so(tmp_path: Any) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'off.db'}"
    async with serving(Settings(database_url=url, log_level="error", extract="off")) as client:
        await with_patient(client)
        await client.put("/fhir/QuestionnaireResponse/q", json=answered("dn4", FEW, id="q"))

        assert await count(client, "Observation") == 0


async def test_a_form_filler_reads_fills_and_sends_a_form(client: httpx.AsyncClient) -> None:
    await with_patient(client)
    (found,) = (await client.get("/fhir/Questionnaire", params={"code": "http://loinc.org|44261-6"})).json()["entry"]
    form = found["resource"]
    worst = [{"linkId": one["linkId"], "text": one["text"], "answer": [_worst(one)]} for one in _asked(form)]
    sent = {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": f"{form['url']}|{form['version']}",
        "status": "completed",
        "subject": {"reference": "Patient/p"},
        "authored": "2026-05-01T09:30:00Z",
        "item": worst,
    }

    stored = await client.post("/fhir/QuestionnaireResponse", json=sent)

    total = await client.get("/fhir/Observation", params={"code": "http://loinc.org|44261-6", "patient": "p"})
    (score,) = total.json()["entry"]
    assert stored.status_code == 201
    assert score["resource"]["valueQuantity"]["value"] == 27
    assert score["resource"]["derivedFrom"][0]["reference"].endswith(stored.json()["id"])


def _asked(form: Json) -> list[Json]:
    return [one for one in form["item"] if not one.get("readOnly")]


def _worst(item: Json) -> Json:
    """The greatest number the form takes."""
    limits = {one["url"].rpartition("/")[2]: one for one in item["extension"]}
    return {"valueInteger": limits["maxValue"]["valueInteger"]}
