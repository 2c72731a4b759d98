"""Our definitions as they are published: profiles with snapshot, value sets with expansion, all with a narrative."""

from html import escape
from typing import Any

from app.mapping.definitions import own_definitions, title_of
from app.mapping.elements import Resource
from app.pain.content import Content
from app.profiles import r4
from app.terminology import Terminology, load_terminology
from app.terminology.expansion import ValueSet
from app.terminology.listing import listing
from app.terminology.registry import composed
from app.validation.snapshots.snapshot import Snapshots, with_snapshot
from app.validation.snapshots.structures import Structures


def published(content: Content) -> list[Resource]:
    """Every definition of ours, whole: readers of R4 expect a snapshot, and few can expand a value set themselves."""
    own = own_definitions(content)
    snapshots = Snapshots(Structures(r4(), [one for one in own if one["resourceType"] == "StructureDefinition"]))
    terminology = load_terminology()
    return [_told(_whole(one, snapshots, terminology)) for one in own]


def _whole(definition: Resource, snapshots: Snapshots, terminology: Terminology) -> Resource:
    if definition["resourceType"] == "StructureDefinition":
        return with_snapshot(definition, snapshots.of(definition))
    if definition["resourceType"] == "ValueSet":
        return _expanded(definition, terminology)
    return definition


def _expanded(value_set: Resource, terminology: Terminology) -> Resource:
    """The value set with its codes; as it is where not all of them are known here."""
    codes = terminology.expanded(value_set)
    if codes.is_open or codes.open_systems:
        return value_set
    contains = _contains(codes, value_set, terminology)
    # No identifier and no clock: the same definitions give the same bytes.
    return {
        **value_set,
        "expansion": {"timestamp": value_set["date"], "total": len(contains), "offset": 0, "contains": contains},
    }


def _contains(codes: ValueSet, value_set: Resource, terminology: Terminology) -> list[dict[str, Any]]:
    listed = listing(codes, composed(value_set), terminology.code_system, terminology.compose)
    return [
        {key: said for key in ("system", "code", "display") if (said := getattr(one, key))}  # display may be unknown
        for one in listed
    ]


def _told(definition: Resource) -> Resource:
    """The definition with a narrative, which R4 recommends for every resource (dom-6)."""
    words = f"<h2>{escape(title_of(definition))}</h2><p>{escape(str(definition.get('description', '')))}</p>"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'
    first = ("resourceType", "id", "meta")
    top = {name: definition[name] for name in first if name in definition}
    rest = {name: value for name, value in definition.items() if name not in first}
    return {**top, "text": {"status": "generated", "div": div}, **rest}
