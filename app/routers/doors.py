"""What each address asks of whoever comes to it. An address that is not named here asks for a token."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from app.security.authority import KEYS_PATH, TOKEN_PATH
from app.security.grants import ADMINISTRATION, METRICS, Principal


class Asks(Enum):
    """NOTHING: open to everybody, with nothing of a patient. ITS_OWN: a secret that the handler looks at.

    TOKEN: any token that is believed; what it lets one do there, those who answer decide. The others: a scope.
    """

    NOTHING = "nothing"
    ITS_OWN = "a secret of its own"
    DOCUMENTS = "a token, unless the operator opens them"
    TOKEN = "a token"  # noqa: S105
    CALLING = "a token, or what a client of CDS Hooks signs for this call"
    MEASURING = METRICS
    ADMINISTRATION = ADMINISTRATION


@dataclass(frozen=True, slots=True)
class Door:
    """path: an address; is_tree: with all below it. methods: of the requests that are meant, none for all."""

    path: str
    asks: Asks
    is_tree: bool = False
    methods: tuple[str, ...] = ()

    def leads(self, method: str, path: str) -> bool:
        """Whether a request comes to it."""
        is_here = path == self.path or (self.is_tree and path.startswith(f"{self.path}/"))
        return is_here and (not self.methods or method in self.methods)


_READ = ("GET",)
# The first one that leads somewhere decides.
DOORS = (
    Door("/health/live", Asks.NOTHING, methods=_READ),
    Door("/health/ready", Asks.NOTHING, methods=_READ),
    # Whoever is to get a token must find out where.
    Door("/fhir/metadata", Asks.NOTHING, methods=_READ),
    Door("/fhir/.well-known/smart-configuration", Asks.NOTHING, methods=_READ),
    Door("/.well-known/smart-configuration", Asks.NOTHING, methods=_READ),
    Door(KEYS_PATH, Asks.NOTHING, methods=_READ),
    # A client says who it is by a signed assertion.
    Door(TOKEN_PATH, Asks.NOTHING, methods=("POST",)),
    # CDS Hooks 2.0: discovery is open. Cards lead to pages of the guide, which people open without a token.
    Door("/cds-services", Asks.NOTHING, methods=_READ),
    Door("/cds-services", Asks.CALLING, is_tree=True),
    Door("/guide", Asks.NOTHING, is_tree=True, methods=_READ),
    # Nothing of a patient is in the page; what it shows it asks for with the token it was given.
    Door("/console", Asks.NOTHING, is_tree=True, methods=_READ),
    # Rest-hooks of other servers carry the secret of their target.
    Door("/sync/notifications", Asks.ITS_OWN, is_tree=True, methods=("POST", "PUT")),
    *(Door(path, Asks.DOCUMENTS, is_tree=True, methods=_READ) for path in ("/docs", "/redoc", "/openapi.json")),
    Door("/metrics", Asks.MEASURING),
    Door("/sync", Asks.ADMINISTRATION, is_tree=True),
    *(Door(path, Asks.ADMINISTRATION) for path in ("/fhir/$reindex", "/fhir/$reindex-status")),
)
_MAY: dict[Asks, Callable[[Principal], bool]] = {
    Asks.MEASURING: lambda principal: principal.may_measure,
    Asks.ADMINISTRATION: lambda principal: principal.is_admin,
}


def asked(method: str, path: str, *, has_open_docs: bool = False) -> Asks:
    """What a request is asked for. The method OPTIONS tells which methods there are, and nothing else."""
    found = next((door.asks for door in DOORS if door.leads(method, path)), Asks.TOKEN)
    is_told = method == "OPTIONS" or (found is Asks.DOCUMENTS and has_open_docs)
    return Asks.NOTHING if is_told else found


def may_pass(principal: Principal, asks: Asks) -> bool:
    """Whether somebody with a token is let in."""
    return _MAY[asks](principal) if asks in _MAY else True
