"""Which addresses may be called that somebody else has named: by the admin API, or in a Subscription.

Who names an address must not reach by us what he cannot reach himself: neither this service, nor the private network
around it. Names are judged when they are dialled, by every address they stand for, and the judged one is dialled; so a
name that changes its meaning in between changes nothing.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import urlsplit

import httpcore
import httpx

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_PORTS = {"http": 80, "https": 443}
# What stands for the machine itself, whatever it is called.
_SELF = "localhost"
# Not public, though the library of Python 3.11 takes them for it: RFC 3879 (site-local), 8215 (translated), 9602
# (segments), 9637 (examples), 6890 (protocols; Oracle has a metadata service there), and a service of Azure for guests.
_IN_IPV6 = ("fec0::/10", "64:ff9b:1::/48", "5f00::/16", "3fff::/20")
_LOCAL = tuple(ipaddress.ip_network(each) for each in (*_IN_IPV6, "192.0.0.0/24", "168.63.129.16/32"))
# Addresses of IPv6 whose last 32 bits are one of IPv4: RFC 4291 (mapped, compatible), RFC 6052 and 2765 (translated).
_WITH_IPV4 = ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "::ffff:0:0:0/96")
_HOLDS_IPV4 = tuple(ipaddress.IPv6Network(each) for each in _WITH_IPV4)
_KEPT_SECONDS = 5.0
_OURSELVES = "It is this service itself."


class AddressRefused(httpcore.ConnectError):
    """An address that is not called from here; the text says why."""


@dataclass(frozen=True, slots=True)
class Guard:
    """networks, hosts: private ones that are allowed all the same.

    own_ports: where this service listens; own_base: the address by which the world calls it, "" if it has none.
    """

    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    own_ports: frozenset[int] = frozenset()
    own_base: str = ""

    def problems(self, url: str) -> list[str]:
        """What is wrong with an address as it is written."""
        try:
            parts = urlsplit(url)
            host, port = _place(url)
            literal = _literal(host) or _literal(_dialled(url))
        except ValueError:
            return ["It is no address."]
        if parts.scheme not in _PORTS or not host:
            return ["It must be an address of http or https."]
        if parts.username is not None or parts.password is not None:
            return ["It must not hold a user name or password: addresses are shown."]
        if self.own_base and (host, port) == _place(self.own_base):
            return [_OURSELVES]
        why = self.why_not(literal, host, port) if literal else ""
        return [why] if why else []

    def own(self, url: str) -> list[str]:
        """What is wrong with an address that the operator has named: that it is ours. Others may share our host."""
        host, port = _place(url)
        literal = _literal(host)
        at_port = literal is not None and port in self.own_ports and _is_this_machine(_real(literal))
        below = f"{urlsplit(url).path}/".startswith(f"{urlsplit(self.own_base).path.rstrip('/')}/")
        at_base = bool(self.own_base) and (host, port) == _place(self.own_base) and below
        return [_OURSELVES] if at_port or at_base else []

    def why_not(self, address: Address, host: str, port: int) -> str:
        """Why an address may not be called under a name, "" if it may."""
        real = _real(address)
        if port in self.own_ports and _is_this_machine(real):
            return _OURSELVES
        if host in self.hosts or any(real.version == each.version and real in each for each in self.networks):
            return ""
        if real.is_global and not real.is_multicast and not any(real in each for each in _LOCAL):
            return ""
        return "It is no public address; DERMATOME_PRIVATE_NETWORKS names the private ones that may be called."

    def allowing(self, *urls: str) -> "Guard":
        """The same for what an operator has named himself: whatever these hosts stand for is called."""
        hosts = (httpx.URL(url).raw_host.decode("ascii").rstrip(".").lower() for url in urls)
        return replace(self, hosts=self.hosts.union(hosts))


def parse_networks(names: Iterable[str]) -> tuple[tuple[Network, ...], frozenset[str]]:
    """The networks and the hosts among some names. Raises ValueError for what is neither."""
    networks, hosts = [], set()
    for name in names:
        try:
            networks.append(ipaddress.ip_network(name))
        except ValueError:
            if not name.replace("-", "").replace(".", "").isalnum() or name.replace(".", "").isdigit():
                raise ValueError(f"{name[:64]} is neither a network such as 10.0.0.0/8 nor a host") from None
            hosts.add(name.lower().rstrip("."))
    return tuple(networks), frozenset(hosts)


class _Backend(httpcore.AsyncNetworkBackend):
    """Dials what the guard allows."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (the signature of httpcore)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                addresses = await _resolved(host, port)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        name = host.rstrip(".").lower()
        for address in addresses:
            if why := self._guard.why_not(address, name, port):
                raise AddressRefused(why)
        for address in addresses[:-1]:
            # A name with two families often answers by one only.
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._inner.connect_tcp(str(address), port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(str(addresses[-1]), port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("It is no address of HTTP.")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over connections that the guard allows."""

    def __init__(self, guard: Guard, *, verify: ssl.SSLContext | bool = True, connections: int = 8) -> None:
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=connections,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=_Backend(guard),
        )


async def _resolved(host: str, port: int) -> list[Address]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError("the name stands for no address") from error
    return [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]


def _place(url: str) -> tuple[str, int]:
    """Host and port of an address. Raises ValueError for what is none."""
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)


def _dialled(url: str) -> str:
    """The host as it is dialled: dots of other scripts are dots. Raises ValueError for an address that never is."""
    try:
        return httpx.URL(url).raw_host.decode("ascii").rstrip(".")
    except httpx.InvalidURL as error:
        raise ValueError("no address") from error


def _literal(host: str) -> Address | None:
    """The address a host is written as, in any of the forms that are dialled; None for a name."""
    if host == _SELF or host.endswith(f".{_SELF}"):
        return ipaddress.ip_address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        # 127.1, 0x7f000001, 2130706433, 0177.0.0.1: what the C library dials as numbers.
        return ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, UnicodeEncodeError):
        return None


def _real(address: Address) -> Address:
    """The IPv4 address that one of IPv6 leads to, where it does."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return address
    if any(address in each for each in _HOLDS_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour or address


def _is_this_machine(address: Address) -> bool:
    """Whether what is sent to an address stays on this machine. Nothing is sent to find out: the kernel is asked by
    which of its addresses it would."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(str(probe.getsockname()[0]).partition("%")[0]) == address
    except OSError:
        return False
