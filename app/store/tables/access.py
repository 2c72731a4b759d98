"""What access remembers: assertions that were used."""

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from app.store.tables.columns import big, text_key


class Assertion(SQLModel, table=True):
    """An assertion by which a client got a token: it counts once. mark: a hash of the client and the jti.

    until: seconds since 1970, from when on it would be refused for its age.
    """

    __tablename__ = "assertion"
    __table_args__ = (Index("assertion_until", "until"),)

    mark: str = text_key()
    until: int = Field(sa_column=big(), default=0)
