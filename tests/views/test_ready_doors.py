"""The ready tables by HTTP: run and exported, each has the rows that all resources at once make."""

import json
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.fhir import json as lossless
from app.views.ready import ready_tables
from tests.export.jobs import side, work
from tests.views.cohort import held, post_cohort

ASYNC = {"Prefer": "respond-async"}
JOINED = [name for name, one in ready_tables().items() if one.of_patients]


def named(name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    definition = ready_tables()[name].definition if name in ready_tables() else {"id": name}
    where = f"{definition.get('resourceType', 'ViewDefinition')}/{definition['id']}"
    reference = {"name": "viewReference", "valueReference": {"reference": where}}
    return {"resourceType": "Parameters", "parameter": [reference, *parts]}


def counted(rows: Iterable[Any]) -> Counter[str]:
    """Rows in any order, whose numbers may be written in more than one way."""
    return Counter(json.dumps({name: _number(one) for name, one in row.items()}, sort_keys=True) for row in rows)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


async def expected(client: httpx.AsyncClient, name: str) -> Counter[str]:
    table = ready_tables()[name]
    names = [column.name for column in table.columns]
    return counted(dict(zip(names, row, strict=True)) for row in table.rows(await held(client, table.resources)))


async def test_each_ready_table_is_run_by_its_name(client: httpx.AsyncClient) -> None:
    await post_cohort(client)

    for name in ready_tables():
        answer = await client.post("/fhir/$viewdefinition-run", json=named(name))

        assert answer.status_code == 200, answer.text
        assert counted(answer.json()) == await expected(client, name), name
        assert answer.json(), name


async def test_a_joined_table_is_of_whole_patients_whoever_is_asked_for(client: httpx.AsyncClient) -> None:
    await post_cohort(client)
    people = [one["id"] for one in await held(client, ("Patient",))]

    for name in JOINED:
        everybody = (await client.post("/fhir/$viewdefinition-run", json=named(name))).json()
        each = []
        for id_ in people:
            who = {"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}}
            each += (await client.post("/fhir/$viewdefinition-run", json=named(name, who))).json()

        assert counted(each) == counted(everybody), name
        assert len({one["patient_id"] for one in everybody}) > 1, name


async def test_joined_tables_are_exported_as_files(database_url: str, tmp_path: Path) -> None:
    async with side(database_url, tmp_path / "files", rows=3) as clinic:
        await post_cohort(clinic.client)
        for name in JOINED:
            answer = await clinic.client.post("/fhir/$viewdefinition-export", json=named(name), headers=ASYNC)
            assert answer.status_code == 202, answer.text
            await work(clinic.means)
            manifest = (await clinic.client.get(answer.headers["content-location"])).json()
            texts = [(await clinic.client.get(each["url"])).text for each in manifest["output"]]

            rows = [lossless.parse_object(line.encode()) for text in texts for line in text.splitlines()]
            assert counted(rows) == await expected(clinic.client, name), name
            assert {each["type"] for each in manifest["output"]} == {name}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (named("pain_scores", {"name": "_since", "valueInstant": "2020-01-01T00:00:00Z"}), "_since means nothing"),
        (named("nothing"), "no such ViewDefinition"),
        (
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "viewResource", "resource": {"resourceType": "Library", "url": "urn:x"}}],
            },
            "SQL is run only of the tables",
        ),
    ],
)
async def test_what_no_table_is_made_of_is_refused(client: httpx.AsyncClient, body: dict[str, Any], said: str) -> None:
    answer = await client.post("/fhir/$viewdefinition-run", json=body)

    assert 400 <= answer.status_code < 500
    assert said in answer.text
