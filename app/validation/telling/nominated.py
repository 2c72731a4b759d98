"""Profiles that were asked for by name: what cannot be checked against them is no verdict."""

from collections.abc import Sequence
from typing import Any

from app.fhir.canonicals import claimed_profiles
from app.fhir.outcomes import Issue


def not_checked(issues: Sequence[Issue], resource: dict[str, Any], asked: Sequence[str]) -> list[Issue]:
    """An error if a profile that was asked for is not known here (R4: OperationDefinition Resource-validate).

    issues: what was found in the resource. A profile that a resource only claims to follow stays a warning.
    """
    own = str(resource.get("resourceType"))
    # What the resource does not claim is told at the resource, else at its claim.
    places = {
        own,
        *(f"{own}.meta.profile[{place}]" for place, each in enumerate(claimed_profiles(resource)) if each in asked),
    }
    if not asked or not any(issue.rule == "dmt-profile-unknown" and issue.expression in places for issue in issues):
        return []
    told = "A profile that is asked for is not known here, so nothing is said of the resource."
    return [Issue("not-supported", told, rule="dmt-profile-unknown")]
