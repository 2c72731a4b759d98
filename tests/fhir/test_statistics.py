"""Statistics against Python's own, which work in another way, and against values made by hand."""

import statistics
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.statistics import quantile, statistic
from app.profiles import toml_files

NUMBERS = st.lists(st.decimals("-1000", "1000", places=2), min_size=2, max_size=40)
CONTENT = toml_files("operations")["statistics"]["statistic"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("average", "3.5"), ("maximum", "7"), ("minimum", "1"), ("median", "3"), ("sum", "14"), ("4-dev", "1.5")],
)
def test_by_hand(code: str, expected: str) -> None:
    values = [Decimal(each) for each in ("2", "4", "7", "1")]

    assert statistic(code, values) == Decimal(expected)


@given(NUMBERS)
def test_quantiles_are_those_of_the_inclusive_method(values: list[Decimal]) -> None:
    expected = statistics.quantiles(values, n=5, method="inclusive")

    found = [quantile(values, Fraction(part, 5)) for part in range(1, 5)]

    assert [round(each, 9) for each in found] == [round(each, 9) for each in expected]


@given(NUMBERS)
def test_everything_that_is_served_can_be_made_and_shown(values: list[Decimal]) -> None:
    for code, kind in CONTENT.items():
        if kind["of"] != "observations":
            found = statistic(code, values, kind.get("part", ()))
            assert len(found.as_tuple().digits) <= 18
            assert found.is_finite()


def test_what_needs_no_rounding_keeps_its_digits() -> None:
    assert str(statistic("maximum", [Decimal("7.50"), Decimal("7.4")])) == "7.50"
