"""What a client says of its request in the header X-Provenance (R4 http.html, "Supporting Provenance")."""

from dataclasses import dataclass
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused

TYPE = "Provenance"
_TARGET = [{"reference": "Resource/1"}]
_HEADER = "The header X-Provenance must be one Provenance resource in JSON (UTF-8)."
_WITH_TARGET = "Leave out target: it is what this request creates, changes or deletes."


@dataclass(frozen=True, slots=True)
class Said:
    """A Provenance without target, as JSON text."""

    text: bytes

    @classmethod
    def read(cls, header: str) -> "Said":
        """Raises Refused for a header that is none."""
        try:
            # Header values are bytes; the framework reads them as Latin-1.
            text = header.encode("latin-1")
            tree = lossless.parse_object(text)
        except (Refused, ValueError):
            raise Refused([Issue("structure", _HEADER)]) from None
        if tree.get("resourceType") != TYPE:
            raise Refused([Issue("structure", _HEADER, "Provenance.resourceType")])
        wrong = [name for name in ("target", "id") if name in tree]
        if wrong:
            raise Refused(Issue("structure", _WITH_TARGET, f"Provenance.{name}") for name in wrong)
        return cls(text)

    @property
    def checked(self) -> dict[str, Any]:
        """As it is checked before it is known what it is about."""
        return {**lossless.parse_object(self.text), "target": _TARGET}
