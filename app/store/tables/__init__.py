"""The tables, and nothing else. Times are microseconds since 1970 UTC; migrations/ creates what is declared here."""

from app.store.tables.access import Assertion
from app.store.tables.audit import Audit, AuditSeal
from app.store.tables.export import ExportFile, ExportJob, ExportMoment, ExportPatient, ViewDefinition
from app.store.tables.index import (
    Reindex,
    SearchDate,
    SearchIndex,
    SearchNumber,
    SearchQuantity,
    SearchReference,
    SearchString,
    SearchText,
    SearchToken,
    SearchUri,
)
from app.store.tables.kept import Erased, Idempotency, Restoring
from app.store.tables.subscriptions import Feed, SubscriptionEvent, SubscriptionGrants, SubscriptionState
from app.store.tables.sync import NOT_FILLING, Ledger, Outbox, Pull, Quarantine, SyncConflict, SyncState, SyncTarget
from app.store.tables.versions import Content, Instance, Lease, Published, Version

__all__ = [
    "NOT_FILLING",
    "Assertion",
    "Audit",
    "AuditSeal",
    "Content",
    "Erased",
    "ExportFile",
    "ExportJob",
    "ExportMoment",
    "ExportPatient",
    "Feed",
    "Idempotency",
    "Instance",
    "Lease",
    "Ledger",
    "Outbox",
    "Published",
    "Pull",
    "Quarantine",
    "Reindex",
    "Restoring",
    "SearchDate",
    "SearchIndex",
    "SearchNumber",
    "SearchQuantity",
    "SearchReference",
    "SearchString",
    "SearchText",
    "SearchToken",
    "SearchUri",
    "SubscriptionEvent",
    "SubscriptionGrants",
    "SubscriptionState",
    "SyncConflict",
    "SyncState",
    "SyncTarget",
    "Version",
    "ViewDefinition",
]
