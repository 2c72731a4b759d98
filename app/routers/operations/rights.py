"""What each operation asks of a limited client before it begins. One that has no row here is for nobody limited."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum

from app.fhir.outcomes import Forbidden, Issue
from app.routers.operations.table import Operation
from app.routers.rights import require_whole
from app.security.grants import ADMINISTRATION, Principal
from app.store.sight import wholly


class Asks(Enum):
    """SIGHTED: it reads and writes by doors that leave out what may not be seen (app/store/sight.py).

    POSTED: it works on what is sent. PUBLISHED: on what is in memory of its types for everybody, so all of these must
    be readable. WHOLE: it reads everything of some types; the handler asks, as only it knows which.
    """

    SIGHTED = "sighted"
    POSTED = "posted"
    PUBLISHED = "published"
    WHOLE = "whole"
    ADMINISTRATION = "administration"


ASKS: Mapping[str, Asks] = {
    "Resource-validate": Asks.SIGHTED,
    "StructureDefinition-snapshot": Asks.PUBLISHED,
    "Resource-meta": Asks.SIGHTED,
    "Resource-meta-add": Asks.SIGHTED,
    "Resource-meta-delete": Asks.SIGHTED,
    "Patient-everything": Asks.SIGHTED,
    "Observation-lastn": Asks.SIGHTED,
    "Observation-stats": Asks.SIGHTED,
    "ValueSet-expand": Asks.PUBLISHED,
    "ValueSet-validate-code": Asks.PUBLISHED,
    "CodeSystem-validate-code": Asks.PUBLISHED,
    "CodeSystem-lookup": Asks.PUBLISHED,
    "CodeSystem-subsumes": Asks.PUBLISHED,
    "ConceptMap-translate": Asks.PUBLISHED,
    "QuestionnaireResponse-extract": Asks.SIGHTED,
    "backport-subscription-status": Asks.SIGHTED,
    "backport-subscription-events": Asks.SIGHTED,
    "export": Asks.WHOLE,
    "patient-export": Asks.WHOLE,
    "group-export": Asks.WHOLE,
    "changes": Asks.WHOLE,
    "$viewdefinition-run": Asks.WHOLE,
    "$viewdefinition-export": Asks.WHOLE,
    "diff": Asks.SIGHTED,
    "erase": Asks.ADMINISTRATION,
    "Patient-merge": Asks.ADMINISTRATION,
    "unmerge": Asks.ADMINISTRATION,
    "reindex": Asks.ADMINISTRATION,
    "reindex-status": Asks.ADMINISTRATION,
}


def granted(operation: Operation, who: Principal) -> AbstractContextManager[None]:
    """What an operation is called within. Raises Forbidden."""
    if who.is_unlimited:
        return nullcontext()
    asks = ASKS.get(operation.id)
    if asks is None or (asks is Asks.ADMINISTRATION and not who.is_admin):
        told = f"${operation.code} needs the scope {ADMINISTRATION}."
        raise Forbidden([Issue("forbidden", told, rule="dmt-scope")])
    if asks is Asks.PUBLISHED:
        require_whole(operation.types)
    return wholly() if asks is Asks.ADMINISTRATION else nullcontext()
