"""What a token lets one do: SMART App Launch 2.2 clinical scopes, versions 1 and 2, as values. No HTTP, no tokens.

docs/access.md tells the rules under "What a scope lets one do".
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.fhir.compartments import compartments

RIGHTS = "cruds"
ADMINISTRATION = "dermatome/admin"
METRICS = "dermatome/metrics"
FURTHER = (ADMINISTRATION, METRICS)
# Who may do everything else may still not read who did what: a scope must name it.
NAMED_ONLY = frozenset({"AuditEvent"})
# What stands in no patient's compartment because it is about no patient: whoever serves one may read it. The other
# types outside the compartment (Task, Binary, Bundle, Device, ...) can tell of any patient and stay closed.
_SHARED = """
    ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap
    DeviceDefinition Endpoint EventDefinition GraphDefinition HealthcareService ImplementationGuide InsurancePlan
    Library Location Measure Medication MedicationKnowledge MessageDefinition NamingSystem ObservationDefinition
    OperationDefinition Organization OrganizationAffiliation PlanDefinition Practitioner PractitionerRole
    Questionnaire SearchParameter SpecimenDefinition StructureDefinition StructureMap Substance
    TerminologyCapabilities ValueSet
"""
SHARED = frozenset(_SHARED.split())
# They decide what every resource is checked by: to write them is administration.
ADMINISTERED = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_VERSION_1 = {"read": "rs", "write": "cud", "*": RIGHTS}
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{1,63})\.(read|write|\*|c?r?u?d?s?)(?:\?([!-~]+))?")


@dataclass(frozen=True, slots=True)
class Grant:
    """One scope. context: patient, user or system; type: * for any; query: the search that narrows it, "" for none."""

    context: str
    type: str
    rights: frozenset[str]
    query: str = ""

    def covers(self, right: str, resource_type: str) -> bool:
        """Whether it says anything of this right to this type."""
        is_named = self.type == resource_type or (self.type == "*" and resource_type not in NAMED_ONLY)
        return right in self.rights and is_named


@dataclass(frozen=True, slots=True)
class Limit:
    """Resources that are allowed: in the compartment of this patient, if named, and found by this search, if given."""

    patient: str = ""
    query: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and what may be done for them. patient: the id of the one a launch is about; expires: in seconds.

    further: those of the FURTHER scopes that were granted.
    """

    subject: str
    client_id: str = ""
    issuer: str = ""
    grants: tuple[Grant, ...] = ()
    patient: str = ""
    fhir_user: str = ""
    token_id: str = ""
    expires: int = 0
    further: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        """Whether it may administer: sync, reindexing, definitions."""
        return ADMINISTRATION in self.further

    @property
    def may_measure(self) -> bool:
        """Whether it may read the metrics."""
        return self.is_admin or METRICS in self.further

    @property
    def is_unlimited(self) -> bool:
        """Whether nothing at all is kept from it."""
        return self is EVERYONE

    def may(self, right: str, resource_type: str) -> bool:
        """Whether the right, one of c r u d s, is given to anything of a type at all."""
        return self.limits(right, resource_type) != ()

    def limits(self, right: str, resource_type: str) -> tuple[Limit, ...] | None:
        """What a resource of the type must meet one of; None where every one is allowed, () where none is."""
        found = tuple(dict.fromkeys(self._limits(right, resource_type)))
        return None if Limit() in found else found

    def _limits(self, right: str, resource_type: str) -> Iterator[Limit]:
        if right in "cud" and resource_type in ADMINISTERED and not self.is_admin:
            return
        for grant in self.grants:
            if not grant.covers(right, resource_type):
                continue
            if grant.context != "patient":
                yield Limit("", grant.query)
            elif self.patient and resource_type in compartments()["Patient"]:
                yield Limit(self.patient, grant.query)
            elif self.patient and resource_type in SHARED and right in "rs":
                yield Limit("", grant.query)


# Who has not said who they are, where that is asked for.
NOBODY = Principal(subject="anonymous")
EVERYONE = Principal(
    subject="anonymous",
    grants=(Grant("system", "*", frozenset(RIGHTS)), Grant("system", "AuditEvent", frozenset(RIGHTS))),
    further=frozenset(FURTHER),
)


def written(principal: Principal) -> str:
    """What a principal may do, without who it is, as a text that `read` reads."""
    rows = [[each.context, each.type, "".join(sorted(each.rights)), each.query] for each in principal.grants]
    return json.dumps([principal.patient, rows], separators=(",", ":"))


def read(text: str) -> Principal:
    """Somebody who may do what `written` wrote down."""
    patient, rows = json.loads(text)
    grants = tuple(Grant(context, type_, frozenset(rights), query) for context, type_, rights, query in rows)
    return Principal("", grants=grants, patient=patient)


def parse(scope: str) -> tuple[Grant, ...]:
    """The grants of a scope claim; what is no clinical scope is left out (see `left_out`)."""
    made = (_grant(each) for each in scope.split())
    return tuple(dict.fromkeys(grant for grant in made if grant is not None))


def further(scope: str) -> frozenset[str]:
    """Those of our own scopes that a scope claim holds."""
    return frozenset(scope.split()) & frozenset(FURTHER)


def left_out(scope: str) -> tuple[str, ...]:
    """The scopes of a claim that give no access to data here, such as openid, launch/patient or a misspelt one."""
    return tuple(each for each in dict.fromkeys(scope.split()) if each not in FURTHER and _grant(each) is None)


def _grant(scope: str) -> Grant | None:
    """One scope as a grant. A query belongs to version 2 only, and rights stand in the order of the letters."""
    match = _SCOPE.fullmatch(scope)
    if match is None or not match[3] or (match[3] in _VERSION_1 and match[4]):
        return None
    return Grant(match[1], match[2], frozenset(_VERSION_1.get(match[3], match[3])), match[4] or "")
