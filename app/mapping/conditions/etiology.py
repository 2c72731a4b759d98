"""What causes a pain: a Condition of its own beside the pain, or a reference to what is recorded already."""

from collections.abc import Sequence

from app.mapping.elements import (
    Element,
    Resource,
    causes_of,
    codeable,
    concept_element,
    concept_of,
    etiology_id,
    finished,
    fixed,
    head,
    named,
    reference,
    standard_extension,
)
from app.pain.concepts import Concept
from app.pain.diagnoses.causes import Etiology
from app.pain.diagnoses.diagnoses import Diagnosis


def cause(diagnosis: Diagnosis, condition: Resource) -> list[Element]:
    """The extension by which a pain names its cause."""
    if diagnosis.etiology is None:
        return []
    own = f"Condition/{etiology_id(condition)}"
    refers_to = diagnosis.etiology if isinstance(diagnosis.etiology, str) else own
    return [standard_extension("due-to", reference(refers_to))]


def etiology_condition(diagnosis: Diagnosis, condition: Resource, *, patient_ref: str) -> list[Resource]:
    """The Condition of the cause, where the diagnosis tells it and does not refer to it."""
    if not isinstance(diagnosis.etiology, Concept):
        return []
    made = head("Condition", etiology_id(condition), "pain-etiology") | {
        "clinicalStatus": codeable(fixed("active")),
        "category": [codeable(fixed("problem-list-item"))],
        "code": concept_element(diagnosis.etiology),
        "subject": reference(patient_ref),
        "encounter": reference(diagnosis.encounter),
        "recordedDate": diagnosis.recorded_at,
        "recorder": reference(diagnosis.recorder),
    }
    return [finished(made)]


def etiology_of(condition: Resource, resources: Sequence[Resource]) -> Etiology | None:
    """The cause a pain names: its code where it was recorded with the pain and is among the resources."""
    causes = causes_of(condition)
    if not causes:
        return None
    refers_to: str = causes[0]["reference"]
    own = named(resources, refers_to) if refers_to == f"Condition/{etiology_id(condition)}" else None
    return (concept_of(own["code"]) if own else None) or refers_to
