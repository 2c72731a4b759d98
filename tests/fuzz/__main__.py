"""`make fuzz`: attacks the service on SQLite and on PostgreSQL, each for a time. Ends with 1 if anything was wrong.

python -m tests.fuzz --seconds 300 --seed 7          what was wrong is told, and its requests are written to a file
python -m tests.fuzz --replay var/fuzz/requests.ndjson     sends them again, one after another
"""

import argparse
import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import schema
from tests.fuzz.attack import Attack, Findings
from tests.fuzz.material import load
from tests.fuzz.measures import MOST_GROWTH_MB
from tests.fuzz.replay import replay
from tests.fuzz.servers import running

FOLDER = Path("var/fuzz")
# The share of the time that the OpenAPI document is attacked; FHIR is where the service is deep.
OF_THE_SCHEMA = 0.25
# Each once, without taking twice the time.
_AUTH = {"sqlite": "off", "postgresql": "smart"}


@dataclass(frozen=True)
class Plan:
    """One attack on one service. auth: whether it asks for tokens."""

    kind: str
    auth: str
    seconds: float
    seed: int
    material: Path | None


def main(arguments: Sequence[str]) -> int:
    """Attack, tell what came of it, and answer the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300, help="for each database")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--database", action="append", choices=["sqlite", "postgresql"])
    parser.add_argument("--auth", choices=["off", "smart"], help="default: off on SQLite, smart on PostgreSQL")
    parser.add_argument("--material", type=Path, help="a folder with further valid resources")
    parser.add_argument("--replay", type=Path, help="a file of requests that failed")
    given = parser.parse_args(arguments)
    kinds = given.database or ["sqlite", "postgresql"]
    if given.replay:
        return max(_replay(kind, given.auth or _AUTH[kind], given.replay) for kind in kinds)
    FOLDER.mkdir(parents=True, exist_ok=True)
    plan = [Plan(kind, given.auth or _AUTH[kind], given.seconds, given.seed, given.material) for kind in kinds]
    return max([_attack(one) for one in plan])


def _attack(plan: Plan) -> int:
    print(f"{plan.kind}, authentication {plan.auth}: seed {plan.seed}, {plan.seconds:g} s", flush=True)
    findings = Findings(FOLDER / f"requests-{plan.kind}-{plan.seed}.ndjson")
    findings.file.unlink(missing_ok=True)
    with running(plan.kind, plan.auth) as server:
        attack = Attack(server, plan.seed, findings, load(plan.material))
        asyncio.run(attack.run(plan.seconds * (1 - OF_THE_SCHEMA)))
        har = FOLDER / f"schemathesis-{plan.kind}-{plan.seed}.har"
        said = schema.attack(server, plan.seconds * OF_THE_SCHEMA, plan.seed, har, findings, attack.measures)
        for line in server.unexpected():
            findings.add("logged: an unexpected error", line)
    if (growth := attack.measures.growth()) > MOST_GROWTH_MB:
        findings.add("memory: grows", f"{growth:.0f} MB more at the end than after the warm-up")
    _tell(attack, plan.seconds)
    print("  schemathesis: " + " ".join(said.partition("SUMMARY")[2].replace("=", "").split()), flush=True)
    return int(bool(findings.counts))


def _tell(attack: Attack, seconds: float) -> None:
    measures, ledger, findings = attack.measures, attack.ledger, attack.findings
    memory = measures.memory
    print(f"  {measures.requests} requests, {measures.requests / seconds:.0f} a second, seed {attack.seed}")
    print("  statuses: " + ", ".join(f"{status} {count}" for status, count in sorted(measures.statuses.items())))
    times = ", ".join(f"{share:.1%} within {1000 * measures.percentile(share):.0f} ms" for share in (0.5, 0.99, 0.999))
    print(f"  times: {times}; slowest {measures.slowest[0]:.2f} s ({measures.slowest[1]})")
    print(f"  memory: {memory[0]:.0f} MB first, {memory[-1]:.0f} last, growth after warm-up {measures.growth():.0f}")
    print(f"  {ledger.acknowledged} acknowledged versions of {len(ledger.versions)} resources were read again")
    for kind, count in sorted(findings.counts.items()):
        print(f"  WRONG {kind}: {count}")
        for example in findings.examples[kind]:
            print(f"    {example}")
    print(f"  requests that failed: {findings.file}" if findings.file.exists() else "  nothing failed", flush=True)


def _replay(kind: str, auth: str, file: Path) -> int:
    with running(kind, auth) as server:
        wrong = asyncio.run(replay(server, file))
    print(f"{kind}: {wrong} of the requests in {file} are answered wrongly")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
