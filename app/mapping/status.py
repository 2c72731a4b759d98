"""The state a record is in now: others may have completed, resolved or refuted it since it was written."""

from collections.abc import Sequence

from app.mapping.elements import Resource, fixed

_CONDITION = {
    "clinical_status": ("clinicalStatus", "active"),
    "verification_status": ("verificationStatus", "confirmed"),
}


def live_status(resources: Sequence[Resource]) -> dict[str, str]:
    """The state of a record's anchor (the first resource), e.g. {"status": "active"}; of a Condition
    {"clinical_status": …, "verification_status": …}, each only where it is stated."""
    anchor = resources[0]
    if "status" in anchor:
        return {"status": anchor["status"]}
    return {
        name: one["code"]
        for name, (element, known) in _CONDITION.items()
        for one in anchor.get(element, {}).get("coding", [])
        if one.get("system") == fixed(known).system and "code" in one
    }
