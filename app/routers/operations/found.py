"""What operations find by search."""

from collections.abc import Sequence
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, TooLarge
from app.routers.exchange import fhir_base
from app.routers.noting import saw
from app.routers.operations.call import Call
from app.store.repository import Stored
from app.store.search import asks_terms, search

Pairs = Sequence[tuple[str, str]]


async def every(call: Call, resource_type: str, given: Pairs, *, most: int) -> list[Stored]:
    """All resources that a search finds, in one snapshot. Raises Refused for a wrong search, TooLarge for more than
    most."""
    parts, cursor, matches = call.service, "", list[Stored]()
    size = min(most + 1, parts.settings.max_page_size)
    asked = [*given, ("_count", str(size)), ("_total", "none")]
    if asks_terms(name for name, _ in given):
        await parts.intake.definitions.refresh()
    async with parts.database.reading() as connection:
        while True:
            pairs = [*asked, ("_cursor", cursor)] if cursor else asked
            query = parts.searcher.parse(resource_type, pairs, strict=True, base=fhir_base(call.request))
            page = await search(connection, query)
            matches += page.matches
            saw(call.request, page.matches)
            cursor = page.next
            if len(matches) > most:
                told = f"This concerns more than {most} {resource_type} resources; ask for less at once."
                raise TooLarge([Issue("too-costly", told)])
            if not cursor:
                return matches


async def resources(call: Call, resource_type: str, given: Pairs, *, most: int) -> list[dict[str, Any]]:
    """The same, parsed."""
    matches = await every(call, resource_type, given, most=most)
    return [lossless.parse_object(each.content or b"{}") for each in matches]
