"""Real processes of the service: started, killed, started again."""

import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import httpx

from tests.forked import Forked

ROOT = Path(__file__).parent.parent
# Generous: a loaded machine starts slowly, and a test that waits for less would fail for no fault.
START_SECONDS = 60
# Settings of whoever runs the tests; and compiling every module anew at each start takes longer than most tests.
_NOT_INHERITED = ("DERMATOME_", "PYTHONDONTWRITEBYTECODE")
_WORKER_IS_READY = b"Dermatome worker is ready"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def inherited() -> dict[str, str]:
    """The environment that a process of ours is started in, besides its own settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}


class Process:
    """One `dermatome` process. Killed at the end of the block, whatever happened in it."""

    def __init__(self, command: str, settings: Mapping[str, str], *, log: Path, module: str = "app") -> None:
        self._command, self._module = command, module
        self._settings = dict(settings)
        self._log = log
        self.base = f"http://127.0.0.1:{settings.get('PORT', '')}"
        self._process: Forked | None = None
        self._begins = 0

    def start(self, *, wait: bool = True) -> None:
        """Start, and unless told otherwise wait until it is ready."""
        with self._log.open("ab") as log:
            self._begins = log.tell()
        environment = inherited() | {"DERMATOME_LOG_LEVEL": "warning"} | self._settings
        self._process = Forked(self._module, [self._command], environment, self._log, ROOT)
        if wait and self._command == "serve":
            self.wait_until_ready()
        elif wait and self._command == "worker":
            self._wait_until_told()

    def wait_until_ready(self) -> None:
        """Until /health/ready answers 200; fails with the log if the process ends or takes too long."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            try:
                if httpx.get(f"{self.base}/health/ready", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError(f"not ready in {START_SECONDS} s:\n{self._log.read_text()[-3000:]}")

    def _wait_until_told(self) -> None:
        """Until a worker says that it is ready. What stands before in its log is of runs before."""
        deadline = time.monotonic() + START_SECONDS
        while _WORKER_IS_READY not in self._log.read_bytes()[self._begins :]:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"not ready in {START_SECONDS} s"
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait; answers the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def __enter__(self) -> "Process":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
