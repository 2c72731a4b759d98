"""Writes docs/views.md from app/profiles/views: every ready table, column by column.

    python -m tools.views_page

tests/views/test_ready_views.py fails when the page is out of date.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.profiles import json_files
from app.views.columns import Column
from app.views.content_tables import CONTENT_TABLES, FUNCTIONS

PAGE = Path(__file__).parent.parent / "docs" / "views.md"
# The tables people ask for, then those that are only sources of others.
ASKED_FOR = (
    "pain_scores",
    "pain_answers",
    "symptoms",
    "nerve_tests",
    "diagnoses",
    "treatment_steps",
    "responses",
    "guideline_findings",
)
_INTRODUCTION = """# Ready tables

Written by `python -m tools.views_page` from `app/profiles/views`; do not edit it here.

A table is one of two things:

- a **ViewDefinition** (SQL on FHIR v2, profiles ShareableViewDefinition and TabularViewDefinition): one type of
  resource, read by FHIRPath. Any engine of SQL on FHIR can run the file;
- a **view over views** (a Library of type `sql-view`, SQL on FHIR's SQLView): `<name>.sql` over the rows of the tables
  it names, where one resource does not say enough. Its columns are its `parameter`s with the use `out`. The SQL runs in
  a private SQLite, for one or many patients at a time, so it gives the same rows whatever database the server runs on;
  every row is made of the resources of one patient.

In every table:

- the same resources give the same rows. Nothing is imputed, converted or carried forward; what is not said is empty;
- a key (`id`, `…_id`) is the one by which tables are joined;
- codes are those of the resource, in the code system the column names. `np-…` are code systems of ours
  (`app/profiles/terminology`), their meaning in words is served at `/fhir/CodeSystem`;
- dates are as they were written: with the precision and the offset that were said.
"""


def page() -> str:
    definitions = {one["name"]: one for one in json_files("views").values()}
    rest = [name for name in definitions if name not in ASKED_FOR]
    parts = [
        _INTRODUCTION,
        _table(("table", "is", "of"), [_listed(definitions[name]) for name in (*ASKED_FOR, *rest)]),
        *(_section(definitions[name]) for name in ASKED_FOR),
        "## Sources\n\nViewDefinitions that the views over views are made of; they can be asked for as well.\n",
        *(_section(definitions[name], "###") for name in rest),
        "## Content tables\n\nSmall tables the SQL reads besides, made of content files.\n",
        *(f"### {name}\n\n{one.description}\n\n{_columns(one.columns)}" for name, one in CONTENT_TABLES.items()),
        "## Functions\n\nWhat the SQL calls that SQLite does not have.\n",
        _table(("function", ""), [(f"`{name}`", one.description) for name, one in FUNCTIONS.items()]),
    ]
    return "\n".join(parts)


def columns_of(definition: Mapping[str, Any]) -> list[Column]:
    """The columns of a definition, in their order."""
    if definition["resourceType"] == "Library":
        rows = definition["parameter"]
        return [Column(one["name"], one["type"], description=one["documentation"]) for one in rows]
    return [
        Column(one["name"], one["type"], description=one["description"])
        for select in definition["select"]
        # The branches of a union have the same columns.
        for part in (select, *select.get("unionAll", [])[:1])
        for one in part.get("column", [])
    ]


def _listed(definition: Mapping[str, Any]) -> Sequence[str]:
    name = definition["name"]
    kind = "view over views" if definition["resourceType"] == "Library" else "ViewDefinition"
    return f"[{name}](#{name})", kind, _made_of(definition)


def _made_of(definition: Mapping[str, Any]) -> str:
    if definition["resourceType"] == "Library":
        return ", ".join(f"[{one['label']}](#{one['label']})" for one in definition["relatedArtifact"])
    return str(definition["resource"])


def _section(definition: Mapping[str, Any], mark: str = "##") -> str:
    rows = [f"Only where: {one['description']}" for one in definition.get("where", [])]
    told = [definition["description"], f"Of: {_made_of(definition)}.", *rows]
    return f"{mark} {definition['name']}\n\n" + "\n\n".join(told) + f"\n\n{_columns(columns_of(definition))}"


def _columns(columns: Iterable[Column]) -> str:
    return _table(("column", "type", ""), [(f"`{one.name}`", one.type, one.description) for one in columns])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
