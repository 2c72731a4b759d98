"""Changes of valid JSON, each of which somebody will send some day: by mistake, by another version, or on purpose."""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Place = tuple[Any, Any]
# What breaks programs, by what a value is said to be. A string may stand where a number should.
TEXTS: Sequence[str] = (
    "", " ", "\t", "a" * 300, "A" * 70_000, "\u0000", "\u202eabc", "\ud800", "e\u0301\u0327", "𝒳", "\ufeff", "null",
    "' OR '1'='1", '";DROP TABLE resource;--',
    "%' ESCAPE '\\", "\\", "%", "_", "$1", ":x", "{{7*7}}", "${jndi:ldap://x}",
    "../../../etc/passwd", "<script>alert(1)</script>", "<!DOCTYPE x [<!ENTITY a 'b'>]>", "\r\nX-Injected: 1", "#",
    "#x",
    "urn:uuid:", "urn:uuid:00000000-0000-4000-8000-000000000000", "http://127.0.0.1:1/", "http://[::1", "javascript:1",
    "Patient/", "Patient/..", "Patient?identifier=a|b", "Patient/1/_history/9", "file:///etc/passwd", "-1", "1e5",
    "2026-02-30", "0000", "9999-12-31T23:59:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+14:00", "24:00:00", "T",
    "2026-01-01T00:00:00.123456789012Z", "http://snomed.info/sct", "(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "Ä|ß",
)  # fmt: skip
NUMBERS: Sequence[Any] = (
    0, -0.0, -1, 1, 2**31, 2**31 - 1, -(2**31) - 1, 2**53 + 1, 2**63, 10**30, 1e-7, 1.5, 1e300, 0.1 + 0.2,
    123456789.123,
)  # fmt: skip
OTHERS: Sequence[Any] = (None, True, False, [], {}, [[]], [None], {"a": 1}, [{}], {"": ""}, [""], {"extension": []})
_NAMES = (
    "id",
    "extension",
    "resourceType",
    "meta",
    "text",
    "contained",
    "reference",
    "value",
    "code",
    "url",
    "_id",
    "",
)


def mutate(chance: random.Random, tree: Any, others: Sequence[Any] = ()) -> Any:
    """A copy with one to four changes. others: trees that parts are taken from."""
    made = copy.deepcopy(tree)
    for _ in range(min(1 + int(chance.expovariate(0.8)), 4)):
        places = list(_places(made))
        if places:
            holder, key = chance.choice(places)
            chance.choice(_CHANGES)(chance, holder, key, others)
    return made


def places(tree: Any) -> list[Place]:
    """Every value in a tree, as what holds it and the key there."""
    return list(_places(tree))


def _places(tree: Any, depth: int = 0) -> Iterator[Place]:
    keys: Sequence[Any] = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        if depth < 40:
            yield from _places(tree[key], depth + 1)


def hostile(chance: random.Random) -> Any:
    """A value of any kind that nobody expects there."""
    return copy.deepcopy(chance.choice(chance.choice((TEXTS, TEXTS, NUMBERS, OTHERS))))


def _remove(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    del holder[key]


def _replace(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    holder[key] = hostile(chance)


def _replace_alike(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    alike = TEXTS if isinstance(holder[key], str) else NUMBERS if isinstance(holder[key], int | float) else OTHERS
    holder[key] = copy.deepcopy(chance.choice(alike))


def _edit(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    """One letter of a text more, fewer or another."""
    text = holder[key] if isinstance(holder[key], str) else json.dumps(holder[key])
    at = chance.randint(0, len(text))
    holder[key] = (
        text[:at] + chance.choice(("", " ", "x", "0", "\n", "é", "|", "/")) + text[at + chance.randint(0, 1) :]
    )


def _rename(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    value = holder.pop(key)
    if isinstance(holder, dict):
        holder[chance.choice((f"_{key}", str(key).title(), f"{key}x", chance.choice(_NAMES)))] = value
    else:
        holder.insert(chance.randint(0, len(holder)), value)


def _add(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    value = copy.deepcopy(holder[key]) if chance.random() < 0.5 else hostile(chance)
    if isinstance(holder, dict):
        holder[chance.choice(_NAMES) if chance.random() < 0.7 else f"_{key}"] = value
    else:
        holder.append(value)


def _wrap(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    value = holder[key]
    for _ in range(chance.choice((1, 1, 1, 3, 60, 200))):
        value = [value] if chance.random() < 0.5 else {"extension": [value]}
    holder[key] = value


def _repeat(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    copies = [copy.deepcopy(holder[key]) for _ in range(chance.choice((2, 3, 50)))]
    holder[key] = copies[0] * 2 if isinstance(copies[0], list) else copies


def _graft(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    """A part of another resource, from an element of the same name where there is one."""
    if not others:
        return
    found = _places(chance.choice(others))
    parts = [(name, whole[name]) for whole, name in found]
    same = [value for name, value in parts if name == key] or [value for _, value in parts]
    if same:
        holder[key] = copy.deepcopy(chance.choice(same))


def _swap(chance: random.Random, holder: Any, key: Any, others: Sequence[Any]) -> None:
    other = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
    holder[key], holder[other] = holder[other], holder[key]


_Change = Callable[[random.Random, Any, Any, Sequence[Any]], None]
_CHANGES: Sequence[_Change] = (
    _remove, _remove, _replace, _replace_alike, _replace_alike, _edit, _edit, _rename, _add, _wrap, _repeat, _graft,
    _graft, _swap,
)  # fmt: skip


def spoil(chance: random.Random, text: bytes) -> bytes:
    """The same bytes with something wrong that JSON, XML or a form does not allow."""
    at = chance.randint(0, len(text))
    return chance.choice(
        (
            text[:at],
            text[:at] + bytes([chance.randrange(256)]) + text[at + 1 :],
            text[:at]
            + chance.choice((b"\x00", b"\xff", b"\xed\xa0\x80", b"NaN", b"1e400", b"\\u0000", b"}", b"//"))
            + text[at:],
            b"\xef\xbb\xbf" + text,
            text + text,
            text.replace(b":", b":1,", 1),
            b"[" * 5_000 + text,
            text[:at] + b" " * chance.choice((10, 100_000)) + text[at:],
            b"",
        )
    )
