"""What expressions give, against worked examples."""

from decimal import Decimal
from typing import Any

import pytest

from app.fhir.fhirpath import EvaluationError, ExpressionError, compile_expression
from app.fhir.fhirpath.functions.conversions import to_string
from app.fhir.fhirpath.nodes import system

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "_status": {"extension": [{"url": "http://example.org/why", "valueString": "x"}]},
    "subject": {"reference": "Patient/12"},
    "performer": [{"reference": "#nurse"}],
    "contained": [{"resourceType": "Practitioner", "id": "nurse"}],
    "effectiveDateTime": "2026-05-01T09:30:00+02:00",
    "valueQuantity": {"value": Decimal("7.50"), "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"},
    "component": [
        {"code": {"text": "a"}, "valueInteger": 1},
        {"code": {"text": "b"}, "valueQuantity": {"value": 3}},
        {"code": {"text": "c"}},
    ],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("status", ["final"]),
        ("Observation.status", ["final"]),
        ("Patient.status", []),
        ("Observation.value.unit", ["cm"]),
        ("(Observation.value as Quantity).value", ["7.50"]),
        ("Observation.value is Quantity", ["true"]),
        ("Observation.value.ofType(string)", []),
        ("(Observation.component.value as Quantity).value", ["3"]),
        ("component.where(value.empty()).code.text", ["c"]),
        ("component.code.text.first() & '-' & component.code.text.last()", ["a-c"]),
        ("component.count() > 2 and component.all(code.exists())", ["true"]),
        ("component.value.ofType(integer) + 1", ["2"]),
        ("status.extension('http://example.org/why').value", ["x"]),
        ("status.hasValue() and status.extension.exists()", ["true"]),
        ("subject.where(resolve() is Patient).reference", ["Patient/12"]),
        ("subject.where(resolve() is Group).reference", []),
        ("performer.resolve().id", ["nurse"]),
        ("effective < @2026-05-01T08:00:00Z", ["true"]),
        ("effective = @2026-05-01T07:30:00Z", ["true"]),
        ("@2020-01 < @2020-01-15", []),
        ("value = 75 'mm'", ["true"]),
        ("iif(value.value > 5, 'high', 'low')", ["high"]),
        ("descendants().where($this is Quantity).count()", ["2"]),
        ("('a' | 'b' | 'a').count()", ["2"]),
        ("'2026-05-01'.toDate() + 1 month", ["2026-06-01"]),
        ("1 / 0", []),
        ("9000000000000000000 * 9", []),
        ("'a.b.c'.matches('^([a-z]+[.])*[a-z]$')", ["true"]),
        ("{} and false", ["false"]),
        ("%resource.status", ["final"]),
        ("'abc'.matches('^[a-c]+$')", ["true"]),
        ("trace('x').status", ["final"]),
    ],
)
def test_expressions_give_what_the_specification_says(expression: str, expected: list[str]) -> None:
    found = compile_expression(expression)(OBSERVATION)

    assert [to_string(system(item)) for item in found] == expected


@pytest.mark.parametrize(
    "expression",
    [
        "status.unknownFunction()",
        "status +",
        "%unknown",
        "status as Unknown",
        "where()",
        "'x",
        "a /* b",
        "(" * 200,
        "a" + ".a" * 9_000,
        "9" * 5_000,
    ],
)
def test_what_cannot_be_compiled_is_refused_at_once(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a+)+$')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('(a|a*)*$')",
        "'a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,!'.matches('^(.*,)+$')",
        "'aaaa'.matches('(a)\\\\1')",
        "(1|2|3|4|5|6|7|8|9|10|11|12|13|14|15).aggregate($total & $total & $total & 'a', '')",
        "10.power(100000)",
        "component.code.text.single()",
        "'a' < 1",
    ],
)
def test_what_would_take_for_ever_or_makes_no_sense_is_an_error(expression: str) -> None:
    compiled = compile_expression(expression)

    with pytest.raises(EvaluationError):
        compiled(OBSERVATION)


def test_a_loop_over_hostile_input_ends() -> None:
    resource = {"resourceType": "Observation", "component": [{"code": {"text": str(n)}} for n in range(5_000)]}
    compiled = compile_expression("component.all(%resource.component.code.text contains code.text)")

    with pytest.raises(EvaluationError):
        compiled(resource)


def test_variables_are_handed_in_by_name() -> None:
    compiled = compile_expression("%threshold < 4", frozenset({"threshold"}))

    assert compiled(OBSERVATION, variables={"threshold": 3}) == [True]


@pytest.mark.parametrize(
    ("expression", "context"),
    [
        ("componnt.exists()", "Observation"),
        ("component.where(code.cod.exists()).empty()", "Observation"),
        ("(value as Period).unit.exists()", "Observation"),
        ("Patient.name.exists()", "Observation"),
        ("repeat.contains", "Timing"),
    ],
)
def test_a_name_that_no_element_has_is_refused_where_the_type_is_known(expression: str, context: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(expression, context=context)


@pytest.mark.parametrize(
    ("expression", "context"),
    [
        ("component.value.unit.exists() or value.exists()", "Observation"),
        ("subject.resolve().anything.exists()", "Observation"),
        ("contained.where($this is Patient).name.exists()", "Observation"),
        ("%resource.anything.exists() or extension('x').value.exists()", "Timing.repeat"),
    ],
)
def test_what_cannot_be_inferred_is_let_pass(expression: str, context: str) -> None:
    assert compile_expression(expression, context=context).text == expression
