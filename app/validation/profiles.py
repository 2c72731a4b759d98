"""All profiles known here, by their canonical URL."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.fhir.outcomes import Severity
from app.validation.layering import layered
from app.validation.overlays import Profile
from app.validation.rules import BaseRules


class Profiles:
    """All profiles known here, each compiled when first asked for."""

    def __init__(
        self, rules: BaseRules, structures: Iterable[Mapping[str, Any]], posted: frozenset[str] = frozenset()
    ) -> None:
        """structures: the short form of definitions.json.gz with `url` added, or what `differentials.prepared` makes
        of a StructureDefinition. Of several with one URL the first counts. posted: the URLs of those of clients."""
        self._rules, self._posted = rules, posted
        self._structures: dict[str, Mapping[str, Any]] = {}
        for each in structures:
            if "url" in each and each.get("type") != each["url"]:
                self._structures.setdefault(each["url"], each)
        self._compiled: dict[str, Profile] = {}
        # What it is to claim a profile that is not known.
        self.unknown: Severity = "warning"

    def get(self, url: str) -> Profile | None:
        """The profile of a canonical URL, with or without |version; None if it is not known."""
        url = url.partition("|")[0]
        if url not in self._compiled:
            if url not in self._structures:
                return None
            self._compiled[url] = layered(self._rules, self._chain(url), self._posted)
        return self._compiled[url]

    def claimed(self, canonical: str) -> Profile | None:
        """The profile a resource claims to conform to; None also for another version of it than the one known."""
        url, _, version = canonical.partition("|")
        if version and str(self._structures.get(url, {}).get("version")) != version:
            return None
        return self.get(url)

    def types_of(self, target: str) -> str:
        """The resource type a target profile stands for; "" if that is any or not known."""
        target = target.partition("|")[0]
        name = target.removeprefix(STRUCTURE)
        if self._rules.has(name):
            return "" if name == "Resource" else name
        known = self._structures.get(target)
        return str(known["type"]) if known else ""

    def _chain(self, url: str) -> list[Mapping[str, Any]]:
        """The profile and what it is based on, most general first."""
        found: list[Mapping[str, Any]] = []
        while url in self._structures and len(found) < 50:
            found.insert(0, self._structures[url])
            url = found[0].get("baseDefinition", "").partition("|")[0]
        return found
