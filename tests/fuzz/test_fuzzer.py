"""The attack itself: it sees what is wrong, forgets nothing that was acknowledged, and is repeated by its seed."""

import json
import random
from pathlib import Path

import pytest

from tests.fuzz.attack import Attack, Findings
from tests.fuzz.http import Answer, Request
from tests.fuzz.judge import complaints
from tests.fuzz.ledger import Ledger, Written, differs
from tests.fuzz.material import load
from tests.fuzz.measures import Measures
from tests.fuzz.requests import draw
from tests.fuzz.servers import running
from tests.fuzz.world import Served, World

PUT = Request("PUT", "/fhir/Patient/1", (("Content-Type", "application/fhir+json"),), b'{"resourceType":"Patient"}')
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "value", "diagnostics": "x"}]}
FHIR = {"content-type": "application/fhir+json"}
REQUIRED = {"severity": "error", "code": "required", "diagnostics": "x", "details": {"text": "dmt-cardinality"}}
BATCH = {"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"status": "500"}}]}
SERVED = Served(["Patient"], {"Patient": {"name": "string", "birthdate": "date"}}, {}, ["/fhir/$meta", "/sync/status"])


def _answer(status: int, body: object = OUTCOME, seconds: float = 0.1, **headers: str) -> Answer:
    text = json.dumps(body, separators=(",", ":")) if not isinstance(body, str) else body
    return Answer(
        status, FHIR | {name.replace("_", "-"): value for name, value in headers.items()}, text.encode(), seconds
    )


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (_answer(200, {"resourceType": "Patient"}), []),
        (_answer(400), []),
        (_answer(500), ["server error"]),
        (_answer(503), ["server error"]),
        (_answer(503, retry_after="2"), []),
        (_answer(429), ["outcome"]),
        (_answer(401), ["outcome"]),
        (_answer(401, www_authenticate='Bearer error="invalid_token"'), []),
        (_answer(200, BATCH), ["server error"]),
        (_answer(200, {}, seconds=5.1), ["slow"]),
        (_answer(404, "not here"), ["outcome"]),
        (_answer(400, {"resourceType": "OperationOutcome", "issue": []}), ["outcome"]),
        (_answer(400, OUTCOME | {"issue": [{"severity": "error", "code": "value"}]}), ["outcome"]),
        (_answer(422, OUTCOME | {"issue": [REQUIRED]}), ["place"]),
        (_answer(422, OUTCOME | {"issue": [REQUIRED | {"expression": ["Patient"]}]}), []),
        (_answer(400, OUTCOME | {"note": "sqlalchemy.exc.DBAPIError"}), ["leak"]),
        (Answer(0, reason="no answer"), ["no answer"]),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_answer_is_seen(answer: Answer, kinds: list[str]) -> None:
    assert [said.partition(":")[0] for said in complaints(PUT, answer)] == kinds


@pytest.mark.parametrize(
    ("request_", "answer", "noted"),
    [
        (PUT, _answer(200, etag='W/"3"'), {("Patient", "1"): {3: Written(sent=PUT.body)}}),
        (PUT, _answer(412, etag='W/"3"'), {}),
        (Request("DELETE", "/fhir/Patient/1"), _answer(204, etag='W/"4"'), {("Patient", "1"): {4: Written(True)}}),
        (
            Request("POST", "/fhir"),
            _answer(
                200,
                {"type": "batch-response", "entry": [{"response": {"status": "204", "location": "A/b/_history/2"}}]},
            ),
            {("A", "b"): {2: Written(True)}},
        ),
        # A stored example that looks like an acknowledgement is none.
        (
            Request("POST", "/fhir/Bundle", (), b"{}"),
            _answer(
                201,
                {"type": "batch-response", "entry": [{"response": {"status": "201", "location": "A/b/_history/2"}}]},
            ),
            {},
        ),
    ],
)
def test_what_is_acknowledged_is_remembered(request_: Request, answer: Answer, noted: object) -> None:
    ledger = Ledger()

    ledger.note(request_, answer)

    assert ledger.versions == noted


@pytest.mark.parametrize(
    ("kept", "is_other"),
    [
        ('{"resourceType":"A","id":"1","meta":{"versionId":"1"},"value":1.10}', False),
        ('{"value":1.10,"resourceType":"A"}', False),
        ('{"resourceType":"A","value":1.1}', True),
        ('{"resourceType":"A","value":1.10,"more":1}', True),
        ('{"resourceType":"A"}', True),
    ],
)
def test_what_was_kept_otherwise_than_sent_is_seen(kept: str, is_other: bool) -> None:
    assert differs(b'{"resourceType":"A","value":1.10}', kept.encode()) is is_other


def test_the_same_seed_draws_the_same_requests_and_a_file_keeps_them() -> None:
    material = load()

    drawn = [
        [draw(world) for _ in range(500)] for world in (_world(material, 1), _world(material, 1), _world(material, 2))
    ]

    assert drawn[0] == drawn[1] != drawn[2]
    assert [Request.of_line(request.as_line()) for request in drawn[0]] == drawn[0]
    assert len({request.kind for request in drawn[0]}) > 15


def _world(material: object, seed: int) -> World:
    return World(random.Random(seed), "c0", material, SERVED)  # type: ignore[arg-type]


def test_memory_that_grows_is_seen() -> None:
    grows = Measures(memory=[100.0 + 5 * n for n in range(40)])
    warms = Measures(memory=[100.0 + 20 * n for n in range(10)] + [300.0] * 30)

    assert grows.growth() > 100
    assert warms.growth() == 0


async def test_an_attack_on_a_service_comes_to_an_end_and_finds_nothing(tmp_path: Path) -> None:
    findings = Findings(tmp_path / "requests.ndjson")
    with running("sqlite") as server:
        attack = Attack(server, 7, findings, load())
        await attack.run(4)
        unexpected = server.unexpected()

    assert attack.measures.requests > 50
    assert attack.ledger.acknowledged > 5
    assert len(attack.measures.kinds) > 10
    assert unexpected == []
    # How fast a busy machine is, is not what is asked here.
    assert {kind: said for kind, said in findings.examples.items() if kind not in ("slow", "no answer")} == {}
