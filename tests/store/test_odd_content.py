"""Indexing never fails, whatever stands where in a resource: what was stored once must stay readable and searchable."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from app.fhir.json import parse
from app.profiles import FOLDER
from app.store.parameters import load_parameters

EXAMPLES = sorted((FOLDER / "examples" / "valid").glob("*.json"))
ODD: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        10**400,
        "",
        " ",
        "x" * 3000,
        "\u0130\ufb01\u00df",
        "9999-12-31T23:59:60-14:00",
        "#",
        "/",
        "Patient/",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        {"value": {}},
        {"coding": "x"},
        {"coding": [None, 1]},
        {"reference": 5},
        {"identifier": "x"},
    ),
    *({"start": 1, "end": []}, {"low": "1"}, {"data": "1e999 NaN x", "origin": {}}, {"extension": {}}, {"_value": []}),
]


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a tree as its holder and key."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_odd_values_anywhere_give_rows_or_none(path: Any) -> None:
    resource, chance = parse(path.read_bytes()), random.Random(path.stem)
    for _ in range(150):
        made = copy.deepcopy(resource)
        holder, key = chance.choice([each for each in places(made) if each[1] != "resourceType"])
        holder[key] = copy.deepcopy(chance.choice(ODD))

        tables = load_parameters().rows(made)

        for rows in tables.values():
            for row in rows:
                kinds = {name: type(value) for name, value in row.items()}
                assert set(kinds.values()) <= {str, int, float}, kinds
