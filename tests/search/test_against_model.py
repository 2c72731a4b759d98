"""Searches made at random are answered as the plain model answers them, page by page."""

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlalchemy.engine import URL

from app.fhir import json as lossless
from app.settings import Settings
from app.store.database import Database
from app.store.index.reindex import VALUES as TABLES
from app.store.tables import Content, Version
from tests.builders import bundle, entry
from tests.conftest import DATABASES, new_database, serving
from tests.search import data
from tests.search.model import PARAMETERS, UCUM, Model
from tests.search.model import prefixed as prefix_of

RESOURCES = data.resources()
MODEL = Model(RESOURCES)
Asked = tuple[str, list[tuple[str, str]]]
# The same searches in every run: a difference found by chance on another machine would help nobody there.
COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}
PREFIXES = ["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clients(
    postgres: URL, postgres_template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A server with the resources, on each database."""
    async with AsyncExitStack() as stack:
        made = {}
        for kind in DATABASES:
            url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('model') / 'dermatome.db'}"
            if kind == "postgresql":
                name = f"dermatome_{uuid.uuid4().hex[:12]}"
                url = await stack.enter_async_context(new_database(postgres, postgres_template, name))
            made[kind] = await stack.enter_async_context(serving(Settings(database_url=url, log_level="error")))
            await emptied(url)
            sent = bundle(*(entry(one, method="PUT", url=f"{one['resourceType']}/{one['id']}") for one in RESOURCES))
            answer = await made[kind].post("/fhir", content=lossless.dumps(sent))
            assert answer.status_code == 200, answer.text
        yield made


async def emptied(url: str) -> None:
    """Take out what a new server holds, its own definitions: the model knows nothing of them."""
    async with Database(url) as database, database.writing() as connection:
        for table in (*TABLES, Content, Version):
            await connection.execute(delete(table))


def prefixed(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(str.__add__, st.sampled_from(PREFIXES), values)


def tokens(codes: list[str], systems: list[str]) -> st.SearchStrategy[str]:
    system, code = st.sampled_from([*systems, ""]), st.sampled_from(codes)
    with_system = st.builds("{}|{}".format, system, code)
    return st.one_of(code, with_system, st.sampled_from([f"{one}|" for one in systems]))


def quantities() -> st.SearchStrategy[str]:
    unit = st.sampled_from(["", *(f"|{UCUM}|{each}" for each in data.UNITS), "||mg", "||drops", f"|{UCUM}|m"])
    return st.builds(str.__add__, prefixed(st.sampled_from(data.NUMBERS)), unit)


def words(vocabulary: list[str]) -> st.SearchStrategy[str]:
    def part(word: str, start: int, length: int) -> str:
        return word[start : start + length].strip() or word

    return st.builds(part, st.sampled_from(vocabulary), st.integers(0, 3), st.integers(1, 9))


IDS = {"Patient": [f"p{n}" for n in range(15)], "Practitioner": ["dr0", "dr1", "dr2"]}
VALUES: dict[str, dict[str, st.SearchStrategy[str]]] = {
    "Patient": {
        "active": st.sampled_from(["true", "false"]),
        "gender": st.sampled_from(["male", "female", "other"]),
        "identifier": tokens(data.CODES, data.SYSTEMS),
        "family": words(data.FAMILIES),
        "given": words(data.GIVENS),
        "name": words(data.FAMILIES + data.GIVENS),
        "birthdate": prefixed(st.sampled_from(data.DATES)),
        "general-practitioner": st.sampled_from(IDS["Practitioner"]),
    },
    "Practitioner": {"family": words(data.FAMILIES)},
    "Observation": {
        "code": tokens(data.CODES, data.CODE_SYSTEMS),
        "status": st.sampled_from(["final", "amended", "preliminary", "unknown"]),
        "category": tokens(data.CODES, data.CODE_SYSTEMS),
        "date": prefixed(st.sampled_from(data.TIMES)),
        "value-quantity": quantities(),
        "value-string": words(data.FAMILIES),
        "subject": st.sampled_from([*IDS["Patient"], *(f"Patient/{one}" for one in IDS["Patient"])]),
        "patient": st.sampled_from(IDS["Patient"]),
        "component-code-value-quantity": st.builds("{}${}".format, st.sampled_from(data.COMPONENT_CODES), quantities()),
    },
    "RiskAssessment": {
        "probability": prefixed(st.sampled_from(data.PROBABILITIES)),
        "subject": st.sampled_from(IDS["Patient"]),
    },
    "ValueSet": {"url": st.sampled_from([*data.URLS, "https://example.org", "https://example.org/vs/a/b/c"])},
}
MODIFIERS = {"string": ["exact", "contains"], "token": ["not"], "uri": ["below", "above"]}
# Modifiers whose values are others than those of the parameter.
OTHERWISE: dict[tuple[str, str], list[tuple[str, st.SearchStrategy[str]]]] = {
    ("Patient", "identifier"): [
        (
            "of-type",
            st.builds(
                "{}|{}|{}".format,
                st.just(data.TYPE_SYSTEM),
                st.sampled_from(data.IDENTIFIER_TYPES),
                st.sampled_from(data.CODES),
            ),
        ),
        ("text", words(data.TEXTS)),
    ],
    ("Observation", "code"): [("text", words(data.TEXTS))],
    ("Observation", "category"): [("text", words(data.TEXTS))],
    ("Observation", "subject"): [("identifier", tokens(data.CODES, data.SYSTEMS))],
    ("Observation", "patient"): [("identifier", tokens(data.CODES, data.SYSTEMS))],
    ("Patient", "general-practitioner"): [("identifier", tokens(data.CODES, data.SYSTEMS))],
}
CHAINS = {
    "Observation": [("subject:Patient.", "Patient"), ("patient.", "Patient"), ("subject.", "Patient")],
    "Patient": [("general-practitioner:Practitioner.", "Practitioner")],
    "RiskAssessment": [("subject:Patient.", "Patient")],
}
REVERSE = {
    "Patient": [("_has:Observation:subject:", "Observation"), ("_has:RiskAssessment:subject:", "RiskAssessment")],
    "Practitioner": [("_has:Patient:general-practitioner:", "Patient")],
}


@st.composite
def criteria(draw: Callable[..., Any], resource_type: str, depth: int = 2) -> tuple[str, str]:
    """One parameter with its value."""
    others = [*CHAINS.get(resource_type, ()), *REVERSE.get(resource_type, ())] if depth else []
    if others and draw(st.integers(0, 3)) == 0:
        prefix, other = draw(st.sampled_from(others))
        name, value = draw(criteria(other, depth - 1))
        return f"{prefix}{name}", value
    name = draw(st.sampled_from(sorted(VALUES[resource_type])))
    kind = PARAMETERS[resource_type][name].kind
    if draw(st.integers(0, 9)) == 0:
        return f"{name}:missing", draw(st.sampled_from(["true", "false"]))
    values = draw(st.lists(VALUES[resource_type][name], min_size=1, max_size=3))
    modifier = draw(st.sampled_from(["", "", *MODIFIERS.get(kind, ())]))
    otherwise = OTHERWISE.get((resource_type, name))
    if otherwise and draw(st.integers(0, 2)) == 0:
        modifier, strategy = draw(st.sampled_from(otherwise))
        values = draw(st.lists(strategy, min_size=1, max_size=3))
    return f"{name}:{modifier}" if modifier else name, ",".join(values)


@st.composite
def searches(draw: Callable[..., Any]) -> Asked:
    resource_type = draw(st.sampled_from(sorted(VALUES)))
    return resource_type, draw(st.lists(criteria(resource_type), min_size=1, max_size=3))


async def pages(client: httpx.AsyncClient, address: str, count: int) -> tuple[list[str], set[int]]:
    """The ids of all pages one after the other, and the totals they tell."""
    found, totals = [], set()
    while address:
        answer = await client.get(address)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        entries = page.get("entry", [])
        assert [one["search"]["mode"] for one in entries] == ["match"] * len(entries)
        assert len(entries) <= count
        found += [one["resource"]["id"] for one in entries]
        totals.add(page["total"])
        address = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found, totals


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", DATABASES)
@settings(max_examples=100, **COMMON)
@given(asked=searches(), count=st.integers(2, 40))
async def test_a_search_finds_what_the_model_finds(
    clients: dict[str, httpx.AsyncClient], kind: str, asked: Asked, count: int
) -> None:
    resource_type, given_ = asked
    address = f"/fhir/{resource_type}?{urlencode([*given_, ('_count', str(count))])}"
    note(address)

    found, totals = await pages(clients[kind], address, count)

    expected = MODEL.search(resource_type, given_)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert totals == {len(expected)}


OPERATORS = {"token": "eq", "string": "sw", "reference": "re", "uri": "eq"}
Told = tuple[str, set[str]]


@st.composite
def comparisons(draw: Callable[..., Any], resource_type: str) -> Told:
    """A comparison of `_filter`, and the ids that the same criterion finds."""
    served = [name for name in sorted(VALUES[resource_type]) if PARAMETERS[resource_type][name].kind != "composite"]
    name = draw(st.sampled_from(served))
    value = draw(VALUES[resource_type][name])
    found = MODEL.search(resource_type, [(name, value)])
    prefix, text = prefix_of(value) if PARAMETERS[resource_type][name].kind not in OPERATORS else ("", value)
    operator = prefix or OPERATORS[PARAMETERS[resource_type][name].kind]
    return f'{name} {operator} "{text}"', found


def filters(resource_type: str) -> st.SearchStrategy[Told]:
    """Whole filters: and before or, not of what stands in parentheses."""
    every = MODEL.search(resource_type, [])

    def joined(inner: st.SearchStrategy[Told]) -> st.SearchStrategy[Told]:
        return st.one_of(
            st.builds(lambda one, other: (f"({one[0]}) and ({other[0]})", one[1] & other[1]), inner, inner),
            st.builds(lambda one, other: (f"({one[0]}) or ({other[0]})", one[1] | other[1]), inner, inner),
            st.builds(lambda one: (f"not ({one[0]})", every - one[1]), inner),
        )

    return st.recursive(comparisons(resource_type), joined, max_leaves=5)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", DATABASES)
@settings(max_examples=40, **COMMON)
@given(asked=st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), filters(name))))
async def test_a_filter_finds_what_its_criteria_find(
    clients: dict[str, httpx.AsyncClient], kind: str, asked: tuple[str, Told]
) -> None:
    resource_type, (text, expected) = asked
    note(text)

    found, _ = await pages(clients[kind], f"/fhir/{resource_type}?{urlencode({'_filter': text, '_count': '100'})}", 100)

    assert set(found) == expected


LINKS = ["Observation:subject", "Observation:patient", "RiskAssessment:subject", "Patient:general-practitioner"]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", DATABASES)
@settings(max_examples=40, **COMMON)
@given(
    asked=searches(),
    links=st.lists(
        st.tuples(
            st.sampled_from(["_include", "_revinclude", "_include:iterate", "_revinclude:iterate"]),
            st.sampled_from([*LINKS, "Observation:subject:Patient", "Observation:subject:Device"]),
        ),
        min_size=1,
        max_size=3,
    ),
)
async def test_what_goes_with_matches_is_what_the_model_finds(
    clients: dict[str, httpx.AsyncClient], kind: str, asked: Asked, links: list[tuple[str, str]]
) -> None:
    resource_type, given_ = asked
    address = f"/fhir/{resource_type}?{urlencode([*given_, *links, ('_count', '100')])}"
    note(address)

    page = (await clients[kind].get(address)).json()

    found = [
        (each["search"]["mode"], f"{each['resource']['resourceType']}/{each['resource']['id']}")
        for each in page.get("entry", ())
    ]
    matches = {f"{resource_type}/{name}" for name in MODEL.search(resource_type, given_)}
    assert {name for mode, name in found if mode == "match"} == matches
    assert {name for mode, name in found if mode == "include"} == MODEL.included(matches, links)
    assert len(found) == len(set(found))


SORTS = st.sampled_from(["_id", "gender", "birthdate", "family"])


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", DATABASES)
@settings(max_examples=30, **COMMON)
@given(keys=st.lists(st.tuples(st.sampled_from(["", "-"]), SORTS), min_size=1, max_size=3), count=st.integers(1, 8))
async def test_all_pages_together_are_in_order(
    clients: dict[str, httpx.AsyncClient], kind: str, keys: list[tuple[str, str]], count: int
) -> None:
    sort = ",".join(f"{sign}{code}" for sign, code in keys)

    found, _ = await pages(clients[kind], f"/fhir/Patient?_sort={sort}&_count={count}", count)

    assert set(found) == MODEL.search("Patient", [])
    wrong = [pair for pair in pairwise(found) if not MODEL.is_in_order("Patient", *pair, sort)]
    assert wrong == []


def test_the_model_finds_something_for_every_parameter() -> None:
    """A comparison of nothing with nothing would prove nothing."""
    found = {
        (kind, name): len(MODEL.search(kind, [(f"{name}:missing", "false")]))
        for kind, parameters in PARAMETERS.items()
        for name in parameters
    }

    assert [each for each, count in found.items() if count == 0] == []
