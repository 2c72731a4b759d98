"""The parameters of an export, read into what is asked for (Bulk Data Access 3.0.0, kick-off request).

What cannot be used is refused, everything at once. A client that asks for lenient handling gets the export without it,
and is told; never without what keeps data from being shown, or decides what the client can read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import parse_qsl

from app.export.asked import LATEST_PROVENANCE, NDJSON, RELEVANT_PROVENANCE, Asked, Level
from app.fhir.compartments import compartments
from app.fhir.instants import period
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import local
from app.fhir.subset import asked as subset_of
from app.store.search import CONTROL, Searcher

# The name of the secret that pseudonyms are made with.
KEY = "pseudonyms"
_NDJSON = ("application/fhir+ndjson", "application/ndjson", NDJSON)
_ASSOCIATED = (LATEST_PROVENANCE, RELEVANT_PROVENANCE)
_PATIENT, _PROVENANCE = "Patient", "Provenance"
_NEVER_LEFT_OUT = frozenset({"_outputFormat", "patient", "_pseudonymise"})


@dataclass(frozen=True, slots=True)
class Kickoff:
    """How an export was asked for. base: of the FHIR endpoint; now: microseconds since 1970."""

    level: Level
    request: str
    base: str
    now: int
    group: str = ""
    is_lenient: bool = False
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a parameter. place: its name in an address, or where it stood in Parameters."""

    value: Any
    place: str


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a parameter. refuses: the export; whoever is "lenient" gets it without what is wrong."""

    issue: Issue
    refuses: Literal["always", "unless lenient", "never"] = "unless lenient"


def flaw(name: str, issue: Issue) -> Flaw:
    """A flaw of a parameter of that name."""
    return Flaw(issue, "always" if name in _NEVER_LEFT_OUT else "unless lenient")


def without_key(place: str, *, has_key: bool) -> list[Issue]:
    """What is wrong with asking for pseudonyms where there is no key to make them with."""
    told = "This server has no key for pseudonyms: its operator sets DERMATOME_SECRET_PSEUDONYMS."
    return [] if has_key else [Issue("not-supported", told, place)]


def read(kickoff: Kickoff, searcher: Searcher, values: Mapping[str, Sequence[Value]], flaws: Sequence[Flaw]) -> Asked:
    """What is asked for. values: of the types that the operation declares; flaws: those that were found before.

    Raises Refused with every flaw that refuses it.
    """
    return _Reading(kickoff, searcher, values, list(flaws)).asked()


@dataclass(slots=True)
class _Reading:
    kickoff: Kickoff
    searcher: Searcher
    values: Mapping[str, Sequence[Value]]
    flaws: list[Flaw] = field(default_factory=list)

    def asked(self) -> Asked:
        types = self._types()
        since, until = self._time("_since"), self._time("_until")
        if since is not None and until is not None and since >= until:
            self._wrong("_until", "value", "_until must be later than _since.", "_until")
        self._format()
        associated = self._associated()
        found = Asked(
            level=self.kickoff.level,
            types=tuple(sorted({*types, *([_PROVENANCE] if associated else [])})),
            request=self.kickoff.request,
            group=self.kickoff.group,
            since=since,
            until=until,
            filters=self._filters(types),
            elements=self._elements(types),
            patients=self._patients(),
            associated=associated,
            organize_by=self._organize_by(),
            pseudonymised=self._pseudonymised(),
        )
        refusing = ("always",) if self.kickoff.is_lenient else ("always", "unless lenient")
        if refused := [each.issue for each in self.flaws if each.refuses in refusing]:
            raise Refused(refused)
        return replace(found, ignored=tuple(f"{each.issue.diagnostics} It is left out." for each in self.flaws))

    def _wrong(self, name: str, code: str, told: str, place: str) -> None:
        self.flaws.append(flaw(name, Issue(code, told, place)))

    def _listed(self, name: str) -> Iterator[Value]:
        """The values of a parameter that may be repeated, and each may hold several, separated by commas."""
        for each in self.values.get(name, ()):
            for text in str(each.value).split(","):
                if text.strip():
                    yield Value(text.strip(), each.place)

    def _types(self) -> tuple[str, ...]:
        """Types that are in no patient's compartment are left out and told; to ask for those only is refused."""
        known = self.searcher.parameters.types
        offered = (
            known if self.kickoff.level == "system" else [each for each in compartments()[_PATIENT] if each in known]
        )
        given = list(self._listed("_type"))
        for each in given:
            if each.value not in known:
                self._wrong(
                    "_type", "value", f"{each.value[:64]} is no R4 resource type that is stored here.", each.place
                )
            elif each.value not in offered:
                told = f"{each.value} is in no patient's compartment: export it by [base]/$export?_type={each.value}."
                self.flaws.append(Flaw(Issue("not-supported", told, each.place), "never"))
        found = tuple(dict.fromkeys(each.value for each in given if each.value in offered))
        if given and not found:
            told = "None of the types asked for can be exported here."
            self.flaws.append(Flaw(Issue("value", told, given[0].place), "always"))
        return found if given else tuple(offered)

    def _time(self, name: str) -> int | None:
        for each in self.values.get(name, ()):
            try:
                found = period(str(each.value))[0]
            except (ValueError, OverflowError):
                self._wrong(name, "value", f"{name} is a time that cannot be reckoned with.", each.place)
                continue
            if name == "_until" or found <= self.kickoff.now:
                return found
            self._wrong(name, "value", "_since lies in the future: nothing can have changed after it.", each.place)
        return None

    def _format(self) -> None:
        for each in self.values.get("_outputFormat", ()):
            # A + in an address arrives as a space.
            if str(each.value).replace(" ", "+").lower() not in _NDJSON:
                told = f"Files are written as {_NDJSON[0]} only; tables by $viewdefinition-export."
                self._wrong("_outputFormat", "not-supported", told, each.place)

    def _filters(self, types: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The searches of each type. Where one of several cannot be used, none is: without it less would be found."""
        found: dict[str, list[str]] = {}
        unusable = set[str]()
        for each in self._listed("_typeFilter"):
            name, mark, query = each.value.partition("?")
            if issues := list(self._wrong_filter(types, name, query if mark else "")):
                unusable.add(name)
                self.flaws += [Flaw(Issue(one.code, one.diagnostics, each.place)) for one in issues]
            else:
                found.setdefault(name, []).append(query)
        return {name: tuple(queries) for name, queries in found.items() if name not in unusable}

    def _wrong_filter(self, types: Sequence[str], name: str, query: str) -> Iterator[Issue]:
        pairs = parse_qsl(query, keep_blank_values=True)
        if name not in self.searcher.parameters.types or not pairs:
            told = (
                "_typeFilter takes searches such as Observation?status=final, separated by commas; "
                "a comma inside a search is written %2C."
            )
            yield Issue("value", told)
        elif name not in types:
            yield Issue("value", f"_typeFilter has a search of {name}, which is not among the types exported.")
        elif shaping := [each for each, _ in pairs if each.partition(":")[0] in CONTROL]:
            told = f"A search in _typeFilter selects resources; {shaping[0][:64]} shapes an answer."
            yield Issue("not-supported", told)
        else:
            yield from self._unsearchable(name, pairs)

    def _unsearchable(self, name: str, pairs: Sequence[tuple[str, str]]) -> Iterator[Issue]:
        try:
            self.searcher.parse(name, pairs, strict=True, base=self.kickoff.base)
        except Refused as refused:
            yield from (Issue(each.code, f"_typeFilter {name}: {each.diagnostics}") for each in refused.issues)

    def _elements(self, types: Sequence[str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for each in self._listed("_elements"):
            try:
                subset_of("", each.value, types)
            except Refused as refused:
                self.flaws += [Flaw(Issue(one.code, one.diagnostics, each.place)) for one in refused.issues]
                continue
            type_, _, name = each.value.rpartition(".")
            found.setdefault(type_, []).append(name)
        return {type_: tuple(dict.fromkeys(names)) for type_, names in found.items()}

    def _patients(self) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for each in self.values.get("patient", ()):
            reference = each.value.get("reference") if isinstance(each.value, Mapping) else None
            target = local(str(reference), self.kickoff.base) if reference else None
            if target is None or target[0] != _PATIENT or target[2]:
                told = "patient takes references to patients of this server, such as Patient/12."
                self._wrong("patient", "value", told, each.place)
            else:
                found[target[1]] = None
        return tuple(found)

    def _associated(self) -> tuple[str, ...]:
        """Of several values the least restrictive counts (Bulk Data Access 3.0.0)."""
        given = list(self._listed("includeAssociatedData"))
        for each in given:
            if each.value not in _ASSOCIATED:
                told = f"includeAssociatedData takes {' or '.join(_ASSOCIATED)}."
                self._wrong("includeAssociatedData", "not-supported", told, each.place)
        known = {each.value for each in given} & set(_ASSOCIATED)
        return (RELEVANT_PROVENANCE,) if RELEVANT_PROVENANCE in known else tuple(known)

    def _organize_by(self) -> str:
        for each in self.values.get("organizeOutputBy", ()):
            if each.value == _PATIENT and self.kickoff.level != "system":
                return _PATIENT
            told = "Files can be organised by Patient, by [base]/Patient/$export and [base]/Group/[id]/$export."
            self._wrong("organizeOutputBy", "not-supported", told, each.place)
        return ""

    def _pseudonymised(self) -> bool:
        given = self.values.get("_pseudonymise", ())
        is_wanted = any(each.value is True for each in given)
        if is_wanted:
            found = without_key(given[0].place, has_key=self.kickoff.has_key)
            self.flaws += [flaw("_pseudonymise", each) for each in found]
        return is_wanted
