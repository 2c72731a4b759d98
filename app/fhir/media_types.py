"""Media types as headers and resources name them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache

_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type of a header, or a range of them. Parameters have small letters."""

    name: str
    parameters: Mapping[str, str]

    @property
    def is_r4(self) -> bool:
        return self.parameters.get("fhirversion", "4.0").startswith("4.0")

    @property
    def is_utf8(self) -> bool:
        return self.parameters.get("charset", "utf-8").lower() in ("utf-8", "utf8")

    @property
    def quality(self) -> float:
        given = self.parameters.get("q", "1")
        return float(given) if _QUALITY.fullmatch(given) else 1.0


@lru_cache(maxsize=256)
def media_type(text: str) -> MediaType:
    """The media type that a text names."""
    message = Message()
    message["content-type"] = text.strip()
    parameters = message.get_params(failobj=[], header="content-type") or []
    name = text.partition(";")[0].strip().lower()
    return MediaType(name, {key.lower(): value for key, value in parameters[1:]})
