"""Values in canonical units: equal amounts are equal, whatever unit they are given in."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.terminology.unit_conversion import canonical, scale_of

EQUAL = [
    [("5", "mg"), ("0.005", "g"), ("5000", "ug"), ("5", "mg{dry}")],
    [("37", "Cel"), ("98.6", "[degF]"), ("310.15", "K"), ("310150", "mK"), ("37", "Cel{oral}")],
    [("120", "mm[Hg]"), ("0.12", "m[Hg]"), ("12", "cm[Hg]")],
    [("5", "mmol/L"), ("5", "mol/m3"), ("0.005", "mmol.mL-1")],
    [("90", "mg/dL"), ("0.9", "g/L"), ("0.9", "kg/m3"), ("900", "g/(1000.L)")],
    [("50", "m/s"), ("180", "km/h"), ("180", "km/(60.min)")],
    [("4", "10*3/uL"), ("4", "10^9/L"), ("4000", "/uL"), ("4000", "{cells}/uL")],
    [("30", "%"), ("0.3", "1"), ("0.3", "{ratio}")],
    [("1", "[ft_i]"), ("12", "[in_i]"), ("0.3048", "m")],
    [("1", "a"), ("365.25", "d"), ("12", "mo")],
    [("3", "[iU]/mL"), ("3", "k[iU]/L"), ("3", "[IU].mL-1")],
    [("2", "J"), ("2", "N.m"), ("2", "kg.m2/s2")],
    [("1", "h"), ("60", "min"), ("3600", "s")],
]
APART = [("1", "[iU]", "1", "[arb'U]"), ("1", "g", "1", "m"), ("1", "[iU]", "1", "1"), ("1", "rad", "1", "1")]
# Logarithmic and other scales, units that stand alone, no units at all.
NONE = ["[pH]", "B", "dB", "B[10.nV]", "Np", "[hp'_X]", "Cel/h", "bit_s", "mmHg", "", "m999", "0", "m" * 300, "1/0"]
METRIC = st.sampled_from(["m", "g", "s", "L", "mol", "V", "J", "[iU]", "Hz", "m[Hg]"])
VALUES = st.decimals(min_value="-1e6", max_value="1e6", places=6)


@pytest.mark.parametrize("amounts", EQUAL, ids=lambda amounts: amounts[0][1])
def test_equal_amounts_give_the_same_number_and_unit(amounts: list[tuple[str, str]]) -> None:
    found = {canonical(Decimal(value), unit) for value, unit in amounts}

    assert len(found) == 1
    assert found != {None}


@pytest.mark.parametrize(("value", "unit", "other", "other_unit"), APART)
def test_what_cannot_be_compared_has_another_unit(value: str, unit: str, other: str, other_unit: str) -> None:
    found, against = canonical(Decimal(value), unit), canonical(Decimal(other), other_unit)

    assert found
    assert against
    assert found[1] != against[1]


@pytest.mark.parametrize("unit", NONE)
def test_a_unit_without_a_factor_is_not_converted(unit: str) -> None:
    assert canonical(Decimal(1), unit) is None


@given(value=VALUES, unit=METRIC)
def test_a_prefix_is_a_factor(value: Decimal, unit: str) -> None:
    assert canonical(value * 1000, "m" + unit) == canonical(value, unit)


@given(one=METRIC, two=METRIC, value=VALUES)
def test_dividing_undoes_multiplying(one: str, two: str, value: Decimal) -> None:
    assert canonical(value, f"{one}.{two}/{two}") == canonical(value, one)


@given(low=VALUES, high=VALUES, unit=st.sampled_from(["mg", "Cel", "[degF]", "mm[Hg]", "%", "/min"]))
def test_order_is_kept(low: Decimal, high: Decimal, unit: str) -> None:
    scale = scale_of(unit)

    assert scale is not None
    assert (low < high) == (
        (Fraction(low) + scale.offset) * scale.factor < (Fraction(high) + scale.offset) * scale.factor
    )


@given(text=st.text(st.sampled_from("mgL[]{}()./-+*^0123456789KCel%iU"), max_size=40))
def test_every_text_gets_an_answer(text: str) -> None:
    found = canonical(Decimal("1.5"), text)

    assert found is None or isinstance(found[0], float)
