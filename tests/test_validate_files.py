"""`dermatome validate`: what it reads, how it tells it, and the code it ends with."""

import io
import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.fhir.json import parse_object
from app.fhir.outcomes import LINE
from app.validate_files import INVALID, UNREAD, VALID, Format, run
from app.validation import Validator, load_validator
from tests.builders import bundle, entry, patient

NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
GOOD = {"resourceType": "Basic", "code": {"text": "x"}, "text": NARRATIVE}
BAD = {**GOOD, "nmae": 1}
PROFILE = "https://w3id.org/dermatome/fhir/StructureDefinition/neuropathic-pain"


@pytest.fixture(scope="module")
def validator() -> Validator:
    return load_validator()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a good file, a bad one, and a file of lines."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "good.json").write_text(json.dumps(GOOD), "utf-8")
    (tmp_path / "inner" / "bad.json").write_text(json.dumps(BAD, indent=2), "utf-8")
    (tmp_path / "lines.ndjson").write_text("\n".join([json.dumps(GOOD), "", json.dumps(BAD)]), "utf-8")
    (tmp_path / "notes.txt").write_text("not read", "utf-8")
    return tmp_path


def told(
    validator: Validator,
    capsys: pytest.CaptureFixture[str],
    names: Sequence[object],
    form: Format = Format.TEXT,
    *rest: str,
) -> tuple[int, list[str], str]:
    code = run(validator, [str(name) for name in names], rest, form, strict=False)
    captured = capsys.readouterr()
    return code, captured.out.splitlines(), captured.err


def test_a_folder_is_read_with_all_below_it(
    validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code, lines, errors = told(validator, capsys, [folder])

    assert code == INVALID
    assert lines == [
        f"{folder}/good.json: valid",
        f"{folder}/inner/bad.json:10:3: error dmt-unknown-element: Basic: 'nmae' is not an element of Basic.",
        f"{folder}/lines.ndjson: valid",
        f"{folder}/lines.ndjson:3:{json.dumps(BAD).index('nmae')}: error dmt-unknown-element:"
        " Basic: 'nmae' is not an element of Basic.",
    ]
    assert errors == "4 resources: 2 valid, 2 not\n"


def test_what_is_valid_ends_with_0(validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert told(validator, capsys, [folder / "good.json"])[0] == VALID


@pytest.mark.parametrize("lines", [1, 3])
def test_standard_input_is_one_resource_or_one_a_line(
    validator: Validator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    text = "\n".join([json.dumps(GOOD)] * lines).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    code, _, errors = told(validator, capsys, ["-"])

    assert (code, errors) == (VALID, f"{lines} resources: {lines} valid, 0 not\n")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "nothing to validate, it is empty"),
        (b" \n", "nothing to validate, it is empty"),
    ],
)
def test_what_cannot_be_read_is_said_and_ends_with_2(
    validator: Validator,
    capsys: pytest.CaptureFixture[str],
    folder: Path,
    content: bytes | None,
    sentence: str,
) -> None:
    file = folder / "odd.json"
    if content is not None:
        file.write_bytes(content)

    code, lines, errors = told(validator, capsys, [file, folder / "good.json"])

    assert code == UNREAD
    assert f"{file}: {sentence}" in errors
    assert lines == [f"{folder}/good.json: valid"]


def test_one_unreadable_file_of_a_folder_keeps_no_other_from_being_read(
    validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "aaa.json").write_bytes(b"")
    (folder / "dangling.json").symlink_to(folder / "nowhere")
    (folder / "folder.json").mkdir()

    code, lines, errors = told(validator, capsys, [folder])

    assert (code, len(lines)) == (UNREAD, 4)
    assert [line.rpartition("/")[2] for line in errors.splitlines()] == [
        "aaa.json: nothing to validate, it is empty",
        "dangling.json: cannot be read: No such file or directory",
        "4 resources: 2 valid, 2 not",
    ]


