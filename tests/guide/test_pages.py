"""The pages of the guide: whole, linked, readable by machines that read aloud, and nothing that runs."""

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest

from app.guide.site import Site
from app.main import create_app
from app.mapping.definitions import groups
from app.pain.content import load_content
from app.profiles import json_files
from app.settings import Settings

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """What a page is made of. Raises where tags are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, (tag, self.getpos())


@cache
def site() -> Site:
    return Site(load_content(), "/guide/")


@cache
def outline(name: str) -> Outline:
    found = site().file(name)
    assert found is not None
    made = Outline()
    made.feed(found.body.decode())
    made.close()
    return made


def pages() -> list[str]:
    return [name for name in site().names() if name.endswith(".html")]


def test_every_page_is_whole_and_can_be_read_aloud() -> None:
    for name in pages():
        made = outline(name)
        tags = [tag for tag, _ in made.tags]

        assert made.open == [], name
        assert [tags.count(tag) for tag in ("h1", "main", "header", "footer", "title")] == [1, 1, 1, 1, 1], name
        assert ("html", {"lang": "en"}) in made.tags
        assert all(given.get("scope") in ("col", "row", "rowgroup") for tag, given in made.tags if tag == "th"), name
        # What is wider than a phone scrolls by itself, with the keyboard too, and says what it is.
        assert all(given.get("aria-label") for tag, given in made.tags if given.get("class") == "scroll"), name
        levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
        assert all(after - before <= 1 for before, after in pairwise(levels)), name


def test_no_page_runs_or_loads_anything_but_its_style_sheet() -> None:
    for name in pages():
        tags = outline(name).tags

        assert [given["href"] for tag, given in tags if tag == "link"] == ["/guide/guide.css"], name
        assert not {"script", "style", "iframe", "img", "form"} & {tag for tag, _ in tags}, name
        assert not [key for _, given in tags for key in given if key == "style" or key.startswith("on")], name


def test_every_link_inside_the_guide_leads_somewhere() -> None:
    ids = {name: [given["id"] for _, given in outline(name).tags if "id" in given] for name in pages()}
    files = set(site().names())

    assert [name for name, found in ids.items() if len(found) != len(set(found))] == []
    for name in pages():
        for target in (str(given["href"]) for tag, given in outline(name).tags if tag == "a"):
            parts = urlsplit(target)
            if parts.scheme:
                assert parts.scheme in ("http", "https"), (name, target)
                continue
            page = parts.path.removeprefix("/guide/") or name
            assert page in files, (name, target)
            assert not parts.fragment or parts.fragment in ids[page], (name, target)


def test_every_definition_and_example_has_a_page_and_its_json() -> None:
    files = set(site().names())
    kinds = {one["type"] for one in groups()}
    stems = [f"{one['resourceType']}-{one['id']}" for one in json_files("terminology").values()]
    stems += [f"Questionnaire-{name}" for name in load_content().instruments]
    stems += [f"example-{stem}" for stem in json_files("examples/valid")]
    stems += [f"invalid-{stem}" for stem in json_files("examples/invalid")]

    assert {f"{stem}{end}" for stem in stems for end in (".html", ".json")} <= files
    assert {name.partition("-")[0] for name in files} >= kinds


def test_a_page_of_a_profile_tells_what_has_to_be_known() -> None:
    found = site().file("StructureDefinition-neupsig-grade.html")

    assert found is not None
    page = found.body.decode()
    assert "Key elements" in page
    assert "Differential" in page
    assert "ValueSet-np-grade.html" in page
    assert "Finnerup" in page
    assert "invalid-Observation-neupsig-without-evidence.html" in page


def test_texts_of_the_content_are_never_markup() -> None:
    found = site().file("CodeSystem-np-validation-rule.html")

    assert found is not None
    assert b"<script" not in found.body


@pytest.fixture
def guide() -> httpx.AsyncClient:
    """The application without a database: the guide needs none."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=create_app(Settings(public_url="https://fhir.example.org/pain"))),
        base_url="https://fhir.example.org",
    )


async def test_the_guide_is_served_with_a_policy_that_allows_no_script(guide: httpx.AsyncClient) -> None:
    answer = await guide.get("/guide")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    # Behind a proxy, links follow the address that clients use.
    assert '"/pain/guide/guide.css"' in answer.text


async def test_who_has_a_page_is_told_that_it_is_current(guide: httpx.AsyncClient) -> None:
    first = await guide.get("/guide/guide.css")

    again = await guide.get("/guide/guide.css", headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})

    assert (first.status_code, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("name", ["nothing.html", "../settings.py", "%2e%2e%2fpackage.json", "<b>"])
async def test_an_address_without_a_page_is_a_404_for_people(guide: httpx.AsyncClient, name: str) -> None:
    answer = await guide.get(f"/guide/{name}")

    assert answer.status_code == 404
    if answer.headers["content-type"].startswith("text/html"):
        assert "There is no such page" in answer.text
        assert "<b>" not in answer.text
