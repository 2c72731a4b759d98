"""Links inside resources: finding them, and replacing them without touching anything else.

Links are references, elements of type uri, url, oid and uuid, and href and src in narrative (R4 3.1.0.11.2); an
Identifier.value that happens to hold the same text is a string and stays, and so does a canonical. One name may be a
link in one type and text in another, or even a Reference's and a plain uri's (DetectedIssue.reference): the definitions
of R4 decide.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.fhir import json as lossless
from app.fhir.fhirpath import r4_model

Replace = Callable[[str], str]

_LINK_TYPES = frozenset(("uri", "url", "oid", "uuid"))
_INNER = (dict, list)
_RESOURCE, _REFERENCE, _NARRATIVE = "Resource", "Reference", "xhtml"
_TAG = re.compile(r"""<[A-Za-z](?:[^<>"']|"[^"<]*"|'[^'<]*')*>""")
_ATTRIBUTE = re.compile(r"""(?<=\s)([\w:.-]+)(\s*=\s*)(["'])(.*?)\3""", re.DOTALL)
_ID = re.compile("[A-Za-z0-9.-]{1,64}")
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.")
_LOCAL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/(?P<version>[A-Za-z0-9.-]{1,64}))?(#.*)?"
)
_RESTFUL = re.compile(r"(?P<base>https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")


def rewrite(text: bytes, replace: Replace) -> bytes:
    """The resource text with each link replaced; the very same text if replace answers every link unchanged."""
    tree = lossless.parse_keeping_digits(text)
    return lossless.dumps(tree) if _replace_in(tree, _RESOURCE, replace) else text


def references(resource: Any) -> Iterator[str]:
    """The text of every Reference.reference, in document order; none where there is no resource."""
    json_types = r4_model().json_types
    waiting = [(resource, _RESOURCE)] if isinstance(resource, dict) else []
    while waiting:
        node, declared = waiting.pop()
        if isinstance(node, list):
            waiting += [(one, declared) for one in reversed(node) if isinstance(one, dict)]
            continue
        if declared == _REFERENCE and isinstance(node.get("reference"), str):
            yield node["reference"]
        types = json_types(_type_of(node, declared) if declared == _RESOURCE else declared)
        below = [(one, types.get(name) or _declared(types, name)) for name, one in node.items() if type(one) in _INNER]
        waiting += below[::-1]


def located(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The FHIRPath of every Reference that has a reference, and its text, in document order."""
    yield from _located(resource, _RESOURCE, str(resource.get("resourceType", "")))


def local(link: str, base: str) -> tuple[str, str, str] | None:
    """(type, id, version) of a reference to a resource of this server, version "" for whichever is current.

    base: the address of this server's FHIR endpoint. None for all that is elsewhere or within the resource.
    """
    found = _LOCAL.fullmatch(link.removeprefix(f"{base}/") if base else link)
    return (found["type"], found["id"], found["version"] or "") if found else None


def resolved(link: str, full_url: str, names: Mapping[str, str]) -> str:
    """What a link in the entry with this fullUrl stands for, given what is at each fullUrl of the Bundle.

    A relative reference is relative to the address of its own entry (R4 Bundle, "Resolving references").
    """
    if link in names:
        return names[link]
    entry = _RESTFUL.fullmatch(full_url)
    return names.get(f"{entry['base']}/{link}", link) if entry else link


def is_id(text: str) -> bool:
    """Whether a text can be a logical id."""
    return bool(_ID.fullmatch(text))


def is_conditional(link: str) -> bool:
    """Whether a reference is a search, such as Patient?identifier=s|v, allowed in a transaction only."""
    return bool(_CONDITIONAL.match(link))


def _type_of(node: Mapping[str, Any], declared: str) -> str:
    """The type of an object where the definitions say `declared`: any resource may stand where a Resource does."""
    return str(node.get("resourceType", "")) if declared == _RESOURCE else declared


def _declared(types: Mapping[str, str], name: str) -> str:
    """The declared type of a child, "" for what R4 does not know."""
    return "Element" if name.startswith("_") else types.get(name, "")


def _located(node: Mapping[str, Any], declared: str, path: str) -> Iterator[tuple[str, str]]:
    type_ = _type_of(node, declared)
    if type_ == _REFERENCE and isinstance(node.get("reference"), str):
        yield path, node["reference"]
    types = r4_model().json_types(type_)
    for name, value in node.items():
        below = _declared(types, name)
        if isinstance(value, Mapping):
            yield from _located(value, below, f"{path}.{_spelled(type_, name, below)}")
        elif isinstance(value, list):
            for place, one in enumerate(value):
                if isinstance(one, Mapping):
                    yield from _located(one, below, f"{path}.{name}[{place}]")


def _spelled(type_: str, name: str, declared: str) -> str:
    """The name of an element in FHIRPath, where the type of a choice is no part of it."""
    is_choice = declared and not name.startswith("_") and name not in r4_model().children(type_)
    return f"{name[: -len(declared)]}.ofType({declared})" if is_choice else name


def _replace_in(node: Any, declared: str, replace: Replace) -> bool:
    """Replace the links of a tree in place; answers whether any changed."""
    if isinstance(node, list):
        return sum(_replace_in(one, declared, replace) for one in node) > 0
    if not isinstance(node, dict):
        return False
    type_ = _type_of(node, declared)
    types, changed = r4_model().json_types(type_), False
    for name, value in node.items():
        below = _declared(types, name)
        if below in _LINK_TYPES or (type_ == _REFERENCE and name == "reference"):
            new = [_replaced(one, replace) for one in value] if isinstance(value, list) else _replaced(value, replace)
        elif below == _NARRATIVE and isinstance(value, str):
            new = _TAG.sub(lambda tag: _in_tag(tag[0], replace), value)
        else:
            changed = _replace_in(value, below, replace) or changed
            continue
        changed = changed or new != value
        node[name] = new
    return changed


def _replaced(value: Any, replace: Replace) -> Any:
    return replace(value) if isinstance(value, str) else value


def _in_tag(tag: str, replace: Replace) -> str:
    def attribute(found: re.Match[str]) -> str:
        name, equals, quote, value = found.groups()
        return f"{name}{equals}{quote}{replace(value)}{quote}" if name in ("href", "src") else found[0]

    return _ATTRIBUTE.sub(attribute, tag)
