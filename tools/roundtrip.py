"""Stores the official R4 examples the official validator accepts, and compares what comes back, digit for digit.

    python -m tools.roundtrip FOLDER     FOLDER: `expected.json` and `files/`, as in the validation corpus

Each valid example is put under its own id (posted if it has none) into a fresh server and read again. Ends with 1
if any is refused or comes back different.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

import httpx

from app.fhir.json import same_content
from app.main import create_app
from app.settings import Settings


async def main(folder: Path) -> int:
    """Run over a folder; answers the exit code."""
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    texts = {file.stem: file.read_bytes() for file in (folder / "files").glob("*.json")}
    valid = [name for name, case in expected.items() if case["verdict"] == "valid"]
    with tempfile.TemporaryDirectory() as temporary:
        settings = Settings(database_url=f"sqlite+aiosqlite:///{temporary}/roundtrip.db", log_level="error")
        app = create_app(settings)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://roundtrip.test/fhir/") as client,
        ):
            problems = [problem for name in valid if (problem := await _keep(client, name, texts[name]))]
    for problem in problems:
        print(problem)
    print(f"official R4 examples: {len(valid)} valid, {len(valid) - len(problems)} stored and back equal")
    return 1 if problems else 0


async def _keep(client: httpx.AsyncClient, name: str, text: bytes) -> str:
    """Store and read one example; answers what went wrong, "" if nothing."""
    resource = json.loads(text)
    kind, given = resource["resourceType"], resource.get("id")
    method, address = ("PUT", f"{kind}/{given}") if given else ("POST", kind)
    headers = {"Content-Type": "application/fhir+json"}
    stored = await client.request(method, address, content=text, headers=headers)
    if stored.status_code != 201:
        return f"{name}: refused with {stored.status_code}: {stored.text[:300]}"
    back = await client.get(f"{kind}/{stored.json()['id']}")
    sent = text if given else json.dumps({**resource, "id": stored.json()["id"]}).encode()
    return "" if same_content(sent, back.content) else f"{name}: came back different"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
