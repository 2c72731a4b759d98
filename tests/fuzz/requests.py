"""Every kind of request the attack sends, with its share."""

from collections.abc import Callable
from urllib.parse import quote

from tests.fuzz.bundles import bundle, record_bundle
from tests.fuzz.doors import anywhere, clinic, clinic_record, operation
from tests.fuzz.headers import headers
from tests.fuzz.http import Request
from tests.fuzz.mutations import spoil
from tests.fuzz.patches import patch
from tests.fuzz.reads import follow, read, read_nothing, read_xml, search, search_by_form
from tests.fuzz.texts import row, too_large, validate, xml
from tests.fuzz.world import World
from tests.fuzz.writes import change_known, conditional, create, delete, plain_patient, update

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 30)


def draw(world: World) -> Request:
    """The next request of a client."""
    (kind,) = world.chance.choices(_KINDS, _WEIGHTS)
    made = kind(world)
    method = world.chance.choice(_METHODS) if world.chance.random() < 0.01 else made.method
    return Request(method, _url(world, made.url), headers(world, made.headers), _body(world, made.body), kind.__name__)


def _url(world: World, url: str) -> str:
    """Mostly as it is; sometimes with another path. Never what no HTTP client can write: spaces and line breaks."""
    if world.chance.random() < 0.01:
        url = world.chance.choice(
            (f"{url}/", f"/{url}", f"{url}%00", f"{url}?", url.replace("fhir", "FHIR"), f"{url}/..;/x")
        )
    return "".join(letter if "!" <= letter <= "~" else quote(letter, errors="replace") for letter in url)


def _body(world: World, body: bytes) -> bytes:
    return spoil(world.chance, body) if body and world.chance.random() < 0.04 else body


_SHARES: dict[Callable[[World], Request], float] = {
    plain_patient: 8, create: 12, update: 10, change_known: 5, conditional: 4, patch: 7, delete: 2, read: 8,
    read_nothing: 1,
    search: 16, search_by_form: 4, follow: 2, bundle: 4, record_bundle: 1, operation: 5, anywhere: 3, clinic: 3,
    clinic_record: 2, xml: 4, read_xml: 3, row: 10, validate: 3, too_large: 0.1,
}  # fmt: skip


_KINDS, _WEIGHTS = tuple(_SHARES), tuple(_SHARES.values())
