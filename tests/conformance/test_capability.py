"""Whatever the CapabilityStatement claims, is there: each is asked for, and must answer as claimed."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from fhirclient.models.capabilitystatement import CapabilityStatement

from app.fhir.json import parse_object
from app.profiles import json_files, package
from app.settings import Settings
from app.store.parameters import load_parameters
from app.validation import load_validator
from tests.builders import Json, bundle, entry, observation, patient
from tests.conftest import BASE, serving

FHIR = f"{BASE}/fhir"
PARAMETERS = load_parameters()
# How many searches are under way at once; the application is one process.
AT_ONCE = 40
MODIFIERS = re.compile(r"Modifiers: ([^.]*)\.")
PREFIXES = re.compile(r"Prefixes: ([^.]*)\.")
SAMPLE = {
    "token": "a",
    "string": "a",
    "date": "2026-05-01",
    "number": "5",
    "quantity": "5.4|http://unitsofmeasure.org|mg",
    "uri": "https://example.org/x",
    "reference": "x",
}
BY_NAME = {
    "_filter": "_id eq x",
    "_has": "x",
    "_list": "x",
    "_type": "Patient",
    "_text": "word",
    "_content": "word",
}
OF_AUDIT = {"entity": "Patient/x", "action": "R", "subtype": "read", "outcome": "0"}
BY_MODIFIER = {
    "missing": "true",
    "of-type": "http://terminology.hl7.org/CodeSystem/v2-0203|MR|1",
    "in": "http://hl7.org/fhir/ValueSet/observation-status",
    "not-in": "http://hl7.org/fhir/ValueSet/observation-status",
    "above": "http://terminology.hl7.org/CodeSystem/v3-RoleCode|MTH",
    "below": "http://terminology.hl7.org/CodeSystem/v3-RoleCode|MTH",
    "identifier": "urn:x|1",
}


TOPICS = f"{package()['canonical']}/SubscriptionTopic"
SUBSCRIPTION = {
    "resourceType": "Subscription",
    "id": "a",
    "status": "off",
    "reason": "a test",
    "channel": {
        "type": "rest-hook",
        "endpoint": "https://subscriber.example.org/hook",
        "payload": "application/fhir+json",
        "_payload": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content",
                    "valueCode": "id-only",
                }
            ]
        },
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """One server for this whole module: the claims are the same on both databases, and the rows run on both."""
    folder: Path = tmp_path_factory.mktemp("capability")
    url, exports = f"sqlite+aiosqlite:///{folder / 'x.db'}", str(folder / "exports")
    settings = Settings(database_url=url, export_files=exports, log_level="error")
    async with serving(settings) as client:
        await client.put("/fhir/Patient/a", json=patient("1", id="a"))
        await client.put("/fhir/Observation/a", json=observation("Patient/a", id="a"))
        await client.put("/fhir/Group/a", json={"resourceType": "Group", "id": "a", "type": "person", "actual": True})
        made = await client.put("/fhir/Subscription/a", json={**SUBSCRIPTION, "criteria": f"{TOPICS}/new-score"})
        assert made.status_code == 201, made.text
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def statement(server: httpx.AsyncClient) -> Json:
    found: Json = (await server.get("/fhir/metadata")).json()
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(statement: Json) -> Json:
    (found,) = statement["rest"]
    return dict(found)


async def _failures(client: httpx.AsyncClient, addresses: Iterable[tuple[str, dict[str, str]]]) -> list[str]:
    """Ask for all of the searches; answers those that were refused, or answered with a warning."""
    turns, failed = asyncio.Semaphore(AT_ONCE), list[str]()

    async def ask(address: str, asked: dict[str, str]) -> None:
        async with turns:
            answer = await client.get(address, params=asked)
        tree = answer.json()
        modes = [each.get("search", {}).get("mode") for each in tree.get("entry", ())]
        if answer.status_code != 200 or "outcome" in modes:
            failed.append(f"{address} {asked}: {answer.status_code} {answer.text[:300]}")

    await asyncio.gather(*(ask(*each) for each in addresses))
    return failed


def _value(type_: str, parameter: Json) -> str:
    name, kind = parameter["name"], parameter["type"]
    if type_ == "AuditEvent":
        return OF_AUDIT.get(name, SAMPLE[kind])
    if name in BY_NAME:
        return BY_NAME[name]
    if kind == "composite":
        components = PARAMETERS.of(type_)[name].components
        return "$".join(SAMPLE[each.kind] for each in components)
    return SAMPLE[kind]


def _asked(type_: str, parameter: Json) -> dict[str, str]:
    name = parameter["name"]
    # _has is a parameter of the resources that refer to the one that is looked for.
    shown = f"_has:{_referring(type_)}:_id" if name == "_has" else name
    return {shown: _value(type_, parameter), "_count": "1"}


def _referring(type_: str) -> str:
    """Some reference of another type that may lead to a type."""
    return next(
        f"{source}:{code}"
        for source in PARAMETERS.types
        for code, each in PARAMETERS.of(source).items()
        if each.kind == "reference" and type_ in each.targets
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_the_statement_is_valid_and_can_be_read_by_a_strict_client(
    server: httpx.AsyncClient, statement: Json
) -> None:
    issues = load_validator().check(parse_object((await server.get("/fhir/metadata")).content))

    read = CapabilityStatement(statement, strict=True)
    assert [issue for issue in issues if issue.is_error] == []
    # The topics stand in an extension of the backport guide, which is no part of R4.
    assert {issue.rule for issue in issues} <= {"dom-6", "dmt-extension-unchecked"}
    assert len(read.rest[0].resource) == 146


@pytest.mark.asyncio(loop_scope="module")
async def test_every_parameter_of_every_type_can_be_searched(server: httpx.AsyncClient, rest: Json) -> None:
    searches = [
        (f"/fhir/{resource['type']}", _asked(resource["type"], parameter))
        for resource in rest["resource"]
        for parameter in resource["searchParam"]
    ]
    searches += [("/fhir", _asked("Patient", parameter)) for parameter in rest["searchParam"]]

    failed = await _failures(server, searches)

    assert len(searches) > 3_000
    assert failed == []


def _modified(rest: Json) -> Iterator[tuple[str, dict[str, str]]]:
    """Each modifier and prefix once per kind of parameter, and of a parameter of the system."""
    seen = set[tuple[str, str]]()
    for resource in rest["resource"]:
        for parameter in resource["searchParam"]:
            told, kind, name = parameter.get("documentation", ""), parameter["type"], parameter["name"]
            for modifier in (one for found in MODIFIERS.findall(told) for one in found.split(", ")):
                if (kind, modifier) not in seen:
                    seen.add((kind, modifier))
                    yield f"/fhir/{resource['type']}", _with_modifier(resource["type"], parameter, modifier)
            for prefix in (one for found in PREFIXES.findall(told) for one in found.split(", ")):
                if (kind, prefix) not in seen:
                    seen.add((kind, prefix))
                    yield f"/fhir/{resource['type']}", {name: prefix + SAMPLE[kind]}


def _with_modifier(type_: str, parameter: Json, modifier: str) -> dict[str, str]:
    name = parameter["name"]
    if modifier == "[type]":
        target = PARAMETERS.of(type_)[name].targets[0]
        return {f"{name}:{target}": "x"}
    value = SAMPLE["uri"] if parameter["type"] == "uri" and modifier != "missing" else BY_MODIFIER.get(modifier)
    return {f"{name}:{modifier}": value or _value(type_, parameter)}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_modifier_and_prefix_of_every_kind_works(server: httpx.AsyncClient, rest: Json) -> None:
    searches = list(_modified(rest))

    failed = await _failures(server, searches)

    assert len(searches) > 40
    assert failed == []


@pytest.mark.asyncio(loop_scope="module")
async def test_every_include_works(server: httpx.AsyncClient, rest: Json) -> None:
    """Each at one of the types that claim it, many in one request."""
    searches: list[tuple[str, dict[str, str]]] = []
    seen = set[str]()
    for resource in rest["resource"]:
        for name, claimed in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
            fresh = [each for each in resource.get(claimed, ()) if f"{name} {each}" not in seen]
            seen |= {f"{name} {each}" for each in fresh}
            parts = [fresh[start : start + 30] for start in range(0, len(fresh), 30)]
            address = f"/fhir/{resource['type']}"
            searches += [(address, {"_count": "1", name: part}) for part in parts]  # type: ignore[dict-item]

    failed = await _failures(server, searches)

    assert len(seen) > 1_000
    assert failed == []


INTERACTIONS = {
    "create": ("POST", "/Patient", patient(), {201}),
    "read": ("GET", "/Patient/a", None, {200}),
    "vread": ("GET", "/Patient/a/_history/1", None, {200}),
    "update": ("PUT", "/Patient/b", patient("2", id="b"), {201, 200}),
    "patch": ("PATCH", "/Patient/b", [{"op": "add", "path": "/active", "value": True}], {200}),
    "delete": ("DELETE", "/Patient/b", None, {200, 204}),
    "history-instance": ("GET", "/Patient/a/_history", None, {200}),
    "history-type": ("GET", "/Patient/_history", None, {200}),
    "search-type": ("GET", "/Patient", None, {200}),
    "transaction": ("POST", "", bundle(entry(patient())), {200}),
    "batch": ("POST", "", bundle(entry(patient()), kind="batch"), {200}),
    "search-system": ("GET", "?_type=Patient", None, {200}),
    "history-system": ("GET", "/_history", None, {200}),
}


def _stored(rest: Json) -> list[Json]:
    """The types of what is stored: AuditEvents are made of what was noted (tests/routers/test_audit.py)."""
    return [resource for resource in rest["resource"] if resource["type"] != "AuditEvent"]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_interaction_is_there_and_nothing_else_is_claimed(server: httpx.AsyncClient, rest: Json) -> None:
    of_types = {tuple(each["code"] for each in resource["interaction"]) for resource in _stored(rest)}
    claimed = [*(code for codes in of_types for code in codes), *(each["code"] for each in rest["interaction"])]

    # All types have the same routes, so one of them stands for all.
    assert len(of_types) == 1
    assert sorted(claimed) == sorted(INTERACTIONS)
    for code in INTERACTIONS:
        method, path, body, right = INTERACTIONS[code]
        headers = {"Content-Type": "application/json-patch+json"} if method == "PATCH" else {}
        answer = await server.request(method, f"/fhir{path}", json=body, headers=headers)
        assert answer.status_code in right, (code, answer.text)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_type_can_be_searched_read_and_looked_back_on(server: httpx.AsyncClient, rest: Json) -> None:
    for resource in _stored(rest):
        address = f"/fhir/{resource['type']}"
        found = [(await server.get(path)).status_code for path in (address, f"{address}/_history", f"{address}/none")]
        assert found == [200, 200, 404], resource["type"]


@pytest.mark.asyncio(loop_scope="module")
async def test_every_compartment_can_be_searched(server: httpx.AsyncClient, rest: Json) -> None:
    types = {resource["type"].lower(): resource["type"] for resource in rest["resource"]}

    searches: list[tuple[str, dict[str, str]]] = [
        (f"/fhir/{types[each.rpartition('/')[2]]}/a/Observation", {}) for each in rest["compartment"]
    ]

    assert len(searches) == 5
    assert await _failures(server, searches) == []


def _parameters(*parts: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(parts)}


LABELLED = _parameters({"name": "meta", "valueMeta": {"tag": [{"system": "urn:x", "code": "y"}]}})
A_PATIENT = _parameters({"name": "patient", "valueReference": {"reference": "Patient/a"}})
STATUSES = "http://hl7.org/fhir/observation-status"
# One call of each operation at each of its levels, after the end of its canonical URL.
A_VIEW: Json = {
    "resourceType": "ViewDefinition",
    "name": "patients",
    "resource": "Patient",
    "select": [{"column": [{"name": "id", "path": "id"}]}],
}
TWO_PATIENTS = {
    "resourceType": "Parameters",
    "parameter": [
        {"name": f"{side}-patient", "valueReference": {"reference": f"Patient/{name}"}}
        for side, name in (("source", "b"), ("target", "a"))
    ],
}
CALLS: dict[str, list[tuple[str, str, Json | None]]] = {
    "Resource-validate": [
        ("POST", "/$validate", patient()),
        ("POST", "/Patient/$validate", patient()),
        ("POST", "/Patient/a/$validate", patient()),
    ],
    "StructureDefinition-snapshot": [
        ("GET", "/StructureDefinition/$snapshot?url=http://hl7.org/fhir/StructureDefinition/bp", None),
    ],
    "Resource-meta": [
        ("GET", "/$meta", None),
        ("GET", "/Patient/$meta", None),
        ("GET", "/Patient/a/$meta", None),
        ("GET", "/Patient/a/_history/1/$meta", None),
    ],
    "Resource-meta-add": [("POST", "/Patient/a/$meta-add", LABELLED)],
    "Resource-meta-delete": [("POST", "/Patient/a/$meta-delete", LABELLED)],
    "Patient-everything": [("GET", "/Patient/$everything", None), ("GET", "/Patient/a/$everything", None)],
    "Observation-lastn": [("GET", "/Observation/$lastn?subject=Patient/a&code=a", None)],
    "Observation-stats": [
        ("GET", "/Observation/$stats?subject=Patient/a&code=a&system=https://example.org/codes&statistic=count", None),
    ],
    "ValueSet-expand": [("GET", "/ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/observation-status", None)],
    "ValueSet-validate-code": [
        (
            "GET",
            f"/ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/observation-status&system={STATUSES}&code=final",
            None,
        )
    ],
    "CodeSystem-validate-code": [("GET", f"/CodeSystem/$validate-code?url={STATUSES}&code=final", None)],
    "CodeSystem-lookup": [("GET", f"/CodeSystem/$lookup?system={STATUSES}&code=final", None)],
    "CodeSystem-subsumes": [("GET", f"/CodeSystem/$subsumes?system={STATUSES}&codeA=final&codeB=final", None)],
    "ConceptMap-translate": [
        (
            "GET",
            "/ConceptMap/$translate?system=http://www.nlm.nih.gov/research/umls/rxnorm&code=704",
            None,
        )
    ],
    "QuestionnaireResponse-extract": [
        ("POST", "/QuestionnaireResponse/$extract", json_files("examples/requests")["extract"])
    ],
    "backport-subscription-status": [("GET", "/Subscription/$status", None), ("GET", "/Subscription/a/$status", None)],
    "backport-subscription-events": [("GET", "/Subscription/a/$events", None)],
    "export": [("GET", "/$export?_type=Patient", None), ("POST", "/$export", _parameters())],
    "patient-export": [("GET", "/Patient/$export", None), ("POST", "/Patient/$export", A_PATIENT)],
    "group-export": [("GET", "/Group/a/$export", None)],
    "$viewdefinition-run": [("POST", "/$viewdefinition-run", A_VIEW)],
    "$viewdefinition-export": [
        (
            "POST",
            "/$viewdefinition-export",
            {"resourceType": "Parameters", "parameter": [{"name": "viewResource", "resource": A_VIEW}]},
        )
    ],
    "changes": [("GET", "/$changes?_type=Patient", None), ("POST", "/$changes", _parameters())],
    "diff": [("GET", "/Patient/a/$diff?from=1&to=1", None)],
    "erase": [("POST", "/Patient/a/$erase", _parameters())],
    "Patient-merge": [("POST", "/Patient/$merge", TWO_PATIENTS)],
    "unmerge": [("POST", "/Patient/$unmerge", TWO_PATIENTS)],
    "reindex": [("POST", "/$reindex", None)],
    "reindex-status": [("GET", "/$reindex-status", None)],
}


@pytest.mark.asyncio(loop_scope="module")
async def test_every_operation_answers_and_no_other_is_claimed(server: httpx.AsyncClient, rest: Json) -> None:
    every = [*rest["operation"], *(each for resource in rest["resource"] for each in resource["operation"])]
    claimed = {each["definition"].rpartition("/")[2] for each in every}

    assert claimed == set(CALLS)
    await server.put("/fhir/Patient/b", json=patient("2", id="b"))
    for name, calls in CALLS.items():
        for method, path, body in calls:
            answer = await server.request(method, f"/fhir{path}", json=body, headers={"Prefer": "respond-async"})
            assert answer.status_code in (200, 202), (name, path, answer.text)


TEMPLATES = {
    "create": ("post", "/fhir/{resource_type}"),
    "read": ("get", "/fhir/{resource_type}/{resource_id}"),
    "vread": ("get", "/fhir/{resource_type}/{resource_id}/_history/{version}"),
    "update": ("put", "/fhir/{resource_type}/{resource_id}"),
    "patch": ("patch", "/fhir/{resource_type}/{resource_id}"),
    "delete": ("delete", "/fhir/{resource_type}/{resource_id}"),
    "history-instance": ("get", "/fhir/{resource_type}/{resource_id}/_history"),
    "history-type": ("get", "/fhir/{resource_type}/_history"),
    "search-type": ("get", "/fhir/{resource_type}"),
    "transaction": ("post", "/fhir"),
    "batch": ("post", "/fhir"),
    "search-system": ("get", "/fhir"),
    "history-system": ("get", "/fhir/_history"),
}


@pytest.mark.asyncio(loop_scope="module")
async def test_openapi_says_the_same(server: httpx.AsyncClient, rest: Json) -> None:
    document = (await server.get("/openapi.json")).json()
    shown = {(method, path) for path, methods in document["paths"].items() for method in methods}

    claimed = [each["code"] for each in [*rest["interaction"], *rest["resource"][0]["interaction"]]]
    called = {_template(method, path) for calls in CALLS.values() for method, path, _ in calls}
    assert {TEMPLATES[code] for code in claimed} <= shown
    assert called <= shown
    names = {path.rpartition("$")[2] for _, path in shown if "$" in path}
    every = [*rest["operation"], *(each for resource in rest["resource"] for each in resource["operation"])]
    assert names == {each["name"] for each in every}


def _template(method: str, path: str) -> tuple[str, str]:
    """The address of a call as OpenAPI writes it; an operation for all types has one address for them."""
    path = re.sub(r"\?.*", "", path).replace("/a/", "/{resource_id}/").replace("_history/1", "_history/{version}")
    is_for_all = path.rpartition("$")[2] in ("validate", "meta", "meta-add", "meta-delete", "diff")
    return method.lower(), "/fhir" + (path.replace("/Patient", "/{resource_type}") if is_for_all else path)
