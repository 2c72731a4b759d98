"""Units of UCUM: the grammar, and that every text gets an answer soon."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.terminology.ucum import MAX_LENGTH, unit_flaw
from app.validation import Validator
from tests.validation.samples import OBSERVATION, changed

UNITS = [
    *("mg", "mg/d", "ug/kg/(8.h)", "{score}", "1", "%", "mm[Hg]", "10*3/uL", "10*-3", "10^6/L", "/min", "/100{WBC}"),
    *("[degF]", "Cel", "kg.m/s2", "kg/m2", "[in_i]", "m[H2O]", "k[iU]/L", "mg/(kg.d)", "(mg/dL){x}", "/(m2.s)", "a_j"),
    *("B[10.nV]", "[m/s2/Hz^(1/2)]", "mL/min/{1.73_m2}", "{copies}/mL", "100", "[arb'U]/mL", "''", "m-1", "m+2"),
    *("g{creat}", "[pH]", "um[Hg]", "nmol/L", "MG"),
]
FLAWED = [
    ("percent", "no unit"),
    ("mgg", "no unit"),
    ("mcg", "no unit"),
    ("mmHg", "no unit"),
    ("kmin", "no unit"),
    ("k%", "no unit"),
    ("2mg", "no unit"),
    ("m*2", "no unit"),
    ("mg2d", "no unit"),
    ("mg d", "spaces"),
    ("µg", "outside ASCII"),
    ("", "empty"),
    ("mg/", "ends where a unit was expected"),
    ("/", "ends where a unit was expected"),
    ("mg//d", "where a unit was expected"),
    ("()", "where a unit was expected"),
    ("mg/(/d)", "where a unit was expected"),
    ("mg/(d", "parentheses"),
    ("mg)", "parentheses"),
    ("(" * 30 + "m" + ")" * 30, "too many parentheses"),
    ("mg{a}{b}", "two units without"),
    ("mg{a}2", "two units without"),
    ("mg{a", "other half"),
    ("mg]", "other half"),
    ("m" * (MAX_LENGTH + 1), "longer than"),
]
ATOMS = st.sampled_from(["m", "g", "L", "mol", "[iU]", "min", "%", "10*", "kg", "um", "mm[Hg]", "{score}", "12"])
TERMS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("./"), inner).map("".join),
        inner.map(lambda term: f"({term})"),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize("unit", UNITS)
def test_units_in_use_are_units(unit: str) -> None:
    assert unit_flaw(unit) == ""


@pytest.mark.parametrize(("unit", "why"), FLAWED)
def test_a_text_that_is_no_unit_is_told_why(unit: str, why: str) -> None:
    assert why in unit_flaw(unit)


@given(TERMS)
def test_terms_made_by_the_grammar_are_units(term: str) -> None:
    assert unit_flaw(term) == ""
    assert unit_flaw("/" + term) == ""


@given(TERMS, st.sampled_from(["//", "..", " ", "§", "(", "{", "/]"]), st.data())
def test_what_the_grammar_cannot_make_is_no_unit(term: str, wrong: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(term)))

    assert unit_flaw(term[:place] + wrong + term[place:] + ".") != ""


@given(st.text(max_size=300))
def test_every_text_gets_an_answer(text: str) -> None:
    assert isinstance(unit_flaw(text), str)


@pytest.mark.parametrize("text", ["(" * 255, "m." * 127, "[" * 255, "{" * 255, "k" * 255, "10*" * 85])
def test_hostile_units_take_no_time(text: str) -> None:
    start = time.perf_counter()

    for turn in range(100):
        unit_flaw(text[: 255 - turn])

    assert time.perf_counter() - start < 1


def test_a_unit_that_is_none_is_a_warning_at_the_code(validator: Validator) -> None:
    issues = validator.check(changed(OBSERVATION, "valueQuantity.code", "mgg"))

    told = [(each.severity, each.expression) for each in issues if each.rule == "dmt-unit"]

    assert told == [("warning", "Observation.value.ofType(Quantity).code")]
