"""The one way in which clients are made."""

from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx


def bare(**given: Any) -> httpx.AsyncClient:
    """A client that goes where it is told only, and keeps nothing.

    No redirects, and no proxies of the environment: patient data goes where the configuration says. No cookies: a
    server could hand out ever more of them, and have itself told by one what it told by another.
    """
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(follow_redirects=False, trust_env=False, cookies=jar, **given)
