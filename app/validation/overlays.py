"""Profiles as overlays: what a StructureDefinition's differential asks beyond base R4, as a tree of elements.

A resource is always checked against base R4; a profile only adds to that, so its chain of differentials, merged from
the most general to the most special, is all that needs to be looked at: no snapshot is made.
"""

from dataclasses import dataclass, field
from typing import Any

from app.fhir.fhirpath import Expression
from app.validation.rules import Binding, Constraint


@dataclass(frozen=True, slots=True)
class ProfiledType:
    """One type a profile allows. targets: canonical URLs of what a Reference may point at."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Slicing:
    """discriminators: (type, path) pairs. rules: open, closed or openAtEnd."""

    discriminators: tuple[tuple[str, str], ...]
    rules: str = "open"
    is_ordered: bool = False


@dataclass(slots=True, eq=False)
class Overlay:
    """What a profile says of one element. None everywhere: nothing is said. most -1: any number."""

    path: str
    least: int | None = None
    most: int | None = None
    types: tuple[ProfiledType, ...] = ()
    fixed: Any = None
    pattern: Any = None
    binding: Binding | None = None
    constraints: tuple[Constraint, ...] = ()
    min_value: Any = None
    max_value: Any = None
    max_length: int | None = None
    slicing: Slicing | None = None
    slices: dict[str, "Overlay"] = field(default_factory=dict)
    children: dict[str, "Overlay"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Profile:
    """A compiled profile. Of an extension: contexts, (type, expression) pairs; paths, the contexts that are FHIRPath;
    invariants, what must hold where it stands; is_modifier, whether it stands in modifierExtension.

    is_posted: it is a client's, and its expressions have so much time only.
    """

    url: str
    type: str
    root: Overlay
    contexts: tuple[tuple[str, str], ...] = ()
    paths: tuple[Expression, ...] = ()
    invariants: tuple[Expression, ...] = ()
    is_modifier: bool = False
    is_posted: bool = False

    @property
    def is_extension(self) -> bool:
        return self.type == "Extension"
