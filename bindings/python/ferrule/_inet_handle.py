"""``InetHandle``: what ``TCP`` and ``UDP`` have in common."""

from __future__ import annotations

import socket

from . import _ferrule, _inet
from .io_handle import IOHandle


class InetHandle(IOHandle):
    """A handle with addresses of the Internet. Not made by itself.

    Source: ``ferrule/tcp.h``.
    """

    def getsockname(self) -> tuple[str, int]:
        """The address that the socket is bound to.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_inet_getsockname``; pyuv ``TCP.getsockname``, ``UDP.getsockname``.
        """
        return _ferrule.fer_inet_getsockname(self._c)

    def getpeername(self) -> tuple[str, int]:
        """The address that the socket is connected to.

        Raises Error FER_EBADF before it is open, FER_ENOTCONN.
        Source: ``fer_inet_getpeername``; pyuv ``TCP.getpeername``; uv_udp_getpeername.
        """
        return _ferrule.fer_inet_getpeername(self._c)

    @property
    def family(self) -> socket.AddressFamily:
        """The family of the socket: ``AF_INET`` or ``AF_INET6``.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_inet_getsockname``; pyuv ``TCP.family``, ``UDP.family``.
        """
        return _inet.family_of(self.getsockname()[0])
