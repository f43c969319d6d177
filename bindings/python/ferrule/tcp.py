"""``TCP``: a stream of bytes over the network, which can be passed to another process, as pyuv has it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Callable

from . import _check, _ferrule, _inet, error
from ._inet_handle import InetHandle
from .handle import check_loop, make, require_callable
from .loop import Loop
from .stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Self

UV_TCP_IPV6ONLY: int = _ferrule.FER_BIND_IPV6_ONLY
"""Flag of ``TCP.bind()``: an IPv6 socket takes no IPv4 connections."""
UV_TCP_REUSEPORT: int = _ferrule.FER_BIND_REUSE_PORT
"""Flag of ``TCP.bind()``: several sockets may share the port."""


class TCP(InetHandle, Stream):
    """A TCP socket: a listener, or a stream of bytes.

    loop: where its callbacks run.
    family: ``AF_INET`` or ``AF_INET6``: make the socket at once. ``AF_UNSPEC``: when an address tells its family.

    Addresses are tuples ``(host, port)`` with a literal IPv4 or IPv6 address, such as ``("::1", 80)``; names
    are not looked up.

    Raises TypeError and ValueError for what is no family; Error FER_EAFNOSUPPORT, FER_EMFILE.
    Source: ``fer_tcp_new``; pyuv ``TCP``.
    """

    def __init__(self, loop: Loop, family: int = socket.AF_UNSPEC) -> None:
        check_loop(loop)
        self._early: list[Callable[[], None]] = []
        self._own(loop, make(_ferrule.FER_KIND_TCP, _ferrule.fer_tcp_new, loop._c, _inet.flags_of(family)))

    def _set(self, option: Callable[[], None]) -> None:
        """Set an option now, or as soon as there is a socket."""
        try:
            option()
        except error.Error as failure:
            if failure.code != _ferrule.FER_EBADF:
                raise
            self._early.append(option)

    def _opened(self) -> None:
        """There is a socket."""
        while self._early:
            self._early.pop(0)()

    def bind(self, address: tuple[str, int], flags: int = 0) -> None:
        """Bind to an address.

        address: where to; port 0 picks one, and ``""`` as the host is any address of IPv4.
        flags: ``UV_TCP_IPV6ONLY``, ``UV_TCP_REUSEPORT``.

        Raises AddressError for a malformed host; Error FER_EADDRINUSE, FER_EADDRNOTAVAIL, FER_EAFNOSUPPORT;
        AccessError; InvalidArgumentError for a second bind or an unknown flag.
        Source: ``fer_tcp_bind``; pyuv ``TCP.bind``.
        """
        _ferrule.fer_tcp_bind(self._c, *_inet.split_own(address), flags)
        self._opened()

    def connect(self, address: tuple[str, int], callback: Callable[[Self, int | None], object]) -> None:
        """Connect to a listening socket.

        address: where to.
        callback: ``callback(tcp, error)``: FER_ECONNREFUSED, FER_ETIMEDOUT and others.

        Raises AddressError for a malformed host; Error FER_EISCONN, FER_EALREADY, FER_EAFNOSUPPORT.
        Source: ``fer_tcp_connect``; pyuv ``TCP.connect``.
        """
        require_callable(callback)
        host, port = _inet.split(address)
        self._start(lambda call: _ferrule.fer_tcp_connect(self._c, host, port, call), self._tell(callback))
        self._opened()

    def open(self, fd: int) -> None:
        """Make this the handle of a TCP socket.

        fd: the descriptor; it is the handle's from now on, and its blocking mode is left as it is.

        Raises Error FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE, FER_EISCONN; the descriptor stays the caller's.
        Source: ``fer_tcp_open``; pyuv ``TCP.open``.
        """
        _ferrule.fer_tcp_open(self._c, fd)
        self._opened()

    def nodelay(self, enable: bool) -> None:
        """Choose whether small pieces are sent at once instead of being gathered.

        enable: whether they are. Before there is a socket, the choice is for the one to come.

        Source: ``fer_tcp_nodelay``; pyuv ``TCP.nodelay``.
        """
        choice = int(_check.flag("enable", enable))
        self._set(lambda: _ferrule.fer_tcp_nodelay(self._c, choice))

    def keepalive(self, enable: bool, delay: int = 0) -> None:
        """Choose whether an idle connection is probed.

        enable: whether it is. Before there is a socket, the choice is for the one to come.
        delay: seconds of idleness before the first probe; 0 leaves the system's.

        Source: ``fer_tcp_keepalive``; pyuv ``TCP.keepalive``.
        """
        choice = int(_check.flag("enable", enable))
        self._set(lambda: _ferrule.fer_tcp_keepalive(self._c, choice, delay))

    def simultaneous_accepts(self, enable: bool) -> None:
        """Choose whether a listener has several accepts under way at a time. Has an effect on Windows only.

        enable: whether it has.

        Source: ``fer_tcp_simultaneous_accepts``; pyuv ``TCP.simultaneous_accepts``.
        """
        _ferrule.fer_tcp_simultaneous_accepts(self._c, int(_check.flag("enable", enable)))
