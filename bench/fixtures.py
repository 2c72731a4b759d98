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
    """A DN4 score with ten components, of the profile screening-score."""
    made = example("Observation-dn4-score")
    part = made["component"][0]
    for place in range(10 - len(made["component"])):
        more = copy.deepcopy(part)
        more["code"] = {"coding": [{"system": "http://example.org/parts", "code": f"part-{place}", "display": "Part"}]}
        more["valueQuantity"]["value"] = place
        made["component"].append(more)
    return made


def grade() -> Json:
    """A NeuPSIG grade, of the profile with the most constraints."""
    return example("Observation-neupsig-definite")


def condition() -> Json:
    return example("Condition-fibromyalgia-graded-unlikely")


def rich_condition() -> Json:
    """A diagnosis with mechanism, distribution and etiology."""
    return example("Condition-diabetic-polyneuropathy")


def care_plan() -> Json:
    """A plan with eight activities, of the profile pain-care-plan."""
    made = example("CarePlan-duloxetine-and-physical-therapy")
    activities = made["activity"]
    made["activity"] = [copy.deepcopy(activities[place % len(activities)]) for place in range(8)]
    return made


def resources() -> dict[str, Json]:
    return {
        "Observation": observation(),
        "Condition": condition(),
        "CarePlan": care_plan(),
        "Condition with extensions": rich_condition(),
        "NeuPSIG grade": grade(),
    }
