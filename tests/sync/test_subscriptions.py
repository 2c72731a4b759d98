"""Subscriptions: what is written is told to subscribers, numbered without gaps, until they have answered."""

import asyncio
import time
from typing import Any

import httpx

from app import profiles
from app.fhir.json import dumps
from app.settings import Settings
from app.sync.subscriptions.reading import CONTENT, FILTER, HEARTBEAT, MAX_COUNT, TIMEOUT
from tests.builders import Json, bundle, entry, observation, patient
from tests.conftest import serving
from tests.sync.subscriber import SECONDS, Subscriber

SCORES = profiles.canonical("SubscriptionTopic", "new-score")
PLANS = profiles.canonical("SubscriptionTopic", "plan-change")
GRADES = profiles.canonical("SubscriptionTopic", "grade-change")
VALID = profiles.json_files("examples/valid")


def by_criteria(endpoint: str, criteria: str, **channel: Any) -> Json:
    """An R4 Subscription."""
    hook = {"type": "rest-hook", "endpoint": endpoint, **channel}
    made = {"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": criteria}
    return made | {"channel": hook}


def by_topic(
    endpoint: str, topic: str, content: str = "id-only", filters: tuple[str, ...] = (), **numbers: int
) -> Json:
    """A Subscription of the backport. numbers: heartbeat, timeout, max_count."""
    urls = {"heartbeat": HEARTBEAT, "timeout": TIMEOUT, "max_count": MAX_COUNT}
    kinds = {"heartbeat": "valueUnsignedInt", "timeout": "valueUnsignedInt", "max_count": "valuePositiveInt"}
    made = by_criteria(endpoint, topic, payload="application/fhir+json")
    made["channel"]["_payload"] = {"extension": [{"url": CONTENT, "valueCode": content}]}
    if numbers:
        made["channel"]["extension"] = [{"url": urls[n], kinds[n]: value} for n, value in numbers.items()]
    if filters:
        made["_criteria"] = {"extension": [{"url": FILTER, "valueString": each} for each in filters]}
    return made


async def subscribed(client: httpx.AsyncClient, asked: Json, status: str = "active") -> str:
    """The id of a Subscription, once it has that status."""
    answer = await client.post("/fhir/Subscription", json=asked)
    assert answer.status_code == 201, answer.text
    await until_status(client, answer.json()["id"], status)
    return str(answer.json()["id"])


async def until_status(client: httpx.AsyncClient, subscription: str, status: str) -> Json:
    end = time.monotonic() + SECONDS
    while True:
        found: Json = (await client.get(f"/fhir/Subscription/{subscription}")).json()
        if found["status"] == status:
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.05)


def score(subject: str, value: float = 5) -> Json:
    """A pain intensity of ours."""
    left_out = ("id", "text", "derivedFrom", "performer", "component")
    made = {name: part for name, part in VALID["Observation-nrs-current"].items() if name not in left_out}
    quantity = {**made["valueQuantity"], "value": value}
    return made | {"subject": {"reference": subject}, "valueQuantity": quantity}


