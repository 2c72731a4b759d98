"""Three-way merge of FHIR JSON: what is stored, what we had written, what we write now.

Where we change nothing, what is stored stays; where we do, ours is written, and in lists only our own items are
replaced or removed. Values such as a CodeableConcept or a Quantity are taken whole: half of one means something else.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

Key = tuple[Any, int]


def three_way(stored: Any, ours: Any, new: Any) -> Any:
    """The value to be kept, None for none. ours: what we had written there, None for nothing."""
    if new == ours:
        return stored
    if stored is None or stored == ours:
        return new
    if isinstance(stored, list):
        return merged_list(stored, ours or [], new or [])
    return new


def merged_list(stored: Sequence[Any], ours: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """Our new items, each with what others added to it, then the items others have added."""
    kept, before, after = _by_key(stored), _by_key(ours), _by_key(new)
    mine = [
        _item(kept.get(key), before.get(key), item)
        for key, item in after.items()
        # Others have taken it out, and we do not change it.
        if key in kept or item != before.get(key)
    ]
    return mine + [item for key, item in kept.items() if key not in after and key not in before]


def with_theirs(stored: Sequence[Any], ours: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """Our new items as they are, then the items others have added."""
    known = {**_by_key(ours), **_by_key(new)}
    return [*new, *(item for key, item in _by_key(stored).items() if key not in known)]


def _item(stored: Any, ours: Any, new: Any) -> Any:
    if not (isinstance(stored, dict) and isinstance(new, dict)):
        return new
    own = ours if isinstance(ours, dict) else {}
    merged = {key: three_way(stored.get(key), own.get(key), new.get(key)) for key in dict.fromkeys([*new, *stored])}
    return {key: value for key, value in merged.items() if value not in (None, [])}


def _by_key(items: Sequence[Any]) -> dict[Key, Any]:
    """The items by what they are about, and which of several with the same."""
    seen: Counter[Any] = Counter()
    keyed = {}
    for item in items:
        identity = identity_of(item)
        keyed[identity, seen[identity]] = item
        seen[identity] += 1
    return keyed


def identity_of(item: Any) -> Any:
    """What a list item is about, however else it was changed; None where only its place tells."""
    if not isinstance(item, Mapping):
        return str(item)
    for name in ("linkId", "url", "sequence"):
        if name in item:
            return name, str(item[name])
    if "value" in item and "system" in item:
        return "identifier", str(item["system"]), str(item["value"])
    for name in ("reference", "code", "type", "measure"):
        if found := _named(item.get(name)):
            return name, found
    return _named(item) or ("text" in item and str(item["text"])) or None


def _named(value: Any) -> Any:
    """The reference, or the first code, of a Reference, code, Coding or CodeableConcept."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Mapping):
        return None
    if isinstance(value.get("reference"), str):
        return value["reference"]
    codings = value.get("coding")
    first = codings[0] if isinstance(codings, list) and codings else value
    return (str(first.get("system")), str(first["code"])) if isinstance(first, Mapping) and "code" in first else None
