"""Where a canonical URL, a type or a reference leads: a page of this guide where there is one, else its own address."""

import json
import re
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup, escape

from app.fhir.canonicals import STRUCTURE
from app.fhir.json import dumps, pretty
from app.mapping.elements import Resource
from app.profiles import r4

_SPECIFICATION = "http://hl7.org/fhir/R4/"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
# Data types that R4 tells on pages of their own.
_TYPE_PAGES = {"Reference": "references", "Extension": "extensibility", "Narrative": "narrative", "Meta": "resource"}


def page_of(definition: Resource) -> str:
    """The file name of a definition's page, without its ending."""
    return f"{definition['resourceType']}-{definition['id']}"


class Links:
    """The links of one guide. root: what every address of a page begins with, "/guide/" or "" for files."""

    def __init__(
        self, root: str, pages: Mapping[str, str], titles: Mapping[str, str], rules: Mapping[str, str]
    ) -> None:
        """pages: canonical URL, or Type/id of an example -> file name of its page.  titles: canonical URL -> title.
        rules: key of a rule -> file name of the page that tells it."""
        self.root = root
        self._pages, self._titles, self._rules = pages, titles, rules

    def page(self, name: str) -> str:
        return f"{self.root}{name}"

    def to(self, name: str) -> str | None:
        """The address of the page about a canonical URL (whatever its |version) or an example, if there is one."""
        found = self._pages.get(name) or self._pages.get(name.partition("|")[0])
        return self.page(found) if found else None

    def rule(self, key: str) -> str:
        """Where a rule of another profile is told."""
        return f"{self.page(self._rules[key])}#{key}"

    def title(self, url: str) -> str:
        """What people call the definition of a canonical URL; the end of the URL where it is not ours."""
        base = url.partition("|")[0]
        return self._titles.get(base) or base.rpartition("/")[2]

    def canonical(self, url: str) -> str:
        """Where a canonical URL leads. Types and profiles of R4 have their pages in the specification."""
        base = url.partition("|")[0]
        if base.startswith(STRUCTURE):
            return self.type(base.removeprefix(STRUCTURE))
        return self.to(url) or base

    def type(self, name: str) -> str:
        kind = r4()["types"].get(name, {}).get("kind")
        if kind in ("complex-type", "primitive-type"):
            return f"{_SPECIFICATION}{_TYPE_PAGES.get(name, 'datatypes')}.html#{name}"
        return f"{_SPECIFICATION}{name.lower()}.html"

    def json(self, value: Any) -> Markup:
        """JSON laid out for people, with every string that names a page as a link to it."""
        text, made, place = pretty(dumps(value)).decode(), [], 0
        for found in _STRING.finditer(text):
            target = self.to(json.loads(found[0]))
            if target:
                made += [escape(text[place : found.start()]), _link(target, found[0])]
                place = found.end()
        return Markup().join([*made, escape(text[place:])])


def _link(target: str, text: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(target, text)
