"""Reads, searches and page links."""

from urllib.parse import quote

from tests.fuzz.http import Request
from tests.fuzz.making import XML
from tests.fuzz.mutations import TEXTS
from tests.fuzz.searches import query, random_text
from tests.fuzz.world import World


def read(world: World) -> Request:
    url = f"/fhir/{world.some_reference()}"
    ends = ("", "", "", "/_history", "/_history/1",
        f"/_history/{world.chance.choice(('0', '2', '-1', 'x', '9' * 30, '%00'))}",
            "?_summary=true", "?_elements=id", "?_format=xml", f"?{query(world)}", "/_history?_count=1", "/$meta",
            "/$diff")  # fmt: skip
    return Request("GET", url + world.chance.choice(ends))


def read_xml(world: World) -> Request:
    """All that was stored must have an XML form too."""
    return Request("GET", f"/fhir/{world.some_reference()}", (("Accept", XML),))


def read_nothing(world: World) -> Request:
    text = world.chance.choice((*TEXTS, random_text(world.chance)))
    return Request("GET", f"/fhir/{world.some_type()}/{quote(text, safe='', errors='replace')}")


def search(world: World) -> Request:
    type_ = world.some_type()
    ways = (f"/fhir/{type_}?", f"/fhir/{type_}?", f"/fhir/{type_}?", "/fhir?", f"/fhir/{type_}/_history?",
        "/fhir/_history?",
            f"/fhir/{world.chance.choice(world.known_of('Patient') or ['Patient/1'])}/{type_}?",
            "/fhir/$changes?")  # fmt: skip
    return Request("GET", world.chance.choice(ways) + query(world, type_))


def search_by_form(world: World) -> Request:
    type_ = world.some_type()
    url = world.chance.choice((f"/fhir/{type_}/_search", "/fhir/_search"))
    body = query(world, type_).encode("utf-8", "replace")
    return Request("POST", url, (("Content-Type", "application/x-www-form-urlencoded"),), body)


def follow(world: World) -> Request:
    """A page link, or the status of an export, sometimes changed."""
    if not world.links:
        return search(world)
    url = world.chance.choice(world.links)
    if world.chance.random() < 0.3:
        at = world.chance.randint(0, len(url))
        url = url[:at] + world.chance.choice("aA0=%&") + url[at + 1 :]
    return Request(world.chance.choice(("GET", "GET", "GET", "DELETE")), url)
