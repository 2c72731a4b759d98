"""$meta, $meta-add and $meta-delete: profiles, tags and security labels (R4 resource-operations.html).

A version is never changed here, so adding and taking away make a new version whose content differs in meta only; labels
of past versions stay as they were.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, PreconditionFailed, Refused
from app.intake.writes import Write, Written
from app.routers import exchange
from app.routers.operations import held
from app.routers.operations.call import Call, parameters
from app.store import labels, repository
from app.store.idempotency import Answer
from app.store.index.state import require_indexed

Meta = dict[str, Any]
_ATTEMPTS = 5


async def meta(call: Call) -> Answer:
    """The labels of a version or resource; of a type or of everything, those in use."""
    if call.version:
        return _answer(_meta_of(await _past(call)))
    if call.resource_id:
        return _answer(_meta_of((await held.current(call)).content or b"{}"))
    async with call.service.database.reading() as connection:
        await require_indexed(connection, [(call.resource_type or "*", each) for each in labels.PARAMETERS])
        found = await labels.labelled(connection, call.resource_type)
    return _answer(_joined([_meta_of(each.content or b"{}") for each in found]))


async def _past(call: Call) -> bytes:
    number = exchange.version_number(call.version)
    async with call.service.database.reading() as connection:
        stored = await repository.read_version(connection, call.resource_type, call.resource_id, number)
    if stored is None or stored.content is None:
        raise exchange.gone_or_missing(call.resource_type, call.resource_id, stored, version=call.version)
    return stored.content


async def add(call: Call) -> Answer:
    """The labels after those given were added; one that is there already is not added again."""
    return await _change(call, lambda own, given: _joined([own, given]))


async def delete(call: Call) -> Answer:
    """The labels after those given were taken away; one that is not there is no error."""
    return await _change(call, _without)


async def _change(call: Call, change: Callable[[Meta, Meta], Meta]) -> Answer:
    """Write the resource with changed labels, through the same door as every write."""
    given = _given(call.given.one("meta"))
    asked = exchange.if_match(call.request)
    # What is asked for, not what comes of it, is the request that a key stands for.
    caller = exchange.caller(call.request, lossless.dumps(given))
    if replay := await call.service.intake.recall(caller):
        return replay
    for attempt in range(_ATTEMPTS):
        stored = await held.current(call)
        text = _with_meta(stored.content or b"{}", lambda own: change(own, given))
        match = stored.version if asked is None else asked
        write = Write("PUT", call.resource_type, call.resource_id, text, lossless.parse_object(text), if_match=match)
        try:
            return await call.service.intake.accept([write], caller, _written)
        except PreconditionFailed:
            # Somebody else wrote in between: what they wrote is to be kept, and so it is read again.
            if asked is not None or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _written(done: list[Written]) -> Answer:
    return _answer(_meta_of(done[0].stored.content or b"{}"))


def _answer(found: Mapping[str, Any]) -> Answer:
    return parameters({"name": "return", "valueMeta": found}) if found else parameters()


def _meta_of(text: bytes) -> Meta:
    own = lossless.parse_object(text).get("meta", {})
    return {name: value for name, value in own.items() if value}


def _with_meta(text: bytes, change: Callable[[Meta], Meta]) -> bytes:
    """The same resource text with other labels; every number keeps its digits."""
    tree = lossless.parse_keeping_digits(text)
    own = tree.get("meta", {})
    kept = {name: value for name, value in own.items() if name not in _KEYS}
    return lossless.dumps({**tree, "meta": {**kept, **change(_labels(own))}})


# What tells one label from another: a profile by its URL, a tag or security label by system and code.
_KEYS: Mapping[str, Callable[[Any], Any]] = {
    "profile": lambda each: each,
    "tag": lambda each: (each.get("system", ""), each.get("code", "")),
    "security": lambda each: (each.get("system", ""), each.get("code", "")),
}


def _given(meta: Mapping[str, Any]) -> Meta:
    """The labels given. What the server sets itself is no label and may be among them, as in what $meta answers."""
    if others := [name for name in meta if name not in (*_KEYS, "versionId", "lastUpdated")]:
        told = f"Only profile, tag and security can be added and taken away, not {', '.join(others)[:64]}."
        raise Refused([Issue("not-supported", told, "meta")])
    return _labels(meta)


def _labels(own: Mapping[str, Any]) -> Meta:
    return {name: own[name] for name in _KEYS if name in own}


def _joined(every: Iterable[Mapping[str, Any]]) -> Meta:
    """All labels, each once: the first that says it."""
    made: Meta = {}
    for own in every:
        for name, key in _KEYS.items():
            there = {key(each) for each in made.get(name, ())}
            new = {key(each): each for each in reversed(own.get(name, ())) if key(each) not in there}
            if new:
                made[name] = [*made.get(name, ()), *reversed(new.values())]
    return made


def _without(own: Meta, given: Meta) -> Meta:
    made = {}
    for name, key in _KEYS.items():
        gone = {key(each) for each in given.get(name, ())}
        if kept := [each for each in own.get(name, ()) if key(each) not in gone]:
            made[name] = kept
    return made
