"""Resources under pseudonyms: what the rules keep is kept, what they do not name is taken out and counted."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from functools import cache
from typing import Any

from app.export.keyed import Keyed
from app.export.pseudonym_rules import Rules, rules
from app.export.unnamed import Passage, Unsafe
from app.export.ways import Ways
from app.fhir import json as lossless
from app.fhir.compartments import compartments
from app.fhir.outcomes import Issue, Refused
from app.fhir.references import references
from app.profiles import r4
from app.terminology import Answer
from app.validation.rules import BaseRules
from app.validation.validator import Validator

IsSound = Callable[[dict[str, Any]], bool]
LEAST_KEY = 32
_PATIENT = re.compile("(^|/)Patient/")
IsDisplay = Callable[[str, str, str], bool]


class Pseudonyms:
    """Makes resources of one export fit to be given on; by the same key, the same resource always alike.

    base: the address of this server. today: of the export, for ages. is_display: whether a code of a system is named
    so in the system itself. is_sound: whether a resource is valid, by R4 and by the profiles it claims.
    """

    def __init__(
        self, key: bytes, rules: Rules, *, base: str, today: date, is_display: IsDisplay, is_sound: IsSound
    ) -> None:
        self._keyed, self._rules, self._today = Keyed(key, base), rules, today
        self._is_display, self._sound = is_display, is_sound
        self._ways = Ways(_base(), rules)

    def resource(self, text: bytes) -> tuple[bytes, Counter[str]]:
        """A resource's text under pseudonyms, b"" where it cannot be made safe; and how many of what were taken out,
        by the path of the element, the type alone for a whole resource."""
        tree = lossless.parse_keeping_digits(text)
        type_ = str(tree["resourceType"])
        passage = self._passage(tree)
        try:
            made = passage.resource(tree)
        except Unsafe:
            return b"", Counter({type_: 1})
        made = self._labelled(_without_orphans(made))
        if self._is_sound(made):
            return lossless.dumps(made), passage.removed
        if made["meta"].pop("profile", None):
            passage.removed[f"{type_}.meta.profile"] += 1
            if self._is_sound(made):
                return lossless.dumps(made), passage.removed
        return b"", Counter({type_: 1})

    def reference(self, reference: str) -> str:
        """What stands for a reference."""
        return self._keyed.reference(reference)

    def _passage(self, tree: Mapping[str, Any]) -> Passage:
        days = self._days(tree)
        return Passage(self._ways, self._keyed, days, self._today, self._is_display)

    def _days(self, tree: Mapping[str, Any]) -> int | None:
        """By how many days the dates of a resource move, None where they cannot be told."""
        if tree["resourceType"] == "Patient":
            patients = {f"Patient/{tree['id']}"} if "id" in tree else set()
        else:
            patients = _patients(self._about(tree)) or _patients(references(tree))
        if len(named := {self._keyed.reference(each) for each in patients}) == 1:
            return self._keyed.days(named.pop(), self._rules.most_days)
        # Of several patients, or of one that is not named: no shift would be right, and none would tell the days.
        return None if named or _is_of_patients(tree) else 0

    def _about(self, tree: Mapping[str, Any]) -> Iterator[str]:
        """The references by which a resource says whom it is about."""
        for name in self._rules.about & tree.keys():
            for each in tree[name] if isinstance(tree[name], list) else [tree[name]]:
                if isinstance(each, dict) and isinstance(each.get("reference"), str):
                    yield each["reference"]

    def _labelled(self, made: dict[str, Any]) -> dict[str, Any]:
        """With the security label that says what was done to it."""
        meta = dict(made.pop("meta", {}))
        meta["security"] = [*meta.get("security", ()), dict(self._rules.label)]
        head = {name: made.pop(name) for name in ("resourceType", "id") if name in made}
        return head | {"meta": meta} | made

    def _is_sound(self, made: Mapping[str, Any]) -> bool:
        return self._sound(lossless.parse_object(lossless.dumps(made)))


def _patients(links: Iterable[str]) -> set[str]:
    return {link for link in links if _PATIENT.search(link)}


def load_pseudonyms(key: str, *, base: str, today: date, validator: Validator) -> Pseudonyms:
    """Pseudonyms by the shipped rules. Raises Refused for a key that could be guessed."""
    if len(key.encode()) < LEAST_KEY:
        told = f"The key for pseudonyms has less than {LEAST_KEY} characters, and could be guessed."
        raise Refused([Issue("not-supported", told)])

    def is_display(system: str, code: str, text: str) -> bool:
        return validator.terminology.is_display(system, code, text) is Answer.VALID

    def is_sound(resource: dict[str, Any]) -> bool:
        found = validator.admits(resource)
        return found if found is not None else not any(each.is_error for each in validator.check(resource))

    return Pseudonyms(key.encode(), rules(), base=base, today=today, is_display=is_display, is_sound=is_sound)


@cache
def _base() -> BaseRules:
    return BaseRules(r4())


def _is_of_patients(tree: Mapping[str, Any]) -> bool:
    """Whether a resource is of some patient, though it does not say of which: by its type, or by what it refers to."""
    of_patients = compartments()["Patient"].keys()
    return tree["resourceType"] in of_patients or any(
        link.startswith(("#", "urn:")) or not of_patients.isdisjoint(link.split("/")) for link in references(tree)
    )


def _without_orphans(made: dict[str, Any]) -> dict[str, Any]:
    """Without contained resources whose only mention was taken out (R4 dom-3)."""
    contained = made.pop("contained", [])
    while contained:
        text = lossless.dumps([made, contained])
        kept = [each for each in contained if _is_held(each, text)]
        if kept == contained:
            return made | {"contained": kept}
        contained = kept
    return made


def _is_held(contained: Mapping[str, Any], text: bytes) -> bool:
    return f'"#{contained.get("id")}"'.encode() in text or b'"#"' in lossless.dumps(contained)
