"""Resources that go with the matches of a page: _include and _revinclude (R4 3.1.1.5.3)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.fhir.outcomes import Issue, Refused
from app.store import sight
from app.store.keys import among, chunks
from app.store.repository import Stored
from app.store.search.compiling.criteria import Compiler
from app.store.search.query import Query
from app.store.search.results import Include
from app.store.snapshot import visible
from app.store.tables import Content, SearchReference, SearchUri, Version

# Rounds of :iterate.
MOST_ROUNDS = 10
_VERSION: Any = Version.__table__.c  # type: ignore[attr-defined]
_CONTENT: Any = Content.__table__.c  # type: ignore[attr-defined]
_LINK: Any = SearchReference.__table__.c  # type: ignore[attr-defined]
_URI: Any = SearchUri.__table__.c  # type: ignore[attr-defined]
_STORED = [_VERSION[name] for name in ("type", "id", "version", "method", "last_updated")]
# Row number and Stored of versions.
WITH_CONTENT: Any = select(_VERSION.vid, *_STORED, _CONTENT.text).where(_CONTENT.vid == _VERSION.vid)
Found = list[tuple[int, Stored]]


@dataclass(slots=True)
class _Gathering:
    """What was found so far: nothing comes twice, which also ends a circle."""

    connection: AsyncConnection
    compiler: Compiler
    most: int
    seen: set[int] = field(default_factory=set)
    found: Found = field(default_factory=list)

    async def add(self, statement: Any) -> Found:
        rows = [(row[0], Stored(*row[1:])) for row in await self.connection.execute(statement)]
        fresh = list({vid: (vid, stored) for vid, stored in rows if vid not in self.seen}.values())
        self.seen |= {vid for vid, _ in fresh}
        self.found += fresh
        if len(self.found) > self.most:
            told = f"More than {self.most} resources would be included on one page; ask for fewer with _count."
            raise Refused([Issue("too-costly", told, "_include")])
        return fresh


async def included(connection: AsyncConnection, query: Query, compiler: Compiler, matches: Found) -> Found:
    """What the includes of a query bring, without the matches themselves."""
    gathering = _Gathering(connection, compiler, query.most_included, {vid for vid, _ in matches})
    fresh = await _round(gathering, query.includes, matches)
    iterated = [each for each in query.includes if each.is_iterated]
    rounds = 1
    while fresh and iterated:
        if rounds == MOST_ROUNDS:
            told = f"Includes that are iterated more than {MOST_ROUNDS} times are not followed."
            raise Refused([Issue("too-costly", told, "_include")])
        fresh, rounds = await _round(gathering, iterated, fresh), rounds + 1
    return gathering.found


async def _round(gathering: _Gathering, includes: Iterable[Include], of: Found) -> Found:
    fresh: Found = []
    for include in includes:
        if include.is_reverse:
            fresh += await _referring(gathering, include, [stored for _, stored in of])
        else:
            fresh += await _referred(gathering, include, of)
    return fresh


async def _referred(gathering: _Gathering, include: Include, of: Found) -> Found:
    """What the resources refer to."""
    sources = [vid for vid, stored in of if include.source in ("*", stored.type)]
    links: set[tuple[str, str]] = set()
    for chunk in chunks(sources):
        links_of = select(_LINK.target_type, _LINK.target_id)
        statement = links_of.where(_LINK.vid.in_(chunk), *_by(include))
        links |= {(row[0], row[1]) for row in await gathering.connection.execute(statement)}
    fresh: Found = []
    for keys in chunks(sorted(link for link in links if link[0])):
        own = among(_VERSION.type, _VERSION.id, keys)
        fresh += await gathering.add(_there(gathering).where(own))
    for urls in chunks(sorted(url for type_, url in links if not type_)):
        fresh += await gathering.add(_there(gathering).where(_named(urls, include.target)))
    return fresh


def _named(urls: Sequence[str], target: str) -> ColumnElement[bool]:
    """Whether a canonical resource has one of the urls; |version is for whoever reads the reference to look at."""
    bare = sorted({url.partition("|")[0] for url in urls})
    own = select(_URI.vid).where(_URI.vid == _VERSION.vid, _URI.param == "url", _URI.value.in_(bare))
    of_type = [_VERSION.type == target] if target else []
    return and_(*of_type, own.exists())


async def _referring(gathering: _Gathering, include: Include, of: Sequence[Stored]) -> Found:
    """What refers to the resources."""
    fresh: Found = []
    by_type: dict[str, list[str]] = {}
    for stored in of:
        if include.target in ("", stored.type):
            by_type.setdefault(stored.type, []).append(stored.id)
    for target, ids in by_type.items():
        for chunk in chunks(ids):
            own = (_LINK.target_type == target, _LINK.target_id.in_(chunk))
            links = select(_LINK.vid).where(*own, *_by(include, source=True))
            fresh += await gathering.add(_there(gathering).where(_VERSION.vid.in_(links)))
    return fresh


def _by(include: Include, *, source: bool = False) -> Iterator[ColumnElement[bool]]:
    """By which parameter, and from or to which type, a row of SearchReference leads."""
    if include.source != "*":
        yield _LINK.type == include.source
    if include.param != "*":
        yield _LINK.param == include.param
    if include.target and not source:
        yield _LINK.target_type.in_((include.target, ""))


def _there(gathering: _Gathering) -> Any:
    looking = sight.current()
    seen = gathering.compiler.seen(_VERSION, looking.types) if looking else []
    there = (visible(_VERSION, gathering.compiler.snapshot), not_(_VERSION.deleted), *seen)
    return WITH_CONTENT.where(*there).order_by(_VERSION.vid).limit(gathering.most + 1)
