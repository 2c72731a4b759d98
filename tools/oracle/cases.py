"""What is put to the official validator: our definitions, our examples, and mutants of the valid ones."""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from app.fhir.json import dumps
from app.guide.published import published
from app.mapping.questionnaires.questionnaire import questionnaires
from app.pain.content import load_content
from app.profiles import json_files

Json = dict[str, Any]

# What tells people about a definition, at its top and anywhere in it; no verdict depends on it.
_HEADINGS = frozenset({"title", "description", "purpose", "publisher", "contact", "copyright", "date", "text"})
_WORDS = frozenset({"definition", "short", "comment", "requirements", "human"})


class Case(NamedTuple):
    """A resource with a name that tells where it is from. group: definition, published (with snapshot, expansion and
    narrative), valid, invalid or mutant."""

    group: str
    name: str
    resource: Json

    @property
    def text(self) -> bytes:
        return dumps(self.resource)

    @property
    def digest(self) -> str:
        """Tells whether a recorded verdict is about this very resource. Words about a definition do not count."""
        return _digest(_bare(self.resource) if self.group == "definition" else self.resource)


def definitions() -> dict[str, Json]:
    """Every definition of ours by name, the Questionnaires that follow from the instruments too."""
    files = json_files("structuredefinitions") | json_files("terminology")
    made = questionnaires(load_content())
    return {f"{one['resourceType']}-{one['id']}": one for one in [*files.values(), *made]}


def definitions_digest() -> str:
    """Changes whenever a definition changes in anything that could change a verdict."""
    return _digest({name: _bare(one) for name, one in sorted(definitions().items())})


def _bare(definition: Json) -> Json:
    return {key: _wordless(value) for key, value in definition.items() if key not in _HEADINGS}


def _wordless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wordless(inner) for key, inner in value.items() if key not in _WORDS}
    return [_wordless(inner) for inner in value] if isinstance(value, list) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(dumps(value)).hexdigest()[:12]


def published_cases() -> Iterator[Case]:
    """Every definition as the package has it."""
    for one in published(load_content()):
        yield Case("published", f"published-{one['resourceType']}-{one['id']}", one)


def own_cases() -> Iterator[Case]:
    """Definitions and examples as they are."""
    for name, resource in definitions().items():
        yield Case("definition", name, resource)
    for name, resource in json_files("examples/valid").items():
        yield Case("valid", name, resource)
    for name, example in json_files("examples/invalid").items():
        yield Case("invalid", name, example["resource"])
