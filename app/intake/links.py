"""Links between the writes of one transaction, and references by search: both become literal references."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import is_conditional, located, references, resolved, rewrite
from app.intake.problems import Problems
from app.intake.writes import Write

_URNS = ("urn:uuid:", "urn:oid:")


def checkable(write: Write) -> dict[str, Any]:
    """The resource as it is checked: in a transaction a reference may be conditional, and is resolved later."""
    if not write.path or not any(is_conditional(link) for link in references(write.tree)):
        return dict(write.tree or {})
    text = rewrite(write.text, lambda link: f"{link.partition('?')[0]}/condition" if is_conditional(link) else link)
    return lossless.parse_object(text)


def conditional(writes: Sequence[Write]) -> dict[str, str]:
    """The references by search in writes of a Bundle, and where each stands first."""
    found: dict[str, str] = {}
    for write in writes:
        for path, link in _references(write, is_conditional) if write.path else ():
            found.setdefault(link, path)
    return found


def linked(writes: Sequence[Write], found: Mapping[str, str]) -> list[Write]:
    """The writes, each with its id, with their links replaced. found: what the references by search stand for.

    Raises Refused naming every link that leads nowhere.
    """
    names = {write.full_url: f"{write.type}/{write.id}" for write in writes if write.full_url}
    problems = Problems()
    made = []
    for write in writes:
        with problems.kept():
            made.append(_linked(write, names, found))
    problems.refuse()
    return made


def _linked(write: Write, names: Mapping[str, str], found: Mapping[str, str]) -> Write:
    # The links of a Bundle that is stored as it is are its own.
    if write.tree is None or write.type == "Bundle" or not (write.path or names):
        return write
    lost = _references(write, lambda link: link.startswith(_URNS) and link not in names)
    if lost:
        told = "A reference names no entry of this transaction."
        raise Refused(Issue("not-found", told, path, rule="dmt-bundle-link") for path, _ in lost)
    if not names and not found:
        return write
    text = rewrite(write.text, lambda link: found.get(link) or resolved(link, write.full_url, names))
    return write if text is write.text else replace(write, text=text, tree=lossless.parse_object(text))


def _references(write: Write, is_wanted: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Where in what was sent the references stand that are wanted, and their text."""
    # Mostly there are none, and to find the place of each takes longer than to read them.
    if write.type == "Bundle" or not any(map(is_wanted, references(write.tree))):
        return []
    return [
        (f"{write.where}.{path.partition('.')[2]}" if write.path else path, link)
        for path, link in located(write.tree or {})
        if is_wanted(link)
    ]
