"""How long validation takes, beside orjson.loads and fhir.resources, in one run.

    python -m bench.validation [--rounds N]

Each figure is CPU time of this process per resource in microseconds, the median of interleaved rounds with the least
and the greatest one. The gate and the diagnosing pass take the parsed resource; fhir.resources is given the text, as
its model_validate_json is what a service would call. Starting is measured in processes of their own.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from fhir.resources.R4B import get_fhir_model_class

from app.fhir import json as lossless
from app.validation import Validator, load_validator
from bench.fixtures import resources

_START = """
import sys, time
from pathlib import Path
import app.validation
start = time.process_time()
app.validation.load_validator(cache=Path(sys.argv[1]) if len(sys.argv) > 1 else None).prepare()
print(time.process_time() - start)
"""
_NAMES = ("orjson.loads", "gate", "diagnosing pass", "fhir.resources")
_SLICE = 0.03  # seconds of one measurement

Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="Validation beside orjson.loads and fhir.resources.")
    parser.add_argument("--rounds", type=int, default=15)
    rounds: int = parser.parse_args().rounds
    print(f"{platform.platform()}, CPython {platform.python_version()}, orjson {orjson.__version__}, {rounds} rounds")
    validator = load_validator().prepare()
    print(f"{'CPU us per resource':34} {'bytes':>6} " + " ".join(f"{name:>22}" for name in _NAMES))
    for name, resource in resources().items():
        for told, tree in ((f"{name}, base R4", _without_profile(resource)), (f"{name}, our profile", resource)):
            text = json.dumps(tree, separators=(",", ":")).encode()
            found = _measured(_ways(validator, lossless.parse_object(text), text), rounds)
            print(f"{told:34} {len(text):6} " + " ".join(f"{_shown(times):>22}" for times in found))
    with tempfile.TemporaryDirectory() as folder:
        for told, arguments in (("without", []), ("first with", [folder]), ("with", [folder])):
            times = [_started(arguments) for _ in range(1 if told == "first with" else 5)]
            print(f"load_validator {told} compiled rules on disk: {statistics.median(times):.2f} s of CPU")


def _ways(validator: Validator, tree: Json, text: bytes) -> dict[str, Callable[[], object]]:
    model = get_fhir_model_class(tree["resourceType"])
    ways = (
        partial(orjson.loads, text),
        partial(validator.admits, tree),
        partial(validator.check, tree),
        partial(model.model_validate_json, text),
    )
    return dict(zip(_NAMES, ways, strict=True))


def _measured(ways: dict[str, Callable[[], object]], rounds: int) -> list[list[float]]:
    counts = {name: max(1, int(_SLICE / _seconds(way, 1))) for name, way in ways.items()}
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(_seconds(way, counts[name]) * 1e6)
    return list(found.values())


def _seconds(way: Callable[[], object], count: int) -> float:
    way()
    start = time.process_time()
    for _ in range(count):
        way()
    return max(time.process_time() - start, 1e-9) / count


def _shown(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} [{min(times):.1f}..{max(times):.1f}]"


def _started(arguments: list[str]) -> float:
    done = subprocess.run([sys.executable, "-c", _START, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def _without_profile(resource: Json) -> Json:
    meta = {name: each for name, each in resource["meta"].items() if name != "profile"}
    return {name: each for name, each in resource.items() if name != "meta"} | ({"meta": meta} if meta else {})


if __name__ == "__main__":
    main()
