"""Compartments: what belongs to a patient, an encounter, a practitioner, a related person or a device (R4 3.1.1.2.1).

app/profiles/r4/compartments.json says by which search parameters a resource belongs.
"""

from collections.abc import Sequence

from app.fhir.compartments import compartments
from app.fhir.outcomes import Issue, NotFound
from app.store.search.tree import Belongs, Criterion, Target


def compartment_of(of: tuple[str, str], types: Sequence[str]) -> tuple[tuple[str, ...], Criterion]:
    """Those of the types that can be in a compartment, and what makes their resources belong to it.

    A resource is in its own compartment.

    Raises NotFound where there is no such compartment, or where none of the types can be in it.
    """
    name, resource_id = of
    members = compartments().get(name, {})
    found = tuple(each for each in types if each in members)
    if not found:
        kind = types[0] if len(types) == 1 else "resources"
        raise NotFound([Issue("not-found", f"R4 has no compartment {name[:64]} that holds {kind}.")])
    params = tuple((each, tuple(members[each])) for each in found if members[each])
    return found, Belongs(Target(resource_id, name), params)
