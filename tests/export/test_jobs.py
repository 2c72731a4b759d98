"""What an export reads: exactly what was asked for, of every level, in files that end where they should."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from app.export.asked import LATEST_PROVENANCE, RELEVANT_PROVENANCE
from app.export.parts import fitting
from app.export.pseudonyms import Pseudonyms, load_pseudonyms
from app.store.exported import Line
from tests.builders import observation, patient
from tests.export.jobs import BASE, Exported, Side, side


def about(name: str, *targets: str) -> dict[str, Any]:
    """A Provenance."""
    return {
        "resourceType": "Provenance",
        "id": name,
        "recorded": "2026-01-01T00:00:00Z",
        "target": [{"reference": each} for each in targets],
        "agent": [{"who": {"display": "somebody"}}],
    }


def group(name: str, *members: str, inactive: tuple[str, ...] = ()) -> dict[str, Any]:
    """A Group of those."""
    entities: list[dict[str, Any]] = [{"entity": {"reference": each}} for each in members]
    entities += [{"entity": {"reference": each}, "inactive": True} for each in inactive]
    return {"resourceType": "Group", "id": name, "type": "person", "actual": True, "member": entities}


@pytest.fixture
async def clinic(database_url: str, tmp_path: Path) -> AsyncIterator[Side]:
    """Four patients with two Observations each; the second was changed, the first of d deleted with d's Condition."""
    async with side(database_url, tmp_path / "files") as found:
        for each in "abcd":
            await found.put(patient(id=each, gender="female"))
            await found.put(*(observation(f"Patient/{each}", id=f"{each}{n}", status="final") for n in (1, 2)))
        await found.put(observation("", id="nobody"), observation("Patient/a", id="a2", status="amended"))
        await found.put(
            group("inner", "Patient/c"), group("outer", "Patient/a", "Group/inner", inactive=("Patient/b",))
        )
        await found.put(about("old", "Observation/a1"), about("new", "Observation/a1"), about("other", "Patient/b"))
        yield found


def keys(found: Exported, kind: str = "output") -> list[str]:
    return [f"{each['resourceType']}/{each['id']}" for each in map(json.loads, found.lines(kind))]


async def test_an_export_of_all_is_the_store_byte_for_byte(clinic: Side) -> None:
    found = await clinic.export()

    assert found.job.state == "complete", found.job.reason
    assert sorted(found.lines()) == await clinic.stored()
    assert (found.job.done, found.job.total) == (len(found.lines()), len(found.lines()))
    assert max(each.count for each in found.files) == 3
    # One type in each file, and none for a type without resources.
    for each in found.files:
        assert {json.loads(line)["resourceType"] for line in found.contents[each.name].splitlines()} == {each.type}
    assert {each.type for each in found.files} == {"Patient", "Observation", "Group", "Provenance"}


CHOSEN: list[tuple[str, dict[str, Any], str]] = [
    ("a type", {"types": ("Patient",)}, "Patient/a Patient/b Patient/c Patient/d"),
    ("a search", {"types": ("Observation",), "filters": {"Observation": ("status=amended",)}}, "Observation/a2"),
    (
        "one of several searches, with more than one criterion, and only of its type",
        {
            "types": ("Group", "Observation"),
            "filters": {"Observation": ("subject=Patient/a&status=final", "subject=Patient/b&_id=b2,c2")},
        },
        "Group/inner Group/outer Observation/a1 Observation/b2",
    ),
    (
        "all patients",
        {"level": "patient", "types": ("Observation",)},
        " ".join(f"Observation/{p}{n}" for p in "abcd" for n in (1, 2)),
    ),
    (
        "some patients",
        {"level": "patient", "types": ("Observation", "Patient"), "patients": ("b",)},
        "Observation/b1 Observation/b2 Patient/b",
    ),
    (
        "the members of a Group and of those in it",
        {"level": "group", "group": "outer", "types": ("Observation", "Patient")},
        "Observation/a1 Observation/a2 Observation/c1 Observation/c2 Patient/a Patient/c",
    ),
    (
        "one of the members, by a search",
        {
            "level": "group",
            "group": "outer",
            "patients": ("c",),
            "types": ("Observation",),
            "filters": {"Observation": ("_id=c1,b1",)},
        },
        "Observation/c1",
    ),
    (
        "Provenance of what is exported",
        {"types": ("Observation", "Provenance"), "associated": (RELEVANT_PROVENANCE,)},
        " ".join(f"Observation/{p}{n}" for p in "abcd" for n in (1, 2))
        + " Observation/nobody Provenance/new Provenance/old",
    ),
    (
        "the latest Provenance of it",
        {
            "level": "patient",
            "patients": ("a",),
            "types": ("Observation", "Provenance"),
            "associated": (LATEST_PROVENANCE,),
            "filters": {"Observation": ("_id=a1",)},
        },
        "Observation/a1 Provenance/new",
    ),
]


async def test_what_is_chosen_is_exported_and_nothing_else(clinic: Side) -> None:
    for name, asked, expected in CHOSEN:
        found = await clinic.export(**asked)

        assert found.job.state == "complete", (name, found.job.reason)
        assert sorted(keys(found)) == sorted(expected.split()), name
        assert found.job.total == len(expected.split()), name


