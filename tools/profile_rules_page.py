"""Writes docs/profile-rules.md: every rule of our profiles, what it asks, why, on what ground, and what to do.

    python -m tools.profile_rules_page

tests/validation/test_profile_rules_page.py fails when the page is out of date.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.profiles import json_files
from app.validation.telling.explanations import Explanation, explained

PAGE = Path(__file__).parent.parent / "docs" / "profile-rules.md"
_HEAD = """# Rules of our profiles

Written by `python -m tools.profile_rules_page` from `app/profiles/structuredefinitions` (what a rule asks) and
`app/profiles/rules` (why, on what ground, what to do); do not edit it here. A rule is reported by its key in
`OperationOutcome.issue`. An error refuses a write; a warning lets it pass: the record may still be right, and somebody
should look. Cardinalities, bindings and slices of the profiles are rules too, and are not listed here.
"""


def page() -> str:
    """The whole page."""
    return _HEAD + "".join(_section(one) for one in json_files("structuredefinitions").values() if _rules(one))


def own_rules() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every constraint of our profiles: file stem of the profile, element id, the constraint."""
    for stem, definition in json_files("structuredefinitions").items():
        yield from ((stem, element, rule) for element, rule in _rules(definition))


def _rules(definition: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    rows = definition["differential"]["element"]
    return [(row["id"], rule) for row in rows for rule in row.get("constraint", ())]


def _section(definition: dict[str, Any]) -> str:
    made = f"\n## {definition['title']}\n\n`{definition['url']}`\n"
    return made + "".join(_rule(element, rule) for element, rule in _rules(definition))


def _rule(element: str, rule: dict[str, Any]) -> str:
    found = explained(rule["key"]) or Explanation((), "", "", "")
    where = "" if "." not in element else f" on `{element}`"
    return (
        f"\n### `{rule['key']}` ({rule['severity']}{where})\n\n{rule['human']}\n\n"
        f"- Why: {found.why}\n- Source: {found.source}\n- What to do: {found.fix}\n"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
