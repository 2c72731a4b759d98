"""Values of each type of parameter, with its modifiers, as values of the tree (R4 3.1.1.4.4 to 3.1.1.4.14)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.fhir.references import is_id
from app.store.index.definitions import SearchParameter
from app.store.index.values import PIECE_OVERLAP, STRING_LENGTH, folded, indexed_uri, literal
from app.store.search.escapes import split, unescape
from app.store.search.quantities import quantities
from app.store.search.ranges import date_range, number_range
from app.store.search.terms import Terms
from app.store.search.tree import Address, Codes, Target, Text, Value

# Modifiers of each type, :missing aside, which all have (R4 3.1.1.4.0.1); a reference takes its target types too.
MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "string": ("exact", "contains"),
    "token": ("not", "text", "of-type", "in", "not-in", "above", "below"),
    "reference": ("identifier",),
    "uri": ("above", "below"),
}
HAS_PREFIXES = ("number", "date", "quantity")
NEGATED = {"not": "", "not-in": "in"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What values are read against. base: the address of this server's FHIR endpoint; now: microseconds since 1970."""

    base: str
    now: int
    terms: Terms


Read = Callable[[str, Reading], list[Value]]


def read(parameter: SearchParameter, modifier: str, text: str, reading: Reading) -> list[Value]:
    """What one value, still escaped, stands for; several are alternatives. Raises ValueError for a malformed one."""
    if parameter.kind == "reference" and modifier not in ("", "identifier"):
        return [_typed(text, modifier, reading)]
    if parameter.kind == "token" and modifier in ("", "not") and parameter.ignores_case:
        text = text.casefold()
    return _READ[parameter.kind, modifier](text, reading)


def _token(text: str, reading: Reading) -> list[Value]:
    system, code = system_and_code(text)
    if system and code:
        # As it is given, too: what was stored before the code system was known is not spelled anew.
        return [Codes(tuple(dict.fromkeys((code, reading.terms.spelling(system, code)))), system)]
    return [Codes((code,) if code or system is None else None, system)]


def system_and_code(text: str) -> tuple[str | None, str]:
    """The parts of a token; the system is None where no | is there. Raises ValueError for too many, or none."""
    *system, code = [unescape(part) for part in split(text, "|")]
    if len(system) > 1:
        raise ValueError("expected a code, or system|code")
    if not code and not any(system):
        raise ValueError("expected a code, system|code, |code or system|")
    return (system[0] if system else None), code


def _of_type(text: str, _: Reading) -> list[Value]:
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise ValueError("expected the system and code of the identifier's type and its value: system|code|value")
    return [Codes((parts[2],), f"{parts[0]}|{parts[1]}")]


def _in(text: str, reading: Reading) -> list[Value]:
    return [*reading.terms.members(unescape(text))]


def _below(text: str, reading: Reading) -> list[Value]:
    return [reading.terms.below(*_in_hierarchy(text))]


def _above(text: str, reading: Reading) -> list[Value]:
    return [reading.terms.above(*_in_hierarchy(text))]


def _in_hierarchy(text: str) -> tuple[str, str]:
    system, code = system_and_code(text)
    if not system or not code:
        raise ValueError("expected system|code: a code has its place in the hierarchy of its system")
    return system, code


def _string(how: str) -> Read:
    def made(text: str, _: Reading) -> list[Value]:
        return [string(how, unescape(text))]

    return made


def string(how: str, text: str) -> Text:
    """A text to compare with. Raises ValueError for one that is longer than what is compared."""
    if how == "exact":
        return Text(how, text)
    wanted = folded(text)
    most = PIECE_OVERLAP if how == "contains" else STRING_LENGTH
    if not wanted or len(wanted) > most:
        raise ValueError(f"expected 1 to {most} characters to compare")
    return Text(how, wanted)


def _uri(text: str, _: Reading) -> list[Value]:
    return [Address("equals", indexed_uri(unescape(text)))]


def _uri_below(text: str, _: Reading) -> list[Value]:
    return [Address("below", _hierarchical(text))]


def _uri_above(text: str, _: Reading) -> list[Value]:
    """The uri itself, and what is left of it without its last segments."""
    scheme, _mark, rest = _hierarchical(text).partition("://")
    segments = rest.rstrip("/").split("/")
    paths = ["/".join(segments[:most]) for most in range(len(segments), 0, -1)]
    return [Address("equals", indexed_uri(f"{scheme}://{path}{end}")) for path in paths for end in ("", "/")]


def _hierarchical(text: str) -> str:
    uri = unescape(text)
    if "://" not in uri:
        raise ValueError("expected a URL: only URLs have something above or below them")
    return uri


def _reference(text: str, reading: Reading) -> list[Value]:
    return [_target(text, reading)]


def _target(text: str, reading: Reading) -> Target:
    link = unescape(text)
    local = link.removeprefix(f"{reading.base}/") if reading.base else link
    if is_id(local):
        return Target(local)
    found = literal(local)
    if found is None:
        raise ValueError("expected an id, Type/id or a URL: contained resources are not searched")
    return Target(found[1], found[0])


def _typed(text: str, resource_type: str, reading: Reading) -> Target:
    """A reference whose type the modifier says: only an id, or a reference to that type."""
    found = _target(text, reading)
    if found.type not in (None, resource_type):
        raise ValueError(f"expected the id of a {resource_type}, as the modifier says")
    return Target(found.id, resource_type)


def _number(text: str, _: Reading) -> list[Value]:
    return [number_range(unescape(text))]


def _date(text: str, reading: Reading) -> list[Value]:
    return [date_range(unescape(text), reading.now)]


def _quantity(text: str, _: Reading) -> list[Value]:
    return [*quantities(text)]


_READ: Mapping[tuple[str, str], Read] = {
    ("token", ""): _token,
    ("token", "not"): _token,
    ("token", "text"): _string("starts"),
    ("token", "of-type"): _of_type,
    ("token", "in"): _in,
    ("token", "not-in"): _in,
    ("token", "above"): _above,
    ("token", "below"): _below,
    ("string", ""): _string("starts"),
    ("string", "exact"): _string("exact"),
    ("string", "contains"): _string("contains"),
    ("uri", ""): _uri,
    ("uri", "above"): _uri_above,
    ("uri", "below"): _uri_below,
    ("reference", ""): _reference,
    ("reference", "identifier"): _token,
    ("number", ""): _number,
    ("date", ""): _date,
    ("quantity", ""): _quantity,
}
