"""Search: query parameters become one SQL statement over the index, answered page by page.

Pages follow the row number, so the same link answers the resources after the same place, whatever is written
meanwhile; a resource changed between two pages is shown as it stands when its page is read.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused, TooLarge
from app.store.parameters import SearchParameter, SearchParameters, indexed, literal
from app.store.repository import Stored
from app.store.tables import Resource, SearchReference, SearchToken, Version

# What one statement may ask for: SQLite takes 1,000 nested conditions.
_MOST_IDS, _MOST_VALUES, _MOST_PARAMETERS = 1_000, 200, 64
CONTROL = ("_count", "_cursor", "_format", "_pretty")


@dataclass(frozen=True, slots=True)
class Query:
    """A search ready to run. used: the parameters that select, as given; ignored: an issue for each that does not."""

    resource_type: str
    conditions: tuple[ColumnElement[bool], ...]
    count: int
    after: int
    used: tuple[tuple[str, str], ...]
    ignored: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Matches of one page, how many there are in all, and the cursor of the next page if there is one."""

    matches: list[Stored]
    total: int
    next_cursor: str = ""


@dataclass(slots=True)
class _Draft:
    conditions: list[ColumnElement[bool]] = field(default_factory=list)
    used: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[Issue] = field(default_factory=list)
    wrong: list[Issue] = field(default_factory=list)
    count: int = 0
    after: int = 0


class Searcher:
    """Parses and runs searches. base is the address of this server's FHIR endpoint in absolute references."""

    def __init__(self, parameters: SearchParameters, *, page_size: int, max_page_size: int) -> None:
        self._parameters = parameters
        self._page_size = page_size
        self._max_page_size = max_page_size

    def parse(
        self, resource_type: str, given: Sequence[tuple[str, str]], *, strict: bool = False, base: str = ""
    ) -> Query:
        """The query of URL parameters. Raises Refused naming every malformed one; when strict, every unknown one."""
        if len(given) > _MOST_PARAMETERS:
            raise TooLarge([Issue("too-costly", f"At most {_MOST_PARAMETERS} search parameters can be given at once.")])
        draft = _Draft(count=self._page_size)
        for name, value in given:
            self._take(draft, resource_type, name, value, base)
        refused = draft.wrong + (draft.ignored if strict else [])
        if refused:
            raise Refused(Issue(i.code, i.diagnostics, i.expression) for i in refused)
        conditions = (col(Resource.type) == resource_type, not_(col(Resource.deleted)), *draft.conditions)
        return Query(resource_type, conditions, draft.count, draft.after, tuple(draft.used), tuple(draft.ignored))

    def _take(self, draft: _Draft, resource_type: str, name: str, value: str, base: str) -> None:
        try:
            if name in CONTROL:
                self._control(draft, name, value)
                return
            condition = self._condition(resource_type, name, value, base)
        except ValueError as error:
            draft.wrong.append(Issue("value", f"Search parameter {name}: {error}.", name))
            return
        if condition is None:
            draft.ignored.append(self._unknown(resource_type, name))
        else:
            draft.conditions.append(condition)
            draft.used.append((name, value))

    def _control(self, draft: _Draft, name: str, value: str) -> None:
        if name == "_count":
            if not value.isascii() or not value.isdigit() or len(value) > 9:
                raise ValueError("expected a number of 0 or more")
            draft.count = min(int(value), self._max_page_size)
            draft.used.append((name, value))
        elif name == "_cursor":
            draft.after = _from_cursor(value)

    def _condition(self, resource_type: str, name: str, value: str, base: str) -> ColumnElement[bool] | None:
        """What the parameter asks of a resource; None if it is not served. Raises ValueError for a bad value."""
        code, _, modifier = name.partition(":")
        served = self._parameters.of(resource_type).get(code)
        if served is None and code not in ("_id", "_lastUpdated"):
            return None
        if modifier and not (served and served.kind == "reference" and modifier in (served.targets or (modifier,))):
            raise ValueError(f"the modifier :{modifier[:40]} is not supported")
        if "\0" in value:
            raise ValueError("a value cannot contain NUL")
        values = [part for part in _split(value) if part]
        if not values:
            raise ValueError("a value is missing")
        if len(values) > (_MOST_IDS if code == "_id" else _MOST_VALUES):
            raise ValueError(f"at most {_MOST_IDS} ids or {_MOST_VALUES} other values can be given at once")
        if served is None:
            return _on_id(values) if code == "_id" else or_(*map(_on_last_updated, values))
        if served.kind == "token":
            return _exists(SearchToken, resource_type, served, or_(*map(_on_token, values)))
        return _exists(SearchReference, resource_type, served, or_(*(_on_reference(v, modifier, base) for v in values)))

    def _unknown(self, resource_type: str, name: str) -> Issue:
        known = ["_id", "_lastUpdated", "_count", *self._parameters.of(resource_type)]
        near = difflib.get_close_matches(name, known, 3, 0.4) or known
        text = f"Search parameter {name[:64]} is not served for {resource_type}; served: {', '.join(near)}."
        return Issue("not-supported", text, name[:64], severity="warning")


