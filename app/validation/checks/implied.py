"""Profiles that base R4 applies by itself: an Observation with the code of a vital sign SHALL conform to the profile
of that vital sign, whether or not it claims it (R4, Observation Vital Signs).

Which code asks for which profile is read from the profiles themselves: the one each of them fixes in `code`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.profiles import r4, toml_files
from app.validation.overlays import Profile
from app.validation.rules import Binding

Coded = tuple[str, str]

_VITAL_SIGNS = STRUCTURE + "vitalsigns"


def implied_profile(resource: Mapping[str, Any]) -> str:
    """The canonical URL of the vital sign profile an Observation must conform to; "" if there is none."""
    if resource.get("resourceType") != "Observation":
        return ""
    profiles = _by_code()
    return next((profiles[each] for each in _codings(resource) if each in profiles), "")


def related_profile(resource: Mapping[str, Any]) -> str:
    """The vital sign profile whose code an Observation lacks although it has a more special code of that vital sign."""
    if resource.get("resourceType") != "Observation" or implied_profile(resource):
        return ""
    related = _related()
    return next((related[each] for each in _codings(resource) if each in related), "")


def _codings(resource: Mapping[str, Any]) -> Iterator[Coded]:
    code = resource.get("code")
    codings = code.get("coding") if isinstance(code, dict) else None
    for each in codings if isinstance(codings, list) else ():
        if isinstance(each, dict) and isinstance(each.get("system"), str) and isinstance(each.get("code"), str):
            yield each["system"], each["code"]


@cache
def _by_code() -> dict[Coded, str]:
    profiles: dict[str, Any] = r4()["profiles"]
    found: dict[Coded, str] = {}
    for url, each in profiles.items():
        if each.get("baseDefinition") == _VITAL_SIGNS:
            system, code = _fixed(each, "system"), _fixed(each, "code")
            if system and code:
                found[system, code] = url
    return found


def _fixed(profile: Mapping[str, Any], name: str) -> str:
    """The system or the code that a profile fixes for Observation.code."""
    for element in profile["element"]:
        if element["path"] == f"Observation.code.coding.{name}":
            return str(element.get("fixedUri") or element.get("fixedCode") or "")
    return ""


@cache
def _related() -> dict[Coded, str]:
    file = toml_files("r4")["vital-signs"]
    return {
        (group["system"], code): STRUCTURE + group["profile"] for group in file["related"] for code in group["codes"]
    }


def as_implied(profile: Profile) -> Profile:
    """A vital sign profile as it holds for an Observation that does not claim it.

    The units of components are then advice: HL7's own guides (US Core) derive from these profiles with other units.
    """
    component = profile.root.children.get("component")
    value = component.children.get("value") if component else None
    if component is None or value is None or value.binding is None:
        return profile
    looser = replace(value, binding=Binding("extensible", value.binding.value_set))
    components = replace(component, children={**component.children, "value": looser})
    return replace(profile, root=replace(profile.root, children={**profile.root.children, "component": components}))
