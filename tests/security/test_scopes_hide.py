"""What a limited client gets is what there would be if nothing else were there: by every search, read and operation.

Two servers, one with all records, one with those only that the scopes cover: the same client cannot tell them apart.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.engine import URL

from app.settings import Settings
from app.store.database import Database
from app.store.index.reindex import VALUES as TABLES
from app.store.tables import Content, Version
from tests.builders import bundle, entry
from tests.conftest import DATABASES, new_database, serving
from tests.security.limited import limited
from tests.security.population import OBSERVATION, PATIENTS, SCOPES, Json, Scope, covers, populations

COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    # To make a failure smaller takes minutes here, and the population is small anyway.
    "phases": [Phase.explicit, Phase.generate],
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
}
Pair = tuple[httpx.AsyncClient, httpx.AsyncClient]
READS = (
    *("Observation", "Patient", "Condition", "Group", "List", "Encounter", "Practitioner", "Task"),
    "?_type=Patient,Observation,Condition,Group,List",
    "?_type=Observation&_summary=count",
    "Observation?_count=1",
    "Observation?_total=estimate&_count=0",
    "Observation?_sort=-date,code",
    "Observation?_include=*",
    "Observation?_include=Observation:subject&_include:iterate=Patient:link",
    "Observation?_include=Observation:encounter&_include:iterate=Encounter:subject",
    "Patient?_revinclude=*",
    "Patient?_id=a,b,c",
    "Condition?_include=Condition:subject&_revinclude:iterate=Observation:subject",
    "Observation?subject:Patient.gender=female",
    "Observation?patient.name=a,b",
    "Observation?performer:Practitioner._id=0",
    "Observation?encounter.subject:Patient.gender=male",
    "Observation?_filter=not (subject.gender eq female)",
    "Observation?encounter._lastUpdated=gt2020",
    "Patient?_has:Observation:subject:code=x",
    "Patient?_has:Observation:performer:_id=0,1,2",
    "Patient?_has:Group:member:_id=0",
    "Observation?patient._has:Condition:subject:code=y",
    "Observation?_list=0",
    "List?item:Observation.code=x",
    "List?item:Observation.patient.gender=female",
    *(f"Patient/{each}/*" for each in PATIENTS),
    "Patient/a/Observation?code=x",
    "Encounter/0/Observation",
    *(f"Patient/{each}/$everything" for each in PATIENTS),
    "Patient/$everything",
    "Observation/$lastn?patient=Patient/b&category=laboratory,vital-signs&max=3",
    "Observation/$stats?subject=Patient/b&code=x&system=https://example.org/codes&statistic=count",
    *(f"Observation/{n}" for n in range(3)),
    *(f"Observation/{n}/_history" for n in range(3)),
    *("Observation/3/_history/1", "Patient/b/_history/1", "Observation/1/$meta", "Observation/$meta", "Group/0"),
    "Observation/0/$diff",
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(
    postgres: URL, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Pair]]:
    """Two servers on each database."""
    async with AsyncExitStack() as stack:

        async def one(kind: str) -> httpx.AsyncClient:
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('scopes') / 'dermatome.db'}"
            if kind == "postgresql":
                name = f"dermatome_{uuid.uuid4().hex[:12]}"
                url = await stack.enter_async_context(new_database(postgres, postgres_template, name))
            # That something still refers to a resource is told, without what: the one thing that is not hidden.
            made = Settings(database_url=url, log_level="error", worker="separate", delete_referred="allow")
            return await stack.enter_async_context(serving(made))

        yield {kind: (await one(kind), await one(kind)) for kind in DATABASES}


async def fill(client: httpx.AsyncClient, resources: list[Json]) -> None:
    """Only these are there."""
    transport: Any = client._transport
    database: Database = transport.app.state.service.database
    async with database.writing() as connection:
        for table in (*TABLES, Content, Version):
            await connection.execute(delete(table))
    sent = bundle(*(entry(one, method="PUT", url=f"{one['resourceType']}/{one['id']}") for one in resources))
    if resources:
        answer = await client.post("/fhir", json=sent)
        assert answer.status_code == 200, answer.text


async def told(client: httpx.AsyncClient, url: str) -> Any:
    """What is told: of every page, the names and modes of what is on it, with the total."""
    found, total, following = [], None, f"/fhir/{url}".replace("/fhir/?", "/fhir?")
    while following:
        answer = await client.get(following)
        body = answer.json()
        if answer.status_code != 200 or body["resourceType"] != "Bundle":
            return answer.status_code, _shown(body)
        total = body.get("total")
        found += [(one.get("search", {}).get("mode", ""), _shown(one.get("resource"))) for one in body.get("entry", ())]
        following = next((one["url"] for one in body["link"] if one["relation"] == "next"), "")
    return total, sorted(found)


def _shown(resource: Json | None) -> str:
    """A resource without the times at which it was stored; of an error, the codes."""
    kept = {name: value for name, value in (resource or {}).items() if name != "meta"}
    if kept.get("resourceType") == "OperationOutcome":
        return str([one["code"] for one in kept["issue"]])
    if kept.get("resourceType") == "Parameters":
        return str([one.get("name") for one in kept.get("parameter", ())])
    return str(sorted(kept.items(), key=lambda pair: pair[0]))


@pytest.mark.parametrize("kind", DATABASES)
@given(
    everything=populations(),
    scopes=SCOPES,
    patient=st.sampled_from(PATIENTS),
    asked=st.lists(st.sampled_from(READS), min_size=12, max_size=16, unique=True),
)
@settings(max_examples=8, **COMMON)
async def test_what_is_hidden_cannot_be_told_from_what_is_not_there(
    servers: dict[str, Pair], kind: str, everything: list[Json], scopes: list[Scope], patient: str, asked: list[str]
) -> None:
    whole, part = servers[kind]
    covered = [one for one in everything if covers(scopes, patient, one)]
    await fill(whole, everything)
    await fill(part, covered)
    claim = " ".join(one.text("rs") for one in scopes)
    note(f"{claim} for {patient}")

    for url in asked:
        note(url)
        answer = await told(limited(whole, claim, patient), url)
        assert answer == await told(limited(part, claim, patient), url)
        if answer[0] != 403:
            assert answer == await told(part, url)


@st.composite
def writes(draw: st.DrawFn) -> tuple[str, str, Json | list[Json] | None, dict[str, str]]:
    """A request that would change something: method, address, body, headers."""
    method = draw(st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]))
    number = draw(st.integers(0, 7))
    tree = {"resourceType": "Observation", **draw(OBSERVATION)}
    condition = draw(
        st.sampled_from(["code=x", "patient=Patient/b", "patient.gender=female", "_id=1", "category=laboratory"])
    )
    is_conditional = draw(st.booleans())
    headers = {"If-None-Exist": condition} if method == "POST" and is_conditional else {}
    if method != "POST" and draw(st.booleans()):
        headers["If-Match"] = draw(st.sampled_from(['W/"1"', 'W/"2"']))
    url = f"Observation?{condition}" if is_conditional else f"Observation/{number}"
    if method == "POST":
        return method, "Observation", tree, headers
    if method == "PATCH":
        change = [{"op": "replace", "path": "/subject", "value": tree["subject"]}]
        return method, url, change, {**headers, "Content-Type": "application/json-patch+json"}
    if method == "DELETE":
        return method, url, None, headers
    return method, url, tree if is_conditional else {**tree, "id": str(number)}, headers


@pytest.mark.parametrize("kind", DATABASES)
@given(
    everything=populations(),
    scopes=SCOPES,
    patient=st.sampled_from(PATIENTS),
    rights=st.sampled_from(["cruds", "ruds", "crus", "cuds", "crds"]),
    asked=st.lists(writes(), min_size=6, max_size=8),
)
@settings(max_examples=8, **COMMON)
async def test_what_is_hidden_is_not_changed_and_not_told_by_writing(
    servers: dict[str, Pair],
    kind: str,
    everything: list[Json],
    scopes: list[Scope],
    patient: str,
    rights: str,
    asked: list[Any],
) -> None:
    whole, part = servers[kind]
    covered = [one for one in everything if covers(scopes, patient, one)]
    hidden = [one for one in everything if one not in covered]
    await fill(whole, everything)
    await fill(part, covered)
    claim = " ".join(one.text(rights) for one in scopes)
    note(f"{claim} for {patient}")

    for method, url, body, headers in asked:
        note(f"{method} {url} {body} {headers}")
        answers = [
            await limited(each, claim, patient).request(method, f"/fhir/{url}", json=body, headers=headers)
            for each in (whole, part)
        ]
        assert answers[0].status_code == answers[1].status_code, [each.text for each in answers]

    before = {(one["resourceType"], one["id"]): _shown(one) for one in everything}
    after = [one["resource"] for one in (await whole.get("/fhir/Observation?_count=100")).json().get("entry", ())]
    for one in after:
        changed = before.get((one["resourceType"], one["id"])) != _shown(one)
        assert not changed or covers(scopes, patient, one), "it was written outside of what the scopes cover"
    for one in hidden:
        answer = await whole.get(f"/fhir/{one['resourceType']}/{one['id']}")
        assert answer.json()["meta"]["versionId"] == "1", "it was changed without being seen"
