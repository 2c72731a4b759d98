"""What is stored of resources, and what goes with every write of one."""

from sqlalchemy import Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.store.tables.columns import BYTEWISE, KEY, big, key, where


class Version(SQLModel, table=True):
    """Every version ever, without its content. The current one of a resource is the one that has no end.

    since, until: where in the order of commits the version came and was replaced (app/store/snapshot.py), so that a
    search can be answered as things stood at some moment; ended_at: the same end in microseconds. method: POST, PUT,
    PATCH or DELETE. indexed: whether its search values are here; those of replaced versions go after a while.
    """

    __tablename__ = "version"
    __table_args__ = (
        UniqueConstraint("type", "id", "version"),
        Index("version_current", "type", "id", unique=True, **where("until IS NULL")),
        Index("version_by_type", "type", "vid"),
        Index("version_by_time", "type", "last_updated", "vid"),
        Index("version_by_any_time", "last_updated", "vid"),
        Index("version_by_moment", "since"),
        Index("version_to_forget", "ended_at", **where("indexed AND ended_at IS NOT NULL")),
    )

    vid: int | None = Field(default=None, sa_column=key())
    type: str
    id: str = Field(sa_column=Column(BYTEWISE, nullable=False))
    version: int
    method: str
    deleted: bool
    last_updated: int = Field(sa_column=big())
    since: int = Field(sa_column=big())
    until: int | None = Field(default=None, sa_column=big(nullable=True))
    ended_at: int | None = Field(default=None, sa_column=big(nullable=True))
    indexed: bool = True


class Content(SQLModel, table=True):
    """The only copy of the content of each version; a deletion has none. digest: SHA-256 of it."""

    __tablename__ = "content"

    vid: int = Field(sa_column=Column(KEY, primary_key=True, autoincrement=False))
    text: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    digest: bytes | None = Field(default=None, sa_column=Column(LargeBinary))


class Published(SQLModel, table=True):
    """Which of our own definitions are stored, in one row called "definitions". keys: [type, id] pairs, as JSON."""

    __tablename__ = "published"

    name: str = Field(primary_key=True)
    digest: str
    keys: str


class Instance(SQLModel, table=True):
    """The name of this database among all that may write to one target; drawn once, and kept in every copy of it."""

    __tablename__ = "instance"

    name: str = Field(primary_key=True)


class Lease(SQLModel, table=True):
    """Which worker does something that one does at a time, and until when. target: what it is, such as a name."""

    __tablename__ = "lease"

    target: str = Field(primary_key=True)
    owner: str
    until: int = Field(sa_column=big())
