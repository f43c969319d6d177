"""``IOHandle``: what pipes, TCP sockets and UDP sockets have in common."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Callable

from . import _ferrule
from .handle import Handle
from .loop import Loop

if TYPE_CHECKING:
    from ._ferrule import _HandlePointer

UV_UNKNOWN_HANDLE: int = _ferrule.FER_KIND_NONE
"""As the kind of a received handle: there is none."""
UV_NAMED_PIPE: int = _ferrule.FER_KIND_PIPE
UV_TCP: int = _ferrule.FER_KIND_TCP
UV_UDP: int = _ferrule.FER_KIND_UDP
UV_FILE: int = _ferrule.FER_KIND_OTHER
"""As the kind of a received handle: a descriptor of another kind, for ``Pipe.accept_fd()``."""


class IOHandle(Handle):
    """What ``Pipe``, ``TCP`` and ``UDP`` have in common: a descriptor. Not made by itself.

    Source: ``fer_handle``; pyuv ``Handle``.
    """

    _c: _HandlePointer

    def _own(self, loop: Loop, c: _HandlePointer, owner: object = None) -> None:
        super()._own(loop, c, owner or _ferrule.ferpy_own_handle(c))

    def _opened(self) -> None:
        """There is a descriptor."""

    # --- The descriptor ------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor, which stays the handle's; for ``selectors``, too.

        Raises Error FER_EBADF before there is one.
        Source: ``fer_handle_fileno``; pyuv ``Pipe.fileno``.
        """
        return _ferrule.fer_handle_fileno(self._c)

    def detach(self) -> int:
        """Take the descriptor out, and close the handle.

        Gives the descriptor, which is the caller's. A socket file that the handle made stays where it is.

        Raises Error FER_EBADF before there is one, FER_EBUSY while writes wait, while it connects, and while
        a connection or a received handle waits to be accepted.
        Source: ``fer_handle_detach``; ``socket.socket.detach``.
        """
        fd = _ferrule.fer_handle_detach(self._c)
        self._registered.clear()
        self._settle()
        return fd

    def to_socket(self) -> socket.socket:
        """Make a ``socket.socket`` of the same family and type. It takes the descriptor; the handle is closed.

        The descriptor is as it was, which is non-blocking unless ``open()`` took one that is not: other
        processes may have it, too. ``setblocking(True)`` changes that.

        Raises as ``detach()``.
        Source: ``fer_handle_detach``; ``socket.socket``.
        """
        blocking = os.get_blocking(self.fileno())
        fd = self.detach()
        try:
            made = socket.socket(fileno=fd)
        except BaseException:
            os.close(fd)
            raise
        made.setblocking(blocking)
        return made

    @property
    def send_buffer_size(self) -> int:
        """Bytes in the kernel's buffer for what is sent; may be set. Linux tells twice what was set.

        Raises Error FER_EBADF before it is open; InvalidArgumentError for a size that is not above 0.
        Source: ``fer_handle_send_buffer_size``; pyuv ``Pipe.send_buffer_size``.
        """
        return _ferrule.fer_handle_send_buffer_size(self._c)

    @send_buffer_size.setter
    def send_buffer_size(self, size: int) -> None:
        _ferrule.fer_handle_set_send_buffer_size(self._c, size)

    @property
    def receive_buffer_size(self) -> int:
        """Bytes in the kernel's buffer for what is received; may be set. Linux tells twice what was set.

        Raises as ``send_buffer_size`` does.
        Source: ``fer_handle_receive_buffer_size``; pyuv ``Pipe.receive_buffer_size``.
        """
        return _ferrule.fer_handle_receive_buffer_size(self._c)

    @receive_buffer_size.setter
    def receive_buffer_size(self, size: int) -> None:
        _ferrule.fer_handle_set_receive_buffer_size(self._c, size)

    # --- What Handle asks for ------------------------------------------------------------------------------

    def _close(self, call: Callable[..., None]) -> None:
        _ferrule.fer_handle_close(self._c, call)

    def _is_closing(self) -> bool:
        return bool(_ferrule.fer_handle_is_closing(self._c))

    def _hold(self, hold: int) -> None:
        _ferrule.fer_handle_hold_loop(self._c, hold)

    def _holds(self) -> bool:
        return bool(_ferrule.fer_handle_holds_loop(self._c))
