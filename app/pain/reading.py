"""Reads what the clinic sent, field by field, so that one malformed field never hides another.

A reader takes a JSON value and its place; it returns what it read, or notes a problem there and returns None.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from app.pain.concepts import Identifier
from app.pain.errors import Problem, Rejected

Reader = Callable[[Any, "Place"], Any]
T = TypeVar("T")

MAX_TEXT = 4000
# More problems help nobody; the bound keeps hostile input cheap.
MAX_PROBLEMS = 1000
CLOCK_SKEW = timedelta(minutes=5)
_KEY_FIT_TO_SHOW = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_REFERENCE = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})")
_URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S+")
_CODE = re.compile(r"[^\s]+(\s[^\s]+)*")
# What no interchange format can carry: control characters, halves of surrogate pairs, noncharacters.
_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the JSON we are, and the one list all problems go to."""

    path: str = ""
    problems: list[Problem] = field(default_factory=list)

    def at(self, key: str) -> "Place":
        return Place(f"{self.path}.{key}" if self.path else key, self.problems)

    def nth(self, index: int) -> "Place":
        return Place(f"{self.path}[{index}]", self.problems)

    def refuse(self, code: str, sentence: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(code, sentence, self.path))

    def settle(self) -> None:
        """Raises Rejected with every problem found so far, if there is any."""
        if self.problems:
            raise Rejected(self.problems)


def fields(value: Any, place: Place, readers: Mapping[str, Reader], required: Collection[str] = ()) -> dict[str, Any]:
    """Each field of an object as its reader read it, None where it was left out or null."""
    if not isinstance(value, Mapping):
        place.refuse("structure", "Expected an object.")
        return dict.fromkeys(readers)
    for key in value:
        if key not in readers:
            shown = key if isinstance(key, str) and _KEY_FIT_TO_SHOW.fullmatch(key) else "?"
            place.at(shown).refuse("structure", f"Unknown field; the known ones are {listed(readers)}.")
    return {key: _field(value.get(key), place.at(key), reader, key in required) for key, reader in readers.items()}


def _field(value: Any, place: Place, reader: Reader, required: bool) -> Any:
    if value is not None:
        return reader(value, place)
    if required:
        place.refuse("required", "This field is required.")
    return None


def several(reader: Reader, *, at_least: int = 0, at_most: int = 200) -> Reader:
    """A reader of an array, each element by the given reader, into a tuple."""

    def read(value: Any, place: Place) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            place.refuse("structure", "Expected an array.")
            return ()
        if len(value) < at_least:
            place.refuse("required", f"Expected at least {at_least} element.")
        if len(value) > at_most:
            place.refuse("too-long", f"Expected at most {at_most} elements.")
            return ()
        return tuple(reader(one, place.nth(index)) for index, one in enumerate(value))

    return read


def text(value: Any, place: Place) -> str | None:
    """Words of the clinic, without blanks around them."""
    if not isinstance(value, str):
        place.refuse("value", "Expected a text.")
    elif not (stripped := value.strip()):
        place.refuse("value", "Expected a text that is not blank.")
    elif len(stripped) > MAX_TEXT:
        place.refuse("too-long", f"Expected at most {MAX_TEXT} characters.")
    elif _UNFIT.search(stripped):
        place.refuse("value", "Control characters cannot be kept.")
    else:
        return stripped
    return None


def boolean(value: Any, place: Place) -> bool | None:
    if isinstance(value, bool):
        return value
    place.refuse("value", "Expected true or false.")
    return None


def number(*, above: int | None = None, low: int | None = None, high: int) -> Reader:
    """A reader of a number: greater than `above` or at least `low`, and at most `high`."""
    words = f"a number above {above} and at most {high}" if above is not None else f"a number from {low} to {high}"

    def read(value: Any, place: Place) -> int | Decimal | None:
        exact = Decimal(str(value)) if isinstance(value, float) else value
        fits = isinstance(exact, int | Decimal) and not isinstance(exact, bool) and Decimal(exact).is_finite()
        if fits and (above is None or exact > above) and (low is None or exact >= low) and exact <= high:
            return exact
        place.refuse("value", f"Expected {words}.")
        return None

    return read


