"""Every rule derived from an instrument is told where its worked example is broken, and not before."""

from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from typing import Any, NamedTuple

import pytest

from app.mapping.questionnaires.observation import assessment_to_fhir
from app.pain.content import load_content
from app.pain.instruments.assessments import Assessment
from app.pain.instruments.scoring import score
from app.pain.instruments.types import Instrument, ScoreRule
from app.validation import load_validator
from tools.profile_rules_page import own_rules

CONTENT = load_content()
VALIDATOR = load_validator()
ITEM, PART, BAND = (CONTENT.systems[name] for name in ("np-item", "np-score-part", "np-score-band"))
RULES = {rule["key"]: rule for _, _, rule in own_rules()}
Resource = dict[str, Any]


class Broken(NamedTuple):
    """A worked example with one thing changed. right: the example itself."""

    key: str
    right: Resource
    wrong: Resource


def written(one: Instrument, answers: Any) -> list[Resource]:
    numbers = count(1)
    assessment = Assessment("Patient/12", one.id, "2026-05-01T09:30:00Z", answers)
    scores = score(one, answers)
    made = assessment_to_fhir(assessment, scores, CONTENT, patient_ref="Patient/12", ids=lambda: f"x{next(numbers)}")
    return deepcopy(made)


def code_of(resource: Resource) -> str:
    return str(resource["code"]["coding"][-1]["code"])


def changed(resource: Resource, **change: Any) -> Resource:
    return {key: value for key, value in {**deepcopy(resource), **change}.items() if value is not None}


def valued(resource: Resource, value: Any) -> Resource:
    return changed(resource, valueQuantity={**resource["valueQuantity"], "value": value})


def cases() -> Iterator[Broken]:
    for one in CONTENT.instruments.values():
        whole = [example["answers"] for example in one.examples if len(example["answers"]) == len(one.items)]
        answers = max((example["answers"] for example in one.examples), key=len) if not whole else whole[0]
        resources = written(one, answers)
        yield from answered(one, resources)
        for rule in one.scores:
            if rule.method == "value":
                rated = (r for r in resources[1:] if code_of(r) == f"{one.id}.{rule.items[0]}")
                yield from (case for found in rated for case in meant(_rated(one, rule), rule, found))
            else:
                made = next(r for r in resources[1:] if code_of(r) == rule.coding.code)
                yield Broken(f"np-score-{rule.id}-range", made, valued(changed(made, component=None), rule.high + 1))
                yield from meant(f"np-score-{rule.id}", rule, made)
                yield from recomputed(one, rule, made, resources)


def _rated(one: Instrument, rule: ScoreRule) -> str:
    profile = one.item(rule.items[0]).profile
    return {"pain-intensity": "np-intensity", "outcome-pgic": "np-outcome"}[profile] + f"-{one.id}"


def meant(key: str, rule: ScoreRule, made: Resource) -> Iterator[Broken]:
    """Another cut-off, and another band, than the value's."""
    if rule.cutoff is not None:
        yield Broken(f"{key}-cutoff", made, changed(made, interpretation=None))
    if rule.bands:
        wrong = deepcopy(made)
        coding = next(p for p in wrong["component"] if code_of(p) == "band")["valueCodeableConcept"]["coding"][0]
        other = next(band.coding for band in rule.bands if band.coding.code != coding["code"])
        coding |= {"code": other.code, "display": other.display}
        yield Broken(f"{key}-band", made, wrong)


def recomputed(one: Instrument, rule: ScoreRule, made: Resource, resources: list[Resource]) -> Iterator[Broken]:
    """A value its answers do not make, with the answers as components, and as the response."""
    items = {f"{one.id}.{key}" for key in rule.items}
    parts = [
        {"code": r["code"], **{key: value for key, value in r.items() if key.startswith("value")}}
        for r in resources[1:]
        if code_of(r) in items
    ]
    shown = changed(made, component=made.get("component", []) + parts, hasMember=None)
    response = {**resources[0], "id": "r"}
    contained = changed(made, contained=[response], derivedFrom=[{"reference": "#r"}])
    value = made["valueQuantity"]["value"]
    other = value - 1 if value - 1 >= rule.low else value + 1
    other = next(each for each in rule.table.values() if each != value) if rule.table else other
    yield Broken(f"np-score-{rule.id}-sum", shown, valued(shown, other))
    yield Broken(f"np-score-{rule.id}-response", contained, valued(contained, other))
    if rule.least_answered > 1:
        few = changed(made, hasMember=made["hasMember"][: rule.least_answered - 1])
        yield Broken(f"np-score-{rule.id}-members", made, few)


def answered(one: Instrument, resources: list[Resource]) -> Iterator[Broken]:
    """An answer of another type, as an Observation and in the response, for every key that asks for its type."""
    response, *observed = resources
    for key in RULES:
        about = [r for r in observed if f"'{code_of(r)}'" in RULES[key]["expression"]]
        kind = key.removeprefix("np-").partition("-")[0]
        if kind == "item" and key[: -len("-a")] == f"np-item-{one.id}":
            bare = {name: None for name in about[0] if name.startswith("value")}
            yield Broken(key, about[0], changed(about[0], **bare, valueString="?"))
        elif kind in ("intensity", "outcome") and key == f"np-{kind}-{one.id}-range":
            bare = {name: None for name in about[0] if name.startswith("value")}
            wrong = {"value": 1000, "unit": "mm", "system": CONTENT.systems["ucum"], "code": "mm"}
            yield Broken(key, about[0], changed(about[0], **(bare | {"component": None, "valueQuantity": wrong})))
        elif kind == "response" and key[: -len("-a")] == f"np-response-{one.id}":
            named = next(r for r in response["item"] if f"linkId = '{r['linkId']}'" in RULES[key]["expression"])
            rows = [{**r, "answer": [{"valueString": "?"}]} if r is named else r for r in response["item"]]
            yield Broken(key, response, changed(response, item=rows))


CASES = {case.key: case for case in cases()}
# Rules of instruments; the rest of our rules is written by hand, or derived from other files.
COVERED = frozenset(CASES)


@pytest.mark.parametrize("key", sorted(CASES))
def test_a_rule_of_an_instrument_is_told_where_it_is_broken_and_only_there(key: str) -> None:
    case = CASES[key]

    before = {issue.rule for issue in VALIDATOR.check(case.right)}
    after = {(issue.rule, issue.severity) for issue in VALIDATOR.check(case.wrong)}

    assert key not in before
    assert (key, RULES[key]["severity"]) in after


def test_every_instrument_has_its_rules() -> None:
    names = {each for one in CONTENT.instruments.values() for each in (one.id, *(rule.id for rule in one.scores))}
    ours = {key for key in RULES if any(f"-{name}-" in key for name in names)}

    assert {key for key in ours if key.startswith(("np-score", "np-item", "np-response", "np-intensity"))} <= COVERED
