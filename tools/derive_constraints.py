"""Derives the constraints of our profiles that follow from other content files, so that each fact has one home.

    python tools/derive_constraints.py

Ranges, units, cut-offs, bands and codes follow from app/profiles/instruments and vocabulary, the NeuPSIG grade from
app/pain/grading.py. A derived constraint has a key that ends in a letter; those written by hand end in a number.
tests/pain/test_content_files.py fails when a profile is out of date.
"""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from app.pain.content import load_content
from app.pain.grading import GRADES, SIGNS, TESTS, Evidence, Grade, grade
from app.pain.instruments import Instrument, Item, ScoreRule
from app.profiles import FOLDER, canonical, json_files, toml_files

Constraint = dict[str, str]
Told = tuple[str, str, str]  # key, sentence, expression

_CONTENT = load_content()
_ITEM, _SCORE, _PART, _BAND, _GRADE, _INPUT, _MEASURE = (
    canonical("CodeSystem", f"np-{name}")
    for name in ("item", "instrument", "score-part", "score-band", "grade", "evidence-input", "goal-measure")
)
_INTERPRETATION = _CONTENT.systems["observation-interpretation"]


def derived_profiles() -> dict[str, dict[str, Any]]:
    """Every profile that has derived parts, by file stem."""
    files = json_files("structuredefinitions")
    told = {
        "pain-intensity": _intensity(),
        "screening-item": _answers(),
        "screening-score": [one for rule, _ in _combined() for one in _score(rule)],
        "neupsig-grade": _grading(),
        "pain-goal": _units(),
    }
    made = {name: _with(files[name], constraints) for name, constraints in told.items()}
    return made | {"plan-context": _with_ranges(files["plan-context"])}


def text(definition: Mapping[str, Any]) -> str:
    """The file content of one definition."""
    return json.dumps(definition, indent=2, ensure_ascii=False) + "\n"


def _with(definition: Mapping[str, Any], told: Iterable[Told]) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(dict(definition))
    root = made["differential"]["element"][0]
    kept = [one for one in root.get("constraint", []) if re.search(r"\d$", one["key"])]
    new = [
        {"key": key, "severity": "error", "human": human, "expression": expression} for key, human, expression in told
    ]
    root["constraint"] = kept + new
    return made


def _has(path: str, system: str, codes: Iterable[str]) -> str:
    """Whether a CodeableConcept has one of the codes of a system."""
    either = " or ".join(f"code = '{code}'" for code in codes)
    return f"{path}.coding.exists(system = '{system}' and ({either}))"


def _quantity(low: Any, high: Any, unit: str, *, whole: bool = True) -> str:
    """Whether the value is a quantity within a range."""
    inside = f"value >= {low} and value <= {high}" + (" and value mod 1 = 0" if whole else "")
    return f"value.ofType(Quantity).where({inside} and code = '{unit}').exists()"


def _unit(name: str) -> str:
    code: str = toml_files("vocabulary")["fixed"]["unit"][name]["code"]
    return code


def _items(profile: str) -> Iterator[tuple[Instrument, Item]]:
    for one in _CONTENT.instruments.values():
        yield from ((one, item) for item in one.items if item.profile == profile)


def _intensity() -> list[Told]:
    told: list[Told] = []
    for one in _CONTENT.instruments.values():
        items = {item.key: item for item in one.items if item.profile == "pain-intensity"}
        rules = [rule for rule in one.scores if rule.method == "value" and rule.items[0] in items]
        for low, high, unit in sorted({(rule.low, rule.high, rule.unit) for rule in rules}):
            mine = [rule for rule in rules if (rule.low, rule.high, rule.unit) == (low, high, unit)]
            item_codes = [items[rule.items[0]].coding.code for rule in mine]
            rated = _has("code", _ITEM, item_codes)
            limits = f"{rated} and value.exists() implies {_quantity(low, high, _unit(unit))}"
            told.append((f"np-intensity-{one.id}-range", f"{one.title}: whole numbers from {low} to {high}.", limits))
            told += _bands(f"np-intensity-{one.id}", rated, mine[0])
    return told + _codes_of_items()


def _codes_of_items() -> list[Told]:
    """A code of others goes with the items it is listed for, and with no other."""
    listed: dict[tuple[str, str], list[str]] = {}
    for _, item in _items("pain-intensity"):
        for coding in item.codings:
            listed.setdefault(coding.key, []).append(item.coding.code)
    rules = [
        f"({_has('code', system, [code])} implies {_has('code', _ITEM, items)})"
        for (system, code), items in listed.items()
    ]
    told = "A code that states a recall period goes with the item of that period only."
    return [("np-intensity-codes", told, " and ".join(rules))]


