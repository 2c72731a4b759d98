"""The tokens that the built-in endpoint gives: signed with a key of ours, checked like those of any other issuer."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from app.outbound.secrets import Secrets
from app.security.key_files import Jwk, KeyFile
from app.security.keys import Key, KeySet, NoKeys, read_keys
from app.settings import WrongSettings

NAME = "signing-key"
_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
# Checked with each request: that of P-384 takes fifteen times as long.
_OF_RSA, _MADE = "RS384", "P-256"
_LOOK_SECONDS = 1.0


class SigningKeys:
    """Our keys, read anew when they are rotated. Raises WrongSettings when they cannot be used."""

    _looked_at: float
    _stamp: object
    _keys: Sequence[Key]
    _set: KeySet

    def __init__(self, folder: Path, secrets: Secrets, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = KeyFile(NAME, folder, secrets, made), clock
        self._load()

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token of these claims (RFC 9068)."""
        self._look()
        key = self._keys[0]
        algorithm = _algorithm(key)
        header = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt"}
        return jwt.encode(header, dict(claims), key, algorithms=[algorithm])

    @property
    def public(self) -> dict[str, Any]:
        """The JWK Set with which others can check our tokens."""
        self._look()
        shown = ({**key.as_dict(private=False), "use": "sig", "alg": _algorithm(key)} for key in self._keys)
        return {"keys": list(shown)}

    async def key(self, kid: str, algorithm: str) -> Key | None:
        """The key of ours that has this id."""
        self._look()
        return self._set.key(kid, algorithm)

    def _look(self) -> None:
        if self._clock() - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = self._clock()
            if self._file.stamp() != self._stamp:
                self._load()

    def _load(self) -> None:
        self._looked_at = self._clock()
        given = self._file.read()
        self._stamp = self._file.stamp()
        self._keys = [_imported(each) for each in _listed(given)]
        public = ({**key.as_dict(private=False), "alg": _algorithm(key)} for key in self._keys)
        try:
            self._set = read_keys({"keys": list(public)})
        except NoKeys as error:
            raise WrongSettings(f"the secret {NAME}: {error}") from None


def made() -> Jwk:
    """A new private key."""
    return ECKey.generate_key(_MADE, auto_kid=True).as_dict(private=True)


def rotate(folder: Path, secrets: Secrets) -> None:
    """Sign with a new key from now on; the one before is still believed. Raises WrongSettings."""
    KeyFile(NAME, folder, secrets, made).rotate()


def _listed(given: str | Sequence[Jwk]) -> list[Any]:
    """PEM, one JWK, or a JWK Set whose first key signs."""
    if not isinstance(given, str):
        return list(given)
    if not given.startswith("{"):
        return [given]
    try:
        tree = json.loads(given)
    except ValueError:
        raise WrongSettings(f"the secret {NAME} is neither PEM nor JSON") from None
    return list(tree["keys"]) if isinstance(tree.get("keys"), list) else [tree]


def _imported(given: Any) -> Key:
    """A private key. Raises WrongSettings."""
    for kind in (ECKey, RSAKey):
        try:
            key = kind.import_key(given)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
        if key.is_private:
            return kind.import_key({**key.as_dict(private=True), "kid": key.kid or key.thumbprint()})
    raise WrongSettings(f"the secret {NAME} holds no private key of EC or RSA, as PEM without a password or as JWK")


def _algorithm(key: Key) -> str:
    return _OF_RSA if isinstance(key, RSAKey) else _ALGORITHMS.get(key.curve_name, "")
