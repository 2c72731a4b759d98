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
        Index("version_by_moment", "since"),
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


class SyncTarget(SQLModel, table=True):
    """A server that is told of writes, asked for them, or both. definition: JSON, as app/sync/targets.py reads it.

    origin: "file" for the targets file, "api" for the admin API. revision: grows with every change.
    """

    __tablename__ = "sync_target"

    name: str = Field(primary_key=True)
    definition: str
    origin: str
    revision: int
    updated_at: int = Field(sa_column=_big())


# No backfill is going on; places begin at 0.
NOT_FILLING = -1


class SyncState(SQLModel, table=True):
    """What the workers know of a target together: whether it answers, what it can do, and what was done so far.

    failures: answers "later" in a row; open_until: nothing is sent before (the breaker); capabilities: JSON, what was
    read at /metadata; batch_size: most entries it was found to take, 0 while nothing is known. backfill: up to which
    place what was here before is noted for it, NOT_FILLING when that is done. The others count.
    """

    __tablename__ = "sync_state"

    target: str = Field(primary_key=True)
    failures: int = 0
    open_until: int = Field(default=0, sa_column=_big())
    paused: bool = False
    backfill: int = Field(default=NOT_FILLING, sa_column=_big())
    capabilities: str = ""
    capabilities_at: int = Field(default=0, sa_column=_big())
    batch_size: int = 0
    sent: int = Field(default=0, sa_column=_big())
    refused: int = Field(default=0, sa_column=_big())
    retried: int = Field(default=0, sa_column=_big())
    conflicts: int = Field(default=0, sa_column=_big())
    pulled: int = Field(default=0, sa_column=_big())
    last_success_at: int = Field(default=0, sa_column=_big())
    last_error_at: int = Field(default=0, sa_column=_big())
    last_error: str = ""


