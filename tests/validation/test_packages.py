"""Packages of definitions: read from archives, folders and loose files; what is wrong with them is told at start."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app import cli
from app.main import create_app
from app.settings import Settings, WrongSettings
from app.validation import load_validator
from app.validation.packages import archives
from app.validation.packages.definitions import Definitions
from app.validation.packages.packages import WrongPackages, definitions_of, load_packages, missing, said
from tests.validation.samples import OBSERVATION, PATIENT, changed
from tests.validation.test_profiles import element, structure

PROFILE = "https://example.org/StructureDefinition/final"
DERIVED = "https://example.org/StructureDefinition/final-with-method"
FINAL = structure(PROFILE, "Observation", element("Observation.status", fixedCode="final"))
WITH_METHOD = structure(DERIVED, "Observation", element("Observation.method", min=1), baseDefinition=PROFILE)
CODES = {"resourceType": "CodeSystem", "url": "https://example.org/codes", "status": "active", "content": "complete",
         "concept": [{"code": "a", "concept": [{"code": "b"}]}]}  # fmt: skip
SEARCH = {"resourceType": "SearchParameter", "url": "https://example.org/search"}
MANIFEST = {"name": "example.pain", "version": "1.2.0", "fhirVersions": ["4.0.1"], "dependencies": {}}
LOGICAL = structure(
    "https://example.org/model", "https://example.org/model", kind="logical", derivation="specialization"
)

Files = dict[str, Any]


def written(path: Path, files: Files) -> Path:
    """A package of these files: an archive if the name says so, else a folder."""
    texts = {name: each if isinstance(each, bytes) else json.dumps(each).encode() for name, each in files.items()}
    if path.suffix != ".tgz":
        for name, text in texts.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(text)
        return path
    with tarfile.open(path, "w:gz") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


GOOD: Files = {
    "package/package.json": MANIFEST,
    "package/.index.json": {"index-version": 1},
    "package/StructureDefinition-final.json": FINAL,
    "package/CodeSystem-codes.json": CODES,
    "package/SearchParameter-x.json": SEARCH,
    "package/StructureDefinition-model.json": LOGICAL,
    "package/example/Patient-1.json": PATIENT,
}


@pytest.mark.parametrize("form", ["pain.tgz", "pain"])
def test_a_package_is_read_from_an_archive_and_from_a_folder(tmp_path: Path, form: str) -> None:
    written(tmp_path / form, GOOD)

    (package,) = load_packages(tmp_path)

    assert set(package.definitions) == {PROFILE, CODES["url"]}
    assert package.told() == (
        "example.pain 1.2.0: 1 CodeSystem, 1 StructureDefinition used; not used: "
        "1 SearchParameter (only profiles, extensions, value sets and code systems are used); "
        "1 StructureDefinition (it is a type or logical model, no profile on a type of R4)"
    )


def test_loose_files_are_read_and_others_are_said(tmp_path: Path) -> None:
    written(tmp_path, {"final.json": b"\xef\xbb\xbf" + json.dumps(FINAL).encode(), "notes.txt": b"x"})

    (package,) = load_packages(tmp_path)

    assert set(package.definitions) == {PROFILE}
    assert "file notes.txt" in package.told()


def test_packages_build_on_each_other(tmp_path: Path) -> None:
    written(tmp_path / "a.tgz", {"package/StructureDefinition-b.json": WITH_METHOD})
    written(tmp_path / "b.tgz", {"package/StructureDefinition-a.json": FINAL})
    validator = load_validator(definitions_of(load_packages(tmp_path)))
    claimed = changed(OBSERVATION, "meta", {"profile": [DERIVED]})

    found = {issue.expression for issue in validator.check(changed(claimed, "status", "amended")) if issue.is_error}

    assert found == {"Observation.status", "Observation.method"}


def test_of_two_definitions_of_one_url_the_first_package_counts(tmp_path: Path) -> None:
    other = structure(PROFILE, "Observation", element("Observation.method", min=1))
    written(tmp_path / "b.tgz", {"package/a.json": FINAL})
    written(tmp_path / "a.tgz", {"package/package.json": MANIFEST, "package/a.json": other})

    first, second = load_packages(tmp_path)

    assert first.definitions[PROFILE]["differential"] == other["differential"]
    assert "defined by example.pain already" in second.told()


@pytest.mark.parametrize(
    "url",
    ["http://hl7.org/fhir/StructureDefinition/bp", "https://w3id.org/dermatome/fhir/StructureDefinition/pain-goal"],
)
def test_base_and_own_definitions_keep_their_meaning(tmp_path: Path, url: str) -> None:
    written(tmp_path, {"other.json": structure(url, "Observation", element("Observation.method", min=1))})

    (package,) = load_packages(tmp_path)

    assert not package.definitions
    assert "keeps its own definition" in package.told()


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    needed = {"hl7.fhir.r4.core": "4.0.1", "hl7.fhir.uv.sdc": "3.0.0"}
    written(tmp_path / "a.tgz", {"package/package.json": MANIFEST | {"dependencies": needed}})

    assert missing(load_packages(tmp_path)) == ["hl7.fhir.uv.sdc#3.0.0"]


def test_profiles_on_what_is_not_there_are_left_out_and_said(tmp_path: Path) -> None:
    on_top = structure(
        "https://example.org/top", "Observation", element("Observation.note", min=1), baseDefinition=DERIVED
    )
    written(tmp_path, {"a.json": WITH_METHOD, "b.json": on_top})

    (package,) = load_packages(tmp_path)

    assert package.definitions == {}
    assert f"{DERIVED} (based on {PROFILE}, which is not here)" in package.told()
    assert f"https://example.org/top (based on {DERIVED}, which is not here)" in package.told()


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    rules = [{"key": "x-1", "severity": "error", "human": "For people"}]
    types = [{"code": "Extension", "profile": ["https://example.org/unknown"]}]
    asking = structure(PROFILE, "Observation", element("Observation", constraint=rules),
                       element("Observation.extension:x", type=types))  # fmt: skip
    written(tmp_path, {"a.json": asking})

    told = said(load_packages(tmp_path))

    assert told[1:] == [
        f"{PROFILE}: the constraint x-1 has no FHIRPath expression, so it is not checked",
        f"{PROFILE}: the profile https://example.org/unknown is not known here, so it is not checked",
    ]


def test_a_profile_with_only_a_snapshot_holds(tmp_path: Path) -> None:
    whole = Definitions([FINAL], load_validator).snapshot(FINAL)
    only = {name: value for name, value in whole.items() if name != "differential"}
    written(tmp_path, {"only.json": only | {"baseDefinition": "https://example.org/nowhere"}})
    validator = load_validator(definitions_of(load_packages(tmp_path)))
    claimed = changed(OBSERVATION, "meta", {"profile": [PROFILE]})

    assert [issue for issue in validator.check(claimed) if issue.is_error] == []
    found = [issue.expression for issue in validator.check(changed(claimed, "status", "amended")) if issue.is_error]
    assert found == ["Observation.status"]


def rule(expression: str) -> dict[str, Any]:
    constraint = {"key": "x-1", "severity": "error", "human": "x", "expression": expression}
    return structure(PROFILE, "Observation", element("Observation", constraint=[constraint]))


def value_set(**rest: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": "https://example.org/vs", "status": "active"} | rest


WRONG: dict[str, tuple[Files, str]] = {
    "not JSON": ({"a.json": b"{"}, "a.json: The body is not JSON"),
    "not UTF-8": ({"a.json": b'{"resourceType": "\xff"}'}, "a.json: The body is not UTF-8"),
    "no object": ({"a.json": b"[]"}, "a.json: The body must be one JSON object"),
    "no archive": ({"a.tgz": b"nothing"}, "a.tgz: is no readable .tgz"),
    "other version": (
        {"a/package.json": MANIFEST | {"fhirVersions": ["5.0.0"]}},
        "package.json: it is for FHIR ['5.0.0']; 4.0.1 is needed",
    ),
    "other core": (
        {"a/package.json": MANIFEST | {"dependencies": {"hl7.fhir.r5.core": "5.0.0"}}},
        "depends on hl7.fhir.r5.core#5.0.0, of another FHIR version",
    ),
    "profile of another version": ({"a.json": FINAL | {"fhirVersion": "5.0.0"}}, "it is for FHIR 5.0.0"),
    "twice in one package": ({"a/1.json": FINAL, "a/2.json": FINAL}, "final is in a: 1.json already"),
    "unknown element": (
        {"a.json": structure(PROFILE, "Observation", element("Observation.colour"))},
        f"a.json: {PROFILE}, Observation.colour: there is no element colour",
    ),
    "constraint with an unknown name": ({"a.json": rule("colour.exists()")}, f"{PROFILE}, Observation: "),
    "constraint that is no FHIRPath": ({"a.json": rule("status = = 'final'")}, f"{PROFILE}, Observation: "),
    "hostile pattern": ({"a.json": rule("status.matches('(a+)+$')")}, f"{PROFILE}, Observation: "),
    "deep constraint": ({"a.json": rule("(" * 5_000 + "true" + ")" * 5_000)}, f"{PROFILE}, Observation: "),
    "no type": ({"a.json": {k: v for k, v in FINAL.items() if k != "kind"}}, "StructureDefinition.kind is missing"),
    "differential of another shape": (
        {"a.json": FINAL | {"differential": {"element": [{"path": 1}, "x", {}]}}},
        "StructureDefinition.differential.element[0].path must be a string",
    ),
    "min of another shape": (
        {"a.json": structure(PROFILE, "Observation", element("Observation.note", min="1"))},
        "element[0].min must be a whole number",
    ),
    "max that is no number": (
        {"a.json": structure(PROFILE, "Observation", element("Observation.note", max="many"))},
        "element[0].max must be a number or *",
    ),
    "value set of another shape": ({"a.json": value_set(compose={"include": "x"})}, "compose.include must be an array"),
    "code without code": (
        {"a.json": value_set(compose={"include": [{"system": "x", "concept": [{}]}]})},
        "ValueSet.compose.include[0].concept[0].code is missing",
    ),
    "code system of another shape": ({"a.json": CODES | {"concept": [{"code": 1}]}}, "concept[0].code must be a str"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, name: str) -> None:
    files, told = WRONG[name]
    written(tmp_path, files)

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert told in str(wrong.value)


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    written(tmp_path, {"a.json": b"{", "b.json": rule("nope.exists()"), "c.json": value_set(compose=[])})

    with pytest.raises(WrongSettings) as wrong:
        create_app(Settings(packages=tmp_path))

    lines = str(wrong.value).splitlines()
    assert [line.split()[1] for line in lines] == ["a.json:", "c.json:", "b.json:"]
    assert all(line.startswith("DERMATOME_PACKAGES: ") for line in lines)


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "package/../../evil.json"])
def test_a_name_that_leads_out_of_the_package_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path / "a.tgz", {name: FINAL})

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert "leads out of the package" in str(wrong.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_an_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("package/a.json")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert "neither a file nor a folder" in str(wrong.value)


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("MAX_FILE_BYTES", 1_000, "at most 1000 are read"),
        ("MAX_BYTES", 1_000, "bytes unpacked"),
        ("MAX_FILES", 1, "files"),
    ],
)
@pytest.mark.parametrize("form", ["a.tgz", "a"])
def test_what_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, limit: str, value: int, told: str
) -> None:
    monkeypatch.setattr(archives, limit, value)
    written(tmp_path / form, {f"package/{n}.json": b" " * 2_000 for n in range(3)})

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert told in str(wrong.value)


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A gigabyte of spaces in a megabyte."""
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("package/a.json")
        member.size = 1 << 30
        archive.addfile(member, Spaces())

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert "at most" in str(wrong.value)


