"""Building blocks of the derived constraints: phrases of FHIRPath over codes, quantities and sides."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from app.pain.content import load_content
from app.profiles import canonical, toml_files

CONTENT = load_content()
ITEM, SCORE, PART, BAND, GRADE, INPUT, MEASURE = (
    canonical("CodeSystem", f"np-{name}")
    for name in ("item", "instrument", "score-part", "score-band", "grade", "evidence-input", "goal-measure")
)


class Told(NamedTuple):
    """One derived constraint. element: id of the element it belongs to, "" for the root."""

    key: str
    human: str
    expression: str
    severity: str = "error"
    element: str = ""


def either(words: Iterable[str]) -> str:
    return " or ".join(words)


def every(parts: Iterable[str]) -> str:
    return " and ".join(f"({one})" for one in parts)


def one_of(values: Iterable[str], name: str = "code") -> str:
    return either(f"{name} = '{value}'" for value in values)


def coded(keys: Iterable[tuple[str, str]]) -> str:
    """Whether a Coding is one of the (system, code) pairs."""
    return either(f"(system = '{system}' and code = '{code}')" for system, code in keys)


def has(path: str, system: str, codes: Iterable[str]) -> str:
    """Whether a CodeableConcept has one of the codes of a system."""
    return f"{path}.coding.exists(system = '{system}' and ({one_of(codes)}))"


def starts(path: str, pairs: Iterable[tuple[str, str]]) -> str:
    """Whether a CodeableConcept has a code that starts with one of the (system, prefix) pairs."""
    each = (f"(system = '{system}' and code.startsWith('{prefix}'))" for system, prefix in pairs)
    return f"{path}.coding.exists({either(each)})"


def quantity(low: Any, high: Any, unit: str, *, whole: bool = True) -> str:
    """Whether the value is a quantity within a range."""
    # Not `mod 1 = 0`: for the official validator 0.0 does not equal 0 there, and it would refuse 6.0. Where values
    # below 0 are allowed they are looked at as a sum: mod keeps the sign, and some evaluators take no negative literal.
    least, shifted = (f"value >= {low}", "value") if low >= 0 else (f"value + {-low} >= 0", f"(value + {-low})")
    inside = f"{least} and value <= {high}" + (f" and ({shifted} mod 1 > 0).not()" if whole else "")
    return f"value.ofType(Quantity).where({inside} and code = '{unit}').exists()"


def unit_code(name: str) -> str:
    """The UCUM code of a unit as content files name it."""
    code: str = toml_files("vocabulary")["fixed"]["unit"][name]["code"]
    return code


def sided(path: str, sides: Iterable[str]) -> str:
    """Whether a body site has the laterality extension with one of the sides, e.g. ("left", "bilateral")."""
    url = canonical("StructureDefinition", "laterality")
    keys = (CONTENT.sides[side].key for side in sides)
    return f"{path}extension('{url}').value.ofType(CodeableConcept).coding.exists({coded(keys)})"


def answered_in(instrument: str) -> str:
    """Whether a QuestionnaireResponse answers an instrument, in whatever version."""
    url = canonical("Questionnaire", instrument)
    return f"(questionnaire = '{url}' or questionnaire.startsWith('{url}|'))"
