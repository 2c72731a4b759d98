"""The fast gate and the diagnosing pass agree: on our examples, their mutants, and whatever else can be thought up."""

import subprocess
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.profiles import json_files
from app.validation import Validator, load_validator
from app.validation.gate.runtime import MEMORY, Kept
from app.validation.snapshots.broken import BrokenProfile
from app.validation.snapshots.soundness import require_sound
from tests.validation.samples import SAMPLES
from tests.validation.test_hostile import JSON, places
from tools.oracle.mutants import mutants

Json = dict[str, Any]
VALID, INVALID = json_files("examples/valid"), json_files("examples/invalid")
RESOURCES: list[Json] = [*VALID.values(), *SAMPLES.values()]
VALUES = [container[key] for resource in RESOURCES for container, key in places(resource)]
BROKEN: Json = {
    "resourceType": "StructureDefinition",
    "url": "http://example.org/StructureDefinition/broken",
    "type": "Patient",
    "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {"element": [{"id": "Patient.colour", "path": "Patient.colour", "min": 1}]},
}
RELAXED = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def disagreement(validator: Validator, resource: Any) -> str:
    """What the gate says against the diagnosing pass, "" if nothing. Unsure is no answer, so it is no disagreement."""
    admitted = validator.admits(resource)
    errors = [issue.diagnostics for issue in validator.check(resource) if issue.is_error]
    if admitted is None or admitted is not bool(errors):
        return ""
    return f"admitted, but {errors[:3]}" if admitted else "not admitted, but there is no error"


@pytest.mark.parametrize("name", sorted(VALID))
def test_valid_examples_are_admitted(validator: Validator, name: str) -> None:
    assert validator.admits(VALID[name]) is True


@pytest.mark.parametrize("name", sorted(INVALID))
def test_invalid_examples_are_judged_alike(validator: Validator, name: str) -> None:
    assert disagreement(validator, INVALID[name]["resource"]) == ""


def test_mutants_of_the_examples_are_judged_alike(validator: Validator) -> None:
    found = {case.name: disagreement(validator, deepcopy(case.resource)) for case in mutants(times=2)}

    assert {name: told for name, told in found.items() if told} == {}


def test_the_gate_answers_for_nearly_all_mutants(validator: Validator) -> None:
    answers = Counter(validator.admits(case.resource) for case in mutants())

    assert answers[True] > 0
    assert answers[False] > 0
    assert answers[None] < 0.2 * answers.total()


@st.composite
def broken(draw: st.DrawFn) -> Json:
    """A resource with up to four changes: a value from another place, any JSON, a property gone, doubled or renamed."""
    resource = deepcopy(draw(st.sampled_from(RESOURCES)))
    for _ in range(draw(st.integers(1, 4))):
        container, key = draw(st.sampled_from(places(resource)))
        change = draw(st.sampled_from(["other", "json", "gone", "doubled", "renamed"]))
        if change in ("other", "json"):
            container[key] = deepcopy(draw(st.sampled_from(VALUES) if change == "other" else JSON))
        elif change == "gone":
            del container[key]
        elif change == "doubled" and isinstance(container, list):
            container.append(deepcopy(container[key]))
        elif isinstance(container, dict):
            container[draw(st.sampled_from(["id", "x", "_" + key, "extension", "valueString", "code"]))] = container[
                key
            ]
        if not places(resource):
            break
    return resource


@RELAXED
@given(broken())
def test_whatever_is_changed_is_judged_alike(validator: Validator, resource: Json) -> None:
    assert disagreement(validator, resource) == ""


@pytest.mark.parametrize("resource", [None, [], "Patient", 1, {}, {"resourceType": 3}, {"resourceType": ["Patient"]}])
def test_what_is_no_resource_is_not_admitted(validator: Validator, resource: Any) -> None:
    assert not validator.admits(resource)


def test_a_profile_that_is_asked_for_is_held(validator: Validator) -> None:
    resource = deepcopy(SAMPLES["Observation"])
    url = "http://hl7.org/fhir/StructureDefinition/heartrate"

    assert validator.admits(resource) is True
    assert validator.admits(resource, profiles=[url]) is False


def test_an_unknown_profile_is_left_to_the_diagnosing_pass(validator: Validator) -> None:
    resource = {**SAMPLES["Condition"], "meta": {"profile": ["http://example.org/none"]}}

    assert validator.admits(resource) is None
    assert [issue.severity for issue in validator.problems(resource) if issue.code == "not-found"] == ["warning"]


def test_memories_are_bounded(validator: Validator) -> None:
    for number in range(5_000):
        coding = {"system": f"http://example.org/{number}", "code": f"c{number}", "display": "x"}
        validator.admits({**SAMPLES["Condition"], "code": {"coding": [coding]}})

    gate = validator._gate
    kept = [each.known for each in gate._namespace.values() if isinstance(each, Kept)]
    assert max(len(each) for each in [gate._codings, *kept]) <= MEMORY


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each validator were the first of its process."""
    monkeypatch.setattr("app.validation.gate.cache._loaded", Nothing())
    monkeypatch.setattr("app.validation.gate.cache._sound", NothingFound())


class Nothing(dict[str, Any]):
    def __setitem__(self, name: str, value: Any) -> None:
        """Forget."""


class NothingFound(set[str]):
    def add(self, name: str) -> None:
        """Forget."""


@pytest.mark.usefixtures("forgetful")
def test_compiled_rules_are_kept_on_disk(tmp_path: Path) -> None:
    folder = tmp_path / "rules"

    first = load_validator(cache=folder).prepare()
    files = {file.name: file.stat().st_ino for file in folder.iterdir()}
    again = load_validator(cache=folder).prepare()

    assert sorted(name.partition("-")[0] for name in files) == ["gate", "gate", "sound"]
    assert {file.name: file.stat().st_ino for file in folder.iterdir()} == files
    assert first.admits(SAMPLES["Condition"]) is again.admits(SAMPLES["Condition"]) is True


@pytest.mark.usefixtures("forgetful")
def test_sound_definitions_are_looked_at_once_and_broken_ones_at_each_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def look(own: list[Json], *rest: Any) -> None:
        looks.append(len(own))
        require_sound(own, *rest)

    monkeypatch.setattr("app.validation.validator.require_sound", look)
    for _ in range(2):
        load_validator(cache=tmp_path)
    for _ in range(2):
        with pytest.raises(BrokenProfile, match="no element colour"):
            load_validator([BROKEN], cache=tmp_path)

    ours = len(json_files("structuredefinitions"))
    assert looks == [ours, ours + 1, ours + 1]


@pytest.mark.usefixtures("forgetful")
def test_a_folder_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    folder.chmod(0o777)

    validator = load_validator(cache=folder).prepare()

    assert list(folder.iterdir()) == []
    assert validator.admits(SAMPLES["Condition"]) is True


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    # A limit on the size of files stands for a disk that is full in the middle of one.
    program = """
import resource, sys
from pathlib import Path
from app.validation import load_validator
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
print(load_validator(cache=Path(sys.argv[1])).prepare().admits({"resourceType": "Patient", "active": True}))
"""

    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "True"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("forgetful")
def test_a_broken_file_is_compiled_anew(tmp_path: Path) -> None:
    load_validator(cache=tmp_path).prepare()
    for file in tmp_path.glob("gate-*"):
        file.write_bytes(file.read_bytes()[:100])

    validator = load_validator(cache=tmp_path).prepare()

    assert validator.admits(SAMPLES["Condition"]) is True
    assert min(file.stat().st_size for file in tmp_path.glob("gate-*")) > 100
