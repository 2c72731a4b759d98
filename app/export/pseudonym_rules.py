"""The rules of app/profiles/pseudonyms.toml, read once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.profiles import toml_files

_ADDRESS = re.compile(r"[A-Za-z0-9:/._|#-]{1,200}")


@dataclass(frozen=True, slots=True)
class Rules:
    """As the comments of the file say. types, elements: data type, or path of an element -> how it is treated."""

    most_days: int
    oldest_age: int
    label: Mapping[str, str]
    refused: frozenset[str]
    about: frozenset[str]
    births: frozenset[str]
    ends: frozenset[str]
    masked: frozenset[str]
    codes: re.Pattern[str]
    published: tuple[str, ...]
    units: frozenset[str]
    years: Mapping[str, int]
    types: Mapping[str, str]
    elements: Mapping[str, str]
    texts: Mapping[str, re.Pattern[str]]
    extensions: frozenset[str]

    def is_published(self, address: str) -> bool:
        """Whether an address is one of published definitions, and holds nothing but one."""
        return address.startswith(self.published) and bool(_ADDRESS.fullmatch(address))

    def treatment(self, path: str, type_: str, *, is_primitive: bool) -> str:
        """How the element at a path is treated."""
        return self.elements.get(path) or self.types.get(type_, "drop" if is_primitive else "walk")


@cache
def rules() -> Rules:
    """The rules as shipped."""
    file: dict[str, Any] = dict(toml_files("")["pseudonyms"])
    del file["version"]
    extensions = frozenset(each["base"] + name for each in file.pop("extensions") for name in each["names"])
    texts = {path: re.compile(form) for path, form in file.pop("texts").items()}
    published = tuple(file.pop("published"))
    read: dict[str, Any] = {name: frozenset(each) if isinstance(each, list) else each for name, each in file.items()}
    read["codes"] = re.compile(file["codes"])
    return Rules(**read, extensions=extensions, texts=texts, published=published)
