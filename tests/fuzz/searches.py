"""Search strings: every parameter the server names, with every modifier, and values of every kind, right and wrong."""

import random
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from tests.fuzz.mutations import TEXTS
from tests.fuzz.world import World

_MODIFIERS = (
    "exact", "contains", "missing", "not", "text", "in", "not-in", "above", "below", "of-type", "identifier", "type",
    "iterate", "Patient", "nope", "", "exact:exact", "missing=true&x",
)  # fmt: skip
_PREFIXES = ("", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "xx")
_VALUES: Mapping[str, Sequence[str]] = {
    "date": ("2026", "2026-05", "2026-05-01", "2026-05-01T09:30", "2026-05-01T09:30:00Z", "2026-05-01T09:30:00.1+02:00",
             "0001-01-01", "9999-12-31", "2026-13", "10000", "-5", "2026-05-01T24:00:00Z", "today"),
    "number": ("0", "5", "5.0", "-3", "1e3", "1e400", "1e-400", "0." + "1" * 300, "NaN", "Infinity", "five", "+5"),
    "quantity": ("5", "5|http://unitsofmeasure.org|mg", "5.4|http://unitsofmeasure.org|kg", "5||mg", "|||", "5|",
                 "5|http://unitsofmeasure.org|10*3/uL", "5|http://unitsofmeasure.org|nope[",
                 "1e999|http://unitsofmeasure.org|g"),
    "token": ("a", "http://loinc.org|", "|a", "http://loinc.org|72514-3", "|", "||", "true", "final", "active",
              "http://snomed.info/sct|22253000", "a,b", "a\\,b", "a\\|b", "a|b|c", "urn:oid:1.2.3|MRN-7"),
    "string": ("a", "M", "Müller", "pain", "a b", "%", "_", "\\", "'", "a,b", "a\\,b", "\\\\", "*", "é", "e\u0301"),
    "reference": ("Patient/1", "1", "http://127.0.0.1:1/fhir/Patient/1", "urn:uuid:1", "Patient/1/_history/1", "Nope/1",
                  "https://example.org/x|1.0", "Patient/", "/1", "#a"),
    "uri": ("http://example.org", "https://example.org/vs", "urn:oid:1.2", "http://", "http://example.org/%00", "a b"),
    "composite": ("a$b", "a$5", "http://loinc.org|1$gt5", "a", "$", "a$b$c", "a\\$b$c", "code$2026", "$$$$"),
    "special": ("5|5|5|km", "name eq a", "(name eq a and gender eq male) or not (birthdate gt 2000)", "((((", "a eq",
                'name co "a\\"b"', "not " * 200 + "name eq a", "(" * 300 + "name eq a" + ")" * 300,
                "code in http://x/vs"),
}  # fmt: skip
_RESULTS: Mapping[str, Sequence[str]] = {
    "_count": ("0", "1", "10", "1000", "100000000000000000000", "-1", "x", ""),
    "_summary": ("true", "text", "data", "count", "false", "nope", "count,true"),
    "_elements": ("id", "name,code", "status.x", "nope", "Patient.name", ",", "*"),
    "_total": ("none", "estimate", "accurate", "nope"),
    "_sort": ("_id", "-_lastUpdated", "date,-status", "-" * 50, "nope", "_score", "name,name,name", "-,"),
    "_contained": ("true", "false", "both"),
    "_format": ("json", "xml", "application/fhir+xml", "text/html", "nope", "application/fhir+json;x=\u0000"),
    "_pretty": ("true", "false", "1"),
    "_since": ("2026-01-01T00:00:00Z", "2026", "never", "9999-12-31T23:59:59Z"),
    "_at": ("2026", "gt2026", "x"),
    "_type": ("Patient", "Patient,Observation", "Nope", ""),
    "_cursor": ("", "x", "AAAA", "=" * 100),
    "_offset": ("0", "-1", "99999999999"),
    "_query": ("x",),
    "_text": ("pain", '"', "a OR b", "NOT", "*", "a" * 2_000, "(((("),
    "_content": ("pain", "\u0000", "-", '"a b', "a AND"),
    "_list": ("1", "$current-problems", "x/y"),
    "_language": ("de",),
}
Pair = tuple[str, str]


