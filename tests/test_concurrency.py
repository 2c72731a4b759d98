"""Several processes on one database, asked for the same things at once: what is one stays one, and nothing is lost."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack

import httpx
import pytest
from sqlalchemy.engine import URL

from tests.builders import MEDICAL_RECORD, Json, bundle, entry, observation, patient
from tests.conftest import DATABASES, new_database
from tests.processes import Process, free_port

PROCESSES = 3
CALLERS = 64
ROUNDS = 3
PARTNER = "urn:uuid:6f2a1d3e-9c47-4b8a-a1f0-2d4e6c8b0a17"


@pytest.fixture(scope="module", params=DATABASES)
def addresses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The FHIR endpoints of processes that share one database, where references must lead somewhere."""
    folder = tmp_path_factory.mktemp("concurrency")
    loop = asyncio.new_event_loop()
    databases = AsyncExitStack()
    url = f"sqlite+aiosqlite:///{folder / 'dermatome.db'}"
    if request.param == "postgresql":
        server: URL = request.getfixturevalue("postgres")
        template: str = request.getfixturevalue("postgres_template")
        made = new_database(server, template, f"dermatome_{uuid.uuid4().hex[:12]}")
        url = loop.run_until_complete(databases.enter_async_context(made))
    with ExitStack() as stack:
        processes = []
        for number in range(PROCESSES):
            settings = {
                "PORT": str(free_port()),
                "DERMATOME_DATABASE_URL": url,
                "DERMATOME_DANGLING_REFERENCES": "strict",
            }
            process = Process("serve", settings, log=folder / f"{number}.log")
            process.start(wait=False)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            process.wait_until_ready()
        yield [f"{process.base}/fhir" for process in processes]
    loop.run_until_complete(databases.aclose())
    loop.close()