class Outbox(SQLModel, table=True):
    """What a target has still to be told: the newest version of each resource, noted with the version.

    patient: whose it is ("Patient/1"), "" for nobody's; what is about one patient is sent in the order of oid.
    state: "pending"; "dead" when the target refused it for good; "conflict" while a person decides (a Task). reason
    and status: what the target said last. blocked_by: what it refers to and the target does not have yet.
    owner, leased_until: the worker that is sending it.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("target", "type", "id"),
        Index("outbox_due", "target", "state", "oid"),
        Index("outbox_blocked", "target", "blocked_by", **_where("blocked_by <> ''")),
        Index("outbox_leased", "target", "leased_until", **_where("leased_until > 0")),
    )

    oid: int | None = Field(default=None, sa_column=_key())
    target: str
    type: str
    id: str
    version: int
    vid: int = Field(sa_column=_big())
    patient: str = ""
    state: str = "pending"
    attempts: int = 0
    not_before: int = Field(default=0, sa_column=_big())
    owner: str = ""
    leased_until: int = Field(default=0, sa_column=_big())
    blocked_by: str = ""
    status: int = 0
    reason: str = ""
    created_at: int = Field(sa_column=_big())


class Ledger(SQLModel, table=True):
    """Which version of a resource a target is known to hold, since when, and how that is known.

    version: the local version whose content is there, the last common one of both sides; deleted: it is a deletion.
    remote_id, remote_version, remote_updated: the target's own; verified: "answer", "read", "verify" or "pull".
    """

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_by_remote", "target", "type", "remote_id"),)

    target: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    version: int
    deleted: bool = False
    remote_id: str = ""
    remote_version: str = ""
    remote_etag: str = ""
    remote_updated: int = Field(default=0, sa_column=_big())
    delivered_at: int = Field(sa_column=_big())
    verified: str


class Pull(SQLModel, table=True):
    """How far a target was read. mode: "history", "search", "full" or "ids" (which of those known are still there).

    type: what is read, a type or a search such as "Observation?category=survey". watermark: the newest lastUpdated of a
    window that was read to its end, by the target's clock; high: of the window being read, which began at started.
    next_link: its next page, "" before the first; mark: what some earlier page was, so that a circle is noticed.
    requested: a notification asked for another round. failures, error: since the last page that could be read.
    """

    __tablename__ = "pull"

    target: str = Field(primary_key=True)
    type: str = Field(primary_key=True)
    mode: str = ""
    watermark: int = Field(default=0, sa_column=_big())
    high: int = Field(default=0, sa_column=_big())
    started: int = Field(default=0, sa_column=_big())
    next_link: str = ""
    mark: str = ""
    pages: int = 0
    requested: bool = False
    not_before: int = Field(default=0, sa_column=_big())
    finished_at: int = Field(default=0, sa_column=_big())
    failures: int = 0
    error: str = ""


class Quarantine(SQLModel, table=True):
    """What came from a target and could not be kept, as it came, with the issues (JSON) it was refused for.

    content: NULL for a deletion that is refused here. discarded: a person decided that this version is not wanted.
    """

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("target", "type", "remote_id"),)

    qid: int | None = Field(default=None, sa_column=_key())
    target: str
    type: str
    remote_id: str
    remote_version: str
    remote_updated: int = Field(sa_column=_big())
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    issues: str
    attempts: int = 0
    not_before: int = Field(default=0, sa_column=_big())
    discarded: bool = False
    created_at: int = Field(sa_column=_big())


class SyncConflict(SQLModel, table=True):
    """What both sides had changed, and how it was decided: by a rule of the target, or by a person.

    cid: its id, which is that of the Task; version: ours, base_version: the last that both had (0: not one of ours).
    remote_*, content: theirs, in our terms, NULL for a deletion; base: what both had, NULL where that is not known.
    differences, issues: JSON. state: "open", "closing" while its Task does not tell the decision yet, "settled".
    resolution: "ours", "theirs", "merged", "alike", or "superseded" by another conflict; decided_by: "rule", "person",
    "task" or "" while open; result: the version here that came of it.
    """

    __tablename__ = "sync_conflict"
    __table_args__ = (
        UniqueConstraint("cid"),
        Index("sync_conflict_by_state", "state", "sid"),
        Index("sync_conflict_by_resource", "target", "type", "id"),
    )

    sid: int | None = Field(default=None, sa_column=_key())
    cid: str
    target: str
    type: str
    id: str
    version: int
    base_version: int
    base: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    remote_id: str
    remote_version: str
    remote_etag: str
    remote_updated: int = Field(sa_column=_big())
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    differences: str
    issues: str = "[]"
    state: str
    resolution: str = ""
    decided_by: str = ""
    result: int = 0
    created_at: int = Field(sa_column=_big())
    settled_at: int = Field(default=0, sa_column=_big())


class Instance(SQLModel, table=True):
    """The name of this database among all that may write to one target; drawn once, and kept in every copy of it."""

    __tablename__ = "instance"

    name: str = Field(primary_key=True)


class Feed(SQLModel, table=True):
    """How far a reader of all writes has come: a snapshot (app/store/snapshot.py), as text."""

    __tablename__ = "feed"

    name: str = Field(primary_key=True)
    snapshot: str


class SubscriptionState(SQLModel, table=True):
    """What becomes of a Subscription. version: the one that was taken up; last_event: the number given last.

    delivered: up to which event the subscriber has answered; sent_at: when something was last sent; heartbeat_at: when
    it is told that there is nothing new, 0 for never; ends_at: when it is turned off.
    """

    __tablename__ = "subscription_state"

    id: str = Field(primary_key=True)
    version: int
    status: str
    last_event: int = Field(default=0, sa_column=_big())
    delivered: int = Field(default=0, sa_column=_big())
    failures: int = 0
    not_before: int = Field(default=0, sa_column=_big())
    sent_at: int = Field(default=0, sa_column=_big())
    heartbeat_at: int = Field(default=0, sa_column=_big())
    ends_at: int = Field(default=0, sa_column=_big())
    owner: str = ""
    leased_until: int = Field(default=0, sa_column=_big())
    error: str = ""


class SubscriptionEvent(SQLModel, table=True):
    """What a subscriber is told of: which version of which resource, under which number of its subscription."""

    __tablename__ = "subscription_event"

    subscription: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    type: str
    id: str
    version: int
    created_at: int = Field(sa_column=_big())


class Lease(SQLModel, table=True):
    """Which worker does something that one does at a time, and until when. target: what it is, such as a name."""

    __tablename__ = "lease"

    target: str = Field(primary_key=True)
    owner: str
    until: int = Field(sa_column=_big())
