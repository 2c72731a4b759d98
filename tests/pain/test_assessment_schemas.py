"""The OpenAPI schema of an assessment accepts what the reader accepts, for every instrument."""

from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.main import create_app
from app.pain.content import load_content
from app.pain.errors import Rejected
from app.pain.instruments.assessments import read_assessment
from app.routers.assessment_schemas import assessment_body, assessment_schemas
from app.settings import Settings, WrongSettings
from tests.pain.answers import answers
from tests.pain.cases import NOW

CONTENT = load_content()
EXAMPLES = assessment_body(CONTENT)["content"]["application/json"]["examples"]
wrong: st.SearchStrategy[Any] = st.one_of(
    st.integers(-3, 120), st.booleans(), st.none(), st.sampled_from(["mild", "yes", ""]), st.just([])
)


@cache
def schemas() -> dict[str, Any]:
    # Loading it takes seconds, which a process that only collects these tests need not spend.
    from jsonschema import Draft202012Validator

    return {name: Draft202012Validator(one) for name, one in assessment_schemas(CONTENT).items()}


def accepted(payload: dict[str, Any]) -> bool:
    with suppress(Rejected):
        read_assessment(payload, CONTENT, NOW)
        return True
    return False


@pytest.mark.parametrize("name", CONTENT.instruments)
def test_every_instrument_has_a_schema_and_an_example_that_fits_it_alone(name: str) -> None:
    example = EXAMPLES[name]["value"]

    assert [schema for schema, check in schemas().items() if check.is_valid(example)] == [f"Assessment-{name}"]
    assert accepted(example)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(CONTENT.instruments)), st.data())
def test_schema_and_reader_accept_the_same_answers(name: str, data: st.DataObject) -> None:
    one = CONTENT.instruments[name]
    given_: dict[str, Any] = dict(data.draw(answers(one)))
    if data.draw(st.booleans()):
        given_[data.draw(st.sampled_from([*(item.key for item in one.items), "unheard_of"]))] = data.draw(wrong)
    payload = EXAMPLES[name]["value"] | {"answers": given_}

    # A schema cannot say that one of the answers is more than null.
    said_nothing = all(answer is None for answer in given_.values())
    assert accepted(payload) is (schemas()[f"Assessment-{name}"].is_valid(payload) and not said_nothing)


def test_an_instrument_that_is_switched_off_is_in_no_schema() -> None:
    document = create_app(Settings(instruments_off="dn4, phq-9")).openapi()

    named = {name for name in document["components"]["schemas"] if name.startswith("Assessment-")}
    assert named == {f"Assessment-{name}" for name in CONTENT.instruments} - {"Assessment-dn4", "Assessment-phq-9"}


def test_an_unknown_instrument_cannot_be_switched_off() -> None:
    with pytest.raises(WrongSettings) as refused:
        create_app(Settings(instruments_off="dn4,dn5"))

    assert "DERMATOME_INSTRUMENTS_OFF: dn5 is no instrument" in str(refused.value)
