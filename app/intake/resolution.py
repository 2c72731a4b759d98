"""Which resource each write of a transaction concerns (R4 3.1.0.4.3, 3.1.0.6.1, 3.1.0.7.1, 3.1.0.11.2).

The order of R4 holds: conditions of deletions see what was before, those of creations what the deletions left, those
of updates and patches the creations too, and references by search see the end of it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from app.fhir.outcomes import Issue, NotFound, PreconditionFailed, Refused
from app.intake.conditions import Conditions, are_apart, has_chain, pairs
from app.intake.policy import Policy
from app.intake.problems import Problems
from app.intake.versions import Placed, given_id, with_id
from app.intake.writes import Write

# What one conditional delete removes at most.
MOST_DELETED = 1_000


@dataclass(frozen=True, slots=True)
class Resolver:
    """Answers the conditions of writes. Problems are kept in `problems`, so that all can be told."""

    conditions: Conditions
    policy: Policy
    new_id: Callable[[], str]
    problems: Problems

    async def deletions(self, writes: Sequence[Write]) -> list[Placed]:
        """The deletions, one for each resource; with an empty id where a condition matches nothing."""
        found: list[Placed] = []
        await self._gather(writes, "DELETE")
        for place, write in enumerate(writes):
            if write.method == "DELETE":
                with self.problems.kept():
                    ids = [write.id] if write.id else await self._deleted(write)
                    found += [Placed(place, with_id(write, one)) for one in ids or [""]]
        return found

    async def creations(self, writes: Sequence[Write]) -> list[Placed]:
        """What is created, or was before."""
        found: list[Placed] = []
        await self._gather(writes, "POST")
        for place, write in enumerate(writes):
            if write.method == "POST":
                with self.problems.kept():
                    match = write.search and await self.conditions.match(write.type, write.search, write.path)
                    known = match or write.id
                    made = with_id(write, known or self.new_id())
                    found.append(Placed(place, made, is_existing=bool(match), is_fresh=not known))
        return found

    async def changes(self, writes: Sequence[Write], based_on: Sequence[int]) -> list[Placed]:
        """What is updated or patched, by id or by condition."""
        found: list[Placed] = []
        await self._gather(writes, "PUT", "PATCH")
        for place, write in enumerate(writes):
            if write.method in ("PUT", "PATCH"):
                with self.problems.kept():
                    placed = await self._changed(place, write) if write.condition else Placed(place, write)
                    found.append(replace(placed, based_on=based_on[place]))
        return found

    async def require_distinct(self, placed: Sequence[Placed]) -> None:
        """Refuse what is made on condition where another entry's resource matches that too: which one is it to be?"""
        await self._gather([one.write for one in placed], "POST", "PUT")
        for one in placed:
            if one.is_only:
                with self.problems.kept():
                    write = one.write
                    match = await self.conditions.matches(write.type, write.search, write.path, limit=2)
                    if set(match) - {write.id}:
                        raise Refused([_twice(write)])

    async def _gather(self, writes: Sequence[Write], *methods: str) -> None:
        await self.conditions.gather((w.type, w.search) for w in writes if w.search and w.method in methods)

    async def _deleted(self, write: Write) -> list[str]:
        limit = MOST_DELETED + 1 if self.policy.conditional_delete == "multiple" else 2
        found = await self.conditions.matches(write.type, write.condition, write.path, limit=limit)
        if len(found) == limit:
            most = f"more than {MOST_DELETED}" if limit > 2 else "several"
            told = f"The condition matches {most} {write.type} resources; nothing was deleted."
            raise PreconditionFailed([Issue("multiple-matches", told, write.path, rule="dmt-condition")])
        return found

    async def _changed(self, place: int, write: Write) -> Placed:
        match = await self.conditions.match(write.type, write.condition, write.path)
        if write.method == "PATCH":
            return Placed(place, with_id(write, required(write, match)))
        given = given_id(write.tree)
        if match and given and given != match:
            told = f"The condition matches another {write.type} than the one of this id."
            where = f"{write.where or write.type}.id"
            raise Refused([Issue("value", told, where, rule="dmt-condition")])
        return Placed(place, with_id(write, match or given or self.new_id()), is_new=not match)


def required(write: Write, match: str) -> str:
    """The match of a condition that must have one."""
    if not match:
        told = f"The condition matches no {write.type}."
        raise NotFound([Issue("not-found", told, write.path, rule="dmt-condition")])
    return match


def refuse_twice(placed: Iterable[Placed], problems: Problems) -> None:
    """R4 3.1.0.11.2: a transaction must not name one resource twice, be it by id, by fullUrl or by condition."""
    seen: set[tuple[str, str]] = set()
    for one in sorted(placed, key=lambda each: each.place):
        names = set(_names(one))
        if names & seen:
            with problems.kept():
                raise Refused([_twice(one.write)])
        seen |= names


def concerned(asked: Iterable[tuple[str, str]], placed: Sequence[Placed]) -> list[Placed]:
    """Those of the writes that may change what conditions find. asked: (type, condition) pairs."""
    types, is_any = set(), False
    for resource_type, condition in asked:
        types.add(resource_type)
        is_any = is_any or has_chain(condition)
    return [one for one in placed if not one.is_existing and (is_any or one.write.type in types)]


def rivals(placed: Sequence[Placed]) -> list[tuple[str, str]]:
    """The conditions of what is made, as (type, condition) pairs, if one may match what another of them makes."""
    new = [(one.write.type, one.write.search) for one in placed if one.is_only]
    others = [one.write for one in concerned(new, placed)]
    return [] if len(others) < 2 or are_apart(others, new) else new


def _names(placed: Placed) -> Iterable[tuple[str, str]]:
    write = placed.write
    if write.id:
        yield placed.key
    if write.method == "DELETE":
        return
    if write.search:
        yield write.type, f"?{sorted(pairs(write.search))}"
    if write.full_url:
        yield "", write.full_url


def _twice(write: Write) -> Issue:
    return Issue("duplicate", f"Another entry concerns the same {write.type}.", write.path, rule="dmt-bundle-twice")
