"""The activities of a plan with all that belongs to them: requests, sessions, what was done, how it worked."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.mapping.careplans.outcome import evidence_references, outcome_elements, outcome_of
from app.mapping.careplans.performed import (
    Performed,
    appointment,
    device,
    done_of,
    performed,
    procedure,
    session_of,
)
from app.mapping.careplans.request import REQUESTS, Planned, activity_of, request, what
from app.mapping.elements import Element, IdOf, Key, Resource, named, reference, target
from app.pain.content import Content
from app.pain.plans.activities import Activity
from app.pain.plans.done import Done, ImplantedDevice, Session

_SESSION, _DONE = "Appointment", "Procedure"


def performed_parts(activities: Sequence[Activity], content: Content) -> list[Performed]:
    """Every session and everything done that has a resource of its own, in the order they are written in."""
    parts: list[tuple[Activity, Session | Done]] = []
    for one in activities:
        parts += [(one, session) for session in one.appointment]
        parts += [(one, done) for done in _own(one)]
    return [performed(part, what(one, content)) for one, part in parts]


def written(
    one: Activity, request_id: str, keys: Iterator[Key], id_of: IdOf, planned: Planned, content: Content
) -> tuple[list[Element], Resource, list[Resource]]:
    """The elements of CarePlan.activity (one more for each session), the request, and the resources beside it.
    keys: of the parts of all activities, this one's next."""
    asked = request(one, content, request_id, planned)
    asked_ref, code = f"{asked['resourceType']}/{asked['id']}", what(one, content)
    sessions = [appointment(part, code, id_of(next(keys)), asked_ref, planned) for part in one.appointment]
    made: list[Resource] = []
    names: list[str] = []
    for part in one.done:
        if isinstance(part.procedure, str):
            names.append(part.procedure)
        else:
            made += _carried_out(one, part, next(keys), asked_ref, id_of, planned, content)
            names.append(f"{_DONE}/{next(p for p in reversed(made) if p['resourceType'] == _DONE)['id']}")
    results = [{"reference": name} for name in names] + evidence_references(one.outcome)
    first = outcome_elements(one.outcome, content) | ({"outcomeReference": results} if results else {})
    elements = [first | {"reference": reference(asked_ref)}]
    elements += [{"reference": reference(f"{_SESSION}/{part['id']}")} for part in sessions]
    return elements, asked, [*sessions, *made]


def read_activities(
    plan: Resource, resources: Sequence[Resource], counted: Sequence[Resource], content: Content
) -> list[tuple[Resource, Activity]]:
    """The requests a CarePlan refers to, in its order, each with its whole activity.

    counted: the resources that still count; what was done in error was not done.
    """
    elements = plan.get("activity", [])
    links = [(one, named(counted, target(one.get("reference")))) for one in elements]
    sessions = [linked for _, linked in links if linked and linked["resourceType"] == _SESSION]
    return [
        (asked, _whole(element, asked, sessions, resources, counted, content))
        for element, asked in links
        if asked and asked["resourceType"] in REQUESTS
    ]


def _whole(
    element: Element,
    asked: Resource,
    sessions: Sequence[Resource],
    resources: Sequence[Resource],
    counted: Sequence[Resource],
    content: Content,
) -> Activity:
    one = activity_of(asked, content)
    mine = {"reference": f"{asked['resourceType']}/{asked['id']}"}
    links = [link for each in element.get("outcomeReference", []) if (link := target(each))]
    done = [link for link in links if link.startswith(f"{_DONE}/")]
    in_error = [link for link in done if named(resources, link) and not named(counted, link)]
    evidence = tuple(link for link in links if link not in done)
    code = asked.get("code")
    return replace(
        one,
        appointment=tuple(session_of(each) for each in sessions if mine in each.get("basedOn", [])),
        done=tuple(_done(link, counted, code, content) for link in done if link not in in_error),
        outcome=outcome_of(element, evidence, content),
    )


def _done(link: str, resources: Sequence[Resource], code: Element | None, content: Content) -> Done:
    found = named(resources, link)
    return done_of(found, resources, code, content) if found else Done(procedure=link)


def _own(one: Activity) -> list[Done]:
    return [part for part in one.done if not isinstance(part.procedure, str)]


def _carried_out(
    one: Activity, part: Done, key: Key, asked_ref: str, id_of: IdOf, planned: Planned, content: Content
) -> list[Resource]:
    """The Procedure, and the Device it left if there is one."""
    procedure_id = id_of(key)
    left: list[Resource] = []
    link = part.device if isinstance(part.device, str) else None
    if isinstance(part.device, ImplantedDevice):
        left = [device(part.device, id_of(("Device", *key)), procedure_id, planned, content)]
        link = f"Device/{left[0]['id']}"
    return [procedure(part, one, link, procedure_id, asked_ref, planned, content), *left]
