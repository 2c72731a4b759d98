"""Verdicts of the official validator, as they are recorded in tests/validation/data: a header line, then one a case."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.profiles import package
from tools.oracle.cases import Case, definitions_digest

RECORDED = Path(__file__).parent.parent.parent / "tests" / "validation" / "data" / "oracle.jsonl"
SOURCE = {
    "source": "The official HL7 validator, org.hl7.fhir.validation 6.10.3 (Apache-2.0), FHIR R4 core package 4.0.1, no "
    "terminology server. How it is asked: tools/oracle.",
    "licence": "Apache-2.0. The facts are the validator's; its words are not copied.",
}

Json = dict[str, Any]
Issue = Mapping[str, str | None]

# The id of a message about a broken constraint is the profile's URL, # and the key.
_OWN = f"{package()['canonical']}/"


class Verdict(NamedTuple):
    """errors: path and message id of each, sorted; none means valid. rules: keys of our own constraints that it says
    are broken, as errors or as warnings."""

    errors: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]

    @classmethod
    def of(cls, errors: Iterable[Issue], warnings: Iterable[Issue]) -> "Verdict":
        ids = {str(each["id"]).partition("#") for each in (*errors, *warnings)}
        return cls(
            tuple(sorted({(str(each["path"]), each["id"] or "") for each in errors})),
            tuple(sorted({key for url, _, key in ids if url.startswith(_OWN)})),
        )

    @property
    def is_valid(self) -> bool:
        return not self.errors

    @property
    def ids(self) -> str:
        return ", ".join(sorted({id_.rpartition("/")[2] or "reading" for _, id_ in self.errors}))


class Record(NamedTuple):
    """A recorded verdict. digest: of the resource it is about."""

    digest: str
    verdict: Verdict


def write(cases: Iterable[Case], found: Mapping[str, Verdict], date: str, path: Path = RECORDED) -> bool:
    """Record verdicts; True if anything but the date is new."""
    lines = [_line(case, found[case.name]) for case in cases]
    header = SOURCE | {"definitions": definitions_digest(), "recorded": date}
    old = path.read_text("utf-8").splitlines() if path.exists() else []
    if old and lines == old[1:] and json.loads(old[0]) | {"recorded": date} == header:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([json.dumps(header), *lines]) + "\n", "utf-8")
    return True


def _line(case: Case, verdict: Verdict) -> str:
    record = {"name": case.name, "digest": case.digest, "verdict": "valid" if verdict.is_valid else "invalid"}
    found = {"errors": verdict.errors, "rules": verdict.rules}
    return json.dumps(record | {k: v for k, v in found.items() if v}, ensure_ascii=False, separators=(",", ":"))


def read(path: Path = RECORDED) -> tuple[Json, dict[str, Record]]:
    """The header, and the recorded verdicts by name."""
    with path.open(encoding="utf-8") as lines:
        header = json.loads(next(lines))
        return header, dict(_records(lines))


def _records(lines: Iterable[str]) -> Iterator[tuple[str, Record]]:
    for line in lines:
        one = json.loads(line)
        errors = tuple((path, id_) for path, id_ in one.get("errors", ()))
        yield one["name"], Record(one["digest"], Verdict(errors, tuple(one.get("rules", ()))))
