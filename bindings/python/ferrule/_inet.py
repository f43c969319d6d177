"""Addresses of the Internet, from tuples to what C takes."""

from __future__ import annotations

import socket
from typing import Any

from . import _ferrule

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


_FLAGS: dict[int, int] = {
    socket.AF_UNSPEC: 0,
    socket.AF_INET: _ferrule.FER_INET_IPV4,
    socket.AF_INET6: _ferrule.FER_INET_IPV6,
}


def flags_of(family: Any) -> int:
    """What C takes for a family. Raises TypeError or ValueError for what is none."""
    if not isinstance(family, int):
        raise TypeError("a family is a number, such as socket.AF_INET")
    flags = _FLAGS.get(family)
    if flags is None:
        raise ValueError(f"a family is AF_INET, AF_INET6 or AF_UNSPEC, not {family!r}")
    return flags


def family_of(host: str) -> socket.AddressFamily:
    """The family of an address as C gives it."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def split_own(address: Any) -> tuple[str, int]:
    """The same for an address to bind to: no host is any of IPv4."""
    host, port = split(address)
    return host or "0.0.0.0", port
