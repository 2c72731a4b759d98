"""Whether a pain is refractory to treatment, as an extension of its Condition, there and back."""

from app.mapping.elements import Element, Resource, code_in, codeable, extension, extensions, reference, target
from app.pain.content import Content
from app.pain.diagnoses.refractory import Refractory, Trial


def refractory_extension(one: Refractory | None, content: Content) -> list[Element]:
    if one is None:
        return []
    status = _coded("status", "np-refractory-status", one.status, content)
    trials = [{"url": "trial", "extension": _trial(trial, content)} for trial in one.trials]
    return [extension("refractory", extension=[status, *trials])]


def _trial(one: Trial, content: Content) -> list[Element]:
    parts = [
        _coded("class", "np-first-line-class", one.medicine_class, content),
        _coded("outcome", "np-trial-outcome", one.outcome, content),
    ]
    if one.was_adequate is not None:
        parts.append({"url": "adequate", "valueBoolean": one.was_adequate})
    return parts + ([{"url": "reference", "valueReference": reference(one.reference)}] if one.reference else [])


def _coded(url: str, system: str, code: str, content: Content) -> Element:
    return {"url": url, "valueCodeableConcept": codeable(content.own(system, code))}


def refractory_of(condition: Resource, content: Content) -> Refractory | None:
    found = extensions(condition, "refractory")
    if not found:
        return None
    parts = found[0]["extension"]
    status = next(one for one in parts if one["url"] == "status")
    trials = tuple(_trial_of(one, content) for one in parts if one["url"] == "trial")
    return Refractory(_said(status, "np-refractory-status", content), trials)


def _trial_of(element: Element, content: Content) -> Trial:
    parts = {one["url"]: one for one in element["extension"]}
    return Trial(
        _said(parts["class"], "np-first-line-class", content),
        _said(parts["outcome"], "np-trial-outcome", content),
        parts.get("adequate", {}).get("valueBoolean"),
        target(parts.get("reference", {}).get("valueReference")),
    )


def _said(part: Element, system: str, content: Content) -> str:
    """The code of ours a part has. Raises ValueError where it has none."""
    code = code_in(part["valueCodeableConcept"], content.systems[system])
    if code is None:
        raise ValueError(f"{part['url']} has no code of ours")
    return code
