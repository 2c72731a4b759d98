"""The examples: which profiles they are about, and what the wrong ones must produce."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.fhir.json import dumps
from app.mapping.elements import Resource
from app.pain.content import Content
from app.profiles import json_files


@dataclass(frozen=True, slots=True)
class Example:
    """One example. expect: of one that is wrong on purpose, the issue it must produce; about: canonical URLs of the
    profiles and extensions it shows."""

    stem: str
    resource: Resource
    expect: dict[str, Any] | None
    about: frozenset[str]

    @property
    def page(self) -> str:
        return f"{'example' if self.expect is None else 'invalid'}-{self.stem}"

    @property
    def title(self) -> str:
        """The file name says what the example is about; of a wrong one it says the defect."""
        kind, _, words = self.stem.partition("-")
        return f"{kind}: {words.replace('-', ' ')}"


def examples(content: Content) -> list[Example]:
    """All of them that this content may show, the valid ones first, each by name."""
    valid = [_example(stem, one, None) for stem, one in json_files("examples/valid").items()]
    wrong = [_example(stem, one["resource"], one["expect"]) for stem, one in json_files("examples/invalid").items()]
    return [one for one in (*valid, *wrong) if not _is_withheld(one.resource, content)]


def _is_withheld(resource: Resource, content: Content) -> bool:
    """Whether a resource holds codes of ICD-11 where these are switched off."""
    return not content.icd_11 and content.systems["icd-11"].encode() in dumps(resource)


def _example(stem: str, resource: Resource, expect: dict[str, Any] | None) -> Example:
    return Example(stem, resource, expect, frozenset(_about(resource)))


def _about(value: Any) -> Iterator[str]:
    """The profiles a resource claims and the extensions it has, wherever they stand."""
    if isinstance(value, dict):
        meta = value.get("meta")
        profiles = meta.get("profile", ()) if isinstance(meta, dict) else ()
        yield from (str(each).partition("|")[0] for each in profiles)
        # The parts of a complex extension have local names, and no definition of their own.
        urls = (str(one.get("url")) for one in value.get("extension", ()) if isinstance(one, dict))
        yield from (url for url in urls if ":" in url)
        for inner in value.values():
            yield from _about(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _about(inner)