async def test_what_was_deleted_since_is_told_of_those_asked_for(clinic: Side) -> None:
    before = (await clinic.export(types=("Patient",))).job.transaction_time
    await clinic.put(observation("Patient/d", id="b1"))
    for each in (
        "Observation/a1",
        "Observation/b1",
        "Observation/nobody",
        "Provenance/old",
        "Observation/d2",
        "Observation/c1",
    ):
        assert (await clinic.client.delete(f"/fhir/{each}")).is_success
    await clinic.put(observation("Patient/c", id="c1"))

    everything = await clinic.export(since=before)
    of_b = await clinic.export(since=before, level="patient", types=("Observation",), patients=("b",))
    of_all = await clinic.export(since=before, level="patient", types=("Observation",))
    never = await clinic.export()

    def deleted(found: Exported) -> list[str]:
        bundles = [json.loads(line) for line in found.lines("deleted")]
        assert {each["type"] for each in bundles} <= {"transaction"}
        return sorted(each["request"]["url"] for bundle in bundles for each in bundle["entry"])

    assert keys(everything) == ["Observation/c1"]
    assert deleted(everything) == [
        "Observation/a1", "Observation/b1", "Observation/d2", "Observation/nobody", "Provenance/old"
    ]  # fmt: skip
    # It was b's before it was changed to be d's, and deleted.
    assert deleted(of_b) == ["Observation/b1"]
    assert deleted(of_all) == ["Observation/a1", "Observation/b1", "Observation/d2"]
    assert deleted(never) == []


async def test_elements_are_cut_out_of_the_text_as_it_was_written(clinic: Side) -> None:
    body = '{ "resourceType":"Observation",\n "id":"x", "status":"final",\r\n "code":{"text":"a"}, "valueDecimal" : 1 }'
    sent = body.replace('"valueDecimal" : 1', '"valueQuantity":{"value":1.500}')
    assert (
        await clinic.client.put("/fhir/Observation/x", content=sent, headers={"content-type": "application/json"})
    ).is_success
    one = {"types": ("Observation",), "filters": {"Observation": ("_id=x",)}}

    whole = await clinic.export(**one)
    part = await clinic.export(**one, elements={"Observation": ("value",)})
    other = await clinic.export(**one, elements={"Patient": ("gender",)})

    assert b'"value":1.500' in whole.lines()[0]
    assert other.lines() == whole.lines()
    tree = json.loads(part.lines()[0], parse_float=str)
    assert tree.keys() == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert tree["valueQuantity"] == {"value": "1.500"}
    assert tree["meta"]["tag"][0]["code"] == "SUBSETTED"


async def test_blocks_head_what_is_about_each_patient(clinic: Side) -> None:
    found = await clinic.export(level="patient", types=("Observation", "Patient"), organize_by="Patient")

    blocks: dict[str, list[str]] = {}
    for tree in map(json.loads, found.lines()):
        if tree["resourceType"] == "Parameters":
            head = tree["parameter"][0]["valueReference"]["reference"]
            assert head not in blocks
            blocks[head] = []
        else:
            blocks[head].append(f"{tree['resourceType']}/{tree['id']}")
    assert blocks == {f"Patient/{p}": [f"Patient/{p}", f"Observation/{p}1", f"Observation/{p}2"] for p in "bcd"} | {
        "Patient/a": ["Patient/a", "Observation/a1", "Observation/a2"]
    }
    assert len(found.files) == 4


async def test_under_pseudonyms_blocks_deletions_and_what_was_removed_are_told_too(clinic: Side) -> None:
    key, validator = "k" * 40, clinic.service.validator.validator

    def pseudonyms(at: int) -> Pseudonyms:
        return load_pseudonyms(key, base=BASE, today=date(2026, 1, 1), validator=validator)

    named = replace(clinic, means=replace(clinic.means, pseudonyms=pseudonyms))
    before = (await clinic.export(types=("Patient",))).job.transaction_time
    await clinic.put(patient("12345", id="a", name=[{"family": "Berg"}]), observation("Patient/a", id="new"))
    assert (await clinic.client.delete("/fhir/Observation/b1")).is_success
    asked = {"level": "patient", "types": ("Observation", "Patient"), "pseudonymised": True, "since": before}

    found = await named.export(**asked, organize_by="Patient")

    everything = b"".join(found.contents.values())
    assert found.job.state == "complete", found.job.reason
    assert [key.partition("/")[0] for key in keys_of_any(found)] == ["Parameters", "Patient", "Observation"]
    assert not [secret for secret in (b"12345", b"Berg", b"Patient/a", b"Observation/b1") if secret in everything]
    gone = json.loads(found.lines("deleted")[0])["entry"][0]["request"]["url"]
    assert gone == pseudonyms(0).reference("Observation/b1") != "Observation/b1"
    assert b"Patient.name: 1 times." in found.lines("error")[0]


def keys_of_any(found: Exported) -> list[str]:
    return [f"{each['resourceType']}/{each.get('id', '')}" for each in map(json.loads, found.lines())]


def line(vid: int, size: int = 9, head: str = "") -> Line:
    return Line(vid, size, vid, head)


@pytest.mark.parametrize(
    ("lines", "rows", "size", "expected"),
    [
        ([], 3, 100, 0),
        ([line(1)], 1, 1, 1),
        ([line(n) for n in range(5)], 3, 100, 3),
        ([line(n) for n in range(5)], 9, 29, 2),
        ([line(n) for n in range(3)], 3, 30, 3),
        ([line(1, 500), line(2, 500)], 9, 100, 1),
        ([line(1, head="a"), line(2, head="a"), line(3, head="b")], 2, 100, 2),
        ([line(1, head="a"), line(2, head="a"), line(3, head="a"), line(4, head="b")], 2, 100, 3),
        ([line(1, head="a"), line(2, head="a")], 1, 1, 2),
    ],
)
def test_a_file_ends_at_its_limits_and_between_blocks(lines: list[Line], rows: int, size: int, expected: int) -> None:
    assert fitting(lines, rows, size) == expected
