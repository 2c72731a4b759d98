"""An instrument in the clinic's JSON: what may be answered, what is scored, on what ground and under which terms."""

from typing import Any

from app.pain.instruments.types import Instrument, Item, Safety, ScoreRule


def instrument_view(one: Instrument) -> dict[str, Any]:
    """Everything the content file says that a user needs; paraphrased labels, never copyrighted wording."""
    return {
        "id": one.id,
        "title": one.title,
        "version": one.version,
        "recall": one.recall,
        "source": one.source,
        "citation": one.citation,
        "licence": one.licence,
        "allows": one.allows,
        "accuracy": list(one.accuracy),
        "to_confirm": list(one.to_confirm),
        "codings": [{"system": c.system, "code": c.code, "display": c.display} for c in (*one.codings, one.coding)],
        "items": [_item_view(item) for item in one.items],
        "scores": [_rule_view(rule) for rule in one.scores],
        "safety": [_safety_view(rule) for rule in one.safety],
    }


def _item_view(item: Item) -> dict[str, Any]:
    view: dict[str, Any] = {"key": item.key, "label": item.label, "answered_by": item.by, "type": item.kind}
    if item.kind == "integer":
        view["range"] = [item.low, item.high]
    if item.unit:
        view["unit"] = item.unit
    if item.kind == "choice":
        view["options"] = [{"key": option.key, "label": option.label} for option in item.options]
    return view


def _rule_view(rule: ScoreRule) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": rule.id,
        "label": rule.label,
        "method": rule.method,
        "items": list(rule.items),
        "least_answered": rule.least_answered,
        "range": [rule.low, rule.high],
        "unit": rule.unit,
    }
    if rule.cutoff is not None:
        view |= {"cutoff": rule.cutoff, "positive_when": "at-most" if rule.positive_at_most else "at-least"}
    if rule.bands:
        view["bands"] = [{"id": band.coding.code, "from": band.low, "to": band.high} for band in rule.bands]
    if rule.table:
        view["table"] = {str(points): score for points, score in rule.table.items()}
    return view


def _safety_view(rule: Safety) -> dict[str, Any]:
    return {
        "rule": rule.id,
        "title": rule.title,
        "item": rule.item,
        "at_least": rule.at_least,
        "severity": rule.severity,
        "message": rule.message,
        "citation": rule.citation,
        "year": rule.year,
    }
