"""All StructureDefinitions known, by canonical URL; those of base R4 are given back the form they were short for."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.fhir.canonicals import STRUCTURE
from app.validation.snapshots.parts import Part, defined, elements_of, tree_of

_ELEMENT_CONSTRAINT = {
    "key": "ele-1",
    "severity": "error",
    "human": "All FHIR elements must have a @value or children",
    "expression": "hasValue() or (children().count() > id.count())",
    "source": STRUCTURE + "Element",
}
Json = Mapping[str, Any]


class Structures:
    """Looks up profiles, and the trees of base types."""

    def __init__(self, base: Json, structures: Iterable[Json]) -> None:
        """base: the content of definitions.json.gz. structures: StructureDefinitions; the first of a URL counts."""
        self._base = base
        self._types: dict[str, Part] = {}
        self._own: dict[str, Json] = {}
        for each in structures:
            self._own.setdefault(each["url"], each)

    def get(self, canonical: str) -> Json | None:
        """The StructureDefinition of a profile, None if it is not known or a type of base R4."""
        url = canonical.partition("|")[0]
        found = self._base["profiles"].get(url)
        return self._profile(url, found) if found else self._own.get(url)

    def whole(self, url: str) -> Json | None:
        """A StructureDefinition as resource. Of those of base R4 only what validation needs is kept here."""
        if name := self.type_name(url):
            definition = self._base["types"][name]
            base = {"baseDefinition": STRUCTURE + definition["base"]} if definition["base"] else {}
            made = {"kind": definition["kind"], "abstract": definition["abstract"], "type": name, **base}
            root = self.type_tree(name)
            elements = [defined(each) for each in elements_of(root, name)] if root else []
            return _resource(url, {**made, "derivation": "specialization", "snapshot": {"element": elements}})
        found = self.get(url)
        return _resource(url, {**found, "abstract": False}) if found and self.is_base(url) else found

    def is_base(self, url: str) -> bool:
        return url in self._base["profiles"]

    def counts_by_snapshot(self, structure: Json) -> bool:
        """Whether a profile is read from its snapshot: it brings no differential, or its base is not here."""
        if not structure.get("snapshot", {}).get("element"):
            return False
        base = str(structure.get("baseDefinition", ""))
        has_differential = bool(structure.get("differential", {}).get("element"))
        return not has_differential or not (self.type_name(base) or self.get(base))

    def type_name(self, canonical: str) -> str:
        """The base type a canonical URL stands for, "" if it is none."""
        name = canonical.partition("|")[0].removeprefix(STRUCTURE)
        return name if name in self._base["types"] else ""

    def type_tree(self, name: str) -> Part | None:
        """The elements of a type of base R4; the tree is shared."""
        if name not in self._types and name in self._base["types"]:
            definition = self._base["types"][name]
            self._types[name] = tree_of(self._element(each, definition["kind"]) for each in definition["element"])
        return self._types.get(name)

    def _profile(self, url: str, short: Json) -> Json:
        elements = [self._written_out(each) for each in short["element"]]
        rest = {name: value for name, value in short.items() if name != "element"}
        return {**rest, "url": url, "derivation": "constraint", "differential": {"element": elements}}

    def _element(self, short: Json, kind: str) -> Json:
        made = self._written_out(short)
        path = made["id"] = made["path"]
        made["base"] = self._introduced(path) or {name: made[name] for name in ("path", "min", "max")}
        is_system = path.endswith(".id") or path == "Extension.url" or (kind == "primitive-type" and "." in path)
        if is_system:
            made["type"] = [_system_type(each) for each in made["type"]]
        elif made.get("type") != [{"code": "Resource"}] and not (kind == "resource" and "." not in path):
            made["constraint"] = [_ELEMENT_CONSTRAINT, *made.get("constraint", ())]
        return made

    def _introduced(self, path: str) -> Json | None:
        """The element of an ancestor type that an element comes from, None for one of the type's own."""
        holder, _, name = path.rpartition(".")
        found = None
        type_ = "BackboneElement" if "." in holder else self._base["types"].get(holder, {}).get("base", "")
        while type_:
            for each in self._base["types"][type_]["element"]:
                if each["path"] == f"{type_}.{name}":
                    found = {key: each[key] for key in ("path", "min", "max")}
            type_ = self._base["types"][type_]["base"]
        return found

    def _written_out(self, short: Json) -> dict[str, Any]:
        made = dict(short)
        if "constraint" in short:
            made["constraint"] = [self._constraint(number) for number in short["constraint"]]
        if "type" in short:
            made["type"] = [_type(each) for each in short["type"]]
        return made

    def _constraint(self, number: int) -> dict[str, Any]:
        key, severity, human, expression, source = self._base["constraints"][number]
        made = {"key": key, "severity": severity, "human": human, "expression": expression, "source": source}
        return {name: value for name, value in made.items() if value}


def _resource(url: str, rest: Mapping[str, Any]) -> Json:
    name = url.rpartition("/")[2]
    about = {"id": name, "url": url, "name": name, "status": "unknown", "fhirVersion": "4.0.1"}
    return {"resourceType": "StructureDefinition", **about, **rest}


def _type(short: Json) -> Json:
    if "targetProfile" not in short:
        return short
    return {**short, "targetProfile": [each if "/" in each else STRUCTURE + each for each in short["targetProfile"]]}


def _system_type(short: Json) -> Json:
    """R4 writes the type of what has no parts, such as ids, as FHIRPath type with FHIR's own in an extension."""
    own = {"url": STRUCTURE + "structuredefinition-fhir-type", "valueUrl": short["code"]}
    return {**short, "extension": [own], "code": "http://hl7.org/fhirpath/System.String"}
