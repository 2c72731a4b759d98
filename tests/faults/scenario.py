"""One seed: two servers, a bad network between them, processes that die, and what is left when it is over."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.faults import truth
from tests.faults.proxy import KINDS, Proxy
from tests.faults.truth import Verdict
from tests.faults.workload import REFUSALS, TYPES, Workload
from tests.processes import ROOT, Process, free_port, inherited

# How long what is left to do may take, and more for each resource; what does not change for so long is stuck.
DRAIN_SECONDS, PER_RESOURCE, STUCK_SECONDS = 300, 0.2, 60
FAULT_RATE = 0.2
SKEWS = (0, 300, -300)
DELIVERIES = ("transaction", "batch", "single")
# Between two events, for so many resources; for more it is longer, since else nobody ever gets anything done.
PAUSES, PER_PAUSE = (0.5, 2.0), 2_000
# What else goes wrong, besides the network.
EVENTS = ("service killed", "killed at work", "target killed", "target away", "storm", "disk full", "worker killed")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed means. direction: of "pull" the partner holds the data; of "both" each side, and both change all."""

    seed: int
    resources: int
    direction: str
    delivery: str
    ids: str
    skew: int
    databases: tuple[str, str]

    @classmethod
    def of(cls, seed: int, resources: int, databases: tuple[str, str]) -> "Plan":
        direction = ("push", "pull", "both", "push", "both")[seed % 5]
        ids = "identifier" if seed % 4 in (1, 2) else "same"
        return cls(seed, resources, direction, DELIVERIES[2 * seed % 3], ids, SKEWS[seed // 2 % 3], databases)

    def __str__(self) -> str:
        database = self.databases[0].partition("+")[0]
        return f"{self.direction} {self.delivery} ids={self.ids} skew={self.skew:+d}s {database}"


@dataclass
class Report:
    plan: Plan
    seconds: float
    resources: int
    refused: int
    faults: dict[str, int]
    verdict: Verdict


async def run(plan: Plan, folder: Path) -> Report:
    """Run one seed. The verdict says what was lost, doubled, left dangling or wrongly noted."""
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        scene = Scene(plan, folder, random.Random(plan.seed))
        await stack.enter_async_context(scene)
        loads = scene.loads()
        async with asyncio.TaskGroup() as group:
            for load in loads:
                group.create_task(load.run(scene.over))
            group.create_task(scene.trouble(loads))
        await scene.calm()
        refused = {name for load in loads for name in load.refused}
        verdict = await scene.drained(refused)
        if plan.direction != "pull" and verdict.is_clean and (said := await scene.verified()):
            verdict.found("verify", said)
        return Report(
            plan,
            time.monotonic() - started,
            sum(len(load.made) for load in loads),
            len(refused),
            dict(sorted((scene.proxy.counts + scene.met).items())),
            verdict,
        )


class Scene:
    """The processes of one seed. here keeps the ledger; partner is behind the proxy."""

    def __init__(self, plan: Plan, folder: Path, chance: random.Random) -> None:
        self.plan, self._chance = plan, chance
        self.over = asyncio.Event()
        self.met: Counter[str] = Counter()
        self._starting: dict[Process, asyncio.Task[None]] = {}
        self._pages = folder / "pages"
        partner_port = free_port()
        self.proxy = Proxy(f"http://127.0.0.1:{partner_port}", random.Random(plan.seed + 2), FAULT_RATE, KINDS)
        self._targets = folder / "targets.toml"
        receiver = {"DERMATOME_UNKNOWN_PROFILES": "error"}
        is_pull = plan.direction == "pull"
        self._partner_settings = {
            "PORT": str(partner_port),
            "DERMATOME_DATABASE_URL": plan.databases[1],
            "DERMATOME_TEST_CLOCK_SECONDS": str(plan.skew),
            **({} if is_pull else receiver),
        }
        self._settings = {
            "PORT": str(free_port()),
            "DERMATOME_DATABASE_URL": plan.databases[0],
            "DERMATOME_SYNC_TARGETS": str(self._targets),
            "DERMATOME_SYNC_LEASE_SECONDS": "8",
            "DERMATOME_TEST_MOST_PAGES": str(self._pages),
            "DERMATOME_TEST_PAUSE_SECONDS": "2",
            **(receiver if is_pull else {}),
        }
        self.is_shared = plan.databases[0].startswith("postgresql")
        if self.is_shared:
            self._settings["DERMATOME_WORKER"] = "separate"
        self.here = self._process("serve", self._settings, folder / "here.log")
        self.partner = self._process("serve", self._partner_settings, folder / "partner.log")
        self.workers = [
            self._process("worker", self._settings, folder / f"worker{n}.log") for n in range(2 * self.is_shared)
        ]

    def loads(self) -> list[Workload]:
        """Who writes where. What the partner refuses can only come from here, and the other way round."""
        plan = self.plan
        sources = {"push": [self.here], "pull": [self.partner], "both": [self.here, self.partner]}[plan.direction]
        share, is_shared = plan.resources // len(sources), len(sources) > 1
        return [
            Workload(
                source.base,
                share,
                random.Random(plan.seed + 10 * place),
                name=f"load{place}",
                refusals=0 if place else REFUSALS,
                is_shared=is_shared,
            )
            for place, source in enumerate(sources)
        ]

    def _process(self, command: str, settings: dict[str, str], log: Path) -> Process:
        return Process(command, settings, log=log, module="tests.faults.launcher")

    async def __aenter__(self) -> "Scene":
        await self.proxy.__aenter__()
        self._targets.write_text(
            f'[[target]]\nname = "partner"\nbase_url = "{self.proxy.base}/fhir"\n'
            f'direction = "{self.plan.direction}"\ndelivery = "{self.plan.delivery}"\nids = "{self.plan.ids}"\n'
            f"types = {json.dumps(TYPES)}\n"
            f"batch_size = {self._chance.choice((5, 20))}\npull_seconds = 1\npage_size = 20\ntimeout_seconds = 5\n"
        )
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in (self.partner, self.here)))
        await asyncio.gather(*(asyncio.to_thread(one.start) for one in self.workers))
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*self._starting.values(), return_exceptions=True)
        for process in (*self.workers, self.here, self.partner):
            process.kill()
        await self.proxy.__aexit__()

    async def trouble(self, loads: Sequence[Workload]) -> None:
        """One event after another until all is created; each kind that this seed can have at least once."""
        kinds = [kind for kind in EVENTS if self._can(kind)]
        self._chance.shuffle(kinds)
        calmer = max(1.0, self.plan.resources / PER_PAUSE)
        while kinds or not all(load.is_created for load in loads):
            await asyncio.sleep(calmer * self._chance.uniform(*PAUSES))
            kind = kinds.pop() if kinds else self._chance.choice([one for one in EVENTS if self._can(one)])
            self.met[kind] += 1
            await self._happen(kind)
        self.over.set()

    def _can(self, kind: str) -> bool:
        return {"worker killed": self.is_shared, "disk full": not self.is_shared}.get(kind, True)

    async def _happen(self, kind: str) -> None:
        if kind == "service killed":
            await self._again(self.here)
        elif kind == "killed at work":
            await self._killed_at_work()
        elif kind == "worker killed":
            await self._again(self._chance.choice(self.workers))
        elif kind == "target killed":
            await self._again(self.partner)
        elif kind == "target away":
            await self._again(self.partner, away=self._chance.uniform(2, 6))
        elif kind == "storm":
            self.proxy.storm = True
            await asyncio.sleep(self._chance.uniform(1, 3))
            self.proxy.storm = False
        elif kind == "disk full":
            size = Path(self.plan.databases[0].partition("///")[2]).stat().st_size
            self._pages.write_text(str(size // 4096 + 20))
            await self._again(self.here)
            await self._started(self.here)
            await asyncio.sleep(self._chance.uniform(2, 4))
            self._pages.unlink()
            await self._again(self.here)

    async def _killed_at_work(self) -> None:
        """Whoever syncs is killed while a request of his is answered, or just after: in the middle of a page."""
        await self._started(self.partner, *(self.workers or [self.here]))
        with suppress(TimeoutError):
            await asyncio.wait_for(self.proxy.next_answer(), 10)
        await asyncio.sleep(self._chance.uniform(0, 0.2))
        for process in self.workers or [self.here]:
            await self._again(process)

    async def _again(self, process: Process, *, away: float = 0) -> None:
        """Kill a process that runs, and start it again; what happens next does not wait for that."""
        await self._started(process)
        process.kill()
        await asyncio.sleep(away)
        self._starting[process] = asyncio.create_task(asyncio.to_thread(process.start))

    async def _started(self, *those: Process) -> None:
        await asyncio.gather(*(self._starting[one] for one in those if one in self._starting))

    async def calm(self) -> None:
        """The network works again, and everything is up."""
        self.proxy.rate, self.proxy.storm = 0, False
        await self._started(self.here, self.partner, *self.workers)
        await self.proxy.settle()

    async def drained(self, refused: set[str]) -> Verdict:
        """The verdict once everything is as it must be, or else the last one before time ran out."""
        deadline = time.monotonic() + DRAIN_SECONDS + PER_RESOURCE * self.plan.resources
        before, changed = None, time.monotonic()
        while True:
            begun = time.monotonic()
            verdict, state = await self._judged(refused)
            now = time.monotonic()
            if state != before:
                before, changed = state, now
            if verdict.is_clean or now > min(deadline, changed + STUCK_SECONDS):
                return verdict
            # To look at much takes the time that those who work at it need too.
            await asyncio.sleep(max(1, 2 * (now - begun)))

    async def verified(self) -> str:
        """What `dermatome sync verify` says, which looks at every content; "" if it finds no drift."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.faults.launcher", "sync", "verify", "partner", "--sample", "1"),
            cwd=ROOT,
            env=inherited() | {"DERMATOME_LOG_LEVEL": "warning"} | self._settings,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return said.decode() if process.returncode else ""

    async def _judged(self, refused: set[str]) -> tuple[Verdict, object]:
        """What is wrong as things stand, and how they stand."""
        here, there = await truth.read(self.plan.databases[0]), await truth.read(self.plan.databases[1])
        verdict = truth.judge(here, there, refused)
        if self.plan.direction == "pull":
            # What was refused is not here; its place is the quarantine.
            put_aside, wanted = {"/".join(key) for key in here.quarantine}, refused & _live(there)
        else:
            put_aside, wanted = truth.dead(here), refused & _live(here)
            truth.waiting(here, verdict)
        for name in wanted - put_aside:
            verdict.found("refused and not put aside", name)
        for name in put_aside - wanted:
            verdict.found("put aside and not refused", name)
        for side in {"push": [there], "pull": [here], "both": [here, there]}[self.plan.direction]:
            truth.dangling(side, verdict)
        return verdict, (verdict.counts, here.held.keys(), there.held.keys(), here.waiting)


def _live(side: truth.Side) -> set[str]:
    return {"/".join(key) for key, one in side.held.items() if one.content is not None}
