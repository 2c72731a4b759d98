"""One search parameter with its value, as a criterion of the tree: modifiers, chains, _has (R4 3.1.1.4, 3.1.1.5)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.fhir.references import is_id
from app.store.index.definitions import SearchParameter
from app.store.index.fulltext import check
from app.store.index.rows import PRESENT
from app.store.parameters import SearchParameters
from app.store.search.escapes import split, unescape
from app.store.search.ranges import date_range
from app.store.search.tree import (
    Chain,
    Criterion,
    Exists,
    Field,
    Group,
    Ids,
    Listed,
    Match,
    No,
    Reverse,
    Some,
    TooCostly,
    Unserved,
    Updated,
    Words,
)
from app.store.search.values import MODIFIERS, NEGATED, Reading, read

Inner = Callable[[tuple[str, ...]], Criterion]
MOST_IDS, MOST_VALUES, MOST_TEXT, MOST_CHARACTERS = 1_000, 200, 500, 1_000
# Rows of these modifiers stand under a param, or in a table, of their own (app/store/index/).
_ELSEWHERE: Mapping[tuple[str, str], tuple[str, str]] = {
    ("token", "text"): (":text", "string"),
    ("token", "of-type"): (":of-type", "token"),
    ("reference", "identifier"): (":identifier", "token"),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Parses criteria. Raises Unserved for a parameter that is not served, ValueError for all else that is wrong.

    most_links: of a chain.
    """

    parameters: SearchParameters
    reading: Reading
    # The criterion of a `_filter` text; a table entry, since a filter holds criteria again.
    filtered: Callable[["Criteria", tuple[str, ...], str], Criterion]
    most_links: int

    def parse(self, types: tuple[str, ...], name: str, text: str, links: int = 0) -> Criterion:
        """What a parameter asks of resources of the types. links: chains and _has around it."""
        if links > self.most_links:
            raise TooCostly(f"a chain of more than {self.most_links} links is not followed")
        if name.startswith("_has:"):
            return self._reverse(types, name, text, links)
        head, dot, rest = name.partition(".")
        if dot and not rest:
            raise ValueError("expected a parameter of the resource that is referred to")
        if dot:
            return self.chain(types, head, lambda targets: self.parse(targets, rest, text, links + 1))
        code, _, modifier = name.partition(":")
        special = _SPECIAL.get(code)
        if special:
            return special(self, types, modifier, text)
        return self._plain(types, code, modifier, text)

    def of(self, types: tuple[str, ...], code: str) -> SearchParameter:
        """The parameter that all the types share. Raises Unserved if one has none, or one of another kind."""
        found = [self.parameters.of(each).get(code) for each in types]
        first = found[0] if found else None
        if first is None or any(each is None or each.kind != first.kind for each in found) or first.kind == "special":
            raise Unserved(code, types)
        return first

    def _plain(self, types: tuple[str, ...], code: str, modifier: str, text: str) -> Criterion:
        parameter = self.of(types, code)
        if modifier == "missing":
            return missing(parameter, text)
        require_modifier(parameter, modifier)
        criterion = self.match(parameter, modifier, values_of(text))
        return No(criterion) if modifier in NEGATED else criterion

    def match(self, parameter: SearchParameter, modifier: str, texts: Sequence[str]) -> Match:
        """That the parameter has one of the values."""
        if parameter.kind == "composite":
            return Match(Field(parameter.name, "composite"), tuple(self._group(parameter, text) for text in texts))
        suffix, kind = _ELSEWHERE.get((parameter.kind, modifier), ("", parameter.kind))
        values = [value for text in texts for value in read(parameter, modifier, text, self.reading)]
        return Match(Field(parameter.name + suffix, kind), tuple(dict.fromkeys(values)))

    def _group(self, parameter: SearchParameter, text: str) -> Group:
        texts = split(text, "$")
        components = [
            SearchParameter(f"{parameter.name}.{n}", each.kind, parameter.resource_type, each.targets, url=each.url)
            for n, each in enumerate(parameter.components)
        ]
        if len(texts) != len(components) or not all(texts):
            kinds = "$".join(each.kind for each in components)
            raise ValueError(f"expected the values of its components: {kinds}")
        return Group(tuple(self.match(each, "", [text]) for each, text in zip(components, texts, strict=True)))

    def _reverse(self, types: tuple[str, ...], name: str, text: str, links: int) -> Criterion:
        parts = name.split(":", 3)
        if len(parts) != 4 or not parts[3]:
            raise ValueError("expected _has:Type:reference:parameter")
        _, source, code, rest = parts
        if source not in self.parameters.types:
            raise ValueError(f"{source[:40]} is no R4 resource type")
        parameter = self.of((source,), code)
        if parameter.kind != "reference" or not (set(types) & set(parameter.targets or types)):
            raise ValueError(f"{code} of {source} does not refer to {types[0]}")
        return Reverse(source, parameter.name, self.parse((source,), rest, text, links + 1))

    def chain(self, types: tuple[str, ...], head: str, inner: Inner) -> Criterion:
        """That what the reference `code` or `code:Type` leads to is as inner asks of its type."""
        code, _, modifier = head.partition(":")
        parameter = self.of(types, code)
        if parameter.kind != "reference":
            raise ValueError(f"{code} is no reference, so nothing can be chained to it")
        if modifier and modifier not in parameter.targets:
            raise ValueError(f"{code} does not lead to {modifier[:40]}")
        targets = (modifier,) if modifier else parameter.targets
        return self._links(parameter, _alternatives(targets, inner))

    def _links(self, parameter: SearchParameter, alternatives: Mapping[Criterion, Sequence[str]]) -> Criterion:
        made = [
            Chain(parameter.name, tuple(targets), inner, any(self._has_url(each) for each in targets))
            for inner, targets in alternatives.items()
        ]
        return some(made)

    def _has_url(self, resource_type: str) -> bool:
        """Whether resources of the type are referred to by canonical URL."""
        url = self.parameters.of(resource_type).get("url")
        return url is not None and url.kind == "uri"


