"""The tables, and nothing else. Times are microseconds since 1970 UTC; migrations/ creates what is declared here."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _key() -> Column[int]:
    return Column(_KEY, primary_key=True, autoincrement=True)


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class Resource(SQLModel, table=True):
    """Where each resource stands now: its current version, or that it is deleted."""

    __tablename__ = "resource"
    __table_args__ = (UniqueConstraint("type", "id"), Index("resource_by_time", "type", "last_updated", "rid"))

    rid: int | None = Field(default=None, sa_column=_key())
    type: str
    id: str
    version: int
    vid: int = Field(sa_column=_big())
    deleted: bool
    last_updated: int = Field(sa_column=_big())


class Version(SQLModel, table=True):
    """Every version ever, with the only copy of its content; a deletion is a version without content."""

    __tablename__ = "version"
    __table_args__ = (UniqueConstraint("type", "id", "version"),)

    vid: int | None = Field(default=None, sa_column=_key())
    type: str
    id: str
    version: int
    method: str
    last_updated: int = Field(sa_column=_big())
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class SearchToken(SQLModel, table=True):
    """Search values of token parameters of current versions. system is "" where the value has none."""

    __tablename__ = "search_token"
    __table_args__ = (Index("search_token_by_resource", "rid"),)

    type: str = Field(primary_key=True)
    param: str = Field(primary_key=True)
    value: str = Field(primary_key=True)
    system: str = Field(primary_key=True)
    rid: int = Field(sa_column=Column(BigInteger, primary_key=True))


class SearchReference(SQLModel, table=True):
    """Search values of reference parameters of current versions; an absolute URL has target_type ""."""

    __tablename__ = "search_reference"
    __table_args__ = (Index("search_reference_by_resource", "rid"),)

    type: str = Field(primary_key=True)
    param: str = Field(primary_key=True)
    target_id: str = Field(primary_key=True)
    target_type: str = Field(primary_key=True)
    rid: int = Field(sa_column=Column(BigInteger, primary_key=True))


class Audit(SQLModel, table=True):
    """Who changed what, when, by which request; one row per version, written with it."""

    __tablename__ = "audit"

    aid: int | None = Field(default=None, sa_column=_key())
    at: int = Field(sa_column=_big())
    actor: str
    request_id: str
    method: str
    type: str
    id: str
    version: int


class Idempotency(SQLModel, table=True):
    """The stored answer to a POST that carried an Idempotency-Key, written with what it did."""

    __tablename__ = "idempotency"

    key: str = Field(primary_key=True)
    request_hash: str
    status: int
    location: str
    etag: str
    last_modified: str
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_column=_big())


class Outbox(SQLModel, table=True):
    """What a target has still to be told: one row per version and target, written with the version.

    state: "pending", or "dead" when the target refused it for good; reason says why.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("target", "type", "id", "version"),
        Index("outbox_due", "target", "state", "oid"),
    )

    oid: int | None = Field(default=None, sa_column=_key())
    target: str
    type: str
    id: str
    version: int
    vid: int = Field(sa_column=_big())
    state: str = "pending"
    attempts: int = 0
    not_before: int = Field(default=0, sa_column=_big())
    reason: str = ""
    created_at: int = Field(sa_column=_big())


class Ledger(SQLModel, table=True):
    """Which version of a resource a target is known to hold, since when, and how that is known."""

    __tablename__ = "ledger"

    target: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    remote_etag: str = ""
    delivered_at: int = Field(sa_column=_big())
    verified: str


class Lease(SQLModel, table=True):
    """Which worker serves a target, and until when. One worker per target keeps the order."""

    __tablename__ = "lease"

    target: str = Field(primary_key=True)
    owner: str
    until: int = Field(sa_column=_big())
