"""Checks our valid examples against the profiles of other guides, and writes app/profiles/guide/alignment.json.

    python -m tools.alignment GUIDE FOLDER

GUIDE is an id of app/profiles/guide/alignment.toml, FOLDER holds the real definitions of that guide. Only what this
finds is said of alignment at /guide/alignment.html.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.profiles import FOLDER, canonical, json_files, toml_files
from app.validation import Validator, load_validator
from app.validation.packages.definitions import usable

TARGET = FOLDER / "guide" / "alignment.json"
_MOST_REASONS = 6


def checked(guide: Mapping[str, Any], definitions: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for every pair of profiles: how many examples conform, and what the others lack, most frequent first."""
    usable_ones, flaws = usable(definitions)
    print("".join(f"not usable: {flaw}\n" for flaw in flaws), end="")
    urls = {one["url"].rpartition("/")[2]: one["url"] for one in usable_ones}
    validator = load_validator(usable_ones)
    rows = []
    for ours, theirs in guide["pairs"]:
        if theirs not in urls:
            raise SystemExit(f"{guide['package']} has no profile {theirs} in this folder")
        if examples := list(_examples(canonical("StructureDefinition", ours))):
            rows.append(_row(validator, canonical("StructureDefinition", ours), urls[theirs], examples))
    return rows


def _row(validator: Validator, ours: str, theirs: str, examples: list[dict[str, Any]]) -> dict[str, Any]:
    found = [[one for one in validator.check(each, profiles=[theirs]) if one.is_error] for each in examples]
    lacks = Counter(f"{one.expression}: {one.diagnostics}" for errors in found for one in errors)
    conforming = sum(not errors for errors in found)
    told = [f"{reason} ({count})" for reason, count in lacks.most_common(_MOST_REASONS)]
    return {"ours": ours, "theirs": theirs, "examples": len(examples), "conforming": conforming, "lacks": told}


def _examples(profile: str) -> Iterator[dict[str, Any]]:
    for one in json_files("examples/valid").values():
        if profile in one.get("meta", {}).get("profile", ()):
            yield one


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("guide")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    named = {one["id"]: one for one in toml_files("guide")["alignment"]["guides"]}
    definitions = [json.loads(path.read_text("utf-8")) for path in sorted(arguments.folder.glob("*.json"))]
    known = json.loads(TARGET.read_text("utf-8")) if TARGET.exists() else {}
    known[arguments.guide] = checked(named[arguments.guide], definitions)
    TARGET.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", "utf-8")
    for row in known[arguments.guide]:
        print(f"{row['ours'].rpartition('/')[2]:32} {row['conforming']:3} of {row['examples']:3}  {row['theirs']}")
        print("".join(f"    {each}\n" for each in row["lacks"]), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
