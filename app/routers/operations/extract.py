"""$extract: the Observations of an answered instrument (SDC 3.0.0, OperationDefinition QuestionnaireResponse-extract).

They are those the clinic API writes for the same answers, in a transaction that stores them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.fhir import json as lossless
from app.fhir.bundles import Entry, bundle
from app.fhir.outcomes import Issue, Unprocessable, operation_outcome
from app.fhir.references import local, rewrite
from app.intake.extraction import stored_parts
from app.mapping.elements import Unrecognised
from app.mapping.questionnaires.extraction import extracted, notes
from app.routers.operations import held
from app.routers.operations.call import Call, answer
from app.store.idempotency import Answer

_RESPONSE = "questionnaire-response"
_URN = "urn:uuid:"
# The types of the transaction: what refers to one of them refers to another entry.
_MADE = ("QuestionnaireResponse", "Observation", "DetectedIssue")


async def extract(call: Call) -> Answer:
    """The transaction; within Parameters where there is something to tell as well.

    Raises Unprocessable for another questionnaire than ours, and Rejected for answers that cannot be scored.
    """
    response = await _asked(call)
    try:
        return _told(await _made(call, response), notes(response, call.service.content))
    except Unrecognised as error:
        told = f"Only responses to the instruments of GET /fhir/Questionnaire?publisher=Dermatome are scored: {error}."
        place = "QuestionnaireResponse.questionnaire"
        raise Unprocessable([Issue("not-supported", told, place, rule="dmt-extract")]) from None


async def _made(call: Call, response: dict[str, Any]) -> bytes:
    """The transaction: updates of what has ids, or else creations, the response itself among them."""
    parts, content = call.service, call.service.content
    now = datetime.fromtimestamp(parts.clock() / 1_000_000, UTC)
    if "id" not in response:
        named = {**response, "id": parts.new_id()}
        return bundle("transaction", map(_post, [named, *extracted(named, content, now)]))
    async with parts.database.reading() as connection:
        before, known = await stored_parts(connection, parts.searcher, response)
    return bundle("transaction", map(_put, extracted(response, content, now, before, known)))


async def _asked(call: Call) -> dict[str, Any]:
    """The response that is posted or stored."""
    if held.require_one(call, _RESPONSE):
        return await held.posted(call, _RESPONSE)
    return await held.stored(call)


def _put(resource: dict[str, Any]) -> Entry:
    address = f"{resource['resourceType']}/{resource['id']}"
    return Entry("", lossless.dumps(resource), {"request": {"method": "PUT", "url": address}})


def _post(resource: dict[str, Any]) -> Entry:
    """A new resource. One that has no id yet is known by its urn, to the others and to itself."""
    text = lossless.dumps({name: value for name, value in resource.items() if name != "id"})
    request = {"method": "POST", "url": resource["resourceType"]}
    return Entry(f"{_URN}{resource['id']}", rewrite(text, _by_urn), {"request": request})


def _by_urn(link: str) -> str:
    key = local(link, "")
    return f"{_URN}{key[1]}" if key and key[0] in _MADE else link


def _told(made: bytes, said: Sequence[str]) -> Answer:
    if not said:
        return Answer(200, made)
    outcome = operation_outcome([Issue("business-rule", one, severity="warning", rule="dmt-extract") for one in said])
    rows = [{"name": "return", "resource": lossless.parse_object(made)}, {"name": "issues", "resource": outcome}]
    return answer({"resourceType": "Parameters", "parameter": rows})