def _alternatives(targets: Iterable[str], inner: Inner) -> dict[Criterion, list[str]]:
    """What is asked of each type that a chain may lead to; types of which the same is asked stand together.

    A type that does not have the parameter, or not with such a value, is no way for the chain.
    """
    found: dict[Criterion, list[str]] = {}
    wrong: list[ValueError | Unserved] = []
    for target in targets:
        try:
            found.setdefault(inner((target,)), []).append(target)
        except (ValueError, Unserved) as error:
            wrong.append(error)
    if not found:
        raise next((each for each in wrong if isinstance(each, ValueError)), wrong[0])
    return found


def values_of(text: str, most: int = MOST_VALUES) -> list[str]:
    """The alternatives of a value, still escaped. Raises ValueError for none, TooCostly for too many."""
    if "\0" in text:
        raise ValueError("a value cannot contain NUL")
    found = [part for part in split(text) if part]
    if not found:
        raise ValueError("a value is missing")
    if any(len(part) > MOST_CHARACTERS for part in found):
        raise ValueError(f"a value has at most {MOST_CHARACTERS} characters")
    if len(found) > most:
        raise TooCostly(f"at most {most} values can be given at once; here are {len(found)}")
    return found


def require_modifier(parameter: SearchParameter, modifier: str) -> None:
    """Raises ValueError for a modifier that the parameter does not have."""
    allowed = (*MODIFIERS.get(parameter.kind, ()), *(parameter.targets if parameter.kind == "reference" else ()))
    if modifier and modifier not in allowed:
        near = ", ".join(f":{each}" for each in ("missing", *MODIFIERS.get(parameter.kind, ())))
        raise ValueError(f"the modifier :{modifier[:40]} is not one of a {parameter.kind} parameter; it takes {near}")


def missing(parameter: SearchParameter, text: str) -> Criterion:
    """:missing=true or false. Raises ValueError for anything else."""
    if text not in ("true", "false"):
        raise ValueError("expected true or false")
    found = Exists(_fields(parameter))
    return No(found) if text == "true" else found


def _fields(parameter: SearchParameter) -> tuple[Field, ...]:
    """Where a parameter has rows if it has a value: a concept may be a text only, a reference an identifier only."""
    if parameter.kind == "composite":
        return (Field(f"{parameter.name}.0", parameter.components[0].kind),)
    other = {"token": (":text", "string"), "reference": (":identifier", "token")}.get(parameter.kind)
    ways = [("", parameter.kind), *([other] if other else []), (PRESENT, "token")]
    return tuple(Field(parameter.name + suffix, kind) for suffix, kind in ways)


def some(parts: Sequence[Criterion]) -> Criterion:
    """That one of the parts is so."""
    return parts[0] if len(parts) == 1 else Some(tuple(parts))


def _bare(modifier: str, *allowed: str) -> None:
    if modifier and modifier not in allowed:
        raise ValueError(f"the modifier :{modifier[:40]} is not supported here")


def _ids(criteria: Criteria, _: tuple[str, ...], modifier: str, text: str) -> Criterion:
    _bare(modifier, "not")
    found = Ids(tuple(unescape(each) for each in values_of(text, MOST_IDS)))
    return No(found) if modifier else found


def _updated(criteria: Criteria, _: tuple[str, ...], modifier: str, text: str) -> Criterion:
    _bare(modifier)
    return Updated(tuple(date_range(unescape(each), criteria.reading.now) for each in values_of(text)))


def _words(where: str) -> "Special":
    def made(criteria: Criteria, _: tuple[str, ...], modifier: str, text: str) -> Criterion:
        _bare(modifier)
        wanted = [unescape(each) for each in values_of(text)]
        if any(len(each) > MOST_TEXT for each in wanted):
            raise ValueError(f"expected at most {MOST_TEXT} characters of words to look for")
        for each in wanted:
            check(each)
        return some([Words(where, each) for each in wanted])

    return made


def _listed(_: Criteria, types: tuple[str, ...], modifier: str, text: str) -> Criterion:
    _bare(modifier)
    lists = values_of(text)
    if not all(map(is_id, lists)):
        raise ValueError("expected the id of a List; functional lists such as $current-problems are not offered")
    return some([Listed(each) for each in lists])


def _filter(criteria: Criteria, types: tuple[str, ...], modifier: str, text: str) -> Criterion:
    _bare(modifier)
    return criteria.filtered(criteria, types, text)


Special = Callable[[Criteria, tuple[str, ...], str, str], Criterion]
_SPECIAL: Mapping[str, Special] = {
    "_id": _ids,
    "_lastUpdated": _updated,
    "_text": _words("_text"),
    "_content": _words("_content"),
    "_list": _listed,
    "_filter": _filter,
}
SPECIAL = tuple(_SPECIAL)
