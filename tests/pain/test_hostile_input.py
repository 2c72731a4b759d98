"""Whatever JSON arrives, the readers answer with what they read or with problems, and with nothing else."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.pain.content import load_content
from app.pain.diagnoses.diagnoses import read_diagnosis
from app.pain.errors import Rejected
from app.pain.instruments.assessments import read_assessment
from app.pain.plans.treatments import read_plan
from tests.mapping import payloads
from tests.pain.cases import NOW

CONTENT = load_content()
SCALARS = st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
ISSUE_CODES = {"value", "required", "structure", "business-rule", "code-invalid", "too-long"}
often = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@often
@given(
    st.sampled_from(
        [
            (read_assessment, payloads.assessments("dn4")),
            (read_assessment, payloads.assessments("nrs")),
            (read_diagnosis, payloads.diagnoses),
            (read_plan, payloads.plans),
        ]
    ),
    st.data(),
)
def test_any_json_in_any_place_is_read_or_named_as_a_problem(kind: Any, data: st.DataObject) -> None:
    reader, legal = kind
    payload = data.draw(legal)
    node: Any = payload
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(JSON)

    assert codes_of_problems(reader, payload) <= ISSUE_CODES


def codes_of_problems(reader: Any, payload: Any) -> set[str]:
    try:
        reader(payload, CONTENT, NOW)
    except Rejected as rejected:
        return {one.code for one in rejected.problems} or {"none"}
    return set()
