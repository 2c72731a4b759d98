"""What makes and checks tokens while authentication is on: our own token endpoint, other identity servers, or both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.outbound import Guard, NotPem, Secrets
from app.outbound.documents import Fetch, fetching
from app.security.clients import Clients
from app.security.endpoint import Endpoint
from app.security.remote import Discovered, RemoteKeys
from app.security.signing import SigningKeys
from app.security.tokens import Issuer, Tokens
from app.settings import Settings, WrongSettings, bare_address, is_loopback

# The secret that says whom certificates of identity servers, and of clients with a jwks_uri, come from.
CA = "issuers-ca"
TOKEN_PATH, KEYS_PATH = "/auth/token", "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Authority:
    """base: the address of this server, which its own tokens name as their issuer. endpoint: None where there is none.

    discovered: what other issuers say of themselves. secrets: one of them opens the metrics.
    """

    base: str
    tokens: Tokens
    endpoint: Endpoint | None
    discovered: Mapping[str, Discovered]
    secrets: Secrets
    has_open_docs: bool = False


def load_authority(
    settings: Settings, secrets: Secrets, guard: Guard, clock: Callable[[], int], new_id: Callable[[], str]
) -> Authority | None:
    """None while authentication is off. Raises WrongSettings."""
    if settings.auth == "off":
        return None
    base = settings.own_address
    names = [name.strip() for name in settings.issuers.split(",") if name.strip()]
    audiences = tuple(each.strip() for each in settings.audience.split(",") if each.strip()) or (f"{base}/fhir",)
    if not names and settings.clients is None:
        raise WrongSettings(
            "DERMATOME_AUTH: smart needs somebody who gives tokens: DERMATOME_CLIENTS for the token endpoint of this "
            "service, DERMATOME_ISSUERS for other identity servers, or both"
        )
    _require_usable(names, base, guard)

    ca = secrets.read(CA) if secrets.has(CA) else ""

    def fetch(url: str) -> Fetch:
        try:
            return fetching(guard.allowing(url), ca)
        except NotPem:
            raise WrongSettings(f"the secret {CA} holds no certificates in PEM") from None

    discovered = {name: Discovered(name, fetch(name)) for name in names}
    issuers = {
        name: Issuer(name, RemoteKeys(f"the keys of {name}", one.keys_at, fetch(name)), audiences)
        for name, one in discovered.items()
    }
    endpoint = _endpoint(settings, base, secrets, fetch, clock, new_id)
    if endpoint:
        issuers[base] = Issuer(base, endpoint.signing, (endpoint.audience,), endpoint.require_registered)
    tokens = Tokens(issuers, clock, settings.clock_leeway_seconds)
    return Authority(base, tokens, endpoint, discovered, secrets, settings.open_docs)


def warnings(settings: Settings) -> list[str]:
    """What an operator should know of how the service is reached."""
    told = []
    if settings.auth == "off" and not is_loopback(settings.host):
        told.append("authentication is off: everybody who reaches this service may read and write everything")
    public = urlsplit(settings.public_url)
    if settings.auth == "smart" and public.scheme == "http" and not is_loopback(public.hostname or ""):
        told.append("DERMATOME_PUBLIC_URL is not behind TLS: tokens can be read on their way, and used by others")
    return told


def _endpoint(
    settings: Settings,
    base: str,
    secrets: Secrets,
    fetch: Callable[[str], Fetch],
    clock: Callable[[], int],
    new_id: Callable[[], str],
) -> Endpoint | None:
    if settings.clients is None:
        return None
    try:
        clients = Clients(settings.clients, fetch)
    except WrongSettings as wrong:
        raise WrongSettings("\n".join(f"DERMATOME_CLIENTS: {each}" for each in str(wrong).splitlines())) from None
    return Endpoint(
        address=f"{base}{TOKEN_PATH}",
        issuer=base,
        audience=f"{base}/fhir",
        clients=clients,
        signing=SigningKeys(settings.keys, secrets),
        clock=clock,
        new_id=new_id,
        seconds=settings.token_seconds,
        leeway=settings.clock_leeway_seconds,
    )


def _require_usable(names: list[str], base: str, guard: Guard) -> None:
    """Refuse issuers whose keys could come from anybody who stands in between."""
    problems = []
    for name in names:
        try:
            bare_address(name)
        except ValueError:
            problems.append(f"{name} is no address of http or https without parameters")
            continue
        host = urlsplit(name).hostname or ""
        if name.startswith("http:") and not is_loopback(host) and host not in guard.hosts:
            problems.append(
                f"{name} is not behind TLS, so its keys could be anybody's: use https, or name its host in "
                "DERMATOME_PRIVATE_NETWORKS if nobody else is on the way"
            )
        if name == base:
            problems.append(
                f"{name} is this service itself; its own token endpoint is switched on by DERMATOME_CLIENTS"
            )
    if problems:
        raise WrongSettings("\n".join(f"DERMATOME_ISSUERS: {each}" for each in problems))
