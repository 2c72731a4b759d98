"""Derives the constraints of the NeuPSIG grade from the table in app/pain/diagnoses/grading.py."""

from itertools import product

from app.pain.diagnoses.grading import GRADES, OTHER_PAIN, SIGNS, TESTS, Evidence, Grade, grade
from app.profiles import canonical
from tools.expressions import GRADE, INPUT, Told, either, has


def grading() -> list[Told]:
    """A grade is what its inputs support, or a lower one that is said to be the clinician's."""
    told: list[Told] = []
    for index, one in enumerate(GRADES):
        higher = [_supported(other) for other in GRADES[index + 1 :]]
        asserted = has(f"component.where({has('code', INPUT, ['asserted_grade'])}).value", GRADE, [one])
        lower = f" or ({asserted} and ({' or '.join(higher)}))" if higher else ""
        stated = f"{has('value', GRADE, [one])} implies ({_supported(one)}{lower})"
        least = " or ".join([_supported(one), *higher])
        told += [
            Told(f"np-grade-{one}", f"The grade {one} is what its inputs support, or a lower one asserted.", stated),
            Told(
                f"np-grade-{one}-asserted",
                f"{one} is not asserted above what the inputs support.",
                f"{asserted} implies ({least})",
            ),
        ]
    return told


def _supported(one: Grade) -> str:
    """Whether the four inputs of an Observation support exactly this grade."""
    history, plausible, signs, test = Evidence.__slots__
    both = f"{_true(history)} and {_true(plausible)} and {_true(OTHER_PAIN)}.not()"
    if one == "unlikely":
        return f"({both}).not()"
    pairs = [pair for pair in product(SIGNS, TESTS) if grade(Evidence(True, True, *pair)) == one]
    fitting = either(f"({_said(signs, left)} and {_said(test, right)})" for left, right in pairs)
    return f"({both} and ({fitting}))"


def _true(name: str) -> str:
    return f"component.where({has('code', INPUT, [name])}).value.ofType(boolean).where($this).exists()"


def _said(name: str, value: str) -> str:
    values = canonical("CodeSystem", "np-evidence-value")
    return has(f"component.where({has('code', INPUT, [name])}).value", values, [value])
