"""Writes docs/coverage.md from examples/coverage.toml: where every concept of neuropathic pain goes.

    python -m tools.coverage_page

tests/test_coverage.py sends the requests, and holds that the page is in step.
"""

import json
import tomllib
from itertools import groupby
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
PAGE = _ROOT / "docs" / "coverage.md"
_HEAD = """# Where every concept goes

Each line is one request to the running service and what is found in the resources it makes; the requests stand in
`examples/coverage.toml`, and the tests send every one of them, on SQLite and on PostgreSQL. `patient` is added to each.
"""


def page() -> str:
    """The whole page."""
    examples: list[dict[str, Any]] = tomllib.loads((_ROOT / "examples" / "coverage.toml").read_text("utf-8"))["example"]
    parts = [_HEAD]
    for row, group in groupby(examples, key=lambda one: str(one["row"])):
        parts.append(f"## {row}\n\n| concept | request | resources |\n|---|---|---|\n" + "".join(map(_line, group)))
    return "\n".join(parts)


def _line(one: dict[str, Any]) -> str:
    body = json.dumps(json.loads(one["body"]), ensure_ascii=False)
    found = "<br>".join(
        f"{kind}: `{_cell(check)}`"
        for kind, checks in one["resource"].items()
        for check in ([checks] if isinstance(checks, str) else checks)
    )
    return f"| {_cell(one['concept'])} | `{one['request']}` `{_cell(body)}` | {found} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
