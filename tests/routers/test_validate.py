"""$validate in all its modes, and what every refusal of content says to a developer."""

import json
from typing import Any

import httpx
import pytest

from app.fhir.json import parse_object
from app.fhir.outcomes import COLUMN, DETAIL, LINE, MOST_TOLD, RULES
from app.validation import load_validator
from tests.answers import count, issues
from tests.builders import bundle, entry, observation, patient

VALIDATOR = load_validator()
BROKEN = """{
  "resourceType": "Patient",
  "gender": "Female",
  "birthDate": "1.2.1960",
  "nmae": [{"family": "Secretname"}],
  "name": {"family": "Secretname"}
}"""
TOLD = {
    "/gender": ("dmt-binding-required", 3, 13, 'Use the code "female" of http://hl7.org/fhir/administrative-gender.'),
    "/birthDate": ("dmt-primitive-date", 4, 16, "Write YYYY-MM-DD."),
    "/nmae": ("dmt-unknown-element", 5, 3, 'Did you mean "name"?'),
    "/name": ("dmt-array", 6, 11, "Write [ ] around it, also for one value."),
}


def detail(issue: dict[str, Any]) -> dict[str, Any]:
    """The extensions of an issue, flat: pointer, expected, line, ..."""
    values: dict[str, Any] = {}
    for each in issue.get("extension", ()):
        parts = each["extension"] if each["url"] == DETAIL else [each]
        values |= {part["url"]: value for part in parts for name, value in part.items() if name.startswith("value")}
    return values


def rule(issue: dict[str, Any]) -> str:
    (coding,) = issue["details"]["coding"]
    assert coding["system"] == RULES
    return str(coding["code"])


def told(answer: httpx.Response) -> dict[str, tuple[str, int, int, str]]:
    """What an answer says of each pointer."""
    found = {}
    for issue in issues(answer):
        if issue["severity"] == "error":
            known = detail(issue)
            found[known["pointer"]] = (rule(issue), known[LINE], known[COLUMN], known.get("suggestion", ""))
    return found


def within(found: dict[str, tuple[str, int, int, str]], prefix: str, lines: int) -> dict[str, tuple[Any, ...]]:
    return {prefix + pointer: (name, line + lines, *rest) for pointer, (name, line, *rest) in found.items()}


ADDRESSES = ["/fhir/$validate", "/fhir/Patient/$validate", "/fhir/Patient"]


@pytest.mark.parametrize("address", ADDRESSES)
async def test_every_issue_says_where_what_and_how(client: httpx.AsyncClient, address: str) -> None:
    answer = await client.post(address, content=BROKEN)

    assert told(answer) == TOLD
    assert "Secretname" not in answer.text
    assert "1.2.1960" not in answer.text


@pytest.mark.parametrize("address", ADDRESSES)
async def test_an_outcome_is_valid_itself(client: httpx.AsyncClient, address: str) -> None:
    answer = await client.post(address, content=BROKEN)

    found = VALIDATOR.check(parse_object(answer.content))

    assert [issue for issue in found if issue.is_error] == []
    # No narrative; and line and column are extensions of HL7, but not of R4 core.
    assert {issue.rule for issue in found if issue.severity == "warning"} <= {"dom-6", "dmt-extension-unknown"}


async def test_in_parameters_the_places_are_those_of_the_whole_text(client: httpx.AsyncClient) -> None:
    text = '{"resourceType": "Parameters", "parameter": [{"name": "resource", "resource":\n' + BROKEN + "}]}"

    answer = await client.post("/fhir/$validate", content=text)

    assert told(answer) == within(TOLD, "/parameter/0/resource", 1)


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_in_a_bundle_the_places_are_those_of_the_whole_text(client: httpx.AsyncClient, kind: str) -> None:
    good = json.dumps(entry(patient()))
    bad = '{"request": {"method": "POST", "url": "Patient"}, "resource":\n' + BROKEN + "}"
    text = f'{{"resourceType": "Bundle", "type": "{kind}", "entry": [\n{good},\n{bad}]}}'

    answer = await client.post("/fhir", content=text)

    found = issues(answer) if kind == "transaction" else answer.json()["entry"][1]["response"]["outcome"]["issue"]
    known = {detail(issue)["pointer"]: detail(issue) for issue in found if issue["severity"] == "error"}
    assert {pointer: each[LINE] for pointer, each in known.items()} == {
        f"/entry/1/resource{pointer}": line + 3 for pointer, (_, line, *_) in TOLD.items()
    }
    assert {each["entry"] for each in known.values()} == {1}


