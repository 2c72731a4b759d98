"""Whose a resource is, and where it says something of a patient."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Refused
from app.fhir.references import local
from app.store.audit.rows import patients_in
from app.store.enqueue import WHOSE
from app.store.parameters import SearchParameters

PATIENT = "Patient"
Identifier = tuple[str, str]  # system, value
# Those they name are members of them, and not what they are about.
_OF_MANY = ("Group",)


class Claim(Enum):
    """What a resource is to a patient: about nobody else; about others too, or about something else and refers to the
    patient; it says something of the patient that is no reference."""

    OWN = "own"
    SHARED = "shared"
    NAMED = "named"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Person:
    """A patient, as the resource here of that id and with these identifiers.

    base: absolute references that start with it are to this server.
    """

    id: str
    identifiers: frozenset[Identifier]
    parameters: SearchParameters
    base: str

    @property
    def words(self) -> list[bytes]:
        """What stands in a content that says something of the patient."""
        values = {lossless.dumps(value)[1:-1] for _, value in self.identifiers if value}
        return [f"{PATIENT}/{self.id}".encode(), *sorted(values)]

    def is_meant(self, reference: Mapping[str, Any]) -> bool:
        """Whether a Reference is to the patient, literally or by an identifier."""
        link, identifier = reference.get("reference"), reference.get("identifier")
        if isinstance(link, str) and (found := local(link, self.base)):
            return found[:2] == (PATIENT, self.id)
        return isinstance(identifier, Mapping) and self._is_own(identifier)

    def claim(self, tree: Mapping[str, Any]) -> Claim:
        """What a resource is to the patient."""
        type_ = str(tree.get("resourceType"))
        if type_ == PATIENT and tree.get("id") == self.id:
            return Claim.OWN
        if type_ == "Bundle":
            return self._of_bundle(tree)
        if any(self.is_meant(each) for each in _subjects(tree)):
            is_only = all(self.is_meant(each) for each in _subjects(tree))
            return Claim.OWN if is_only else Claim.SHARED
        refers = any(self.is_meant(each) for each in _references(tree))
        if refers and type_ not in _OF_MANY and not any(_subjects(tree)) and self._patients(tree) == [self.id]:
            return Claim.OWN
        if refers:
            return Claim.SHARED
        return Claim.NAMED if self.places(tree) else Claim.NONE

    def is_of_others(self, tree: Mapping[str, Any]) -> bool:
        """Whether a resource is about another patient, and not about this one."""
        return bool(_subjects(tree)) and not any(self.is_meant(each) for each in _subjects(tree))

    def known_as(self, remote_id: str) -> "Person":
        """The same patient as another server knows it."""
        return replace(self, id=remote_id)

    def places(self, tree: Mapping[str, Any]) -> list[str]:
        """The paths at which something of the patient stands."""
        return list(self._places(tree, str(tree.get("resourceType", ""))))

    def _places(self, node: Any, path: str) -> Iterator[str]:
        if isinstance(node, Mapping):
            if self._is_own(node) or self.is_meant(node):
                yield path
                return
            for name, value in node.items():
                yield from self._places(value, f"{path}.{name}")
        elif isinstance(node, list):
            for place, one in enumerate(node):
                yield from self._places(one, f"{path}[{place}]")
        elif isinstance(node, str) and self._is_in(node):
            yield path

    def _is_in(self, text: str) -> bool:
        """Whether a text has the address of the patient's record in it."""
        return bool(re.search(rf"\b{PATIENT}/{re.escape(self.id)}(?![\w-]|\.\w)", text, re.ASCII))

    def _is_own(self, identifier: Mapping[str, Any]) -> bool:
        return (identifier.get("system", ""), identifier.get("value")) in self.identifiers

    def _patients(self, tree: Mapping[str, Any]) -> list[str]:
        """Whose compartments it is in."""
        try:
            values = self.parameters.rows(dict(tree), base=self.base)
        except Refused:
            # Stored under other rules.
            return []
        return patients_in(str(tree["resourceType"]), str(tree.get("id", "")), values)

    def _of_bundle(self, tree: Mapping[str, Any]) -> Claim:
        """One whose only Patient this is, is about nobody else."""
        inside = [each.get("resource", {}) for each in tree.get("entry", ()) if isinstance(each, Mapping)]
        patients = [each for each in inside if each.get("resourceType") == PATIENT]
        own = [each for each in patients if self._is_same(each)]
        if own or any(self.claim(each) in (Claim.OWN, Claim.SHARED) for each in inside if each not in patients):
            return Claim.OWN if own == patients else Claim.SHARED
        return Claim.NAMED if self.places(tree) else Claim.NONE

    def _is_same(self, patient: Mapping[str, Any]) -> bool:
        return patient.get("id") == self.id or any(self._is_own(each) for each in patient.get("identifier", ()))


def identifiers_of(tree: Mapping[str, Any]) -> set[Identifier]:
    """The identifiers of a Patient that have a value."""
    found = (each for each in tree.get("identifier", ()) if isinstance(each, Mapping))
    return {(str(each.get("system", "")), str(each["value"])) for each in found if each.get("value")}


def _subjects(tree: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The References to patients that say whose a resource is."""
    values = [tree.get(name) for name in WHOSE]
    every = [one for value in values for one in (value if isinstance(value, list) else [value])]
    return [each for each in every if isinstance(each, Mapping) and _is_of_patient(each)]


def _is_of_patient(reference: Mapping[str, Any]) -> bool:
    link = str(reference.get("reference", ""))
    if link:
        return f"{PATIENT}/" in link
    return "identifier" in reference and reference.get("type", PATIENT) == PATIENT


def _references(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if isinstance(node.get("reference"), str) or isinstance(node.get("identifier"), Mapping):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for one in node:
            yield from _references(one)
