"""What an audit of dependencies comes to: nothing is passed over in silence."""

import datetime
import tomllib
from typing import Any

import pytest

from tools.dependency_audit import ACCEPTED, Acceptance, judge, load_accepted

TODAY = datetime.date(2026, 11, 23)
ADVISORY = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2.0"], "description": ""}
CLEAN = {"name": "clean", "version": "1.0", "vulns": []}
FLAWED = {"name": "flawed", "version": "1.0", "vulns": [ADVISORY]}
SKIPPED = {"name": "flawed", "skip_reason": "Dependency not found on PyPI and could not be audited: flawed (1.0)"}


def _accepted(id: str = "CVE-2026-1", package: str = "flawed", until: datetime.date = TODAY) -> Acceptance:
    return Acceptance(id, package, "not reached", until)


@pytest.mark.parametrize(
    ("dependencies", "accepted", "failures", "unknown", "audited"),
    [
        ([CLEAN], (), [], (), 1),
        ([CLEAN, FLAWED], (), ["flawed 1.0: PYSEC-2026-1"], (), 2),
        ([FLAWED], (_accepted(),), [], (), 1),
        ([FLAWED], (_accepted("PYSEC-2026-1"),), [], (), 1),
        (
            [FLAWED],
            (_accepted("CVE-2026-2"),),
            ["flawed 1.0: PYSEC-2026-1", "flawed: CVE-2026-2 is accepted, but"],
            (),
            1,
        ),
        ([FLAWED], (_accepted(until=datetime.date(2026, 11, 22)),), ["flawed 1.0:", "flawed: CVE-2026-1 was"], (), 1),
        ([CLEAN], (_accepted(),), ["flawed: CVE-2026-1 is accepted, but no longer there"], (), 1),
        ([CLEAN, SKIPPED], (_accepted(),), [], ("flawed",), 1),
    ],
)
def test_a_report_is_held_against_what_is_accepted(
    dependencies: list[dict[str, Any]],
    accepted: tuple[Acceptance, ...],
    failures: list[str],
    unknown: tuple[str, ...],
    audited: int,
) -> None:
    verdict = judge({"dependencies": dependencies}, accepted, TODAY)

    assert len(verdict.failures) == len(failures)
    assert all(said.startswith(start) for said, start in zip(verdict.failures, failures, strict=True))
    assert (verdict.unknown, verdict.audited) == (unknown, audited)


def test_an_acceptance_names_reason_and_end() -> None:
    load_accepted(ACCEPTED.read_text("utf-8"))
    with pytest.raises(TypeError):
        load_accepted('[[accepted]]\nid = "CVE-2026-1"\npackage = "flawed"')
    example = "\n".join(
        line[2:] for line in ACCEPTED.read_text("utf-8").splitlines() if line.startswith(("# [[", "# "))
    )
    assert tomllib.loads(example[example.index("[[accepted]]") :])["accepted"]
