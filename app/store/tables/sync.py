"""Sync: the targets, what they have still to be told, what they hold, and what came from them."""

from sqlalchemy import Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.store.tables.columns import big, key, where


class SyncTarget(SQLModel, table=True):
    """A server that is told of writes, asked for them, or both. definition: JSON, as app/sync/targets.py reads it.

    origin: "file" for the targets file, "api" for the admin API. revision: grows with every change.
    """

    __tablename__ = "sync_target"

    name: str = Field(primary_key=True)
    definition: str
    origin: str
    revision: int
    updated_at: int = Field(sa_column=big())


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
    open_until: int = Field(default=0, sa_column=big())
    paused: bool = False
    backfill: int = Field(default=NOT_FILLING, sa_column=big())
    capabilities: str = ""
    capabilities_at: int = Field(default=0, sa_column=big())
    batch_size: int = 0
    sent: int = Field(default=0, sa_column=big())
    refused: int = Field(default=0, sa_column=big())
    retried: int = Field(default=0, sa_column=big())
    conflicts: int = Field(default=0, sa_column=big())
    pulled: int = Field(default=0, sa_column=big())
    last_success_at: int = Field(default=0, sa_column=big())
    last_error_at: int = Field(default=0, sa_column=big())
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
        Index("outbox_blocked", "target", "blocked_by", **where("blocked_by <> ''")),
        Index("outbox_leased", "target", "leased_until", **where("leased_until > 0")),
    )

    oid: int | None = Field(default=None, sa_column=key())
    target: str
    type: str
    id: str
    version: int
    vid: int = Field(sa_column=big())
    patient: str = ""
    state: str = "pending"
    attempts: int = 0
    not_before: int = Field(default=0, sa_column=big())
    owner: str = ""
    leased_until: int = Field(default=0, sa_column=big())
    blocked_by: str = ""
    status: int = 0
    reason: str = ""
    created_at: int = Field(sa_column=big())


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
    remote_updated: int = Field(default=0, sa_column=big())
    delivered_at: int = Field(sa_column=big())
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
    watermark: int = Field(default=0, sa_column=big())
    high: int = Field(default=0, sa_column=big())
    started: int = Field(default=0, sa_column=big())
    next_link: str = ""
    mark: str = ""
    pages: int = 0
    requested: bool = False
    not_before: int = Field(default=0, sa_column=big())
    finished_at: int = Field(default=0, sa_column=big())
    failures: int = 0
    error: str = ""


class Quarantine(SQLModel, table=True):
    """What came from a target and could not be kept, as it came, with the issues (JSON) it was refused for.

    content: NULL for a deletion that is refused here. discarded: a person decided that this version is not wanted.
    """

    __tablename__ = "quarantine"
    __table_args__ = (UniqueConstraint("target", "type", "remote_id"),)

    qid: int | None = Field(default=None, sa_column=key())
    target: str
    type: str
    remote_id: str
    remote_version: str
    remote_updated: int = Field(sa_column=big())
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    issues: str
    attempts: int = 0
    not_before: int = Field(default=0, sa_column=big())
    discarded: bool = False
    created_at: int = Field(sa_column=big())


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

    sid: int | None = Field(default=None, sa_column=key())
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
    remote_updated: int = Field(sa_column=big())
    content: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    differences: str
    issues: str = "[]"
    state: str
    resolution: str = ""
    decided_by: str = ""
    result: int = 0
    created_at: int = Field(sa_column=big())
    settled_at: int = Field(default=0, sa_column=big())
