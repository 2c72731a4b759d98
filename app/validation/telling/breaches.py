"""Broken rules of profiles as issues: what the profile asks, what is there, and how it may be put right."""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from app.fhir.outcomes import Severity
from app.validation.checks.codes import told_codes
from app.validation.overlays import Overlay, Profile
from app.validation.telling.examples import written
from app.validation.telling.report import Report, Spot, Suggestion
from app.validation.telling.suggestions import nearest

_MOST_NAMES = 12
_LAST_STEP = re.compile(r"(\w+)(?:\.ofType\((\w+)\))?(?:\[\d+\])?$")


def profile_unknown(report: Report, where: str, severity: Severity) -> None:
    text = "The profile is not known here, so it was not checked"
    # As an error it is a rule of this server's operators that is broken, not one of FHIR.
    code = "business-rule" if severity == "error" else "not-found"
    report.add(code, text, where, severity=severity, rule="dmt-profile-unknown")


def profile_type(report: Report, where: str, expected: str, found: str) -> None:
    text = f"The profile is for {expected}"
    report.add("structure", text, where, rule="dmt-profile-type", expected=expected, found=found)


def target_profile(report: Report, spot: Spot, profiles: Iterable[str]) -> None:
    text = "What this refers to does not conform to the profile that is asked for here"
    wanted = " or ".join([*profiles][:_MOST_NAMES])
    report.add("invariant", text, spot, rule="dmt-reference-profile", expected=wanted, member="reference")


def vital_sign(report: Report, where: str, profile: str) -> None:
    name = profile.rpartition("/")[2]
    text = f"A vital sign should also have the code that its profile in base R4 asks for ({name})"
    report.add("business-rule", text, where, severity="warning", rule="dmt-vital-sign", expected=profile)


def extension_url(report: Report, spot: Spot) -> None:
    text = "The url of an extension must be absolute"
    report.add("value", text, spot, rule="dmt-extension-url", expected="an absolute URL", member="url")


def extension_context(report: Report, profile: Profile, spot: Spot, holder: str) -> None:
    allowed = " or ".join(expression for _, expression in profile.contexts[:_MOST_NAMES])
    text = "This extension is not allowed on this element"
    report.add("structure", text, spot, rule="dmt-extension-context", expected=allowed, found=holder, member="url")


def extension_invariant(report: Report, spot: Spot) -> None:
    text = "What this extension stands in does not fulfil what the extension asks of it"
    report.add("invariant", text, spot, rule="dmt-extension-invariant")


def extension_inner(report: Report, spot: Spot, url: str, allowed: Iterable[str]) -> None:
    names = sorted(allowed)
    report.add(
        "structure",
        "The definition of the extension does not have this inner extension",
        spot,
        rule="dmt-extension-inner",
        expected=_listed(names),
        suggestion=partial(_meant, url, names),
        member="url",
    )


def too_few(report: Report, overlay: Overlay, least: int, count: int, path: str, suggestion: Suggestion) -> None:
    """path: the element's own, as in base R4, so that a client can point at what is empty."""
    text = f"{overlay.path} must be given at least {_times(least)}, found {count}"
    _count(report, "dmt-cardinality-min", text, f"at least {least}", count, path, suggestion)


def too_many(report: Report, overlay: Overlay, most: int, count: int, first: Spot, spot: Spot) -> None:
    """first: the first repetition; spot: what holds the element."""
    report.add(
        "structure",
        f"{overlay.path} may be given at most {_times(most)}, found {count}",
        spot,
        rule="dmt-cardinality-max",
        expected=f"at most {most}",
        found=str(count),
        suggestion="" if most else "Remove it: the profile does not allow it.",
        member=_json_name(first.path),
    )


def slice_too_few(report: Report, slice_: Overlay, least: int, count: int, spot: Spot, suggestion: Suggestion) -> None:
    text = f"The slice {slice_.path} must be given at least {_times(least)}, found {count}"
    _count(report, "dmt-slice-min", text, f"at least {least}", count, spot.path, suggestion)