async def test_the_request_of_an_entry_is_placed(client: httpx.AsyncClient) -> None:
    text = json.dumps(bundle(entry(patient(), method="TRACE")), indent=1)

    answer = await client.post("/fhir", content=text)

    (issue,) = [each for each in issues(answer) if rule(each) == "dmt-bundle-entry"]
    line = next(place for place, each in enumerate(text.splitlines(), 1) if "TRACE" in each)
    assert (detail(issue)["pointer"], detail(issue)[LINE]) == ("/entry/0/request/method", line)


async def test_what_is_no_json_is_placed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/fhir/Patient", content='{"resourceType": "Patient",\n "active": tru}')

    (issue,) = issues(answer)
    assert (rule(issue), detail(issue)[LINE], detail(issue)[COLUMN]) == ("dmt-json", 2, 12)


async def test_warnings_of_a_write_are_placed(client: httpx.AsyncClient) -> None:
    answer = await client.put(
        "/fhir/Patient/1",
        content='{"resourceType": "Patient", "id": "1",\n "meta": {"profile": ["http://example.org/x"]}}',
        headers={"Prefer": "return=OperationOutcome"},
    )

    known = {rule(issue): detail(issue) for issue in issues(answer)}
    assert answer.status_code == 201
    assert (known["dmt-profile-unknown"]["pointer"], known["dmt-profile-unknown"][LINE]) == ("/meta/profile/0", 2)


MODES = [
    # address, body, status, rules of the errors
    ("/fhir/Patient/$validate?mode=create", patient(), 200, set()),
    ("/fhir/$validate?mode=create", patient(gender="x"), 200, {"dmt-binding-required"}),
    ("/fhir/Observation/$validate?mode=create", patient(), 200, {"dmt-address-type"}),
    ("/fhir/Patient/here/$validate?mode=update", patient(id="here"), 200, set()),
    ("/fhir/Patient/here/$validate?mode=update", patient(id="other"), 200, {"dmt-address-id"}),
    ("/fhir/Patient/here/$validate?mode=update", patient(), 200, {"dmt-address-id"}),
    ("/fhir/Patient/new/$validate?mode=update", patient(id="new"), 200, set()),
    ("/fhir/Patient/here/$validate?mode=delete", None, 200, set()),
    ("/fhir/Patient/here/$validate?mode=delete", patient(gender="x"), 200, set()),
    ("/fhir/Patient/gone/$validate?mode=delete", None, 200, {"dmt-exists"}),
    ("/fhir/Patient/never/$validate?mode=delete", None, 200, {"dmt-exists"}),
    (
        "/fhir/Patient/here/$validate?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/Patient",
        None,
        200,
        set(),
    ),
    (
        "/fhir/Patient/here/$validate?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/vitalsigns",
        None,
        200,
        {"dmt-profile-type"},
    ),
    (
        "/fhir/Patient/gone/$validate?mode=profile&profile=http://hl7.org/fhir/StructureDefinition/Patient",
        None,
        200,
        {"dmt-exists"},
    ),
    ("/fhir/Patient/here/$validate", patient(gender="x"), 200, {"dmt-binding-required"}),
    # What R4 gives no meaning.
    ("/fhir/$validate?mode=nonsense", patient(), 400, {"dmt-validate"}),
    ("/fhir/Patient/$validate?mode=update", patient(id="here"), 400, {"dmt-validate"}),
    ("/fhir/Patient/$validate?mode=delete", patient(), 400, {"dmt-validate"}),
    ("/fhir/$validate?mode=profile", patient(), 400, {"dmt-validate"}),
    ("/fhir/Patient/here/$validate?mode=profile", None, 400, {"dmt-validate"}),
    ("/fhir/Patient/here/$validate?mode=profile&profile=http://x.org/y", patient(id="here"), 400, {"dmt-validate"}),
    ("/fhir/Patient/here/$validate?mode=create", patient(), 400, {"dmt-validate"}),
    ("/fhir/Patient/here/$validate", None, 400, {"dmt-validate"}),
    ("/fhir/Patient/here/$validate?mode=update", None, 400, {"dmt-validate"}),
    # R4: a server that cannot validate against a nominated profile answers with an error.
    ("/fhir/$validate?profile=http://example.org/nothing", patient(), 400, {"dmt-profile-unknown"}),
    (
        "/fhir/$validate?profile=http://example.org/nothing",
        patient(meta={"profile": ["http://example.org/nothing"]}),
        400,
        {"dmt-profile-unknown"},
    ),
    ("/fhir/$validate", patient(meta={"profile": ["http://example.org/nothing"]}), 200, set()),
]


