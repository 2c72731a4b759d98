"""What a write of one resource is answered with: what became of it, as the client prefers to hear it."""

from fastapi import Request
from starlette.responses import Response

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, operation_outcome
from app.intake.writes import Write, Written
from app.routers import errors, exchange
from app.routers.exchange import fhir_base, service
from app.store.idempotency import Answer

# A header must not grow without end; the OperationOutcome says how to find all.
_MOST_LINKS = 40
_TOLD_OF_DELETION = {
    "deleted": "Deleted; the history is kept.",
    "unchanged": "There was nothing to delete.",
}


async def written(request: Request, write: Write, body: bytes = b"") -> Response:
    """Do one write and answer it (R4 3.1.0.1.8). body: as it was sent, for the Idempotency-Key."""
    wanted = exchange.returned(request, "representation")
    links: list[str] = []

    def answer(done: list[Written]) -> Answer:
        links[:] = _derived(request, done[0])
        return answer_of(request, done[0], wanted)

    made = await service(request).intake.accept([write], exchange.caller(request, body), answer)
    response = exchange.respond(request, made)
    _name_place(request, response)
    if links:
        response.headers["Link"] = ", ".join(links)
    is_done = bool(response.body) == (wanted != "minimal") and not made.replayed
    if is_done and exchange.preference(request, "return") == wanted:
        response.headers["Preference-Applied"] = f"return={wanted}"
    return response


def answer_of(request: Request, done: Written, wanted: str) -> Answer:
    """What became of one write, with the headers of the version that now stands."""
    body, status = shown(request, done, wanted), exchange.status_after(done)
    if done.others or not done.stored.version:
        # Several versions, or none: there is no one ETag to tell.
        return Answer(200 if body else status, body)
    base = "" if done.stored.deleted else fhir_base(request)
    return exchange.version_answer(200 if status == 204 and body else status, done.stored, body=body, base=base)


def _derived(request: Request, done: Written) -> list[str]:
    """Links to what was written because of a write, as header values."""
    return [f'<{fhir_base(request)}/{one.type}/{one.id}>; rel="related"' for one in done.derived[:_MOST_LINKS]]


def shown(request: Request, done: Written, wanted: str) -> bytes:
    """The body the client prefers: "minimal", "representation" or "OperationOutcome"; a deletion shows nothing else.

    What the client may not read is not shown to it.
    """
    if wanted == "OperationOutcome":
        return lossless.dumps(operation_outcome([*_of_deletion(done), *errors.placed_now(request, done.warnings)]))
    is_shown = wanted != "minimal" and done.is_shown
    return (done.stored.content or b"") if is_shown else b""


def _of_deletion(done: Written) -> list[Issue]:
    if not done.stored.deleted:
        return []
    count = 1 + len(done.others)
    text = f"{count} resources were deleted; their history is kept." if count > 1 else _TOLD_OF_DELETION[done.outcome]
    return [Issue("informational", text, severity="information")]


def _name_place(request: Request, response: Response) -> None:
    """Location names what a POST or a creation made; elsewhere Content-Location says which version the body is."""
    place = response.headers.get("location")
    if place is None or response.status_code == 201 or request.method == "POST":
        return
    del response.headers["location"]
    if response.body:
        response.headers["content-location"] = place
