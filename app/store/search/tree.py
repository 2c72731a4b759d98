"""What a search asks, as a tree of values without SQL: parsed from parameters, compiled by compiling/."""

from dataclasses import dataclass
from typing import TypeAlias


class Unserved(Exception):
    """A parameter that is not served for a type; lenient handling leaves it out and says so."""

    def __init__(self, name: str, types: tuple[str, ...]) -> None:
        self.name, self.types = name, types
        super().__init__(name)


class TooCostly(ValueError):
    """A value that asks for more than one search may."""


@dataclass(frozen=True, slots=True)
class Codes:
    """A token. system None: any. codes None: any code of the system. "" is a system or code that is not there."""

    codes: tuple[str, ...] | None
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers, or microseconds. eq, ne, ap: the values from low to high are meant; else low and high are the ends of
    the value that is compared with."""

    prefix: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity. unit "" and system None: any. is_canonical: the range is in canonical units."""

    range: Range
    unit: str = ""
    system: str | None = None
    is_canonical: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A string. how: starts, equals, contains, ends (with folded text), or exact (text as written)."""

    how: str
    text: str


@dataclass(frozen=True, slots=True)
class Address:
    """A uri. how: equals, or below: itself and what continues it after a slash."""

    how: str
    uri: str


@dataclass(frozen=True, slots=True)
class Target:
    """A reference. type None: any type here; "": id is an absolute URL."""

    id: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Unlike:
    """A value that is there and is another one."""

    value: "Value"


@dataclass(frozen=True, slots=True)
class Group:
    """Components of a composite, all of which must match in the same group."""

    parts: tuple["Match", ...]


Value: TypeAlias = Codes | Range | Amount | Text | Address | Target | Unlike | Group


@dataclass(frozen=True, slots=True)
class Field:
    """Where values are: the param column of the table of a kind of parameters."""

    param: str
    kind: str


@dataclass(frozen=True, slots=True)
class Match:
    """Some value of the field is one of those."""

    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The parameter has some value, in one of the fields."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Ids:
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    ranges: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Full text. where: _text or _content."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Listed:
    """Is an item of that List."""

    list_id: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Refers, by param, to a resource of one of the types that is as asked. by_url: also by its canonical URL."""

    param: str
    types: tuple[str, ...]
    inner: "Criterion"
    by_url: bool = False


@dataclass(frozen=True, slots=True)
class Reverse:
    """Some resource of the type that is as asked refers to it by param."""

    type: str
    param: str
    inner: "Criterion"


@dataclass(frozen=True, slots=True)
class Belongs:
    """Refers to the target by one of the params of its type: of each type, (type, params). Or it is the target."""

    target: Target
    params: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Refers, by one of the params of its type, to another resource of the target's type than the target."""

    target: Target
    params: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Is of one of the types."""

    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Criterion", ...]


@dataclass(frozen=True, slots=True)
class Some:
    parts: tuple["Criterion", ...]


@dataclass(frozen=True, slots=True)
class No:
    part: "Criterion"


Linked: TypeAlias = Listed | Chain | Reverse | Belongs | Elsewhere
Criterion: TypeAlias = Match | Exists | Ids | Updated | Words | Kinds | Linked | All | Some | No


def weight(criterion: Criterion) -> int:
    """How many single values a criterion compares with."""
    match criterion:
        case Match(values=values):
            return sum(map(_weight, values))
        case Ids(ids=ids):
            return len(ids)
        case All(parts=parts) | Some(parts=parts):
            return sum(map(weight, parts))
        case No(part=inner) | Chain(inner=inner) | Reverse(inner=inner):
            return 1 + weight(inner)
    return 1


def _weight(value: Value) -> int:
    match value:
        case Codes(codes=codes):
            return 1 + len(codes or ())
        case Group(parts=parts):
            return sum(map(weight, parts))
    return 1
