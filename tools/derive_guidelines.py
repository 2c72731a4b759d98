"""Derives the constraints that tell what is doubtful in a record: sums, sides, codes and doses at odds with each other.

Most are warnings: the record may still be right, and a colleague should look. app/profiles/rules says why each one
matters, what it rests on, and what may be done.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.pain.grading import GRADES
from app.profiles import canonical, toml_files
from tools.derive_sums import sums
from tools.expressions import CONTENT, GRADE, MEASURE, SCORE, Told, coded, every, has, one_of, sided, starts, unit_code

_DIAGNOSES = CONTENT.diagnoses
_CONFLICTS = toml_files("vocabulary")["code-conflicts"]
_ABOVE_UNLIKELY = GRADES[GRADES.index("unlikely") + 1 :]
# A side named in words is at odds with none of these.
_SIDES = {"left": ("left", "bilateral"), "right": ("right", "bilateral")}
_OBSERVED = ("pain-intensity", "screening-item", "screening-score", "neupsig-grade")
_MARKED = ("emerging", "investigational")


def guidelines() -> dict[str, list[Told]]:
    """The constraints by file stem of their profile."""
    told = {stem: [_side_in_words("Observation")] for stem in _OBSERVED}
    told["screening-score"] += sums()
    told["neuropathic-pain"] = [*_diagnosis(), _side_in_words("Condition")]
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
    yield _warning(
        "np-condition-other-pain",
        "A pain that is not neuropathic by definition is neither graded nor coded as neuropathic.",
        f"{starts('code', _DIAGNOSES.other_pain)} implies "
        f"({_graded(_ABOVE_UNLIKELY)} or {starts('code', _DIAGNOSES.neuropathic)}).not()",
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
        early = f"onset.ofType(dateTime).where($this > %resource.recordedDate - {months} months)"
        human = f"{prefix} is for pain of {months} months or more."
        yield _warning("np-condition-chronic", human, f"{starts('code', [(system, prefix)])} implies {early}.empty()")
    human = "A heading of ICD-10-CM is not assigned; one of the codes below it is."
    yield _warning("np-condition-heading", human, f"code.coding.exists({coded(_DIAGNOSES.headings)}).not()")
    pairs = [_excluded(row) for row in _CONFLICTS["excludes"]]
    human = "Two codes that exclude each other are not given for one pain."
    yield _warning("np-condition-excludes", human, every(pairs))


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
    parts = [f"code.coding.exists({_therapies(tier)}) implies {has(marked, system, [tier])}" for tier in _MARKED]
    human = "A therapy that is emerging or investigational says so."
    return _warning("np-service-tier", human, every(parts))


def _therapies(tier: str) -> str:
    rows = [row for row in CONTENT.therapies.rows.values() if row.kind == tier]
    ours = [(canonical("CodeSystem", "np-therapy"), row.id) for row in rows]
    return coded([*ours, *(one.key for row in rows for one in row.codings)])


def _goal_range() -> Told:
    parts = [
        f"target.where({has('measure', MEASURE, [name])}).detail.ofType(Quantity)"
        f".where(code = '{unit_code(CONTENT.measures.rows[name].kind)}').all(value >= {low} and value <= {high})"
        for name, (low, high) in _ranges().items()
    ]
    human = "A value to be reached lies in the range of its measure."
    return _warning("np-goal-range", human, every(parts))


def _ranges() -> dict[str, tuple[int | Decimal, int | Decimal]]:
    """The range of each measure: its own, or that of the score which shares a code with it."""
    scored = {
        coding.key: (rule.low, rule.high)
        for one in CONTENT.instruments.values()
        for rule in one.scores
        for coding in (rule.codings or (one.item(rule.items[0]).codings if rule.method == "value" else ()))
    }
    found = {}
    for row in toml_files("vocabulary")["goals"]["measure"]:
        codes = [coding.key for coding in CONTENT.measures.rows[row["id"]].codings]
        known = row.get("range") or next((scored[key] for key in codes if key in scored), None)
        if known:
            found[row["id"]] = (known[0], known[1])
    return found
