"""Bodies nobody should send: a clear error each, and nothing changed."""

import json

import httpx
import pytest

from tests.answers import count, issues
from tests.builders import patient

NESTED = '{"resourceType":"Patient","extension":' + "[" * 150 + "]" * 150 + "}"
NUMBER = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":%s}}'
NAMED = '{"resourceType":"Patient","name":[{"family":"%s"}]}'


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("{", 400),
        ("not json", 400),
        ("[]", 400),
        ('"Patient"', 400),
        ("null", 400),
        ("{}", 400),
        ('{"resourceType":"Nope"}', 400),
        ('{"resourceType":7}', 400),
        ('{"resourceType":"Patient","resourceType":"Patient"}', 400),
        (NESTED, 400),
        (NUMBER % "1e400", 400),
        (NUMBER % "0.1234567890123456789012", 400),
        (NUMBER % "NaN", 400),
        (NAMED % r"a\u0000b", 400),
        (NAMED % r"\ud800", 400),
        (NAMED % "\x00", 400),
        (json.dumps(patient(name=[{"family": "x" * 10_000_000}])), 413),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("address", ["/fhir/Patient", "/fhir", "/fhir/$validate", "/pain/assessments"])
async def test_a_body_that_cannot_be_kept_is_refused(
    client: httpx.AsyncClient, address: str, text: str, status: int
) -> None:
    answer = await client.post(address, content=text.encode())

    if address == "/fhir/$validate" and answer.status_code == 200:
        assert any(issue["severity"] in ("error", "fatal") for issue in issues(answer))
    else:
        assert answer.status_code in (status, 422), answer.text
        assert issues(answer)
    assert await count(client, "Patient") == 0


@pytest.mark.parametrize("entries", [100_000, 6_000])
async def test_a_bundle_of_too_many_entries_is_refused(client: httpx.AsyncClient, entries: int) -> None:
    text = '{"resourceType":"Bundle","type":"transaction","entry":[' + ",".join(["{}"] * entries) + "]}"

    answer = await client.post("/fhir", content=text)

    assert answer.status_code == 413
    assert issues(answer)[0]["code"] == "too-long"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/turtle"}, 415),
        ({"Content-Type": "application/fhir+xml", "Accept": "application/fhir+json"}, 400),
        ({"Content-Type": "application/fhir+json; charset=latin-1"}, 415),
        ({"Content-Type": "application/fhir+json; charset=UTF-8"}, 201),
        ({"Content-Type": "application/json"}, 201),
        ({"Accept": "text/turtle"}, 406),
        ({"Accept": "application/fhir+xml; fhirVersion=5.0"}, 406),
        ({"Accept": "application/fhir+xml"}, 201),
        ({"Accept": "text/html, application/fhir+json;q=0.9"}, 201),
        ({"If-None-Exist": "nickname=x"}, 400),
        ({"Idempotency-Key": "x" * 300}, 400),
        ({"Content-Length": "99999999"}, 413),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Type": "application/fhir+json; fhirVersion=3.0"}, 415),
        ({"Content-Type": "application/fhir+json; charset=UTF-8; fhirVersion=4.0"}, 201),
        ({"Idempotency-Key": ""}, 400),
        ({"If-None-Exist": ""}, 400),
        ({"If-Match": 'W/"1"'}, 400),
    ],
    ids=str,
)
async def test_headers_decide_what_is_read_and_given(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/fhir/Patient", content=b'{"resourceType":"Patient"}', headers=headers)

    assert answer.status_code == status
    assert status == 201 or issues(answer)


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/nothing", 404),
        ("PATCH", "/fhir/Patient/1", 400),
        ("PATCH", "/fhir/Patient", 400),
        ("PUT", "/fhir/Patient", 400),
        ("DELETE", "/fhir/Patient", 400),
        ("PUT", "/fhir", 405),
        ("FROBNICATE", "/fhir/Patient/1", 405),
        ("PUT", "/fhir/Patient/_history", 405),
        ("GET", "/fhir/Patient/1/_history/1/2", 404),
        ("DELETE", "/fhir/metadata", 405),
        ("GET", "/fhir/Patient/x/_history/y", 404),
        ("GET", "/fhir/Patient/1?_summary=short", 400),
        ("GET", "/fhir/Patient/1?_summary=count", 400),
        ("GET", "/fhir/Patient/1?_elements=", 400),
        ("GET", "/fhir/Patient/1?_elements=nick", 400),
        ("GET", "/fhir/_history?_since=never", 400),
        ("GET", "/fhir/_history?_count=-1", 400),
        ("GET", "/fhir/_history?_cursor=" + "x" * 50_000, 400),
        ("GET", "/fhir/_history?_since=2026%00", 400),
        ("GET", "/fhir/Patient/a%00b", 404),
        ("DELETE", "/fhir/Patient/a%00b", 404),
        ("GET", "/fhir/Patient/" + "x" * 65, 404),
        ("GET", "/fhir/Patient?identifier=a%00b", 400),
        ("GET", "/fhir/Patient?_id=%ff", 400),
        ("GET", "/pain/assessments/a%00b", 404),
        ("GET", "/sync/queue?target=a%00b", 400),
        ("GET", "/sync/ledger?reference=Patient/a%00b", 400),
        ("GET", "/sync/queue?after=99999999999999999999999", 400),
        ("GET", "/sync/status?nope=1", 400),
        ("GET", "/pain/instruments?nope=1", 400),
        ("GET", "/fhir/metadata?mode=terminology", 400),
        ("GET", "/fhir/Patient/1?_pretty=maybe", 400),
        ("GET", "/sync/ledger", 400),
        ("GET", "/sync/ledger?reference=nonsense", 400),
        ("GET", "/fhir/Patient?_format=ttl", 406),
    ],
)
async def test_every_error_is_an_operation_outcome(
    client: httpx.AsyncClient, method: str, address: str, status: int
) -> None:
    answer = await client.request(method, address)

    assert answer.status_code == status
    assert status == 200 or issues(answer)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Exist", "Idempotency-Key"])
async def test_a_condition_given_twice_is_refused(client: httpx.AsyncClient, name: str) -> None:
    method = "PUT" if name == "If-Match" else "POST"
    address = "/fhir/Patient/one" if name == "If-Match" else "/fhir/Patient"

    answer = await client.request(method, address, json=patient(id="one"), headers=[(name, "a=b"), (name, "a=c")])

    assert answer.status_code == 400
    assert "given 2 times" in issues(answer)[0]["diagnostics"]
    assert await count(client, "Patient") == 0


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    got, head = await client.get("/fhir/metadata"), await client.head("/fhir/metadata")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_a_trailing_slash_and_a_get_with_a_content_type_are_tolerated(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/fhir+json"}

    answers = [await client.get(address, headers=headers) for address in ("/fhir/Patient/", "/fhir/metadata/")]

    assert [a.status_code for a in answers] == [200, 200]
