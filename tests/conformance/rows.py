"""Reads the tables of rows/ and compares answers with them."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx

from app.fhir import json as lossless
from app.fhir.fhirpath import compile_expression, value_of

FOLDER = Path(__file__).parent / "rows"
_ABSENT = "-"


@dataclass(frozen=True)
class Step:
    """One request and what its answer must be.

    request: "GET /Patient/1", below the FHIR endpoint. status: one or several that are right. expect: headers with
    patterns, "-" for one that must not be there. checks: FHIRPath on the body. contains: texts of the body. empty: the
    body must be. capture: name -> FHIRPath, or "header:Name", of a value for later steps.
    """

    request: str
    status: int | Sequence[int]
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    expect: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[str] = ()
    contains: Sequence[str] = ()
    empty: bool = False
    capture: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """What R4 says in one of its sections, as steps. key: unique among all rows, and fit for ids."""

    file: str
    key: str
    section: str
    name: str
    steps: Sequence[Step]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """One file of rows, and the steps that make its data."""

    setup: Sequence[Step]
    rows: Sequence[Row]


def read_table(path: Path) -> Table:
    """A file of rows. Raises TypeError or KeyError for a key that rows do not have: a check misspelt checks nothing."""
    content = tomllib.loads(path.read_text("utf-8"))
    shared = content.pop("settings", {})
    setup = [Step(**step) for step in content.pop("setup", ())]
    rows = [_row(path, number, dict(row), shared) for number, row in enumerate(content.pop("row"), 1)]
    if content:
        raise KeyError(f"{path.name}: {', '.join(content)}")
    return Table(setup, rows)


def _row(path: Path, number: int, row: dict[str, Any], shared: Mapping[str, Any]) -> Row:
    steps = [Step(**step) for step in row.pop("step")]
    settings = {**shared, **row.pop("settings", {})}
    return Row(path.stem, f"{path.stem}-{number}", steps=steps, settings=settings, **row)


async def run(client: httpx.AsyncClient, steps: Sequence[Step], known: Mapping[str, str]) -> list[str]:
    """Do the steps; answers what was not as stated, with the step it concerns; nothing after the first such step."""
    values = dict(known)
    for number, step in enumerate(steps, 1):
        answer = await _ask(client, step, values)
        if wrong := _differences(step, answer, values):
            return [f"step {number} ({step.request}): {each}" for each in wrong] + [answer.text[:2000]]
        values |= {name: _captured(answer, where, values) for name, where in step.capture.items()}
    return []


async def _ask(client: httpx.AsyncClient, step: Step, values: Mapping[str, str]) -> httpx.Response:
    method, _, address = _filled(step.request, values).partition(" ")
    body = _filled(step.body, values)
    headers = {name: _filled(value, values) for name, value in step.headers.items()}
    if body and "content-type" not in (name.lower() for name in headers):
        headers["Content-Type"] = "application/fhir+json"
    url = address if address.startswith("http") else f"{values['base']}{address if address != '/' else ''}"
    return await client.request(method, url, content=body.encode() if body else None, headers=headers)


def _differences(step: Step, answer: httpx.Response, values: Mapping[str, str]) -> list[str]:
    allowed = [step.status] if isinstance(step.status, int) else step.status
    wrong = [] if answer.status_code in allowed else [f"status {answer.status_code}, expected {step.status}"]
    for name, pattern in step.expect.items():
        found = answer.headers.get(name)
        is_right = fnmatchcase(found, _filled(pattern, values).replace("[", "[[]")) if found is not None else False
        if not is_right and not (found is None and pattern == _ABSENT):
            wrong.append(f"{name} is {found!r}, expected {pattern!r}")
    wrong += [f"the body lacks {text!r}" for text in step.contains if _filled(text, values) not in answer.text]
    if step.empty and answer.content:
        wrong.append("the body is not empty")
    if step.checks and not wrong:
        tree = lossless.parse(answer.content)
        wrong += [f"not true: {check}" for check in step.checks if not _is_true(_filled(check, values), tree)]
    return wrong


def _is_true(expression: str, tree: Any) -> bool:
    return [value_of(item) for item in compile_expression(expression)(tree)] == [True]


def _captured(answer: httpx.Response, where: str, values: Mapping[str, str]) -> str:
    if where.startswith("header:"):
        return answer.headers[where.removeprefix("header:")]
    (found,) = compile_expression(_filled(where, values))(lossless.parse(answer.content))
    return str(value_of(found))


def _filled(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([a-z_0-9]+)\}", lambda found: values[found[1]], text)
