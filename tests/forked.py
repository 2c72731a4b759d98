"""Processes of the service, forked from one that has imported everything: a start takes a tenth of the CPU time.

Each is a process of its own, which listens, logs, is killed and ends as one that was started from a shell.
"""

import multiprocessing
import os
import runpy
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.warm"])
# Whoever starts a process has the standard library ask after all others, which two threads may not do of one.
_asking = threading.Lock()


class Forked:
    """One `python -m module` with these words in a folder.

    environment: the whole of it; log: what it prints is added there.
    """

    def __init__(
        self, module: str, words: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path
    ) -> None:
        told = (module, list(words), dict(environment), log, folder)
        self._process = _context.Process(target=_run, args=told, daemon=True)
        with _asking:
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, None while it runs; a negative signal number where it was killed."""
        with _asking:
            return self._process.exitcode

    def wait(self, seconds: float = 60) -> int:
        """The exit code, as soon as there is one."""
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} did not end in {seconds} s"
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)


def _run(module: str, words: list[str], environment: dict[str, str], log: Path, folder: Path) -> None:
    written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [module, *words]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
