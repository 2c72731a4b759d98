"""Conditions of a write: "only if none exists", and references by search instead of by id."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import parse_qsl

from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.writes import Write
from app.store.database import Connection, Lock
from app.store.search import CONTROL, Searcher, codes, matching_ids

_IDENTIFIER = "identifier"


def locks(write: Write) -> Iterator[Lock]:
    """What a write must hold so that conditions see it, and it sees what they made, one after the other.

    A condition on identifiers meets every write of a resource with one of their values; any other condition meets
    every write of its type.
    """
    if write.id:
        yield Lock(f"{write.type}/{write.id}")
    given = pairs(write.if_none_exist)
    on_identifier = any(name == _IDENTIFIER for name, _ in given)
    yield Lock(f"{write.type}?", shared=not given or on_identifier)
    values = [code for name, value in given if name == _IDENTIFIER for code in codes(value)]
    own = (write.tree or {}).get(_IDENTIFIER, ())
    own = own if isinstance(own, list) else [own]
    values += [str(one.get("value")) for one in own if isinstance(one, dict)]
    yield from (Lock(f"{write.type}?{value}") for value in values)


def pairs(condition: str) -> list[tuple[str, str]]:
    """The (parameter, value) pairs of a condition, with or without a type before them."""
    return parse_qsl(condition.partition("?")[2] or condition, keep_blank_values=True)


class Conditions:
    """Evaluates conditions inside one write transaction. base: the address of this server's FHIR endpoint."""

    def __init__(self, searcher: Searcher, connection: Connection, base: str) -> None:
        self._searcher = searcher
        self._connection = connection
        self._base = base

    async def match(self, resource_type: str, condition: str, path: str) -> str:
        """The id of the one match, "" if there is none. Raises PreconditionFailed if there are several."""
        named, mark, _ = condition.partition("?")
        if mark and named != resource_type:
            raise Refused(
                [
                    Issue(
                        "value",
                        f"A condition on {resource_type} cannot search another type.",
                        path,
                        rule="dmt-condition",
                    )
                ]
            )
        given = pairs(condition)
        if not given or any(name in CONTROL for name, _ in given):
            told = "A condition needs at least one search parameter, and none that only shapes the answer."
            raise Refused([Issue("value", told, path, rule="dmt-condition")])
        try:
            # An ignored parameter would make the condition wider than the client meant: always strict.
            query = self._searcher.parse(resource_type, given, strict=True, base=self._base)
        except Refused as refused:
            raise Refused(replace(issue, expression=path or issue.expression) for issue in refused.issues) from None
        found = await matching_ids(self._connection, query)
        if len(found) > 1:
            text = f"The condition matches several {resource_type} resources."
            raise PreconditionFailed([Issue("multiple-matches", text, path, rule="dmt-condition")])
        return found[0] if found else ""

    async def reference(self, link: str, path: str) -> str:
        """The literal reference that a conditional one such as Patient?identifier=s|v stands for."""
        resource_type = link.partition("?")[0]
        found = await self.match(resource_type, link, f"{path}.resource")
        if not found:
            text = f"A conditional reference matches no {resource_type}."
            raise PreconditionFailed([Issue("not-found", text, f"{path}.resource", rule="dmt-condition")])
        return f"{resource_type}/{found}"
