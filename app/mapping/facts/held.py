"""Resources at hand, looked up as others refer to them."""

from collections.abc import Mapping

from app.mapping.elements import Element, Resource, target

# By name, e.g. "Medication/12", or by what else they are called where they have no id.
Held = Mapping[str, Resource]


def name_of(element: Element | None) -> str:
    """The name a Reference means: of an address, whichever server it is on, the type and the id."""
    link = (target(element) or "").partition("/_history/")[0]
    return "/".join(link.split("/")[-2:]) if link.startswith(("http:", "https:")) else link


def found(held: Held, element: Element | None) -> Resource:
    """The resource a Reference means; empty where it is not at hand."""
    return held.get(name_of(element), {})
