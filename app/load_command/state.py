"""How far a load has come, in a folder of its own: each file's place, and what was refused."""

import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_STATE, REFUSED = "load.json", "refused.ndjson"


class Unfit(Exception):
    """The folder cannot be used; the text says why."""


@dataclass(slots=True)
class State:
    """into: the server. key: what tells this load from another one of the same files. done: file -> the place of what
    was not sent yet; stamps: file -> what tells another content. refused: of what is not there, where it stands and
    what the server said. counts: status -> how many; rounds: how often what was refused was sent again."""

    folder: Path
    into: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    done: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, str] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    rounds: int = 0

    @classmethod
    def opened(cls, folder: Path, into: str) -> "State":
        """A new one, or that of a load that was broken off. Raises Unfit if it went to another server."""
        try:
            held = json.loads((folder / _STATE).read_text("utf-8"))
        except FileNotFoundError:
            return cls(folder, into)
        except (OSError, ValueError) as error:
            raise Unfit(f"{folder / _STATE} cannot be read ({type(error).__name__}).") from None
        if held.get("into") != into:
            raise Unfit(f"{folder} is of a load into {held.get('into')}: name another --state, or remove it.")
        own = {name: held[name] for name in ("key", "done", "stamps", "refused", "rounds")}
        return cls(folder, into, counts=Counter(held["counts"]), **own)

    def begun(self, file: str) -> int:
        """Where to go on in a file: at its beginning where it has changed."""
        found = Path(file).stat()
        stamp = f"{found.st_size} {found.st_mtime_ns}"
        if self.stamps.get(file) != stamp:
            self.stamps[file], self.done[file] = stamp, 0
            self.refused = [each for each in self.refused if each["file"] != file]
        return self.done[file]

    def save(self) -> None:
        """Atomically, so that a kill leaves this or what was there before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = {name: getattr(self, name) for name in ("into", "key", "done", "stamps", "refused", "counts", "rounds")}
        _write(self.folder / _STATE, json.dumps(held))

    def end(self) -> None:
        """Nothing is left to be gone on with but what was refused, which is listed."""
        if not self.refused:
            shutil.rmtree(self.folder, ignore_errors=True)
            return
        self.save()
        _write(self.folder / REFUSED, "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in self.refused))


def told(file: str, place: int, name: str, status: str, issues: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is kept of a refusal."""
    return {"file": file, "place": place, "resource": name, "status": status, "issue": list(issues)}


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
