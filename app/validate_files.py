"""`dermatome validate`: files, folders and standard input, told for people and for programs.

Ends with 0 if everything is valid, 1 if something has an error, 2 if something could not be read or was asked wrongly.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, Refused, operation_outcome
from app.fhir.places import Posted
from app.validation.remote import Checker
from app.validation.telling.nominated import not_checked

VALID, INVALID, UNREAD = 0, 1, 2
_SUFFIXES = (".json", ".ndjson", ".jsonl")
_LINES = (".ndjson", ".jsonl")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Of the HL7 extensions pack: the file an OperationOutcome is about.
_FILE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-file"
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"fatal": "error", "error": "error", "warning": "warning", "information": "note"}


class Format(StrEnum):
    """How the findings are told: sentences, JSON lines, OperationOutcomes (one a line), or SARIF for CI systems."""

    TEXT = "text"
    JSON = "json"
    OUTCOME = "outcome"
    SARIF = "sarif"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in one resource. line: where it starts in its file."""

    file: str
    line: int
    issues: Sequence[Issue]

    def is_valid(self, *, strict: bool) -> bool:
        return not any(issue.is_error or (strict and issue.severity == "warning") for issue in self.issues)


class Unread(Exception):
    """Something that was to be validated could not be, in a sentence."""


def run(validator: Checker, names: Sequence[str], profiles: Sequence[str], told: Format, *, strict: bool) -> int:
    """Validate what the names stand for and tell it on standard output; the answer is the exit code.

    strict: warnings count as errors.
    """
    counts = {VALID: 0, INVALID: 0}
    unread = False
    results: list[dict[str, object]] = []
    for file in _files(names):
        try:
            for finding in _findings(validator, file, profiles):
                counts[VALID if finding.is_valid(strict=strict) else INVALID] += 1
                results += _sarif(finding) if told is Format.SARIF else []
                _tell(finding, told, strict=strict)
        except Unread as error:
            unread = True
            print(f"{file}: {error}", file=sys.stderr)
    if told is Format.SARIF:
        print(lossless.pretty(lossless.dumps(_sarif_log(results))).decode())
    print(f"{sum(counts.values())} resources: {counts[VALID]} valid, {counts[INVALID]} not", file=sys.stderr)
    return UNREAD if unread else INVALID if counts[INVALID] else VALID


def _files(names: Sequence[str]) -> Iterator[str]:
    """The files that names stand for; a folder without any stands for itself, to be told."""
    for name in names:
        found = [path for path in sorted(Path(name).rglob("*")) if path.suffix.lower() in _SUFFIXES]
        yield from [str(path) for path in found if not path.is_dir()] or [name]


def _findings(validator: Checker, file: str, profiles: Sequence[str]) -> Iterator[Finding]:
    # A name that is no UTF-8 could not be written into JSON.
    told = os.fsencode(file).decode("utf-8", "replace")
    for line, part in _parts(file):
        yield Finding(told, line, _issues(validator, part, line, profiles))


def _parts(file: str) -> Iterator[tuple[int, bytes]]:
    """The resources of a file with the lines they start at. Raises Unread where there is none."""
    path, is_empty = Path(file), True
    if path.is_dir():
        raise Unread(f"nothing to validate, no {', '.join(_SUFFIXES)} file in this folder")
    if _never_ends(path):
        raise Unread("cannot be read: it is a device or a pipe")
    try:
        for line, part in _lines(path) if path.suffix.lower() in _LINES else _text(file):
            if part.strip():
                is_empty = False
                yield line, part.removeprefix(_BYTE_ORDER_MARK) if line == 1 else part
    except OSError as error:
        raise Unread(f"cannot be read: {error.strerror}") from None
    if is_empty:
        raise Unread("nothing to validate, it is empty")


def _never_ends(path: Path) -> bool:
    """Whether reading may have no end. The pipes that shells name in /dev/fd have one."""
    is_special = path.exists() and not path.is_file()
    return is_special and not str(path).startswith(("/dev/fd/", "/dev/stdin", "/proc/"))


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """One line after the other: such a file may be larger than memory."""
    with path.open("rb") as lines:
        yield from enumerate(lines, 1)


