"""What the operator has decided about writes."""

from dataclasses import dataclass
from typing import Literal

Dangling = Literal["off", "profiles", "strict"]
DeleteReferred = Literal["refuse", "allow"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings about writes, under the names they have there (app/settings.py)."""

    update_as_create: bool = True
    conditional_delete: Literal["single", "multiple"] = "single"
    dangling_references: Dangling = "profiles"
    delete_referred: DeleteReferred = "refuse"