async def create(client: httpx.AsyncClient, resource: Json) -> str:
    answer = await client.post(f"/fhir/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def settings(database_url: str, **more: Any) -> Settings:
    return Settings(database_url=database_url, log_level="error", **more)


async def test_criteria_are_answered_with_the_resource_or_with_nothing(database_url: str) -> None:
    with Subscriber() as told, Subscriber() as pinged:
        async with serving(settings(database_url)) as client:
            asked = "Observation?status=final"
            header = ["X-Secret: abc"]
            payload = by_criteria(told.endpoint, asked, payload="application/fhir+json", header=header)
            await subscribed(client, payload)
            await subscribed(client, by_criteria(pinged.endpoint, asked))
            await create(client, observation(status="preliminary"))
            wanted = await create(client, observation())
            await client.put(f"/fhir/{wanted}", json=observation(id=wanted.partition("/")[2], note=[{"text": "b"}]))
            await client.delete(f"/fhir/{wanted}")
            await told.until(lambda s: len(s.taken) == 2)
            await pinged.until(lambda s: len(s.taken) == 2)

    assert {(one.method, one.path) for one in told.taken} == {("PUT", f"/hook/{wanted}")}
    assert [one.bundle["meta"]["versionId"] for one in told.taken] == ["1", "2"]
    assert {one.headers["x-secret"] for one in told.taken} == {"abc"}
    assert {(one.method, one.path, one.body) for one in pinged.received} == {("POST", "/hook", b"")}


async def test_a_topic_is_shaken_hands_on_numbered_filtered_and_beats(database_url: str) -> None:
    with Subscriber() as subscriber:
        async with serving(settings(database_url)) as client:
            person, other = await create(client, patient("a")), await create(client, patient("b"))
            filters = (f"Observation?patient={person}",)
            asked = by_topic(subscriber.endpoint, SCORES, "full-resource", filters, heartbeat=1, max_count=2)
            name = await subscribed(client, asked)
            await create(client, score(other))
            await create(client, observation(person))
            first = await create(client, score(person))
            same = {**score(person), "id": first.partition("/")[2], "note": [{"text": "seen"}]}
            await client.put(f"/fhir/{first}", json=same)
            await client.put(f"/fhir/{first}", json=same | {"valueQuantity": {**same["valueQuantity"], "value": 7}})
            await subscriber.until(lambda s: len(s.numbers) == 2)
            await subscriber.until(lambda s: s.taken[-1].kind == "heartbeat")
            status = (await client.get(f"/fhir/Subscription/{name}/$status")).json()
            every = (await client.get("/fhir/Subscription/$status?status=active")).json()
            missed = (await client.get(f"/fhir/Subscription/{name}/$events?eventsSinceNumber=2&content=id-only")).json()

    handshake = subscriber.taken[0]
    assert (handshake.kind, handshake.status["status"]) == ("handshake", "requested")
    assert handshake.status["events-since-subscription-start"] == "0"
    assert handshake.bundle["type"] == "history"
    assert handshake.headers["content-type"] == "application/fhir+json"
    assert subscriber.numbers == [1, 2]
    events = [one for one in subscriber.taken if one.kind == "event-notification"]
    assert events[0].status["topic"] == SCORES
    assert events[0].events[0]["focus"]["reference"].endswith(first)
    values = [
        e["resource"]["valueQuantity"]["value"]
        for one in events
        for e in one.bundle["entry"][1:]
        if "valueQuantity" in e.get("resource", {})
    ]
    assert values == [5, 7]
    assert any(e["fullUrl"].endswith(person) for e in events[0].bundle["entry"][1:])
    assert subscriber.taken[-1].status["events-since-subscription-start"] == "2"
    assert status["type"] == every["type"] == "searchset"
    assert status["total"] == every["total"] == 1
    parts = {p["name"]: p for p in missed["entry"][0]["resource"]["parameter"]}
    assert parts["type"]["valueCode"] == "query-event"
    assert parts["notification-event"]["part"][0] == {"name": "event-number", "valueString": "2"}
    assert len(missed["entry"]) > 1
    assert not any("resource" in one for one in missed["entry"][1:])


async def test_who_does_not_answer_is_in_error_and_catches_up_when_asked(database_url: str) -> None:
    with Subscriber() as subscriber:
        async with serving(settings(database_url, subscription_attempts=2)) as client:
            person = await create(client, patient("a"))
            name = await subscribed(client, by_topic(subscriber.endpoint, SCORES, "empty"))
            subscriber.answers = [503, 0]
            await create(client, score(person))
            failed = await until_status(client, name, "error")
            await create(client, score(person))
            missed = (await client.get(f"/fhir/Subscription/{name}/$events")).json()
            again = {key: value for key, value in failed.items() if key != "meta"} | {"status": "requested"}
            put = await client.put(f"/fhir/Subscription/{name}", json=again)
            await until_status(client, name, "active")
            await subscriber.until(lambda s: len(s.numbers) == 2)

    assert "2 times" in failed["error"]
    assert put.status_code == 200
    told = [p for p in missed["entry"][0]["resource"]["parameter"] if p["name"] == "notification-event"]
    assert told
    assert len(missed["entry"]) == 1
    assert subscriber.numbers == [1, 2]
    assert all("focus" not in event for one in subscriber.taken for event in one.events)


async def test_a_handshake_that_fails_is_an_error_and_an_end_turns_off(database_url: str) -> None:
    with Subscriber(answers=[404]) as subscriber:
        async with serving(settings(database_url)) as client:
            failed = await subscribed(client, by_topic(subscriber.endpoint, PLANS), "error")
            end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
            ended = await subscribed(client, by_criteria(subscriber.endpoint, "Patient") | {"end": end}, "off")
            gone = await client.delete(f"/fhir/Subscription/{failed}")
            status = await client.get(f"/fhir/Subscription/{ended}/$status")

    assert gone.status_code == 204
    assert len(subscriber.received) == 1
    assert "off" in status.text


async def test_plans_and_grades_are_told(database_url: str) -> None:
    names = ("CarePlan-duloxetine-and-physical-therapy", "Condition-diabetic-polyneuropathy")
    with Subscriber() as subscriber:
        async with serving(settings(database_url, dangling_references="off", delete_referred="allow")) as client:
            for topic in (PLANS, GRADES):
                await subscribed(client, by_topic(subscriber.endpoint, topic))
            for name in names:
                example: Json = dict(VALID[name])
                address = f"/fhir/{example['resourceType']}/{example['id']}"
                for _ in range(2):
                    answer = await client.put(address, content=dumps(example))
                    assert answer.status_code in (200, 201), answer.text
                    example["language"] = "en"
            await client.delete("/fhir/CarePlan/" + str(VALID[names[0]]["id"]))
            await subscriber.until(lambda s: len(s.numbers) == 4)
            await asyncio.sleep(0.3)

    told = [(one.status["topic"], event) for one in subscriber.taken for event in one.events]
    assert [int(event["event-number"]) for topic, event in told if topic == PLANS] == [1, 2, 3]
    assert [int(event["event-number"]) for topic, event in told if topic == GRADES] == [1]


async def test_eight_writers_make_one_row_of_numbers(database_url: str) -> None:
    with Subscriber() as subscriber:
        async with serving(settings(database_url)) as client:
            person = await create(client, patient("a"))
            name = await subscribed(client, by_topic(subscriber.endpoint, SCORES, max_count=50))

            async def write(writer: int) -> None:
                for turn in range(5):
                    made = [entry(score(person, value)) for value in range(10)]
                    answer = await client.post("/fhir", json=bundle(*made))
                    assert answer.status_code == 200, (writer, turn, answer.text)

            await asyncio.gather(*(write(number) for number in range(8)))
            await subscriber.until(lambda s: len(s.numbers) >= 400)
            status = (await client.get(f"/fhir/Subscription/{name}/$status")).json()

    assert subscriber.numbers == list(range(1, 401))
    focus = [e["focus"]["reference"] for one in subscriber.taken for e in one.events]
    assert len(set(focus)) == 400
    parts = {p["name"]: p.get("valueString") for p in status["entry"][0]["resource"]["parameter"]}
    assert parts["events-since-subscription-start"] == "400"


async def test_what_is_not_offered_is_refused_with_every_problem(client: httpx.AsyncClient) -> None:
    wrong = by_criteria("ftp://example.org/x", "Observation?nonsense=1&_count=3", payload="text/plain")
    wrong = wrong | {"status": "active", "end": "2001-01-01T00:00:00Z"}
    wrong["channel"] |= {"type": "email", "header": ["Host: other", "no header"]}
    topic = by_topic("http://example.org/x", SCORES, "everything", ("_has:Group:member:_id=1",), timeout=3600)

    answers = [
        await client.post("/fhir/Subscription", json=wrong),
        await client.post("/fhir/Subscription", json=topic),
        await client.post("/fhir/Subscription", json=by_criteria("http://example.org/x", "https://example.org/topic")),
        await client.post("/fhir", json=bundle(entry(by_criteria("http://example.org/x", "Nothing?a=1")))),
        await client.post("/fhir/Subscription", json=by_criteria("http://169.254.169.254/latest", "Patient")),
    ]

    assert [answer.status_code // 100 for answer in answers] == [4] * 5
    places = [{path for issue in answer.json()["issue"] for path in issue["expression"]} for answer in answers]
    channel = {f"Subscription.channel.{name}" for name in ("type", "payload", "endpoint", "header[0]", "header[1]")}
    assert places[0] >= channel | {"Subscription.status", "Subscription.criteria"}
    extensions = {f"Subscription.channel.{name}" for name in ("payload.extension", "extension")}
    assert places[1] >= extensions | {"Subscription.criteria.extension[0].value"}
    assert places[2] == {"Subscription.criteria"}
    assert places[3] == {"Bundle.entry[0].resource.criteria"}
    assert places[4] == {"Subscription.channel.endpoint"}


async def test_topics_are_named_where_clients_look(client: httpx.AsyncClient) -> None:
    statement = (await client.get("/fhir/metadata")).json()

    told = next(one for one in statement["rest"][0]["resource"] if one["type"] == "Subscription")
    assert {one["valueCanonical"] for one in told["extension"]} == {SCORES, PLANS, GRADES}
    assert {one["name"] for one in told["operation"]} >= {"status", "events"}
    assert any(url.endswith("/backport-subscription") for url in told["supportedProfile"])
