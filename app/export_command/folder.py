"""The folder of an export: what was asked for, what is there, and what was checked, so that it can be gone on with."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STATE, _MANIFEST, _SUMS = "export.json", "manifest.json", "SHA256SUMS"
_KINDS = ("output", "deleted", "error")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_ENDING = re.compile(r"\.(ndjson|json|csv|parquet)\b")
_CHUNK = 1_048_576


class Unfit(Exception):
    """The folder cannot be used; the text says why."""


class Damaged(Exception):
    """A file is not what the server said it is; the text says how."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the manifest. count: lines, None where the server does not say; lines can be counted in NDJSON only."""

    name: str
    address: str
    type: str
    kind: str
    count: int | None

    @property
    def is_counted(self) -> bool:
        return self.count is not None and self.name.endswith(".ndjson")


@dataclass(slots=True)
class Folder:
    """An export in a folder. asked: whatever tells one from another; place: where the server can be asked for it;
    sums: name -> sha-256 of the files that are there, checked."""

    path: Path
    asked: Mapping[str, Any]
    place: str = ""
    manifest: Mapping[str, Any] | None = None
    sums: dict[str, str] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path, asked: Mapping[str, Any]) -> "Folder":
        """A new export, or the one that was begun in this folder. Raises Unfit if that is another one."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not (path / _STATE).exists():
                if any(path.iterdir()):
                    raise Unfit(f"{path} is not empty, and no export was begun in it")
                return cls(path, asked)
            state = json.loads((path / _STATE).read_text("utf-8"))
        except OSError as error:
            raise Unfit(f"{path}: {error.strerror}") from None
        except ValueError:
            raise Unfit(f"{path / _STATE} is damaged") from None
        if state.get("asked") != asked:
            raise Unfit(f"another export was begun in {path}; choose another folder")
        return cls(path, asked, state["place"], state["manifest"], state["sums"])

    def save(self) -> None:
        """Note how far it is, so that a kill at any time loses nothing but what was being read."""
        state = {"asked": self.asked, "place": self.place, "manifest": self.manifest, "sums": self.sums}
        _replace(self.path / _STATE, json.dumps(state, indent=1))

    def items(self) -> Iterator[Item]:
        """The files of the manifest, under names of our own: theirs may be anything. Raises Unfit."""
        numbers: dict[tuple[str, str], int] = {}
        for kind in _KINDS:
            for each in (self.manifest or {}).get(kind) or ():
                type_, address = str(each.get("type") or "Bundle"), str(each.get("url") or "")
                if not _TYPE.fullmatch(type_) or not address:
                    raise Unfit("the manifest names a file without a type or an address")
                number = numbers[kind, type_] = numbers.get((kind, type_), 0) + 1
                count = each.get("count")
                ending = found[-1] if (found := _ENDING.findall(address)) else "ndjson"
                prefix = "" if kind == "output" else f"{kind}."
                name = f"{prefix}{type_}.{number:04d}.{ending}"
                yield Item(name, address, type_, kind, count if isinstance(count, int) else None)

    def part(self, item: Item) -> Path:
        """Where a file lies while it is being read."""
        return self.path / f"{item.name}.part"

    def keep(self, item: Item, sha256: str) -> None:
        """Check a file that was read, and give it its name. Raises Damaged; then nothing is left of it."""
        part = self.part(item)
        found, lines = _looked_at(part)
        wrong = []
        if sha256 and found != sha256:
            wrong.append("its checksum is not the one the server told")
        if item.is_counted and lines != item.count:
            wrong.append(f"it has {lines} lines, the manifest says {item.count}")
        if wrong:
            part.unlink()
            raise Damaged(f"{item.name}: {' and '.join(wrong)}")
        part.replace(self.path / item.name)
        self.sums[item.name] = found
        self.save()

    def finish(self) -> None:
        """Write what others check by: `sha256sum -c SHA256SUMS`."""
        _replace(self.path / _MANIFEST, json.dumps(self.manifest, indent=1))
        _replace(self.path / _SUMS, "".join(f"{self.sums[name]}  {name}\n" for name in sorted(self.sums)))


def _looked_at(path: Path) -> tuple[str, int]:
    """The checksum of a file, and its lines."""
    digest, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
            lines += data.count(b"\n")
        os.fsync(file.fileno())
    return digest.hexdigest(), lines


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.part")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