def slice_too_many(report: Report, slice_: Overlay, most: int, count: int, spot: Spot) -> None:
    text = f"The slice {slice_.path} may be given at most {_times(most)}, found {count}"
    report.add("structure", text, spot, rule="dmt-slice-max", expected=f"at most {most}", found=str(count))


def slice_order(report: Report, overlay: Overlay, order: list[str], found: str, spot: Spot) -> None:
    text = f"The slices of {overlay.path} must keep their order"
    report.add("structure", text, spot, rule="dmt-slice-order", expected=_listed(order), found=found)


def slice_closed(report: Report, overlay: Overlay, order: list[str], spot: Spot) -> None:
    text = f"Only the slices of {overlay.path} are allowed: {', '.join(order)}"
    report.add("structure", text, spot, rule="dmt-slice-closed", expected=_listed(order))


def wrong_type(report: Report, spot: Spot, expected: str, found: str) -> None:
    text = f"Expected the type {expected}, found {found}"
    report.add("structure", text, spot, rule="dmt-type", expected=expected, found=found)


def wrong_target(report: Report, spot: Spot, allowed: Iterable[str], found: str) -> None:
    """A reference to a type that is not allowed."""
    names = ", ".join(sorted(allowed))
    text = f"A reference to {found} is not allowed here, only to {names}"
    rule = "dmt-reference-type"
    report.add("value", text, spot, rule=rule, expected=names, found=found, member="reference")


def not_fixed(report: Report, value: Any, fixed: Any, spot: Spot) -> None:
    text = f"Expected exactly {told(fixed)}"
    found, fix = told_codes(value, spot.type), partial(_written, fixed)
    report.add("value", text, spot, rule="dmt-fixed", expected=told(fixed), found=found, suggestion=fix)


def fixed_extension(report: Report, spot: Spot) -> None:
    text = "No extension is allowed here: the fixed value has none"
    report.add("value", text, spot, rule="dmt-fixed", expected="no extension")


def not_pattern(report: Report, value: Any, pattern: Any, spot: Spot) -> None:
    text = f"Expected a value that has {told(pattern)}"
    found, fix = told_codes(value, spot.type), partial(_written, pattern)
    report.add("value", text, spot, rule="dmt-pattern", expected=told(pattern), found=found, suggestion=fix)


def too_long(report: Report, most: int, count: int, spot: Spot) -> None:
    text = f"At most {most} characters are allowed"
    expected, found = f"at most {most} characters", f"{count} characters"
    report.add("too-long", text, spot, rule="dmt-max-length", expected=expected, found=found)


def below(report: Report, limit: Any, spot: Spot) -> None:
    text, least = f"The least value allowed is {told(limit)}", f"at least {told(limit)}"
    report.add("value", text, spot, rule="dmt-min-value", expected=least, found="less")


def above(report: Report, limit: Any, spot: Spot) -> None:
    text, most = f"The greatest value allowed is {told(limit)}", f"at most {told(limit)}"
    report.add("value", text, spot, rule="dmt-max-value", expected=most, found="more")


def told(value: Any) -> str:
    """A value of a profile in words: codes and short values only."""
    if isinstance(value, dict):
        if "coding" in value:
            return " and ".join(told(each) for each in value["coding"])
        return ", ".join(f"{name} {told(each)}" for name, each in value.items())
    return ", ".join(told(each) for each in value) if isinstance(value, list) else str(value)


def _count(report: Report, rule: str, text: str, expected: str, count: int, path: str, suggestion: Suggestion) -> None:
    found = str(count)
    report.add("required", text, path, rule=rule, expected=expected, found=found, suggestion=suggestion)


def _written(value: Any) -> str:
    text = written(value)
    return f"Write {text}." if text else ""


def _meant(url: str, allowed: list[str]) -> str:
    found = nearest(url, allowed)
    return f'Did you mean "{found}"?' if found else ""


def _json_name(path: str) -> str:
    """The JSON name of an element: valueQuantity for Observation.value.ofType(Quantity)."""
    step = _LAST_STEP.search(path)
    return step[1] + (step[2] or "")[:1].upper() + (step[2] or "")[1:] if step else ""


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMES])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