def _answers() -> list[Told]:
    """Every answer has the type and the range of its item."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one, item in _items("screening-item"):
        groups.setdefault((one.id, one.title, _answer(item)), []).append(item.coding.code)
    return [
        (
            f"np-item-{name}-{chr(ord('a') + index)}",
            f"{title}: an answer is of the type and range of its item.",
            f"{_has('code', _ITEM, codes)} and value.exists() implies {answered}",
        )
        for index, ((name, title, answered), codes) in enumerate(groups.items())
    ]


def _answer(item: Item) -> str:
    if item.kind == "boolean":
        return "value.ofType(boolean).exists()"
    if item.kind == "integer":
        return f"value.ofType(integer).where($this >= {item.low} and $this <= {item.high}).exists()"
    return _has("value.ofType(CodeableConcept)", _ITEM, [option.coding.code for option in item.options])


def _combined() -> Iterator[tuple[ScoreRule, Instrument]]:
    for one in _CONTENT.instruments.values():
        yield from ((rule, one) for rule in one.scores if rule.method != "value")


def _score(rule: ScoreRule) -> list[Told]:
    this = _has("code", _SCORE, [rule.coding.code])
    limits = _quantity(rule.low, rule.high, _unit(rule.unit), whole=rule.method in ("sum", "table"))
    told = [
        (
            f"np-score-{rule.id}-range",
            f"{rule.label}: {rule.low} to {rule.high}.",
            f"{this} and value.exists() implies {limits}",
        )
    ]
    if rule.cutoff is not None:
        told.append(_cutoff(rule, this))
    return told + _bands(f"np-score-{rule.id}", this, rule)


def _cutoff(rule: ScoreRule, this: str) -> Told:
    within, beyond, word = ("<=", ">", "at most") if rule.positive_at_most else (">=", "<", "at least")
    stated = f"component.where({_has('code', _PART, ['cutoff'])}).value.ofType(Quantity)"
    signs = [
        f"value.ofType(Quantity).where(value {sign} {rule.cutoff}).exists() = "
        f"{_has('interpretation', _INTERPRETATION, [code])}"
        for sign, code in ((within, "POS"), (beyond, "NEG"))
    ]
    parts = [f"{stated}.where(value = {rule.cutoff}).exists()", *(f"({one})" for one in signs)]
    expression = f"{this} and value.exists() implies {' and '.join(parts)}"
    return (
        f"np-score-{rule.id}-cutoff",
        f"{rule.label}: positive where it is {word} {rule.cutoff}, the cut-off stated.",
        expression,
    )


def _bands(key: str, this: str, rule: ScoreRule) -> list[Told]:
    if not rule.bands:
        return []
    named = f"component.where({_has('code', _PART, ['band'])}).value"
    ranges = [(band.coding.code, _quantity(band.low, band.high, _unit(rule.unit), whole=False)) for band in rule.bands]
    each = [f"({_has(named, _BAND, [code])} implies {inside})" for code, inside in ranges]
    return [(f"{key}-band", "The band named is the one the value lies in.", f"{this} implies {' and '.join(each)}")]


def _grading() -> list[Told]:
    """A grade is what its four inputs support, or a lower one that is said to be the clinician's."""
    told: list[Told] = []
    for index, one in enumerate(GRADES):
        higher = [_supported(other) for other in GRADES[index + 1 :]]
        asserted = _has(f"component.where({_has('code', _INPUT, ['asserted_grade'])}).value", _GRADE, [one])
        lower = f" or ({asserted} and ({' or '.join(higher)}))" if higher else ""
        stated = f"{_has('value', _GRADE, [one])} implies ({_supported(one)}{lower})"
        least = " or ".join([_supported(one), *higher])
        told += [
            (f"np-grade-{one}", f"The grade {one} is what its inputs support, or a lower one asserted.", stated),
            (
                f"np-grade-{one}-asserted",
                f"{one} is not asserted above what the inputs support.",
                f"{asserted} implies ({least})",
            ),
        ]
    return told


def _supported(one: Grade) -> str:
    """Whether the four inputs of an Observation support exactly this grade."""
    history, plausible, signs, test = Evidence.__slots__
    both = f"{_true(history)} and {_true(plausible)}"
    if one == "unlikely":
        return f"({both}).not()"
    pairs = [pair for pair in product(SIGNS, TESTS) if grade(Evidence(True, True, *pair)) == one]
    either = " or ".join(f"({_said(signs, left)} and {_said(test, right)})" for left, right in pairs)
    return f"({both} and ({either}))"


def _true(name: str) -> str:
    return f"component.where({_has('code', _INPUT, [name])}).value.ofType(boolean).where($this).exists()"


def _said(name: str, value: str) -> str:
    values = canonical("CodeSystem", "np-evidence-value")
    return _has(f"component.where({_has('code', _INPUT, [name])}).value", values, [value])


def _units() -> list[Told]:
    """A value to be reached has the unit of its measure; percent belongs to a reduction."""
    units: dict[str, list[str]] = {}
    for row in _CONTENT.measures.rows.values():
        units.setdefault(row.kind, []).append(row.id)
    return [
        (
            f"np-goal-{unit}",
            f"A value of {', '.join(names)} is counted in {_unit(unit)}.",
            f"target.where({_has('measure', _MEASURE, names)}).detail.ofType(Quantity).all(code = '{_unit(unit)}')",
        )
        for unit, names in units.items()
    ]


def _with_ranges(definition: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(dict(definition))
    rows = {one["id"]: one for one in made["differential"]["element"]}
    for key, fact in _CONTENT.facts.items():
        element = rows[f"Extension.extension:{key}.value[x]"]
        if fact["type"] in ("number", "integer"):
            kind = "Decimal" if fact["type"] == "number" else "Integer"
            element |= {f"minValue{kind}": fact["low"], f"maxValue{kind}": fact["high"]}
        if fact["type"] == "choice":
            options = " or ".join(f"value = '{one}'" for one in fact["options"])
            human = f"One of {', '.join(fact['options'])}."
            rows[f"Extension.extension:{key}"]["constraint"] = [
                {"key": "np-context-choice", "severity": "error", "human": human, "expression": options}
            ]
    return made


if __name__ == "__main__":
    for stem, definition in derived_profiles().items():
        (FOLDER / "structuredefinitions" / f"{stem}.json").write_text(text(definition), "utf-8")
