"""Parameters as they came in a URL or a form, read into a query that is ready to run."""

import difflib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from app.fhir.outcomes import Gone, Issue, Refused
from app.store import cursors
from app.store.parameters import SearchParameters
from app.store.search.bounds import USUAL, Bounds
from app.store.search.compartments import compartment_of
from app.store.search.criteria import SPECIAL, Criteria, values_of
from app.store.search.escapes import unescape
from app.store.search.filters import filtered
from app.store.search.offered import Offered, Offers
from app.store.search.place import Place, place_of
from app.store.search.results import CONTROL, NAMED, PASSED_ON, Include, Key, Results, Shaping
from app.store.search.terms import Terms
from app.store.search.tree import Belongs, Chain, Criterion, Listed, Reverse, TooCostly, Unserved, weight
from app.store.search.values import Reading
from app.terminology import Terminology

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A search ready to run. used: the parameters, as they were executed; ignored: an issue for each other.

    address: path below the FHIR endpoint. count: matches per page, 0 for their number only.
    """

    types: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    count: int
    at: int
    address: str = ""
    total: str = "accurate"
    summary: str = "false"
    elements: tuple[str, ...] = ()
    order: tuple[Key, ...] = ()
    includes: tuple[Include, ...] = ()
    used: Pairs = ()
    ignored: tuple[Issue, ...] = ()
    place: Place | None = None
    most_included: int = 0

    @property
    def is_linked(self) -> bool:
        """Whether other resources decide what matches."""
        return any(isinstance(each, Chain | Reverse | Listed | Belongs) for each in self.criteria)

    @property
    def meaning(self) -> str:
        """Changes when value sets or code systems make something else of the parameters."""
        return hashlib.blake2s(repr(self.criteria).encode(), digest_size=6).hexdigest()

    @property
    def paged(self) -> Pairs:
        """What the links to other pages carry besides their cursor: all of it, and the size of the pages."""
        own = tuple(pair for pair in self.used if pair[0] != cursors.CURSOR)
        return own if any(name == "_count" for name, _ in own) else (*own, ("_count", str(self.count)))

    @property
    def asked(self) -> str:
        """What a cursor is sealed for."""
        return f"{self.address}?{urlencode(self.paged)}"


@dataclass(slots=True)
class _Draft:
    results: Results
    criteria: list[Criterion]
    used: list[tuple[str, str]]
    ignored: list[Issue]
    wrong: list[Issue]
    # Whether the types are for `_type` to say.
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    """A search as it was given."""

    resource_type: str
    given: Pairs
    is_strict: bool
    base: str
    compartment: tuple[str, str] | None

    @property
    def address(self) -> str:
        return "/".join([*self.compartment, self.resource_type or "*"]) if self.compartment else self.resource_type


class Searcher:
    """Reads searches. page_size, max_page_size: matches per page by default, and at most; link_minutes: how long page
    links answer. terminology: what is known of codes now; clock: microseconds since 1970."""

    def __init__(
        self,
        parameters: SearchParameters,
        *,
        page_size: int,
        max_page_size: int,
        terminology: Callable[[], Terminology],
        clock: Callable[[], int],
        link_minutes: int = 60,
        bounds: Bounds = USUAL,
    ) -> None:
        self.parameters, self._bounds = parameters, bounds
        self._page_size, self._max_page_size = page_size, max_page_size
        self._link_minutes = link_minutes
        self._terms = Terms(terminology)
        self._clock = clock
        self._shaping = Shaping(parameters)
        self._offers = Offers(parameters)

    def of(self, resource_type: str) -> Offered:
        """What is offered for a type, for the CapabilityStatement; "" is what is offered without a type."""
        return self._offers.of(resource_type)

    def parse(
        self,
        resource_type: str,
        given: Sequence[tuple[str, str]],
        *,
        strict: bool = False,
        base: str = "",
        compartment: tuple[str, str] | None = None,
        at: int | None = None,
    ) -> Query:
        """The query of parameters. resource_type "": every type, or those of _type; compartment: ("Patient", id).

        at: when it is asked, in microseconds; None: now. What is "about" a date depends on it.

        Raises Refused naming every malformed parameter; when strict, every unknown one too.
        """
        if len(given) > self._bounds.parameters:
            most = self._bounds.parameters
            raise Refused([Issue("too-costly", f"At most {most} search parameters can be given at once.")])
        asking = _Asking(resource_type, tuple(given), strict, base, compartment)
        query, cursor = self._read(asking, self._clock() if at is None else at)
        return self._continued(asking, query, cursor) if cursor else query

    def _continued(self, asking: _Asking, query: Query, cursor: str) -> Query:
        """The query as it was when its first page was read: "about" a date depends on the day it is asked.

        Raises Gone where it cannot be had as it was: a value set has changed.
        """
        try:
            snapshot, content = cursors.unseal(cursor, query.asked)
            place = place_of(snapshot, content, query.order)
        except ValueError:
            raise cursors.no_link() from None
        cursors.require_kept(place.at, self._clock(), self._link_minutes)
        then = self._read(asking, place.at)[0]
        if then.meaning != place.meaning:
            told = "A value set or code system of this search has changed since its first page. Search anew."
            raise Gone([Issue("expired", told, cursors.CURSOR)])
        return replace(then, place=place)

    def _read(self, asking: _Asking, now: int) -> tuple[Query, str]:
        """The query, and its cursor if it has one."""
        draft = _Draft(Results(), [], [], [], [])
        types = self._types(draft, asking)
        if asking.compartment:
            types, member = compartment_of(asking.compartment, types)
            draft.criteria.append(member)
        criteria = Criteria(self.parameters, Reading(asking.base, now, self._terms), filtered, self._bounds.links)
        for name, value in asking.given:
            self._take(draft, criteria, types, name, value)
        refused = draft.wrong + (draft.ignored if asking.is_strict else [])
        if refused:
            raise Refused(Issue(i.code, i.diagnostics, i.expression) for i in refused)
        if sum(map(weight, draft.criteria)) > self._bounds.values:
            told = f"A search compares with at most {self._bounds.values} values."
            raise Refused([Issue("too-costly", told)])
        return self._query(draft, types, asking.address, now), draft.results.cursor

    def _query(self, draft: _Draft, types: tuple[str, ...], address: str, now: int) -> Query:
        results = draft.results
        count = min(self._page_size if results.count is None else results.count, self._max_page_size)
        return Query(
            types,
            tuple(draft.criteria),
            0 if results.summary == "count" else count,
            now,
            address,
            results.total,
            results.summary,
            tuple(results.elements),
            tuple(results.order),
            tuple(results.includes),
            tuple((name, str(count) if name == "_count" else value) for name, value in draft.used),
            tuple(draft.ignored),
            most_included=self._bounds.included,
        )

    def _take(self, draft: _Draft, criteria: Criteria, types: tuple[str, ...], name: str, value: str) -> None:
        try:
            if name.partition(":")[0] in CONTROL:
                self._shaping.take(draft.results, types, name, value)
            elif name != "_type" or not draft.is_open:
                draft.criteria.append(criteria.parse(types, name, value))
            if name not in PASSED_ON:
                draft.used.append((name, value))
        except ValueError as error:
            draft.wrong.append(_malformed(name, error))
        except Unserved as unserved:
            draft.ignored.append(self._unserved(name, unserved))
        except RecursionError:
            draft.wrong.append(_malformed(name, ValueError("it is nested too deeply")))

    def _unserved(self, name: str, unserved: Unserved) -> Issue:
        """A parameter that is not served, with the nearest that are."""
        known = list(dict.fromkeys([*self.parameters.of(unserved.types[0]), *SPECIAL, "_has", *NAMED]))
        near = difflib.get_close_matches(unserved.name, known, 3, 0.4) or known
        of = unserved.types[0] if len(unserved.types) == 1 else "all of these types together"
        text = f"Search parameter {unserved.name[:64]} is not served for {of}; served: {', '.join(near)}."
        return Issue("not-supported", text, name[:64], severity="warning")

    def _types(self, draft: _Draft, asking: _Asking) -> tuple[str, ...]:
        if asking.resource_type:
            return (asking.resource_type,)
        draft.is_open = True
        found: list[str] = []
        for value in (value for name, value in asking.given if name == "_type"):
            try:
                found += self._known_types(value)
            except ValueError as error:
                draft.wrong.append(_malformed("_type", error))
        return tuple(dict.fromkeys(found)) or tuple(self.parameters.types)

    def _known_types(self, value: str) -> list[str]:
        found = [unescape(each) for each in values_of(value)]
        if unknown := [each for each in found if each not in self.parameters.types]:
            raise ValueError(f"{unknown[0][:40]} is no R4 resource type that is stored here")
        return found


def _malformed(name: str, error: ValueError) -> Issue:
    code = "too-costly" if isinstance(error, TooCostly) else "value"
    return Issue(code, f"Search parameter {name[:64]}: {error}.", name[:64])
