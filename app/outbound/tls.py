"""Who a server must be, and who we are to it: TLS from secrets in PEM."""

import ssl
import tempfile
from pathlib import Path


class NotPem(Exception):
    """Certificates or a key that cannot be used; the text says which, without a word of them."""


def context(ca: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """A context that always checks the server. ca: whom to trust instead of the system's; the rest: who we are.

    Raises NotPem.
    """
    if not ca and not certificate:
        return _strict(ssl.create_default_context())
    # The library reads a certificate and its key from files only; they are gone before anything is sent.
    with tempfile.TemporaryDirectory() as folder:
        named = {"ca": ca, "certificate": certificate, "key": key}
        paths = {name: _private(Path(folder) / name, text) for name, text in named.items() if text}
        try:
            made = _strict(ssl.create_default_context(cafile=paths.get("ca")))
        except ssl.SSLError:
            raise NotPem("The certificates of tls.ca cannot be used.") from None
        if certificate:
            try:
                made.load_cert_chain(paths["certificate"], paths.get("key"), password=_no_password)
            except (ssl.SSLError, _Locked):
                told = "they are no pair in PEM, or the key has a password"
                raise NotPem(f"tls.certificate and tls.key cannot be used: {told}.") from None
    return made


def _strict(made: ssl.SSLContext) -> ssl.SSLContext:
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


class _Locked(Exception):
    """A key with a password."""


def _no_password() -> str:
    """Asked for by a key that has one. Without this the library asks at the terminal, and everything waits."""
    raise _Locked


def _private(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, "utf-8")
    return path
