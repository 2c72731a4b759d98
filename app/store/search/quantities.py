"""Quantities: a number with a unit, compared as written or in canonical UCUM units (R4 3.1.1.4.11)."""

from collections.abc import Iterator
from decimal import Decimal

from app.store.index.values import indexed
from app.store.index.values import number as stored
from app.store.search.escapes import split, unescape
from app.store.search.ranges import number
from app.store.search.tree import Amount, Range
from app.terminology.ucum import UCUM
from app.terminology.unit_conversion import canonical as convert


def quantities(text: str) -> Iterator[Amount]:
    """What `number`, `number|system|code` or `number||code` stands for. Raises ValueError for anything else."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) not in (1, 3) or (len(parts) == 3 and not parts[2]):
        raise ValueError("expected a number, number|system|code or number||code")
    prefix, low, high = number(parts[0])
    if len(parts) == 1:
        yield Amount(_range(prefix, low, high))
        return
    system, code = parts[1], parts[2]
    canonical = _canonical(prefix, low, high, code) if system == UCUM else None
    yield canonical or Amount(_range(prefix, low, high), indexed(code), indexed(system) if system else None)


def _canonical(prefix: str, low: Decimal, high: Decimal, code: str) -> Amount | None:
    """The same in canonical units: what is stored in any unit of that dimension compares with it."""
    ends = [convert(end, code) for end in (low, high)]
    if ends[0] is None or ends[1] is None:
        return None
    (least, unit), (most, _) = ends[0], ends[1]
    return Amount(Range(prefix, least, most), indexed(unit), is_canonical=True)


def _range(prefix: str, low: Decimal, high: Decimal) -> Range:
    return Range(prefix, stored(low), stored(high))