def query(world: World, type_: str = "") -> str:
    """A query string for a type, encoded; now and then not encoded as it should be."""
    pairs = [_pair(world, type_ or world.some_type()) for _ in range(world.chance.choice((1, 1, 1, 2, 2, 3, 6)))]
    if world.chance.random() < 0.005:
        pairs *= 300
    if world.chance.random() < 0.03:
        return "&".join(f"{name}={value}" for name, value in pairs).translate({0: None, 10: None, 13: None, 32: "+"})
    return encoded(pairs)


def encoded(pairs: Sequence[Pair]) -> str:
    """As a client would write it."""
    return "&".join(f"{quote(name, safe=':_-.$', errors='replace')}={_quoted(value)}" for name, value in pairs)


def _quoted(value: str) -> str:
    return quote(value, safe="|,:/$", errors="replace")


def _pair(world: World, type_: str) -> Pair:
    return world.chance.choice(_PAIRS)(world, type_)


def _parameter(world: World, type_: str) -> tuple[str, str]:
    """The name of a parameter and the kind of its values."""
    served = world.served.parameters.get(type_) or {"_id": "token"}
    name = world.chance.choice(sorted(served))
    return name, served[name]


def value(world: World, kind: str) -> str:
    """A value for parameters of a kind; sometimes one of another kind, or of none."""
    chance = world.chance
    drawn = chance.random()
    if drawn < 0.12:
        return str(chance.choice(TEXTS))
    if drawn < 0.2:
        kind = chance.choice(sorted(_VALUES))
    if kind == "reference" and chance.random() < 0.6:
        return world.some_reference()
    made = chance.choice(_VALUES.get(kind, _VALUES["string"]))
    if kind in ("date", "number", "quantity"):
        made = chance.choice(_PREFIXES) + made
    if chance.random() < 0.08:
        made = ",".join([made] * chance.choice((2, 3, 40, 1_000)))
    return made


def _plain(world: World, type_: str) -> Pair:
    name, kind = _parameter(world, type_)
    return name, value(world, kind)


def _modified(world: World, type_: str) -> Pair:
    name, kind = _parameter(world, type_)
    modifier = world.chance.choice(_MODIFIERS)
    return f"{name}:{modifier}", world.chance.choice(("true", "false")) if modifier == "missing" else value(world, kind)


def _chained(world: World, type_: str) -> Pair:
    name, _ = _parameter(world, type_)
    links = [name]
    for _ in range(world.chance.choice((1, 1, 2, 3, 12))):
        other = world.some_type()
        inner, kind = _parameter(world, other)
        links[-1] += world.chance.choice((f":{other}", ""))
        links.append(inner)
    return ".".join(links), value(world, kind)


def _reverse(world: World, type_: str) -> Pair:
    other = world.some_type()
    by, _ = _parameter(world, other)
    inner, kind = _parameter(world, other)
    by = world.chance.choice((by, "subject", "patient"))
    name = f"_has:{other}:{by}:" * world.chance.choice((1, 1, 2, 8)) + inner
    return name, value(world, kind)


def _included(world: World, type_: str) -> Pair:
    name = world.chance.choice(("_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_include:nope"))
    told = world.served.includes.get(type_) or ("*",)
    return name, world.chance.choice((*told, "*", f"{type_}:nope", "Nope:subject", ":", f"{type_}:subject:Patient"))


def _result(world: World, type_: str) -> Pair:
    name = world.chance.choice(sorted(_RESULTS))
    return name, world.chance.choice(_RESULTS[name]) if world.chance.random() < 0.95 else world.chance.choice(TEXTS)


def _unknown(world: World, type_: str) -> Pair:
    return world.chance.choice((*TEXTS, "nope", "_nope", "name.", ".name", "a:b:c", "_has", "_has:::", "_has:a")), "1"


_PAIRS: Sequence[Callable[[World, str], Pair]] = (
    _plain, _plain, _plain, _plain, _modified, _modified, _chained, _reverse, _included, _result, _result, _unknown,
)  # fmt: skip


def random_text(chance: random.Random) -> str:
    """Some letters of all planes."""
    return "".join(chr(chance.choice((chance.randrange(1, 128), chance.randrange(160, 0xD7FF)))) for _ in range(20))
