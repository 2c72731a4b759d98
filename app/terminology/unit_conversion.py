"""Values in canonical units, so that 5 mg and 0.005 g compare as equal (UCUM 2.2, sections 18 to 22).

A canonical unit is a product of UCUM's base units, such as g.m-1.s-2, or "1" where they cancel out. Arbitrary units
([iU]) are commensurable with nothing but themselves (section 24): each is a base unit of its own. Of the units on other
scales those with an offset (Cel, [degF]) are converted; those on logarithmic and other scales ([pH], B) are not.
"""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache, lru_cache
from xml.parsers import expat

from app.profiles import FOLDER
from app.terminology.ucum import EXPONENT, TOKEN, unit_flaw

# What is added before the factor of the function is applied: UCUM 2.2, table 24 (f Cel, f degF, f degRe).
_OFFSETS = {"Cel": Fraction("273.15"), "degF": Fraction("459.67"), "degRe": Fraction("218.52")}
# Powers beyond any in use; keeps hostile input cheap.
_GREATEST_POWER = 100


@dataclass(frozen=True, slots=True)
class Scale:
    """How values become canonical: (value + offset) * factor, in the product of base units."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...] = ()
    offset: Fraction = Fraction()

    @property
    def unit(self) -> str:
        return ".".join(name if power == 1 else f"{name}{power}" for name, power in self.dimensions) or "1"

    def times(self, other: "Scale", power: int = 1) -> "Scale":
        dimensions = Counter(dict(self.dimensions))
        for name, count in other.dimensions:
            dimensions[name] += count * power
        kept = tuple(sorted((name, count) for name, count in dimensions.items() if count))
        if any(abs(count) > _GREATEST_POWER for _, count in kept):
            raise _Inconvertible
        return Scale(self.factor * other.factor**power, kept)


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit as UCUM defines it: value times unit; function: the name of the scale of a special unit."""

    value: str
    unit: str
    is_metric: bool
    is_arbitrary: bool
    function: str


class _Inconvertible(Exception):
    """There is no factor for this unit."""


def canonical(value: Decimal, unit: str) -> tuple[float, str] | None:
    """A value in canonical units, and the unit; None where there is no conversion. Equal amounts give equal floats."""
    scale = scale_of(unit)
    if scale is None:
        return None
    try:
        return float((Fraction(value) + scale.offset) * scale.factor), scale.unit
    except OverflowError:
        return None


def exactly(value: int | Decimal, unit: str, into: str) -> int | Decimal | None:
    """The same amount in another unit, None where it cannot be told without rounding.

    Nor where the units hide what is measured: bare numbers (% and mmol/mol are not the same HbA1c), and units with an
    offset (a difference in Cel is no temperature).
    """
    own, wanted = scale_of(unit), scale_of(into)
    if abs(Decimal(value).adjusted()) > _GREATEST_POWER:
        return None
    if own is None or wanted is None or own.dimensions != wanted.dimensions or not own.dimensions:
        return None
    if own.offset or wanted.offset:
        return None
    amount = Fraction(value) * own.factor / wanted.factor
    rest = amount.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return None
    exact = Decimal(amount.numerator) / Decimal(amount.denominator)
    return exact if Fraction(exact) == amount else None


@lru_cache(maxsize=4096)
def scale_of(unit: str) -> Scale | None:
    """How values in a unit become canonical; None for what is no unit of UCUM or cannot be converted."""
    if unit_flaw(unit):
        return None
    try:
        return _special(unit) or _Reader(unit).term()
    except _Inconvertible:
        return None


def _special(unit: str) -> Scale | None:
    """A unit with an offset, which can stand only alone."""
    for name, prefix in _split(unit.partition("{")[0]):
        found = _units()[name]
        if found.function in _OFFSETS:
            ratio = _Reader(found.unit).term()
            size = Fraction(found.value) * ratio.factor
            # The offset is in whole units, the prefix counts parts of them.
            return Scale(size * prefix, ratio.dimensions, _OFFSETS[found.function] / prefix)
    return None


class _Reader:
    """Reads a term that is known to be well formed."""

    def __init__(self, text: str) -> None:
        self._tokens = [(str(token.lastgroup), token[0]) for token in TOKEN.finditer(text)]
        self._place = 0

    def term(self) -> Scale:
        found, power = Scale(Fraction(1)), 1
        while self._place < len(self._tokens):
            kind, text = self._tokens[self._place]
            self._place += 1
            if text == ")" and kind == "sign":
                return found
            if kind == "sign" and text in "./":
                power = -1 if text == "/" else 1
            elif kind != "note":
                found = found.times(self.term() if kind == "sign" else _component(text), power)
        return found


@cache
def _component(text: str) -> Scale:
    if text.isdigit():
        if not int(text):
            raise _Inconvertible
        return Scale(Fraction(int(text)))
    exponent = None if _split(text) else EXPONENT.search(text)
    power = int(exponent[0]) if exponent and len(exponent[0]) < 5 else 1
    name = text[: exponent.start()] if exponent else text
    if abs(power) > _GREATEST_POWER or not _split(name):
        raise _Inconvertible
    unit, prefix = _split(name)[0]
    return Scale(Fraction(1)).times(Scale(prefix).times(_defined(unit)), power)


def _split(name: str) -> list[tuple[str, Fraction]]:
    """The unit and the factor of the prefix that a name consists of, if it does."""
    units = _units()
    if name in units:
        return [(name, Fraction(1))]
    return [
        (name[len(prefix) :], factor)
        for prefix, factor in _prefixes().items()
        if name.startswith(prefix) and (rest := units.get(name[len(prefix) :])) and rest.is_metric
    ]


@cache
def _defined(code: str) -> Scale:
    unit = _units()[code]
    if unit.function:
        raise _Inconvertible
    if not unit.unit:
        return Scale(Fraction(1), ((code, 1),))
    found = Scale(Fraction(unit.value)).times(_Reader(unit.unit).term())
    return Scale(Fraction(1), ((code, 1),)) if unit.is_arbitrary and not found.dimensions else found


@cache
def _units() -> dict[str, _Unit]:
    return _essence()[0]


@cache
def _prefixes() -> dict[str, Fraction]:
    return _essence()[1]


@cache
def _essence() -> tuple[dict[str, _Unit], dict[str, Fraction]]:
    """Units and prefixes of ucum-essence.xml. Base units have no definition."""
    units: dict[str, _Unit] = {}
    prefixes: dict[str, Fraction] = {}
    current: dict[str, str] = {}

    def start(name: str, given: dict[str, str]) -> None:
        if name in ("base-unit", "unit", "prefix"):
            current.clear()
            current.update(given, kind=name)
        elif name in ("value", "function"):
            # A function stands inside the value of a special unit and says what that value is.
            current.update({"value": given.get("value", ""), "Unit": given.get("Unit", "")})
            current["function"] = given.get("name", "")

    def end(name: str) -> None:
        code = current.get("Code", "")
        if name == "prefix":
            prefixes[code] = Fraction(current["value"])
        elif name in ("base-unit", "unit"):
            units[code] = _Unit(
                current.get("value", ""),
                current.get("Unit", ""),
                current.get("isMetric", "yes") == "yes",
                current.get("isArbitrary") == "yes",
                current.get("function", ""),
            )

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.Parse((FOLDER / "units" / "ucum-essence.xml").read_bytes(), True)
    return units, prefixes
