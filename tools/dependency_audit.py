"""Asks the advisory service of PyPI about everything in a lock file.

    python -m tools.dependency_audit requirements-dev.lock [--required]

Fails on an advisory that is not accepted, and on an acceptance that is over or that nothing needs any more. Where the
service does not answer, or does not know a package, that is said in capitals; with --required it is a failure too.
"""

import datetime
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCEPTED = Path(__file__).parent / "accepted_advisories.toml"
_SECONDS_TO_WAIT = 10


@dataclass(frozen=True)
class Acceptance:
    """An advisory that is known and lived with: which, of what, why, and until when."""

    id: str
    package: str
    reason: str
    until: datetime.date


@dataclass(frozen=True)
class Verdict:
    """What an audit comes to: what must be put right, and which packages nobody could say anything about."""

    failures: tuple[str, ...]
    unknown: tuple[str, ...]
    audited: int


def judge(report: Mapping[str, Any], accepted: Sequence[Acceptance], today: datetime.date) -> Verdict:
    """Hold a report of pip-audit against what is accepted."""
    known = [one for one in report["dependencies"] if "skip_reason" not in one]
    found = [(one["name"], one["version"], advisory) for one in known for advisory in one["vulns"]]
    valid = [one for one in accepted if one.until >= today]
    failures = [_sentence(*one) for one in found if not any(_meets(a, *one) for a in valid)]
    failures += [f"{a.package}: {a.id} was accepted until {a.until} ({a.reason})" for a in accepted if a.until < today]
    names = {one["name"] for one in known}
    failures += [
        f"{a.package}: {a.id} is accepted, but no longer there; take it out of {ACCEPTED.name}"
        for a in accepted
        if (a.package in names or not _is_locked(a, report)) and not any(_meets(a, *one) for one in found)
    ]
    unknown = tuple(one["name"] for one in report["dependencies"] if "skip_reason" in one)
    return Verdict(tuple(failures), unknown, len(known))


def _meets(accepted: Acceptance, name: str, version: str, advisory: Mapping[str, Any]) -> bool:
    return accepted.package == name and accepted.id in {advisory["id"], *advisory["aliases"]}


def _is_locked(accepted: Acceptance, report: Mapping[str, Any]) -> bool:
    return any(one["name"] == accepted.package for one in report["dependencies"])


def _sentence(name: str, version: str, advisory: Mapping[str, Any]) -> str:
    fixed = ", ".join(advisory["fix_versions"]) or "nowhere yet"
    return f"{name} {version}: {advisory['id']} ({', '.join(advisory['aliases'])}), fixed in {fixed}"


def load_accepted(text: str) -> tuple[Acceptance, ...]:
    """The [[accepted]] tables of the file; every field is needed."""
    return tuple(Acceptance(**one) for one in tomllib.loads(text).get("accepted", []))


def _asked(lock: str) -> tuple[Mapping[str, Any] | None, str]:
    """The report, or None and why there is none."""
    options = ["--disable-pip", "--progress-spinner=off", f"--timeout={_SECONDS_TO_WAIT}", "--format=json"]
    run = subprocess.run(
        [sys.executable, "-m", "pip_audit", "-r", lock, *options], capture_output=True, text=True, check=False
    )
    try:
        return json.loads(run.stdout), ""
    except json.JSONDecodeError:
        return None, next((line for line in reversed(run.stderr.splitlines()) if line), "no answer")


def main(lock: str, *flags: str) -> int:
    """Audit, say what came of it, and answer the exit code."""
    report, reason = _asked(lock)
    if report is None:
        print(f"DEPENDENCIES NOT AUDITED: the advisory service could not be asked: {reason}")
        return int("--required" in flags)
    today = datetime.datetime.now(datetime.UTC).date()
    verdict = judge(report, load_accepted(ACCEPTED.read_text("utf-8")), today)
    for sentence in verdict.failures:
        print(sentence)
    if verdict.unknown:
        few = ", ".join(verdict.unknown[:5]) + (" ..." if len(verdict.unknown) > 5 else "")
        print(f"NOT AUDITED: the advisory service knows nothing of {len(verdict.unknown)} packages of {lock}: {few}")
    print(f"{lock}: {verdict.audited} packages audited, {len(verdict.failures)} to put right")
    return int(bool(verdict.failures or (verdict.unknown and "--required" in flags)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
