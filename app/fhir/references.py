"""References inside resource text: finding them, and replacing them without touching anything else."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

# Elements of type uri, url, canonical, oid and uuid that may carry a link; Identifier.value is a string and does not.
_LINKS = ("reference", "url", "uri", "valueUri", "valueUrl", "valueUuid", "valueOid", "valueCanonical", "fullUrl")
_LINK = re.compile(rb'("(?:%s)"\s*:\s*)("(?:[^"\\]|\\.)*")' % "|".join(_LINKS).encode())
_NARRATIVE = re.compile(rb'("div"\s*:\s*)("(?:[^"\\]|\\.)*")')
_ATTRIBUTE = re.compile(r"""\b((?:href|src)\s*=\s*)(["'])(.*?)\2""")
_ID = re.compile("[A-Za-z0-9.-]{1,64}")
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.")

Replace = Callable[[str], str]


def rewrite(text: bytes, replace: Replace) -> bytes:
    """The resource text with each link replaced; a link that replace answers unchanged keeps its bytes.

    Links are references, elements of the uri types, and href and src in narrative (R4 3.1.0.11.2).
    """
    text = _LINK.sub(lambda found: found[1] + _replaced(found[2], replace), text)
    return _NARRATIVE.sub(lambda found: found[1] + _replaced(found[2], lambda div: _in_narrative(div, replace)), text)


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


def is_conditional(link: str) -> bool:
    """Whether a reference is a search, such as Patient?identifier=s|v, allowed in a transaction only."""
    return bool(_CONDITIONAL.match(link))


def is_id(text: str) -> bool:
    """Whether a text can be a logical id."""
    return bool(_ID.fullmatch(text))


def _replaced(token: bytes, replace: Replace) -> bytes:
    link = json.loads(token)
    new = replace(link)
    return token if new == link else json.dumps(new, ensure_ascii=False).encode()


def _in_narrative(div: str, replace: Replace) -> str:
    return _ATTRIBUTE.sub(lambda found: f"{found[1]}{found[2]}{replace(found[3])}{found[2]}", div)
