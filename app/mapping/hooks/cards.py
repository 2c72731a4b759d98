"""What the rules say, as cards of CDS Hooks 2.0. No card names the patient."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from app.mapping.elements import Element, Resource, coding, concept_of, words_of
from app.pain.content import Content
from app.pain.diagnoses.grading import DataNeeded
from app.pain.rules.results import Finding, RuleResults, Severity

# CDS Hooks 2.0, "Card Attributes": fewer than 140 characters.
_LONGEST_SUMMARY = 139
_INDICATOR: dict[Severity, str] = {"block": "critical", "warn": "warning", "info": "info"}
_ORDER = ("block", "warn", "info")
_LABEL = "Dermatome"
# Where the medicine of an order, or what else it asks for, is named.
_ASKED = ("medicationCodeableConcept", "code", "codeCodeableConcept")

Card = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Deck:
    """What cards are made of. instance: of the hook.  page: address of the rules for people.  orders: by name."""

    instance: str
    page: str
    orders: Mapping[str, Resource]
    content: Content


def cards(
    results: RuleResults, unsent: Sequence[str], problems: Sequence[str], remarks: Sequence[str], deck: Deck
) -> list[Card]:
    """A card for each raised rule, the gravest first, and one for what the rules could not know.

    unsent: what was not sent along.  problems: what was left aside, and why.  remarks: where facts come from; they are
    told with the others and are no reason for a card.
    """
    raised = sorted(results.findings, key=lambda one: (_ORDER.index(one.severity), one.rule))
    return [*(_raised(one, deck) for one in raised), *_unknown(results.data_needed, unsent, problems, remarks, deck)]


def card_id(instance: str, about: str) -> str:
    """The uuid of a card: the same question has the same answer."""
    return str(uuid5(NAMESPACE_URL, f"{instance}/{about}"))


def _raised(one: Finding, deck: Deck) -> Card:
    rules = {rule.id: rule.title for rule in deck.content.guidelines.rules}
    topic = coding(deck.content.own("np-rule", one.rule))
    made: Card = {
        "uuid": card_id(deck.instance, one.rule),
        "summary": _short(f"{rules[one.rule]} ({one.rule})"),
        "detail": "\n\n".join([one.message, *_seen(one.evidence), f"Source: {one.citation} ({one.year})."]),
        "indicator": _INDICATOR[one.severity],
        "source": {"label": _LABEL, "url": deck.page, "topic": topic},
        "links": [{"label": f"Rule {one.rule}", "url": deck.page, "type": "absolute"}],
    }
    if one.severity == "block":
        made["overrideReasons"] = _reasons(deck.content)
        made |= _suggested(one, deck)
    return made


def _suggested(one: Finding, deck: Deck) -> Card:
    """To leave out an order that raised the rule, where one did."""
    names = [name for name in one.evidence if name in deck.orders]
    suggestions = [
        {
            "label": _short(f"Leave out {_asked(deck.orders[name])}"),
            "uuid": card_id(deck.instance, f"{one.rule}/{name}"),
            "actions": [{"type": "delete", "description": f"Remove {name} from the session.", "resourceId": name}],
        }
        for name in names
    ]
    return {"suggestions": suggestions, "selectionBehavior": "any"} if suggestions else {}


def _unknown(
    needs: Iterable[DataNeeded], unsent: Sequence[str], problems: Sequence[str], remarks: Sequence[str], deck: Deck
) -> list[Card]:
    by_fact: dict[str, list[str]] = {}
    for need in needs:
        for fact in need.missing:
            by_fact.setdefault(fact, []).append(need.rule)
    told = [f"- {fact}: {', '.join(rules)}" for fact, rules in sorted(by_fact.items())]
    told += [f"- not sent: {key}; rules about it could not be settled" for key in unsent]
    told += [f"- {problem}" for problem in problems]
    if not told:
        return []
    told += [f"- {remark}" for remark in remarks]
    count = len({rule for rules in by_fact.values() for rule in rules})
    lacking = f"Data needed to settle {count} rule{'s' if count != 1 else ''}" if count else ""
    summary = lacking or ("Part of what was sent could not be used" if problems else "Part of the record was not sent")
    return [
        {
            "uuid": card_id(deck.instance, "data-needed"),
            "summary": summary,
            "detail": "\n".join(told),
            "indicator": "info",
            "source": {"label": _LABEL, "url": deck.page},
        }
    ]


def _seen(evidence: Iterable[str]) -> list[str]:
    names = ", ".join(f"`{name}`" for name in evidence)
    return [f"Raised by {names}."] if names else []


def _asked(order: Resource) -> str:
    element: Element = next((order[key] for key in _ASKED if isinstance(order.get(key), dict)), {})
    return (words_of(element) if concept_of(element) else None) or "this order"


def _reasons(content: Content) -> list[Element]:
    system = "np-override-reason"
    return [coding(content.own(system, code)) for code in sorted(content.codes(system))]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SUMMARY else f"{text[: _LONGEST_SUMMARY - 1]}…"
