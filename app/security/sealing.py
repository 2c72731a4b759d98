"""Secrets that clients hand over with a resource: kept sealed, so that neither readers nor the database have them.

A sealed text says for what it was sealed, and opens for that only: who reads it cannot use it elsewhere.
Source: JSON Web Encryption (RFC 7516), direct use of a key, AES-256-GCM.
"""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from app.outbound.secrets import Secrets
from app.security.key_files import Jwk, KeyFile
from app.settings import WrongSettings

NAME = "sealing-key"
PREFIX = "sealed:"
_KIND = {"alg": "dir", "enc": "A256GCM"}
_BITS, _LEAST_CHARACTERS = 256, 32
_REGISTRY = jwe.JWERegistry(algorithms=list(_KIND.values()), strict_check_header=False)


class CannotSeal(Exception):
    """There is no key to seal with; the log of the operator says why."""


class NotOpened(Exception):
    """A sealed text that is not for this place, or not by a key of ours."""


class Sealing:
    """Seals and opens. The key is made, or read, when it is first needed."""

    def __init__(self, folder: Path, secrets: Secrets) -> None:
        self._file = KeyFile(NAME, folder, secrets, _made)
        self._stamp: object = None
        self._keys: Sequence[Any] = ()

    def sealed(self, text: str, place: str) -> str:
        """The text, sealed. place: what it is for, such as the endpoint it is sent to. Raises CannotSeal."""
        key = self._current()[0]
        header = {**_KIND, "kid": key.kid, "for": _mark(place)}
        return PREFIX + jwe.encrypt_compact(header, text.encode(), key, registry=_REGISTRY)

    def opened(self, text: str, place: str) -> str:
        """What was sealed. Raises NotOpened, and CannotSeal where there are no keys."""
        for key in self._current():
            try:
                found = jwe.decrypt_compact(text.removeprefix(PREFIX), key, registry=_REGISTRY)
            except (JoseError, ValueError, TypeError):
                continue
            if found.protected.get("for") == _mark(place) and found.plaintext is not None:
                return found.plaintext.decode()
        raise NotOpened

    def _current(self) -> Sequence[Any]:
        try:
            if not self._keys or self._file.stamp() != self._stamp:
                given = self._file.read()
                self._keys, self._stamp = [_imported(each) for each in _listed(given)], self._file.stamp()
        except WrongSettings as wrong:
            raise CannotSeal(str(wrong)) from None
        return self._keys


def is_sealed(text: str) -> bool:
    """Whether a text says that it was sealed."""
    return text.startswith(PREFIX)


def _listed(given: str | Sequence[Jwk]) -> list[Any]:
    """The keys of the file; of a secret each line, the first of which seals."""
    if not isinstance(given, str):
        return list(given)
    lines = [each.strip() for each in given.splitlines() if each.strip()]
    if not lines or any(len(each) < _LEAST_CHARACTERS for each in lines):
        raise WrongSettings(f"the secret {NAME} needs {_LEAST_CHARACTERS} random characters or more in each line")
    return lines


def _imported(given: Any) -> Any:
    if not isinstance(given, str):
        return OctKey.import_key(dict(given))
    key = hashlib.sha256(given.encode()).digest()
    # Names the key, and gives nothing of it away.
    return OctKey.import_key(key, {"kid": hashlib.sha256(b"kid" + key).hexdigest()[:16]})


def _made() -> Jwk:
    return OctKey.generate_key(_BITS, auto_kid=True).as_dict()


def _mark(place: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(place.encode()).digest()).decode().rstrip("=")
