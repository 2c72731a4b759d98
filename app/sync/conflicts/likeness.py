"""Whether two servers say the same of a resource, in whatever form each keeps it."""

import re
from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.fhir.instants import period
from app.profiles import package

# The identifier, or tag, that tells on a target which of our resources one is. It is in what is sent only.
SYNC_ID = f"{package()['canonical']}/sync-id"

# Each server sets these itself; HAPI replaces meta.source with every request.
OF_SERVER = ("versionId", "lastUpdated", "source")
# R4 resource.html#meta: sets, whose order says nothing.
_SETS = ("profile", "tag", "security")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two resources have the same content.

    Ids do not count, since each server has its own, nor what a server writes into meta, nor our sync identifier.
    Values that are equal may be written in different ways: see `form`.
    """
    return form(content(one)) == form(content(other))


def content(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource without its id and without what servers or sync have put there."""
    kept = {name: value for name, value in resource.items() if name not in ("id", "meta", "identifier")}
    meta = resource.get("meta")
    identifier = resource.get("identifier")
    if isinstance(identifier, list):
        identifier = without_sync_id(identifier)
    elif identifier is not None and not without_sync_id([identifier]):
        identifier = None
    return kept | {"meta": _meta(meta) if isinstance(meta, Mapping) else meta, "identifier": identifier}


def _meta(meta: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in meta.items() if name not in OF_SERVER}
    for name in _SETS:
        if isinstance(kept.get(name), list):
            kept[name] = sorted(without_sync_id(kept[name]), key=lambda item: repr(form(item)))
    return kept


def without_sync_id(items: Sequence[Any]) -> list[Any]:
    """The identifiers or tags that are not our own sync identifier."""
    return [item for item in items if not (isinstance(item, Mapping) and item.get("system") == SYNC_ID)]


def form(value: Any, name: str = "") -> Hashable:
    """A value in the one form in which equal ones are equal.

    Servers write 7.50 as 7.5, 10:00+02:00 as 08:00Z, and lay out narrative anew; null and what is empty say nothing.
    name: the JSON name of the value.
    """
    if isinstance(value, Mapping):
        return tuple((key, form(value[key], key)) for key in sorted(value) if value[key] not in (None, [], {}))
    if isinstance(value, list):
        return ("list", *(form(item) for item in value))
    if isinstance(value, bool):
        return ("boolean", value)  # True is 1 in Python
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, str):
        return " ".join(value.split()) if name == "div" else _text(value)
    found: Hashable = value
    return found


def _text(text: str) -> Hashable:
    """A text, or the moment it stands for if it is one to the second with its zone."""
    if not _MOMENT.fullmatch(text):
        return text
    try:
        return ("moment", period(text)[0])
    except ValueError:
        return text
