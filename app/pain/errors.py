"""What is wrong with something the clinic sent: every problem at once, in facts, without a word about HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that cannot be accepted.

    code: a code of FHIR's issue-type: value, required, structure, business-rule, code-invalid, too-long.
    sentence: what was expected; never free text or identifiers of the record.
    path: where, as in the JSON sent, e.g. "activities[2].daily_dose_mg"; "" for the whole.
    """

    code: str
    sentence: str
    path: str


class Rejected(Exception):
    """Something the clinic sent that cannot be accepted, with every problem found in it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{one.path}: {one.sentence}" for one in self.problems))
