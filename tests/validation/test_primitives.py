"""Primitive values: what R4 allows passes, what it forbids does not, whatever it is."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.profiles import r4
from app.validation import Validator
from app.validation.checks.primitives import doubt, primitive_checks
from tests.validation.samples import PATIENT, changed

CHECKS = primitive_checks(r4()["types"])
GOOD: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, -(2**31), 2**31 - 1],
    "positiveInt": [1],
    "unsignedInt": [0],
    "decimal": [0, Decimal("1.50"), Decimal("1E-22"), Decimal("123456789012345678901234567890.1")],
    "string": ["x", " x ", " ", "a\x01b", "line\nline"],
    "markdown": ["# x"],
    "code": ["a", "a b"],
    "id": ["a-1.B", "x" * 64],
    "uri": ["urn:oid:1.2.3", "urn:uuid:9b9d5c2a-1111-4222-8333-444455556666#x", "http://x/y", "x"],
    "canonical": ["http://x|1.0", "#x", "urn:uuid:9b9d5c2a-1111-4222-8333-444455556666|2"],
    "oid": ["urn:oid:2.16.840"],
    "uuid": ["urn:uuid:9b9d5c2a-1111-4222-8333-444455556666"],
    "base64Binary": ["TWFu", "TWE=", "TQ==", "TW Fu"],
    "date": ["2020", "2020-02", "2020-02-29"],
    "dateTime": ["2020", "2020-02-29T23:59:60Z", "2020-02-29T10:00:00.123+14:00"],
    "instant": ["2020-02-29T10:00:00Z"],
    "time": ["23:59:59.9"],
    "Element.id": ["a/b§"],
}
BAD: dict[str, list[Any]] = {
    "boolean": [1, "true", None],
    "integer": [1.0, Decimal("1"), 2**31, True, "1"],
    "positiveInt": [0, -1],
    "unsignedInt": [-1],
    "decimal": ["1", True, float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")],
    "string": ["", 1, "x" * (1024 * 1024 + 1)],
    "code": ["", " a", "a ", "a  b", "a\tb"],
    "id": ["", "a_b", "x" * 65, "a b"],
    "uri": ["", "a b", "urn:oid:3.1", "urn:oid:1.02", "urn:uuid:9B9D5C2A-1111-4222-8333-444455556666", "a\x01b"],
    "canonical": ["x", "urn:uuid:nope|1", "http://x|1 "],
    "oid": ["2.16", "urn:oid:9.1"],
    "uuid": ["9b9d5c2a-1111-4222-8333-444455556666"],
    "base64Binary": ["TWF", "TW=u", "T===", "TWF*"],
    "date": ["2020-02-30", "2020-13", "20", "2020-1-1", "0000", "2020-02-29T10:00:00Z"],
    "dateTime": ["2020-02-29T24:00:00Z", "2020-02-29T10:00:00", "2020-02-29T10:00Z", "2020-02-29T10:00:00+14:01"],
    "instant": ["2020-02-29", "2019-02-29T10:00:00Z", "2020-02-29T10:00:61Z"],
    "time": ["24:00:00", "10:00", "10:00:00Z"],
    "Element.id": ["a b", "", 1, "a\n"],
}
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_what_r4_allows_passes(name: str, value: Any) -> None:
    assert CHECKS[name](value) == ""


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_r4_forbids_does_not(name: str, value: Any) -> None:
    assert CHECKS[name](value) != ""


@given(st.dates())
def test_every_date_of_the_calendar_passes(day: date) -> None:
    assert CHECKS["date"](day.isoformat()) == ""
    assert CHECKS["dateTime"](day.isoformat()) == ""


@given(st.datetimes(), ZONES)
def test_every_moment_of_the_calendar_passes(moment: datetime, zone: timezone) -> None:
    text = moment.replace(tzinfo=zone).isoformat()

    assert CHECKS["instant"](text) == CHECKS["dateTime"](text) == ""


@given(st.integers(1, 9999), st.integers(1, 12), st.integers(29, 31))
def test_days_that_are_not_in_the_calendar_do_not(year: int, month: int, day: int) -> None:
    try:
        date(year, month, day)
    except ValueError:
        assert CHECKS["date"](f"{year:04}-{month:02}-{day:02}") != ""


@given(st.uuids())
def test_every_uuid_passes_in_lower_case_only(uuid: UUID) -> None:
    assert CHECKS["uuid"](uuid.urn) == CHECKS["uri"](uuid.urn) == ""
    upper = f"urn:uuid:{str(uuid).upper()}"
    assert bool(CHECKS["uri"](upper)) is (upper != uuid.urn)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_a_decimal(number: Decimal) -> None:
    assert CHECKS["decimal"](number) == ""


@given(
    st.sampled_from(sorted(CHECKS)),
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()), st.just({"a": 1})),
)
def test_every_value_gets_an_answer(name: str, value: Any) -> None:
    flaw = CHECKS[name](value)

    assert isinstance(flaw, str)
    if not flaw:
        assert isinstance(doubt(name, value), str)


@pytest.mark.parametrize(
    ("path", "value", "expression"),
    [
        ("birthDate", "1066-10-14", "Patient.birthDate"),
        ("birthDate", "9999-12-31", "Patient.birthDate"),
        ("name.0.family", " ", "Patient.name[0].family"),
        ("name.0.family", "a\x01b", "Patient.name[0].family"),
    ],
)
def test_what_is_unusual_is_a_warning(validator: Validator, path: str, value: str, expression: str) -> None:
    issues = validator.check(changed(PATIENT, path, value))

    told = [(each.severity, each.rule, each.expression) for each in issues if each.severity != "information"]

    assert told == [("warning", "dmt-unusual", expression)]


def test_ids_of_elements_hold_no_spaces(validator: Validator) -> None:
    broken = changed(changed(PATIENT, "name.0.id", "a b"), "_birthDate", {"id": "c d"})

    assert {each.expression for each in validator.check(broken) if each.is_error} >= {
        "Patient.name[0].id",
        "Patient.birthDate",
    }
