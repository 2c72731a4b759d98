"""Views over pseudonymised resources: the same rows, of nobody who can be named."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.export.pseudonyms import load_pseudonyms
from app.fhir import json as lossless
from app.views.ready import ready_tables
from tests.builders import observation, patient
from tests.export.jobs import Side, side, work
from tests.views.cohort import held, post_cohort

KEY = "a key that nobody could guess, of enough letters"
NAMES = ("pain_scores", "scores", "treatment_steps", "responses")
_IDS = ("patient_id", "score_id", "id")


async def _exported(clinic: Side, **asked: Any) -> tuple[dict[str, list[dict[str, Any]]], bytes]:
    """The rows by table, and all that was written."""
    views = tuple((name, lossless.dumps(ready_tables()[name].definition).decode()) for name in NAMES)
    types = tuple({type_: None for name in NAMES for type_ in ready_tables()[name].resources})
    done = await clinic.export(types=types, views=views, table_format="ndjson", **asked)
    assert done.job.state == "complete", done.job.reason
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for file in done.files:
        if file.kind == "output":
            rows[file.type] += [lossless.parse_object(line) for line in done.contents[file.name].splitlines()]
    return rows, b"".join(done.contents.values())


def _of_scores(rows: list[dict[str, Any]], column: str) -> Counter[Any]:
    return Counter(str(row[column]) for row in rows)


async def test_views_are_made_of_resources_under_pseudonyms(database_url: str, tmp_path: Path) -> None:
    async with side(database_url, tmp_path / "files", rows=50) as clinic:
        await post_cohort(clinic.client)
        validator = clinic.service.validator.validator
        pseudonyms = await asyncio.to_thread(
            load_pseudonyms,
            KEY,
            base="http://dermatome.test/fhir",
            today=datetime.now(UTC).date(),
            validator=validator,
        )
        clinic = replace(clinic, means=replace(clinic.means, pseudonyms=lambda _: pseudonyms))
        plain, _ = await _exported(clinic)
        masked, written = await _exported(clinic, pseudonymised=True)
        people = [one["id"] for one in await held(clinic.client, ("Patient",))]

    for name in NAMES:
        assert plain[name], name
        assert len(masked[name]) == len(plain[name]), name
        of_people = {row["patient_id"] for row in plain[name]}
        assert {row["patient_id"] for row in masked[name]} == {
            pseudonyms.reference(f"Patient/{each}").removeprefix("Patient/") for each in of_people
        }
    for column in ("score", "instrument", "body_site"):
        if column in plain["pain_scores"][0]:
            assert _of_scores(masked["pain_scores"], column) == _of_scores(plain["pain_scores"], column)
    assert not [each for each in people if f'"{each}"'.encode() in written]


async def test_without_a_key_there_are_no_pseudonyms(database_url: str, tmp_path: Path) -> None:
    parts = [
        {"name": "viewReference", "valueReference": {"reference": "ViewDefinition/pain-answers"}},
        {"name": "_pseudonymise", "valueBoolean": True},
    ]
    async with side(database_url, tmp_path / "files") as clinic:
        await clinic.put(patient(id="a"), observation("Patient/a", id="o"))
        answer = await clinic.client.post(
            "/fhir/$viewdefinition-export",
            json={"resourceType": "Parameters", "parameter": parts},
            headers={"Prefer": "respond-async"},
        )
        await work(clinic.means)

    assert answer.status_code == 400
    assert "no key for pseudonyms" in answer.text
