"""Made patients as resources, and a plain count of their responses to compare the database's with.

The count reads what was made, not FHIR: how ratings and treatments stand in FHIR, and are found, is what is tested.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import median
from typing import Any

from app.pain.content import load_content
from app.profiles import canonical
from tests.builders import bundle, entry

Json = dict[str, Any]
SYSTEMS = load_content().systems
DAY_ZERO = date(2025, 1, 10)
CLASSES = {"amitriptyline": ("704", "tca"), "nortriptyline": ("7531", "tca"), "duloxetine": ("72625", "snri")}
DIAGNOSES = {
    "diabetic-neuropathy": [("snomed", "713706002"), ("icd-10-cm", "E11.42")],
    "postherpetic-neuralgia": [("icd-10-cm", "B02.29")],
    "other": [("snomed", "22253000")],
}


@dataclass(frozen=True, slots=True)
class Rating:
    """day: after DAY_ZERO. item: of the instrument, which says the recall period."""

    day: int
    value: int
    item: str = "average_7d"
    site: str = "56459004"
    status: str = "final"


@dataclass(frozen=True, slots=True)
class Course:
    """A medicine from one day to another. diagnosis None: not stated."""

    drug: str
    day: int
    diagnosis: str | None = "diabetic-neuropathy"
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Person:
    courses: tuple[Course, ...]
    ratings: tuple[Rating, ...] = ()


def people_bundle(people: Iterable[Person]) -> Json:
    """A transaction of everything of some patients."""
    resources = [one for number, person in enumerate(people) for one in _resources(person, number)]
    return bundle(*(entry(resource, full_url=url) for url, resource in resources))


def _url(*parts: int) -> str:
    return "urn:uuid:00000000-0000-4000-" + "-".join(("8000", "".join(f"{part:04d}" for part in (*parts, 0, 0)[:3])))


def _resources(person: Person, number: int) -> Iterable[tuple[str, Json]]:
    patient = _url(number, 0)
    yield patient, {"resourceType": "Patient"}
    subject = {"reference": patient}
    for place, rating in enumerate(person.ratings):
        yield _url(number, 1, place), _observation(rating, subject)
    for place, course in enumerate(person.courses):
        yield from _course(course, subject, number, place)


def _day(day: int) -> str:
    return (DAY_ZERO + timedelta(days=day)).isoformat()


def _coded(*codes: tuple[str, str]) -> Json:
    return {"coding": [{"system": SYSTEMS[system], "code": code} for system, code in codes]}


def _observation(rating: Rating, subject: Json) -> Json:
    return {
        "resourceType": "Observation",
        "status": rating.status,
        "code": _coded(("np-item", f"nrs.{rating.item}")),
        "subject": subject,
        "effectiveDateTime": _day(rating.day),
        "valueInteger": rating.value,
        "bodySite": _coded(("snomed", rating.site)),
    }


def _course(course: Course, subject: Json, number: int, place: int) -> Iterable[tuple[str, Json]]:
    request, condition, plan = (_url(number, kind, place) for kind in (2, 3, 4))
    reason = {"reasonReference": [{"reference": condition}]} if course.diagnosis else {}
    if course.diagnosis:
        code = _coded(*DIAGNOSES[course.diagnosis])
        yield condition, {"resourceType": "Condition", "subject": subject, "code": code}
    medicine = {"medicationCodeableConcept": _coded(("rxnorm", CLASSES[course.drug][0]))}
    common = {"status": "active", "intent": "order", "subject": subject}
    asked = {"resourceType": "MedicationRequest", **common, "authoredOn": _day(course.day), **medicine, **reason}
    yield request, asked
    if course.ended is not None:
        stopped = {"url": "stoppedOn", "valueDate": _day(course.ended)}
        outcome = {"url": canonical("StructureDefinition", "activity-outcome"), "extension": [stopped]}
        activity = {"reference": {"reference": request}, "extension": [outcome]}
        yield plan, {"resourceType": "CarePlan", **common, "intent": "plan", "activity": [activity]}


# The count.


@dataclass(frozen=True, slots=True)
class Result:
    cls: str
    diagnosis: str
    baseline: int | None
    follow_up: int | None

    @property
    def relief(self) -> float | None:
        if self.baseline is None or self.follow_up is None or not self.baseline:
            return None
        return round(100 * (self.baseline - self.follow_up) / self.baseline, 6)


def results(people: Sequence[Person], item: str, window: tuple[int, int | None]) -> list[Result]:
    return [_result(person, course, item, window) for person in people for course in _first_courses(person)]


def _first_courses(person: Person) -> list[Course]:
    """Of each class and diagnosis the first; no two courses of a made patient begin on one day."""
    first: dict[tuple[str, str | None], Course] = {}
    for course in sorted(person.courses, key=lambda one: one.day):
        first.setdefault((CLASSES[course.drug][1], course.diagnosis), course)
    return list(first.values())


def _result(person: Person, course: Course, item: str, window: tuple[int, int | None]) -> Result:
    pairs = []
    counted = [one for one in person.ratings if one.item == item and one.status == "final"]
    for site in sorted({one.site for one in counted}):
        own = sorted((one for one in counted if one.site == site), key=lambda one: one.day)
        before = [one.value for one in own if one.day <= course.day]
        after = [one.value for one in own if one.day > course.day and _follows(one.day, course, window)]
        if before or after:
            pairs.append((before[-1] if before else None, after[-1] if after else None, site))
    known = CLASSES[course.drug][1], course.diagnosis or "not-stated"
    if not pairs:
        return Result(*known, None, None)
    best = min(pairs, key=lambda one: (one[0] is None, one[1] is None, -(one[0] or 0), one[2]))
    return Result(*known, best[0], best[1])


def _follows(day: int, course: Course, window: tuple[int, int | None]) -> bool:
    since = day - course.day
    ended = course.ended is not None and day > course.ended
    return not ended and since >= window[0] and (window[1] is None or since <= window[1])


def group(found: Sequence[Result]) -> Json:
    """What the answer says of a group that is told."""
    reliefs = sorted(one.relief for one in found if one.relief is not None)
    n = len(reliefs)
    return {
        "courses": len(found),
        "with_relief": n,
        "both_missing": sum(one.baseline is None and one.follow_up is None for one in found),
        "baseline_missing": sum(one.baseline is None and one.follow_up is not None for one in found),
        "follow_up_missing": sum(one.baseline is not None and one.follow_up is None for one in found),
        "baseline_zero": sum(one.baseline == 0 and one.follow_up is not None for one in found),
        "baseline_low": sum(one.relief is not None and (one.baseline or 0) < 4 for one in found),
        "responder_30": _level(reliefs, 30),
        "responder_50": _level(reliefs, 50),
        "median_relief_percent": _median(reliefs) if n else None,
    }


def _level(reliefs: Sequence[float], least: float) -> Json | None:
    n, x = len(reliefs), sum(relief >= least for relief in reliefs)
    if not n:
        return None
    z = 1.959963984540054
    p = x / n
    middle, width = p + z * z / 2 / n, z * sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    ends = [round(100 * (middle + sign * width) / (1 + z * z / n), 2) + 0.0 for sign in (-1, 1)]
    return {"responders": x, "percent": round(100 * p, 2), "interval": ends}


def _median(reliefs: Sequence[float]) -> Json:
    n = len(reliefs)
    low, high = round(n / 2 - 1.959963984540054 * sqrt(n) / 2), round(1 + n / 2 + 1.959963984540054 * sqrt(n) / 2)
    ends = [round(reliefs[low - 1], 2), round(reliefs[high - 1], 2)] if low >= 1 and high <= n else None
    return {"median": round(median(reliefs), 2), "interval": ends}


def sizes(found: Sequence[Result]) -> Counter[tuple[str, str]]:
    return Counter((one.cls, one.diagnosis) for one in found)
