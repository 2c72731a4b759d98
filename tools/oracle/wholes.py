"""Changes to a resource as a whole: its id, its narrative, what it contains, its type."""

from collections.abc import Iterator
from typing import Any

_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
_NARRATIVES = {
    "with a paragraph": _DIV.format("<p>Pain</p>"),
    "with a script": _DIV.format("<script>alert(1)</script>"),
    "with a handler": _DIV.format('<p onclick="alert(1)">Pain</p>'),
    "without text": _DIV.format(" "),
    "that is no XHTML": "<p>Pain</p>",
    "that is not closed": '<div xmlns="http://www.w3.org/1999/xhtml"><p>Pain</div>',
    "of another namespace": "<div>Pain</div>",
    "in words": "Pain",
}
_IDS = ("a b", "a_b", "a" * 64, "a" * 65, "ä", "1.2-3")
_LANGUAGES = ("de", "de-CH", "english", "xx-yy-zz", "")
_PATIENT = {"resourceType": "Patient", "id": "p", "name": [{"family": "Example"}]}


def whole_mutations(example: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(what was done, the changed resource)."""
    for name, div in _NARRATIVES.items():
        yield f"narrative {name}", example | {"text": {"status": "generated", "div": div}}
    yield "narrative of an unknown status", example | {"text": {"status": "x", "div": _NARRATIVES["with a paragraph"]}}
    for id_ in _IDS:
        yield f"id {id_}", example | {"id": id_}
    for language in _LANGUAGES:
        yield f"language {language}", example | {"language": language}
    for type_ in ("Basic", "Patient", "Nonsense", "observation"):
        yield f"type {type_}", example | {"resourceType": type_}
    yield from _contained(example)
    yield "with an unknown member", example | {"painScale": 7}
    yield "with implicit rules", example | {"implicitRules": "http://example.org/rules"}
    yield "with a tag", example | {"meta": example["meta"] | {"tag": [{"system": "http://example.org/t", "code": "x"}]}}
    yield "with an identifier", example | {"identifier": [{"system": "http://example.org/ids", "value": "1"}]}
    yield "with an identifier of a relative system", example | {"identifier": [{"system": "ids", "value": "1"}]}


def _contained(example: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "contained, not referred to", example | {"contained": [_PATIENT]}
    subject = {"subject": {"reference": "#p"}}
    yield "contained subject", example | {"contained": [_PATIENT]} | subject
    yield "contained subject without an id", example | {"contained": [{**_PATIENT, "id": "q"}]} | subject
    yield "contained subject of another type", example | {"contained": [{"resourceType": "Goal", "id": "p"}]} | subject
    inner = _PATIENT | {"contained": [{"resourceType": "Organization", "id": "o", "name": "x"}]}
    yield "contained in a contained subject", example | {"contained": [inner]} | subject
    yield "contained subject with a flaw", example | {"contained": [_PATIENT | {"gender": "x"}]} | subject