@pytest.mark.parametrize(("address", "body", "status", "rules"), MODES)
async def test_a_mode_is_what_r4_says(
    client: httpx.AsyncClient, address: str, body: dict[str, Any] | None, status: int, rules: set[str]
) -> None:
    for name in ("here", "gone"):
        await client.put(f"/fhir/Patient/{name}", json=patient(id=name))
    await client.delete("/fhir/Patient/gone")

    answer = await client.post(address, json=body) if body is not None else await client.post(address)

    assert answer.status_code == status, answer.text
    assert {rule(issue) for issue in issues(answer) if issue["severity"] == "error"} == rules
    assert await count(client, "Patient") == 1


async def test_what_needs_no_body_can_be_got(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/here", json=patient(id="here"))
    asked = {"mode": "profile", "profile": "http://hl7.org/fhir/StructureDefinition/vitalsigns"}

    answer = await client.get("/fhir/Patient/here/$validate", params=asked)
    without_mode = await client.get("/fhir/Patient/here/$validate")

    assert [rule(issue) for issue in issues(answer) if issue["severity"] == "error"] == ["dmt-profile-type"]
    assert without_mode.status_code == 400


async def test_mode_and_profile_may_be_parameters(client: httpx.AsyncClient) -> None:
    await client.put("/fhir/Patient/here", json=patient(id="here"))
    profile = {"name": "profile", "valueUri": "http://hl7.org/fhir/StructureDefinition/vitalsigns"}
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "mode", "valueCode": "profile"}, profile]}

    answer = await client.post("/fhir/Patient/here/$validate", json=parameters)

    assert [rule(issue) for issue in issues(answer) if issue["severity"] == "error"] == ["dmt-profile-type"]


@pytest.mark.parametrize(
    "parameter",
    [
        [{"name": "mode", "valueString": "create"}],
        [{"name": "mode", "valueCode": "create"}, {"name": "mode", "valueCode": "update"}],
        [{"name": "resource", "resource": patient()}, {"name": "resource", "resource": patient()}],
        [{"name": "colour", "valueString": "red"}],
        [{"name": "resource", "resource": patient()}, {"name": "profile", "valueString": "x"}],
    ],
)
async def test_parameters_that_cannot_be_read_are_refused(client: httpx.AsyncClient, parameter: list[Any]) -> None:
    answer = await client.post("/fhir/$validate", json={"resourceType": "Parameters", "parameter": parameter})

    assert answer.status_code == 400
    assert {rule(issue) for issue in issues(answer)} == {"dmt-validate"}


@pytest.mark.parametrize(("match", "rules"), [('W/"1"', set()), ("*", set()), ('W/"7"', {"dmt-version"})])
async def test_an_update_is_checked_against_its_version(client: httpx.AsyncClient, match: str, rules: set[str]) -> None:
    await client.put("/fhir/Patient/here", json=patient(id="here"))

    answer = await client.post(
        "/fhir/Patient/here/$validate?mode=update", json=patient(id="here"), headers={"If-Match": match}
    )

    assert {rule(issue) for issue in issues(answer) if issue["severity"] == "error"} == rules


async def test_a_large_bundle_of_broken_entries_is_told_entry_by_entry(client: httpx.AsyncClient) -> None:
    entries = [entry(observation(status="done")) for _ in range(400)]

    answer = await client.post("/fhir", content=json.dumps(bundle(*entries, kind="batch"), indent=1))

    outcomes = [each["response"]["outcome"]["issue"] for each in answer.json()["entry"]]
    found = [next(detail(issue) for issue in each if issue["severity"] == "error") for each in outcomes]
    assert [each["entry"] for each in found] == list(range(400))
    assert len({each[LINE] for each in found}) == 400


async def test_a_transaction_with_very_many_errors_tells_how_many_are_left_out(client: httpx.AsyncClient) -> None:
    entries = [entry(observation(status="done")) for _ in range(MOST_TOLD + 5)]

    answer = await client.post("/fhir", json=bundle(*entries))

    found = issues(answer)
    assert len(found) == MOST_TOLD + 1
    assert found[-1]["diagnostics"] == "5 more issues are not told."
