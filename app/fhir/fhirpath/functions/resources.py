"""What FHIR adds to FHIRPath (R4 section 2.9.1): children, extension, hasValue, resolve, memberOf, htmlChecks."""

import re
from typing import Any

from app.fhir.fhirpath.errors import EvaluationError
from app.fhir.fhirpath.functions.table import Items, function
from app.fhir.fhirpath.nodes import Frame, Node, children, system, text, type_of

# How many resources are looked through in the time of one step.
_LOOKS = 8
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")


@function("children")
def all_children(frame: Frame, focus: Items) -> Items:
    frame.spend(len(focus))
    return [child for item in focus if isinstance(item, Node) for child in children(frame.model, item)]


@function("descendants")
def descendants(frame: Frame, focus: Items) -> Items:
    found: Items = []
    level = all_children(frame, focus)
    while level:
        found += level
        level = all_children(frame, level)
    return found


@function("extension", least=1)
def extension(frame: Frame, focus: Items, url: Items) -> Items:
    wanted = text(url)
    found: Items = []
    for item in focus:
        source = item.value if isinstance(item, Node) and isinstance(item.value, dict) else getattr(item, "extra", None)
        given = source.get("extension") if isinstance(source, dict) else None
        if isinstance(given, list):
            found += [Node(each, "Extension") for each in given if isinstance(each, dict) and each.get("url") == wanted]
    return found


@function("hasExtension", least=1)
def has_extension(frame: Frame, focus: Items, url: Items) -> Items:
    return [bool(extension(frame, focus, url))]


@function("hasValue")
def has_value(frame: Frame, focus: Items) -> Items:
    if len(focus) != 1:
        return [False]
    item = focus[0]
    return [not isinstance(item, Node) or (item.value is not None and not isinstance(item.value, dict))]


@function("getValue")
def get_value(frame: Frame, focus: Items) -> Items:
    value = system(focus[0]) if has_value(frame, focus)[0] else None
    return [] if value is None else [value]


@function("type")
def type_info(frame: Frame, focus: Items) -> Items:
    return [type_of(item) for item in focus]


@function("resolve")
def resolve(frame: Frame, focus: Items) -> Items:
    """The resources references point at; a stub of the right type where only the type can be told."""
    found = []
    for item in focus:
        reference = _reference(item)
        if reference:
            node = _resolved(frame, reference)
            found += [node] if node else []
    return found


def _reference(item: Any) -> str:
    value = item.value if isinstance(item, Node) else item
    value = value.get("reference") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


def _resolved(frame: Frame, reference: str) -> Node | None:
    if reference.startswith("#"):
        return _contained(frame, reference[1:])
    resource = frame.resolver(reference) if frame.resolver else None
    resource = resource or _entry(frame, reference)
    if isinstance(resource, dict):
        return Node(resource, str(resource.get("resourceType", "")))
    match = _REFERENCE.fullmatch(reference)
    return Node({"resourceType": match[1]}, match[1]) if match and frame.model.has(match[1]) else None


def _contained(frame: Frame, wanted: str) -> Node | None:
    if not wanted:
        return frame.root
    # A contained resource refers to its siblings: those of the nearest container.
    holder = frame.resource.value if "contained" in frame.resource.value else frame.root.value
    found = holder.get("contained")
    contained = found if isinstance(found, list) else []
    frame.spend(len(contained) // _LOOKS)
    for each in contained:
        if isinstance(each, dict) and each.get("id") == wanted:
            return Node(each, str(each.get("resourceType", "")))
    return None


def _entry(frame: Frame, reference: str) -> Any:
    """The resource of a Bundle entry by fullUrl, or by type and id for a relative reference."""
    root = frame.root.value
    found = root.get("entry") if root.get("resourceType") == "Bundle" else None
    entries = found if isinstance(found, list) else []
    frame.spend(len(entries) // _LOOKS)
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        url, resource = entry.get("fullUrl"), entry.get("resource")
        if isinstance(url, str) and (url == reference or url.endswith("/" + reference)):
            return resource
        if isinstance(resource, dict) and f"{resource.get('resourceType')}/{resource.get('id')}" == reference:
            return resource
    return None


@function("memberOf", least=1)
def member_of(frame: Frame, focus: Items, value_set: Items) -> Items:
    """Whether a code, Coding or CodeableConcept is in a value set; empty where that cannot be told here."""
    url = text(value_set)
    if not focus or url is None:
        return []
    if frame.member_of is None:
        return []
    answer = frame.member_of(focus[0], url)
    return [] if answer is None else [answer]


@function("conformsTo", least=1)
def conforms_to(frame: Frame, focus: Items, profile: Items) -> Items:
    url = text(profile)
    if not focus or url is None:
        return []
    name = url.removeprefix("http://hl7.org/fhir/StructureDefinition/")
    if name != url and frame.model.has(name):
        return [isinstance(focus[0], Node) and frame.model.is_a(focus[0].type, name)]
    if frame.conforms_to is None:
        raise EvaluationError("the profile is not known")
    return [frame.conforms_to(focus[0], url)]


@function("htmlChecks")
def html_checks(frame: Frame, focus: Items) -> Items:
    """Always true: validation checks narrative itself, more strictly than this function asks."""
    return [True]
