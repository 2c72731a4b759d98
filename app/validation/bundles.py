"""What R4 says of Bundle entries in words only (section 2.36.4: fullUrl)."""

import re
from typing import Any

from app.validation.report import Report

# Bundles whose entries are found by their fullUrl; in the others it may be missing.
_NEEDS_URL = frozenset({"document", "message", "searchset", "collection"})
_RESTFUL = re.compile(r"https?://\S+/([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})")


def check_entries(report: Report, bundle: dict[str, Any], path: str) -> None:
    """Every entry with a resource has a fullUrl where the type of Bundle needs one, and it fits type and id."""
    entries = bundle.get("entry")
    for place, entry in enumerate(entries if isinstance(entries, list) else []):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict):
            continue
        where = f"{path}.entry[{place}]"
        url = entry.get("fullUrl")
        if url is None and str(bundle.get("type")) in _NEEDS_URL:
            report.add("required", "An entry with a resource needs a fullUrl in this type of Bundle", where)
        elif isinstance(url, str):
            _check_url(report, url, resource, where)


def _check_url(report: Report, url: str, resource: dict[str, Any], where: str) -> None:
    match = _RESTFUL.fullmatch(url)
    found = (resource.get("resourceType"), resource.get("id"))
    if match and found[1] is not None and match[1] == found[0] and match[2] != found[1]:
        report.add("value", "A fullUrl that names a resource on a server must end with the id of the resource", where)
