"""The tables, and nothing else. Times are microseconds since 1970 UTC; migrations/ creates what is declared here."""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.store.index.columns import Words

# SQLite numbers rows by itself only where the key is exactly INTEGER.
_KEY = BigInteger().with_variant(Integer, "sqlite")


def _key() -> Column[int]:
    return Column(_KEY, primary_key=True, autoincrement=True)


def _where(condition: str) -> dict[str, Any]:
    """The options of an index that holds some rows only."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# Prefixes are looked up in indexes, and order must not depend on the language of the database.
_BYTEWISE = String().with_variant(String(collation="C"), "postgresql")


def _text_key() -> Any:
    return Field(sa_column=Column(_BYTEWISE, primary_key=True))


def _vid_key() -> Any:
    return Field(sa_column=Column(BigInteger, primary_key=True))


def _big(*, nullable: bool = False) -> Column[int]:
    return Column(BigInteger, nullable=nullable)


class Version(SQLModel, table=True):
    """Every version ever, without its content. The current one of a resource is the one that has no end.

    since, until: where in the order of commits the version came and was replaced (app/store/snapshot.py), so that a
    search can be answered as things stood at some moment; ended_at: the same end in microseconds. method: POST, PUT,
    PATCH or DELETE. indexed: whether its search values are here; those of replaced versions go after a while.
    """

    __tablename__ = "version"
    __table_args__ = (
        UniqueConstraint("type", "id", "version"),
        Index("version_current", "type", "id", unique=True, **_where("until IS NULL")),
        Index("version_by_type", "type", "vid"),
        Index("version_by_time", "type", "last_updated", "vid"),
        Index("version_by_any_time", "last_updated", "vid"),
        Index("version_to_forget", "ended_at", **_where("indexed AND ended_at IS NOT NULL")),
    )

    vid: int | None = Field(default=None, sa_column=_key())
    type: str
    id: str = Field(sa_column=Column(_BYTEWISE, nullable=False))
    version: int
    method: str
    deleted: bool
    last_updated: int = Field(sa_column=_big())
    since: int = Field(sa_column=_big())
    until: int | None = Field(default=None, sa_column=_big(nullable=True))
    ended_at: int | None = Field(default=None, sa_column=_big(nullable=True))
    indexed: bool = True


class Content(SQLModel, table=True):
    """The only copy of the content of each version; a deletion has none."""

    __tablename__ = "content"

    vid: int = Field(sa_column=Column(_KEY, primary_key=True, autoincrement=False))
    text: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


# The search values of versions. param: the code of a search parameter, or one with a suffix (app/store/index/). item:
# which value of the parameter, counted from 0; of a composite, which of its groups. Text is compared byte by byte.


class SearchToken(SQLModel, table=True):
    """Search values of token parameters. system is "" where the value has none."""

    __tablename__ = "search_token"
    __table_args__ = (Index("search_token_by_version", "vid", "param"),)

    type: str = _text_key()
    param: str = _text_key()
    value: str = _text_key()
    system: str = _text_key()
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchReference(SQLModel, table=True):
    """Search values of reference parameters; a canonical or an absolute URL of another server has target_type ""."""

    __tablename__ = "search_reference"
    __table_args__ = (
        Index("search_reference_by_version", "vid", "param"),
        Index("search_reference_by_target", "target_id", "target_type", "type", "vid"),
    )

    type: str = _text_key()
    param: str = _text_key()
    target_id: str = _text_key()
    target_type: str = _text_key()
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchString(SQLModel, table=True):
    """Search values of string parameters. value: folded, and cut where it is long; exact: as it is."""

    __tablename__ = "search_string"
    __table_args__ = (Index("search_string_by_version", "vid", "param"),)

    type: str = _text_key()
    param: str = _text_key()
    value: str = _text_key()
    vid: int = _vid_key()
    item: int = Field(primary_key=True)
    exact: str


class SearchUri(SQLModel, table=True):
    """Search values of uri parameters."""

    __tablename__ = "search_uri"
    __table_args__ = (Index("search_uri_by_version", "vid", "param"),)

    type: str = _text_key()
    param: str = _text_key()
    value: str = _text_key()
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchDate(SQLModel, table=True):
    """Search values of date parameters: the half-open range [low, high) a value stands for, in microseconds."""

    __tablename__ = "search_date"
    __table_args__ = (
        Index("search_date_by_version", "vid", "param"),
        Index("search_date_by_end", "type", "param", "high", "low", "vid"),
    )

    type: str = _text_key()
    param: str = _text_key()
    low: int = Field(sa_column=Column(BigInteger, primary_key=True))
    high: int = Field(sa_column=Column(BigInteger, primary_key=True))
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchNumber(SQLModel, table=True):
    """Search values of number parameters; low and high differ for ranges only."""

    __tablename__ = "search_number"
    __table_args__ = (
        Index("search_number_by_version", "vid", "param"),
        Index("search_number_by_end", "type", "param", "high", "low", "vid"),
    )

    type: str = _text_key()
    param: str = _text_key()
    low: float = Field(sa_column=Column(Double, primary_key=True))
    high: float = Field(sa_column=Column(Double, primary_key=True))
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchQuantity(SQLModel, table=True):
    """Search values of quantity parameters, as written, and again in canonical units (app/store/index/)."""

    __tablename__ = "search_quantity"
    __table_args__ = (
        Index("search_quantity_by_version", "vid", "param"),
        Index("search_quantity_by_start", "type", "param", "low", "high", "vid"),
    )

    type: str = _text_key()
    param: str = _text_key()
    code: str = _text_key()
    low: float = Field(sa_column=Column(Double, primary_key=True))
    high: float = Field(sa_column=Column(Double, primary_key=True))
    system: str = _text_key()
    vid: int = _vid_key()
    item: int = Field(primary_key=True)


class SearchText(SQLModel, table=True):
    """The words of versions for full text search. On SQLite a virtual table, whose key can only be called rowid."""

    __tablename__ = "search_text"
    __table_args__ = (Index("search_text_words", "narrative", "content", postgresql_using="gin"),)

    vid: int = Field(sa_column=Column("rowid", BigInteger, key="vid", primary_key=True, autoincrement=False))
    type: str
    narrative: str = Field(sa_column=Column(Words, nullable=False))
    content: str = Field(sa_column=Column(Words, nullable=False))


class SearchIndex(SQLModel, table=True):
    """Which definitions the index was made with, in one row called "parameters": type -> code -> digest, as JSON."""

    __tablename__ = "search_index"

    name: str = Field(primary_key=True)
    digest: str
    parameters: str


class Published(SQLModel, table=True):
    """Which of our own definitions are stored, in one row called "definitions". keys: [type, id] pairs, as JSON."""

    __tablename__ = "published"

    name: str = Field(primary_key=True)
    digest: str
    keys: str


class Reindex(SQLModel, table=True):
    """The types whose resources are, or last were, indexed anew; JSON lists of the codes concerned.

    unsearchable: those whose values are missing or outdated until it is finished. through: the version that was last.
    """

    __tablename__ = "reindex"

    type: str = Field(primary_key=True)
    parameters: str
    unsearchable: str
    through: int = Field(sa_column=_big())
    done: int
    total: int
    started_at: int = Field(sa_column=_big())
    finished_at: int | None = Field(default=None, sa_column=_big(nullable=True))


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
