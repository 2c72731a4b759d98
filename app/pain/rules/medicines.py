"""Which medicine is meant, which classes it belongs to, and what is taken of it per day.

A medicine may be known by a code of our list, by any ATC code, by an RxNorm code of a class, or by words only: the name
of an EHR's product such as "gabapentin 300 MG Oral Capsule" names its substance.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from app.pain.concepts import Concept, Key
from app.pain.reading import squeezed
from app.pain.rules.answers import NO, Answer, unknown, yes
from app.pain.rules.facts import Medicine
from app.pain.rules.words import mentions

if TYPE_CHECKING:
    from app.pain.content import Listing

_WORD = re.compile(r"[\w.-]+|[^\w\s]")
_ATC_CODE = re.compile(r"[A-Z]\d{2}[A-Z]{2}\d{2}")
# No name of a medicine in our lists has more words.
_LONGEST_NAME = 8


@dataclass(frozen=True, slots=True)
class Form:
    """A drug that belongs to a class only when given by one of the routes, or when one of the words is said of it."""

    drugs: frozenset[str]
    routes: frozenset[str]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MedicineClass:
    """drugs: ids of our list, and names that stand in no list.  atc: code prefixes.  keys: further codes.
    forms: drugs that belong in some forms.  unsaid: drugs of which the form, where not said, leaves it open; by
    unsaid_routes too.  other_forms: words of forms that do not belong.  without: drugs a medicine must not contain."""

    label: str
    drugs: frozenset[str]
    atc: tuple[str, ...] = ()
    keys: frozenset[Key] = frozenset()
    forms: tuple[Form, ...] = ()
    unsaid: frozenset[str] = frozenset()
    unsaid_routes: frozenset[str] = frozenset()
    other_forms: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Substance:
    """id: a row of our list, a name of a class, or a code."""

    id: str
    atc: frozenset[str] = frozenset()
    keys: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True)
class Taken:
    """A medicine with the substances recognised in it, and every word said of it."""

    medicine: Medicine
    substances: tuple[Substance, ...]
    words: str

    @property
    def source(self) -> str:
        return self.medicine.source

    def holding(self, one: MedicineClass) -> list[str]:
        """The substances that belong to a class whatever the form."""
        return [sub.id for sub in self.substances if _belongs(sub, one)]

    def member(self, one: MedicineClass) -> Answer:
        """Whether the medicine belongs to a class."""
        names = {sub.id for sub in self.substances}
        if names & one.without:
            return NO
        if self.holding(one):
            return yes(self.source)
        if mentions(self.words, one.other_forms):
            return NO
        if any(self._formed(form, names) for form in one.forms):
            return yes(self.source)
        route = self.medicine.route
        left_open = names & one.unsaid and (route is None or route in one.unsaid_routes)
        return unknown(f"{self.source}.form") if left_open else NO

    def _formed(self, form: Form, names: set[str]) -> bool:
        return bool(names & form.drugs) and (self.medicine.route in form.routes or mentions(self.words, form.words))


@dataclass(frozen=True, slots=True)
class Pharmacy:
    """Recognises medicines. names: squeezed name -> id, of our list and of the classes.  known: codes of classes."""

    drugs: "Listing"
    atc_system: str
    names: Mapping[str, str]
    known: frozenset[Key]

    def taken(self, one: Medicine) -> Taken:
        words = " | ".join(filter(None, (one.drug.text, *(coding.display for coding in one.drug.codings))))
        return Taken(one, self._substances(one.drug, words), words.casefold())

    def recognised(self, drug: Concept) -> Callable[[MedicineClass], bool]:
        """Whether a medicine belongs to a class, told by what it is alone."""
        one = self.taken(Medicine(drug, "proposed", ""))
        return lambda known: one.member(known).truth is True

    def _substances(self, drug: Concept, words: str) -> tuple[Substance, ...]:
        row = self.drugs.of(drug)
        named = [row.id] if row else list(dict.fromkeys(self._named(words)))
        atc = {c.code for c in drug.codings if c.system == self.atc_system and _ATC_CODE.fullmatch(c.code)}
        keys = {c.key for c in drug.codings if c.key in self.known}
        if not named:
            named = sorted(atc) or sorted(code for _, code in keys)
            return (Substance(named[0], frozenset(atc), frozenset(keys)),) if named else ()
        # Codes of a product with several substances do not tell which of them is meant.
        if len(named) > 1:
            return tuple(self._row(name) for name in named)
        own = self._row(named[0])
        return (Substance(own.id, own.atc | atc, own.keys | keys),)

    def _row(self, name: str) -> Substance:
        row = self.drugs.rows.get(name)
        codes = (*row.codings, *row.also) if row else ()
        atc = frozenset(coding.code for coding in codes if coding.system == self.atc_system)
        return Substance(name, atc, frozenset(coding.key for coding in codes))

    def _named(self, words: str) -> Iterable[str]:
        """Every name that stands in the words as whole words, the longest first at each place."""
        tokens = _WORD.findall(words)
        at = 0
        while at < len(tokens):
            ends = range(min(len(tokens), at + _LONGEST_NAME), at, -1)
            end = next((end for end in ends if squeezed("".join(tokens[at:end])) in self.names), None)
            if end is not None:
                yield self.names[squeezed("".join(tokens[at:end]))]
            at = end or at + 1


def daily_dose(medicines: Iterable[Taken], drug: str) -> tuple[Decimal, tuple[str, ...]]:
    """What is certainly taken of a drug per day, in mg, and which doses are not said.

    A proposed dose is the dose from then on, so it replaces a current one. An order and a statement of the same drug
    are two records of one use: of kinds of record the one that says most counts; several of one kind add up.
    """
    same = [one for one in medicines if drug in {sub.id for sub in one.substances}]
    now = [one for one in same if one.medicine.use == "proposed"] or [m for m in same if m.medicine.use == "current"]
    kinds = {one.source.split("/", 1)[0] if "/" in one.source else "" for one in now}
    sums = [_sum([m for m in now if (m.source.split("/", 1)[0] if "/" in m.source else "") == kind]) for kind in kinds]
    whole = [total for total, unsaid in sums if not unsaid]
    most = max((total for total, _ in sums), default=Decimal(0))
    unsaid = tuple(sorted(path for _, part in sums for path in part))
    return most, () if whole and max(whole) == most else unsaid


def _belongs(sub: Substance, one: MedicineClass) -> bool:
    return sub.id in one.drugs or bool(sub.keys & one.keys) or any(code.startswith(one.atc) for code in sub.atc)


def _sum(medicines: Iterable[Taken]) -> tuple[Decimal, tuple[str, ...]]:
    known, unsaid = Decimal(0), []
    for one in medicines:
        dose = one.medicine.daily_dose_mg
        if dose is None:
            unsaid.append(f"{one.source}.daily_dose_mg")
        else:
            known += Decimal(dose)
    return known, tuple(unsaid)
