"""All files of the guide by name: pages, definitions and examples as JSON, the style sheet, the package.

Each is made when it is first asked for and kept: nothing in it changes while the process runs.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from app.fhir.json import dumps, pretty
from app.guide import elements
from app.guide.examples import Example, examples
from app.guide.links import Links, page_of
from app.guide.package import package
from app.guide.pages import Pages
from app.guide.published import published
from app.mapping.definitions import title_of
from app.mapping.elements import Resource
from app.pain.content import Content

INDEX = "index.html"
PACKAGE = "package.tgz"
_STYLE = Path(__file__).parent / "static" / "guide.css"
_HTML, _FHIR, _CSS = "text/html; charset=utf-8", "application/fhir+json", "text/css; charset=utf-8"
_NPM = "application/gzip"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the guide. etag: a hash of its bytes, without quotes."""

    body: bytes
    media_type: str
    etag: str


class Site:
    """The guide about one content. root: what every address of a page begins with, "/guide/" or "" for files."""

    def __init__(self, content: Content, root: str) -> None:
        self._content, self._root = content, root
        self._makers: dict[str, tuple[str, Callable[[], bytes]]] | None = None
        self._files: dict[str, File] = {}
        # Pages are made in threads: whoever comes second waits for the first.
        self._lock = RLock()

    def names(self) -> list[str]:
        """The names of all files."""
        return list(self._made_makers())

    def file(self, name: str) -> File | None:
        """The file of a name, None if there is none."""
        if name not in self._files:
            with self._lock:
                made = self._made_makers().get(name)
                if made is None:
                    return None
                body = made[1]()
                self._files[name] = File(body, made[0], hashlib.sha256(body).hexdigest()[:32])
        return self._files[name]

    def missing(self) -> bytes:
        """The page for an address that has none."""
        with self._lock:
            self._made_makers()
            return self._pages.missing()

    def _made_makers(self) -> Mapping[str, tuple[str, Callable[[], bytes]]]:
        with self._lock:
            if self._makers is None:
                self._makers = self._prepare()
            return self._makers

    def _prepare(self) -> dict[str, tuple[str, Callable[[], bytes]]]:
        definitions, shown = published(self._content), examples(self._content)
        titles = {str(one["url"]): title_of(one) for one in definitions}
        links = Links(self._root, _addresses(definitions, shown), titles, _rules(definitions))
        self._pages = Pages(self._content, definitions, shown, links)
        valid = {one.stem: one.resource for one in shown if one.expect is None}
        made = {name: (_HTML, make) for name, make in self._pages.makers().items()}
        made |= {f"{page_of(one)}.json": (_FHIR, _json(one)) for one in definitions}
        made |= {f"{one.page}.json": (_FHIR, _json(one.resource)) for one in shown}
        return made | {
            _STYLE.name: (_CSS, _STYLE.read_bytes),
            PACKAGE: (_NPM, lambda: package(definitions, valid)),
        }


def _addresses(definitions: Iterable[Resource], shown: Iterable[Example]) -> dict[str, str]:
    """Which page a canonical URL, or a reference such as Condition/5, leads to."""
    examples_of = {f"{one.resource['resourceType']}/{one.resource.get('id')}": one for one in shown if not one.expect}
    pages = {name: f"{one.page}.html" for name, one in examples_of.items()}
    return pages | {str(one["url"]): f"{page_of(one)}.html" for one in definitions}


def _rules(definitions: Iterable[Resource]) -> dict[str, str]:
    """Which page tells a rule; one that several profiles have is told by each, the last one counts here."""
    profiles = [one for one in definitions if one["resourceType"] == "StructureDefinition"]
    return {rule.key: f"{page_of(one)}.html" for one in profiles for rule in elements.rules(one)}


def _json(resource: Resource) -> Callable[[], bytes]:
    return lambda: pretty(dumps(resource))
