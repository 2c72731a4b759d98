"""The resources that speed is measured on: our own examples, made as large as the notes on performance ask."""

import copy
import json
from pathlib import Path
from typing import Any

from app.profiles import FOLDER

Json = dict[str, Any]
_EXAMPLES: Path = FOLDER / "examples" / "valid"


def example(name: str) -> Json:
    return json.loads((_EXAMPLES / f"{name}.json").read_bytes())  # type: ignore[no-any-return]


def observation() -> Json:
    """A pain intensity with ten components, 2.5 kB, of the profile pain-intensity."""
    made = example("Observation-nrs-current")
    made["component"] += [_part(place, {"valueInteger": place}) for place in range(10 - len(made["component"]))]
    return made


def rich_observation() -> Json:
    """A DN4 score with ten components with units, its items and its site, of the profile screening-score."""
    made = example("Observation-dn4-score")
    unit = {"unit": "{score}", "system": "http://unitsofmeasure.org", "code": "{score}"}
    parts = [_part(place, {"valueQuantity": {"value": place, **unit}}) for place in range(10)]
    made["component"] += parts[len(made["component"]) :]
    return made


def _part(place: int, value: Json) -> Json:
    coding = {"system": "http://example.org/parts", "code": f"part-{place}", "display": "Part"}
    return {"code": {"coding": [coding]}, **value}


def grade() -> Json:
    """A NeuPSIG grade, of the profile with the most constraints."""
    return example("Observation-neupsig-definite")


def condition() -> Json:
    return example("Condition-fibromyalgia-graded-unlikely")


def rich_condition() -> Json:
    """A diagnosis with mechanism, distribution and etiology."""
    return example("Condition-diabetic-polyneuropathy")


def care_plan() -> Json:
    """A plan with eight activities and without extensions, of the profile pain-care-plan."""
    made = rich_care_plan()
    del made["extension"]
    return made


def rich_care_plan() -> Json:
    """A plan with eight activities, review date, context and override."""
    made = example("CarePlan-duloxetine-and-physical-therapy")
    activities = made["activity"]
    made["activity"] = [copy.deepcopy(activities[place % len(activities)]) for place in range(8)]
    return made


def resources() -> dict[str, Json]:
    return {
        "Observation": observation(),
        "Condition": condition(),
        "CarePlan": care_plan(),
        "Observation, more of all": rich_observation(),
        "Condition with extensions": rich_condition(),
        "CarePlan with extensions": rich_care_plan(),
        "NeuPSIG grade": grade(),
    }
