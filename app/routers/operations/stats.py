"""Observation/$stats: statistics over what was measured of one subject (R4 observation-operations.html).

One Observation per code, with a component per statistic. Values count in UCUM units; those of other units of the same
kind are converted to the unit of the newest, those of another kind refuse the whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

from app import profiles
from app.fhir.instants import instant
from app.fhir.outcomes import Issue, NotFound, Refused
from app.fhir.references import local
from app.fhir.statistics import statistic
from app.routers.exchange import fhir_base
from app.routers.operations import coding, found
from app.routers.operations.call import Call, parameters
from app.routers.operations.coding import Coded
from app.routers.operations.lastn import time_of
from app.store import repository
from app.store.idempotency import Answer
from app.store.search import escaped
from app.terminology.unit_conversion import scale_of

_MOST = 20_000
_HOUR = 3_600_000_000
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Asked:
    """since, until: the period as FHIR dateTimes, "" where it is open."""

    subject: str
    codes: tuple[Coded, ...]
    names: tuple[str, ...]
    since: str = ""
    until: str = ""


async def stats(call: Call) -> Answer:
    """Parameters with the statistics of each code and, with `include`, the observations they are made of."""
    asked = _asked(call)
    asked = replace(asked, subject=await _subject(call))
    sources: dict[str, Json] = {}
    made = []
    for coded in asked.codes:
        observations = await found.resources(call, "Observation", _search(asked, coded), most=_MOST)
        made.append(_observation(asked, coded, observations))
        sources |= {each["id"]: each for each in observations}
    shown = list(sources.values()) if call.given.one("include") else []
    newest = sorted(shown, key=time_of, reverse=True)[: call.given.one("limit")]
    return parameters(
        *({"name": "statistics", "resource": each} for each in made),
        *({"name": "source", "resource": each} for each in newest),
    )


@cache
def _content() -> Json:
    return profiles.toml_files("operations")["statistics"]


def _asked(call: Call) -> _Asked:
    """What is asked for. Raises Refused naming all that is wrong with it."""
    given, served = call.given, _content()["statistic"]
    system = given.one("system", "")
    codes = [Coded(each, system) for each in given.all("code")] + [_coded(each) for each in given.all("coding")]
    issues = [
        Issue(
            "not-supported", f"The statistic {each[:40]} is not made here; there are {', '.join(served)}.", "statistic"
        )
        for each in given.all("statistic")
        if each not in served
    ]
    if not codes or any(not each.code for each in codes):
        issues.append(Issue("required", "Say in code or coding what was measured.", "code"))
    if any(not each.system for each in codes):
        issues.append(Issue("required", "Say of which code system the code is.", "system"))
    if given.one("duration") is not None and given.one("period") is not None:
        issues.append(Issue("value", "Give duration or period, not both.", "duration"))
    if given.one("duration", 1) <= 0 or given.one("duration", 1) > 10_000_000:
        issues.append(Issue("value", "duration is a number of hours, above 0 and at most 10000000.", "duration"))
    if issues:
        raise Refused(issues)
    since, until = _period(call)
    return _Asked("", tuple(dict.fromkeys(codes)), tuple(dict.fromkeys(given.all("statistic"))), since, until)


def _coded(value: Json) -> Coded:
    return Coded(str(value.get("code", "")), str(value.get("system", "")))


def _period(call: Call) -> tuple[str, str]:
    duration, given = call.given.one("duration"), call.given.one("period") or {}
    if duration is None:
        return given.get("start", ""), given.get("end", "")
    now = call.service.clock()
    return instant(now - int(Decimal(duration) * _HOUR)), instant(now)


async def _subject(call: Call) -> str:
    """The reference to the subject, which must be here: of somebody unknown nothing is counted, not even zero."""
    reference: str = call.given.one("subject")
    key = local(reference, fhir_base(call.request))
    if not key or key[2]:
        raise Refused([Issue("value", "subject must be a reference to a resource of this server: Type/id.", "subject")])
    async with call.service.database.reading() as connection:
        stored = await repository.read(connection, *key[:2])
    if stored is None or stored.deleted:
        raise NotFound([Issue("not-found", "The subject is not here.", "subject")])
    return "/".join(key[:2])


def _search(asked: _Asked, coded: Coded) -> list[tuple[str, str]]:
    """Observations of the code, or with a component of it; what is in error never counts."""
    token = f"{escaped(coded.system)}|{escaped(coded.code)}"
    pairs = [("subject", asked.subject), ("combo-code", token), ("status:not", "entered-in-error")]
    pairs += [("date", f"ge{asked.since}")] if asked.since else []
    return pairs + ([("date", f"le{asked.until}")] if asked.until else [])


def _observation(asked: _Asked, coded: Coded, observations: Sequence[Json]) -> dict[str, Any]:
    newest = sorted(observations, key=time_of, reverse=True)
    values, unit = _values(coded, newest)
    span = {name: text for name, text in (("start", asked.since), ("end", asked.until)) if text}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": coded.system, "code": coded.code}]},
        "subject": {"reference": asked.subject},
        **({"effectivePeriod": span} if span else {}),
        "component": [_component(name, values, unit, len(observations)) for name in asked.names],
    }


def _values(coded: Coded, observations: Sequence[Json]) -> tuple[list[Decimal], str]:
    """The values of a code in one unit. Raises Unprocessable if there is no one unit for all."""
    quantities = [each for observation in observations for each in _quantities(coded, observation)]
    units = list(dict.fromkeys(each["code"] for each in quantities))
    if len(units) < 2:
        return [Decimal(each["value"]) for each in quantities], units[0] if units else ""
    scales = {unit: scale_of(unit) for unit in units}
    kinds = {scale.dimensions if scale else unit for unit, scale in scales.items()}
    if len(kinds) > 1:
        told = "the values are in units that cannot be converted to one another"
        raise coding.unanswerable(f"{told} ({', '.join(each[:40] for each in units)})")
    return [_converted(each, units[0]) for each in quantities], units[0]


def _quantities(coded: Coded, observation: Json) -> Iterator[Json]:
    """Its value, and those of its components, as far as they are of the code, exact, and in a unit of UCUM."""
    for each in (observation, *observation.get("component", ())):
        codings = each.get("code", {}).get("coding", ())
        quantity = each.get("valueQuantity", {})
        is_of_code = any((one.get("system"), one.get("code")) == (coded.system, coded.code) for one in codings)
        is_number = "value" in quantity and "code" in quantity and "comparator" not in quantity
        if is_of_code and is_number and quantity.get("system") == _content()["ucum"]:
            yield quantity


def _converted(quantity: Json, unit: str) -> Decimal:
    own, wanted = scale_of(quantity["code"]), scale_of(unit)
    if quantity["code"] == unit or own is None or wanted is None:
        return Decimal(quantity["value"])
    value = (Fraction(quantity["value"]) + own.offset) * own.factor / wanted.factor - wanted.offset
    return Decimal(value.numerator) / Decimal(value.denominator)


def _component(name: str, values: Sequence[Decimal], unit: str, total: int) -> dict[str, Any]:
    content = _content()
    kind = content["statistic"][name]
    code = {"coding": [{"system": content["system"], "code": name}]}
    if len(values) < kind["least"]:
        return {"code": code, "dataAbsentReason": {"coding": [content["absent"]]}}
    if kind["of"] == "observations":
        return {
            "code": code,
            "valueQuantity": _quantity(Decimal(len(values) if name == "count" else total), content["each"]),
        }
    shown = f"({unit}).({unit})" if kind["of"] == "squares" else unit
    return {"code": code, "valueQuantity": _quantity(statistic(name, values, kind.get("part", ())), shown)}


def _quantity(value: Decimal, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": _content()["ucum"], "code": unit}
