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
# Those they name are members of them, or targets of what was done, and not what they are about.
_OF_MANY = ("Group", "Provenance")
# An identifier that is shorter stands in text and in ids by chance.
LEAST_LETTERS = 4


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

    base: absolute references that start with it are to this server. ambiguous: identifiers of the patient that others
    have as well, so that who is meant by them cannot be told.
    """

    id: str
    identifiers: frozenset[Identifier]
    parameters: SearchParameters
    base: str
    ambiguous: frozenset[Identifier] = frozenset()

    @property
    def words(self) -> list[bytes]:
        """What stands in a content that says something of the patient."""
        values = {lossless.dumps(value)[1:-1] for _, value in self.identifiers | self.ambiguous if value}
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
        meant = self._subjects(tree)
        if any(meant):
            return Claim.OWN if all(meant) else Claim.SHARED
        refers = any(self.is_meant(each) for each in references_in(tree))
        if refers and type_ not in _OF_MANY and not has_subject(tree) and self._patients(tree) == [self.id]:
            return Claim.OWN
        if refers:
            return Claim.SHARED
        return Claim.NAMED if self.places(tree) else Claim.NONE

    def is_of_others(self, tree: Mapping[str, Any]) -> bool:
        """Whether a resource is about another patient, and not about this one."""
        meant = self._subjects(tree)
        return bool(meant) and not any(meant)

    def known_as(self, remote_id: str) -> "Person":
        """The same patient as another server knows it."""
        return replace(self, id=remote_id)

    def places(self, tree: Mapping[str, Any]) -> list[str]:
        """The paths at which something of the patient stands."""
        return list(self._places(tree, str(tree.get("resourceType", ""))))

    def _places(self, node: Any, path: str) -> Iterator[str]:
        if isinstance(node, Mapping):
            if self._is_identifier(node) or self.is_meant(node):
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
        """Whether a text has the address of the patient's record in it, or an identifier."""
        values = (value for _, value in self.identifiers | self.ambiguous if len(value) >= LEAST_LETTERS)
        words = (f"{PATIENT}/{self.id}", *values)
        return any(word in text and re.search(rf"(?<!\w){re.escape(word)}(?![\w-]|\.\w)", text) for word in words)

    def _is_own(self, identifier: Mapping[str, Any]) -> bool:
        return _told_by(identifier) in self.identifiers

    def _is_identifier(self, node: Mapping[str, Any]) -> bool:
        return _told_by(node) in self.identifiers | self.ambiguous

    def _subjects(self, tree: Mapping[str, Any]) -> list[bool]:
        """Of each patient a resource is about, whether it is this one; contained ones too."""
        contained = {f"#{each.get('id')}": each for each in tree.get("contained", ()) if isinstance(each, Mapping)}
        for name in WHOSE:
            found = ((each, contained.get(str(each.get("reference")), {})) for each in _listed(tree.get(name)))
            meant = [
                self._has_own(inner) if inner else self.is_meant(each)
                for each, inner in found
                if _is_of_patient(each) or inner.get("resourceType") == PATIENT
            ]
            # Whom it was sent to is not whom it is about, where that is told.
            if meant:
                return meant
        return []

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
        others = [each for each in patients if not self._is_same(each)]
        claims = [self.claim(each) for each in inside if each not in patients]
        if len(others) < len(patients) or Claim.OWN in claims or Claim.SHARED in claims:
            is_only = not others and Claim.SHARED not in claims and not any(self.is_of_others(each) for each in inside)
            return Claim.OWN if is_only else Claim.SHARED
        return Claim.NAMED if self.places(tree) else Claim.NONE

    def _is_same(self, patient: Mapping[str, Any]) -> bool:
        return patient.get("id") == self.id or self._has_own(patient)

    def _has_own(self, patient: Mapping[str, Any]) -> bool:
        return any(self._is_own(each) for each in patient.get("identifier", ()))


def identifiers_of(tree: Mapping[str, Any]) -> set[Identifier]:
    """The identifiers of a Patient that have a value."""
    found = (each for each in tree.get("identifier", ()) if isinstance(each, Mapping))
    return {(str(each.get("system", "")), str(each["value"])) for each in found if each.get("value")}


def has_subject(tree: Mapping[str, Any]) -> bool:
    """Whether a resource says whose it is, or of what."""
    return any(_listed(tree.get(name)) for name in WHOSE)


def _listed(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Mapping)]


def _is_of_patient(reference: Mapping[str, Any]) -> bool:
    link = str(reference.get("reference", ""))
    if link:
        return f"{PATIENT}/" in link
    return "identifier" in reference and reference.get("type", PATIENT) == PATIENT


def references_in(node: Any) -> Iterator[Mapping[str, Any]]:
    """All that may be a Reference."""
    if isinstance(node, Mapping):
        if isinstance(node.get("reference"), str) or isinstance(node.get("identifier"), Mapping):
            yield node
        for value in node.values():
            yield from references_in(value)
    elif isinstance(node, list):
        for one in node:
            yield from references_in(one)


def _told_by(node: Mapping[str, Any]) -> tuple[str, str]:
    """System and value of what may be an identifier; other things have values of other kinds."""
    system, value = node.get("system", ""), node.get("value")
    return (system, value) if isinstance(system, str) and isinstance(value, str) else ("", "")
