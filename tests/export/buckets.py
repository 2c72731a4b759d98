"""A real S3 server for the tests: SeaweedFS, from its package."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.processes import START_SECONDS, free_port

BUCKET = "exports"
_WEED = Path(sys.executable).with_name("weed")
# Each port is told, since what is left out is one well known port for everybody.
_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")


# A port that was free may be somebody else's when the server takes it.
_STARTS = 5


@contextmanager
def bucket_server(folder: Path) -> Iterator[str]:
    """The address of a server that listens on this machine only and has one empty bucket."""
    for _ in range(_STARTS):
        address, server = _started(folder)
        try:
            if _make_bucket(address, server):
                yield address
                return
        finally:
            server.kill()
            server.wait()
    raise AssertionError(f"the S3 server ended {_STARTS} times: {(folder / 'weed.log').read_text()[-2000:]}")


def _started(folder: Path) -> tuple[str, "subprocess.Popen[bytes]"]:
    ports = [f"-{name}={free_port()}" for name in (*_PORTS, "s3.port.grpc")]
    fixed = ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", "-s3.port.iceberg=0"]
    sizes = ["-master.volumeSizeLimitMB=64", "-volume.max=100"]
    port = free_port()
    command = [str(_WEED), "server", f"-dir={folder}", "-filer", "-s3", f"-s3.port={port}", *fixed, *ports, *sizes]
    with (folder / "weed.log").open("ab") as log:
        return f"http://127.0.0.1:{port}", subprocess.Popen(command, stdout=log, stderr=log)


def unfinished(address: str) -> str:
    """What the server tells of uploads that were begun and neither finished nor taken back."""
    told = httpx.get(f"{address}/{BUCKET}?uploads").text
    assert "ListMultipartUploadsResult" in told
    return told[told.find("<Upload>") :] if "<Upload>" in told else ""


def objects(address: str) -> int:
    """How many objects the bucket holds."""
    return httpx.get(f"{address}/{BUCKET}?list-type=2").text.count("<Key>")


def _make_bucket(address: str, server: "subprocess.Popen[bytes]") -> bool:
    """Make the bucket, and write to it once: the first write takes the server seconds. False if the server ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return False
        with suppress(httpx.HTTPError):
            if all(httpx.put(f"{address}/{BUCKET}{name}").is_success for name in ("", "/first")):
                httpx.delete(f"{address}/{BUCKET}/first")
                return True
        time.sleep(0.05)
    raise AssertionError(f"the S3 server is not ready in {START_SECONDS} s")
