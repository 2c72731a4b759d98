"""The ready tables of app/profiles/views: ViewDefinitions, and SQL over their rows (Library of type sql-view)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from app.profiles import FOLDER, json_files
from app.views.columns import Column
from app.views.content_tables import CONTENT_TABLES, content_rows
from app.views.joined import Joining
from app.views.view import View, compile_view

Resource = Mapping[str, Any]
Row = tuple[Any, ...]
_FOLDER = "views"


class Table(Protocol):
    """A table that is asked for by name.

    resources: the types its rows are made of.  of_patients: whether its rows are made of several resources of one
    patient, so that it must be given all of them at once.  is_plain: as View.rows has it.
    """

    @property
    def name(self) -> str: ...

    @property
    def definition(self) -> Mapping[str, Any]: ...

    @property
    def columns(self) -> tuple[Column, ...]: ...

    @property
    def resources(self) -> tuple[str, ...]: ...

    @property
    def of_patients(self) -> bool: ...

    def rows(self, resources: Iterable[Resource], *, is_plain: bool = False) -> Iterator[Row]: ...


@dataclass(frozen=True, slots=True)
class ViewTable:
    """A ViewDefinition: each resource stands for itself."""

    name: str
    definition: Mapping[str, Any]
    view: View

    of_patients = False

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.view.columns

    @property
    def resources(self) -> tuple[str, ...]:
        return (self.view.resource,)

    def rows(self, resources: Iterable[Resource], *, is_plain: bool = False) -> Iterator[Row]:
        for one in resources:
            if one["resourceType"] == self.view.resource:
                yield from self.view.rows(one, is_plain=is_plain)


@dataclass(frozen=True, slots=True)
class SqlTable:
    """SQL over other tables, which are made first.

    sources: names of ViewDefinitions and of SqlTables, in the order they are made in.
    """

    name: str
    definition: Mapping[str, Any]
    columns: tuple[Column, ...]
    sql: str
    views: tuple[ViewTable, ...]
    tables: tuple["SqlTable", ...]
    content: tuple[str, ...]

    of_patients = True

    @property
    def resources(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one.view.resource for one in self.views))

    def rows(self, resources: Iterable[Resource], *, is_plain: bool = False) -> Iterator[Row]:
        """The rows of whole patients: all their resources of these types, in any order."""
        with closing(Joining()) as joining:
            self._load(joining, resources, is_plain)
            yield from joining.rows(self.sql, self.columns)

    def _load(self, joining: Joining, resources: Iterable[Resource], is_plain: bool) -> None:
        for name in self.content:
            columns = CONTENT_TABLES[name].columns
            joining.create(name, columns)
            joining.add(name, content_rows(name))
        for one in self.views:
            joining.create(one.name, one.columns)
        for resource in resources:
            for one in self.views:
                if one.view.resource == resource["resourceType"]:
                    joining.add(one.name, one.view.rows(resource, is_plain=is_plain))
        for table in self.tables:
            joining.create(table.name, table.columns)
            joining.fill(table.name, table.sql)


@cache
def ready_tables() -> Mapping[str, Table]:
    """Every ready table by its name, those that are only sources of others too."""
    definitions = {one["name"]: one for one in json_files(_FOLDER).values()}
    views = {name: one for name, one in definitions.items() if one["resourceType"] == "ViewDefinition"}
    made: dict[str, Table] = {name: ViewTable(name, one, compile_view(one)) for name, one in views.items()}
    for name in definitions.keys() - views.keys():
        _add(name, definitions, made)
    return {name: made[name] for name in definitions}


def _add(name: str, definitions: Mapping[str, Mapping[str, Any]], made: dict[str, Table]) -> SqlTable:
    """A SqlTable after those it is made of."""
    known = made.get(name)
    if isinstance(known, SqlTable):
        return known
    definition = definitions[name]
    labels = sources(definition)
    tables = [
        _add(one, definitions, made) for one in labels if definitions.get(one, {}).get("resourceType") == "Library"
    ]
    views = [one for label in labels if isinstance(one := made.get(label), ViewTable)]
    table = SqlTable(
        name,
        definition,
        tuple(Column(one["name"], one["type"], False, one["documentation"]) for one in definition["parameter"]),
        (FOLDER / _FOLDER / f"{name}.sql").read_text("utf-8"),
        _distinct([*(one for each in tables for one in each.views), *views]),
        _distinct([*(one for each in tables for one in each.tables), *tables]),
        _distinct(
            [*(one for each in tables for one in each.content), *(one for one in labels if one in CONTENT_TABLES)]
        ),
    )
    made[name] = table
    return table


def sources(definition: Mapping[str, Any]) -> list[str]:
    """The names of the tables a Library is made of."""
    return [one["label"] for one in definition["relatedArtifact"]]


def _distinct(items: Sequence[Any]) -> tuple[Any, ...]:
    """Each item once, by its name where it has one."""
    return tuple({getattr(one, "name", one): one for one in items}.values())
