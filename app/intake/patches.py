"""What is made ready before the write transaction: patches are applied to what is current, and then checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, TooLarge
from app.fhir.patch import apply
from app.intake.conditions import Conditions
from app.intake.policy import Policy
from app.intake.problems import Problems
from app.intake.resolution import required
from app.intake.rights import standing
from app.intake.versions import Placed, require_here, require_match
from app.intake.writes import Write
from app.store import repository
from app.store.database import Connection
from app.store.repository import Stored
from app.store.sight import wholly
from app.validation.packages.shapes import DEFINITION_TYPES


@dataclass(frozen=True, slots=True)
class Ready:
    """Writes as they are checked and saved, of a PATCH the resource that comes of it.

    asked: as they were asked for. foreseen: for each the id it will have, as far as that had to be known, else "".
    based_on: for each the version that was patched, else 0. warnings: about each.
    """

    asked: Sequence[Write]
    writes: Sequence[Write]
    foreseen: Sequence[str]
    based_on: Sequence[int]
    warnings: Sequence[Sequence[Issue]] = ()


def needs_reading(write: Write) -> bool:
    """Whether a write cannot be checked without what is there: patches, and definitions by condition."""
    return write.method == "PATCH" or bool(write.condition and write.type in DEFINITION_TYPES)


async def ready(
    writes: Sequence[Write], connection: Connection, conditions: Callable[[Connection], Conditions], policy: Policy
) -> Ready:
    """The writes with their patches applied to what is current. Raises Refused with all that stands against it."""
    problems, asked = Problems(), conditions(connection)
    made: list[Write] = []
    foreseen, based_on = [""] * len(writes), [0] * len(writes)
    for place, write in enumerate(writes):
        made.append(write)
        if not needs_reading(write):
            continue
        with problems.kept():
            match = write.id or await asked.match(write.type, write.condition, write.path)
            foreseen[place] = match
            if write.method == "PATCH":
                current = await _known(connection, Placed(place, replace(write, id=required(write, match))))
                made[place], based_on[place] = _patched(replace(write, id=match), current, policy.max_body_bytes)
                made[place] = replace(made[place], id=write.id)
    problems.refuse()
    return Ready(writes, made, foreseen, based_on)


async def _known(connection: Connection, one: Placed) -> Stored | None:
    """What is there, as far as the one who patches may know of it. Raises Forbidden like Standing.of."""
    with wholly():
        found = await repository.read(connection, *one.key)
    return (await standing(connection, [one], {one.key: found} if found else {})).of(one)


def _patched(write: Write, current: Stored | None, most: int) -> tuple[Write, int]:
    require_match(write, current)
    require_here(write, current)
    if current is None or current.content is None or write.patch is None:
        raise ValueError("a PATCH needs a patch and something to apply it to")
    try:
        text = apply(write.patch, current.content)
        if len(text) > most:
            told = f"The patch makes the resource larger than the {most} bytes this server takes."
            raise TooLarge([Issue("too-long", told)])
        return replace(write, text=text, tree=lossless.parse_object(text)), current.version
    except Refused as refused:
        # In a Bundle the patch is not the body: its own places mean nothing there.
        raise type(refused)(_in_entry(issue, write.path) for issue in refused.issues) from None


def _in_entry(issue: Issue, path: str) -> Issue:
    return replace(issue, expression=f"{path}.resource", pointer=None) if path else issue
