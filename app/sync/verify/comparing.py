"""The whole comparison with a target: what it was told, what was taken from it, and what it says it has in all."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.sync.answers import Meaning
from app.sync.capabilities import Plan
from app.sync.client import Client
from app.sync.verify.report import Report


class Half(Protocol):
    """One direction."""

    def run(self, report: Report) -> AsyncIterator[Report]:
        """Compare everything; the report after each page."""


@dataclass(frozen=True, slots=True)
class Verify:
    """The comparison with one target, in the directions it has."""

    halves: Sequence[Half]
    client: Client
    plan: Plan

    async def run(self) -> AsyncIterator[Report]:
        """The report after each page, and with the counts at the end. Raises Unanswered, NotRead and UnusablePage."""
        report = Report()
        for half in self.halves:
            async for _ in half.run(report):
                yield report
        await self._count(report)
        yield report

    async def _count(self, report: Report) -> None:
        for name, amount in report.types.items():
            if "search-type" not in self.plan.offer(name).interactions:
                continue
            reply = await self.client.ask("GET", f"{name}?_summary=count", "read")
            total = reply.body.get("total") if reply.meaning is Meaning.DONE else None
            amount.in_all = int(total) if total is not None and str(total).isdigit() else None
