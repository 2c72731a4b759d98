"""Derives the constraints of our profiles that follow from other content files, so that each fact has one home.

    python -m tools.derive_constraints

Ranges, units, cut-offs, bands and codes follow from app/profiles/instruments and vocabulary, the NeuPSIG grade from
app/pain/diagnoses/grading.py; what makes a record doubtful rather than wrong is in derive_guidelines. A derived
constraint has a key that ends in a letter; those written by hand end in a number. tests/pain/test_content_files.py
fails when a profile is out of date.
"""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.pain.instruments.types import Band, Instrument, Item, ScoreRule
from app.profiles import FOLDER, json_files
from tools.derive_context import with_facts
from tools.derive_examination_rules import examined
from tools.derive_grading import grading
from tools.derive_guidelines import guidelines
from tools.expressions import (
    BAND,
    CONTENT,
    ITEM,
    MEASURE,
    PART,
    SCORE,
    Told,
    answered_in,
    every,
    has,
    one_of,
    quantity,
    unit_code,
)

# Instrument -> how an answer is checked -> the items so checked.
Groups = dict[str, dict[str, list[Item]]]

_LETTERS = ("", *(f"-{letter}" for letter in "bcdefghij"))
_INTERPRETATION = CONTENT.systems["observation-interpretation"]


def derived_profiles() -> dict[str, dict[str, Any]]:
    """Every profile that has derived parts, by file stem."""
    files = json_files("structuredefinitions")
    told = {
        "pain-intensity": _rated("pain-intensity", "np-intensity") + _codes_of_items(),
        "outcome-pgic": _rated("outcome-pgic", "np-outcome"),
        "screening-item": _answers(),
        "screening-score": [one for rule, _ in _combined() for one in _score(rule)],
        "neupsig-grade": grading(),
        "pain-goal": _units(),
        "pain-questionnaire-response": _responses(),
        **examined(),
    }
    for name, doubts in guidelines().items():
        told[name] = told.get(name, []) + doubts
    made = {name: _with(files[name], constraints) for name, constraints in told.items()}
    return made | {"plan-context": with_facts(files["plan-context"])}


def text(definition: Mapping[str, Any]) -> str:
    """The file content of one definition."""
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def _with(definition: Mapping[str, Any], told: Sequence[Told]) -> dict[str, Any]:
    """A profile with its derived constraints written anew; those written by hand stay first."""
    made: dict[str, Any] = copy.deepcopy(dict(definition))
    root = made["differential"]["element"][0]["id"]
    for element in made["differential"]["element"]:
        kept = [one for one in element.pop("constraint", []) if re.search(r"\d$", one["key"])]
        new = [_constraint(one) for one in told if (one.element or root) == element["id"]]
        if kept + new:
            element["constraint"] = kept + new
    return made


def _constraint(told: Told) -> dict[str, str]:
    return {"key": told.key, "severity": told.severity, "human": told.human, "expression": told.expression}


def _items(profile: str) -> Iterator[tuple[Instrument, Item]]:
    for one in CONTENT.instruments.values():
        yield from ((one, item) for item in one.items if item.profile == profile)


def _rated(profile: str, key: str) -> list[Told]:
    """What is told by one answer: a value of its scale, the band it lies in, on which side of the cut-off it is."""
    told: list[Told] = []
    for one in CONTENT.instruments.values():
        items = {item.key: item for item in one.items if item.profile == profile}
        told += [
            _of_type(f"{key}-{one.id}-range{letter}", one, f"{_about(some)} and value.exists()", scale)
            for letter, (scale, some) in zip(_LETTERS, _alike(items.values()).items(), strict=False)
        ]
        rules = [rule for rule in one.scores if rule.method == "value" and rule.items[0] in items]
        for bands in dict.fromkeys(rule.bands for rule in rules):
            mine = [items[rule.items[0]] for rule in rules if rule.bands == bands]
            told += _bands(f"{key}-{one.id}", _about(mine), bands, mine[0])
        told += [_cutoff(f"{key}-{one.id}", rule, _about([items[rule.items[0]]])) for rule in rules if rule.cutoff]
    return told


def _about(items: Sequence[Item]) -> str:
    return has("code", ITEM, [item.coding.code for item in items])