def _text(file: str) -> Iterator[tuple[int, bytes]]:
    """The whole text of a file, or of standard input, or its lines if each is a resource (NDJSON)."""
    text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    lines = text.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    yield from enumerate(lines, 1) if _is_line_by_line(lines) else ((1, text),)


def _is_line_by_line(lines: Sequence[bytes]) -> bool:
    """Whether the first line is a whole JSON object, and more lines follow."""
    filled = [line for line in lines if line.strip()][:2]
    try:
        return len(filled) > 1 and bool(lossless.parse_object(filled[0]))
    except Refused:
        return False


def _issues(validator: Checker, text: bytes, line: int, profiles: Sequence[str]) -> list[Issue]:
    """Every problem of one resource with its place in the file. Raises Unread for a profile that is not known."""
    try:
        tree = lossless.parse_object(text)
    except Refused as refused:
        return [_in_file(issue, line) for issue in refused.issues]
    issues = validator.check(tree, profiles=profiles)
    if not_checked(issues, tree, profiles):
        raise Unread("a profile that is asked for is not known here, so nothing is said of the resource")
    return [_in_file(issue, line) for issue in Posted(text, tree).placed(issues)]


def _in_file(issue: Issue, line: int) -> Issue:
    return replace(issue, line=(issue.line or 1) + line - 1, column=issue.column or 1)


def _tell(finding: Finding, told: Format, *, strict: bool) -> None:
    if told is Format.TEXT:
        where = finding.file if finding.line == 1 else f"{finding.file}:{finding.line}"
        if not finding.issues:
            print(f"{where}: valid")
        for issue in finding.issues:
            place = f"{finding.file}:{issue.line}:{issue.column}"
            print(" ".join(part for part in (f"{place}:", issue.severity, _rule(issue), _sentence(issue)) if part))
    elif told is Format.JSON:
        issues = [_fields(issue) for issue in finding.issues]
        is_valid = finding.is_valid(strict=strict)
        one = {"file": finding.file, "line": finding.line, "valid": is_valid, "issues": issues}
        print(lossless.dumps(one).decode())
    elif told is Format.OUTCOME:
        outcome = operation_outcome(finding.issues)
        named = {"extension": [{"url": _FILE, "valueString": finding.file}]}
        print(lossless.dumps({"resourceType": outcome.pop("resourceType"), **named, **outcome}).decode())


def _rule(issue: Issue) -> str:
    return f"{issue.rule}:" if issue.rule else ""


def _sentence(issue: Issue) -> str:
    return f"{issue.diagnostics} {issue.suggestion}".strip()


def _fields(issue: Issue) -> dict[str, object]:
    """What is known of an issue, under the names of Issue."""
    names = ("severity", "code", "rule", "profile", "diagnostics", "expression", "expected", "found", "suggestion")
    places = ("pointer", "entry", "line", "column")
    texts = {name: getattr(issue, name) for name in names if getattr(issue, name)}
    return texts | {name: getattr(issue, name) for name in places if getattr(issue, name) is not None}


def _sarif(finding: Finding) -> list[dict[str, object]]:
    """The findings as results of SARIF 2.1.0 (OASIS), which CI systems show beside the lines."""
    return [
        {
            "ruleId": issue.rule or issue.code,
            "level": _LEVELS[issue.severity],
            "message": {"text": _sentence(issue)},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(finding.file)},
                        "region": {"startLine": issue.line, "startColumn": issue.column},
                    },
                    "logicalLocations": [{"fullyQualifiedName": issue.expression}] if issue.expression else [],
                }
            ],
        }
        for issue in finding.issues
    ]


def _sarif_log(results: list[dict[str, object]]) -> dict[str, object]:
    return {
        "version": "2.1.0",
        "$schema": _SARIF,
        "runs": [{"tool": {"driver": {"name": "Dermatome"}}, "results": results}],
    }
