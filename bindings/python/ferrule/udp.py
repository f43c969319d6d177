"""``UDP``: datagrams, on a handle that can be passed to another process, as pyuv has it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import _check, _ferrule, _inet
from ._inet_handle import InetHandle
from ._weak import weak_method
from .handle import check_callable, check_loop, make, require_callable
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

UV_UDP_IPV6ONLY: int = _ferrule.FER_BIND_IPV6_ONLY
"""Flag of ``UDP.bind()``: an IPv6 socket takes no IPv4 datagrams."""
UV_UDP_REUSEPORT: int = _ferrule.FER_BIND_REUSE_PORT
"""Flag of ``UDP.bind()``: several sockets may share the port."""
UV_UDP_REUSEADDR: int = _ferrule.FER_BIND_REUSE_PORT
"""The same, as pyuv calls it."""
UV_UDP_PARTIAL: int = _ferrule.FER_DATAGRAM_PARTIAL
"""Flag of a received datagram: it was longer than what is given."""

UV_JOIN_GROUP: int = _ferrule.FER_JOIN_GROUP
"""For ``UDP.set_membership()``: receive what is sent to the group."""
UV_LEAVE_GROUP: int = _ferrule.FER_LEAVE_GROUP
"""For ``UDP.set_membership()``: no longer receive it."""

_Address = Optional[tuple[str, int]]


class UDP(InetHandle):
    """A UDP socket.

    loop: where its callbacks run.
    family: ``AF_INET`` or ``AF_INET6``: make the socket at once. ``AF_UNSPEC``: when an address tells its family.

    Addresses are tuples ``(host, port)`` with a literal IPv4 or IPv6 address; names are not looked up. A
    socket that sends or receives without being bound gets a port.

    >>> def on_datagram(udp, address, flags, data, error):
    ...     print(data)
    ...     udp.close()
    >>> with ferrule.Loop() as loop:
    ...     receiver, sender = ferrule.UDP(loop), ferrule.UDP(loop)
    ...     receiver.bind(("127.0.0.1", 0))
    ...     receiver.start_recv(on_datagram)
    ...     sender.send(receiver.getsockname(), b"datagram")
    ...     loop.run()
    b'datagram'
    False

    Raises TypeError and ValueError for what is no family; Error FER_EAFNOSUPPORT, FER_EMFILE.
    Source: ``fer_udp_new``; pyuv ``UDP``.
    """

    def __init__(self, loop: Loop, family: int = socket.AF_UNSPEC) -> None:
        check_loop(loop)
        self._own(loop, make(_ferrule.FER_KIND_UDP, _ferrule.fer_udp_new, loop._c, _inet.flags_of(family)))

    def bind(self, address: tuple[str, int], flags: int = 0) -> None:
        """Bind to an address.

        address: where to; port 0 picks one, and ``""`` as the host is any address of IPv4.
        flags: ``UV_UDP_IPV6ONLY``, ``UV_UDP_REUSEPORT``.

        Raises AddressError for a malformed host; Error FER_EADDRINUSE, FER_EADDRNOTAVAIL, FER_EAFNOSUPPORT;
        AccessError; InvalidArgumentError for a second bind or an unknown flag.
        Source: ``fer_udp_bind``; pyuv ``UDP.bind``.
        """
        _ferrule.fer_udp_bind(self._c, *_inet.split_own(address), flags)

    def connect(self, address: tuple[str, int]) -> None:
        """Fix the address that datagrams go to and come from.

        address: the peer's.

        Raises AddressError for a malformed host; Error FER_EISCONN when it is connected, FER_EAFNOSUPPORT.
        Source: ``fer_udp_connect``; uv_udp_connect.
        """
        _ferrule.fer_udp_connect(self._c, *_inet.split(address))

    def disconnect(self) -> None:
        """Undo ``connect()``. A socket that was bound to port 0 loses its port with it.

        Raises Error FER_ENOTCONN.
        Source: ``fer_udp_connect``; uv_udp_connect.
        """
        _ferrule.fer_udp_connect(self._c, None, 0)

    def open(self, fd: int) -> None:
        """Make this the handle of a UDP socket.

        fd: the descriptor; it is the handle's from now on, and its blocking mode is left as it is.

        Raises Error FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE, FER_EISCONN; the descriptor stays the caller's.
        Source: ``fer_udp_open``; pyuv ``UDP.open``.
        """
        _ferrule.fer_udp_open(self._c, fd)

    # --- Datagrams -----------------------------------------------------------------------------------------

    def send(
        self,
        address: _Address,
        data: Buffer | Sequence[Buffer],
        callback: Callable[[Self, int | None], object] | None = None,
    ) -> None:
        """Send a datagram.

        address: where to; None on a connected socket.
        data: an object with the buffer protocol, or a sequence of them that becomes one datagram. With a callback
        they are not copied, and must not change until it is called.
        callback: ``callback(udp, error)``, called when the kernel has the datagram.

        Raises MessageSizeError for more than a datagram holds; AddressError; RefusedError when an earlier one
        was refused; Error FER_EDESTADDRREQ, FER_EISCONN for an address where there must, or must not, be one;
        FER_ENETUNREACH.
        Source: ``fer_udp_send``; pyuv ``UDP.send``.
        """
        check_callable(callback)
        to = _to(address)
        if callback is None:
            _ferrule.fer_udp_send(self._c, (data, to, None))
            return
        self._start(lambda call: _ferrule.fer_udp_send(self._c, (data, to, call)), self._tell(callback))

    def try_send(self, address: _Address, data: Buffer | Sequence[Buffer]) -> int:
        """Send a datagram now or not at all, and give its size.

        address, data: as for ``send()``.

        Raises WouldBlockError when it would have to wait; otherwise as ``send()``.
        Source: ``fer_udp_try_send``; pyuv ``UDP.try_send``.
        """
        _ferrule.fer_udp_try_send(self._c, data, *_to(address))
        return _size(data)

    def start_recv(self, callback: Callable[[Self, _Address, int, bytes | None, int | None], object]) -> None:
        """Receive datagrams, until ``stop_recv()``.

        callback: ``callback(udp, (host, port), flags, data, error)``; ``flags`` may have ``UV_UDP_PARTIAL``.
        The address and ``data`` are None when ``error`` is not, such as FER_ECONNREFUSED for an earlier send;
        receiving goes on after an error, but for FER_ENOMEM and FER_EBADF.

        Raises Error FER_EALREADY while it receives.
        Source: ``fer_udp_receive_start``; pyuv ``UDP.start_recv``.
        """
        require_callable(callback)
        _ferrule.fer_udp_receive_start(self._c, weak_method(self._on_datagram))
        self._register("read", callback)

    def _on_datagram(self, status: int, data: bytes | None, address: _Address, flags: int) -> None:
        callback = self._registered.get("read")
        if status in (_ferrule.FER_ENOMEM, _ferrule.FER_EBADF):
            self._unregister("read")
        if callback is not None:
            callback(self, address, flags, data, status or None)

    def stop_recv(self) -> None:
        """Stop receiving. What is not received yet stays in the kernel.

        Source: ``fer_udp_receive_stop``; pyuv ``UDP.stop_recv``.
        """
        _ferrule.fer_udp_receive_stop(self._c)
        self._unregister("read")

    # --- Options -------------------------------------------------------------------------------------------

    def set_membership(self, multicast_address: str, membership: int, interface: str | None = None) -> None:
        """Join or leave a multicast group.

        multicast_address: the group's.
        membership: ``UV_JOIN_GROUP`` or ``UV_LEAVE_GROUP``.
        interface: the address of the interface to receive on; None lets the system choose. For an IPv6 socket
        its zone tells which, as in ``"::%eth0"``.

        Raises AddressError for a malformed address; InvalidArgumentError for one that is no group's; Error
        FER_EADDRINUSE when it is in the group already, FER_EADDRNOTAVAIL when it is not, FER_ENODEV when there
        is no such interface, FER_EAFNOSUPPORT for the other family, FER_EBADF before it is open.
        Source: ``fer_udp_set_membership``; pyuv ``UDP.set_membership``.
        """
        _ferrule.fer_udp_set_membership(self._c, multicast_address, interface, membership)

    def set_multicast_interface(self, interface: str | None) -> None:
        """Choose the interface that datagrams to multicast groups leave by.

        interface: its address; None lets the system choose. For an IPv6 socket its zone tells which.

        Raises AddressError; Error FER_EADDRNOTAVAIL or FER_ENODEV when there is no such interface,
        FER_EAFNOSUPPORT for the other family, FER_EBADF before it is open.
        Source: ``fer_udp_set_multicast_interface``; pyuv ``UDP.set_multicast_interface``.
        """
        _ferrule.fer_udp_set_multicast_interface(self._c, interface)

    def set_multicast_loop(self, enable: bool) -> None:
        """Choose whether this machine gets what the socket sends to multicast groups, too.

        enable: whether it does, as at first.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_udp_set_multicast_loop``; pyuv ``UDP.set_multicast_loop``.
        """
        _ferrule.fer_udp_set_multicast_loop(self._c, int(_check.flag("enable", enable)))

    def set_multicast_ttl(self, ttl: int) -> None:
        """Choose how many routers a datagram to a multicast group may pass.

        ttl: from 0, which keeps it on this machine, to 255; 1 at first.

        Raises InvalidArgumentError; Error FER_EBADF before it is open.
        Source: ``fer_udp_set_multicast_ttl``; pyuv ``UDP.set_multicast_ttl``.
        """
        _ferrule.fer_udp_set_multicast_ttl(self._c, ttl)

    def set_ttl(self, ttl: int) -> None:
        """Choose how many routers a datagram to a single address may pass.

        ttl: from 1 to 255.

        Raises InvalidArgumentError; Error FER_EBADF before it is open.
        Source: ``fer_udp_set_ttl``; pyuv ``UDP.set_ttl``.
        """
        _ferrule.fer_udp_set_ttl(self._c, ttl)

    def set_broadcast(self, enable: bool) -> None:
        """Choose whether datagrams may be sent to broadcast addresses.

        enable: whether they may; not at first.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_udp_set_broadcast``; pyuv ``UDP.set_broadcast``.
        """
        _ferrule.fer_udp_set_broadcast(self._c, int(_check.flag("enable", enable)))

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def send_queue_size(self) -> int:
        """How many bytes are in datagrams that wait for the kernel.

        Source: ``fer_udp_send_queue_size``; pyuv ``UDP.send_queue_size``.
        """
        return _ferrule.fer_udp_send_queue_size(self._c)

    @property
    def send_queue_count(self) -> int:
        """How many datagrams wait for the kernel.

        Source: ``fer_udp_send_queue_count``; pyuv ``UDP.send_queue_count``.
        """
        return _ferrule.fer_udp_send_queue_count(self._c)


def _to(address: _Address) -> tuple[str | None, int]:
    return (None, 0) if address is None else _inet.split(address)


def _size(data: Any) -> int:
    try:
        return memoryview(data).nbytes
    except TypeError:
        return sum(memoryview(part).nbytes for part in data)
