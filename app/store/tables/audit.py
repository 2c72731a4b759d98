"""Who did what: a compact row of each access and each change, never altered, and the seals over them."""

from sqlalchemy import Column, Index
from sqlmodel import Field, SQLModel

from app.store.tables.columns import BYTEWISE, big, key, where


class Audit(SQLModel, table=True):
    """One access to one patient's data, or one version, written with it. The database refuses to change or remove it.

    at: microseconds. actor, client, issuer: subject, client and issuer of the token; address: of the network.
    interaction: of FHIR, such as read or search-type, "$" and the name of an operation, or method and address of what
    is no FHIR. query: its parameters, without values that name people. patient: id of whom it concerns. type, id: what
    it was about; version: the one that was made, 0 where none was. status: of the answer.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_by_time", "at"),
        Index("audit_by_patient", "patient", "aid", **where("patient <> ''")),
        Index("audit_by_entity", "type", "id", **where("id <> ''")),
    )

    aid: int | None = Field(default=None, sa_column=key())
    at: int = Field(sa_column=big())
    actor: str
    request_id: str
    method: str
    type: str
    id: str = Field(sa_column=Column(BYTEWISE, nullable=False))
    version: int
    client: str = Field(default="", sa_column_kwargs={"server_default": ""})
    issuer: str = Field(default="", sa_column_kwargs={"server_default": ""})
    address: str = Field(default="", sa_column_kwargs={"server_default": ""})
    interaction: str = Field(default="", sa_column_kwargs={"server_default": ""})
    query: str = Field(default="", sa_column_kwargs={"server_default": ""})
    patient: str = Field(default="", sa_column=Column(BYTEWISE, nullable=False, server_default=""))
    status: int = Field(default=0, sa_column_kwargs={"server_default": "0"})


class AuditSeal(SQLModel, table=True):
    """The hash chain over the audit rows: each seal covers those after the one before, up to a row number.

    digest: SHA-256, in hexadecimal, of the digest before and of every row covered, in order (app/store/audit/seals.py).
    """

    __tablename__ = "audit_seal"

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    last: int = Field(sa_column=big())
    count: int
    at: int = Field(sa_column=big())
    digest: str
