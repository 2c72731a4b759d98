"""`make faults`: over several seeds nothing is lost, doubled or left dangling, whatever fails. Ends with 1 if it is."""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from sqlalchemy import URL

from tests.faults.proxy import KINDS
from tests.faults.scenario import EVENTS, Plan, Report, run
from tests.postgres import new_database
from tests.postgres import server as postgres


def main() -> int:
    """Run the seeds; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--resources", type=int, default=1_000)
    parser.add_argument("--keep", action="store_true", help="keep the folder with databases and logs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dermatome-faults-"))
    reports = []
    with postgres() as server:
        for seed in range(given.first, given.first + given.seeds):
            own = folder / f"seed-{seed}"
            own.mkdir()
            plan = Plan.of(seed, given.resources, _databases(server, seed, own))
            reports.append(asyncio.run(run(plan, own)))
            _tell(reports[-1])
    _sum_up(reports)
    is_clean = all(report.verdict.is_clean for report in reports)
    if given.keep or not is_clean:
        print(f"Databases and logs are in {folder}")
    return 0 if is_clean else 1


def _databases(server: URL, seed: int, folder: Path) -> tuple[str, str]:
    """Of three seeds two are on SQLite; one is on PostgreSQL with two workers."""
    if seed % 3 != 1:
        return f"sqlite+aiosqlite:///{folder}/here.db", f"sqlite+aiosqlite:///{folder}/partner.db"
    return new_database(server), new_database(server)


def _tell(report: Report) -> None:
    faults = sum(report.faults.values())
    state = "clean" if report.verdict.is_clean else f"NOT CLEAN {dict(report.verdict.counts)}"
    print(
        f"seed {report.plan.seed}: {report.plan}: {report.resources} resources, {report.refused} refused, "
        f"{faults} faults, {report.seconds:.0f} s: {state}",
        flush=True,
    )
    for kind, examples in report.verdict.examples.items():
        for example in examples:
            print(f"  {kind}: {example}", flush=True)


def _sum_up(reports: list[Report]) -> None:
    met: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for report in reports:
        met.update(report.faults)
        found.update(report.verdict.counts)
    print(f"\n{sum(report.resources for report in reports)} resources over {len(reports)} seeds; faults met:")
    for kind in sorted({*met, *KINDS, *EVENTS}):
        print(f"  {kind:<28} {met[kind]}")
    for kind in ("lost", "differs", "duplicated or foreign", "dangling", "ledger", "refused and not put aside"):
        print(f"{kind}: {found[kind]}")


if __name__ == "__main__":
    raise SystemExit(main())
