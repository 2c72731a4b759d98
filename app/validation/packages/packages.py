"""Packages of FHIR definitions from a folder: read whole, what is wrong named at once, what is not used said."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.fhir.json import parse_object
from app.fhir.outcomes import Refused
from app.validation.packages.archives import Unreadable, json_files_of
from app.validation.packages.definitions import FHIR_VERSION, fixed_urls, flaws, unused, version_flaw
from app.validation.packages.notes import notes_on
from app.validation.packages.shapes import misshapen

Json = Mapping[str, Any]
_ARCHIVES = (".tgz", ".tar.gz")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_FOREIGN_CORES = ("hl7.fhir.r2.", "hl7.fhir.r3.", "hl7.fhir.r4b.", "hl7.fhir.r5.", "hl7.fhir.r6.")


class WrongPackages(Exception):
    """Packages that cannot be used; the message has a line for every reason."""


@dataclass(slots=True)
class Package:
    """One package. definitions: those used, by URL; files: URL -> where it stood; unused: what was left out and why ->
    how often."""

    name: str
    version: str = ""
    dependencies: tuple[str, ...] = ()
    definitions: dict[str, Json] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    unused: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        """What was read, in a sentence."""
        used = Counter(str(each["resourceType"]) for each in self.definitions.values())
        counts = ", ".join(f"{count} {type_}" for type_, count in sorted(used.items())) or "nothing"
        left = "; ".join(f"{count} {why}" for why, count in sorted(self.unused.items()))
        return f"{self.name} {self.version or '(no version)'}: {counts} used" + (f"; not used: {left}" if left else "")


def load_packages(folder: Path) -> list[Package]:
    """The packages of a folder, in the order of their file names. Raises WrongPackages naming everything wrong."""
    problems: list[str] = []
    try:
        entries = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
    except OSError as error:
        raise WrongPackages(f"{folder}: {error.strerror}") from None
    found = [_package(each, problems) for each in entries if each.is_dir() or each.name.endswith(_ARCHIVES)]
    loose = Package("loose files")
    for each in entries:
        if each.suffix == ".json" and each.is_file():
            _read_into(loose, each, problems)
        elif each.is_file() and not each.name.endswith(_ARCHIVES):
            loose.unused[f"file {each.name} (neither package nor JSON)"] += 1
    packages = [*found, *([loose] if loose.definitions or loose.unused else [])]
    _leave_out_doubles(packages)
    # Leaving one out can make orphans of others.
    while _leave_out_orphans(packages):
        pass
    problems += _broken(packages)
    if problems:
        raise WrongPackages("\n".join(problems))
    return packages


def definitions_of(packages: Iterable[Package]) -> list[Json]:
    """The definitions that take part in validation."""
    return [each for package in packages for each in package.definitions.values()]


def missing(packages: Iterable[Package]) -> list[str]:
    """The packages that others depend on and that are not there: their definitions count as unknown."""
    packages = list(packages)
    here = {package.name for package in packages} | {"hl7.fhir.r4.core"}
    return sorted({each for package in packages for each in package.dependencies if each.partition("#")[0] not in here})


def notes(packages: Iterable[Package]) -> list[str]:
    """What the definitions ask that cannot be checked here, as sentences."""
    definitions = definitions_of(packages)
    known = {str(each["url"]) for each in definitions} | fixed_urls()
    profiles = [each for each in definitions if each["resourceType"] == "StructureDefinition"]
    return [
        f"{each['url']}: {note}"
        for each in profiles
        for note in notes_on(each, lambda url: url.partition("|")[0] in known)
    ]


def said(packages: Iterable[Package]) -> list[str]:
    """All that is to be said at start: what was read, what is not used, not there, and not checked."""
    packages = list(packages)
    absent = [f"{each} is not here, so its definitions are unknown" for each in missing(packages)]
    return [*(each.told() for each in packages), *absent, *notes(packages)]


def _package(path: Path, problems: list[str]) -> Package:
    package = Package(path.name)
    _read_into(package, path, problems)
    return package


def _read_into(package: Package, path: Path, problems: list[str]) -> None:
    try:
        for name, content in json_files_of(path):
            where = path.name if path.suffix == ".json" else f"{path.name}: {name}"
            try:
                resource = parse_object(content.removeprefix(_BYTE_ORDER_MARK))
            except Refused as refused:
                problems += [f"{where}: {issue.diagnostics}" for issue in refused.issues]
                continue
            if name == "package.json" and "resourceType" not in resource:
                problems += [f"{where}: {each}" for each in _read_manifest(package, resource)]
            else:
                problems += [f"{where}: {each}" for each in _add(package, resource, where)]
    except Unreadable as error:
        problems.append(f"{path.name}: {error}")


def _read_manifest(package: Package, manifest: Json) -> list[str]:
    """Name, version and dependencies; answers what is wrong with them."""
    package.name, package.version = str(manifest.get("name", package.name)), str(manifest.get("version", ""))
    needed = manifest.get("dependencies", {})
    package.dependencies = tuple(f"{k}#{v}" for k, v in needed.items()) if isinstance(needed, dict) else ()
    versions = manifest.get("fhirVersions", manifest.get("fhir-version-list", [FHIR_VERSION]))
    wrong = [f"it depends on {each}, of another FHIR version" for each in package.dependencies if _is_foreign(each)]
    if not isinstance(versions, list) or FHIR_VERSION not in versions:
        wrong.append(f"it is for FHIR {versions}; {FHIR_VERSION} is needed")
    return wrong


def _is_foreign(dependency: str) -> bool:
    return dependency.startswith(_FOREIGN_CORES)


def _add(package: Package, resource: Json, where: str) -> list[str]:
    """Take one resource in, or note why not; answers what is wrong with it."""
    type_ = str(resource.get("resourceType", "file without resourceType"))
    if reason := unused(resource):
        package.unused[f"{type_} ({reason})"] += 1
        return []
    wrong = [*misshapen(resource), *filter(None, [version_flaw(resource)])]
    url = str(resource["url"])
    if not wrong and url in package.definitions:
        wrong.append(f"{url} is in {package.files[url]} already")
    if not wrong:
        package.definitions[url], package.files[url] = resource, where
    return wrong


def _leave_out_doubles(packages: Iterable[Package]) -> None:
    """Of several packages that define one URL, the first by file name counts, and the others say so."""
    seen: dict[str, str] = {}
    for package in packages:
        for url in [each for each in package.definitions if each in seen]:
            type_ = package.definitions.pop(url)["resourceType"]
            package.unused[f"{type_} (defined by {seen[url]} already)"] += 1
        seen |= dict.fromkeys(package.definitions, package.name)


def _leave_out_orphans(packages: Iterable[Package]) -> int:
    """Profiles without a snapshot whose base is in a package that is not here cannot be read; answers how many.

    Who claims one of them is told that it is not known.
    """
    known = fixed_urls().union(*(package.definitions for package in packages))
    found = [
        (package, url, base)
        for package in packages
        for url, each in package.definitions.items()
        if (base := str(each.get("baseDefinition", "")).partition("|")[0]) and base not in known
        if "snapshot" not in each
    ]
    for package, url, base in found:
        del package.definitions[url]
        package.unused[f"{url} (based on {base}, which is not here)"] += 1
    return len(found)


def _broken(packages: Iterable[Package]) -> list[str]:
    files = {url: where for package in packages for url, where in package.files.items()}
    profiles = [each for each in definitions_of(packages) if each["resourceType"] == "StructureDefinition"]
    found = dict.fromkeys(flaw for each in flaws(profiles, profiles, is_trusted=True).values() for flaw in each)
    return [f"{files.get(flaw.definition, '')}: {flaw}" for flaw in found]
