"""Pieces of FHIR that every mapping writes and reads: codings, references, extensions, sites, status changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import NAMESPACE_URL, uuid5

from app.fhir.resources import built
from app.pain.concepts import Coding, Concept
from app.pain.content import Content
from app.pain.instruments.types import codings
from app.profiles import canonical, package, toml_files

Resource = dict[str, Any]
Element = dict[str, Any]
Key = tuple[str, ...]
# The id of a resource by what it is about; the same key has the same id in every version of one record.
IdOf = Callable[[Key], str]

ERROR = "entered-in-error"


class Unrecognised(Exception):
    """Resources that were not written by the mapping that is asked to read them; says what is missing."""


P = ParamSpec("P")
R = TypeVar("R")


def recognising(read: Callable[P, R]) -> Callable[P, R]:
    """A reader of resources that raises Unrecognised, whatever it stumbles over: others may have changed them.
    What is told is for people: the stumble itself is the exception's cause, for logs."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError, StopIteration) as error:
            raise Unrecognised("an element is missing or has another form than this service writes") from error

    return reading


@cache
def _words() -> Mapping[str, Any]:
    return toml_files("vocabulary")


@cache
def fixed(name: str) -> Coding:
    """A coding written whatever the clinic sends, e.g. fixed("survey"); units too, e.g. fixed("score")."""
    row = _words()["fixed"]["coding"].get(name) or _words()["fixed"]["unit"][name]
    return codings([row], _words()["systems"]["system"])[0]


@cache
def verification(grade: str) -> Coding | None:
    """The verification status a grade implies, where it implies one."""
    name = _words()["fixed"]["verification"].get(grade)
    return fixed(name) if name else None


def head(kind: str, resource_id: str, profile: str) -> Resource:
    """The beginning of a resource that claims one of our profiles."""
    return {
        "resourceType": kind,
        "id": resource_id,
        "meta": {"profile": [canonical("StructureDefinition", profile)]},
    }


def finished(resource: Resource) -> Resource:
    """The resource without the elements that have no value, accepted by its typed model."""
    return built({key: value for key, value in resource.items() if value not in (None, [], {})})


def coding(one: Coding) -> Element:
    pairs = (("system", one.system), ("version", one.version), ("code", one.code), ("display", one.display))
    return {key: value for key, value in pairs if value is not None}


def codeable(*all_codings: Coding, text: str | None = None) -> Element:
    made: Element = {"coding": [coding(one) for one in all_codings]} if all_codings else {}
    return made | ({"text": text} if text else {})


def concept_element(concept: Concept | None) -> Element | None:
    return codeable(*concept.codings, text=concept.text) if concept else None


def concept_of(element: Element | None) -> Concept | None:
    """The concept of a CodeableConcept; None where it has neither code nor text."""
    if not element or not (element.get("coding") or element.get("text")):
        return None
    return Concept(tuple(_coding_of(one) for one in element.get("coding", [])), element.get("text"))


def _coding_of(element: Element) -> Coding:
    return Coding(element.get("system", ""), element.get("code", ""), element.get("display"), element.get("version"))


def code_in(element: Element | None, system: str) -> str | None:
    """The code a CodeableConcept has in one code system."""
    found = (one["code"] for one in (element or {}).get("coding", []) if one.get("system") == system)
    return next(found, None)


def quantity(value: int | Decimal, unit: Coding) -> Element:
    return {"value": value, "unit": unit.display, "system": unit.system, "code": unit.code}


def reference(target: str | None) -> Element | None:
    return {"reference": target} if target else None


def target(element: Element | None) -> str | None:
    return element.get("reference") if element else None


def extension(name: str, **value: Any) -> Element:
    """One of our extensions, e.g. extension("distribution", valueCodeableConcept=…) or extension(…, extension=[…])."""
    return {"url": canonical("StructureDefinition", name)} | value


def extensions(element: Element | None, name: str) -> list[Element]:
    """Our extensions of one name on an element."""
    url = canonical("StructureDefinition", name)
    return [one for one in (element or {}).get("extension", []) if one["url"] == url]


def standard_extension(name: str, value: Any) -> Element:
    """An extension of HL7's that refers to another resource, e.g. standard_extension("reason", {"reference": …})."""
    return {"url": _words()["fixed"]["extension"][name], "valueReference": value}


def standard_extensions(element: Element, name: str) -> list[Element]:
    """HL7's extensions of one name on an element."""
    url = _words()["fixed"]["extension"][name]
    return [one for one in element.get("extension", []) if one["url"] == url]


def identifier_system(name: str) -> str:
    """The system of identifiers of others, e.g. identifier_system("dicom-uid")."""
    system: str = _words()["fixed"]["identifier"][name]
    return system


def words_of(element: Element) -> str | None:
    """What a CodeableConcept says to people: its text, or else the first display or code."""
    said = (one.get("display") or one.get("code") for one in element.get("coding", []))
    return element.get("text") or next((one for one in said if one), None)


