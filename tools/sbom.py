"""Writes what the service is made of as a CycloneDX document, from the lock of what is installed with it.

    python -m tools.sbom [FILE]

The same lock gives the same bytes, so it is made anew for each release and not kept beside the lock. What the console
loads of others is added to what is installed. Content of others that is shipped inside (definitions, units, code
systems) is in docs/licences.md.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
UPLOT = ROOT / "app" / "console" / "static" / "uplot.js"


def write(file: Path, *, is_checked: bool = True) -> None:
    """The document, checked against the schema of CycloneDX, which takes most of the time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    options = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "--of", "JSON"]
    options.append("--validate" if is_checked else "--no-validate")
    # The one warning that is left out: a lock does not say which package asked for which.
    command = [sys.executable, "-W", "ignore::UserWarning", "-m", "cyclonedx_py", "requirements", str(LOCK), *options]
    subprocess.run([*command, "--output-file", str(file)], check=True)
    made = json.loads(file.read_text("utf-8"))
    made["components"].append(_uplot())
    file.write_text(json.dumps(made, indent=2) + "\n", "utf-8")


def _uplot() -> dict[str, Any]:
    """The library that draws the charts of the console, by the version its file says."""
    found = re.search(r"uPlot \(v([\d.]+)\)", UPLOT.read_text("utf-8")[:200])
    assert found, UPLOT
    name = f"pkg:npm/uplot@{found[1]}"
    own = {"type": "library", "name": "uplot", "version": found[1], "purl": name, "bom-ref": name}
    return own | {"licenses": [{"license": {"id": "MIT"}}]}


if __name__ == "__main__":
    place = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "build" / "dermatome.cdx.json"
    write(place)
    print(place)
