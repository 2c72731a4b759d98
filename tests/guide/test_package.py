"""The FHIR package: the npm layout, always the same bytes, and of use to whoever loads it."""

import io
import json
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.cli import app as command
from app.guide.examples import examples
from app.guide.package import package
from app.guide.published import published
from app.main import create_app, load_definitions
from app.pain.content import load_content
from app.profiles import json_files
from app.profiles import package as manifest
from app.settings import Settings
from app.validation import load_validator

ELSEWHERE = "https://example.org/copy/fhir"


@cache
def packed() -> bytes:
    return package(published(load_content()), json_files("examples/valid"))


@cache
def contents() -> dict[str, Any]:
    with tarfile.open(fileobj=io.BytesIO(packed()), mode="r:gz") as files:
        found = {member.name: files.extractfile(member) for member in files.getmembers()}
        return {name: json.loads(file.read()) for name, file in found.items() if file}


def test_the_manifest_says_what_the_package_is() -> None:
    found = contents()["package/package.json"]

    assert {key: found[key] for key in ("name", "version", "canonical", "license", "type")} == {
        "name": "dermatome.fhir.r4",
        "version": manifest()["version"],
        "canonical": manifest()["canonical"],
        "license": "Apache-2.0",
        "type": "fhir.ig",
    }
    assert (found["fhirVersions"], found["dependencies"]) == (["4.0.1"], {"hl7.fhir.r4.core": "4.0.1"})


@pytest.mark.parametrize("folder", ["package/", "package/example/"])
def test_the_index_lists_every_file_as_it_is(folder: str) -> None:
    index = contents()[f"{folder}.index.json"]
    files = {
        name.removeprefix(folder): one
        for name, one in contents().items()
        if name.startswith(folder) and "/" not in name.removeprefix(folder) and one.get("resourceType")
    }

    assert index["index-version"] == 2
    assert {row["filename"] for row in index["files"]} == set(files)
    for row in index["files"]:
        one = files[row["filename"]]
        assert all(one[key] == value for key, value in row.items() if key != "filename")
        assert {"resourceType", "id"} <= set(row)


def test_definitions_are_whole_and_named_by_type_and_id() -> None:
    own = {name: one for name, one in contents().items() if name.count("/") == 1 and one.get("resourceType")}

    assert {name: f"package/{one['resourceType']}-{one['id']}.json" for name, one in own.items()} == dict(
        zip(own, own, strict=True)
    )
    kinds = Counter(one["resourceType"] for one in own.values())
    assert kinds["ImplementationGuide"] == 1
    assert all(one["snapshot"]["element"] for one in own.values() if one["resourceType"] == "StructureDefinition")
    # Any guide may bring rules of its own, so the keys of rules cannot all be listed.
    unlisted = [one["id"] for one in own.values() if one["resourceType"] == "ValueSet" and "expansion" not in one]
    assert unlisted == ["np-validation-rule"]
    assert len({one["url"] for one in own.values()}) == len(own)


def test_the_implementation_guide_lists_every_other_definition() -> None:
    guide = contents()["package/ImplementationGuide-dermatome.json"]
    listed = {row["reference"]["reference"] for row in guide["definition"]["resource"]}

    others = {
        f"{one['resourceType']}/{one['id']}"
        for name, one in contents().items()
        if name.count("/") == 1 and one.get("resourceType") not in (None, "ImplementationGuide")
    }
    assert listed == others
    groups = {one["id"] for one in guide["definition"]["grouping"]}
    assert {row["groupingId"] for row in guide["definition"]["resource"]} == groups


def test_what_we_publish_is_valid() -> None:
    definitions = published(load_content())
    validator = load_validator(one for one in definitions if one["resourceType"] == "Questionnaire")

    wrong = [
        (one["resourceType"], one["id"], issue.rule, issue.expression)
        for one in definitions
        for issue in validator.check(one)
        if issue.is_error or issue.rule == "dom-6"
    ]

    assert wrong == []


def test_the_same_content_gives_the_same_bytes() -> None:
    assert package(published(load_content()), json_files("examples/valid")) == packed()


def test_another_instance_validates_with_the_package(tmp_path: Path) -> None:
    # Under our own URLs an instance keeps its own definitions: a copy under others shows that it uses these.
    (tmp_path / "dermatome.tgz").write_bytes(_moved())

    validator = load_definitions(Settings(packages=tmp_path, unknown_profiles="error")).validator

    profile = f"{ELSEWHERE}/StructureDefinition/pain-intensity"
    by_stem = {one.stem: _elsewhere(one.resource) for one in examples(load_content())}
    right = validator.check(by_stem["Observation-nrs-current"], profiles=[profile])
    wrong = validator.check(by_stem["Observation-nrs-eleven"], profiles=[profile])
    assert [issue for issue in right if issue.is_error] == []
    assert [issue.rule for issue in wrong if issue.is_error]
    assert validator.terminology.value_set(f"{ELSEWHERE}/ValueSet/np-grade") is not None


async def test_the_package_is_served() -> None:
    transport = httpx.ASGITransport(app=create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://dermatome.test") as client:
        answer = await client.get("/guide/package.tgz")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    assert answer.content == packed()


def test_the_command_writes_pages_and_package(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        command, ["guide", "build", "--output", str(tmp_path / "site"), "--package", str(tmp_path / "p.tgz")]
    )

    assert done.exit_code == 0
    assert (tmp_path / "p.tgz").read_bytes() == packed()
    # Files need no server: their links are relative.
    assert 'href="guide.css"' in (tmp_path / "site" / "index.html").read_text("utf-8")
    assert (tmp_path / "site" / "StructureDefinition-pain-intensity.json").exists()


def _elsewhere(value: Any) -> Any:
    return json.loads(json.dumps(value, default=float).replace(manifest()["canonical"], ELSEWHERE))


def _moved() -> bytes:
    """The package with every canonical URL of ours under another base."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, one in contents().items():
            text = json.dumps(_elsewhere(one)).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return made.getvalue()
