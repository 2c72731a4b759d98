"""The only outgoing HTTP. Every client is tied to one configured address, follows no redirects and has timeouts."""

import httpx

_TIMEOUT = httpx.Timeout(10, connect=5)
_LIMITS = httpx.Limits(max_connections=8)


def client(base_url: str) -> httpx.AsyncClient:
    """An HTTP client for one server; relative addresses only are to be used with it.

    Proxies of the environment are not used: patient data goes where the configuration says, nowhere else.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=_TIMEOUT,
        limits=_LIMITS,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept": "application/fhir+json", "User-Agent": "Dermatome"},
    )
