"""Expressions of search parameters: a way finds what the FHIRPath engine finds, and few need the engine."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.fhir.fhirpath import Node, compile_expression
from app.fhir.json import parse
from app.profiles import FOLDER
from app.store.index.ways import Asked, Way, ways_of
from app.store.parameters import load_parameters

EXAMPLES = sorted((FOLDER / "examples" / "valid").glob("*.json"))
ASKED = {
    ("Bundle", "composition"),
    ("Bundle", "message"),
    ("CodeSystem", "author"),
    ("Patient", "deceased"),
    ("QuestionnaireResponse", "item-subject"),
    ("ValueSet", "author"),
}
REFERENCE = st.sampled_from(["Patient/1", "Group/2", "http://x/fhir/Patient/3", "#c", "urn:uuid:1", "Patient?x=1"]).map(
    lambda text: {"reference": text}
)
CONCEPT = st.just({"coding": [{"system": "urn:s", "code": "c"}], "text": "t"})
QUANTITY = st.decimals(0, 9, places=1).map(lambda value: {"value": value, "unit": "mg"})
VALUE = st.one_of(
    QUANTITY.map(lambda value: {"valueQuantity": value}),
    CONCEPT.map(lambda value: {"valueCodeableConcept": value}),
    st.just({"valueString": "s"}),
    st.just({"valueDateTime": "2026"}),
    st.just({"valuePeriod": {"start": "2026"}}),
    st.just({"_valueString": {"extension": [{"url": "u"}]}}),
    st.just({}),
)
OBSERVATIONS = st.builds(
    lambda made, value: {**made, **value},
    st.fixed_dictionaries(
        {"resourceType": st.just("Observation"), "contained": st.just([{"resourceType": "Patient", "id": "c"}])},
        optional={
            "subject": REFERENCE,
            "focus": st.lists(REFERENCE, max_size=3),
            "code": CONCEPT,
            "category": st.lists(CONCEPT, max_size=2),
            "effectiveDateTime": st.just("2026-05-01"),
            "component": st.lists(st.builds(lambda code, value: {"code": code, **value}, CONCEPT, VALUE), max_size=3),
        },
    ),
    VALUE,
)


def plain(items: list[tuple[Any, str]]) -> set[tuple[str, str]]:
    # The engine's | takes 1.0 and 1.00 for one value; so does the index.
    return {
        (json.dumps(value, sort_keys=True, default=lambda d: str(Decimal(d).normalize())), type_)
        for value, type_ in items
    }


def assert_ways_find_what_the_engine_finds(resource: Mapping[str, Any]) -> None:
    for parameter in load_parameters().of(resource["resourceType"]).values():
        if any(isinstance(way, Asked) for way in parameter.ways):
            continue
        followed = [(each.value, each.type) for way in parameter.ways for each in way.follow(resource, resource)]
        evaluated = compile_expression(parameter.expression)(resource)

        # A way leads to values; the engine also gives elements that have only extensions.
        expected = [(each.value, each.type) for each in evaluated if isinstance(each, Node) and each.value is not None]
        assert plain(followed) == plain(expected), parameter.name


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_ways_find_what_the_engine_finds_in_our_examples(path: Any) -> None:
    assert_ways_find_what_the_engine_finds(parse(path.read_bytes()))


@given(resource=OBSERVATIONS)
def test_ways_find_what_the_engine_finds_in_any_observation(resource: dict[str, Any]) -> None:
    assert_ways_find_what_the_engine_finds(resource)


def test_every_parameter_of_every_type_compiles_and_few_need_the_engine() -> None:
    parameters = load_parameters()
    every = [each for type_ in parameters.types for each in parameters.of(type_).values()]

    asked = {(each.resource_type, each.name) for each in every if any(isinstance(way, Asked) for way in each.ways)}

    assert len(every) > 2_500
    assert all(each.ways for each in every)
    assert asked == ASKED


WAYS = [
    ("Patient.name.family", "Patient", ["name.family: string"]),
    ("Practitioner.name | Patient.name", "Patient", ["name: HumanName"]),
    ("name | alias", "InsurancePlan", ["name: string", "alias: string"]),
    ("Observation.value", "Observation", None),
    (
        "(Observation.value as Quantity) | Observation.value.as(string)",
        "Observation",
        ["valueQuantity: Quantity", "valueString: string"],
    ),
    ("Observation.subject.where(resolve() is Patient)", "Observation", ["subject: Reference"]),
    ("Resource.meta.profile", "Patient", ["meta.profile: canonical"]),
    ("Questionnaire.item.item.code", "Questionnaire", ["item.item.code: Coding"]),
    ("value.as(Range)", "UsageContext", ["valueRange: Range"]),
]


@pytest.mark.parametrize(("expression", "start", "expected"), WAYS, ids=[each[0] for each in WAYS])
def test_an_expression_is_followed_as_ways(expression: str, start: str, expected: list[str] | None) -> None:
    ways = ways_of(expression, start)

    told = [f"{'.'.join(step.key for step in way.steps)}: {way.type}" for way in ways if isinstance(way, Way)]
    assert len(told) == len(ways)
    assert told == expected if expected else len(told) == 11


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("Bundle.entry[0].resource", "entry"),
        ("Patient.deceased.exists() and Patient.active", ""),
        ("Bundle.entry.resource", "entry"),
    ],
)
def test_what_is_no_way_is_asked_of_the_engine_where_it_may_have_an_answer(expression: str, first: str) -> None:
    (way,) = ways_of(expression, expression.partition(".")[0])

    assert isinstance(way, Asked)
    assert way.first == first
