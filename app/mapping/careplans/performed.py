"""What was done of a plan, and when it takes place: Procedure, Device and Appointment, there and back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.mapping.careplans.request import SERVICE, Planned, device_of, listed, what
from app.mapping.elements import (
    Element,
    Resource,
    concept_element,
    concept_of,
    extension,
    extensions,
    finished,
    head,
    named,
    reference,
    site_element,
    target,
)
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.plans.activities import Activity
from app.pain.plans.done import Done, ImplantedDevice, Session

# GS1 element string: the application identifier of the model, and its 14 digits (GS1 General Specifications, 3.3).
_GS1, _GS1_DIGITS = "(01)", 14


@dataclass(frozen=True, slots=True)
class Performed:
    """A session, or something done, with what tells it from others in every version of a plan: the type of its
    resource, and what it is of (its first code, or its words)."""

    kind: str
    of: str
    part: Session | Done


def performed(part: Session | Done, code: Element) -> Performed:
    if isinstance(part, Session):
        return Performed("Appointment", _of(code), part)
    return Performed("Procedure", _of(_code(part, code)), replace(part, procedure=None))


def performed_of(resource: Resource, resources: Sequence[Resource], content: Content) -> Performed:
    """The same of a resource we wrote."""
    kind = resource["resourceType"]
    if kind == "Appointment":
        return Performed(kind, _of(resource["serviceType"][0]), session_of(resource))
    code = resource["code"]
    return Performed(kind, _of(code), done_of(resource, resources, code, content))


def procedure(
    done: Done,
    activity: Activity,
    device_ref: str | None,
    resource_id: str,
    request_ref: str,
    planned: Planned,
    content: Content,
) -> Resource:
    """The Procedure of something done, with what it left in the patient."""
    is_ordered = request_ref.startswith(f"{SERVICE}/")
    site = site_element(activity.site, activity.laterality, content) if is_ordered else None
    made = head("Procedure", resource_id, "pain-procedure") | {
        "basedOn": [reference(planned.plan), *([reference(request_ref)] if is_ordered else [])],
        "status": "in-progress" if isinstance(done.on, tuple) and done.on[1] is None else "completed",
        "code": _code(done, what(activity, content)),
        "subject": reference(planned.patient),
        **_when_done(done),
        "performer": [{"actor": reference(done.performer)}] if done.performer else None,
        "reasonReference": [reference(planned.diagnosis)] if planned.diagnosis else None,
        "bodySite": [site] if site else None,
        "focalDevice": [{"manipulated": reference(device_ref)}] if device_ref else None,
    }
    return finished(made)


def device(one: ImplantedDevice, resource_id: str, procedure_id: str, planned: Planned, content: Content) -> Resource:
    made = head("Device", resource_id, "pain-device") | {
        "extension": [extension("implanting-procedure", valueReference=reference(f"Procedure/{procedure_id}"))],
        "udiCarrier": [_carrier(one.udi)] if one.udi else None,
        "status": "active",
        "manufacturer": one.manufacturer,
        "serialNumber": one.serial,
        "modelNumber": one.model,
        "type": listed(one.type, "device", content) if isinstance(one.type, str) else concept_element(one.type),
        "patient": reference(planned.patient),
    }
    return finished(made)


def appointment(session: Session, code: Element, resource_id: str, request_ref: str, planned: Planned) -> Resource:
    made = head("Appointment", resource_id, "pain-appointment") | {
        "status": session.status,
        "serviceType": [code],
        "reasonReference": [reference(planned.diagnosis)] if planned.diagnosis else None,
        "supportingInformation": [reference(planned.plan)],
        "start": session.start,
        "end": session.end,
        "basedOn": [reference(request_ref)],
        "participant": [{"actor": reference(planned.patient), "status": "accepted"}],
    }
    return finished(made)


def session_of(resource: Resource) -> Session:
    return Session(resource["start"], resource["end"], resource["status"])


def done_of(resource: Resource, resources: Sequence[Resource], activity_code: Element | None, content: Content) -> Done:
    """What a Procedure of ours says was done. activity_code: that of its activity, which need not be said again; None
    where the activity has none."""
    left = next((target(one["manipulated"]) for one in resource.get("focalDevice", [])), None)
    own = named(resources, left)
    return Done(
        on=_when(resource),
        procedure=None if resource["code"] == activity_code else concept_of(resource["code"]),
        device=_device_of(own, content) if own and is_device_of(resource, own) else left,
        performer=next((target(one["actor"]) for one in resource.get("performer", [])), None),
    )


def is_device_of(made: Resource, device: Resource) -> bool:
    """Whether a Device was written with a Procedure, and is not one that was there before."""
    said = [target(one.get("valueReference")) for one in extensions(device, "implanting-procedure")]
    return f"Procedure/{made['id']}" in said


def _of(element: Element) -> str:
    coding: Element = next(iter(element.get("coding", [])), {})
    return f"{coding.get('system')}|{coding['code']}" if "code" in coding else str(element.get("text"))


def _code(done: Done, activity_code: Element) -> Element:
    return concept_element(done.procedure) or {} if isinstance(done.procedure, Concept) else activity_code


def _when_done(done: Done) -> Element:
    if isinstance(done.on, tuple):
        start, end = done.on
        return {"performedPeriod": {"start": start} | ({"end": end} if end else {})}
    return {"performedDateTime": done.on} if done.on else {}


def _when(resource: Resource) -> Any:
    if "performedPeriod" in resource:
        return resource["performedPeriod"]["start"], resource["performedPeriod"].get("end")
    return resource.get("performedDateTime")


def _carrier(udi: str) -> Element:
    model = udi.removeprefix(_GS1)[:_GS1_DIGITS]
    is_gs1 = udi.startswith(_GS1) and len(model) == _GS1_DIGITS and model.isascii() and model.isdigit()
    return ({"deviceIdentifier": model} if is_gs1 else {}) | {"carrierHRF": udi}


def _device_of(resource: Resource, content: Content) -> ImplantedDevice:
    return ImplantedDevice(
        type=device_of(resource["type"], content),
        udi=next((one.get("carrierHRF") for one in resource.get("udiCarrier", [])), None),
        manufacturer=resource.get("manufacturer"),
        model=resource.get("modelNumber"),
        serial=resource.get("serialNumber"),
    )
