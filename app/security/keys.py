"""JSON Web Keys that signatures are checked with: which of a set can be used, and for which algorithm."""

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

Key: TypeAlias = RSAKey | ECKey
# Signatures by key pairs only. With a shared secret (HS256) whoever checks could sign, and with a public key taken for
# one anybody could; "none" signs nothing.
RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
ALGORITHMS = RSA | frozenset(_CURVES)
_KINDS: Mapping[str, type[Key]] = {"RSA": RSAKey, "EC": ECKey}
# RFC 7518 3.3; more than the most is time spent for whoever asks.
_LEAST_BITS, _MOST_BITS = 2048, 8192
_MOST_KEYS = 100
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class NoKeys(ValueError):
    """What should be a set of public keys is none; the text says why, without a word of it."""


class KeySet:
    """The usable keys of a set, by their ids."""

    def __init__(self, keys: Mapping[str, tuple[Key, ...]]) -> None:
        self._keys = keys

    def key(self, kid: str, algorithm: str) -> Key | None:
        """The key of this id if it fits the algorithm."""
        return next((key for key in self._keys.get(kid, ()) if fits(key, algorithm)), None)

    def __len__(self) -> int:
        return sum(len(each) for each in self._keys.values())


def read_keys(tree: Any) -> KeySet:
    """The keys of a JWK Set that signatures can be checked with; those for something else are left aside.

    Raises NoKeys where none is left.
    """
    listed = tree.get("keys") if isinstance(tree, Mapping) else None
    if not isinstance(listed, list):
        raise NoKeys("it is no JWK Set: there is no list named keys")
    found: dict[str, tuple[Key, ...]] = {}
    for each in listed[:_MOST_KEYS]:
        if key := _usable(each):
            kid = each["kid"]
            found[kid] = (*found.get(kid, ()), key)
    if not found:
        raise NoKeys("it has no key for signatures that can be used: of RSA (2048 bits or more) or EC, with a kid")
    return KeySet(found)


def _usable(tree: Any) -> Key | None:
    """The public key of a JWK, None for one that is of another kind, for another use, or too weak."""
    if not isinstance(tree, Mapping) or not isinstance(tree.get("kid"), str) or tree.get("use", "sig") != "sig":
        return None
    kind = _KINDS.get(str(tree.get("kty")))
    if kind is None:
        return None
    public = {name: value for name, value in tree.items() if name not in _PRIVATE and name != "key_ops"}
    try:
        key = kind.import_key(json.loads(json.dumps(public)))
        return key if not isinstance(key, RSAKey) or _LEAST_BITS <= key.public_key.key_size <= _MOST_BITS else None
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None


def has_private(tree: Any) -> bool:
    """Whether a JWK Set holds what its owner alone should have."""
    listed = tree.get("keys") if isinstance(tree, Mapping) else None
    return any(isinstance(each, Mapping) and not _PRIVATE.isdisjoint(each) for each in listed or ())


def fits(key: Key, algorithm: str) -> bool:
    """Whether a key is of the kind that an algorithm takes, and not meant for another one."""
    if key.get("alg") not in (None, algorithm):
        return False
    if isinstance(key, RSAKey):
        return algorithm in RSA
    return _CURVES.get(algorithm) == key.curve_name
