"""What goes in and out of the makers of index rows."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlmodel import SQLModel

from app.fhir.fhirpath import r4_model
from app.store.tables import SearchString, SearchToken

# Suffix of a parameter that has a value, but none that could be searched for.
PRESENT = ":present"
# Table, suffix of the parameter's code, and the columns of the value.
Found = tuple[type[SQLModel], str, dict[str, Any]]


class Given(NamedTuple):
    """A value found in a resource: JSON, FHIR type, and the required value set of a code."""

    value: Any
    type: str
    binding: str = ""


@dataclass(slots=True)
class Rows:
    """The rows of one resource while they are made; each value of a parameter, or of a group, once.

    present: parameters with some value that gives no row, such as a reference to what is contained.
    """

    tables: dict[type[SQLModel], list[dict[str, Any]]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    _counts: dict[Any, int] = field(default_factory=dict)
    _seen: set[Any] = field(default_factory=set)

    def add(self, param: str, found: Found) -> None:
        """A value of a parameter; item is its number among the values of that parameter in that table."""
        table, suffix, columns = found
        name = param + suffix
        key = (table, name, *columns.values())
        if key not in self._seen:
            self._seen.add(key)
            item = self._counts.get((table, name), 0)
            self._counts[table, name] = item + 1
            self.tables.setdefault(table, []).append({"param": name, "item": item, **columns})

    def note_present(self) -> None:
        """Have `:missing` find the parameters that have no row but a value."""
        if self.present:
            known = {name.partition(":")[0] for _, name in self._counts}
            for param in sorted(self.present - known):
                self.add(param, (SearchToken, PRESENT, {"value": "", "system": ""}))

    def add_to_group(self, param: str, item: int, found: Found) -> None:
        """A value of a component; item is the number of its group."""
        table, suffix, columns = found
        name = param + suffix
        # Within a group a text counts once, however it is written: `exact` is no part of the key.
        key = (table, name, item, columns["value"] if table is SearchString else tuple(columns.values()))
        if key not in self._seen:
            self._seen.add(key)
            self.tables.setdefault(table, []).append({"param": name, "item": item, **columns})


def unwrapped(value: Any) -> Given | None:
    """What an Extension holds; None if it holds further extensions."""
    for key in value if isinstance(value, dict) else ():
        if key.startswith("value") and (type_ := r4_model().json_types("Extension").get(key)):
            return Given(value[key], type_)
    return None
