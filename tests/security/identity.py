"""A small identity server in a process of its own, as OpenID providers are: `python -m tests.security.identity PORT`.

It says where its keys are, gives a token with any claims to whoever posts them to /token (that is what makes it one for
tests only), and changes its key on POST /rotate.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.processes import ROOT, START_SECONDS, free_port, inherited
from tests.security.signers import key, public, signed


class Handler(BaseHTTPRequestHandler):
    kid = "first"

    @property
    def issuer(self) -> str:
        return f"http://{self.headers['Host']}/realms/pain"

    def do_GET(self) -> None:
        documents = {
            "/realms/pain/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": f"{self.issuer}/certs",
                "token_endpoint": f"{self.issuer}/token",
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
                "grant_types_supported": ["authorization_code", "client_credentials"],
                "code_challenge_methods_supported": ["plain", "S256"],
            },
            "/realms/pain/certs": public(key(Handler.kid)),
        }
        self._answer(documents.get(self.path))

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.path == "/rotate":
            Handler.kid = sent["kid"]
        told = {"iss": self.issuer, "exp": int(time.time()) + 300, "sub": "u1", **sent}
        self._answer({"access_token": signed(key(Handler.kid), told)})

    def _answer(self, tree: Any) -> None:
        self.send_response(200 if tree else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(tree).encode())

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


class Identity:
    """A running one, as tests see it."""

    def __init__(self, base: str) -> None:
        self.base, self.issuer = base, f"{base}/realms/pain"

    def token(self, **claims: Any) -> str:
        """A token with these claims."""
        found: str = httpx.post(f"{self.base}/token", json=claims).json()["access_token"]
        return found

    def rotate(self, kid: str) -> None:
        """Sign with another key from now on, and show that one only."""
        httpx.post(f"{self.base}/rotate", json={"kid": kid})


@contextmanager
def identity() -> Iterator[Identity]:
    """One that runs for as long as the block."""
    port = free_port()
    command = [sys.executable, "-m", "tests.security.identity", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=inherited())
    found = Identity(f"http://127.0.0.1:{port}")
    try:
        _wait(found)
        yield found
    finally:
        process.kill()
        process.wait()


def _wait(found: Identity) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{found.issuer}/certs")
            return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError(f"not ready in {START_SECONDS} s")


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
