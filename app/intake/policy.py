"""What the operator has decided about writes."""

from dataclasses import dataclass
from typing import Literal

Dangling = Literal["off", "profiles", "strict"]
DeleteReferred = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings about writes, under the names they have there (app/settings.py).

    max_body_bytes: what comes of a patch is no larger either, else many small ones would make what nobody can send.
    """

    update_as_create: bool = True
    conditional_delete: Literal["single", "multiple"] = "single"
    dangling_references: Dangling = "profiles"
    delete_referred: DeleteReferred = "refuse"
    max_body_bytes: int = 8_388_608
