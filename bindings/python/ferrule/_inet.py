"""Addresses of the Internet, from tuples to what C takes."""

from __future__ import annotations

from typing import Any

# As pyuv and ``socket`` have it.
_BROADCAST = "<broadcast>"


def split(address: Any) -> tuple[str, int]:
    """The host and the port of a tuple. Raises TypeError for anything else; C looks at what is in it."""
    if not isinstance(address, tuple) or len(address) != 2:
        raise TypeError("an address is a tuple (host, port)")
    host, port = address
    if not isinstance(host, str):
        raise TypeError("a host is a str")
    return "255.255.255.255" if host == _BROADCAST else host, port


def split_own(address: Any) -> tuple[str, int]:
    """The same for an address to bind to: no host is any of IPv4."""
    host, port = split(address)
    return host or "0.0.0.0", port
