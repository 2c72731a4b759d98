"""The guide as a FHIR package: the npm layout that validators, servers and loaders of others read.

Source: HL7 FHIR NPM package specification (https://hl7.org/fhir/packages.html), .index.json version 2.
"""

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.fhir.json import dumps
from app.mapping.elements import Resource
from app.profiles import package as manifest

# What .index.json says of a file, where the resource has it as a string.
_INDEXED = ("resourceType", "id", "url", "version", "kind", "type", "supplements", "content", "valueSet", "derivation")
_OURS_ALONE = frozenset({"guides"})


def package(definitions: Iterable[Resource], examples: Mapping[str, Resource]) -> bytes:
    """The package as .tgz: the same definitions and examples give the same bytes.

    examples: file stem -> resource. Those that are wrong on purpose do not belong here.
    """
    files = {"package.json": _manifest()}
    files |= dict(_folder({f"{one['resourceType']}-{one['id']}.json": one for one in definitions}))
    shown = _folder({f"{stem}.json": one for stem, one in examples.items()})
    files |= {f"example/{name}": text for name, text in shown}
    return gzip.compress(_archive({f"package/{name}": text for name, text in files.items()}), mtime=0)


def _manifest() -> bytes:
    own = {name: value for name, value in manifest().items() if name not in _OURS_ALONE}
    return dumps({**own, "author": "Dermatome", "directories": {"lib": "package", "example": "example"}})


def _folder(resources: Mapping[str, Resource]) -> Iterator[tuple[str, bytes]]:
    """The files of one folder, its index first."""
    rows = [_indexed(name, one) for name, one in sorted(resources.items())]
    yield ".index.json", dumps({"index-version": 2, "files": rows})
    for name, one in sorted(resources.items()):
        yield name, dumps(one)


def _indexed(name: str, resource: Resource) -> dict[str, Any]:
    return {"filename": name} | {key: resource[key] for key in _INDEXED if isinstance(resource.get(key), str)}


def _archive(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            archive.addfile(entry, io.BytesIO(text))
    return made.getvalue()
