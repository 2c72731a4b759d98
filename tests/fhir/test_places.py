"""An issue is placed in the text that was posted: pointer, entry, line, column."""

import json
import time
from typing import Any

import pytest

from app.fhir.outcomes import Issue
from app.fhir.places import Posted
from app.fhir.scan import is_plain_name

TEXT = """{
  "resourceType": "Patient",
  "birthDate" : "1960",
  "_birthDate": {"extension": [{"url": "u"}]},
  "name": [
    {"family": "Ä😀", "given": ["A", null], "_given": [null, {"id": "g", "extension": []}]},
    { "use" : "x" }
  ],
  "multipleBirthInteger": 2,
  "_active": {"id": "a"},
  "odd name 1960": 1,
  "a/b~c": 2
}"""
PATIENT: dict[str, Any] = json.loads(TEXT)
PLACES = [
    ("Patient", "", "", 1, 1),
    ("Patient.birthDate", "", "/birthDate", 3, 17),
    ("Patient.birthDate.extension[0].url", "", "/_birthDate/extension/0/url", 4, 40),
    ("Patient.birthDate.id", "", "/_birthDate", 4, 17),
    ("Patient.name", "", "/name", 5, 11),
    ("Patient.name[0].family", "", "/name/0/family", 6, 16),
    ("Patient.name[0].given[0]", "", "/name/0/given/0", 6, 32),
    ("Patient.name[0].given[1].extension[0]", "", "/name/0/_given/1/extension", 6, 86),
    ("Patient.name[1]", "", "/name/1", 7, 5),
    ("Patient.name[1].use", "", "/name/1/use", 7, 15),
    ("Patient.multipleBirth.ofType(integer)", "", "/multipleBirthInteger", 9, 27),
    ("Patient.active", "", "/_active", 10, 14),
    # What is missing is where the nearest that exists is.
    ("Patient.gender", "", "", 1, 1),
    ("Patient.name[1].period.start", "", "/name/1", 7, 5),
    ("Patient.name[7].use", "", "/name", 5, 11),
    ("Patient.multipleBirth", "", "", 1, 1),
    # A member is its name, and a name that may say something of a person is not told.
    ("Patient", "birthDate", "/birthDate", 3, 3),
    ("Patient", "active", "/_active", 10, 3),
    ("Patient", "odd name 1960", "", 11, 3),
    ("Patient", "a/b~c", "", 12, 3),
    ("Patient.name[1]", "use", "/name/1/use", 7, 7),
    ("Patient.multipleBirth", "multipleBirthInteger", "/multipleBirthInteger", 9, 3),
    ("Patient.name[1]", "nothing", "/name/1", 7, 5),
    ("", "resourceType", "/resourceType", 2, 3),
]


def placed(text: str, *issues: Issue) -> list[Issue]:
    return Posted(text.encode(), json.loads(text)).placed(issues)


def resolved(tree: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        tree = tree[int(step)] if isinstance(tree, list) else tree[step.replace("~1", "/").replace("~0", "~")]
    return tree


@pytest.mark.parametrize(("expression", "member", "pointer", "line", "column"), PLACES)
def test_an_issue_is_placed(expression: str, member: str, pointer: str, line: int, column: int) -> None:
    (issue,) = placed(TEXT, Issue("value", "x", expression, member=member))

    assert (issue.pointer, issue.line, issue.column, issue.entry) == (pointer, line, column, None)


def test_all_issues_are_placed_as_each_alone() -> None:
    issues = [Issue("value", "x", expression, member=member) for expression, member, *_ in PLACES]

    assert placed(TEXT, *issues) == [placed(TEXT, issue)[0] for issue in issues]


@pytest.mark.parametrize("expression", ["", "mode", "identifier"])
def test_what_is_no_content_has_no_place(expression: str) -> None:
    (issue,) = placed(TEXT, Issue("value", "x", expression))

    assert (issue.pointer, issue.line) == (None, None)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_value_of_a_bundle_is_found_where_it_is(indent: int | None, newline: str) -> None:
    entries = [{"fullUrl": f"urn:{number}", "resource": PATIENT} for number in range(3)]
    text = json.dumps({"resourceType": "Bundle", "entry": entries}, indent=indent).replace("\n", newline)
    below = [expression.partition(".")[2] for expression, *_ in PLACES if expression.startswith("Patient.")]
    issues = [Issue("v", "x", f"Bundle.entry[{number}].resource.{path}") for path in below for number in (2, 0, 1)]
    lines = text.split(newline)
    decoder = json.JSONDecoder()

    found = Posted(text.encode(), json.loads(text)).placed(issues)

    for issue in found:
        assert None not in (issue.line, issue.column, issue.pointer)
        line, column = issue.line or 0, issue.column or 0
        rest = newline.join([lines[line - 1][column - 1 :], *lines[line:]])
        assert decoder.raw_decode(rest)[0] == resolved(json.loads(text), issue.pointer or "")
        assert issue.entry == int(issue.expression[len("Bundle.entry[")])


def test_issues_asked_for_one_after_the_other_are_placed_alike() -> None:
    entries = [{"resource": PATIENT}] * 20
    text = json.dumps({"resourceType": "Bundle", "type": "x", "entry": entries}, indent=1)
    issues = [Issue("v", "x", f"Bundle.entry[{number}].resource.name[1].use") for number in range(20)]
    issues.append(Issue("v", "x", "Bundle.type"))
    posted = Posted(text.encode(), json.loads(text))

    assert [posted.placed([issue])[0] for issue in reversed(issues)] == posted.placed(issues)[::-1]


def test_a_resource_inside_parameters_is_placed_in_the_whole() -> None:
    text = '{"resourceType": "Parameters",\n "parameter": [{"resource":\n {"resourceType": "Patient", "active": 1}}]}'
    posted = Posted(text.encode(), json.loads(text))

    (issue,) = posted.placed([Issue("v", "x", "Patient.active")], ("parameter", 0, "resource"))

    assert (issue.pointer, issue.line, issue.column) == ("/parameter/0/resource/active", 3, 40)


@pytest.mark.parametrize("indent", [None, 1])
def test_a_thousand_issues_in_a_large_bundle_cost_about_one_more_reading(indent: int | None) -> None:
    entries = [{"resource": PATIENT}] * 20_000
    text = json.dumps({"resourceType": "Bundle", "entry": entries}, indent=indent).encode()
    tree = json.loads(text)
    issues = [Issue("v", "x", f"Bundle.entry[{number * 20}].resource.name[1].use") for number in range(1000)]
    posted = Posted(text, tree)

    start = time.perf_counter()
    found = [posted.placed([issue])[0] for issue in issues]

    # Once for each issue would take minutes.
    assert time.perf_counter() - start < 10
    assert found[-1].entry == 19_980


@pytest.mark.parametrize(("name", "is_plain"), [("_birthDate", True), ("x" * 42, False), ("Ann 1960", False)])
def test_a_plain_name_is_one_a_developer_writes(name: str, is_plain: bool) -> None:
    assert is_plain_name(name) is is_plain