@pytest.fixture
async def servers(addresses: list[str]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each process."""
    async with AsyncExitStack() as stack:
        limits = httpx.Limits(max_connections=CALLERS)
        clients = [httpx.AsyncClient(base_url=one, timeout=120, limits=limits) for one in addresses]
        yield [await stack.enter_async_context(client) for client in clients]


Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


async def at_once(servers: Sequence[httpx.AsyncClient], times: int, ask: Ask) -> list[httpx.Response]:
    """The answers to as many requests, spread over the processes and sent together."""
    return list(await asyncio.gather(*(ask(servers[number % len(servers)], number) for number in range(times))))


def statuses(answers: Sequence[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def new_name() -> str:
    return f"c{uuid.uuid4().hex[:12]}"


def condition(name: str) -> str:
    return f"identifier={MEDICAL_RECORD}|{name}"


async def found(server: httpx.AsyncClient, address: str) -> list[Json]:
    answer = await server.get(address)
    assert answer.status_code == 200, answer.text
    return [one["resource"] for one in answer.json().get("entry", [])]


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_64_conditional_creates_make_one_resource(servers: list[httpx.AsyncClient], turn: int) -> None:
    name = new_name()

    async def create(server: httpx.AsyncClient, _: int) -> httpx.Response:
        return await server.post("Patient", json=patient(name), headers={"If-None-Exist": condition(name)})

    answers = await at_once(servers, CALLERS, create)

    assert statuses(answers) == {200: CALLERS - 1, 201: 1}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await found(servers[0], f"Patient?{condition(name)}")) == 1


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_64_conditional_updates_make_one_resource(servers: list[httpx.AsyncClient], turn: int) -> None:
    name = new_name()

    async def update(server: httpx.AsyncClient, number: int) -> httpx.Response:
        family = [{"family": str(number)}]
        return await server.put(f"Patient?{condition(name)}", json=patient(name, name=family))

    answers = await at_once(servers, CALLERS, update)

    assert statuses(answers) == {200: CALLERS - 1, 201: 1}
    assert len({answer.json()["id"] for answer in answers}) == 1
    versions = sorted(int(answer.json()["meta"]["versionId"]) for answer in answers)
    assert versions == list(range(1, CALLERS + 1))


async def test_conditional_creates_on_any_parameter_make_one_resource(servers: list[httpx.AsyncClient]) -> None:
    name = new_name()

    async def create(server: httpx.AsyncClient, _: int) -> httpx.Response:
        body = patient(name=[{"family": name}], birthDate="1931-04-05")
        asked = {"If-None-Exist": f"birthdate=1931-04-05&family={name}"}
        return await server.post("Patient", json=body, headers=asked)

    answers = await at_once(servers, 24, create)

    assert statuses(answers) == {200: 23, 201: 1}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_of_changes_with_one_if_match_one_wins(servers: list[httpx.AsyncClient], method: str) -> None:
    name = new_name()
    await servers[0].put(f"Patient/{name}", json=patient(id=name))

    async def change(server: httpx.AsyncClient, number: int) -> httpx.Response:
        family = [{"family": str(number)}]
        bodies: dict[str, object] = {
            "PUT": patient(id=name, name=family),
            "PATCH": [{"op": "add", "path": "/name", "value": family}],
        }
        kinds = {"PATCH": "application/json-patch+json"}
        headers = {"If-Match": 'W/"1"', "Content-Type": kinds.get(method, "application/fhir+json")}
        body = bodies.get(method)
        return await server.request(method, f"Patient/{name}", json=body, headers=headers)

    answers = await at_once(servers, 24, change)

    won = 204 if method == "DELETE" else 200
    assert statuses(answers) == {won: 1, 412: 23}
    history = await servers[1].get(f"Patient/{name}/_history")
    assert history.json()["total"] == 2


async def test_no_patch_is_lost(servers: list[httpx.AsyncClient]) -> None:
    name = new_name()
    await servers[0].put(f"Patient/{name}", json=patient("first", id=name))

    async def add(server: httpx.AsyncClient, number: int) -> httpx.Response:
        asked = [{"op": "add", "path": "/identifier/-", "value": {"system": MEDICAL_RECORD, "value": str(number)}}]
        headers = {"Content-Type": "application/json-patch+json"}
        return await server.patch(f"Patient/{name}", json=asked, headers=headers)

    answers = await at_once(servers, 48, add)

    kept = (await servers[0].get(f"Patient/{name}")).json()
    assert statuses(answers) == {200: 48}
    assert kept["meta"]["versionId"] == "49"
    assert {one["value"] for one in kept["identifier"]} == {"first", *map(str, range(48))}


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_transactions_on_one_condition_agree_on_one_id(servers: list[httpx.AsyncClient], turn: int) -> None:
    name = new_name()
    by_link = entry(observation(PARTNER)), entry(patient(name), full_url=PARTNER, ifNoneExist=condition(name))
    by_search = (
        entry(observation(f"Patient?{condition(name)}")),
        entry(patient(name), full_url=PARTNER, ifNoneExist=condition(name)),
    )

    async def send(server: httpx.AsyncClient, number: int) -> httpx.Response:
        return await server.post("", json=bundle(*(by_link, by_search)[number % 2]))

    answers = await at_once(servers, 32, send)

    assert statuses(answers) == {200: 32}
    (only,) = await found(servers[0], f"Patient?{condition(name)}")
    about = await found(servers[1], f"Observation?subject=Patient/{only['id']}&_count=100")
    assert len(about) == 32


async def test_transactions_that_meet_in_any_order_all_get_through(servers: list[httpx.AsyncClient]) -> None:
    names = [new_name() for _ in range(40)]

    async def send(server: httpx.AsyncClient, number: int) -> httpx.Response:
        ordered = names[::-1] if number % 2 else names
        family = [{"family": str(number)}]
        return await server.post(
            "",
            json=bundle(
                *(entry(patient(id=n, name=family), method="PUT", url=f"Patient/{n}") for n in ordered[:20]),
                *(entry(patient(n), method="PUT", url=f"Patient?{condition(n)}") for n in ordered[20:]),
            ),
        )

    answers = await at_once(servers, 24, send)

    assert statuses(answers) == {200: 24}


@pytest.mark.parametrize("turn", range(ROUNDS))
async def test_nothing_refers_to_what_is_deleted_at_the_same_moment(
    servers: list[httpx.AsyncClient], turn: int
) -> None:
    names = [new_name() for _ in range(20)]
    people = (entry(patient(id=name), method="PUT", url=f"Patient/{name}") for name in names)
    assert (await servers[0].post("", json=bundle(*people))).status_code == 200

    async def refer_or_delete(server: httpx.AsyncClient, number: int) -> httpx.Response:
        name = names[number // 2]
        if number % 2:
            return await server.delete(f"Patient/{name}")
        return await server.post("Observation", json=observation(f"Patient/{name}"))

    answers = await at_once(servers, 40, refer_or_delete)

    pairs = {(answers[n].status_code, answers[n + 1].status_code) for n in range(0, 40, 2)}
    assert pairs <= {(201, 409), (400, 204)}
