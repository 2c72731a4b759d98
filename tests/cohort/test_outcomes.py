"""GET /pain/cohort/outcomes: a cohort counted by hand, made cohorts counted again in Python, and what is refused."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.profiles import FOLDER
from app.settings import Settings
from app.store.database import Database
from tests.cohort import people as made
from tests.cohort.people import CLASSES, DAY_ZERO, DIAGNOSES, Course, Person, Rating, group, people_bundle, results
from tests.conftest import serving

Json = dict[str, Any]
_PARTS = ("by_class", "by_diagnosis", "by_class_and_diagnosis")
EXAMPLE = FOLDER / "examples" / "answers" / "cohort-outcomes.json"
URL = "/pain/cohort/outcomes"


@pytest.fixture
async def open_client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server that tells groups of any size."""
    own = Settings(database_url=database_url, smallest_cell=1, log_level="error", export_files=str(tmp_path))
    async with serving(own) as client:
        yield client


async def post(client: httpx.AsyncClient, people: Sequence[Person]) -> None:
    for start in range(0, len(people), 100):
        answer = await client.post("/fhir", json=people_bundle(people[start : start + 100]))
        assert answer.status_code == 200, answer.text


async def asked(client: httpx.AsyncClient, **parameters: Any) -> Json:
    answer = await client.get(URL, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def groups(told: Json) -> dict[tuple[str, str], Json]:
    """Every group by its class and diagnosis; "" is all of them."""
    found = {(one.get("class", ""), one.get("diagnosis", "")): one for part in _PARTS for one in told[part]}
    return found | {("", ""): told["total"]}


def treated(baseline: int | None, follow_up: int | None, drug: str = "amitriptyline", **of: Any) -> Person:
    """A patient who took a drug from day 0, rated on that day and after 12 weeks."""
    ratings = [Rating(0, baseline)] if baseline is not None else []
    ratings += [Rating(84, follow_up)] if follow_up is not None else []
    return Person((Course(drug, 0, **of),), tuple(ratings))


# Amitriptyline for diabetic neuropathy: relief of 50, 40, 30, 20, 0 and -25 percent; three more without one.
HAND = [
    *(treated(8, 4), treated(10, 6), treated(10, 7), treated(5, 4), treated(6, 6), treated(4, 5)),
    *(treated(7, None), treated(None, 3), treated(0, 0)),
]
# Five who took duloxetine for the same pain; two who took it for postherpetic neuralgia.
HAND += [treated(8, value, "duloxetine") for value in (2, 3, 4, 5, 6)]
HAND += [treated(8, 2, "duloxetine", diagnosis="postherpetic-neuralgia")] * 2


async def test_a_cohort_is_counted_as_by_hand(open_client: httpx.AsyncClient) -> None:
    await post(open_client, HAND)
    # None of these is another response: of other recall, in error, outside the window, after the treatment.
    others = (Rating(84, 1, item="worst_7d"), Rating(85, 2, status="preliminary"), Rating(40, 3), Rating(100, 4))
    await post(open_client, [Person((Course("amitriptyline", 0, "other", ended=90),), (Rating(0, 9), *others))])

    told = await asked(open_client)

    cells = {cell: one for cell, one in groups(told).items() if all(cell)}
    assert {cell: one["courses"] for cell, one in cells.items()} == {
        ("tca", "diabetic-neuropathy"): 9,
        ("snri", "diabetic-neuropathy"): 5,
        ("snri", "postherpetic-neuralgia"): 2,
        ("tca", "other"): 1,
    }
    one = cells["tca", "diabetic-neuropathy"]
    missing = {name: one[name] for name in ("both_missing", "baseline_missing", "follow_up_missing", "baseline_zero")}
    assert missing == {"both_missing": 0, "baseline_missing": 1, "follow_up_missing": 1, "baseline_zero": 1}
    assert one["with_relief"] == 6
    # Wilson: 3 of 6 and 1 of 6, as tables have them.
    assert one["responder_30"] == {"responders": 3, "percent": 50.0, "interval": [18.76, 81.24]}
    assert one["responder_50"] == {"responders": 1, "percent": 16.67, "interval": [3.01, 56.35]}
    assert one["median_relief_percent"] == {"median": 25.0, "interval": [-25.0, 50.0]}
    assert cells["tca", "other"]["follow_up_missing"] == 1
    assert (told["total"]["courses"], told["total"]["with_relief"]) == (17, 13)


async def test_small_groups_are_not_told(client: httpx.AsyncClient) -> None:
    await post(client, HAND)

    told = await asked(client)

    shown = {cell: one.get("courses") for cell, one in groups(told).items()}
    # The two of postherpetic neuralgia are hidden where they stand alone, and so is what they could be computed from.
    assert shown == {
        ("", ""): 16,
        ("snri", ""): 7,
        ("tca", ""): 9,
        ("", "diabetic-neuropathy"): None,
        ("", "postherpetic-neuralgia"): None,
        ("snri", "diabetic-neuropathy"): None,
        ("snri", "postherpetic-neuralgia"): None,
        ("tca", "diabetic-neuropathy"): 9,
    }
    assert told == json.loads(EXAMPLE.read_text("utf-8"))


async def test_the_statement_that_is_shown_gives_what_was_told(client: httpx.AsyncClient, database_url: str) -> None:
    await post(client, HAND)

    told = await asked(
        client, sql="true", window="any", diagnosis="diabetic-neuropathy", until="2025", **{"from": "2025-01"}
    )

    async with Database(database_url) as database, database.reading() as connection:
        rows = (await connection.exec_driver_sql(told["sql"])).mappings().all()
    assert {(row["class"], row["courses"]) for row in rows if row["diagnosis"]} == {("", 14), ("snri", 5), ("tca", 9)}
    assert told["began"] == {"from": "2025-01", "until": "2025"}


async def test_nobody_is_counted_where_nobody_is_stored(client: httpx.AsyncClient) -> None:
    told = await asked(client)

    assert told["total"] == {"suppressed": False, "courses": 0, "with_relief": 0}
    assert (told["start_unknown"], told["by_class"]) == (0, [])


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"score": "dn4"}, ["score"]),
    ({"from": "yesterday", "until": "2025-02-30", "window": "soon"}, ["window", "from", "until"]),
    ({"from": "2025-02-01", "until": "2025-01"}, ["until"]),
    ({"diagnosis": "gout"}, ["diagnosis"]),
    ({"diagnosis": ""}, ["diagnosis"]),
    ({"sql": "1"}, ["sql"]),
    ({"instrument": "nrs"}, ["instrument"]),
    ({"from": ["2025", "2026"]}, ["from"]),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_cannot_be_asked_is_refused_with_a_sentence(client: httpx.AsyncClient) -> None:
    for parameters, expressions in REFUSED:
        answer = await client.get(URL, params=parameters)

        issues = answer.json()["issue"]
        assert (answer.status_code, [one["expression"] for one in issues]) == (400, [[name] for name in expressions])
        assert all(one["diagnostics"].endswith(".") for one in issues)