class Spaces(io.RawIOBase):
    def read(self, size: int = -1) -> bytes:
        return b" " * size


@pytest.mark.parametrize("kept", [0, 50, 500, -4])
def test_a_truncated_archive_is_named(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path / "a.tgz", GOOD)
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(WrongPackages) as wrong:
        load_packages(tmp_path)

    assert "a.tgz: is no readable .tgz" in str(wrong.value)


def test_the_command_validates_against_packages(tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    written(tmp_path / "packages" / "pain.tgz", GOOD)
    resource = tmp_path / "resource.json"
    resource.write_text(json.dumps(changed(OBSERVATION, "meta", {"profile": [PROFILE]}) | {"status": "amended"}))

    with_packages = CliRunner().invoke(cli.app, ["validate", str(resource), "--packages", str(tmp_path / "packages")])
    without = CliRunner().invoke(cli.app, ["validate", str(resource)])
    strict = CliRunner().invoke(cli.app, ["validate", str(resource), "--unknown-profiles", "error"])

    assert with_packages.exit_code == 1
    assert "Observation.status" in with_packages.output
    assert "example.pain 1.2.0" in with_packages.stderr
    assert without.exit_code == 0
    assert strict.exit_code == 1
    assert "Observation.meta.profile[0]" in strict.output


def test_the_command_names_wrong_packages(tmp_path: Path) -> None:
    written(tmp_path, {"a.json": b"{"})

    result = CliRunner().invoke(cli.app, ["validate", str(tmp_path / "a.json"), "--packages", str(tmp_path)])

    assert result.exit_code == 2
    assert "a.json: The body is not JSON" in result.stderr


def test_a_value_set_without_members_decides_nothing(tmp_path: Path) -> None:
    bound = element("Observation.method", binding={"strength": "required", "valueSet": value_set()["url"]})
    written(tmp_path, {"a.json": value_set(), "b.json": structure(PROFILE, "Observation", bound)})
    validator = load_validator(definitions_of(load_packages(tmp_path)))
    claimed = OBSERVATION | {"meta": {"profile": [PROFILE]}, "method": {"coding": [{"system": "x:y", "code": "z"}]}}

    issues = validator.check(claimed)

    assert [issue for issue in issues if issue.is_error] == []
    assert "Observation.method" in [issue.expression for issue in issues if issue.severity == "information"]
