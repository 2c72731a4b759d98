"""Derives the constraints that tell what is doubtful in a record: sums, sides, codes and doses at odds with each other.

Most are warnings: the record may still be right, and a colleague should look; what can only be wrong is an error.
app/profiles/rules says why each one matters, what it rests on, and what may be done.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.mapping.careplans.tier import LINES
from app.pain.content import Listed
from app.pain.diagnoses.grading import GRADES
from app.pain.plans.treatments import measure_range
from app.profiles import canonical, toml_files
from tools.derive_sums import sums
from tools.expressions import CONTENT, GRADE, MEASURE, SCORE, Told, coded, every, has, one_of, sided, starts, unit_code

_DIAGNOSES = CONTENT.diagnoses
_CONFLICTS = toml_files("vocabulary")["code-conflicts"]
_ABOVE_UNLIKELY = GRADES[GRADES.index("unlikely") + 1 :]
# A side named in words is at odds with none of these.
_SIDES = {"left": ("left", "bilateral"), "right": ("right", "bilateral")}
_OBSERVED = ("pain-intensity", "screening-item", "screening-score", "neupsig-grade")
_EXAMINED = {each.profile for one in CONTENT.examinations.types.values() for each in one.parameters.values()}
_MARKED = ("emerging", "investigational")


def guidelines() -> dict[str, list[Told]]:
    """The constraints by file stem of their profile."""
    told = {stem: [_side_in_words("Observation")] for stem in (*_OBSERVED, *_EXAMINED)}
    told["screening-score"] += sums()
    told["neuropathic-pain"] = [*_diagnosis(), _side_in_words("Condition")]
    told["pain-etiology"] = list(_unassignable())
    told["pain-service-request"] = [_tier(), _side_in_words("ServiceRequest")]
    told["pain-medication-request"] = [_dose()]
    told["pain-goal"] = [_goal_range()]
    told["laterality"] = [_one_side()]
    return told


def _warning(key: str, human: str, expression: str, element: str = "") -> Told:
    return Told(key, human, expression, "warning", element)


def _diagnosis() -> Iterator[Told]:
    """What a diagnosis says of itself in more than one place agrees."""
    yield _warning(
        "np-condition-stage",
        "The grade is not above that of the assessment it names.",
        every(_stage_implies(index, one) for index, one in enumerate(GRADES) if index),
    )
    yield _warning(
        "np-condition-distribution",
        "A pain that follows no nerve, root or tract is graded unlikely.",
        f"{_distributed(sorted(_DIAGNOSES.implausible))} implies ({_graded(_ABOVE_UNLIKELY)}).not()",
    )
    yield Told(
        "np-condition-other-pain",
        "A pain that is not neuropathic by definition is neither graded nor coded as neuropathic.",
        f"({_other_pain()}) implies ({_graded(_ABOVE_UNLIKELY)} or {starts('code', _DIAGNOSES.neuropathic)}).not()",
    )
    yield _warning(
        "np-condition-neuropathic",
        "A code that states neuropathic pain has a grade above unlikely.",
        f"{starts('code', _DIAGNOSES.neuropathic)} implies ({_graded(['unlikely'])}).not()",
    )
    yield from _codes()
    yield from _sides()


def _stage_implies(index: int, one: str) -> str:
    graded = f"stage.where({_neupsig()})"
    named = f"{graded}.assessment.resolve().ofType(Observation).value.ofType(CodeableConcept).coding"
    lower = f"system = '{GRADE}' and ({one_of(GRADES[:index])})"
    return f"{_graded([one])} implies {named}.exists({lower}).not()"


def _neupsig() -> str:
    return has("type", SCORE, ["neupsig-2016"])


def _graded(grades: Iterable[str]) -> str:
    return has(f"stage.where({_neupsig()}).summary", GRADE, grades)


def _distributed(codes: Iterable[str]) -> str:
    url, system = canonical("StructureDefinition", "distribution"), canonical("CodeSystem", "np-distribution")
    return has(f"extension('{url}').value.ofType(CodeableConcept)", system, codes)


def _codes() -> Iterator[Told]:
    """Codes that cannot be assigned, not yet, or not together."""
    for system, prefix, months in _DIAGNOSES.chronic:
        # The day of an onset has no zone, the moment of the record has one: a day is left for it.
        early = f"onset.ofType(dateTime).where($this > %resource.recordedDate - {months} months + 1 day)"
        human = f"{prefix} is for pain of {months} months or more."
        yield Told("np-condition-chronic", human, f"{starts('code', [(system, prefix)])} implies {early}.empty()")
    yield from _unassignable()
    yield from _details()
    pairs = [_excluded(row) for row in _CONFLICTS["excludes"]]
    human = "Two codes that exclude each other are not given for one pain."
    yield _warning("np-condition-excludes", human, every(pairs))


def _other_pain() -> str:
    exact = f"code.coding.exists({coded(sorted(_DIAGNOSES.other_pain_codes))})"
    return f"{exact} or {starts('code', _DIAGNOSES.other_pain)}"


def _unassignable() -> Iterator[Told]:
    human = "A heading of ICD-10-CM is not assigned; one of the codes below it is."
    yield Told("np-condition-heading", human, f"code.coding.exists({coded(_DIAGNOSES.headings)}).not()")
    human = "A code that stands in ICD-10-CM only is not given as one of WHO ICD-10."
    yield Told("np-condition-absent", human, f"{starts('code', _DIAGNOSES.absent)}.not()")


def _details() -> Iterator[Told]:
    """What is said of a distribution besides its name belongs to it."""
    for name, fitting in (("dermatome", _DIAGNOSES.with_levels), ("affected-nerve", _DIAGNOSES.with_nerves)):
        url = canonical("StructureDefinition", name)
        human = f"The extension {name} belongs to the distributions {', '.join(fitting)}."
        yield Told(f"np-condition-{name}", human, f"extension('{url}').exists() implies {_distributed(fitting)}")


def _excluded(row: Mapping[str, Any]) -> str:
    system = CONTENT.systems[row["system"]]
    others = starts("code", [(system, prefix) for prefix in row["with"]])
    return f"{starts('code', [(system, row['prefix'])])} implies {others}.not()"


def _sides() -> Iterator[Told]:
    stated: dict[str, list[tuple[str, str]]] = {}
    for key, side in _DIAGNOSES.sides.items():
        stated.setdefault(side, []).append(key)
    parts = [_coded_side(side, stated) for side in stated]
    yield _warning("np-condition-side", "The side a code states is the side of the body site.", every(parts))
    both, one = _CONFLICTS["sides"]["both"], _CONFLICTS["sides"]["one"]
    two = f"({_lateral('bilateral')} or {_lateral('left')} and {_lateral('right')})"
    yield _warning(
        "np-condition-distribution-side",
        "A distribution on both sides of the body is not said to be on one, nor one on one side to be on both.",
        f"({_distributed(both)} and {_lateral()} implies {two}) and ({_distributed(one)} implies {two}.not())",
    )


def _coded_side(side: str, stated: Mapping[str, list[tuple[str, str]]]) -> str:
    """A code of one side goes with a bilateral site if a code of the other side is there as well."""
    fits = _lateral(side)
    other = {"left": "right", "right": "left"}.get(side)
    if other:
        fits += f" or ({_lateral('bilateral')} and {_has_code(stated[other])})"
    else:
        fits += f" or ({_lateral('left')} and {_lateral('right')})"
    return f"{_has_code(stated[side])} and {_lateral()} implies ({fits})"


def _has_code(keys: Iterable[tuple[str, str]]) -> str:
    return f"code.coding.exists({coded(keys)})"


def _lateral(*sides: str) -> str:
    return sided("bodySite.", sides or CONTENT.sides)


def _side_in_words(type_: str) -> Told:
    parts = [
        f"text.exists() and text.lower().matches('^.*\\\\b{word}\\\\b.*$') implies {sided('', sides)}"
        for word, sides in _SIDES.items()
    ]
    human = "A side that the text names is coded as laterality."
    return _warning("np-site-side", human, every(parts), f"{type_}.bodySite")


def _one_side() -> Told:
    known = coded(one.key for one in CONTENT.sides.values())
    told = f"value.ofType(CodeableConcept).coding.where({known}).code.distinct().count() <= 1"
    return Told("np-laterality-one", "The codes of one laterality name one side.", told)


def _dose() -> Told:
    parts = [_within(row) for row in toml_files("vocabulary")["dose-limits"]["limit"]]
    human = "A daily dose is at most the greatest for normal renal function."
    return _warning("np-medication-dose", human, every(parts))


def _within(row: Mapping[str, Any]) -> str:
    drug = CONTENT.drugs.rows[row["drug"]]
    named = f"medication.ofType(CodeableConcept).coding.exists({coded(one.key for one in drug.codings)})"
    doses = "dosageInstruction.doseAndRate.rate.ofType(Quantity).where(code = 'mg/d')"
    return f"{named} implies {doses}.all(value <= {row['most']})"


def _tier() -> Told:
    url, system = canonical("StructureDefinition", "evidence-tier"), canonical("CodeSystem", "np-evidence-tier")
    marked = f"extension('{url}').value.ofType(CodeableConcept)"
    groups: dict[tuple[str, ...], list[Listed]] = {}
    for row in CONTENT.therapies.rows.values():
        if row.kind in _MARKED:
            groups.setdefault((row.kind, *_tiers_by_edition(row.id)), []).append(row)
    parts = [f"code.coding.exists({_therapies(rows)}) implies {has(marked, system, t)}" for t, rows in groups.items()]
    human = "A therapy that is emerging or investigational says so, or which line of a guideline it is."
    return _warning("np-service-tier", human, every(parts))


def _tiers_by_edition(therapy: str) -> list[str]:
    """The tiers the guideline editions give a therapy."""
    lines = {one.therapies.get(therapy) for one in CONTENT.guidelines.editions.values()}
    return sorted(LINES[line] for line in lines if line is not None and line in LINES)


def _therapies(rows: Sequence[Listed]) -> str:
    ours = [(canonical("CodeSystem", "np-therapy"), row.id) for row in rows]
    return coded([*ours, *(one.key for row in rows for one in row.codings)])


def _goal_range() -> Told:
    parts = [
        f"target.where({has('measure', MEASURE, [name])}).detail.ofType(Quantity)"
        f".where(code = '{unit_code(CONTENT.measures.rows[name].kind)}').all(value >= {ends[0]} and value <= {ends[1]})"
        for name in CONTENT.measures.rows
        if (ends := measure_range(name, CONTENT))
    ]
    human = "A value to be reached lies in the range of its measure."
    return _warning("np-goal-range", human, every(parts))
