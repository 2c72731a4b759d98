"""How far validation and FHIRPath agree with the official tools, on a corpus outside the project.

    python -m tools.agreement CORPUS [--show N]

CORPUS: a folder with r4-examples/, us-core-*/, mutants/*.ndjson and fhirpath/suite.json; each case has the verdict of
the official HL7 validator. Printed per set: agreement, errors missed, false alarms, agreed refusals with a place in
common, and verdicts of the fast gate that are not those of the diagnosing pass (none may be). Cases whose verdict
depends on the environment are left out. The exit code is 1 if a figure is below what is promised.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from app.fhir.fhirpath import FhirPathError, Node, Quantity, Temporal, compile_expression
from app.fhir.fhirpath.nodes import system
from app.fhir.json import dumps, parse
from app.fhir.outcomes import Issue
from app.validation import Validator, load_validator
from app.validation.packages.definitions import usable

Json = dict[str, Any]

# Percent that must be reached: agreement by set, the same place over all sets, FHIRPath.
LEAST_PATHS, LEAST_FHIRPATH = 90, 97


@dataclass(slots=True)
class Score:
    """What came of one set. least: percent of agreement that must be reached; missed: invalid, but accepted;
    false_alarms: valid, but refused; split: the gate says otherwise than the diagnosing pass."""

    name: str
    least: float
    right: int = 0
    missed: list[tuple[str, str]] = field(default_factory=list)
    false_alarms: list[tuple[str, str]] = field(default_factory=list)
    paths_found: int = 0
    refused_rightly: int = 0
    split: list[tuple[str, str]] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.right + len(self.missed) + len(self.false_alarms)

    def line(self) -> str:
        return (
            f"{self.name:18} {self.count:5} cases  agreement {percent(self.right, self.count):6.2f} %"
            f"  missed {len(self.missed):4}  false alarms {len(self.false_alarms):4}"
            f"  same path {percent(self.paths_found, self.refused_rightly):5.1f} %  gate apart {len(self.split):4}"
        )

    @property
    def is_reached(self) -> bool:
        return percent(self.right, self.count) >= self.least and not self.split


def percent(part: int, whole: int) -> float:
    return 100 * part / max(whole, 1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare with recorded verdicts of the official tools.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--show", type=int, default=0, help="print this many disagreements per set")
    arguments = parser.parse_args()
    corpus: Path = arguments.corpus
    if not (corpus / "r4-examples").is_dir():
        sys.stderr.write(f"{corpus} holds no r4-examples/: not a corpus\n")
        return 2
    base = load_validator()
    scores = [
        score(Score("R4 examples", 100), _examples(corpus / "r4-examples", "files"), base),
        score(Score("R4 mutants", 99), _mutants(corpus / "mutants" / "r4.ndjson"), base),
    ]
    for folder in sorted(corpus.glob("us-core-*")):
        definitions, flaws = usable(_definitions(folder / "definitions"))
        for flaw in flaws:
            sys.stderr.write(f"{folder.name}: left out: {flaw}\n")
        guided = load_validator(definitions)
        scores.append(score(Score("US Core examples", 98), _examples(folder, "examples"), guided))
        scores.append(score(Score("US Core mutants", 98), _mutants(corpus / "mutants" / "us.ndjson"), guided))
    for each in scores:
        print(each.line())
        for kind, cases in (("missed", each.missed), ("false alarm", each.false_alarms), ("gate apart", each.split)):
            for name, why in cases[: arguments.show]:
                print(f"    {kind}: {name}: {why}")
    passed = fhirpath_share(corpus / "fhirpath", arguments.show)
    paths = percent(sum(each.paths_found for each in scores), sum(each.refused_rightly for each in scores))
    is_reached = all(each.is_reached for each in scores) and paths >= LEAST_PATHS and passed >= LEAST_FHIRPATH
    return 0 if is_reached else 1


def score(made: Score, cases: Iterable[tuple[str, bytes, Json]], validator: Validator) -> Score:
    """Validate each case and compare the verdicts."""
    for case, text, expected in cases:
        # Read without the limits of app.fhir.json: the verdicts are about FHIR, not about the size of numbers.
        resource = json.loads(text, parse_float=Decimal)
        errors = [issue for issue in validator.check(resource) if issue.is_error]
        admitted = validator.admits(resource)
        if admitted is not None and admitted is bool(errors):
            made.split.append((case, f"admitted: {admitted}, errors: {len(errors)}"))
        is_valid = expected["verdict"] == "valid"
        if is_valid == (not errors):
            made.right += 1
            if errors:
                made.refused_rightly += 1
                made.paths_found += has_same_path(errors, expected["errors"])
        elif errors:
            made.false_alarms.append((case, f"{errors[0].expression}: {errors[0].rule} {errors[0].diagnostics}"))
        else:
            first = expected["errors"][0]
            made.missed.append((case, f"{first['path']}: {first['text'][:200]}"))
    return made


def has_same_path(errors: list[Issue], expected: list[Json]) -> bool:
    """Whether one path agrees. For what is missing the official validator names the parent, we the element."""
    wanted = {_plain_path(error["path"]) for error in expected}
    found = {_plain_path(error.expression) for error in errors}
    parents = {_plain_path(error.expression).rpartition(".")[0] for error in errors if error.code == "required"}
    return bool((found | parents) & wanted)


def _plain_path(path: str) -> str:
    """Without comments, filters and types: resource/*Patient/1*/, extension[0][url='x'], value.ofType(Quantity).

    While it reads JSON the official validator writes value[x] for what it later calls value.ofType(Quantity).
    """
    while "/*" in path and "*/" in path:
        path = path[: path.index("/*")] + path[path.index("*/") + 2 :]
    while "[url='" in path and "']" in path:
        path = path[: path.index("[url='")] + path[path.index("']", path.index("[url='")) + 2 :]
    return re.sub(r"\.ofType\([A-Za-z0-9]+\)|\[x\]", "", path)


def _examples(folder: Path, files: str) -> Iterator[tuple[str, bytes, Json]]:
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    for name, verdict in expected.items():
        if not verdict.get("environment_dependent"):
            yield name, (folder / files / f"{name}.json").read_bytes(), verdict


def _mutants(path: Path) -> Iterator[tuple[str, bytes, Json]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            # The exact text of numbers matters, so the resource is written back with the digits it had.
            case = json.loads(line, parse_float=Decimal)
            if not case.get("environment_dependent"):
                yield f"{case['id']} {case['mutation']}", _text(case["resource"]), case


def _text(resource: Any) -> bytes:
    return dumps(resource)


def _definitions(folder: Path) -> list[Json]:
    return [json.loads(path.read_text("utf-8"), parse_float=Decimal) for path in sorted(folder.glob("*.json"))]


def fhirpath_share(folder: Path, show: int) -> float:
    """Percent of the expressions of the official suite that give the expected result; prints the line of it."""
    cases = json.loads((folder / "suite.json").read_text("utf-8"))
    passed = 0
    for case in cases:
        wrong = _suite_flaw(case, folder)
        passed += not wrong
        if wrong and show:
            print(f"    {case['group']}/{case['name']}: {case['expr']}: {wrong}")
    print(f"{'FHIRPath suite':18} {len(cases):5} cases  passed {passed} = {percent(passed, len(cases)):.1f} %")
    return percent(passed, len(cases))


def _suite_flaw(case: Json, folder: Path) -> str:
    resource = parse((folder / case["input"]).read_bytes()) if case["input"] else {}
    try:
        # Which names exist is checked as for our own constraints, but not where the suite takes none as input.
        context = str(resource.get("resourceType", "")) if not case["input_note"] else ""
        found = compile_expression(case["expr"], context=context, strict=True)(resource)
    except FhirPathError as error:
        return "" if case["invalid"] else f"raised: {error}"
    if case["invalid"]:
        return "should have raised"
    if case["predicate"]:
        holds = bool(found) and found[0] is not False
        return "" if [str(holds).lower()] == [output["value"] for output in case["outputs"]] else "predicate differs"
    wanted = [(output["type"], output["value"]) for output in case["outputs"]]
    actual = [_output(item) for item in found]
    return "" if _is_same(actual, wanted) else f"{actual}, expected {wanted}"


def _is_same(actual: list[str], wanted: list[tuple[str, Any]]) -> bool:
    return len(actual) == len(wanted) and all(
        value is None or text == str(value).removeprefix("@").removeprefix("T") or _number(text) == _number(value)
        for text, (_, value) in zip(actual, wanted, strict=True)
    )


def _number(text: Any) -> Any:
    try:
        return Decimal(str(text))
    except ArithmeticError:
        return text


def _output(item: Any) -> str:
    value = system(item)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Temporal):
        return value.text
    if isinstance(value, Quantity):
        return f"{value.value} '{value.unit}'"
    return str(value.value) if isinstance(value, Node) else str(value)


if __name__ == "__main__":
    sys.exit(main())
