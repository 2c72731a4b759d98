"""What each page of the guide shows; how it looks is in templates/, one for every kind of page."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.guide import elements, licences
from app.guide.examples import Example
from app.guide.links import Links, page_of
from app.mapping.definitions import group_of, groups, title_of
from app.mapping.elements import Resource
from app.pain.content import Content
from app.profiles import json_files, package, toml_files

_TEMPLATES = {
    "StructureDefinition": "profile",
    "ValueSet": "value-set",
    "CodeSystem": "code-system",
    "ConceptMap": "concept-map",
    "Questionnaire": "questionnaire",
    "SearchParameter": "search-parameter",
    "OperationDefinition": "operation",
    "ImplementationGuide": "guide",
}
Maker = Callable[[], bytes]


class Pages:
    """The pages of one guide, by file name."""

    def __init__(
        self, content: Content, definitions: Iterable[Resource], examples: Iterable[Example], links: Links
    ) -> None:
        self._content, self._links = content, links
        self._definitions, self._examples = list(definitions), list(examples)
        # Whatever a content file says is text, never markup.
        self._templates = Environment(
            loader=PackageLoader("app.guide"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"links": links, "package": package(), "said": elements.said}
        self._templates.filters |= {"title": title_of, "page": page_of, "system_name": licences.name_of}

    def makers(self) -> dict[str, Maker]:
        """How each page is made, by file name."""
        made = {f"{page_of(one)}.html": self._definition(one) for one in self._definitions}
        made |= {f"{one.page}.html": self._maker("example", example=one) for one in self._examples}
        return made | {
            "index.html": self._maker("index", groups=self._groups(), counts=self._counts()),
            "examples.html": self._maker("examples", examples=self._examples),
            "rules.html": self._maker("rules", profiles=self._ruled()),
            "guideline-rules.html": self._maker("guideline-rules", **self._guidelines()),
            "alignment.html": self._maker("alignment", **_alignment()),
            "licences.html": self._maker("licences", **self._licences()),
        }

    def missing(self) -> bytes:
        return self._maker("missing")()

    def _maker(self, template: str, **shown: Any) -> Maker:
        return lambda: self._templates.get_template(f"{template}.html").render(**shown).encode()

    def _definition(self, one: Resource) -> Maker:
        template = _TEMPLATES[one["resourceType"]]
        more = self._more().get(template, _nothing)
        return lambda: self._maker(template, one=one, group=_group(one), **more(one))()

    def _more(self) -> Mapping[str, Callable[[Resource], dict[str, Any]]]:
        """What a kind of page shows besides the definition itself."""
        return {
            "profile": self._profile,
            "value-set": self._users,
            "code-system": self._users,
            "questionnaire": self._questionnaire,
        }

    def _profile(self, one: Resource) -> dict[str, Any]:
        about = [each for each in self._examples if one["url"] in each.about]
        # An extension stands in many examples that are about something else.
        wrong = [each for each in about if each.expect and (one["type"] != "Extension" or _concerns(each, one))]
        return {
            "differential": elements.differential(one),
            "key_elements": elements.key_elements(one),
            "rules": elements.rules(one),
            "own": frozenset(rule.key for rule in elements.rules(one)),
            "valid": [each for each in about if each.expect is None],
            "wrong": wrong,
        }

    def _users(self, one: Resource) -> dict[str, Any]:
        """The definitions that name this one."""
        return {"users": [each for each, urls in self._named if each is not one and one["url"] in urls]}

    @cached_property
    def _named(self) -> list[tuple[Resource, frozenset[str]]]:
        return [(one, frozenset(_urls(one))) for one in self._definitions]

    def _questionnaire(self, one: Resource) -> dict[str, Any]:
        return {"instrument": self._content.instruments[one["id"]]}

    def _groups(self) -> list[tuple[Mapping[str, Any], list[Resource]]]:
        found = ((one, [each for each in self._definitions if group_of(each) == one["id"]]) for one in groups())
        return [(one, sorted(rows, key=lambda row: title_of(row).casefold())) for one, rows in found if rows]

    def _counts(self) -> list[tuple[str, int]]:
        counted = [(one["name"], len(rows)) for one, rows in self._groups() if one["type"] != "ImplementationGuide"]
        wrong = sum(one.expect is not None for one in self._examples)
        return [*counted, ("Valid examples", len(self._examples) - wrong), ("Invalid examples", wrong)]

    def _ruled(self) -> list[tuple[Resource, list[elements.Rule]]]:
        profiles = [one for one in self._definitions if one["resourceType"] == "StructureDefinition"]
        return [(one, found) for one in profiles if (found := elements.rules(one))]

    def _guidelines(self) -> dict[str, Any]:
        files = toml_files("guidelines")
        rules = sorted(self._content.guidelines.rules, key=lambda rule: rule.id)
        return {"rules": rules, "editions": files["editions"]["edition"], "renal": files["renal"]["table"]}

    def _licences(self) -> dict[str, Any]:
        return {"terminologies": licences.terminologies(), "instruments": licences.instruments(self._content)}


def _nothing(_: Resource) -> dict[str, Any]:
    return {}


def _alignment() -> dict[str, Any]:
    """The guides of others, each with what tools/alignment.py found."""
    told, found = toml_files("guide")["alignment"], json_files("guide")["alignment"]
    guides = [{**one, "checked": found.get(one["id"], ())} for one in told["guides"]]
    return {"about": told["about"], "guides": guides}


def _group(one: Resource) -> Mapping[str, Any]:
    return next(each for each in groups() if each["id"] == group_of(one))


def _concerns(example: Example, extension: Resource) -> bool:
    """Whether the defect of a wrong example lies in this extension."""
    expect = example.expect or {}
    keys = {rule.key for rule in elements.rules(extension)}
    return expect.get("rule") in keys or extension["id"] in example.stem or "extension" in expect["expression"]


def _urls(value: Any) -> Iterator[str]:
    """The canonical URLs a definition names, without versions; what is derived from it names nothing more."""
    if isinstance(value, Mapping):
        yield from (url for key, inner in value.items() if key not in ("expansion", "snapshot") for url in _urls(inner))
    elif isinstance(value, list):
        yield from (url for inner in value for url in _urls(inner))
    elif isinstance(value, str) and value.startswith("http"):
        yield value.partition("|")[0]
