"""Subscriptions: who is told of events, how far, and of which."""

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

from app.store.tables.columns import big


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
    last_event: int = Field(default=0, sa_column=big())
    delivered: int = Field(default=0, sa_column=big())
    failures: int = 0
    not_before: int = Field(default=0, sa_column=big())
    sent_at: int = Field(default=0, sa_column=big())
    heartbeat_at: int = Field(default=0, sa_column=big())
    ends_at: int = Field(default=0, sa_column=big())
    owner: str = ""
    leased_until: int = Field(default=0, sa_column=big())
    error: str = ""


class SubscriptionGrants(SQLModel, table=True):
    """What those may read who made a Subscription, as text; no row where that is everything."""

    __tablename__ = "subscription_grants"

    id: str = Field(primary_key=True)
    limits: str


class SubscriptionEvent(SQLModel, table=True):
    """What a subscriber is told of: which version of which resource, under which number of its subscription."""

    __tablename__ = "subscription_event"

    subscription: str = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    type: str
    id: str
    version: int
    created_at: int = Field(sa_column=big())
