"""Search parameters: which are served for each type, and what rows a resource has in the index for them."""

from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from typing import Any

from sqlmodel import SQLModel

from app.fhir.fhirpath import EvaluationError
from app.fhir.outcomes import Issue, TooLarge
from app.store.index.definitions import MAKERS, SearchParameter, parameters_of, served_definitions
from app.store.index.fulltext import PARAMETERS as FULL_TEXT
from app.store.index.fulltext import text_row
from app.store.index.plans import Plan, plan_of
from app.store.index.unnamed import unnamed
from app.store.tables import SearchReference, SearchText

Rows = dict[type[SQLModel], list[dict[str, Any]]]


class SearchParameters:
    """The served parameters of every type.

    definitions: SearchParameter resources, or R4's in the short form of definitions.json.gz.
    """

    def __init__(self, definitions: Iterable[Mapping[str, Any]]) -> None:
        self._by_type = parameters_of(definitions)
        self._plans: dict[str, Plan] = {}

    @property
    def types(self) -> Iterable[str]:
        """All resource types, in alphabetical order."""
        return self._by_type.keys()

    def of(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """The parameters of a type by code, those of every type included; none of an unknown type.

        What search answers by other means than rows of a parameter is not among them: _text, _content, _filter, _has,
        _list, _type, and what governs the result.
        """
        return self._by_type.get(resource_type, {})

    @cached_property
    def digests(self) -> dict[str, dict[str, str]]:
        """Type -> code -> what changes when the rows of the parameter would be made in another way."""
        full_text = dict.fromkeys(FULL_TEXT, str(MAKERS))
        return {
            type_: {each.name: each.digest for each in known.values()} | full_text
            for type_, known in self._by_type.items()
        }

    def rows(self, resource: Mapping[str, Any], *, base: str = "") -> Rows:
        """The rows a resource contributes to each table, without type and vid.

        base: references that start with it are to this server.
        """
        try:
            found = self._plan(resource["resourceType"]).rows(resource, base).tables
        except EvaluationError as error:
            told = f"The resource cannot be indexed for search: {error}."
            raise TooLarge([Issue("too-costly", told)]) from None
        pointing = found.get(SearchReference, [])
        return {
            **found,
            SearchReference: [*pointing, *unnamed(resource, pointing, base)],
            SearchText: [text_row(resource)],
        }

    def _plan(self, resource_type: str) -> Plan:
        found = self._plans.get(resource_type)
        if found is None:
            found = self._plans[resource_type] = plan_of(self.of(resource_type).values())
        return found


@cache
def load_parameters() -> SearchParameters:
    """The search parameters of R4 and of our own content."""
    return SearchParameters(served_definitions())
