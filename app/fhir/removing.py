"""Taking references out of a resource, each with whatever cannot be there without it."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from app import profiles
from app.fhir.fhirpath import r4_model

IsGone = Callable[[Mapping[str, Any]], bool]

_RESOURCE, _REFERENCE = "Resource", "Reference"
# Besides what has a minimum: an extension without a value says nothing (ext-1), nor does who takes part and is nobody.
_NEEDED = frozenset({"Extension.value", "Appointment.participant.actor"})


def without(resource: Mapping[str, Any], is_gone: IsGone) -> tuple[dict[str, Any] | None, list[str]]:
    """The resource without the References that are gone, and the paths at which these stood.

    An item goes with the reference it is about, as a Group.member does. None where the resource itself needs one.
    """
    found: list[str] = []
    name = str(resource.get("resourceType", ""))
    return _without(resource, _RESOURCE, name, is_gone, found), found


def _without(
    node: Mapping[str, Any], declared: str, path: str, is_gone: IsGone, found: list[str]
) -> dict[str, Any] | None:
    if declared == _REFERENCE and is_gone(node):
        found.append(path)
        return None
    type_ = str(node.get("resourceType", "")) if declared == _RESOURCE else declared
    types = r4_model().json_types(type_)
    made: dict[str, Any] = {}
    for name, value in node.items():
        below = "Element" if name.startswith("_") else types.get(name, "")
        kept = _kept(value, below, f"{path}.{name}", is_gone, found)
        if kept is not None:
            made[name] = kept
        elif value is not None and f"{type_}.{_spelled(name, below)}" in _needed():
            return None
    return made or None


def _kept(value: Any, declared: str, path: str, is_gone: IsGone, found: list[str]) -> Any:
    if isinstance(value, Mapping):
        return _without(value, declared, path, is_gone, found)
    if not isinstance(value, list):
        return value
    kept = []
    for place, one in enumerate(value):
        inner = _without(one, declared, f"{path}[{place}]", is_gone, found) if isinstance(one, Mapping) else one
        if inner is not None or one is None:
            kept.append(inner)
    return kept or None


def _spelled(name: str, declared: str) -> str:
    """The name of an element as definitions have it: that of a choice without its type."""
    is_choice = declared[:1].isupper() and name.endswith(declared) and name != declared
    return name[: -len(declared)] if is_choice else name


@cache
def _needed() -> frozenset[str]:
    """The paths of elements that cannot be left out, as "Group.member.entity"."""
    elements = (each for type_ in profiles.r4()["types"].values() for each in type_["element"])
    return _NEEDED | {each["path"].removesuffix("[x]") for each in elements if each.get("min", 0) > 0}
