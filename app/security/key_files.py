"""Keys of this service: given as a secret, or made once and kept in a file that nobody else can read."""

import json
import os
import stat
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.outbound.secrets import NoSecret, Secrets
from app.settings import WrongSettings

Jwk = Mapping[str, Any]
# The one before stays until what was made with it has ended; a rotation more, and it is gone.
_KEPT = 2
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFile:
    """A JWK Set of private keys; the first is used, the others are still understood.

    name: of the secret that goes before the file, and of the file. make: a new key.
    """

    def __init__(self, name: str, folder: Path, secrets: Secrets, make: Callable[[], Jwk]) -> None:
        self._name, self._path = name, folder / f"{name}.json"
        self._secrets, self._make = secrets, make

    @property
    def is_given(self) -> bool:
        """Whether the operator has given them as a secret."""
        return self._secrets.has(self._name)

    def stamp(self) -> tuple[int, int] | str:
        """Another one when the keys may have changed."""
        if self.is_given:
            return self._secret()
        found = self._path.stat() if self._path.exists() else None
        return (found.st_mtime_ns, found.st_ino) if found else (0, 0)

    def read(self) -> str | Sequence[Jwk]:
        """The secret as it is, or the keys of the file, which is made where it is missing. Raises WrongSettings."""
        if self.is_given:
            return self._secret()
        if not self._path.exists():
            self._write([self._make()], is_first=True)
        return self._kept()

    def rotate(self) -> None:
        """Put a new key before the others. Raises WrongSettings."""
        if self.is_given:
            raise WrongSettings(f"the secret {self._name} is given by the operator, and is renewed by giving another")
        before = self._kept() if self._path.exists() else []
        self._write([self._make(), *before][:_KEPT], is_first=False)

    def _secret(self) -> str:
        try:
            return self._secrets.read(self._name).strip()
        except NoSecret as error:
            raise WrongSettings(str(error)) from None

    def _kept(self) -> Sequence[Jwk]:
        try:
            with self._path.open("r", encoding="utf-8") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & _OTHERS:
                    raise WrongSettings(f"{self._path}: others can read this key; `chmod 600` it, and renew it")
                keys: Sequence[Jwk] = json.load(file)["keys"]
                return keys
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WrongSettings(f"{self._path}: the keys cannot be read ({type(error).__name__})") from None

    def _write(self, keys: Sequence[Jwk], *, is_first: bool) -> None:
        """At once or not at all. is_first: where another process has made them in the meantime, its own stay."""
        folder = self._path.parent
        new = folder / f".{self._path.name}.{uuid.uuid4().hex}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                json.dump({"keys": list(keys)}, file)
                file.flush()
                os.fsync(file.fileno())
            if is_first:
                self._link(new)
            else:
                new.replace(self._path)
        except OSError as error:
            told = f"{folder}: the keys of this service cannot be kept there ({type(error).__name__}); "
            raise WrongSettings(f"{told}give the secret {self._name}, or set DERMATOME_KEYS") from None

    def _link(self, new: Path) -> None:
        try:
            self._path.hardlink_to(new)
        except FileExistsError:
            pass
        finally:
            new.unlink()