def integer(low: int, high: int) -> Reader:
    def read(value: Any, place: Place) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        place.refuse("value", f"Expected a whole number from {low} to {high}.")
        return None

    return read


def choice(options: Collection[str]) -> Reader:
    def read(value: Any, place: Place) -> str | None:
        if isinstance(value, str) and value in options:
            return value
        place.refuse("code-invalid", f"Expected one of {listed(options)}.")
        return None

    return read


def uri(value: Any, place: Place) -> str | None:
    if isinstance(value, str) and len(value) <= MAX_TEXT and _URI.fullmatch(value) and not _UNFIT.search(value):
        return value
    place.refuse("value", "Expected an absolute URI.")
    return None


def code(value: Any, place: Place) -> str | None:
    if isinstance(value, str) and len(value) <= 256 and _CODE.fullmatch(value) and not _UNFIT.search(value):
        return value
    place.refuse("value", "Expected a code without blanks around or repeated within it.")
    return None


def reference(*types: str) -> Reader:
    """A reader of a reference such as "Patient/12" to one of the resource types."""

    def read(value: Any, place: Place) -> str | None:
        found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
        if found and found[1] in types:
            return found[0]
        place.refuse("value", f"Expected a reference such as {types[0]}/12; the type is one of {listed(types)}.")
        return None

    return read


def patient(value: Any, place: Place) -> str | Identifier | None:
    """A reference to a Patient, or a business identifier of one."""
    if not isinstance(value, Mapping):
        return reference("Patient")(value, place)  # type: ignore[no-any-return]
    read = fields(value, place, {"system": uri, "value": text}, required=("system", "value"))
    return Identifier(read["system"], read["value"]) if all(read.values()) else None


def past_moment(now: datetime) -> Reader:
    """A reader of a date-time with its zone, not in the future beyond a small clock skew; kept as written."""

    def read(value: Any, place: Place) -> str | None:
        moment = _moment(value)
        if moment is None:
            place.refuse("value", "Expected a date and time with seconds and zone, e.g. 2026-05-01T09:30:00+02:00.")
        elif moment > now + CLOCK_SKEW:
            place.refuse("business-rule", "This moment lies in the future.")
        else:
            return str(value)
        return None

    return read


def moment(value: Any, place: Place) -> str | None:
    """A date-time with seconds and zone, past or future; kept as written."""
    if _moment(value) is not None:
        return str(value)
    place.refuse("value", "Expected a date and time with seconds and zone, e.g. 2026-05-01T09:30:00+02:00.")
    return None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _DATE_TIME.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    offset = moment.utcoffset()
    return moment if offset is not None and abs(offset) <= timedelta(hours=14) else None


def day(value: Any, place: Place) -> str | None:
    """A whole date, e.g. 2026-06-01."""
    if isinstance(value, str) and len(value) == 10 and _first_day(value):
        return value
    place.refuse("value", "Expected a date such as 2026-06-01.")
    return None


def past_date(now: datetime) -> Reader:
    """A reader of a date, perhaps only its year or month, that does not lie in the future; kept as written."""

    def read(value: Any, place: Place) -> str | None:
        first = _first_day(value)
        if first is None:
            place.refuse("value", "Expected a date: a year, a month or a day, e.g. 2025, 2025-01 or 2025-01-10.")
        elif first > (now.astimezone(UTC) + timedelta(hours=14)).date():
            place.refuse("business-rule", "This date lies in the future.")
        else:
            return str(value)
        return None

    return read


def _first_day(value: Any) -> date | None:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat((value + "-01-01")[:10])
    except ValueError:
        return None


def earliest(partial: str) -> date:
    """The first day a date, perhaps only a year or a month, can mean."""
    return date.fromisoformat((partial + "-01-01")[:10])


def latest(partial: str) -> date:
    """The last day a date, perhaps only a year or a month, can mean."""
    first = earliest(partial)
    if len(partial) == len("2026-01-31"):
        return first
    last_month = date(first.year, 12 if len(partial) == len("2026") else first.month, 1)
    return date(last_month.year, last_month.month, monthrange(last_month.year, last_month.month)[1])


def squeezed(words: str) -> str:
    """A name as it is compared: case and spacing do not matter."""
    return "".join(words.casefold().split())


def listed(names: Collection[str]) -> str:
    return ", ".join(names)
