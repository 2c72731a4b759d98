"""Patches that entries of a Bundle bring: Parameters, or a Binary that holds one (R4 3.1.0.6, 3.1.0.11.2)."""

import base64
from dataclasses import dataclass, replace
from typing import Any, Protocol

from app.fhir import json as lossless
from app.fhir.media_types import MediaType, media_type
from app.fhir.outcomes import Issue, Refused, TooLarge, WrongMediaType
from app.fhir.patch import MEDIA_TYPES, Patch, read_patch
from app.fhir.xml import from_xml
from app.intake.policy import Policy

_FHIR_JSON, _FHIR_XML = "application/fhir+json", "application/fhir+xml"


class Checker(Protocol):
    """What validation offers here."""

    def problems(self, resource: dict[str, Any]) -> list[Issue]: ...


@dataclass(slots=True)
class Patches:
    """Reads the patches of one Bundle, which together hold no more values than a body may.

    left: how many values those that are not read yet may have.
    """

    checker: Checker
    depth: int
    most: int
    left: int

    @classmethod
    def of(cls, checker: Checker, policy: Policy) -> "Patches":
        return cls(checker, policy.max_body_depth, policy.max_body_values, policy.max_body_values)

    def read(self, resource: dict[str, Any], path: str) -> Patch:
        """The patch of the resource of an entry. Raises Refused with what is wrong. path: where the resource stands."""
        kind = resource.get("resourceType")
        if kind == "Binary":
            return self._of_binary(resource, path)
        if kind != "Parameters":
            told = "A PATCH in a Bundle takes Parameters (FHIRPath Patch), or a Binary that holds a JSON Patch."
            raise Refused([Issue("value", told, path, rule="dmt-bundle-entry")])
        try:
            return read_patch(_FHIR_JSON, resource)
        except Refused as refused:
            raise type(refused)(issue.within(path) for issue in refused.issues) from None

    def _of_binary(self, binary: dict[str, Any], path: str) -> Patch:
        issues = [issue for issue in self.checker.problems(binary) if issue.is_error]
        if not binary.get("data"):
            told = "A Binary that is a patch needs data: the patch, in base64."
            issues = [*issues, Issue("required", told, "Binary.data", rule="dmt-bundle-entry")]
        if issues:
            raise Refused(issue.within(path) for issue in issues)
        kind = media_type(binary["contentType"])
        if not _is_patch(kind):
            told = f"The contentType of a Binary that is a patch is one of {', '.join(MEDIA_TYPES)}, in UTF-8."
            raise WrongMediaType([Issue("not-supported", told, f"{path}.contentType", rule="dmt-bundle-entry")])
        # White space may stand in base64Binary (R4 datatypes.html).
        text = base64.b64decode("".join(binary["data"].split()), validate=True)
        self.left -= lossless.values_in(text)
        if self.left < 0:
            told = f"The patches of the Bundle hold more than the {self.most} values this server takes."
            raise TooLarge([Issue("too-long", told, f"{path}.data")])
        try:
            return self._read(kind.name, text)
        except Refused as refused:
            # Places within the data are no places of the Bundle.
            raise type(refused)(
                replace(issue, diagnostics=_of_data(issue), expression=f"{path}.data", pointer=None, line=0, column=0)
                for issue in refused.issues
            ) from None

    def _read(self, name: str, text: bytes) -> Patch:
        text = from_xml(text).text if name == _FHIR_XML else text
        return read_patch(name, lossless.parse(text, depth=self.depth))


def _of_data(issue: Issue) -> str:
    place = f" ({issue.expression or issue.pointer})" if issue.expression or issue.pointer else ""
    return f"In the patch{place}: {issue.diagnostics}"


def _is_patch(kind: MediaType) -> bool:
    return kind.name in MEDIA_TYPES and kind.is_utf8 and kind.is_r4