def _alike(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Items by how their answers are checked."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(_answer(item), []).append(item)
    return groups


def _codes_of_items() -> list[Told]:
    """A code of others goes with the items it is listed for, and with no other."""
    listed: dict[tuple[str, str], list[str]] = {}
    for _, item in _items("pain-intensity"):
        for coding in item.codings:
            listed.setdefault(coding.key, []).append(item.coding.code)
    rules = [
        f"({has('code', system, [code])} implies {has('code', ITEM, items)})"
        for (system, code), items in listed.items()
    ]
    told = "A code that states a scale or a recall period goes with the items of that scale and period only."
    return [Told("np-intensity-codes", told, " and ".join(rules))]


def _answers() -> list[Told]:
    """Every answer has the type and the range of its item."""
    groups: Groups = {}
    for one in CONTENT.instruments.values():
        groups[one.id] = _alike(item for item in one.items if item.profile == "screening-item")
    return [
        _of_type(key, one, f"{_about(items)} and value.exists()", answered)
        for key, one, answered, items in _lettered("np-item", groups)
    ]


def _lettered(key: str, groups: Groups) -> Iterator[tuple[str, Instrument, str, list[Item]]]:
    """The groups of items that are answered alike, each with a key of its own: dn4-a, dn4-b."""
    for name, answers in groups.items():
        for index, (answered, items) in enumerate(answers.items()):
            yield f"{key}-{name}-{chr(ord('a') + index)}", CONTENT.instruments[name], answered, items


def _of_type(key: str, one: Instrument, asked: str, answered: str) -> Told:
    return Told(key, f"{one.title}: an answer is of the type and range of its item.", f"{asked} implies {answered}")


def _answer(item: Item) -> str:
    if item.kind == "boolean":
        return "value.ofType(boolean).exists()"
    if item.unit:
        return quantity(item.low, item.high, unit_code(item.unit))
    if item.kind == "integer":
        return _whole(item)
    return has("value.ofType(CodeableConcept)", ITEM, [option.coding.code for option in item.options])


def _whole(item: Item) -> str:
    return f"value.ofType(integer).where($this >= {item.low} and $this <= {item.high}).exists()"


def _responses() -> list[Told]:
    """The same for the answers of a response, which are named by the key of their item."""
    groups: Groups = {}
    for one in CONTENT.instruments.values():
        for item in one.items:
            groups.setdefault(one.id, {}).setdefault(_given(item), []).append(item)
    return [
        _of_type(
            key,
            one,
            answered_in(one.id),
            f"item.where({one_of((item.key for item in items), 'linkId')}).answer.all({given})",
        )
        for key, one, given, items in _lettered("np-response", groups)
    ]


def _given(item: Item) -> str:
    if item.kind == "boolean":
        return _answer(item)
    if item.kind == "integer":
        return _whole(item)
    codes = one_of(option.coding.code for option in item.options)
    return f"value.ofType(Coding).where(system = '{ITEM}' and ({codes})).exists()"


def _combined() -> Iterator[tuple[ScoreRule, Instrument]]:
    for one in CONTENT.instruments.values():
        yield from ((rule, one) for rule in one.scores if rule.method != "value")


def _score(rule: ScoreRule) -> list[Told]:
    this = has("code", SCORE, [rule.coding.code])
    limits = quantity(rule.low, rule.high, unit_code(rule.unit), whole=rule.method == "sum")
    told = [
        Told(
            f"np-score-{rule.id}-range",
            f"{rule.label}: {rule.low} to {rule.high}.",
            f"{this} and value.exists() implies {limits}",
        )
    ]
    if rule.cutoff is not None:
        told.append(_cutoff(f"np-score-{rule.id}", rule, this))
    return told + _bands(f"np-score-{rule.id}", this, rule.bands, rule)


def _cutoff(key: str, rule: ScoreRule, this: str) -> Told:
    within, beyond, word = ("<=", ">", "at most") if rule.positive_at_most else (">=", "<", "at least")
    stated = f"component.where({has('code', PART, ['cutoff'])}).value.ofType(Quantity)"
    signs = [
        f"value.ofType(Quantity).where(value {sign} {rule.cutoff}).exists() = "
        f"{has('interpretation', _INTERPRETATION, [code])}"
        for sign, code in ((within, "POS"), (beyond, "NEG"))
    ]
    parts = [f"{stated}.where(value = {rule.cutoff}).exists()", *(f"({one})" for one in signs)]
    expression = f"{this} and value.exists() implies {' and '.join(parts)}"
    human = f"{rule.label}: positive where it is {word} {rule.cutoff}, the cut-off stated."
    return Told(f"{key}-cutoff", human, expression)


def _bands(key: str, this: str, bands: Sequence[Band], of: Item | ScoreRule) -> list[Told]:
    if not bands:
        return []
    named = f"component.where({has('code', PART, ['band'])}).value.coding.where(system = '{BAND}')"
    # The components are gone through once, not once for each band.
    each = every(f"code = '{band.coding.code}' implies %resource.{_inside(band, of)}" for band in bands)
    return [Told(f"{key}-band", "The band named is the one the value lies in.", f"{this} implies {named}.all({each})")]


def _inside(band: Band, of: Item | ScoreRule) -> str:
    """Whether the value lies in a band; a word does where its points do."""
    if isinstance(of, Item) and of.options:
        words = [
            one.coding.code for one in of.options if one.points is not None and band.low <= one.points <= band.high
        ]
        return has("value.ofType(CodeableConcept)", ITEM, words)
    return quantity(band.low, band.high, unit_code(of.unit), whole=False)


def _units() -> list[Told]:
    """A value to be reached has the unit of its measure; percent belongs to a reduction."""
    units: dict[str, list[str]] = {}
    for row in CONTENT.measures.rows.values():
        units.setdefault(row.kind, []).append(row.id)
    return [
        Told(
            f"np-goal-{unit}",
            f"A value of {', '.join(names)} is counted in {unit_code(unit)}.",
            f"target.where({has('measure', MEASURE, names)}).detail.ofType(Quantity).all(code = '{unit_code(unit)}')",
        )
        for unit, names in units.items()
    ]


if __name__ == "__main__":
    for stem, definition in derived_profiles().items():
        (FOLDER / "structuredefinitions" / f"{stem}.json").write_text(text(definition), "utf-8")
