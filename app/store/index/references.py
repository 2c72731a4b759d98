"""Index values of reference parameters (R4 3.1.1.4.11)."""

from collections.abc import Iterator
from typing import Any

from app.store.index.rows import Found, Given
from app.store.index.tokens import identifier_tokens
from app.store.index.values import literal
from app.store.tables import SearchReference


def references(given: Given, base: str) -> Iterator[Found]:
    """Rows of a Reference, canonical or uri, and of a resource that stands in the place of a reference to it."""
    value = given.value
    if isinstance(value, str):
        yield from _link(value, base)
        url, _, version = value.partition("|")
        if version and given.type == "canonical":
            yield from _link(url, base)
    elif not isinstance(value, dict):
        return
    elif isinstance(value.get("resourceType"), str):
        yield from _inline(value)
    else:
        if isinstance(value.get("reference"), str):
            yield from _link(value["reference"], base)
        if isinstance(value.get("identifier"), dict):
            yield from identifier_tokens(value["identifier"], ":identifier")


def _link(text: str, base: str) -> Iterator[Found]:
    target = literal(text.removeprefix(f"{base}/") if base else text)
    if target:
        yield SearchReference, "", {"target_id": target[1], "target_type": target[0]}


def _inline(value: dict[str, Any]) -> Iterator[Found]:
    """The first entry of a document or message Bundle: the Bundle is found by its id."""
    if isinstance(value.get("id"), str):
        yield SearchReference, "", {"target_id": value["id"], "target_type": value["resourceType"]}
