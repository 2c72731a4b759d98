"""`make interop`: sync with real servers of others. Ends with 1 if a promise is broken, 2 if a server cannot be had."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.interop.rounds import run
from tests.interop.scene import Failed, Scene, Ways
from tests.interop.servers import CannotStart, hapi, medplum

SERVERS = {
    "hapi": (hapi, Ways(tells_deletions=True, notifies=True, is_strict=True)),
    "medplum": (medplum, Ways(tells_deletions=False, notifies=False, is_strict=False)),
}


def main() -> int:
    """Run the rounds with each server, or with those named; answers the exit code."""
    failed = False
    for name in sys.argv[1:] or SERVERS:
        start, ways = SERVERS[name]
        folder = Path(tempfile.mkdtemp(prefix=f"dermatome-{name}-"))
        started = time.monotonic()
        try:
            with start(folder / f"{name}.log") as server:
                print(f"{name} answers after {time.monotonic() - started:.0f} s", flush=True)
                asyncio.run(run(Scene(name, server, ways, folder)))
        except CannotStart as missing:
            print(f"{name}: {missing}", file=sys.stderr)
            return 2
        except Failed as broken:
            print(f"{name} FAILED: {broken}\nDatabases and logs are in {folder}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
