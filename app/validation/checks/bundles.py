"""What R4 says of Bundle entries in words only (section 2.36.4: fullUrl)."""

import re
from typing import Any

from app.profiles import r4
from app.validation.telling.report import Report

# Bundles whose entries are found by their fullUrl; in the others it may be missing.
_NEEDS_URL = frozenset({"document", "message", "searchset", "collection", "history"})
# Bundles whose resources need not have an id yet.
_CREATES = frozenset({"transaction", "batch"})
_RESTFUL = re.compile(r"https?://\S+/([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.\-]{0,30}:\S+")


def check_entries(report: Report, bundle: dict[str, Any], path: str) -> None:
    """Every entry with a resource has a fullUrl where the type of Bundle needs one, and it fits type and id."""
    kind = str(bundle.get("type"))
    entries = bundle.get("entry")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        url = entry.get("fullUrl") if isinstance(entry, dict) else None
        where = f"{path}.entry[{place}]"
        if isinstance(url, str) and not _ABSOLUTE.fullmatch(url):
            text = "A fullUrl must be an absolute URL"
            report.add("value", text, where, rule="dmt-full-url-absolute", expected="an absolute URL", member="fullUrl")
        elif isinstance(url, str) and isinstance(resource, dict):
            _check_url(report, url, resource, where, needs_id=kind not in _CREATES)
        elif url is None and isinstance(resource, dict) and kind in _NEEDS_URL:
            text = "An entry with a resource needs a fullUrl in this type of Bundle"
            fix = 'Add "fullUrl": "urn:uuid:..." with a new UUID, or the address of the resource on its server.'
            report.add("required", text, where, rule="dmt-full-url-missing", expected="a fullUrl", suggestion=fix)


def _check_url(report: Report, url: str, resource: dict[str, Any], where: str, *, needs_id: bool) -> None:
    """A fullUrl that looks like the address of a resource on a server must end with its type and id."""
    match = _RESTFUL.fullmatch(url)
    name, id_ = resource.get("resourceType"), resource.get("id")
    if match is None or match[1] not in r4()["types"]:
        return
    if "/_history/" in url:
        text = "A fullUrl does not name a version"
        report.add("value", text, where, rule="dmt-full-url-version", member="fullUrl")
    elif (match[1] != name) or (match[2] != id_ if id_ is not None else needs_id):
        text = "A fullUrl that names a resource on a server must end with the id of the resource"
        report.add("value", text, where, rule="dmt-full-url-id", suggestion="Give both the same id.", member="fullUrl")
