"""Records of some patients that are entangled with each other, scopes, and which of the records those cover.

`covers` says what docs/access.md says, over JSON and without any of the application's code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
PATIENTS = ("a", "b", "c")
CATEGORIES = ("laboratory", "vital-signs")
CODES = ("x", "y")
_SYSTEM = "https://example.org/codes"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
# By which elements each type belongs to a patient (R4 CompartmentDefinition patient).
_BELONGS = {
    "Observation": ("subject", "performer"),
    "Condition": ("subject", "asserter"),
    "Encounter": ("subject",),
    "List": ("subject",),
    "Group": ("member.entity",),
}
_SHARED = ("Practitioner",)


@dataclass(frozen=True)
class Scope:
    """One scope of reading: with everything that a model must know of it."""

    context: str
    type: str
    category: str = ""
    status: str = ""

    def text(self, rights: str) -> str:
        query = "&".join(f"{name}={value}" for name in ("category", "status") if (value := getattr(self, name)))
        return f"{self.context}/{self.type}.{rights}" + (f"?{query}" if query else "")


def covers(scopes: Sequence[Scope], patient: str, resource: Json) -> bool:
    """Whether the scopes let somebody read a resource."""
    return any(_covers(one, patient, resource) for one in scopes)


def _covers(scope: Scope, patient: str, resource: Json) -> bool:
    type_ = resource["resourceType"]
    if scope.type not in ("*", type_):
        return False
    if scope.context == "patient" and type_ not in _SHARED and not _belongs(resource, patient):
        return False
    codes = [one["code"] for each in resource.get("category", ()) for one in each["coding"]]
    asked = [(scope.category, codes), (scope.status, [resource.get("status")])]
    # A search by what a type does not have finds nothing of it.
    can_be_asked = type_ == "Observation" or not (scope.category or scope.status)
    return can_be_asked and all(value in found for value, found in asked if value)


def _belongs(resource: Json, patient: str) -> bool:
    type_, own = resource["resourceType"], f"Patient/{patient}"
    if type_ == "Patient":
        return bool(resource["id"] == patient)
    found = [link for path in _BELONGS.get(type_, ()) for link in _links(resource, path)]
    others = {link for link in found if link.startswith("Patient/")} - {own}
    return own in found and not (type_ == "Group" and others)


def _links(resource: Json, path: str) -> Iterator[str]:
    name, _, rest = path.partition(".")
    value = resource.get(name, [])
    for one in value if isinstance(value, list) else [value]:
        if rest:
            yield from _links(one, rest)
        elif isinstance(one, dict) and "reference" in one:
            yield one["reference"]


def reference(*targets: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(targets).map(lambda link: {"reference": link})


def code(*codes: str) -> st.SearchStrategy[Json]:
    return st.sampled_from(codes).map(lambda one: {"coding": [{"system": _SYSTEM, "code": one}]})


_WHO = tuple(f"Patient/{each}" for each in PATIENTS)
_CATEGORISED = st.sampled_from(CATEGORIES).map(lambda one: [{"coding": [{"system": _CATEGORY, "code": one}]}])
OBSERVATION = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["final", "preliminary"]),
        "code": code(*CODES),
        "subject": reference(*_WHO, "Group/0"),
        "category": _CATEGORISED,
        "effectiveDateTime": st.sampled_from(["2026-01-02", "2026-03-04"]),
    },
    optional={
        "performer": reference(*_WHO, "Practitioner/0").map(lambda one: [one]),
        "encounter": reference("Encounter/0", "Encounter/1"),
    },
)
_LISTED: Json = {
    "status": "current",
    "mode": "working",
    "entry": [{"item": {"reference": f"Observation/{number}"}} for number in (0, 1)],
}
_DONE: Json = {"status": "draft", "intent": "plan"}
_KINDS: dict[str, tuple[int, st.SearchStrategy[Json]]] = {
    "Practitioner": (1, st.just({})),
    "Encounter": (
        2,
        st.fixed_dictionaries({"subject": reference(*_WHO)}).map(
            lambda one: {"status": "finished", "class": {"code": "AMB"}, **one}
        ),
    ),
    "Observation": (6, OBSERVATION),
    "Condition": (3, st.fixed_dictionaries({"subject": reference(*_WHO), "code": code(*CODES)})),
    "Group": (
        1,
        st.lists(reference(*_WHO), min_size=1, max_size=2).map(
            lambda some: {"type": "person", "actual": True, "member": [{"entity": one} for one in some]}
        ),
    ),
    "List": (1, st.fixed_dictionaries({"subject": reference(*_WHO)}).map(lambda one: {**_LISTED, **one})),
    "Task": (1, st.fixed_dictionaries({"for": reference(*_WHO)}).map(lambda one: {**_DONE, **one})),
}
_GENDERS = ("female", "male")


@st.composite
def populations(draw: st.DrawFn) -> list[Json]:
    """All the records there are."""
    found = [
        {"resourceType": "Patient", "id": each, "gender": draw(st.sampled_from(_GENDERS)), "name": [{"family": each}]}
        for each in PATIENTS
    ]
    for type_, (count, made) in _KINDS.items():
        found += [{"resourceType": type_, "id": str(number), **draw(made)} for number in range(count)]
    return found


SCOPES = st.lists(
    st.sampled_from(
        [
            *(Scope(context, type_) for context in ("patient", "system") for type_ in ("*", "Observation", "Patient")),
            *(Scope(context, "Observation", each) for context in ("patient", "user") for each in CATEGORIES),
            Scope("system", "Observation", "laboratory", "final"),
            Scope("system", "*", "vital-signs"),
            *(Scope("system", type_) for type_ in ("Condition", "Practitioner", "Encounter", "List", "Group", "Task")),
            Scope("patient", "Group"),
            Scope("patient", "Task"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)
