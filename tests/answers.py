"""Reading answers in tests."""

from typing import Any

import httpx


def issues(response: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome answer; fails if the answer is none."""
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome", outcome
    assert response.headers["content-type"].startswith("application/fhir+json")
    found: list[dict[str, Any]] = outcome["issue"]
    return found


def expressions(response: httpx.Response) -> list[str]:
    """Where the errors of an OperationOutcome answer are."""
    return [
        place for issue in issues(response) if issue["severity"] == "error" for place in issue.get("expression", [])
    ]


async def count(client: httpx.AsyncClient, resource_type: str, **search: str) -> int:
    """How many resources of a type there are."""
    response = await client.get(f"/fhir/{resource_type}", params={"_count": "0", **search})
    assert response.status_code == 200, response.text
    total: int = response.json()["total"]
    return total
