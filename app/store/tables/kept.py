"""What keeps things from being lost or done twice: answers that were given, and a restore that is going on."""

from sqlalchemy import Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from app.store.tables.columns import big, text_key


class Idempotency(SQLModel, table=True):
    """The stored answer to a request that carried an Idempotency-Key, written with what it did.

    client: whose key it is, "" while nobody says who they are.
    """

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_by_time", "created_at"),)

    client: str = text_key()
    key: str = text_key()
    request_hash: str
    status: int
    location: str
    etag: str
    last_modified: str
    answer: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: int = Field(sa_column=big())


class Erased(SQLModel, table=True):
    """A resource of which versions were erased, as the law asks (docs/patient-rights.md); nothing of them is here.

    through: none of the versions up to this one need be there; count: how many are not. is_whole: the resource itself
    was erased, so that it must not come back.
    """

    __tablename__ = "erased"

    type: str = text_key()
    id: str = text_key()
    through: int
    count: int
    is_whole: bool
    at: int = Field(sa_column=big())


class Restoring(SQLModel, table=True):
    """A restore that was begun and is not finished: one row, removed with the transaction that brings everything."""

    __tablename__ = "restoring"

    name: str = text_key()
    begun_at: int = Field(sa_column=big())
