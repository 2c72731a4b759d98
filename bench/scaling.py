"""What so many patients need: `python -m bench.scaling [--figures FILE] [--load FILE]`.

A week of a hospital group, hour by hour, with drawn arrivals, on what each kind of work was measured to take
(bench/capacity.toml) and what is assumed of patients and machines (bench/scaling.toml). Tells for each size how many
processes and databases it takes, how far sync falls behind, and at which size each part gives way first.
"""

import argparse
import math
import random
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_HOUR, _WEEKS = 3_600, 52
_WRITES = ("transaction entry", "create")


@dataclass
class Week:
    """What one week took.

    service, database: busy cores in the busiest hour. writes: a second, in that hour. behind: resources of which a
    target was not told yet; late_hours: how long it took at most. drained: whether only those of the last hour are.
    """

    service: float = 0
    database: float = 0
    writes: float = 0
    behind: float = 0
    late_hours: float = 0
    drained: bool = True
    by_hour: list[tuple[float, float]] = field(default_factory=list)


def main() -> int:
    """Simulate and tell. Answers the exit code."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--figures", type=Path, default=_HERE / "capacity.toml")
    asked.add_argument("--load", type=Path, default=_HERE / "scaling.toml")
    given = asked.parse_args()
    figures, load = (tomllib.loads(path.read_text("utf-8")) for path in (given.figures, given.load))
    heads = ("patients", "writes/s", "service cores", "database cores", "TB", "told late", "export", "cells")
    print("  ".join(f"{head:>14}" for head in heads))
    for patients in load["patients"]:
        print("  ".join(f"{told:>14}" for told in _row(patients, figures, load)))
    print("\nOne service and one database give way first by:")
    for patients, part in sorted(_limits(figures, load)):
        print(f"  {patients / 1e6:>8.1f} million patients: {part}")
    return 0


def simulate(patients: float, figures: Mapping[str, Any], load: Mapping[str, Any]) -> Week:
    """One week of so many patients."""
    chance, week = random.Random(load["seed"]), Week()
    told_in_an_hour = _HOUR * load["machine"]["busy"] / _both(figures, "sync")
    for share in _shares(load):
        service = database = written = 0.0
        for kind, by_year in _asked(load).items():
            mean = patients * by_year / _WEEKS * share
            count = max(0.0, chance.gauss(mean, math.sqrt(mean)))
            service += count * figures["cost"][kind]["service"]
            database += count * figures["cost"][kind]["database"]
            written += count if kind in _WRITES else 0
        told = min(week.behind + written, told_in_an_hour)
        week.behind += written - told
        week.late_hours = max(week.late_hours, week.behind / told_in_an_hour)
        service += told * figures["cost"]["sync"]["service"] * load["sync"]["targets"]
        database += told * figures["cost"]["sync"]["database"] * load["sync"]["targets"]
        week.by_hour.append((service / _HOUR, database / _HOUR))
        week.writes = max(week.writes, written / _HOUR)
    week.service, week.database = (max(hour[place] for hour in week.by_hour) for place in (0, 1))
    week.drained = week.behind < told_in_an_hour
    return week


def stored(patients: float, figures: Mapping[str, Any], load: Mapping[str, Any]) -> float:
    """Terabytes after all years."""
    return float(_held(patients, load) * figures["bytes_by_resource"] / 1e12)


def exported(patients: float, figures: Mapping[str, Any], load: Mapping[str, Any]) -> float:
    """Hours of one worker for everything."""
    return _held(patients, load) * _both(figures, "exported resource") / _HOUR


def cells(patients: float, figures: Mapping[str, Any], load: Mapping[str, Any]) -> int:
    """How many installations by patient, each with a database of its own, it takes."""
    needed = max(patients / most for most, _ in _limits(figures, load))
    return math.ceil(needed)


def _row(patients: int, figures: Mapping[str, Any], load: Mapping[str, Any]) -> Iterator[str]:
    week, busy = simulate(patients, figures, load), load["machine"]["busy"]
    yield f"{patients:,}"
    yield f"{week.writes:.0f}"
    yield f"{math.ceil(week.service / busy)}"
    yield f"{math.ceil(week.database / busy)}"
    yield f"{stored(patients, figures, load):.1f}"
    yield f"{week.late_hours:.1f} h" if week.drained else "ever later"
    yield f"{exported(patients, figures, load):.1f} h"
    yield f"{cells(patients, figures, load)}"


def _limits(figures: Mapping[str, Any], load: Mapping[str, Any]) -> Iterator[tuple[float, str]]:
    """At how many patients each part is at its end. All grow with the patients, so one size tells."""
    one, machine = 1_000_000, load["machine"]
    week = simulate(one, figures, load)
    yield one * machine["database_terabytes"] / stored(one, figures, load), "the disk of the database"
    yield one * machine["database_cores"] * machine["busy"] / week.database, "the cores of the database"
    a_week = one * load["a_patient_a_year"]["resources"] / _WEEKS
    can = 7 * 24 * _HOUR * machine["busy"] / _both(figures, "sync")
    yield one * can / a_week, "telling one target, which one process does in order"
    yield one * 7 * 24 / load["export"]["a_week"] / exported(one, figures, load), "an export of everything in time"


def _shares(load: Mapping[str, Any]) -> Iterator[float]:
    """The share of a week's work that comes in each of its hours."""
    hours, days = load["when"]["hours"], load["when"]["days"]
    for day in days:
        for hour in hours:
            yield day / sum(days) * hour / sum(hours)


def _asked(load: Mapping[str, Any]) -> dict[str, float]:
    """Operations of each kind that a patient makes in a year."""
    year = load["a_patient_a_year"]
    together = year["resources"] * year["in_transactions"]
    writes = {"transaction entry": together, "create": year["resources"] - together}
    return writes | {name: year[name] for name in ("read", "search", "summary of a patient")}


def _held(patients: float, load: Mapping[str, Any]) -> float:
    return float(patients * load["a_patient_a_year"]["resources"] * load["years"])


def _both(figures: Mapping[str, Any], kind: str) -> float:
    return float(figures["cost"][kind]["service"] + figures["cost"][kind]["database"])


if __name__ == "__main__":
    sys.exit(main())
