"""What happens to resources after they were written: amended, or entered in error. Nothing is deleted."""

from collections.abc import Callable, Sequence
from typing import Any

from app.mapping.elements import ERROR, Resource, codeable, fixed, is_error

# R4 has the status "amended" for these only; the others keep the status they are written with.
_AMENDED = ("Observation", "QuestionnaireResponse")


def amended(previous: Sequence[Resource], fresh: Sequence[Resource]) -> list[Resource]:
    """The fresh resources, amended where an earlier version exists, then what is no longer part of the record,
    entered in error."""
    before = {_name(one) for one in previous}
    now = {_name(one) for one in fresh}
    dropped = [one for one in previous if _name(one) not in now and not is_error(one)]
    return [_as_amended(one) if _name(one) in before else one for one in fresh] + withdraw(dropped)


def withdraw(resources: Sequence[Resource]) -> list[Resource]:
    """All resources as entered in error; content kept, so that history can still be read."""
    return [_WITHDRAWN.get(one["resourceType"], _by_status)(one) for one in resources]


def _name(resource: Resource) -> tuple[str, str]:
    return resource["resourceType"], resource["id"]


def _as_amended(resource: Resource) -> Resource:
    return resource | {"status": "amended"} if resource["resourceType"] in _AMENDED else resource


def _by_status(resource: Resource) -> dict[str, Any]:
    return resource | {"status": ERROR}


def _condition(resource: Resource) -> dict[str, Any]:
    # con-5: a condition entered in error has no clinical status.
    kept = {key: value for key, value in resource.items() if key != "clinicalStatus"}
    return kept | {"verificationStatus": codeable(fixed(ERROR))}


def _goal(resource: Resource) -> dict[str, Any]:
    return resource | {"lifecycleStatus": ERROR}


_WITHDRAWN: dict[str, Callable[[Resource], dict[str, Any]]] = {"Condition": _condition, "Goal": _goal}
