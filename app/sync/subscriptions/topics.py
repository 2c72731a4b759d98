"""The topics: what can be subscribed to, as profiles/topics says it in the words of R5 SubscriptionTopic."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app import profiles
from app.fhir.fhirpath import Expression, Node, compile_expression, value_of

_VARIABLES = frozenset({"previous", "current"})


@dataclass(frozen=True, slots=True)
class Trigger:
    """What happens to a resource. previous, current: searches, "" for none."""

    resource: str
    interactions: tuple[str, ...]
    expression: Expression | None
    previous: str
    current: str
    requires_both: bool

    def fits(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
        """Whether the FHIRPath criteria are true of a change; None: there is no such version."""
        if self.expression is None:
            return True
        known = {"previous": before, "current": after}
        variables = {name: Node(tree, self.resource) for name, tree in known.items() if tree is not None}
        found = self.expression(after or before or {}, variables=variables)
        return [value_of(item) for item in found] == [True]

    def concurs(self, *, before: bool, after: bool) -> bool:
        """Whether the searches fit, given which of the versions match theirs; one that is not there matches none."""
        asked = [matched for search, matched in ((self.previous, before), (self.current, after)) if search]
        return not asked or (all(asked) if self.requires_both else any(asked))


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. filters: the parameters it can be narrowed by, by resource type; includes: what goes with each."""

    url: str
    version: str
    title: str
    description: str
    triggers: tuple[Trigger, ...]
    filters: Mapping[str, tuple[str, ...]]
    includes: Mapping[str, tuple[str, ...]]

    @property
    def types(self) -> tuple[str, ...]:
        """The resource types that can be the focus."""
        return tuple(dict.fromkeys(trigger.resource for trigger in self.triggers))


@cache
def topics() -> Mapping[str, Topic]:
    """Every topic, by canonical URL."""
    made = [_topic(name, content) for name, content in profiles.toml_files("topics").items()]
    return {topic.url: topic for topic in made}


def topic_of(canonical: str) -> Topic | None:
    """The topic of a canonical, with or without |version; None for one that is not offered."""
    url, _, version = canonical.partition("|")
    found = topics().get(url)
    return found if found and version in ("", found.version) else None


def _topic(name: str, content: Mapping[str, Any]) -> Topic:
    return Topic(
        url=profiles.canonical("SubscriptionTopic", name),
        version=profiles.package()["version"],
        title=content["title"],
        description=content["description"],
        triggers=tuple(_trigger(each) for each in content["resource-trigger"]),
        filters={each["resource"]: tuple(each["filter-parameter"]) for each in content.get("can-filter-by", ())},
        includes={each["resource"]: tuple(each["include"]) for each in content.get("notification-shape", ())},
    )


def _trigger(content: Mapping[str, Any]) -> Trigger:
    text, query = content.get("fhirpath-criteria", "").strip(), content.get("query-criteria", {})
    return Trigger(
        resource=content["resource"],
        interactions=tuple(content["supported-interaction"]),
        expression=compile_expression(text, _VARIABLES) if text else None,
        previous=query.get("previous", ""),
        current=query.get("current", ""),
        requires_both=query.get("require-both", False),
    )
