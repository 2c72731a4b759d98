"""References that no search parameter finds, in extensions above all: a deletion must see them too."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.fhir.references import references
from app.store.index.values import literal

# No code of a search parameter is this.
UNNAMED = "*"


def unnamed(resource: Mapping[str, Any], named: Iterable[Mapping[str, Any]], base: str) -> list[dict[str, str | int]]:
    """Rows of references to resources of this server that are not among the rows of search parameters."""
    known = {(row["target_type"], row["target_id"]) for row in named}
    found: dict[tuple[str, str], None] = {}
    # What a Bundle holds refers to what the Bundle holds.
    for link in references(resource) if resource["resourceType"] != "Bundle" else ():
        target = literal(link.removeprefix(f"{base}/") if base else link)
        if target and target[0] and target not in known:
            found[target] = None
    return [
        {"param": UNNAMED, "item": item, "target_id": target_id, "target_type": target_type}
        for item, (target_type, target_id) in enumerate(found)
    ]
