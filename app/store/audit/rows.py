"""What is noted of an access or a change, and whom it concerns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel

from app.fhir.compartments import compartments
from app.store.inserting import insert_all
from app.store.keys import among, chunks
from app.store.snapshot import stamp
from app.store.tables import Audit, SearchReference, Version

Key = tuple[str, str]  # ("Patient", "12")
_PATIENT = "Patient"
_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_LINK: Any = SearchReference.__table__  # type: ignore[attr-defined]
CHANGES = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Agent:
    """Who does something, from where, by which request. client, issuer: of the token; address: of the network."""

    actor: str
    request_id: str
    client: str = ""
    issuer: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """One access. at: microseconds; method, interaction, query, status: see Audit; seen: the resources it showed."""

    at: int
    agent: Agent
    method: str
    interaction: str
    status: int
    type: str = ""
    id: str = ""
    query: str = ""
    seen: tuple[Key, ...] = ()

    def rows(self, patients: Mapping[Key, Sequence[str]]) -> Iterator[dict[str, Any]]:
        """One row for each patient it concerns (BALP), or one for nobody."""
        asked = self.seen or ([(self.type, self.id)] if self.id else [])
        found = dict.fromkeys(name for key in asked for name in patients.get(key, ()))
        for patient in found or ("",):
            yield row(self.at, self.agent, self.method, self.type, self.id) | {
                "interaction": self.interaction,
                "query": self.query,
                "patient": patient,
                "status": self.status,
            }


@dataclass(slots=True)
class Noted:
    """What one request has come to, so far. changes: how many rows were written with what it changed.

    interaction: what it is, where its address does not say. further: accesses within it, as the entries of a batch.
    """

    changes: int = 0
    interaction: str = ""
    query: str = ""
    seen: dict[Key, None] = field(default_factory=dict)
    further: list[Access] = field(default_factory=list)


_current: ContextVar[Noted | None] = ContextVar("noted", default=None)


@contextmanager
def noting(noted: Noted) -> Iterator[None]:
    """Within the block, what is changed counts as done by that request."""
    token = _current.set(noted)
    try:
        yield
    finally:
        _current.reset(token)


def noted() -> Noted | None:
    """What the request of this flow of control has come to; None outside of one."""
    return _current.get()


async def write(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in the transaction that is going on.

    Seals rely on it: a transaction has its own number before its rows have theirs.
    """
    await stamp(connection)
    await insert_all(connection, {Audit: rows})


def row(at: int, agent: Agent, method: str, type_: str, id_: str, version: int = 0) -> dict[str, Any]:
    """The columns that every row has."""
    return {
        "at": at,
        "actor": agent.actor,
        "request_id": agent.request_id,
        "client": agent.client,
        "issuer": agent.issuer,
        "address": agent.address,
        "method": method,
        "interaction": CHANGES.get(method, ""),
        "type": type_,
        "id": id_,
        "version": version,
        "query": "",
        "patient": "",
        "status": 0,
    }


def patients_among(type_: str, id_: str, links: Iterable[tuple[str, str]]) -> list[str]:
    """The patients a resource is about, the one it is about first. links: (parameter, patient) of what it refers to."""
    if type_ == _PATIENT:
        return [id_]
    order = {code: place for place, code in enumerate(compartments()[_PATIENT].get(type_, ()))}
    own = sorted((order[code], patient) for code, patient in links if code in order)
    return list(dict.fromkeys(patient for _, patient in own))


def patients_in(type_: str, id_: str, values: Mapping[type[SQLModel], Sequence[Mapping[str, Any]]]) -> list[str]:
    """The same, by search values that were made of a resource."""
    rows = values.get(SearchReference, ())
    return patients_among(
        type_, id_, ((each["param"], each["target_id"]) for each in rows if each["target_type"] == _PATIENT)
    )


async def patients_of(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, list[str]]:
    """The same, of what is stored now; of what is deleted, and of what was, nobody."""
    asked = sorted(set(keys))
    links: dict[Key, list[tuple[str, str]]] = {key: [] for key in asked}
    members = compartments()[_PATIENT]
    for part in chunks([key for key in asked if key[0] in members and key[0] != _PATIENT]):
        codes = sorted({code for type_, _ in part for code in members[type_]})
        statement = (
            select(_VERSION.c.type, _VERSION.c.id, _LINK.c.param, _LINK.c.target_id)
            .join(_LINK, _LINK.c.vid == _VERSION.c.vid)
            .where(among(_VERSION.c.type, _VERSION.c.id, part), _VERSION.c.until.is_(None))
            .where(_LINK.c.param.in_(codes), _LINK.c.target_type == _PATIENT)
        )
        for type_, id_, code, patient in await connection.execute(statement):
            links[type_, id_].append((code, patient))
    return {(type_, id_): patients_among(type_, id_, found) for (type_, id_), found in links.items()}
