"""$diff: what changed between two versions of a resource (our OperationDefinition/diff)."""

from app.fhir.differences import Difference, differences
from app.fhir.outcomes import Gone, Issue, NotFound, Refused
from app.routers.operations import held
from app.routers.operations.call import Call, parameters, part, parts
from app.store import repository
from app.store.idempotency import Answer
from app.store.repository import Stored


async def diff(call: Call) -> Answer:
    """The steps of a JSON Patch. Raises NotFound for a version there never was, Gone for one that is a deletion."""
    to = await _version(call, "to", call.given.one("to"))
    before = call.given.one("from", to.version - 1)
    if before < 1:
        raise Refused([Issue("value", "There is no version before the first one.", "to")])
    from_ = await _version(call, "from", before)
    found = differences(from_.content or b"", to.content or b"")
    return parameters(*map(_shown, found))


async def _version(call: Call, name: str, number: int | None) -> Stored:
    if number is None:
        return await held.current(call)
    async with call.service.database.reading() as connection:
        stored = await repository.read_version(connection, call.resource_type, call.resource_id, number)
    if stored is None:
        raise NotFound([Issue("not-found", f"There is no version {number} of this resource.", name)])
    if stored.content is None:
        raise Gone([Issue("deleted", f"Version {number} is the deletion of this resource.", name)])
    return stored


def _shown(step: Difference) -> dict[str, object]:
    return parts(
        "operation",
        part("op", "Code", step.op),
        part("path", "String", step.path),
        part("value", "String", step.value.decode()),
    )
