"""The rules of Bundles: what a batch or transaction asks for, read into writes (R4 3.1.0.11)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.fhir import json as lossless
from app.fhir.outcomes import Issue, NotFound, NotSupported, Refused
from app.intake.accept import Checker
from app.intake.writes import ANY_VERSION, Write

_ADDRESS = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(/(?P<id>[A-Za-z0-9.-]{1,64}))?")
_WEAK_ETAG = re.compile(r'(W/)?"(?P<version>\d{1,9})"')
# DELETE, POST, PUT in this order (R4 3.1.0.11.2); answers keep the order of the entries.
_METHODS = ("DELETE", "POST", "PUT")


@dataclass(frozen=True, slots=True)
class Read:
    """A GET of a batch: the address below the FHIR endpoint, and where it stood."""

    url: str
    path: str


Item = Write | Read | Refused


@dataclass(frozen=True, slots=True)
class Asked:
    """What a Bundle asks for, in the order of its entries; in a batch, an entry that cannot be read is its refusal."""

    kind: Literal["batch", "transaction"]
    entries: list[Item]


def read_bundle(text: bytes, tree: Mapping[str, Any], checker: Checker, types: frozenset[str]) -> Asked:
    """What a Bundle asks for. Raises Refused where the Bundle, or any entry of a transaction, cannot be read."""
    entries = _entries(tree)
    shell = {**tree, "entry": [{k: v for k, v in e.items() if k != "resource"} for e in entries]}
    if not entries:
        shell.pop("entry")
    problems = [issue for issue in checker.check(shell) if issue.is_error]
    kind = tree.get("type")
    if kind not in ("batch", "transaction"):
        told = "Only a batch or a transaction is processed here; POST other Bundles to /fhir/Bundle to store them."
        problems.append(Issue("value", told, "Bundle.type", rule="dmt-bundle-kind", expected="batch or transaction"))
    read = [
        _item(i, entry, content, types, kind)
        for i, (entry, content) in enumerate(zip(entries, lossless.entry_texts(text), strict=True))
    ]
    own = [issue for issue in problems if kind != "batch" or not issue.expression.startswith("Bundle.entry[")]
    if kind != "batch":
        own += [issue for entry in read if isinstance(entry, Refused) for issue in entry.issues]
    if own:
        raise Refused(own)
    wrong = _by_entry(problems)
    return Asked(kind, [_readable(entry, wrong.get(i, ())) for i, entry in enumerate(read)])  # type: ignore[arg-type]


def _readable(entry: Item, problems: Sequence[Issue]) -> Item:
    return Refused(problems) if problems and not isinstance(entry, Refused) else entry


def weak_etag(value: str, expression: str) -> int:
    """The version number of an If-Match header such as W/"3"."""
    if value.strip() == "*":
        return ANY_VERSION
    found = _WEAK_ETAG.fullmatch(value.strip())
    if not found:
        told = 'If-Match must be a version such as W/"3", or *.'
        raise Refused([Issue("value", told, expression, rule="dmt-bundle-entry" if expression else "")])
    return int(found["version"])


def _entries(tree: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    entries = tree.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise Refused([Issue("structure", "Bundle.entry must be a list of objects.", "Bundle.entry", rule="dmt-array")])
    return entries


def _by_entry(issues: Sequence[Issue]) -> dict[int, list[Issue]]:
    found: dict[int, list[Issue]] = {}
    for issue in issues:
        if place := re.match(r"Bundle\.entry\[(\d+)\]", issue.expression):
            found.setdefault(int(place[1]), []).append(issue)
    return found


def _item(index: int, entry: Mapping[str, Any], text: bytes, types: frozenset[str], kind: object) -> Item:
    path = f"Bundle.entry[{index}]"
    request = entry.get("request")
    if kind == "batch" and isinstance(request, dict) and request.get("method") == "GET":
        return _reading(path, entry, request)
    try:
        return _write(path, entry, text, types)
    except Refused as refused:
        return refused


def _reading(path: str, entry: Mapping[str, Any], request: Mapping[str, Any]) -> Read | Refused:
    issues = [
        _wrong("not-supported", f"{name} with GET in a Bundle is not supported.", f"{path}.request.{name}")
        for name in request
        if name.startswith("if")
    ]
    if "resource" in entry:
        issues.append(_wrong("value", "GET takes no resource.", f"{path}.resource"))
    return Refused(issues) if issues else Read(str(request.get("url", "")).lstrip("/"), path)


def _write(path: str, entry: Mapping[str, Any], text: bytes, types: frozenset[str]) -> Write:
    request, resource = entry.get("request"), entry.get("resource")
    if not isinstance(request, dict):
        raise Refused([_wrong("required", "An entry of a batch or transaction needs a request.", f"{path}.request")])
    method, url = request.get("method"), str(request.get("url", ""))
    issues = [
        _wrong("not-supported", f"{name} in a Bundle is not supported.", f"{path}.request.{name}")
        for name in ("ifNoneMatch", "ifModifiedSince")
        if name in request
    ]
    if method not in _METHODS:
        offered = f"{', '.join(_METHODS)}, and in a batch GET"
        told = f"The method {str(method)[:10]} is not supported here; offered: {offered}."
        raise NotSupported([*issues, _wrong("not-supported", told, f"{path}.request.method")])
    address = _ADDRESS.fullmatch(url)
    if not address or (method == "POST") == bool(address["id"]):
        form = "Type" if method == "POST" else "Type/id"
        raise Refused([*issues, _wrong("value", f"For {method} the url must be {form}.", f"{path}.request.url")])
    if address["type"] not in types:
        raise NotFound([_wrong("not-found", f"{address['type']} is no R4 resource type.", f"{path}.request.url")])
    if method != "DELETE" and not isinstance(resource, dict):
        issues.append(_wrong("required", f"{method} needs a resource.", f"{path}.resource"))
    if method != "POST" and "ifNoneExist" in request:
        issues.append(_wrong("value", "ifNoneExist goes with POST only.", f"{path}.request.ifNoneExist"))
    if method == "DELETE" and resource is not None:
        issues.append(_wrong("value", "DELETE takes no resource.", f"{path}.resource"))
    if "ifNoneExist" in request and not str(request["ifNoneExist"]).strip():
        issues.append(_wrong("value", "The condition is empty.", f"{path}.request.ifNoneExist"))
    if issues:
        raise Refused(issues)
    match = request.get("ifMatch")
    return Write(
        method=method,
        type=address["type"],
        id=address["id"] or "",
        text=text if method != "DELETE" else b"",
        tree=resource if method != "DELETE" else None,
        if_match=weak_etag(str(match), f"{path}.request.ifMatch") if match else None,
        if_none_exist=str(request.get("ifNoneExist", "")),
        path=path,
        full_url=str(entry.get("fullUrl", "")),
    )


def _wrong(code: str, told: str, path: str) -> Issue:
    return Issue(code, told, path, rule="dmt-bundle-entry")
