"""What is behind a pain: the disease or injury that causes it, and the mechanisms that are presumed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.pain.coded import concept_view
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.diagnoses.basis import RESTS_ON
from app.pain.diagnoses.codes import code_reader
from app.pain.reading import Place, Reader, choice, fields, reference, several

# What R4's condition-dueTo can refer to.
_CAUSES = ("Condition", "Procedure", "MedicationAdministration", "Immunization", "MedicationStatement")

# A concept is recorded with the pain; a reference, such as "Condition/7", is to what is recorded already.
Etiology = str | Concept


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A presumed mechanism. Mechanisms are inferred, never measured: each refers to its evidence."""

    code: str
    evidence: tuple[str, ...]
    certainty: str | None = None


def mechanism_reader(content: Content) -> Reader:
    readers: dict[str, Reader] = {
        "code": choice(sorted(content.codes("np-mechanism"))),
        "certainty": choice(("low", "moderate", "high")),
        "evidence": several(reference(*RESTS_ON), at_least=1),
    }

    def read(value: Any, place: Place) -> Mechanism:
        return Mechanism(**fields(value, place, readers, required=("code", "evidence")))

    return read


def mechanism_view(one: Mechanism) -> dict[str, Any]:
    view = {"code": one.code, "evidence": list(one.evidence)}
    return view | ({"certainty": one.certainty} if one.certainty else {})


def etiology_reader(content: Content) -> Reader:
    """A reader of a reference, or of the code of the cause as that of a diagnosis is read."""
    read_reference, read_code = reference(*_CAUSES), code_reader(content)

    def read(value: Any, place: Place) -> Etiology | None:
        found: Etiology | None = (read_code if isinstance(value, list | Mapping) else read_reference)(value, place)
        return found

    return read


def etiology_view(one: Etiology) -> Any:
    return one if isinstance(one, str) else concept_view(one)
