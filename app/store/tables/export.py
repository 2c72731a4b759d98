"""Exports: the jobs, the files each has finished, whose data is exported, and the views that are stored."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from app.store.tables.columns import BYTEWISE, big, text_key, where


class ExportJob(SQLModel, table=True):
    """What was asked for, and how far it is.

    asked: JSON, as app/export/asked.py reads it. state: "accepted", "active" from the snapshot on, "complete",
    "failed", "cancelled", or "expired" when its files are gone. owner_subject: who asked for it, "" for anybody.
    snapshot: what it shows (app/store/snapshot.py), as text; transaction_time: when that was taken; meaning: of the
    searches then. total, done: resources or rows, total in part counted ahead. part, after_vid: where the next file
    begins. removed: JSON, what pseudonyms took out. failures, not_before: of attempts in a row. reason: why it failed.
    owner, leased_until: the worker that is at it, or when one was last. cleared: its files are removed.
    """

    __tablename__ = "export_job"
    __table_args__ = (
        Index("export_job_due", "leased_until", **where("state IN ('accepted', 'active')")),
        Index("export_job_to_clear", "expires_at", **where("state NOT IN ('accepted', 'active')")),
    )

    id: str = Field(primary_key=True)
    asked: str
    state: str
    owner_subject: str = ""
    snapshot: str = ""
    transaction_time: int = Field(default=0, sa_column=big())
    meaning: str = ""
    requested_at: int = Field(sa_column=big())
    finished_at: int = Field(default=0, sa_column=big())
    expires_at: int = Field(default=0, sa_column=big())
    total: int = Field(default=0, sa_column=big())
    done: int = Field(default=0, sa_column=big())
    part: int = 0
    after_vid: int = Field(default=0, sa_column=big())
    removed: str = "{}"
    failures: int = 0
    not_before: int = Field(default=0, sa_column=big())
    reason: str = ""
    owner: str = ""
    leased_until: int = Field(default=0, sa_column=big())
    cleared: bool = False


class ExportFile(SQLModel, table=True):
    """A finished file of a job. number: from 1, in the order they were written. kind: "output", "deleted" or "error".

    type: of the resources, or the name of the view; "" where several types stand in it. name: in the folder of the job.
    count: resources or rows; bytes, sha256: of the file as it is. after_vid: the last row it has.
    """

    __tablename__ = "export_file"

    job: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    kind: str
    type: str
    name: str
    count: int
    bytes: int = Field(sa_column=big())
    sha256: str
    after_vid: int = Field(sa_column=big())


class ExportPatient(SQLModel, table=True):
    """Whose data a job exports, where that is not everybody's: the members of a Group, or the patients named."""

    __tablename__ = "export_patient"

    job: str = Field(primary_key=True)
    id: str = text_key()


class ExportMoment(SQLModel, table=True):
    """A transactionTime that was told, with the snapshot it stands for: what is changed since then is what is not in
    it. Kept for ever, since an export may be asked to go on from there at any time."""

    __tablename__ = "export_moment"

    transaction_time: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    snapshot: str


class ViewDefinition(SQLModel, table=True):
    """A ViewDefinition (SQL on FHIR), which is no resource of R4. version: grows with every change."""

    __tablename__ = "view_definition"
    __table_args__ = (Index("view_definition_by_url", "url"), Index("view_definition_by_name", "name"))

    id: str = Field(sa_column=Column(BYTEWISE, primary_key=True))
    version: int
    url: str
    name: str
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    updated_at: int = Field(sa_column=big())
