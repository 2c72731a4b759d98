"""Links inside resources: finding them, and replacing them without touching anything else.

Links are references, elements of type uri, url, oid and uuid, and href and src in narrative (R4 3.1.0.11.2); an
Identifier.value that happens to hold the same text is a string and stays, and so does a canonical.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from app.fhir import json as lossless
from app.profiles import r4

Replace = Callable[[str], str]

_LINK_TYPES = {"uri", "url", "oid", "uuid"}
_TEXT_TYPES = {"string", "markdown", "code", "id", "canonical", "base64Binary"}
_ATTRIBUTE = re.compile(r"""\b((?:href|src)\s*=\s*)(["'])(.*?)\2""")
_ID = re.compile("[A-Za-z0-9.-]{1,64}")
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.")
_LOCAL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/(?P<version>[A-Za-z0-9.-]{1,64}))?(#.*)?"
)
_RESTFUL = re.compile(r"(?P<base>https?://.+)/[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")


def rewrite(text: bytes, replace: Replace) -> bytes:
    """The resource text with each link replaced; the very same text if replace answers every link unchanged."""
    tree = lossless.parse_keeping_digits(text)
    return lossless.dumps(tree) if _replace_in(tree, replace) else text


def references(resource: Any) -> Iterator[str]:
    """The text of every Reference.reference, in document order."""
    waiting = [resource]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("reference"), str):
                yield node["reference"]
            waiting.extend(reversed(node.values()))
        elif isinstance(node, list):
            waiting.extend(reversed(node))


def located(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The FHIRPath of every Reference that has a reference, and its text, in document order."""
    yield from _located(resource, str(resource.get("resourceType", "")))


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


def _located(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    if isinstance(node.get("reference"), str):
        yield path, node["reference"]
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _located(value, f"{path}.{_spelled(name)}")
        elif isinstance(value, list):
            for place, one in enumerate(value):
                if isinstance(one, Mapping):
                    yield from _located(one, f"{path}.{name}[{place}]")


def _spelled(name: str) -> str:
    """The name of an element in FHIRPath, where the type of a choice is no part of it."""
    stem = name.removesuffix("Reference")
    return f"{stem}.ofType(Reference)" if stem != name and stem in _choices() else name


@cache
def _choices() -> frozenset[str]:
    """The names of elements that may be a Reference or something else, and are never the name of a plain element."""
    paths = [element["path"] for definition in r4()["types"].values() for element in definition["element"]]
    names = {path.rpartition(".")[2] for path in paths}
    stems = {name.removesuffix("[x]") for name in names if name.endswith("[x]")}
    return frozenset(stem for stem in stems if f"{stem}Reference" not in names)


@cache
def _link_names() -> frozenset[str]:
    """The names of elements that hold links. Where a name stands for links here and for text there (`url` is a
    string in one element of TestScript), what it mostly stands for decides."""
    counts: Counter[str] = Counter({"reference": 100})
    for definition in r4()["types"].values():
        for element in definition["element"]:
            name = element["path"].rpartition(".")[2]
            for code in (one["code"] for one in element.get("type", ())):
                full = name.replace("[x]", code[0].upper() + code[1:])
                counts[full] += 1 if code in _LINK_TYPES else -1 if code in _TEXT_TYPES else 0
    return frozenset(name for name, count in counts.items() if count > 0)


def _replace_in(node: Any, replace: Replace) -> bool:
    """Replace the links of a tree in place; answers whether any changed."""
    changed = False
    for name, value in node.items() if isinstance(node, dict) else ():
        if name == "div" and isinstance(value, str):
            new: Any = _ATTRIBUTE.sub(lambda found: f"{found[1]}{found[2]}{replace(found[3])}{found[2]}", value)
        elif name in _link_names() and isinstance(value, str):
            new = replace(value)
        elif name in _link_names() and isinstance(value, list):
            new = [replace(one) if isinstance(one, str) else one for one in value]
        else:
            new = value
        if new != value:
            node[name] = new
            changed = True
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        changed = _replace_in(child, replace) or changed
    return changed
