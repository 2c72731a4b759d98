"""Links between the writes of one transaction, and references by search: both become literal references."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import is_conditional, references, resolved, rewrite
from app.intake.conditions import Conditions
from app.intake.writes import Write


def checkable(write: Write) -> dict[str, Any]:
    """The resource as it is checked: in a transaction a reference may be conditional, and is resolved later."""
    if not write.path or not any(is_conditional(link) for link in references(write.tree)):
        return dict(write.tree or {})
    text = rewrite(write.text, lambda link: f"{link.partition('?')[0]}/condition" if is_conditional(link) else link)
    return lossless.parse_object(text)


async def linked(writes: Sequence[Write], conditions: Conditions) -> list[Write]:
    """The writes, each with its id, with their links replaced. Raises Refused for a link that leads nowhere."""
    names = {write.full_url: f"{write.type}/{write.id}" for write in writes if write.full_url}
    return [await _linked(write, names, conditions) for write in writes]


async def _linked(write: Write, names: Mapping[str, str], conditions: Conditions) -> Write:
    # The links of a Bundle that is stored as it is are its own.
    if write.tree is None or write.type == "Bundle" or not (write.path or names):
        return write
    found: dict[str, str] = {}
    for link in set(references(write.tree)):
        if write.path and is_conditional(link):
            found[link] = await conditions.reference(link, write.path)
        elif link not in names and link.startswith(("urn:uuid:", "urn:oid:")):
            told = "A reference names no entry of this transaction."
            raise Refused([Issue("not-found", told, f"{write.path}.resource", rule="dmt-bundle-link")])
    text = rewrite(write.text, lambda link: found.get(link) or resolved(link, write.full_url, names))
    return write if text is write.text else replace(write, text=text, tree=lossless.parse_object(text))