def test_an_empty_folder_is_said(validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, errors = told(validator, capsys, [tmp_path])

    assert code == UNREAD
    assert "nothing to validate, no .json" in errors


@pytest.mark.parametrize(
    ("text", "place", "rule"),
    [
        ('{"resourceType": "Basic",\n "code": tru}', "2:10", "dmt-json"),
        ("[]", "1:1", "dmt-json-object"),
        ('{"a": 1,\n "b": [{"c": 1, "c": 2}], "a": 2}', "2:17", "dmt-json-name"),
        ('{"a": 1,\n "b": [[1e999]]}', "2:9", "dmt-json-number"),
        ('{"a": 1,\n "a": NaN}', "2:7", "dmt-json-number"),
        ('{"a": 1,\n "a": 2}', "2:2", "dmt-json-name"),
        ("{}", "1:1", "dmt-resource-type"),
    ],
)
def test_what_is_no_resource_is_an_error_at_its_place(
    validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, place: str, rule: str
) -> None:
    file = tmp_path / "odd.json"
    file.write_text(text, "utf-8")

    code, lines, _ = told(validator, capsys, [file])

    assert code == INVALID
    assert lines[0].startswith(f"{file}:{place}: error {rule}: ")


def test_warnings_may_count_as_errors(validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "bare.json"
    file.write_text(json.dumps(patient()), "utf-8")

    codes = [run(validator, [str(file)], [], Format.TEXT, strict=strict) for strict in (False, True)]

    assert codes == [VALID, INVALID]


def test_a_profile_is_checked_and_an_unknown_one_is_no_verdict(
    validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    known = told(validator, capsys, [folder / "good.json"], Format.TEXT, PROFILE)
    unknown = told(validator, capsys, [folder / "good.json"], Format.TEXT, "http://example.org/nothing")

    assert (known[0], "dmt-profile-type" in known[1][0]) == (INVALID, True)
    assert (unknown[0], unknown[1]) == (UNREAD, [])


def test_json_lines_tell_all_that_is_known(
    validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(bundle(entry(patient()), entry(patient(gender="Female"))), indent=1), "utf-8")

    _, lines, _ = told(validator, capsys, [file], Format.JSON)

    (made,) = [json.loads(line) for line in lines]
    (issue,) = [each for each in made["issues"] if each["severity"] == "error"]
    assert (made["file"], made["line"], made["valid"]) == (str(file), 1, False)
    assert issue["pointer"] == "/entry/1/resource/gender"
    assert (issue["entry"], issue["rule"], issue["found"]) == (1, "dmt-binding-required", "Female")
    assert issue["suggestion"].startswith('Use the code "female"')


def test_outcomes_are_valid_resources_of_the_file_they_name(
    validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    _, lines, _ = told(validator, capsys, [folder], Format.OUTCOME)

    made = [parse_object(line.encode()) for line in lines]
    assert [each["extension"][0]["valueString"].rpartition("/")[2] for each in made] == [
        "good.json",
        "bad.json",
        "lines.ndjson",
        "lines.ndjson",
    ]
    assert [issue for each in made for issue in validator.check(each) if issue.is_error] == []
    assert {"url": LINE, "valueInteger": 3} in made[3]["issue"][0]["extension"]


def test_sarif_names_rule_file_and_line(validator: Validator, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    _, lines, _ = told(validator, capsys, [folder], Format.SARIF)

    log = json.loads("\n".join(lines))
    results = log["runs"][0]["results"]
    assert log["version"] == "2.1.0"
    assert [each["ruleId"] for each in results] == ["dmt-unknown-element"] * 2
    assert [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in results] == [10, 3]


@pytest.mark.parametrize("form", list(Format))
def test_a_file_name_that_is_no_utf8_is_told_in_every_format(
    validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path, form: Format
) -> None:
    (tmp_path / os.fsdecode(b"odd\xff name.json")).write_text(json.dumps(BAD), "utf-8")

    code, lines, _ = told(validator, capsys, [tmp_path], form)

    assert code == INVALID
    assert "odd" in "".join(lines)


def test_sarif_names_files_by_uri(validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "größe 1.json").write_text(json.dumps(BAD), "utf-8")

    _, lines, _ = told(validator, capsys, [tmp_path], Format.SARIF)

    (found,) = json.loads("".join(lines))["runs"][0]["results"]
    uri = found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.endswith("/gr%C3%B6%C3%9Fe%201.json")


def test_what_never_ends_is_not_read(validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zero.json").symlink_to("/dev/zero")

    code, _, errors = told(validator, capsys, [tmp_path])

    assert code == UNREAD
    assert errors.count("it is a device or a pipe") == 2


def test_lines_are_read_one_after_the_other(
    validator: Validator, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    line = json.dumps({**GOOD, "code": {"text": "x" * 100_000}}) + "\n"
    (tmp_path / "many.ndjson").write_text(line * 200, "utf-8")
    told(validator, capsys, [tmp_path])
    tracemalloc.start()

    code, _, _ = told(validator, capsys, [tmp_path])

    assert code == VALID
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
