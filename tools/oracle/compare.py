"""Our verdicts beside the official ones, and which differences are known."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.fhir.outcomes import Issue
from app.validation import Validator
from tools.agreement import has_same_path
from tools.oracle.cases import Case
from tools.oracle.verdicts import Verdict

KNOWN = Path(__file__).parent.parent.parent / "tests" / "validation" / "data" / "oracle-known.toml"


@dataclass(frozen=True, slots=True)
class Compared:
    """One case with both verdicts. issues: ours."""

    case: Case
    issues: tuple[Issue, ...]
    official: Verdict

    @property
    def errors(self) -> list[Issue]:
        return [issue for issue in self.issues if issue.is_error]

    @property
    def agrees(self) -> bool:
        """Whether the verdict is the same, and which of our own constraints are broken."""
        return self.same_verdict and self.rules == self.official.rules

    @property
    def same_verdict(self) -> bool:
        return bool(self.errors) != self.official.is_valid

    @property
    def is_missed(self) -> bool:
        return not self.errors and not self.official.is_valid

    @property
    def has_same_path(self) -> bool:
        return has_same_path(self.errors, [{"path": path} for path, _ in self.official.errors])

    @property
    def rules(self) -> tuple[str, ...]:
        """The keys of our own constraints that are broken, as the official verdict has them."""
        return tuple(sorted({issue.rule for issue in self.issues if issue.rule.startswith("np-")}))

    @property
    def cause(self) -> str:
        """What to group a difference by: our first rule of a false alarm, the official message ids of a miss, the
        constraints that only one of both finds broken."""
        if self.is_missed:
            return f"missed: {self.official.ids}"
        if not self.same_verdict:
            return f"false alarm: {self.errors[0].rule}"
        ours, official = set(self.rules), set(self.official.rules)
        return f"rules: ours {sorted(ours - official)}, official {sorted(official - ours)}"


@dataclass(frozen=True, slots=True)
class Known:
    """A difference that is meant. cause, name: patterns for what it covers; reason: why we do not follow."""

    cause: re.Pattern[str]
    name: re.Pattern[str]
    reason: str

    def covers(self, one: Compared) -> bool:
        return bool(self.cause.fullmatch(one.cause) and self.name.search(one.case.name))


def compare(cases: Iterable[Case], official: Mapping[str, Verdict], validator: Validator) -> list[Compared]:
    """Ask our validator about every case."""
    return [Compared(case, tuple(validator.check(case.resource)), official[case.name]) for case in cases]


def known(path: Path = KNOWN) -> list[Known]:
    """The differences that were looked into and stay."""
    rows = tomllib.loads(path.read_text("utf-8"))["known"]
    return [Known(re.compile(row["cause"]), re.compile(row.get("name", "")), row["reason"]) for row in rows]


def table(compared: list[Compared]) -> str:
    """One line per group: cases, agreement, missed, false alarms, same path, same constraints of ours."""
    groups = dict.fromkeys(one.case.group for one in compared)
    return "\n".join(_line(group, [one for one in compared if one.case.group == group]) for group in groups)


def _line(group: str, compared: list[Compared]) -> str:
    right = [one for one in compared if one.same_verdict]
    missed = sum(one.is_missed for one in compared)
    refused = [one for one in right if one.errors]
    ruled = [one for one in right if one.rules or one.official.rules]
    return (
        f"{group:12} {len(compared):5} cases  agreement {100 * len(right) / len(compared):6.2f} %"
        f"  missed {missed:3}  false alarms {len(compared) - len(right) - missed:3}"
        f"  same path {_share(sum(one.has_same_path for one in refused), len(refused))}"
        f"  same rules {_share(sum(one.agrees for one in ruled), len(ruled))}"
    )


def _share(part: int, whole: int) -> str:
    return f"{part:4} of {whole:4}"


def by_cause(differing: Iterable[Compared]) -> dict[str, list[Compared]]:
    """Differences grouped by their cause, the most frequent first."""
    groups: dict[str, list[Compared]] = {}
    for one in differing:
        groups.setdefault(one.cause, []).append(one)
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))
