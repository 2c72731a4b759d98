"""The guideline content: rules with their conditions, classes of medicines, tables and editions."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.pain.concepts import Concept
from app.pain.rules.case import Catalogue, Edition, Group, WordList
from app.pain.rules.language import Condition
from app.pain.rules.limits import MorphineEquivalents, RenalTable
from app.pain.rules.medicines import MedicineClass, Pharmacy
from app.pain.rules.results import Severity
from app.pain.topical import SiteKind


@dataclass(frozen=True, slots=True)
class Case:
    """One way a rule is raised."""

    severity: Severity
    message: str
    when: Condition


@dataclass(frozen=True, slots=True)
class More:
    """A sentence the message carries as well where its condition holds."""

    message: str
    when: Condition


@dataclass(frozen=True, slots=True)
class Rule:
    """cases: the gravest first; the first that holds is reported.  trigger: what raises it, in words."""

    id: str
    title: str
    trigger: str
    citation: str
    year: int
    cases: tuple[Case, ...]
    more: tuple[More, ...]

    @property
    def needs(self) -> tuple[str, ...]:
        """The facts it may ask for."""
        return tuple(dict.fromkeys(need for case in self.cases for need in case.when.needs))


@dataclass(frozen=True, slots=True)
class Guidelines:
    """implied: fact -> group of conditions that says it.  never: fact -> (one that is never used in its place, the
    sentence that says so)."""

    rules: tuple[Rule, ...]
    classes: Mapping[str, MedicineClass]
    pharmacy: Pharmacy
    conditions: Mapping[str, Group]
    procedures: Mapping[str, Group]
    devices: Mapping[str, Group]
    words: Mapping[str, WordList]
    site_kinds: tuple[SiteKind, ...]
    catalogue: Catalogue
    implied: Mapping[str, str]
    never: Mapping[str, tuple[str, str]]
    editions: Mapping[str, Edition]
    renal: Mapping[str, RenalTable]
    morphine: MorphineEquivalents

    def line_of(self, drug: Concept | None, therapy: str | None, edition: str) -> str | None:
        """The line an edition gives a medicine, or a therapy (id of our list): "first", "second", …, if it names it."""
        one = self.editions[edition]
        if drug is None:
            return one.therapies.get(therapy or "")
        belongs = self.pharmacy.recognised(drug)
        named = (line for line, names in one.lines.items() if any(belongs(self.classes[name]) for name in names))
        return next(named, None)
