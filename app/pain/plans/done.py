"""When an activity of a plan takes place, and what was done of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.pain.coded import coded_or_worded, concept_reader, concept_said, refuse_other_kinds
from app.pain.concepts import Concept
from app.pain.content import Content
from app.pain.reading import Place, Reader, choice, fields, moment, past_date, reference, several, text

Period = tuple[str, str | None]

PERFORMERS = ("Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device")
SESSION_STATES = ("booked", "fulfilled", "cancelled", "noshow")


@dataclass(frozen=True, slots=True)
class Session:
    """When an activity takes place, with its zone."""

    start: str
    end: str
    status: str = SESSION_STATES[0]


@dataclass(frozen=True, slots=True)
class ImplantedDevice:
    """type: id of our list, words, or a code.  udi: the identifier as it is printed for people."""

    type: str | Concept
    udi: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What was done.

    on: a date, perhaps only its year or month, or a period.  procedure: what, where it is not the activity itself, or
    a reference to a Procedure that says it all.  device: what was left in the patient, or a reference to it.
    """

    on: str | Period | None = None
    procedure: str | Concept | None = None
    device: str | ImplantedDevice | None = None
    performer: str | None = None


def sessions_reader(value: Any, place: Place) -> tuple[Session, ...]:
    read: tuple[Session, ...] = one_or_several(_session)(value, place)
    return read


def done_reader(content: Content, now: datetime) -> Reader:
    readers: dict[str, Reader] = {
        "on": _when(now),
        "procedure": _procedure(content),
        "device": _device(content),
        "performer": reference(*PERFORMERS),
    }

    def read(value: Any, place: Place) -> Done:
        one = Done(**fields(value, place, readers))
        refers = isinstance(one.procedure, str)
        if isinstance(value, Mapping) and one.on is None and value.get("on") is None and not refers:
            place.at("on").refuse("required", "Expected when it was done, or a reference to the Procedure.")
        for key in ("on", "device", "performer") if refers else ():
            if value.get(key) is not None:
                place.at(key).refuse("business-rule", "The Procedure that is referred to says this.")
        return one

    return one_or_several(read)


def sessions_view(sessions: Sequence[Session]) -> Any:
    return _one_or_all([{"start": one.start, "end": one.end, "status": one.status} for one in sessions])


def done_view(done: Sequence[Done]) -> Any:
    return _one_or_all([_done_view(one) for one in done])


def one_or_several(reader: Reader) -> Reader:
    """A reader of one value, or of an array of them, into a tuple."""

    def read(value: Any, place: Place) -> tuple[Any, ...]:
        if isinstance(value, list | tuple):
            return tuple(several(reader)(value, place))
        return (reader(value, place),)

    return read


def _one_or_all(views: list[Any]) -> Any:
    return views[0] if len(views) == 1 else views or None


def _shown(view: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in view.items() if value is not None}


def _session(value: Any, place: Place) -> Session:
    readers: dict[str, Reader] = {"start": moment, "end": moment, "status": choice(SESSION_STATES)}
    read = fields(value, place, readers, required=("start", "end") if isinstance(value, Mapping) else ())
    start, end = read["start"], read["end"]
    if start and end and datetime.fromisoformat(end) <= datetime.fromisoformat(start):
        place.at("end").refuse("business-rule", "A session ends after it begins.")
    return Session(start, end, read["status"] or SESSION_STATES[0])


def _when(now: datetime) -> Reader:
    day = past_date(now)

    def read(value: Any, place: Place) -> str | Period | None:
        if not isinstance(value, Mapping):
            return day(value, place)  # type: ignore[no-any-return]
        span = fields(value, place, {"start": day, "end": day}, required=("start",))
        start, end = span["start"], span["end"]
        if start is None:
            return None
        known = min(len(start), len(end or start))
        if end and end[:known] < start[:known]:
            place.at("end").refuse("business-rule", "A period does not end before it begins.")
        return start, end

    return read


def _procedure(content: Content) -> Reader:
    coded = concept_reader(content)

    def read(value: Any, place: Place) -> str | Concept | None:
        if isinstance(value, str):
            return reference("Procedure")(value, place)  # type: ignore[no-any-return]
        got: Concept | None = coded(value, place)
        refuse_other_kinds(got, ("procedure",), place.at("code"), content)
        return got

    return read


def _device(content: Content) -> Reader:
    of_device: dict[str, Reader] = {
        "type": coded_or_worded(content.devices, "np-device", ("device",), content),
        **dict.fromkeys(("udi", "manufacturer", "model", "serial"), text),
    }

    def read(value: Any, place: Place) -> str | ImplantedDevice | None:
        if isinstance(value, str):
            return reference("Device")(value, place)  # type: ignore[no-any-return]
        return ImplantedDevice(**fields(value, place, of_device))

    return read


def _done_view(one: Done) -> dict[str, Any]:
    span = _shown({"start": one.on[0], "end": one.on[1]}) if isinstance(one.on, tuple) else one.on
    procedure = one.procedure if isinstance(one.procedure, str) else concept_said(one.procedure, words=False)
    return _shown({"on": span, "procedure": procedure, "device": _device_view(one.device), "performer": one.performer})


def _device_view(one: str | ImplantedDevice | None) -> Any:
    if one is None or isinstance(one, str):
        return one
    said = one.type if isinstance(one.type, str | None) else concept_said(one.type)
    return _shown(
        {"type": said, "udi": one.udi, "manufacturer": one.manufacturer, "model": one.model, "serial": one.serial}
    )
