"""The public test suite of SQL on FHIR v2: every test of it, on nodes and on plain values."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.fhir.outcomes import Refused
from app.views import compile_view

SUITE = Path(__file__).parent / "suite"


def _cases() -> list[Any]:
    files = sorted(SUITE.glob("*.json"))
    read = [(path.stem, json.loads(path.read_text("utf-8"), parse_float=Decimal)) for path in files]
    return [pytest.param(one, test, id=f"{name}: {test['title']}") for name, one in read for test in one["tests"]]


def _rows(view: dict[str, Any], resources: list[dict[str, Any]], *, is_plain: bool) -> list[dict[str, Any]]:
    made = compile_view(view)
    names = [column.name for column in made.columns]
    found = [row for resource in resources for row in made.rows(resource, is_plain=is_plain)]
    return [dict(zip(names, row, strict=True)) for row in found]


def _sorted(rows: list[dict[str, Any]]) -> list[str]:
    """Rows in any order, with numbers by their value: 5 and 5.0 are the same."""
    return sorted(json.dumps({name: _number(value) for name, value in row.items()}, sort_keys=True) for row in rows)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


@pytest.mark.parametrize("is_plain", [False, True], ids=["nodes", "plain"])
@pytest.mark.parametrize(("one", "test"), _cases())
def test_the_suite_passes(one: dict[str, Any], test: dict[str, Any], is_plain: bool) -> None:
    if test.get("expectError"):
        with pytest.raises(Refused) as caught:
            _rows(test["view"], one["resources"], is_plain=is_plain)
        assert caught.value.issues[0].expression.startswith("ViewDefinition")
        return

    rows = _rows(test["view"], one["resources"], is_plain=is_plain)

    assert _sorted(rows) == _sorted(test["expect"])
    if "expectColumns" in test:
        assert list(rows[0]) == test["expectColumns"]


def test_the_suite_is_whole() -> None:
    assert len(_cases()) == 144
