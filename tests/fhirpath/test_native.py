"""Constraints as plain Python say what the closures say."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.fhirpath import Frame, Node, compile_expression, r4_model
from app.fhir.fhirpath.native import Translator, Untranslatable
from app.profiles import json_files, r4
from app.validation.gate.module import Module
from app.validation.gate.runtime import FUNCTIONS
from app.validation.rules import BaseRules
from tests.validation.samples import CONDITION, OBSERVATION

Json = dict[str, Any]
RULES = BaseRules(r4())
PERIOD = {"resourceType": "Encounter", "period": {"start": "2026-05-01T09:00:00+02:00", "end": "2026-05-01T08:00:00Z"}}
RESOURCES: list[Json] = [OBSERVATION, CONDITION, PERIOD, *json_files("examples/valid").values()]
# Expressions that show each part of the translation; they run on a resource of the type they begin with.
EXPRESSIONS = [
    "Observation.value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()",
    "Observation.dataAbsentReason.empty() or Observation.value.empty()",
    "Observation.component.all(value.exists() and code.text.exists())",
    "Observation.component.count() = 2",
    "Observation.component.count() + Observation.category.count() > 2",
    "Observation.component.code.text.isDistinct()",
    "Observation.component.code.text.distinct().count() <= 1",
    "Observation.component.select(code.text).isDistinct()",
    "Observation.value.ofType(Quantity).where(value >= 0 and value mod 1 = 0 and code = '{score}').exists()",
    "(Observation.value as Quantity).unit = 'points'",
    "Observation.value.ofType(Quantity).system = %ucum",
    "Observation.status in ('final' | 'amended')",
    "Observation.status = 'final' xor Observation.issued.exists()",
    "Observation.status != 'final' implies Observation.note.exists()",
    "Observation.category.exists() = Observation.code.exists()",
    "Observation.subject.reference.startsWith('Patient/')",
    "Observation.subject.reference.contains('/') and Observation.code.text.endsWith('y')",
    "Observation.code.text.matches('^Pain')",
    "Observation.effective.ofType(dateTime).all($this.toString().length() >= 10)",
    "Observation.effective.ofType(dateTime).hasValue()",
    "Observation.referenceRange.where(low.exists() and high.exists()).all(low.value <= high.value)",
    "(Observation.code | Observation.bodySite | Observation.method).exists()",
    "Observation.bodySite.extension('https://w3id.org/dermatome/fhir/StructureDefinition/laterality').exists()",
    "Observation.interpretation.exists().not()",
    "Condition.clinicalStatus.coding.exists(code = 'active') implies Condition.abatement.empty()",
    "Condition.stage.where(type.coding.exists(code = 'neupsig-2016')).summary.coding.exists(code = 'definite')",
    "Condition.recordedDate.exists()",
    "Encounter.period.start.hasValue().not() or period.end.hasValue().not() or (period.start <= period.end)",
    "CarePlan.activity.all(detail.empty() or reference.empty())",
]  # fmt: skip


class Surroundings:
    """What a generated function knows of its surroundings."""

    def __init__(self, resource: Json) -> None:
        self.resource = resource


def native(expression: str, resource: Json) -> bool:
    module = Module()
    translator = Translator(r4_model(), lambda type_, key: RULES.type_rule(type_).slots[key].is_many, module.function)
    found = translator.condition(expression, resource["resourceType"])
    namespace = dict(FUNCTIONS)
    exec(f"{module.text}\ndef holds(v, c):\n    return {found}", namespace)
    return bool(namespace["holds"](resource, Surroundings(resource)))


def by_closures(expression: str, resource: Json) -> bool:
    root = Node(resource, resource["resourceType"])
    return compile_expression(expression).is_true(Frame(r4_model(), root, root, trusts_patterns=True), root)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, Json]:
    """An expression and a resource it runs on, from which up to five properties were taken away."""
    expression = draw(st.sampled_from(EXPRESSIONS))
    fitting = [each for each in RESOURCES if f"{each['resourceType']}." in expression]
    resource = deepcopy(draw(st.sampled_from(fitting)))
    for _ in range(draw(st.integers(0, 5))):
        node: Any = resource
        while True:
            names = [name for name in node if not (node is resource and name == "resourceType")]
            if not names:
                break
            name = draw(st.sampled_from(names))
            child = node[name][0] if isinstance(node[name], list) else node[name]
            if not isinstance(child, dict) or not draw(st.booleans()):
                if len(node) > 1:
                    del node[name]
                break
            node = child
    return expression, resource


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_what_is_translated_says_what_the_closures_say(case: tuple[str, Json]) -> None:
    expression, resource = case

    assert native(expression, resource) is by_closures(expression, resource)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_of_the_table_is_translated(expression: str) -> None:
    type_ = expression.lstrip("(").partition(".")[0]

    native(expression, {"resourceType": type_})


@pytest.mark.parametrize(
    "expression",
    [
        "Observation.component.code.text = 'Now'",
        "Observation.value = 'x'",
        "Observation.descendants().exists()",
        "Observation.subject.resolve().exists()",
        "Observation.contained.id.exists()",
        "Observation.effective.ofType(dateTime) > today()",
        "Observation.status and true",
        "iif(Observation.status.exists(), true, false)",
    ],
)
def test_what_cannot_be_translated_is_left_to_the_closures(expression: str) -> None:
    with pytest.raises(Untranslatable):
        native(expression, OBSERVATION)
