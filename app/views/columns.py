"""A column of a table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """type: a primitive type of FHIR.  collection: whether a value is a list."""

    name: str
    type: str
    collection: bool = False
    description: str = ""