@pytest.mark.parametrize("seconds", [0.001])
async def test_what_takes_too_long_is_given_up(database_url: str, tmp_path: Path, seconds: float) -> None:
    own = Settings(database_url=database_url, cohort_seconds=seconds, log_level="error", export_files=str(tmp_path))
    async with serving(own) as client:
        await post(client, HAND)

        answer = await client.get(URL)

    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "too-costly")


_RATING = st.builds(
    Rating,
    day=st.sampled_from([-30, 0, 1, 20, 60, 84, 112, 113, 150]),
    value=st.integers(0, 10),
    item=st.sampled_from(["average_7d", "average_7d", "worst_7d"]),
    site=st.sampled_from(["56459004", "7569003"]),
    status=st.sampled_from(["final", "final", "entered-in-error"]),
)
_COURSE = st.builds(
    Course,
    drug=st.sampled_from(sorted(CLASSES)),
    day=st.integers(0, 5),
    diagnosis=st.sampled_from([*DIAGNOSES, None]),
    ended=st.sampled_from([None, 84, 100]),
)
_PERSON = st.builds(
    Person,
    st.lists(_COURSE, min_size=1, max_size=3, unique_by=lambda one: one.day).map(tuple),
    # Two ratings of one site on one day: which of them is the last nobody can say.
    st.lists(_RATING, max_size=8, unique_by=lambda one: (one.day, one.item, one.site)).map(tuple),
)
_bands = itertools.count(1)


async def test_made_cohorts_are_counted_as_in_python(
    open_client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(_PERSON, min_size=15, max_size=50), st.sampled_from([("12-weeks", 56, 112), ("any", 0, None)]))
    def check(people: list[Person], window: tuple[str, int, int | None]) -> None:
        # Each cohort in years of its own: nothing of another one is counted with it.
        start = DAY_ZERO - timedelta(days=1000 * next(_bands))
        monkeypatch.setattr(made, "DAY_ZERO", start)
        until = start + timedelta(days=9)
        began = {"from": start.isoformat(), "until": until.isoformat()}
        told = asyncio.run_coroutine_threadsafe(_posted_and_asked(open_client, people, window[0], began), loop).result()

        found = results(people, "average_7d", window[1:])
        every = {(cls, diagnosis) for one in found for cls in (one.cls, "") for diagnosis in (one.diagnosis, "")}
        assert groups(told).keys() == every
        for (cls, diagnosis), one in groups(told).items():
            expected = group([each for each in found if cls in ("", each.cls) and diagnosis in ("", each.diagnosis)])
            assert {name: one[name] for name in expected} == expected

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(check)


async def _posted_and_asked(client: httpx.AsyncClient, people: Sequence[Person], window: str, began: Json) -> Json:
    await post(client, people)
    return await asked(client, window=window, **began)
