"""Sums of doses held against limits: the renal table of a jurisdiction, and morphine equivalents."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from app.pain.rules.answers import NO, Answer, unknown
from app.pain.rules.medicines import MedicineClass, Taken, daily_dose

CREATININE_CLEARANCE = "creatinine_clearance_ml_min"


@dataclass(frozen=True, slots=True)
class Band:
    """The greatest daily dose from a creatinine clearance (mL/min) upwards. scaled_at: below this clearance the dose
    falls in proportion to it."""

    from_ml_min: Decimal
    most_mg: Decimal
    scaled_at: Decimal | None = None

    def limit(self, clearance: Decimal) -> Decimal:
        return self.most_mg if self.scaled_at is None else self.most_mg * clearance / self.scaled_at


@dataclass(frozen=True, slots=True)
class RenalTable:
    """drugs: id of our list -> bands, from the highest clearance down; the last begins at 0."""

    jurisdiction: str
    label: str
    drugs: Mapping[str, tuple[Band, ...]]

    def limit(self, drug: str, clearance: Decimal) -> Decimal:
        """The greatest daily dose of a drug, in mg."""
        return next(band for band in self.drugs[drug] if clearance >= band.from_ml_min).limit(clearance)

    def over(self, medicines: Iterable[Taken], clearance: Decimal | None) -> list[Answer]:
        """Per drug of the table that is taken: whether its daily dose lies above the limit."""
        found = tuple(medicines)
        return [self._over(drug, found, clearance) for drug in self.drugs if _sources(found, drug)]

    def _over(self, drug: str, medicines: Iterable[Taken], clearance: Decimal | None) -> Answer:
        dose, unsaid = daily_dose(medicines, drug)
        sources = _sources(medicines, drug)
        bands = self.drugs[drug]
        most = bands[0].most_mg if clearance is None else self.limit(drug, clearance)
        if dose > most:
            return Answer(True, sources, (), (self._told(drug, dose, most, clearance),))
        if unsaid:
            return unknown(*unsaid, *([CREATININE_CLEARANCE] if clearance is None else []))
        # A dose that even the lowest clearance allows needs no clearance.
        return unknown(CREATININE_CLEARANCE) if clearance is None and dose > bands[-1].limit(Decimal(0)) else NO

    def _told(self, drug: str, dose: Decimal, most: Decimal, clearance: Decimal | None) -> str:
        at = "whatever the creatinine clearance" if clearance is None else f"at {_plain(clearance)} mL/min"
        return f"{drug}: {_plain(dose)} mg a day, at most {_plain(most)} mg {at} ({self.label})."


@dataclass(frozen=True, slots=True)
class Factor:
    """Morphine milligrams for one mg per day of an opioid, by these routes only.

    assumed: whether a route that is not stated is taken for one of them.
    """

    per_mg: Decimal
    routes: frozenset[str]
    assumed: bool


@dataclass(frozen=True, slots=True)
class MorphineEquivalents:
    """factors: id of our list -> factor.  uncounted: opioids the source gives no factor on purpose."""

    year: int
    opioids: MedicineClass
    factors: Mapping[str, Factor]
    uncounted: frozenset[str]

    def between(self, medicines: Iterable[Taken], least: Decimal, below: Decimal | None) -> Answer:
        """Whether the sum reaches `least` and stays under `below`; told from what is certain."""
        opioids = [one for one in medicines if one.member(self.opioids).truth]
        total, missing = self._total(opioids)
        if below is not None and total >= below:
            return NO
        if total >= least:
            told = f"{'At least ' if missing else ''}{_plain(total)} morphine milligram equivalents (CDC {self.year})."
            return Answer(True, tuple(sorted({one.source for one in opioids})), (), (told,))
        return unknown(*missing) if missing else NO

    def _total(self, opioids: Iterable[Taken]) -> tuple[Decimal, tuple[str, ...]]:
        counted, missing = [], []
        for one in opioids:
            gap = self._gap(one)
            if gap:
                missing.append(gap)
            elif not {sub.id for sub in one.substances} & self.uncounted:
                counted.append(one)
        total = Decimal(0)
        for drug in sorted({sub.id for one in counted for sub in one.substances} & set(self.factors)):
            dose, unsaid = daily_dose(counted, drug)
            total += dose * self.factors[drug].per_mg
            missing += unsaid
        return total, tuple(sorted(missing))

    def _gap(self, one: Taken) -> str | None:
        """What keeps an opioid from being counted: no factor for it, or for its route."""
        ids = {sub.id for sub in one.substances}
        factor = next((self.factors[name] for name in sorted(ids) if name in self.factors), None)
        if factor is None:
            return None if ids & self.uncounted else f"{one.source}.morphine_equivalent"
        route = one.medicine.route
        if route is None:
            return None if factor.assumed else f"{one.source}.route"
        return None if route in factor.routes else f"{one.source}.morphine_equivalent"


def _plain(number: Decimal) -> str:
    """A number in whole or tenths, rounded down: a limit is never shown greater than it is."""
    return f"{number.quantize(Decimal('0.1'), ROUND_DOWN).normalize():f}"


def _sources(medicines: Iterable[Taken], drug: str) -> tuple[str, ...]:
    uses = ("current", "proposed")
    found = [one for one in medicines if one.medicine.use in uses and drug in {sub.id for sub in one.substances}]
    return tuple(one.source for one in found)


def doses_within(tables: Iterable[RenalTable]) -> bool:
    """Whether every table covers every clearance, from the highest band down to 0."""
    rows = [bands for table in tables for bands in table.drugs.values()]
    return all(
        [band.from_ml_min for band in bands] == sorted({band.from_ml_min for band in bands}, reverse=True)
        and bands[-1].from_ml_min == 0
        for bands in rows
    )
