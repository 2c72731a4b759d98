"""JSON Schemas of FHIR: data types and generic resources from the definitions of R4, profiles from their snapshots.

Data types are shared. A type without a profile of ours is told by one schema, Resource. Keywords beside a $ref narrow
it, which validators read and generators of clients pass over.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from app import profiles
from app.fhir.canonicals import STRUCTURE
from app.mapping.definitions import own_definitions
from app.pain.content import Content
from app.terminology import load_terminology
from app.validation.snapshots.snapshot import Snapshots
from app.validation.snapshots.structures import Structures

Json = dict[str, Any]
Element = Mapping[str, Any]
_COMPONENTS = "#/components/schemas/"
# R4 resources that are told whole, since answers are made of them.
_WHOLE = ("Bundle", "OperationOutcome", "Parameters")
_RESOURCE = "Resource"
_ANY = "AnyResource"
# A required binding of more codes is told by its value set only.
_SHORT = 40
_NUMBERS: Mapping[str, Json] = {
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer"},
    "positiveInt": {"type": "integer", "minimum": 1},
    "unsignedInt": {"type": "integer", "minimum": 0},
}
_SAYS = ("pattern", "fixed")


def reference(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": _COMPONENTS + name}


def fhir_schemas(content: Content) -> Json:
    """Every schema by its name among the components: data types, generic resources, profiles."""
    making = _Making()
    own = [one for one in own_definitions(content) if one["resourceType"] == "StructureDefinition"]
    snapshots = Snapshots(Structures(profiles.r4(), own))
    named: Json = {}
    for profile in own:
        if profile["kind"] == "resource":
            named[profile["name"]] = making.profile(profile, snapshots.of(profile))
    return _referred(making.shared() | named | {_ANY: _any_of([*named, _RESOURCE])}, [_ANY, *_WHOLE])


def _any_of(names: Iterable[str]) -> Json:
    told = "A resource of R4; one that claims a profile of ours in meta.profile must conform to it."
    return {"title": _ANY, "description": told, "anyOf": [reference(name) for name in names]}


def _referred(schemas: Json, names: Iterable[str]) -> Json:
    """Those of these names, and all that they refer to, by name."""
    found, ahead = set[str](), list(names)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += [each.removeprefix(_COMPONENTS) for each in _references(schemas[name])]
    return {name: schemas[name] for name in sorted(found)}


def _references(part: Any) -> Iterator[str]:
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name == "$ref":
            yield value
        else:
            yield from _references(value)


class _Making:
    """Makes schemas, and remembers which data types they refer to."""

    def __init__(self) -> None:
        self._types = profiles.r4()["types"]
        self._terminology = load_terminology()
        self._made: Json = {}

    def shared(self) -> Json:
        """Resource, the resources that are told whole, and all data types that are referred to."""
        for name in (_RESOURCE, *_WHOLE):
            self._type(name)
        return {name: made for name, made in self._made.items() if made}

    def profile(self, profile: Element, elements: Sequence[Element]) -> Json:
        """The schema of a profile on a resource."""
        type_ = str(profile["type"])
        self._basics(type_)
        words = {one["id"]: one["short"] for one in profile["differential"]["element"] if "short" in one}
        tree = _Tree(elements, profile["name"], words)
        made = self._object(tree, tree.root)
        # Without a title: generators of clients would call the class so.
        made["description"] = f"{profile['title']}. {profile['description']} Its canonical URL: {profile['url']}"
        made["externalDocs"] = {"url": f"guide/StructureDefinition-{profile['id']}.html"}
        made["required"] = ["resourceType", *made.get("required", ())]
        made["properties"] = {"resourceType": {"type": "string", "const": type_}} | made["properties"]
        return made

    def _type(self, name: str) -> Json:
        """A data type or a resource of R4, made when it is first referred to."""
        if name in _NUMBERS:
            return dict(_NUMBERS[name])
        definition = self._types.get(name)
        if definition is None or definition["kind"] == "primitive-type":
            return {"type": "string"}
        if definition["kind"] == "resource" and name not in (_RESOURCE, *_WHOLE):
            name = _RESOURCE
        if name not in self._made:
            self._made[name] = {}  # a type may contain itself
            tree = _Tree(definition["element"], name)
            made = self._object(tree, tree.root)
            if definition["kind"] == "resource":
                made["required"] = ["resourceType", *made.get("required", ())]
                told = {"type": "string"} | ({"const": name} if name != _RESOURCE else {})
                made["properties"] = {"resourceType": told} | made["properties"]
            if name == _RESOURCE:
                made |= {"description": "A resource of R4, of any type.", "additionalProperties": True}
            self._made[name].update(made)
        return reference(name)

    def _basics(self, type_: str) -> None:
        """The parts of a resource as R4 has them, for those that profiles leave as they are."""
        tree = _Tree(self._types[type_]["element"], type_)
        self._object(tree, tree.root)

    def _part(self, tree: "_Tree", place: str) -> Json:
        """A part of a resource: the one of R4 where a profile leaves it as it is."""
        name = tree.part(place)
        if name not in self._made:
            self._made[name] = {}  # a part may contain itself
            made = self._object(tree, place)
            plain = tree.type + name.removeprefix(tree.name)
            if name != plain and made == self._made.get(plain):
                del self._made[name]
                return reference(plain)
            self._made[name] = made
        return reference(name)

    def _object(self, tree: "_Tree", place: str) -> Json:
        properties, required = Json(), list[str]()
        for element in tree.children(place):
            if element["max"] == "0":
                continue
            told = {name: self._property(tree, element, code) for name, code in _named(element)}
            properties |= told
            if element["min"] and len(told) == 1:
                required += told
        return {"type": "object", "properties": properties} | ({"required": required} if required else {})

    def _property(self, tree: "_Tree", element: Element, code: str) -> Json:
        one = self._value(tree, element, code)
        told = {"description": tree.words[tree.id(element)]} if tree.id(element) in tree.words else {}
        if not tree.is_list(element):
            return one | told
        made: Json = {"type": "array", "items": one, **told}
        if least := max(int(element["min"]), len(tree.required_slices(element))):
            made["minItems"] = least
        if len(found := tree.required_slices(element)) == 1 and (said := _said(found[0])) is not None:
            made["contains"] = _like(said)
        return made

    def _value(self, tree: "_Tree", element: Element, code: str) -> Json:
        if "contentReference" in element:
            return self._value(tree, tree.at(element["contentReference"].removeprefix("#")), code)
        place = tree.id(element)
        if code in ("BackboneElement", "Element") and any(tree.children(place)):
            return self._part(tree, place)
        made = self._type(code)
        said = _said(element)
        if said is not None:
            made |= _like(said) if isinstance(said, Mapping) else {"const": said}
        elif codes := self._codes(element):
            made |= _among(code, codes)
        narrowed = [_last(tree.id(each)) for each in tree.children(place) if each["min"] and "[x]" not in each["path"]]
        if narrowed and "$ref" in made:
            made["required"] = sorted({*made.get("required", ()), *narrowed})
        return made

    def _codes(self, element: Element) -> list[str]:
        """The codes of a required binding that is short and held here whole."""
        binding = element.get("binding", {})
        if binding.get("strength") != "required":
            return []
        found = self._terminology.value_set(binding["valueSet"].partition("|")[0])
        if found is None or found.is_open or found.open_systems:
            return []
        codes = sorted({code for each in found.codes.values() for code in each})
        return codes if len(codes) <= _SHORT else []


class _Tree:
    """The elements of one snapshot, by place."""

    def __init__(self, elements: Sequence[Element], name: str, words: Mapping[str, str] | None = None) -> None:
        """name: of the schema that is made of them. words: what a profile says of its elements, by id."""
        self.name, self.words = name, words or {}
        self._by_id = {self.id(each): each for each in elements}
        self.root = self.type = self.id(elements[0])
        self._slices: dict[str, list[Element]] = {}
        self._children: dict[str, list[Element]] = {}
        for place, element in self._by_id.items():
            parent, _, last = place.rpartition(".")
            if ":" in last:
                self._slices.setdefault(place.rpartition(":")[0], []).append(element)
            elif parent:
                self._children.setdefault(parent, []).append(element)

    @staticmethod
    def id(element: Element) -> str:
        """In R4's own definitions, which have no slices, the path."""
        return str(element.get("id", element["path"]))

    def part(self, place: str) -> str:
        """What the schema of a part is called: PainIntensityReferenceRange."""
        steps = place.split(".")[1:]
        return self.name + "".join(step[:1].upper() + step[1:] for step in steps)

    def at(self, place: str) -> Element:
        return self._by_id[place]

    def children(self, place: str) -> list[Element]:
        return self._children.get(place, [])

    def is_list(self, element: Element) -> bool:
        return str(element.get("base", element)["max"]) not in ("0", "1")

    def required_slices(self, element: Element) -> list[Element]:
        return [each for each in self._slices.get(self.id(element), ()) if each["min"]]


