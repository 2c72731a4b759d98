"""What a rule is asked of: the facts with medicines recognised, and the tables of edition and jurisdiction."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.pain.concepts import Coding, Concept, Key
from app.pain.rules.answers import Answer, some, told, unknown
from app.pain.rules.facts import Facts, Known, Stated
from app.pain.rules.limits import MorphineEquivalents, RenalTable
from app.pain.rules.medicines import MedicineClass, Taken
from app.pain.rules.words import mentions
from app.pain.topical import SiteKind

if TYPE_CHECKING:
    from app.pain.content import Listing


@dataclass(frozen=True, slots=True)
class Group:
    """A group of conditions, devices or procedures.

    keys: codes.  prefixes: system -> beginnings of codes, without dots; except_prefixes: those of something else.
    words: said in text or display, but for except_words, and not after one of the negations.  unsaid, unsaid_words,
    unsaid_listed: codes, words and ids that leave it open; asks: what would settle it.  listed: ids of our lists of
    therapies, orders and devices.
    """

    label: str
    keys: frozenset[Key] = frozenset()
    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    except_prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    except_words: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    unsaid: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsaid_words: tuple[str, ...] = ()
    unsaid_listed: frozenset[str] = frozenset()
    asks: str = "type"
    listed: frozenset[str] = frozenset()

    def names(self, one: Known, row: str | None = None) -> Answer:
        """Whether a thing of the record belongs to the group. row: its id in our lists."""
        codings = one.concept.codings
        if row in self.listed or any(self._coded(coding) for coding in codings) or self._said(one.concept, self.words):
            return told(True, one.source)
        by_code = any(_begins(coding, self.unsaid) for coding in codings)
        left_open = by_code or row in self.unsaid_listed or self._said(one.concept, self.unsaid_words)
        return unknown(f"{one.source}.{self.asks}") if left_open else told(False)

    def _coded(self, coding: Coding) -> bool:
        if coding.key in self.keys:
            return True
        return _begins(coding, self.prefixes) and not _begins(coding, self.except_prefixes)

    def _said(self, concept: Concept, words: tuple[str, ...]) -> bool:
        heard = " | ".join(filter(None, (concept.text, *(coding.display for coding in concept.codings))))
        return mentions(heard, words, self.negations) and not mentions(heard, self.except_words)


@dataclass(frozen=True, slots=True)
class WordList:
    """Words by which a fact told in words is understood."""

    named: tuple[str, ...]
    others: tuple[str, ...]
    negations: tuple[str, ...]

    def meant_by(self, words: str) -> bool | None:
        """Whether the words name what is listed, something else, or neither."""
        if mentions(words, self.named, self.negations):
            return True
        return False if mentions(words, self.others, self.negations) else None


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition of a guideline. lines: line -> classes of medicines.  therapies: id of our list -> line.  notes: what
    is said of a line besides."""

    id: str
    title: str
    year: int
    citation: str
    lines: Mapping[str, tuple[str, ...]]
    therapies: Mapping[str, str]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """lists: our code system -> its list: therapies, orders, devices."""

    lists: Mapping[str, "Listing"]

    def row(self, one: Known) -> str | None:
        """The id of a thing in our lists: said, by a code of ours, by another's code, or by name."""
        own = (coding.code for coding in one.concept.codings if coding.system in self.lists)
        said = (row for row in (one.therapy, *own) if row and any(row in known.rows for known in self.lists.values()))
        found = (row.id for known in self.lists.values() if (row := known.of(one.concept)))
        return next(said, None) or next(found, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything the leaves of a condition read."""

    facts: Facts
    medicines: tuple[Taken, ...]
    classes: Mapping[str, MedicineClass]
    conditions: Mapping[str, Group]
    procedures: Mapping[str, Group]
    devices: Mapping[str, Group]
    words: Mapping[str, WordList]
    site_kinds: tuple[SiteKind, ...]
    catalogue: "Catalogue"
    implied: Mapping[str, str]
    edition: Edition
    renal: RenalTable
    morphine: MorphineEquivalents

    def stated(self, fact: str) -> Stated | None:
        """A fact as it was stated or found, else as the problem list implies it."""
        known = self.facts.stated.get(fact)
        if known is not None or fact not in self.implied:
            return known
        group = self.conditions[self.implied[fact]]
        sources = [one.source for one in self.diagnosed() if group.names(one).truth]
        return Stated(True, sorted(sources)[0]) if sources else None

    def diagnosed(self) -> tuple[Known, ...]:
        """The problem list, the diagnosis of the plan among it."""
        plan = self.facts.plan
        own = (plan.diagnosis,) if plan and plan.diagnosis and plan.diagnosis not in self.facts.conditions else ()
        return (*self.facts.conditions, *own)

    def planned(self, group: Group) -> Answer:
        """Whether a procedure, order or device of the group is proposed."""
        procedures = self.facts.plan.procedures if self.facts.plan else ()
        return some(group.names(one, self.catalogue.row(one)) for one in procedures)

    def implanted(self, group: Group) -> Answer:
        return some(group.names(one, self.catalogue.row(one)) for one in self.facts.devices)


def _begins(coding: Coding, prefixes: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a code is below a prefix; a dot more or less in an ICD code does not matter."""
    return coding.system in prefixes and coding.code.replace(".", "").upper().startswith(prefixes[coding.system])
