"""Headers that clients send, right and wrong."""

from collections.abc import Sequence

from tests.fuzz.making import JSON, MERGE, PATCH, XML, Headers
from tests.fuzz.world import World

_HOSTILE_HEADERS: Sequence[tuple[str, Sequence[str]]] = (
    ("If-Match", ('W/"1"', 'W/"2"', '"1"', "*", 'W/"999999999999999999999"', "W/1", "", 'W/"a"', 'W/"1", W/"2"',
    'W/"-1"')),
    ("If-None-Match", ('W/"1"', "*", "x", "", 'W/"1", W/"2"')),
    ("If-Modified-Since", ("Mon, 23 Nov 2026 06:00:00 GMT", "x", "Sat, 01 Jan 0000 00:00:00 GMT", "2026")),
    ("If-Unmodified-Since", ("Mon, 23 Nov 2026 06:00:00 GMT", "x")),
    ("If-None-Exist", ("identifier=a|b", "?identifier=urn:fuzz|1", "", "nope=1", "name:exact=%00", "a" * 5_000)),
    ("Prefer", ("return=minimal", "return=representation", "return=OperationOutcome", "handling=strict",
                "handling=lenient", "respond-async", "return=nope", "handling=strict, handling=lenient", ",;=",
                "wait=-1")),
    ("Accept", (JSON, XML, "*/*", "application/json", "text/html", "text/*;q=0.1", f"{JSON};q=nope", ";;;", "a/b/c",
                f"{JSON}; fhirVersion=3.0", "application/fhir+ndjson", ", ".join(["a/b"] * 500), "", "*")),
    ("Accept-Encoding", ("gzip", "br", "identity;q=0", "*;q=0", "nope")),
    ("Accept-Charset", ("utf-8", "latin-1")),
    ("Content-Type", (JSON, XML, "application/json", "text/plain", f"{JSON}; charset=latin-1", "", "a", ";", PATCH,
                      MERGE, "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                      f"{JSON};charset=\"")),
    ("Content-Encoding", ("gzip", "identity", "deflate", "x")),
    ("Idempotency-Key", ("a", "b", "c" * 300, "", "\u00e9", "a b", "key-1")),
    ("X-Provenance", ('{"resourceType":"Provenance"}', "{", "null", "[]", '{"resourceType":"Patient"}', "a" * 5_000,
                      '{"resourceType":"Provenance","target":[{"reference":"Patient/1"}],"recorded":"2026-05-01T09:30:00Z",'
                      '"agent":[{"who":{"display":"x"}}]}')),
    ("Authorization", ("Bearer x", "Bearer ", "Basic eDp5", "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "x",
    "")),
    ("X-Request-Id", ("abc", "a b", "\u00e9", "x" * 500)),
    ("Range", ("bytes=0-1", "bytes=-1", "bytes=5-1", "bytes=0-,0-,0-", "x")),
    ("Origin", ("https://evil.example", "null")),
    ("X-Forwarded-Host", ("evil.example", "a b")),
    ("X-Forwarded-Proto", ("https", "javascript")),
    ("Forwarded", ("host=evil.example",)),
    ("X-Http-Method-Override", ("DELETE",)),
    ("Cookie", ("a=b; " * 100,)),
    ("Expect", ("100-continue", "nope")),
    ("Transfer-Encoding", ("identity",)),
    ("X-" + "a" * 200, ("b" * 3_000,)),
)  # fmt: skip


def headers(world: World, given: Headers) -> Headers:
    if world.chance.random() > 0.15:
        return given
    chosen = world.chance.sample(_HOSTILE_HEADERS, world.chance.choice((1, 1, 2, 4)))
    more = [(name, world.chance.choice(values)) for name, values in chosen]
    replaced = {name for name, _ in more} if world.chance.random() < 0.9 else set()
    return (*(one for one in given if one[0] not in replaced), *more)