async def search(connection: AsyncConnection, query: Query) -> Page:
    """Run a query: one page of matches in the order of their creation here."""
    total = await connection.scalar(select(func.count()).select_from(Resource).where(*query.conditions)) or 0
    if query.count == 0:
        return Page([], total)
    columns = (Resource.type, Resource.id, Version.version, Version.method, Version.last_updated, Version.content)
    statement = (
        select(Resource.rid, *columns)  # type: ignore[call-overload]
        .join(Version, col(Version.vid) == col(Resource.vid))
        .where(*query.conditions, col(Resource.rid) > query.after)
        .order_by(col(Resource.rid))
        .limit(query.count + 1)
    )
    rows = (await connection.execute(statement)).all()
    matches = [Stored(*row[1:]) for row in rows[: query.count]]
    more = len(rows) > query.count
    return Page(matches, total, _to_cursor(rows[query.count - 1][0]) if more else "")


async def matching_ids(connection: AsyncConnection, query: Query, *, limit: int = 2) -> list[str]:
    """The ids of the first matches: enough to tell none, one and several apart."""
    rows = await connection.execute(
        select(Resource.id).where(*query.conditions).order_by(col(Resource.rid)).limit(limit)  # type: ignore[call-overload]
    )
    return list(rows.scalars())


def codes(value: str) -> list[str]:
    """The codes of a token parameter's value, without their systems."""
    return [_unescape(_split(part, "|")[-1]) for part in _split(value)]


def _exists(
    table: type[SearchToken] | type[SearchReference],
    resource_type: str,
    parameter: SearchParameter,
    matches: ColumnElement[bool],
) -> ColumnElement[bool]:
    rows = select(table.rid).where(  # type: ignore[call-overload]
        col(table.type) == resource_type, col(table.param) == parameter.name, matches
    )
    return col(Resource.rid).in_(rows)


def _split(value: str, separator: str = ",") -> list[str]:
    r"""The parts of a value between separators; one escaped as \, does not separate, and stays escaped."""
    parts, escaped = [""], False
    for character in value:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _unescape(value: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", value)


def _on_id(values: Sequence[str]) -> ColumnElement[bool]:
    return col(Resource.id).in_([_unescape(value) for value in values])


def _on_token(value: str) -> ColumnElement[bool]:
    *system, code = [_unescape(part) for part in _split(value, "|")]
    if len(system) > 1:
        raise ValueError("expected a code, or system|code")
    if system and not system[0] and not code:
        raise ValueError("expected a code, system|code, |code or system|")
    conditions = [col(SearchToken.system) == indexed(part) for part in system]
    if code or not system:
        conditions.append(col(SearchToken.value) == indexed(code))
    return and_(*conditions)


def _on_reference(value: str, modifier: str, base: str) -> ColumnElement[bool]:
    value = _unescape(value)
    local = value.removeprefix(f"{base}/") if base else value
    if "/" not in local:
        own = col(SearchReference.target_id) == indexed(local)
        return and_(own, col(SearchReference.target_type) == modifier) if modifier else own
    target = literal(local)
    if target is None or (modifier and target[0] != modifier):
        return false()
    return and_(col(SearchReference.target_type) == target[0], col(SearchReference.target_id) == target[1])


def _on_last_updated(value: str) -> ColumnElement[bool]:
    prefix, text = (value[:2], value[2:]) if value[:1].isalpha() else ("eq", value)
    if prefix not in _COMPARE:
        raise ValueError(f"the prefix {prefix} is not supported; use one of {', '.join(_COMPARE)}")
    try:
        # In a URL a literal + means a space; clients forget to encode the one of a time zone.
        low, high = period(text.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise ValueError("expected a date or time such as 2026-05-01 or 2026-05-01T09:30:00Z") from None
    condition: ColumnElement[bool] = _COMPARE[prefix](col(Resource.last_updated), low, high)
    return condition


# [low, high) is the range the value stands for (R4 3.1.1.4.5); last_updated is a point.
_COMPARE: dict[str, Any] = {
    "eq": lambda at, low, high: and_(at >= low, at < high),
    "ne": lambda at, low, high: or_(at < low, at >= high),
    "gt": lambda at, low, high: at >= high,
    "ge": lambda at, low, high: at >= low,
    "lt": lambda at, low, high: at < low,
    "le": lambda at, low, high: at < high,
    "sa": lambda at, low, high: at >= high,
    "eb": lambda at, low, high: at < low,
}


def _to_cursor(rid: int) -> str:
    return f"{rid:x}"


def _from_cursor(value: str) -> int:
    if not re.fullmatch("[0-9a-f]{1,15}", value):
        raise ValueError("this is not a page link of this server")
    return int(value, 16)
