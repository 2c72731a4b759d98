"""Constraints as plain Python say what the closures say."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.fhir.fhirpath import Frame, Node, compile_expression, r4_model
from app.fhir.fhirpath.native import Translator, Untranslatable, quick_test
from app.fhir.fhirpath.nodes import MAX_STEPS
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
    "Observation.code.text.lower().matches('^pain')",
    "Observation.category.combine(%resource.code).coding.code.isDistinct()",
    "Observation.category.combine(component.code).combine(code).coding.count() > 3",
    "Observation.contained.ofType(Patient).exists() or Observation.contained.ofType(Device).empty()",
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
# Expressions with a part that is not translated, or only where it is enough to know that they hold.
IN_PART = [
    "Observation.component.exists() implies Observation.descendants().exists()",
    "Observation.status = 'registered' and today() > @2000-01-01 implies Observation.issued.exists()",
    "(Observation.category.exists() or Observation.descendants().count() > 40) and Observation.code.exists()",
    "Observation.subject.resolve().ofType(Patient).exists()",
    "Observation.derivedFrom.resolve().ofType(QuestionnaireResponse).item.linkId.isDistinct()",
    "Observation.hasMember.resolve().ofType(Observation).combine(%resource.component).code.coding.count() > 1",
    "Condition.stage.assessment.resolve().ofType(Observation).value.ofType(CodeableConcept).exists().not()",
    "Condition.code.coding.exists(code.startsWith('M')) implies Condition.onset.ofType(dateTime) < now() - 3 months",
]  # fmt: skip


class Surroundings:
    """What a generated function knows of its surroundings."""

    def __init__(self, resource: Json) -> None:
        self.resource, self.steps = resource, MAX_STEPS
        root = Node(resource, resource["resourceType"])
        self.frame = Frame(r4_model(), root, root, trusts_patterns=True)


def native(expression: str, resource: Json) -> bool:
    module = Module()
    found = Translator(r4_model(), module.function).condition(expression, resource["resourceType"])
    namespace = dict(FUNCTIONS)
    exec("".join([*module.parts(), f"def holds(v, c):\n    return {found}"]), namespace)
    return bool(namespace["holds"](resource, Surroundings(resource)))


def by_closures(expression: str, resource: Json) -> bool:
    root = Node(resource, resource["resourceType"])
    return compile_expression(expression).is_true(Frame(r4_model(), root, root, trusts_patterns=True), root)


@st.composite
def cases(draw: st.DrawFn, expressions: list[str]) -> tuple[str, Json]:
    """An expression and a resource it runs on, from which up to five properties were taken away."""
    expression = draw(st.sampled_from(expressions))
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
@given(cases(EXPRESSIONS))
def test_what_is_translated_says_what_the_closures_say(case: tuple[str, Json]) -> None:
    expression, resource = case

    assert native(expression, resource) is by_closures(expression, resource)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(EXPRESSIONS + IN_PART))
def test_what_holds_for_sure_holds_by_the_closures(case: tuple[str, Json]) -> None:
    expression, resource = case
    test = quick_test(expression, resource["resourceType"])

    assert test is not None
    assert by_closures(expression, resource) or not test.holds(resource, Surroundings(resource))


@pytest.mark.parametrize("expression", IN_PART)
def test_what_is_translated_in_part_holds_for_sure_on_some_resource(expression: str) -> None:
    found = [each for each in RESOURCES if f"{each['resourceType']}." in expression]
    tests = [(quick_test(expression, each["resourceType"]), each) for each in found]

    assert any(test and test.holds(each, Surroundings(each)) for test, each in tests)


@pytest.mark.parametrize(
    "expression",
    [
        " or ".join(f"Observation.status = '{number})'" for number in range(300)),
        "Observation.component.where(" + " or ".join(f"code.text = '{number}'" for number in range(300)) + ").exists()",
        "Observation" + ".extension" * 30 + ".exists()",
    ],
)
def test_what_is_too_deep_for_python_is_left_to_the_closures(expression: str) -> None:
    with pytest.raises(Untranslatable):
        native(expression, OBSERVATION)


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
