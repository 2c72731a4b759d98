"""What is on both sides when the storm is over: lost, duplicated, dangling, and what the ledger says of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from app.fhir import json as lossless
from app.fhir.references import local, references, rewrite
from app.store.database import Database
from tests.faults.workload import TYPES

_CURRENT = text(
    """SELECT version.type, version.id, version.version, content.text AS content
    FROM version LEFT JOIN content ON content.vid = version.vid WHERE version.until IS NULL AND version.type = :type"""
)
_LEDGER = text("SELECT * FROM ledger WHERE target = 'partner'")
_WAITING = text("SELECT type, id, state, blocked_by, reason FROM outbox WHERE target = 'partner'")
_QUARANTINE = text("SELECT type, remote_id AS id FROM quarantine WHERE target = 'partner'")

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    version: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Side:
    """The current versions of one server, and its books where it keeps any."""

    held: dict[Key, Held]
    ledger: list[Any]
    waiting: list[Any]
    quarantine: set[Key]


@dataclass
class Verdict:
    """What was found, by kind; `examples` has some of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def found(self, kind: str, what: str) -> None:
        self.counts[kind] += 1
        if len(self.examples.setdefault(kind, [])) < 5:
            self.examples[kind].append(what)

    @property
    def is_clean(self) -> bool:
        return not self.counts


async def read(url: str) -> Side:
    """Everything the database holds of the types concerned."""
    held: dict[Key, Held] = {}
    async with Database(url) as database, database.reading() as connection:
        for type_ in TYPES:
            for row in await connection.execute(_CURRENT, {"type": type_}):
                held[row.type, row.id] = Held(row.version, bytes(row.content) if row.content is not None else None)
        ledger = list(await connection.execute(_LEDGER))
        waiting = list(await connection.execute(_WAITING))
        quarantine = {(row.type, row.id) for row in await connection.execute(_QUARANTINE)}
    return Side(held, [row for row in ledger if row.type in TYPES], waiting, quarantine)


def judge(here: Side, there: Side, refused: set[str]) -> Verdict:
    """here: the side that keeps the ledger; refused: what the receiving side must not have taken."""
    verdict = Verdict()
    by_remote = {(row.type, row.remote_id): row for row in here.ledger}
    by_local = {(row.type, row.id): row for row in here.ledger}
    live = {key for key, one in here.held.items() if one.content is not None}
    for key in sorted(live):
        name = "/".join(key)
        row = by_local.get(key)
        if name in refused:
            if row is not None:
                verdict.found("refused and in the ledger", name)
            continue
        if row is None:
            verdict.found("lost", f"{name} is in no ledger")
            continue
        other = there.held.get((row.type, row.remote_id))
        if other is None or other.content is None:
            verdict.found("lost", f"{name} is not there as {row.remote_id}")
        elif not _alike(here.held[key].content, other.content, key[1], by_remote):
            verdict.found("differs", name)
        if row.version != here.held[key].version or row.deleted:
            verdict.found("ledger", f"{name}: version {row.version}, here {here.held[key].version}")
        if other and row.remote_version != str(other.version):
            verdict.found("ledger", f"{name}: remote version {row.remote_version}, there {other.version}")
    for row in here.ledger:
        if (row.type, row.id) not in live and not row.deleted:
            verdict.found("ledger", f"{row.type}/{row.id} is deleted, which it does not say")
    for key, other in there.held.items():
        row = by_remote.get(key)
        if other.content is None:
            continue
        if row is None:
            if "/".join(key) not in refused:
                verdict.found("duplicated or foreign", "/".join(key))
        elif (row.type, row.id) not in live:
            verdict.found("not deleted there", "/".join(key))
    return verdict


def dead(here: Side) -> set[str]:
    """What is in the dead letter."""
    return {f"{row.type}/{row.id}" for row in here.waiting if row.state == "dead"}


def waiting(here: Side, verdict: Verdict) -> None:
    """What was to be told long ago, and what was not to be refused on the way in."""
    for row in here.waiting:
        if row.state != "dead":
            verdict.found("not drained", f"{row.type}/{row.id} {row.state} {row.blocked_by} {row.reason[:200]}")
    for key in here.quarantine:
        verdict.found("quarantined", "/".join(key))


def dangling(side: Side, verdict: Verdict) -> None:
    """References to what is not there."""
    live = {key for key, one in side.held.items() if one.content is not None}
    for key in live:
        content = side.held[key].content
        for link in references(lossless.parse(content or b"{}")):
            target = local(link, "")
            if target and target[0] in TYPES and target[:2] not in live:
                verdict.found("dangling", f"{'/'.join(key)} refers to {link}")


def _alike(ours: bytes | None, theirs: bytes, own_id: str, by_remote: dict[Key, Any]) -> bool:
    def translated(link: str) -> str:
        target = local(link, "")
        row = by_remote.get(target[:2]) if target else None
        return f"{row.type}/{row.id}" if row else link

    return bool(_bare(ours or b"{}", own_id) == _bare(rewrite(theirs, translated), own_id))


def _bare(content: bytes, own_id: str) -> Any:
    tree = lossless.parse_object(content)
    tree["id"] = own_id
    meta = {k: v for k, v in tree.pop("meta", {}).items() if k in ("profile", "security")}
    kept = [one for one in tree.pop("identifier", []) if "sync-id" not in str(one.get("system"))]
    return {**tree, "meta": meta, "identifier": kept}
