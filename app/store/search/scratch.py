"""Whether a resource meets a criterion, without its being in the index: asked of an index of its own, in memory.

The statement is the one that asks the database, so the two cannot differ in what they mean.
"""

from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import Any

from sqlalchemy import Engine, StaticPool, create_engine, insert, select
from sqlmodel import SQLModel

from app.store.parameters import SearchParameters
from app.store.search.compiling.criteria import Compiler
from app.store.search.tree import Criterion
from app.store.tables import (
    SearchDate,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchString,
    SearchToken,
    SearchUri,
    Version,
)

_INDEX = (SearchDate, SearchNumber, SearchQuantity, SearchReference, SearchString, SearchToken, SearchUri)
_VERSION: Any = Version.__table__  # type: ignore[attr-defined]
_OWN = {"vid": 1, "version": 1, "method": "PUT", "deleted": False, "since": 1, "until": None, "indexed": True}
_ONE = Lock()


def fitting(tree: Mapping[str, Any], criterion: Criterion, parameters: SearchParameters, base: str) -> bool:
    """base: references that start with it are to this server."""
    own = {"type": tree["resourceType"], "id": tree["id"]}
    compiler = Compiler(is_sqlite=True)
    statement = select(_VERSION.c.vid).where(*compiler.fits(_VERSION.c, [own["type"]], criterion))
    with _ONE, _engine().connect() as connection, connection.begin() as transaction:
        connection.execute(insert(_VERSION).values(**_OWN, **own, last_updated=0))
        for table, rows in parameters.rows(tree, base=base).items():
            if table in _INDEX and rows:
                connection.execute(insert(table), [{"type": own["type"], "vid": 1, **row} for row in rows])
        found = connection.execute(statement).first() is not None
        transaction.rollback()
        return found


@cache
def _engine() -> Engine:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    tables: list[Any] = [Version, *_INDEX]
    SQLModel.metadata.create_all(engine, tables=[each.__table__ for each in tables])
    return engine
