"""Derives the constraints of the profiles of results: units, scales, findings, z-scores, and what must come with them.

All follow from app/profiles/examinations and the vocabulary; the profiles themselves are written by hand.
"""

from collections.abc import Callable, Iterator

from app.pain.examinations.types import Parameter
from app.profiles import canonical
from tools.expressions import CONTENT, Told, every, has, one_of, sided

_TEST, _FINDING, _SYMPTOM = (canonical("CodeSystem", f"np-{name}") for name in ("test", "finding", "symptom"))
_INTERPRETATION = CONTENT.systems["observation-interpretation"]
_UCUM = CONTENT.systems["ucum"]
_QUANTITY = "value.ofType(Quantity)"
# What is needed of a result, and the expression that says whether it is there.
_SITE = {
    "body_site": "(bodySite.coding.exists() or bodySite.text.exists())",
    "laterality": sided("bodySite.", CONTENT.sides),
}


def examined() -> dict[str, list[Told]]:
    """The constraints by file stem of their profile."""
    profiles: dict[str, list[Parameter]] = {}
    for one in CONTENT.examinations.types.values():
        for parameter in one.parameters.values():
            known = profiles.setdefault(parameter.profile, [])
            known += [parameter] if parameter not in known else []
    return {name: [*_constraints(name, parameters)] for name, parameters in profiles.items()}


def _constraints(profile: str, parameters: list[Parameter]) -> Iterator[Told]:
    key = f"np-exam-{profile}"
    rules = (
        ("unit", "A number has the unit of its parameter.", _unit),
        ("scale", "A number lies on the scale of its parameter.", _scale),
        ("finding", "A finding is one that its parameter can have.", _finding),
        ("interpretation", "An interpretation is the one the finding means.", _means),
        ("z", "A z-score beyond the limit is abnormal, one within it is normal.", _z_score),
    )
    for name, human, rule in rules:
        if parts := _grouped(parameters, rule):
            yield Told(f"{key}-{name}", human, every(parts))
    if needs := _needs(parameters):
        yield Told(f"{key}-needs", "What a result cannot be read without is said with it.", every(needs))


def _grouped(parameters: list[Parameter], rule: Callable[[Parameter], str]) -> list[str]:
    """One phrase for all parameters that are checked alike."""
    groups: dict[str, list[Parameter]] = {}
    for one in parameters:
        if asked := rule(one):
            groups.setdefault(asked, []).append(one)
    return [f"{_of(alike)} implies ({asked})" for asked, alike in groups.items()]


def _of(parameters: list[Parameter]) -> str:
    return has("code", _TEST, [one.key for one in parameters])


def _unit(one: Parameter) -> str:
    if not one.units:
        return ""
    return f"{_QUANTITY}.all(system = '{_UCUM}' and ({one_of(one.units)}))" + ("" if one.absent else _must("Quantity"))


def _must(type_: str) -> str:
    return f" and (value.exists() implies value.ofType({type_}).exists())"


def _scale(one: Parameter) -> str:
    limits = [f"$this >= {one.low}"] if one.low is not None else []
    limits += [f"$this <= {one.high}"] if one.high is not None else []
    if not limits or one.kind not in ("quantity", "integer"):
        return ""
    number = f"{_QUANTITY}.value" if one.kind == "quantity" else "value.ofType(integer)"
    return f"{number}.all({' and '.join(limits)})" + ("" if one.kind == "quantity" else _must("integer"))


def _finding(one: Parameter) -> str:
    found = list(one.findings) or ([one.absent] if one.can_be_absent and one.units else [])
    if not found:
        return ""
    must = _must("CodeableConcept") if one.kind == "coded" else ""
    coded = "value.ofType(CodeableConcept)"
    return f"({coded}.exists() implies {has(coded, _FINDING, found)}){must}"


def _means(one: Parameter) -> str:
    """Each finding with an interpretation is not told to be the opposite."""
    opposite = {"normal": ("A", "H", "L"), "abnormal": ("N",), "positive": ("NEG", "N"), "negative": ("POS", "A")}
    known = CONTENT.examinations.findings
    found = [*one.findings, *([one.absent] if one.can_be_absent and one.units else [])]
    groups: dict[str, list[str]] = {}
    for name in found:
        if known[name].means:
            groups.setdefault(known[name].means, []).append(name)
    coded = "value.ofType(CodeableConcept)"
    return every(
        f"{has(coded, _FINDING, names)} implies {has('interpretation', _INTERPRETATION, opposite[means])}.not()"
        for means, names in groups.items()
    )


def _z_score(one: Parameter) -> str:
    if one.z_limit is None:
        return ""
    score = f"component.where({has('code', _TEST, ['z-score'])}).value.ofType(Quantity).value"
    beyond = f"{score}.where($this > {one.z_limit} or $this + {one.z_limit} < 0).exists()"
    normal = has("interpretation", _INTERPRETATION, ["N"])
    abnormal = has("interpretation", _INTERPRETATION, ["A", "H", "L"])
    return f"({beyond} implies {normal}.not()) and ({score}.exists() and {beyond}.not() implies {abnormal}.not())"


def _needs(parameters: list[Parameter]) -> list[str]:
    groups: dict[tuple[str, bool], list[str]] = {}
    for one in parameters:
        for name in one.needs:
            groups.setdefault((name, one.kind == "presence"), []).append(one.key)
    return [_needed(name, is_symptom, keys) for (name, is_symptom), keys in groups.items()]


def _needed(name: str, is_symptom: bool, keys: list[str]) -> str:
    asked = has("code", _TEST, keys)
    if is_symptom:
        # A symptom that was denied needs nothing more.
        asked = f"({has('code', _TEST, ['symptom'])} and {has('value.ofType(CodeableConcept)', _SYMPTOM, keys)})"
    return f"{asked} implies {_SITE.get(name) or _said(name)}"


def _said(name: str) -> str:
    known = CONTENT.examinations.qualifiers[name]
    if known.place == "method":
        return "method.exists()"
    if known.place == "extension":
        return f"extension('{canonical('StructureDefinition', name)}').exists()"
    return f"component.where({has('code', _TEST, [name])}).value.exists()"
