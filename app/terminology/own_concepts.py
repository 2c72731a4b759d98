"""Our concepts of instruments and examinations that have a verified code of others beside them, for concept maps."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.profiles import toml_files

# An instrument's panel code tells of all its answers; our concept is also that of its main score.
_SAME, _RELATED = "equivalent", "relatedto"


class Said(NamedTuple):
    """A concept of ours and a coding of others: system (as in systems.toml), code and display of each."""

    system: str
    code: str
    display: str
    equivalence: str
    other: Mapping[str, str]


def own_concepts() -> list[Said]:
    """All of them, in the order of the content files."""
    found = [each for one in toml_files("instruments").values() for each in _instrument(one)]
    found += [each for one in toml_files("examinations").values() for each in _examination(one)]
    for one in toml_files("vocabulary")["qualifiers"]["qualifier"].values():
        found += [each for row in one.get("row", ()) for each in _said(one["system"], row["id"], row["label"], row)]
    return list({(one.system, one.code, one.other["system"], one.other["code"]): one for one in found}.values())


def _instrument(one: Mapping[str, Any]) -> Iterator[Said]:
    scores = [score for score in one["score"] if score["method"] != "value"]
    is_scored = any(score["id"] == one["id"] and score.get("codings") for score in scores)
    yield from _said("np-instrument", one["id"], one["title"], one, _RELATED if is_scored else _SAME)
    for score in scores:
        display = one["title"] if score["id"] == one["id"] else score["label"]
        yield from _said("np-instrument", score["id"], display, score)
    for item in one["item"]:
        code = f"{one['id']}.{item['key']}"
        yield from _said("np-item", code, item["label"], item)
        for option in item["answer"].get("options", ()):
            yield from _said("np-item", f"{code}.{option['key']}", option["label"], option)


def _examination(one: Mapping[str, Any]) -> Iterator[Said]:
    yield from _said("np-test", one["id"], one["title"], one)
    for row in one["parameter"]:
        yield from _said(one["system"], row["key"], row["label"], row)


def _said(system: str, code: str, display: str, row: Mapping[str, Any], equivalence: str = _SAME) -> Iterator[Said]:
    yield from (Said(system, code, display, equivalence, each) for each in row.get("codings", ()))