def _named(element: Element) -> Iterator[tuple[str, str]]:
    """(name, type) of each property that an element may have: of a choice one for each type."""
    name = _last(element["path"])
    codes = [_code(each) for each in element.get("type", ())] or ["Element"]
    if not name.endswith("[x]"):
        yield name, codes[0]
        return
    for code in codes:
        yield f"{name.removesuffix('[x]')}{code[0].upper()}{code[1:]}", code


def _code(type_: Element) -> str:
    """FHIRPath's types are those of ids, and of the values of primitives."""
    code = str(type_["code"])
    return code.removeprefix(STRUCTURE) if not code.startswith("http://hl7.org/fhirpath/") else "string"


def _last(place: str) -> str:
    return place.rpartition(".")[2]


def _said(element: Element) -> Any:
    """The fixed value or pattern, None without one."""
    return next((value for key, value in element.items() if key.startswith(_SAYS)), None)


def _like(pattern: Any) -> Json:
    """What has at least this: members, and of a list one like each of its own."""
    if isinstance(pattern, Mapping):
        return {"required": sorted(pattern), "properties": {name: _like(value) for name, value in pattern.items()}}
    if isinstance(pattern, list):
        return (
            {"contains": _like(pattern[0])}
            if len(pattern) == 1
            else {"allOf": [{"contains": _like(each)} for each in pattern]}
        )
    return {"const": pattern}


def _among(code: str, codes: Sequence[str]) -> Json:
    told = {"enum": list(codes)}
    narrow: Mapping[str, Callable[[], Json]] = {
        "Coding": lambda: {"properties": {"code": told}},
        "CodeableConcept": lambda: {"properties": {"coding": {"contains": {"properties": {"code": told}}}}},
        "Quantity": dict,
    }
    return narrow.get(code, lambda: told)()
