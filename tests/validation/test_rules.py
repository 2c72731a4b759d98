"""Every issue names its rule, every rule is documented, and no rule is documented that nothing names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.profiles import json_files, r4
from tools.document_rules import PAGE, with_table

APP = Path(__file__).parents[2] / "app"
MODULES = [path for folder in ("validation", "fhir", "intake", "routers") for path in (APP / folder).rglob("*.py")]
VALIDATION = [path for path in MODULES if path.is_relative_to(APP / "validation")]
RULES = {each["code"] for each in json_files("terminology")["CodeSystem-np-validation-rule"]["concept"]}
PRIMITIVES = {name for name, each in r4()["types"].items() if each["kind"] == "primitive-type"}
# Rules whose names are put together: by type, and by strength of the binding.
MADE = {f"dmt-primitive-{name}" for name in PRIMITIVES} | {"dmt-binding-required", "dmt-binding-extensible"}


def nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text("utf-8"))))


def tellers() -> Iterator[tuple[str, ast.Call]]:
    """The calls that make an issue in validation."""
    for path, node in nodes(VALIDATION):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "Issue" or called.endswith("report.add"):
                yield f"{path.relative_to(APP)}:{node.lineno}", node


def test_every_issue_of_validation_names_its_rule() -> None:
    found = dict(tellers())

    nameless = [
        place
        for place, call in found.items()
        # Report.add itself hands on the rule it was given, as the fifth of Issue.
        if "rule" not in {keyword.arg for keyword in call.keywords} and len(call.args) < 5
    ]

    assert len(found) > 30
    assert nameless == []


def test_the_rules_named_are_the_rules_documented() -> None:
    named = {
        node.value
        for _, node in nodes(MODULES)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"dmt-[\w-]*\w", node.value)
    }

    assert named | MADE == RULES


def test_the_page_of_rules_is_in_step() -> None:
    page = PAGE.read_text("utf-8")

    assert page == with_table(page)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_rule_is_told_in_one_sentence(rule: str) -> None:
    concept = next(
        each for each in json_files("terminology")["CodeSystem-np-validation-rule"]["concept"] if each["code"] == rule
    )

    assert re.fullmatch(r"[\w$][^\n]{10,160}\.", concept["definition"])
