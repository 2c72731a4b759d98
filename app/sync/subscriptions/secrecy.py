"""The headers of a Subscription are credentials of the endpoint: whoever may read it does not get them.

Their values are sealed before they are stored, each for its endpoint, and opened when the endpoint is called.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotReady
from app.intake.writes import Write
from app.security.sealing import CannotSeal, NotOpened, Sealing, is_sealed

_TYPE = "Subscription"
_log = structlog.get_logger()


def seals(sealing: Sealing) -> Callable[[Write], Write]:
    """What is done to each write before it is stored."""

    def sealed(write: Write) -> Write:
        channel = (write.tree or {}).get("channel") if write.type == _TYPE else None
        if not isinstance(channel, Mapping) or not channel.get("header"):
            return write
        place = str(channel.get("endpoint", ""))
        try:
            header = [_sealed(sealing, str(each), place) for each in channel["header"]]
        except CannotSeal as error:
            _log.error("headers of a Subscription cannot be sealed", reason=str(error))
            told = "This server has no key to keep headers sealed with; its operator finds why in the log."
            raise NotReady([Issue("transient", told, "Subscription.channel.header")]) from None
        tree = {**(write.tree or {}), "channel": {**channel, "header": header}}
        return replace(write, tree=tree, text=lossless.dumps(tree))

    return sealed


def problems(tree: Mapping[str, object], sealing: Sealing) -> list[Issue]:
    """Sealed values that were read somewhere else: they open for their own endpoint only."""
    channel = tree.get("channel")
    if not isinstance(channel, Mapping):
        return []
    told = "This value was sealed for another endpoint, or by another server: give the header anew."
    found = []
    for place, each in enumerate(channel.get("header") or ()):
        name, _, value = str(each).partition(":")
        try:
            opened(sealing, [(name, value.strip())], str(channel.get("endpoint", "")))
        except NotOpened:
            found.append(Issue("business-rule", told, f"Subscription.channel.header[{place}]"))
        except CannotSeal:
            found.append(Issue("transient", "This server has no key to open it with.", "Subscription.channel.header"))
    return found


def opened(sealing: Sealing, headers: Sequence[tuple[str, str]], endpoint: str) -> list[tuple[str, str]]:
    """The headers as they are sent. Raises NotOpened and CannotSeal."""
    return [(name, sealing.opened(value, endpoint) if is_sealed(value) else value) for name, value in headers]


def _sealed(sealing: Sealing, header: str, place: str) -> str:
    name, _, value = header.partition(":")
    given = value.strip()
    return header if is_sealed(given) else f"{name}: {sealing.sealed(given, place)}"
