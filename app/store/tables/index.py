"""The search values of versions.

param: the code of a search parameter, or one with a suffix (app/store/index/). item: which value of the parameter,
counted from 0; of a composite, which of its groups. Text is compared byte by byte.
"""

from sqlalchemy import BigInteger, Column, Double, Index
from sqlmodel import Field, SQLModel

from app.store.index.columns import Words
from app.store.tables.columns import big, text_key, vid_key


class SearchToken(SQLModel, table=True):
    """Search values of token parameters. system is "" where the value has none."""

    __tablename__ = "search_token"
    __table_args__ = (Index("search_token_by_version", "vid", "param"),)

    type: str = text_key()
    param: str = text_key()
    value: str = text_key()
    system: str = text_key()
    vid: int = vid_key()
    item: int = Field(primary_key=True)


class SearchReference(SQLModel, table=True):
    """Search values of reference parameters; a canonical or an absolute URL of another server has target_type ""."""

    __tablename__ = "search_reference"
    __table_args__ = (
        Index("search_reference_by_version", "vid", "param"),
        Index("search_reference_by_target", "target_id", "target_type", "type", "vid"),
    )

    type: str = text_key()
    param: str = text_key()
    target_id: str = text_key()
    target_type: str = text_key()
    vid: int = vid_key()
    item: int = Field(primary_key=True)


class SearchString(SQLModel, table=True):
    """Search values of string parameters. value: folded, and cut where it is long; exact: as it is."""

    __tablename__ = "search_string"
    __table_args__ = (Index("search_string_by_version", "vid", "param"),)

    type: str = text_key()
    param: str = text_key()
    value: str = text_key()
    vid: int = vid_key()
    item: int = Field(primary_key=True)
    exact: str


class SearchUri(SQLModel, table=True):
    """Search values of uri parameters."""

    __tablename__ = "search_uri"
    __table_args__ = (Index("search_uri_by_version", "vid", "param"),)

    type: str = text_key()
    param: str = text_key()
    value: str = text_key()
    vid: int = vid_key()
    item: int = Field(primary_key=True)


class SearchDate(SQLModel, table=True):
    """Search values of date parameters: the half-open range [low, high) a value stands for, in microseconds."""

    __tablename__ = "search_date"
    __table_args__ = (
        Index("search_date_by_version", "vid", "param"),
        Index("search_date_by_end", "type", "param", "high", "low", "vid"),
    )

    type: str = text_key()
    param: str = text_key()
    low: int = Field(sa_column=Column(BigInteger, primary_key=True))
    high: int = Field(sa_column=Column(BigInteger, primary_key=True))
    vid: int = vid_key()
    item: int = Field(primary_key=True)


class SearchNumber(SQLModel, table=True):
    """Search values of number parameters; low and high differ for ranges only."""

    __tablename__ = "search_number"
    __table_args__ = (
        Index("search_number_by_version", "vid", "param"),
        Index("search_number_by_end", "type", "param", "high", "low", "vid"),
    )

    type: str = text_key()
    param: str = text_key()
    low: float = Field(sa_column=Column(Double, primary_key=True))
    high: float = Field(sa_column=Column(Double, primary_key=True))
    vid: int = vid_key()
    item: int = Field(primary_key=True)


class SearchQuantity(SQLModel, table=True):
    """Search values of quantity parameters, as written, and again in canonical units (app/store/index/)."""

    __tablename__ = "search_quantity"
    __table_args__ = (
        Index("search_quantity_by_version", "vid", "param"),
        Index("search_quantity_by_start", "type", "param", "low", "high", "vid"),
    )

    type: str = text_key()
    param: str = text_key()
    code: str = text_key()
    low: float = Field(sa_column=Column(Double, primary_key=True))
    high: float = Field(sa_column=Column(Double, primary_key=True))
    system: str = text_key()
    vid: int = vid_key()
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


class Reindex(SQLModel, table=True):
    """The types whose resources are, or last were, indexed anew; JSON lists of the codes concerned.

    unsearchable: those whose values are missing or outdated until it is finished. through: the version that was last.
    """

    __tablename__ = "reindex"

    type: str = Field(primary_key=True)
    parameters: str
    unsearchable: str
    through: int = Field(sa_column=big())
    done: int
    total: int
    started_at: int = Field(sa_column=big())
    finished_at: int | None = Field(default=None, sa_column=big(nullable=True))
