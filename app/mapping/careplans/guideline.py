"""By which guideline a plan is judged, as extensions of its CarePlan, there and back."""

from typing import Any

from app.mapping.elements import Element, Resource, extension, extensions
from app.pain.plans.treatments import RulesChecked, TreatmentPlan

_ASKED = {"edition": "guideline", "jurisdiction": "jurisdiction"}


def guideline_extensions(plan: TreatmentPlan) -> list[Element]:
    """What the plan asks to be judged by, then what it was judged by."""
    asked = [{"url": url, "valueCode": said} for url, name in _ASKED.items() if (said := getattr(plan, name))]
    made = [extension("plan-guideline", extension=asked)] if asked else []
    if plan.checked is None:
        return made
    parts = [("edition", plan.checked.edition), ("jurisdiction", plan.checked.jurisdiction)]
    parts += [("rule", rule) for rule in plan.checked.rules]
    return [*made, extension("rules-checked", extension=[{"url": url, "valueCode": code} for url, code in parts])]


def guideline_of(plan: Resource) -> dict[str, Any]:
    """The fields of a TreatmentPlan that say it."""
    asked = [one for found in extensions(plan, "plan-guideline") for one in found["extension"]]
    found: dict[str, Any] = {_ASKED[one["url"]]: one["valueCode"] for one in asked}
    checked = [one for found in extensions(plan, "rules-checked") for one in found["extension"]]
    if checked:
        by = {one["url"]: one["valueCode"] for one in checked}
        rules = tuple(one["valueCode"] for one in checked if one["url"] == "rule")
        found["checked"] = RulesChecked(by["edition"], by["jurisdiction"], rules)
    return found
