"""Applies a differential to the tree of what it is based on, element by element (R4 5.1.0.5, 5.3.1.3)."""

from collections.abc import Mapping
from typing import Any

from app.validation.snapshots.broken import MAX_FLAWS, BrokenProfile, Flaw
from app.validation.snapshots.contents import Sources, content_of
from app.validation.snapshots.differentials import differential_of
from app.validation.snapshots.merging import merged, type_code, widenings
from app.validation.snapshots.parts import ElementDefinition, Part, steps_of
from app.validation.snapshots.slices import slicing_flaws

Json = Mapping[str, Any]

# Bounds for hostile input; the largest profiles known have about 2,000 elements, at most a dozen levels deep.
MAX_PARTS = 100_000
MAX_STEPS = 40
_BY_URL = {
    "discriminator": [{"type": "value", "path": "url"}],
    "description": "Extensions are always sliced by (at least) url",
    "rules": "open",
}
_BY_TYPE = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False}
_EXTENSIONS = ("extension", "modifierExtension")


class Generation:
    """One differential, element by element, applied to a copy of the base's tree."""

    def __init__(self, sources: Sources, structure: Json, base: Part) -> None:
        self.sources, self.structure = sources, structure
        self.url, self.type = str(structure["url"]), str(structure["type"])
        self.root = base.copy()
        self.flaws: list[Flaw] = []
        self.room = MAX_PARTS - base.size()
        # Choices whose types this differential names in their elements' paths (valueQuantity) -> those types.
        self.named_types: dict[Part, list[Any]] = {}

    def apply(self) -> None:
        for place, element in enumerate(differential_of(self.structure)):
            problems = self._applied(element)
            if self.room < 0:
                break
            self.flaws += [Flaw(self.url, str(element["id"]), reason, place) for reason in problems]
            if len(self.flaws) >= MAX_FLAWS:
                break
        if self.room < 0:
            self.flaws.append(Flaw(self.url, "", f"the snapshot would have more than {MAX_PARTS} elements"))
        if not self.flaws:
            self.flaws += [
                Flaw(self.url, id_, reason) for id_, reason in slicing_flaws(self.root, self.type, self.sources)
            ]
        # Base R4 has slices that nothing tells apart.
        if self.flaws and not self.sources.structures.is_base(self.url):
            raise BrokenProfile(self.flaws)

    def _applied(self, element: ElementDefinition) -> list[str]:
        """Let one element change the tree; answers what is wrong with it."""
        steps = steps_of(str(element["id"]))
        if len(steps) > MAX_STEPS:
            return [f"it is nested deeper than {MAX_STEPS} elements"]
        if steps[0][0] != self.type:
            return [f"elements must start with {self.type}"]
        if len(steps) == 1 and "type" in element:
            # Besides making no sense (sdf-15a), a profile there could be the one that is being made.
            return ["the first element must not have a type"]
        try:
            part = self._walk(steps[1:], element)
        except LookupError as error:
            return [str(error.args[0])]
        except BrokenProfile as error:
            return [f"what it is made of cannot be used: {flaw}" for flaw in error.flaws[:1]]
        base = part.origin.element if part.origin else part.element
        is_new_slice = part.element.get("sliceName") != base.get("sliceName")
        problems = list(widenings(base, element, is_slice=is_new_slice))
        part.element = self._with_rules_of_type(merged(part.element, element, self.url), element)
        return problems

    def _with_rules_of_type(self, made: ElementDefinition, own: ElementDefinition) -> ElementDefinition:
        """The element with the constraints of the one profile that its type is narrowed to."""
        profiles = [url for each in own.get("type", ()) for url in each.get("profile", ())]
        try:
            tree = self.sources.profile_tree(profiles[0]) if len(profiles) == len(own.get("type", ())) == 1 else None
        except BrokenProfile:
            # That profile's flaws are its own; here only its elements could have been needed.
            tree = None
        rules = tree.element.get("constraint", ()) if tree else ()
        known = {each["key"] for each in made.get("constraint", ())}
        fresh = [each for each in rules if each["key"] not in known]
        return {**made, "constraint": [*made.get("constraint", ()), *fresh]} if fresh else made

    def _walk(self, steps: list[tuple[str, str]], element: ElementDefinition) -> Part:
        """The part an element is about; what has to be there on the way is made. Raises LookupError with a reason."""
        part = self.root
        for place, (name, slice_) in enumerate(steps):
            is_last = place == len(steps) - 1
            self._open(part, name)
            child = part.children.get(name)
            if child is None:
                key, type_ = self._by_type(part, name)
                part = self._typed(part.children[key], key, name, type_, may_narrow=is_last)
                continue
            part = child
            if slice_ or (is_last and "sliceName" in element):
                part = self._slice(part, name, slice_ or element["sliceName"])
        return part

    def _by_type(self, part: Part, name: str) -> tuple[str, Any]:
        """The choice that a name with a type (valueQuantity) means, and the type."""
        for key, child in part.children.items():
            for type_ in (*child.element.get("type", ()), *_types_before(child)) if key.endswith("[x]") else ():
                if name == _named_for(key, type_):
                    return key, type_
        raise LookupError(f"there is no element {name[:64]}")

    def _typed(self, choice: Part, key: str, name: str, type_: Any, *, may_narrow: bool) -> Part:
        """The slice of a choice for one type. Naming a type in the path leaves only the types named so."""
        if name in choice.slices:
            return choice.slices[name]
        made = self._slice(choice, key, name)
        made.element = {**made.element, "type": [type_], "min": 0}
        named = self.named_types.setdefault(choice, [])
        named.append(type_)
        if may_narrow:
            choice.element = {**choice.element, "type": list(named), "slicing": {**_BY_TYPE, "rules": "closed"}}
        return made

    def _slice(self, part: Part, name: str, slice_: str) -> Part:
        if slice_ in part.slices:
            return part.slices[slice_]
        whole = part.slices.get(slice_.rpartition("/")[0]) or part
        made = (whole.origin or whole).copy()
        made.slices = {}
        dropped = ("slicing", "sliceName") if whole is part else ("slicing",)
        made.element = {k: v for k, v in made.element.items() if k not in dropped} | {"sliceName": slice_, "min": 0}
        part.slices[slice_] = made
        self.room -= made.size()
        self._make_slicing(part, name, slice_, made)
        return made

    def _make_slicing(self, part: Part, name: str, slice_: str, made: Part) -> None:
        """Extensions and choices are sliced by url and by type without the profile's saying so."""
        if name in _EXTENSIONS and "slicing" not in part.element:
            part.element = {**part.element, "slicing": _BY_URL}
        elif name.endswith("[x]"):
            own = [each for each in part.element.get("type", ()) if slice_ == _named_for(name, each)]
            if own:
                made.element = {**made.element, "type": own}
            if "slicing" not in part.element:
                part.element = {**part.element, "slicing": {**_BY_TYPE, "rules": "open"}}

    def _open(self, part: Part, name: str) -> None:
        """Give a part the children its type, profile or content reference has, if it shows none yet."""
        if part.children or self.room < 0:
            return
        source = content_of(part, name, self.sources)
        opened = source.copy()
        part.children = opened.children
        self.room -= opened.size()
        if "contentReference" in part.element:
            rest = {key: value for key, value in part.element.items() if key != "contentReference"}
            part.element = {**rest, "type": source.element.get("type", [])}


def _named_for(choice: str, type_: Mapping[str, Any]) -> str:
    """value[x] and Quantity -> valueQuantity."""
    code = type_code(type_)
    return choice.removesuffix("[x]") + code[:1].upper() + code[1:]


def _types_before(part: Part) -> tuple[Any, ...]:
    return tuple(part.origin.element.get("type", ())) if part.origin else ()
