"""A searcher without a database, for tests of what parameters mean."""

from app.store.parameters import load_parameters
from app.store.search import Query, Searcher
from app.terminology import load_terminology

BASE = "http://dermatome.test/fhir"
NOW = 1_780_000_000_000_000
MINUTE = 60_000_000
_PARAMETERS = load_parameters()
_TERMINOLOGY = load_terminology()


def searcher(now: int = NOW) -> Searcher:
    return Searcher(
        _PARAMETERS,
        page_size=50,
        max_page_size=1000,
        terminology=lambda: _TERMINOLOGY,
        clock=lambda: now,
        link_minutes=10,
    )


def parsed(resource_type: str, *given: tuple[str, str], now: int = NOW) -> Query:
    return searcher(now).parse(resource_type, given, strict=True, base=BASE)
