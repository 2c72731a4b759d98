"""The CDS Hooks services as their content file describes them, and how they are announced."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.mapping.facts.observed import codes_of_facts
from app.pain.content import Content
from app.profiles import toml_files


@dataclass(frozen=True, slots=True)
class Service:
    """One service. prefetch: key -> the types it brings, in the order announced."""

    id: str
    hook: str
    title: str
    description: str
    usage: str
    prefetch: Mapping[str, tuple[str, ...]]

    @property
    def has_orders(self) -> bool:
        return self.hook.startswith("order-")


@cache
def services() -> Mapping[str, Service]:
    """Every service by id."""
    file = _file()
    types = {key: tuple(row["types"]) for key, row in file["prefetch"].items()}
    return {
        row["id"]: Service(
            id=row["id"],
            hook=row["hook"],
            title=row["title"],
            description=row["description"],
            usage=row["usage"],
            prefetch={key: types[key] for key in row["prefetch"]},
        )
        for row in file["service"]
    }


def announced(content: Content) -> list[dict[str, Any]]:
    """The services for discovery, with the templates of what they ask to be sent along."""
    codes = ",".join(f"{system}|{code}" for system, code in sorted(codes_of_facts(content)))
    templates = {key: row["template"].replace("{codes}", codes) for key, row in _file()["prefetch"].items()}
    return [
        {
            "hook": one.hook,
            "title": one.title,
            "description": one.description,
            "id": one.id,
            "prefetch": {key: templates[key] for key in one.prefetch},
            "usageRequirements": one.usage,
        }
        for one in services().values()
    ]


def _file() -> Mapping[str, Any]:
    return toml_files("cds")["services"]
