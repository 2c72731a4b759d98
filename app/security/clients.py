"""The clients that the built-in token endpoint knows: a TOML file, read anew when it changes.

Whoever is taken out of it gets no token any more, and those that were given are refused.
"""

import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.outbound.documents import Fetch
from app.security.grants import left_out, parse
from app.security.keys import has_private, read_keys
from app.security.remote import RemoteKeys
from app.security.tokens import Keys
from app.settings import WrongSettings, bare_address

_LOOK_SECONDS = 1.0
_CLINICAL = "system"
_log = structlog.get_logger()


class Client(BaseModel):
    """One client that may ask for tokens. scopes: the most it may have; jwks or jwks_uri: its public keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern="^[!-~]{1,255}$", description="Its client_id.")]
    scopes: str = Field(min_length=1, max_length=10_000, description="The most it may ask for, separated by spaces.")
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""

    @field_validator("scopes")
    @classmethod
    def _known(cls, value: str) -> str:
        wrong = [*left_out(value), *(each for each in value.split() if each.startswith(("patient/", "user/")))]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: a client without a user has scopes such as system/Observation.rs")
        return value

    @field_validator("jwks")
    @classmethod
    def _public(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if value is not None and has_private(value):
            raise ValueError("holds a private key: only the client itself may have it; give its public keys")
        if value is not None:
            read_keys(value)
        return value

    @field_validator("jwks_uri")
    @classmethod
    def _address(cls, value: str) -> str:
        return bare_address(value) if value else value

    @model_validator(mode="after")
    def _one(self) -> "Client":
        if (self.jwks is None) == (not self.jwks_uri):
            raise ValueError("either jwks or jwks_uri says which keys it has")
        return self

    @property
    def grants(self) -> tuple[Any, ...]:
        """What its scopes are."""
        return parse(self.scopes)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    client: tuple[Client, ...] = ()


class _Own:
    """The keys that stand in the file."""

    def __init__(self, client: Client) -> None:
        self._keys = read_keys(client.jwks)

    async def key(self, kid: str, algorithm: str) -> Any:
        return self._keys.key(kid, algorithm)


class Clients:
    """The clients as the file has them now. fetch: gets the keys of those that keep them at an address."""

    def __init__(self, path: Path, fetch: Callable[[str], Fetch], clock: Callable[[], float] = time.monotonic) -> None:
        """Raises WrongSettings."""
        self._path, self._fetch, self._clock = path, fetch, clock
        self._stamp, self._looked_at = _stamp(path), clock()
        self._clients = load_clients(path)
        self._keys: dict[str, tuple[Client, Keys]] = {}

    def find(self, client_id: str) -> Client | None:
        """The client of this id."""
        self._look()
        return self._clients.get(client_id)

    def keys(self, client: Client) -> Keys:
        """Its keys; those at an address are kept from one time to the next."""
        known = self._keys.get(client.id)
        if known is None or known[0] != client:
            known = client, self._made(client)
            self._keys[client.id] = known
        return known[1]

    def _made(self, client: Client) -> Keys:
        if client.jwks is not None:
            return _Own(client)

        async def url() -> str:
            return client.jwks_uri

        return RemoteKeys(f"the keys of client {client.id}", url, self._fetch(client.jwks_uri))

    def _look(self) -> None:
        """Read a changed file anew. While it is wrong, what it said before holds, and the log says so."""
        if self._clock() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._clients = load_clients(self._path)
        except WrongSettings as wrong:
            _log.error("the clients file cannot be used; the clients it named before are kept", reason=str(wrong))


def load_clients(path: Path) -> Mapping[str, Client]:
    """The clients of a TOML file, one `[[client]]` block each. Raises WrongSettings naming all that is wrong."""
    try:
        clients = _File.model_validate(tomllib.loads(path.read_text("utf-8"))).client
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise WrongSettings(f"{path.name}: it cannot be read as TOML ({type(error).__name__})") from None
    except ValidationError as error:
        told = [f"{path.name}: {_where(each['loc'])}: {_said(each['msg'])}" for each in error.errors()]
        raise WrongSettings("\n".join(told)) from None
    names = [client.id for client in clients]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WrongSettings(f"{path.name}: two clients are named {', '.join(twice)}")
    return {client.id: client for client in clients}


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_mtime_ns, found.st_size, found.st_ino


def _where(loc: tuple[Any, ...]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in loc).lstrip(".")


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")
