"""What the operator has decided about writes."""

from dataclasses import dataclass
from typing import Literal

Dangling = Literal["off", "profiles", "strict"]
DeleteReferred = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings about writes, under the names they have there (app/settings.py).

    max_body_bytes: what comes of a patch is no larger either, else many small ones would make what nobody can send.
    max_body_values, max_body_depth: what is packed into a body, as a patch in a Binary, is no more than a body.
    """

    update_as_create: bool = True
    conditional_delete: Literal["single", "multiple"] = "single"
    dangling_references: Dangling = "profiles"
    delete_referred: DeleteReferred = "refuse"
    max_body_bytes: int = 8_388_608
    max_body_values: int = 500_000
    max_body_depth: int = 100
