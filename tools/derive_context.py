"""Derives the parts of the extension plan-context from the facts a plan may state (app/profiles/vocabulary)."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tools.expressions import CONTENT

Json = dict[str, Any]
# Types of FHIR by type of fact. What was found may be a plain yes or no, or words, one for each finding.
_TYPES = {
    "number": ("decimal",),
    "integer": ("integer",),
    "boolean": ("boolean",),
    "choice": ("code",),
    "text": ("string",),
    "findings": ("boolean", "string"),
}
_SLICE = "Extension.extension:"


def with_facts(definition: Mapping[str, Any]) -> Json:
    """The extension with one part for each fact, written anew in the order of the facts."""
    made: Json = copy.deepcopy(dict(definition))
    rows = made["differential"]["element"]
    at = next(place for place, one in enumerate(rows) if one["id"] == "Extension.extension") + 1
    kept = [one for one in rows if not one["id"].startswith(_SLICE)]
    made["differential"]["element"] = [*kept[:at], *_parts(), *kept[at:]]
    return made


def _parts() -> Iterator[Json]:
    for key, fact in CONTENT.facts.items():
        most = "*" if fact["type"] == "findings" else "1"
        yield _element(key, "", sliceName=key, min=0, max=most, **_choice(fact))
        yield _element(key, ".extension", max="0")
        yield _element(key, ".url", fixedUri=key)
        yield _element(key, ".value[x]", min=1, type=[{"code": code} for code in _TYPES[fact["type"]]], **_limits(fact))


def _element(key: str, below: str, **rest: Any) -> Json:
    return {"id": f"{_SLICE}{key}{below}", "path": f"Extension.extension{below}"} | rest


def _choice(fact: Mapping[str, Any]) -> Json:
    if fact["type"] != "choice":
        return {}
    options = " or ".join(f"value = '{one}'" for one in fact["options"])
    human = f"One of {', '.join(fact['options'])}."
    told = {"key": "np-context-choice", "severity": "error", "human": human, "expression": options}
    return {"constraint": [told]}


def _limits(fact: Mapping[str, Any]) -> Json:
    if fact["type"] not in ("number", "integer"):
        return {}
    kind = "Decimal" if fact["type"] == "number" else "Integer"
    return {f"minValue{kind}": fact["low"], f"maxValue{kind}": fact["high"]}
