"""Which addresses a base URL may lead to. One that a stranger gave must never reach the machines behind us. No I/O of its own."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from minivec.errors import InvalidInput

Resolve = Callable[..., Sequence[Any]]  # as socket.getaddrinfo
_VISIBLE = re.compile(r"[!-~]{1,2000}")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64: the IPv4 address is in the last four bytes
_EXAMPLE = "Give one like https://integrate.api.nvidia.com or http://nim:8000."
_SETTING = "The operator may allow it: allow_private_base_urls, or set the service's address in the settings."


def parse_base_url(text: str, field: str = "base_url") -> str:
    """The URL without a trailing slash or /v1. Raises InvalidInput for what is no plain http or https URL of a server."""
    try:
        if not _VISIBLE.fullmatch(text):
            raise ValueError("it is empty, too long, or holds characters no URL holds")
        parts = urlsplit(text)
        _check_parts(parts)
    except ValueError as error:
        raise InvalidInput(f"The base URL cannot be used: {error}.", field=field, hint=_EXAMPLE) from error
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


def host_of(url: str) -> str:
    """Host and port as a person reads them."""
    return urlsplit(url).netloc


def check_strange_url(url: str, field: str = "base_url") -> None:
    """Refuse a stranger's base URL that is not https, or names a private address outright. Raises InvalidInput."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        raise InvalidInput(f"{host_of(url)}: only https is called here.", field=field, hint=_SETTING)
    try:
        literal = ipaddress.ip_address(parts.hostname or "")
    except ValueError:
        return  # a name: judged by what it resolves to, at every connection
    if not is_public(str(literal)):
        raise _forbidden(host_of(url), field)


def is_public(address: str) -> bool:
    """Whether an IP address is reached over the public internet: not private, loopback, link-local, metadata, multicast.

    IPv6 forms that carry an IPv4 address (mapped, 6to4, Teredo, NAT64) are never public here: no service needs them.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped or found.sixtofour or found.teredo or found in _TRANSLATED:
            return False
        if found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def public_addresses(host: str, port: int, resolve: Resolve = socket.getaddrinfo) -> list[str]:
    """What a name resolves to now. Raises InvalidInput when any of it is not public, OSError when it does not resolve."""
    found = [str(entry[4][0]) for entry in resolve(host, port, type=socket.SOCK_STREAM)]
    addresses = list(dict.fromkeys(found))
    if not addresses or not all(map(is_public, addresses)):
        raise _forbidden(host, "base_url")
    return addresses


def _check_parts(parts: SplitResult) -> None:
    if parts.scheme.lower() not in ("http", "https"):
        raise ValueError("it does not begin with http:// or https://")
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("it holds a user name or a password")
    if parts.query or parts.fragment:
        raise ValueError("it holds a query or a fragment")
    if parts.port == 0:
        raise ValueError("it names port 0")


def _forbidden(host: str, field: str) -> InvalidInput:
    return InvalidInput(f"{host} is not a public address, and only these are called here.", field=field, hint=_SETTING)
