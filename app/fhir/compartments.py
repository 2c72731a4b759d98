"""Which resources belong to a patient, an encounter, a practitioner, ...: by which search parameters (R4 3.1.1.2.1)."""

import json
from collections.abc import Mapping, Sequence
from functools import cache

from app.profiles import FOLDER


@cache
def compartments() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Compartment -> resource type -> the search parameters by which it belongs, [] for the one it is named after."""
    found: dict[str, dict[str, list[str]]] = json.loads((FOLDER / "r4" / "compartments.json").read_text("utf-8"))
    return found
