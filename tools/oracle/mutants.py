"""One-change mutants of our valid examples, the same ones for the same seed and examples.

Which candidates are taken follows from a hash of their names, kind by kind and example by example: a change to one
example moves its own mutants and those that borrow from it, no others.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from app.fhir.json import dumps, parse
from app.profiles import json_files
from tools.oracle.cases import Case, Json
from tools.oracle.mutations import GONE, KINDS, Changes, Spot, Steps
from tools.oracle.wholes import whole_mutations

SEED = "1"
# How many of a kind are taken per example; the kinds that concern our rules most get more.
SHARE = {"delete": 6, "code": 6, "choice": 3, "extension": 3, "coding": 3, "number": 3, "whole": 3, "transplant": 3}
USUAL_SHARE = 2


class Candidate(NamedTuple):
    """A mutant that is made when it is chosen; there are many more than that."""

    kind: str
    name: str
    make: Callable[[], Json]

    @property
    def rank(self) -> str:
        return hashlib.sha256(f"{SEED} {self.name}".encode()).hexdigest()


def mutants(times: int = 1) -> Iterator[Case]:
    """The chosen mutants, by example. times: how many times the usual number.

    Of the examples of one profile the first is changed: changes to the others would ask the same again.
    """
    examples = json_files("examples/valid")
    for name, example in _first_of_each_profile(examples).items():
        by_kind: dict[str, list[Candidate]] = {}
        for candidate in _candidates(name, examples):
            by_kind.setdefault(candidate.kind, []).append(candidate)
        seen = {dumps(example)}
        for kind, candidates in by_kind.items():
            yield from _chosen(candidates, SHARE.get(kind, USUAL_SHARE) * times, seen)


def _first_of_each_profile(examples: Mapping[str, Json]) -> dict[str, Json]:
    first: dict[tuple[str, ...], str] = {}
    for name, example in examples.items():
        first.setdefault(tuple(example["meta"]["profile"]), name)
    return {name: examples[name] for name in first.values()}


def _chosen(candidates: list[Candidate], count: int, seen: set[bytes]) -> Iterator[Case]:
    """The first by rank that differ from the example and from each other."""
    for candidate in sorted(candidates, key=lambda each: each.rank):
        if not count:
            return
        case = Case("mutant", candidate.name, candidate.make())
        if case.text not in seen:
            seen.add(case.text)
            count -= 1
            yield case


def _candidates(name: str, examples: dict[str, Json]) -> Iterator[Candidate]:
    example = examples[name]
    spots = list(_spots(example))
    for kind, operator in KINDS.items():
        for spot in spots:
            for what, changes in operator(spot):
                label = f"{name}: {kind} {path(spot.steps)} {what}".rstrip()
                yield Candidate(kind, label, partial(_changed, example, spot.steps, changes))
    for what, resource in whole_mutations(example):
        yield Candidate("whole", f"{name}: whole {what}", partial(dict, resource))
    for other, donor in examples.items():
        if other != name and donor["resourceType"] == example["resourceType"]:
            for key in sorted(donor.keys() - {"resourceType", "id", "text"}):
                resource = example | {key: donor[key]}
                yield Candidate("transplant", f"{name}: transplant {key} of {other}", partial(dict, resource))


def path(steps: Steps) -> str:
    """A place in words of JSON: component[1].code."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def _spots(value: Any, steps: Steps = ()) -> Iterator[Spot]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in inner:
        yield Spot((*steps, key), member, value)
        yield from _spots(member, (*steps, key))


def _changed(example: Json, steps: Steps, changes: Changes) -> Json:
    made: Json = parse(dumps(example))
    parent: Any = made
    for step in steps[:-1]:
        parent = parent[step]
    if isinstance(changes, list):
        place = int(steps[-1])
        parent[place : place + 1] = changes
    else:
        parent.update(changes)
        for key in [key for key, value in changes.items() if value is GONE]:
            del parent[key]
    return made
