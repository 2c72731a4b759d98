"""The OpenAPI document under attack: schemathesis makes the requests, and the same is asked of every answer."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.fuzz.attack import Findings
from tests.fuzz.http import Answer, Request
from tests.fuzz.judge import SLOWEST_SECONDS, complaints
from tests.fuzz.measures import Measures
from tests.fuzz.servers import HOST, Server

_OF_THE_WIRE = ("host", "content-length", "connection", "transfer-encoding", "authorization")
_OPTIONS = (
    "--checks=not_a_server_error",
    f"--max-response-time={SLOWEST_SECONDS}",
    "--continue-on-failure",
    "--workers=4",
    "--output-sanitize=false",
    "--no-color",
    "--report=har",
)


def attack(server: Server, seconds: float, seed: int, file: Path, findings: Findings, measures: Measures) -> str:
    """Let schemathesis run for that long; answers the end of what it says. file: where its requests are kept."""
    file.unlink(missing_ok=True)
    timing = (f"--max-time={max(1, round(seconds))}", f"--seed={seed}", f"--report-har-path={file}")
    token = (f"--header=Authorization:Bearer {server.token}",) if server.token else ()
    address = f"http://{HOST}:{server.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", address, *_OPTIONS, *timing, *token]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    for request, answer in _exchanged(file):
        measures.note(request, answer)
        for said in complaints(request, answer):
            findings.note(request, answer, said)
    return run.stdout


def _exchanged(file: Path) -> Iterator[tuple[Request, Answer]]:
    for entry in json.loads(file.read_text("utf-8"))["log"]["entries"]:
        yield _request(entry["request"]), _answer(entry["response"], entry["time"] / 1000)


def _request(entry: Mapping[str, Any]) -> Request:
    headers = tuple((one["name"], one["value"]) for one in entry["headers"] if one["name"].lower() not in _OF_THE_WIRE)
    _, _, rest = entry["url"].partition("//")
    text = entry.get("postData", {}).get("text", "")
    return Request(
        entry["method"], "/" + rest.partition("/")[2], headers, text.encode("utf-8", "replace"), "schemathesis"
    )


def _answer(entry: Mapping[str, Any], seconds: float) -> Answer:
    headers = {one["name"].lower(): one["value"] for one in entry["headers"]}
    return Answer(entry["status"], headers, entry["content"].get("text", "").encode(), seconds)
