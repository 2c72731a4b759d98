"""The kinds of work that Subscriptions make, and the rule about them at the door."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.fhir.outcomes import Issue
from app.intake.accept import Intake
from app.intake.writes import Caller, Write
from app.outbound import Guard
from app.security.sealing import Sealing
from app.store.search import Searcher
from app.store.sight import current
from app.sync.subscriptions import secrecy
from app.sync.subscriptions.delivery import Delivery
from app.sync.subscriptions.hook import calling
from app.sync.subscriptions.numbering import TYPE, Numbering
from app.sync.subscriptions.reading import problems, read
from app.sync.subscriptions.status import Statuses
from app.sync.work import Duties, Duty, Job

_DELIVERIES = 4


@dataclass(frozen=True, slots=True)
class Parts:
    """What they need. base: the address of this server's FHIR endpoint, as subscribers are told it; owner: this worker.

    attempts: failures in a row after which a Subscription is in error; keep_days: how long delivered events are kept.
    """

    intake: Intake
    guard: Guard
    sealing: Sealing
    ring: Callable[[], None]
    owner: str
    lease_seconds: float
    base: str
    attempts: int
    keep_days: float


def duties(parts: Parts) -> Duties:
    """Numbering by one at a time in each process, deliveries to several subscribers at once."""
    return {
        (TYPE, "numbering"): Duty(lambda: _numbering(parts)),
        (TYPE, "delivery"): Duty(lambda: _delivery(parts), _DELIVERIES),
    }


def rule(
    searcher: Searcher, guard: Guard, sealing: Sealing, base: str, clock: Callable[[], int]
) -> Callable[[Write, Caller], Awaitable[list[Issue]]]:
    """What the door asks of a Subscription that is written, unless the service itself writes its status."""

    async def issues(write: Write, caller: Caller) -> list[Issue]:
        if write.type != TYPE or write.tree is None or caller.is_local or caller.is_system:
            return []
        if caller.origin:
            told = "A Subscription belongs to the server it was made at; it is not taken over from there."
            return [Issue("business-rule", told, TYPE)]
        found = [*problems(write.tree, searcher, base, clock()), *secrecy.problems(write.tree, sealing)]
        if (looking := current()) and (wanted := read(write.tree, searcher, base)[0]):
            looking.require("s", sorted(wanted.types), write.path)
        channel = write.tree.get("channel")
        endpoint = channel.get("endpoint") if isinstance(channel, Mapping) else None
        if isinstance(endpoint, str) and (told := " ".join(guard.problems(endpoint))):
            found.append(Issue("business-rule", told, "Subscription.channel.endpoint"))
        return found

    return issues


@asynccontextmanager
async def _numbering(parts: Parts) -> AsyncIterator[Job]:
    intake = parts.intake
    yield Numbering(intake.database, intake.searcher, parts.base, parts.keep_days, parts.ring)


@asynccontextmanager
async def _delivery(parts: Parts) -> AsyncIterator[Job]:
    intake = parts.intake
    async with calling(parts.guard) as hook:
        yield Delivery(
            database=intake.database,
            searcher=intake.searcher,
            statuses=Statuses(intake, parts.base),
            hook=hook,
            sealing=parts.sealing,
            owner=parts.owner,
            lease_seconds=parts.lease_seconds,
            attempts=parts.attempts,
            base=parts.base,
        )
