"""Responders of a cohort, counted by the database: one statement over the search index, and its rows.

Everything in the statement is of our content files or a number, so it holds no parameters: what is shown to the reader
is what was run, and runs in any client of the database.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.fhir.outcomes import Issue, Refused
from app.store.database import Connection
from app.store.index.state import Need, require_indexed
from app.store.index.values import EARLIEST
from app.store.patience import is_given_up, within

_DAY = 86_400_000_000
# What the statement reads of the index.
_OF_REQUEST = ("code", "intent", "reason-reference", "status", "subject")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "Observation": ("body-site", "code", "date", "laterality", "status", "subject", "value-integer", "value-quantity"),
    "MedicationRequest": (*_OF_REQUEST, "authoredon", "do-not-perform", "medication"),
    "ServiceRequest": (*_OF_REQUEST, "_profile", "authored", "do-not-perform"),
    "DeviceRequest": (*_OF_REQUEST, "_profile", "authored-on"),
    "Medication": ("code",),
    "CarePlan": (
        *("activity-reference", "activity-reference-outcome", "activity-reference-stopped-on", "condition", "created"),
        *("period-start", "status"),
    ),
    "Procedure": ("based-on", "performed-start", "status"),
    "Condition": ("code", "verification-status"),
}
TYPES = tuple(_NEEDS)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "score_code": ("system", "code", "rank", "score"),
    "status_counted": ("status",),
    "medicine_code": ("system", "first", "past", "rank", "class"),
    "medicine_name": ("name", "class"),
    "diagnosis_code": ("system", "first", "past", "rank", "diagnosis"),
    "own_system": ("name", "uri"),
}


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What is compared. begun: microseconds, the first and the first after; window: days after the start, inclusive.

    diagnosis: "" for all. levels: column -> least relief in percent. least: baseline below which one is low.
    """

    score: str
    unit: str
    least: float
    begun: tuple[int, int]
    window: tuple[int, int]
    diagnosis: str
    levels: Mapping[str, float]
    z: float
    tables: Mapping[str, tuple[tuple[Any, ...], ...]]


def statement(asked: Outcomes, *, is_sqlite: bool) -> str:
    """The SQL, the same for both databases but for the collation of text that is compared with the index."""
    return _template().format(
        tables=",\n".join(_table(name, asked.tables[name], columns, is_sqlite) for name, columns in _COLUMNS.items()),
        plain="+" if is_sqlite else "",
        score=_quoted(asked.score),
        unit=_quoted(asked.unit),
        diagnosis=_quoted(asked.diagnosis),
        least=asked.least,
        earliest=EARLIEST,
        day=_DAY,
        begun_from=asked.begun[0],
        begun_until=asked.begun[1],
        window_first=asked.window[0],
        window_last=asked.window[1],
        z=asked.z,
        wilson=",\n    ".join(_wilson(name, asked.z) for name in asked.levels),
        **asked.levels,
    )


async def outcomes(connection: Connection, sql: str, *, seconds: float) -> Sequence[Any]:
    """The rows of such a statement. connection: of a read transaction.

    Raises NotReady while the index lacks something, and Refused where the answer takes longer than that.
    """
    needs: Iterable[Need] = ((type_, code) for type_, codes in _NEEDS.items() for code in codes)
    await require_indexed(connection, needs)
    if connection.dialect.name != "sqlite":
        # It takes the tables of the statement for much smaller than they are, and would go through one for each row of
        # another: 300 patients took 2.8 seconds, and take 0.2 so.
        await connection.execute(text("SET LOCAL enable_nestloop = off"))
    async with _bounded(connection, seconds):
        rows: Sequence[Any] = (await connection.exec_driver_sql(sql)).all()
    return rows


@asynccontextmanager
async def _bounded(connection: Connection, seconds: float) -> AsyncIterator[None]:
    """Has the database give up a statement that takes too long."""
    if connection.dialect.name != "sqlite":
        await connection.execute(text(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"))
    try:
        with within(seconds):
            yield
    except DBAPIError as error:
        if not is_given_up(error.orig):
            raise
        told = f"This takes more than {seconds:g} seconds; ask for a shorter time (from, until) or one diagnosis."
        raise Refused([Issue("too-costly", told)]) from error


@cache
def _template() -> str:
    return (files("app.store") / "statements" / "cohort_outcomes.sql").read_text("utf-8")


def _table(name: str, rows: Sequence[Sequence[Any]], columns: Sequence[str], is_sqlite: bool) -> str:
    """A table of values. On PostgreSQL text has the collation the index has."""
    collate = "" if is_sqlite else ' COLLATE "C"'
    named = ", ".join(
        f"column{number}{collate if isinstance(rows[0][number - 1], str) else ''} AS {column}"
        for number, column in enumerate(columns, 1)
    )
    values = ",\n        ".join(f"({', '.join(map(_literal, row))})" for row in rows)
    # Nothing of it is of a request: rows of our content files.
    return f"{name} AS MATERIALIZED (\n    SELECT {named} FROM (VALUES\n        {values}\n    ) AS given\n)"  # noqa: S608


def _literal(value: str | int) -> str:
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(value: str) -> str:
    """A text as SQL has it."""
    doubled = value.replace("'", "''")
    return f"'{doubled}'"


def _wilson(name: str, z: float) -> str:
    """Both ends of the interval of c.name of c.n."""
    n = "NULLIF(CAST(c.n AS double precision), 0)"
    part = f"(CAST(c.{name} AS double precision) / {n})"
    middle = f"({part} + {z * z / 2} / {n})"
    width = f"{z} * sqrt({part} * (1 - {part}) / {n} + {z * z / 4} / ({n} * {n}))"
    ends = ((sign, f"({middle} {sign} {width}) / (1 + {z * z} / {n})") for sign in "-+")
    return ",\n    ".join(f"{end} AS {name}_{'low' if sign == '-' else 'high'}" for sign, end in ends)
