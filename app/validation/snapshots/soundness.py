"""Whether profiles can be used at all: asked before any resource is checked against them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.validation.profiles import Profiles
from app.validation.snapshots.broken import BrokenProfile, Flaw
from app.validation.snapshots.snapshot import Snapshots
from app.validation.snapshots.structures import Structures

Json = Mapping[str, Any]


def require_sound(own: Iterable[Json], structures: Structures, profiles: Profiles) -> None:
    """Compile profiles. Raises BrokenProfile with every flaw of all of them."""
    found = flaws_of(own, structures, profiles)
    if found:
        # A flaw is met again by every profile that builds on the broken one.
        raise BrokenProfile(dict.fromkeys(flaw for flaws in found.values() for flaw in flaws))


def flaws_of(own: Iterable[Json], structures: Structures, profiles: Profiles) -> dict[str, tuple[Flaw, ...]]:
    """The flaws of each profile that has any, by URL."""
    snapshots = Snapshots(structures)
    return {each["url"]: found for each in own if (found := tuple(_flaws(each, snapshots, profiles)))}


def _flaws(structure: Json, snapshots: Snapshots, profiles: Profiles) -> Iterator[Flaw]:
    try:
        snapshots.tree(structure)
        profiles.get(structure["url"])
    except BrokenProfile as broken:
        yield from broken.flaws
