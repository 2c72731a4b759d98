"""One resource on its way through the rules of pseudonyms, element by element, as R4 defines them."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import zip_longest
from typing import Any

from app.export.keyed import Keyed, first_day, shifted
from app.export.ways import Place, Way, Ways
from app.validation.rules import TypeRule

Json = dict[str, Any]
Treat = Callable[[Any, Place], Any]
_GONE_THROUGH = frozenset({"walk", "extension", "quantity"})
# R4 2.4.1: the value is not to be had for reasons of privacy.
MASKED = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}
EMPTY = {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Taken out.</div>'}
_UCUM = "http://unitsofmeasure.org"


class Unsafe(Exception):
    """A resource that cannot be made safe as a whole."""


class Passage:
    """removed: how many of what were taken out, by path. Of one resource at a time."""

    def __init__(
        self, ways: Ways, keyed: Keyed, days: int | None, today: date, is_display: Callable[[str, str, str], bool]
    ) -> None:
        """days: by how many the dates move, None to take them out."""
        self.removed: Counter[str] = Counter()
        self._ways, self._base, self._rules, self._keyed = ways, ways.base, ways.rules, keyed
        self._days, self._today, self._is_display = days, today, is_display
        self._urls: list[str] = []

    def resource(self, value: Json, *, is_contained: bool = False) -> Json:
        """The resource as the rules leave it. Raises Unsafe."""
        type_ = str(value.get("resourceType"))
        # Rules that nobody here knows may say that the content means something else.
        if type_ in self._rules.refused or type_ not in self._base.resource_types or "implicitRules" in value:
            raise Unsafe
        made: Json = {"resourceType": type_}
        if id_ := value.get("id"):
            made["id"] = self._keyed.inner(id_) if is_contained else self._keyed.id(type_, id_)
        content = {name: each for name, each in value.items() if name not in ("resourceType", "id", "_id")}
        return made | self._object(content, self._base.type_rule(type_), type_)

    def _object(self, value: Mapping[str, Any], rule: TypeRule, path: str) -> Json:
        made: Json = {}
        ways = self._ways.of(rule)
        lost: list[str] = []
        for key, each in value.items():
            name = key.removeprefix("_")
            way = ways.get(name)
            if way is None:
                # Not of R4, and so nothing is known of it.
                self.removed[path] += 1
            elif name == key or name not in value:
                place = Place(way, way.path(path), value)
                (self._many if way.slot.is_many else self._one)(name, each if name == key else None, place, made)
                if way.is_needed and name not in made and f"_{name}" not in made:
                    lost.append(name)
        for name in lost:
            made |= _absent(name, ways[name])
        return made

    def _one(self, key: str, value: Any, place: Place, made: Json) -> None:
        new = None if value is None else self._item(value, place)
        if new is not None:
            made[key] = new
        if (beside := self._beside(place.holder.get(f"_{key}"), place)) is not None:
            made[f"_{key}"] = beside

    def _many(self, key: str, value: Any, place: Place, made: Json) -> None:
        extra = place.holder.get(f"_{key}") or ()
        items = [each if each is None else self._item(each, place) for each in value or ()]
        if not extra:
            if items := [each for each in items if each is not None]:
                made[key] = items
            return
        pairs = zip_longest(items, (self._beside(each, place) for each in extra))
        kept = [pair for pair in pairs if pair != (None, None)]
        for name, side in ((key, 0), (f"_{key}", 1)):
            if any(pair[side] is not None for pair in kept):
                made[name] = [pair[side] for pair in kept]

    def _item(self, value: Any, place: Place) -> Any:
        """One value as it is left, None for nothing; what goes as a whole is counted here."""
        treatment = place.way.treatment
        new = self.treatments[treatment](value, place)
        # What was gone through has counted its own parts.
        if new is None and treatment not in _GONE_THROUGH:
            self.removed[place.path] += 1
        return new

    def _beside(self, extra: Any, place: Place) -> Json | None:
        """The extensions of a primitive."""
        if not isinstance(extra, dict):
            return None
        return self._object(extra, self._base.type_rule("Element"), place.path) or None

    @cached_property
    def treatments(self) -> Mapping[str, Treat]:
        """By the names that the rules call them."""
        return {
            "keep": lambda value, _: value,
            "drop": lambda _, __: None,
            "empty": self._empty,
            "modifier": _refuse,
            "walk": self._walk,
            "date": self._date,
            "code": self._code,
            "address": self._address,
            "text": self._text,
            "extension": self._extension,
            "quantity": self._quantity,
            "reference": lambda value, _: self._keyed.reference(value) or None,
            "type": lambda value, _: value if value in self._base.resource_types else None,
            "logical": self._logical,
            "coded": self._coded,
            "measure": self._measure,
            "display": self._display,
            "unit": self._unit,
        }

    def _walk(self, value: Any, place: Place) -> Any:
        if place.way.slot.use.code == "Resource":
            return self.resource(value, is_contained=True)
        return self._object(value, self._base.rule_of(place.way.slot), place.path) or None

    def _empty(self, _: Json, place: Place) -> Json:
        """For those whose profile wants a narrative."""
        self.removed[place.path] += 1
        return dict(EMPTY)

    def _date(self, value: str, place: Place) -> str | None:
        if place.way.name in self._rules.births and self._is_old(value):
            return None
        if self._days is None:
            return None
        return shifted(value, self._days, is_end=place.way.name in self._rules.ends) or None

    def _is_old(self, birth: str) -> bool:
        day = first_day(birth)
        return day is None or self._today.year - day.year > self._rules.oldest_age

    def _code(self, value: str, place: Place) -> str | None:
        binding = place.way.slot.element.binding
        is_bound = binding is not None and binding.strength == "required"
        return value if is_bound or self._rules.codes.fullmatch(value) else None

    def _coded(self, value: str, place: Place) -> str | None:
        """A code of no system could be any word."""
        return self._code(value, place) if place.holder.get("system") else None

    def _display(self, value: str, place: Place) -> str | None:
        system, code = place.holder.get("system"), place.holder.get("code")
        return value if system and code and self._is_display(system, code, value) else None

    def _measure(self, value: str, place: Place) -> str | None:
        """A code of UCUM. What stands in braces there is words, so only known ones are left."""
        return value if value in self._rules.units else self._coded(value, place)

    def _unit(self, value: str, place: Place) -> str | None:
        is_code = value == place.holder.get("code") and self._measure(value, place)
        return value if is_code or value in self._rules.units else None

    def _address(self, value: str, _: Place) -> str:
        if self._rules.is_published(value):
            return value
        return self._keyed.reference(value) or self._keyed.urn(value)

    def _text(self, value: str, place: Place) -> str | None:
        path = (
            f"Extension {self._urls[-1]}" if self._urls and place.way.name.startswith("Extension.") else place.way.name
        )
        form = self._rules.texts.get(path)
        return value if form and form.fullmatch(value) else None

    def _logical(self, value: Json, place: Place) -> Json | None:
        """An identifier that is all a reference says: the same for the same, and nothing more."""
        named = value.get("value")
        if not isinstance(named, str):
            return None
        self.removed[place.path] += 1
        return {"value": self._keyed.value("identifier", f"{value.get('system', '')}|{named}")}

    def _extension(self, value: Json, place: Place) -> Json | None:
        """One that the rules allow, with what is left of its value; the parts of a whole one belong to it."""
        url = str(value.get("url", ""))
        is_part = bool(self._urls) and bool(self._rules.codes.fullmatch(url)) and ":" not in url
        if not is_part and url not in self._rules.extensions:
            self.removed[place.path] += 1
            return None
        self._urls.append(f"{self._urls[-1].partition('#')[0]}#{url}" if is_part else url)
        rule = self._base.type_rule("Extension")
        made = self._object(value, rule, "Extension")
        self._urls.pop()
        for key in value.keys() - made.keys():
            # An extension is its value: that it is not told keeps those whole that need it.
            if key.startswith("value") and f"_{key}" not in made:
                made |= _absent(key, self._ways.of(rule)[key])
        return made if made.keys() - {"url"} else None

    def _quantity(self, value: Json, place: Place) -> Json | None:
        """A quantity of years, months, weeks or days that is more than the oldest age: it is told to be that or more.

        A range cannot say "or more", and so has no such end.
        """
        if not self._is_beyond(value):
            return self._object(value, self._base.rule_of(place.way.slot), place.path) or None
        self.removed[place.path] += 1
        if place.way.slot.use.profiles:
            return None
        return {"value": self._rules.oldest_age + 1, "comparator": ">=", "unit": "a", "system": _UCUM, "code": "a"}

    def _is_beyond(self, value: Json) -> bool:
        in_a_year = self._rules.years.get(str(value.get("code"))) if value.get("system") == _UCUM else None
        if in_a_year is None or "value" not in value:
            return False
        return Decimal(bytes(value["value"]).decode()) > (self._rules.oldest_age + 1) * in_a_year - 1


def _refuse(_: Any, __: Place) -> None:
    """What changes the meaning of all around it cannot be left out."""
    raise Unsafe


def _absent(key: str, way: Way) -> Json:
    """What stands where something must: that it is not told."""
    reason = {"extension": [dict(MASKED)]}
    if way.is_plain:
        return {key: [None], f"_{key}": [reason]} if way.slot.is_many else {f"_{key}": reason}
    return {key: [reason] if way.slot.is_many else reason}