def plain(value: int | Decimal) -> str:
    """A number in words, without an exponent."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def site_element(site: Concept | None, laterality: str | None, content: Content) -> Element | None:
    """A body site with its side in our extension; R4 has no element for the side. A side may stand alone."""
    element = concept_element(site) or {}
    if laterality:
        side = codeable(content.sides[laterality])
        element = {"extension": [extension("laterality", valueCodeableConcept=side)]} | element
    return element or None


def site_of(element: Element | None, content: Content) -> tuple[Concept | None, str | None]:
    """The body site and the side of an element, as site_element wrote them."""
    said = [one["valueCodeableConcept"] for one in extensions(element, "laterality")]
    sides = (name for name, side in content.sides.items() for one in said if code_in(one, side.system) == side.code)
    return concept_of(element), next(sides, None)


def live(resources: Sequence[Resource]) -> list[Resource]:
    """The resources that still count: without the parts entered in error, unless the whole record was."""
    return list(resources) if is_error(resources[0]) else [one for one in resources if not is_error(one)]


def is_error(resource: Resource) -> bool:
    verified = code_in(resource.get("verificationStatus"), fixed(ERROR).system)
    return ERROR in (resource.get("status"), resource.get("lifecycleStatus"), verified)


def only(resources: Iterable[Resource], kind: str) -> Resource:
    """The first resource of a type. Raises Unrecognised where there is none."""
    found = next((one for one in resources if one["resourceType"] == kind), None)
    if found is None:
        raise Unrecognised(f"no {kind} among the resources")
    return found


def named(resources: Iterable[Resource], target_ref: str | None) -> Resource | None:
    """The resource a reference such as "Observation/7" names, if it is among them."""
    return next((one for one in resources if f"{one['resourceType']}/{one['id']}" == target_ref), None)


def causes_of(condition: Resource) -> list[Element]:
    """The references of a Condition to what causes it."""
    found = (one.get("valueReference", {}) for one in standard_extensions(condition, "due-to"))
    return [one for one in found if "reference" in one]


def etiology_id(condition: Resource) -> str:
    """The id of the cause that was recorded together with a pain. Another cause has another id, and is not a part."""
    return part_id(condition["id"], "etiology")


def parts_of(anchor: Resource) -> list[str]:
    """The references an anchor makes to the other resources of its record, in its order: the goals, requests, sessions
    and Procedures of a CarePlan, the Devices of a Procedure, the grade of a Condition, the results and the Procedure of
    a DiagnosticReport. The Observations of a QuestionnaireResponse point at it, by derivedFrom."""
    activities = anchor.get("activity", [])
    found = [*anchor.get("goal", []), *(one.get("reference", {}) for one in activities)]
    results = [one for each in activities for one in results_of(each)]
    found += [one for one in results if str(one.get("reference")).startswith("Procedure/")]
    found += [one.get("manipulated", {}) for one in anchor.get("focalDevice", [])]
    found += [one for stage in anchor.get("stage", []) for one in stage.get("assessment", [])]
    found += [one for one in causes_of(anchor) if one["reference"] == f"Condition/{etiology_id(anchor)}"]
    found += anchor.get("result", [])
    found += [one.get("valueReference", {}) for one in standard_extensions(anchor, "part-of")]
    return [one["reference"] for one in found if "reference" in one]


def former_parts(anchor: Resource) -> list[str]:
    """What an anchor no longer refers to and may have written: should it be told again, it is the same resource."""
    cause = f"Condition/{etiology_id(anchor)}" if anchor["resourceType"] == "Condition" else None
    return [cause] if cause and cause not in parts_of(anchor) else []


def results_of(activity: Element) -> list[Element]:
    """What an activity of a CarePlan refers to as its outcome."""
    found: list[Element] = activity.get("outcomeReference", [])
    return found


def new_ids(ids: Callable[[], str]) -> IdOf:
    return lambda _: ids()


def kept_ids(known: Mapping[Key, str], ids: Callable[[], str]) -> IdOf:
    """The known id of a key, a new one for a key not seen before."""
    return lambda key: known.get(key) or ids()


def part_id(anchor_id: str, key: str) -> str:
    """The id of a part of a record: it follows from the anchor's, so that whoever writes the part, and however often,
    writes the same resource. key: what the part is about, e.g. the code of an item."""
    return str(uuid5(NAMESPACE_URL, f"{package()['canonical']}/part/{anchor_id}/{key}"))


def anchored_ids(anchor_id: str, known: Mapping[Key, str]) -> IdOf:
    """The known id of a key; else the anchor's for a key that is a type only, and the part's for (type, about)."""
    return lambda key: known.get(key) or (part_id(anchor_id, key[1]) if len(key) > 1 else anchor_id)
