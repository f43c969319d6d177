"""Addresses of the Internet, from tuples to what C takes."""

from __future__ import annotations

from typing import Any


def split(address: Any) -> tuple[str, int]:
    """The host and the port of a tuple. Raises TypeError for anything else; C looks at what is in it."""
    if not isinstance(address, tuple) or len(address) != 2:
        raise TypeError("an address is a tuple (host, port)")
    host, port = address
    if not isinstance(host, str):
        raise TypeError("a host is a str")
    return host, port
