"""``Handle``: what pipes, TCP sockets and UDP sockets have in common."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Callable

from . import _ferrule
from ._weak import Requests
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._ferrule import _HandlePointer

UV_UNKNOWN_HANDLE: int = _ferrule.FER_KIND_NONE
"""As the kind of a received handle: there is none."""
UV_NAMED_PIPE: int = _ferrule.FER_KIND_PIPE
UV_TCP: int = _ferrule.FER_KIND_TCP
UV_UDP: int = _ferrule.FER_KIND_UDP
UV_FILE: int = _ferrule.FER_KIND_OTHER
"""As the kind of a received handle: a descriptor of another kind, for ``Pipe.accept_fd()``."""


class Handle:
    """What ``Pipe``, ``TCP`` and ``UDP`` have in common. Not made by itself.

    While something is under way the loop keeps a handle; otherwise one that is dropped without ``close()``
    is closed, with a ResourceWarning. Callbacks are called by the loop, never before the method that took
    them has returned. Every method raises ClosedError after ``close()``, ThreadError in another thread than
    the loop's, and ForkError in the child of a fork.

    Source: ``fer_handle``; pyuv ``Handle``.
    """

    _c: _HandlePointer

    def __init__(self) -> None:
        raise TypeError("make a Pipe, a TCP or a UDP")

    def _own(self, loop: Loop, c: _HandlePointer) -> None:
        """Be the object of ``c``, and have its reference."""
        self._c = c
        self._owner = _ferrule.ferpy_own_handle(c)
        self._loop = loop
        self._requests = Requests()
        # What the program gave for C to call again and again, by what it is called for.
        self._registered: dict[str, Callable[..., object]] = {}

    # --- Being kept by the loop while something is under way ---------------------------------------------

    def _start(
        self, function: Callable[[Callable[..., None]], None], callback: Callable[..., object]
    ) -> None:
        """Call ``function`` with a one-shot callable for C that calls ``callback(error)`` in the end."""

        def done(status: int = _ferrule.FER_OK) -> None:
            self._settle()
            callback(status or None)

        self._requests.start(function, done)
        self._settle()

    def _register(self, name: str, callback: Callable[..., object]) -> None:
        self._registered[name] = callback
        self._settle()

    def _unregister(self, name: str) -> None:
        self._registered.pop(name, None)
        self._settle()

    def _settle(self) -> None:
        if self._requests or self._registered:
            self._loop._active.add(self)
        else:
            self._loop._active.discard(self)

    def _tell(self, callback: Callable[[Self, int | None], object] | None) -> Callable[[int | None], None]:
        check_callable(callback)

        def tell(status: int | None) -> None:
            if callback is not None:
                callback(self, status)

        return tell

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

    # --- The end -------------------------------------------------------------------------------------------

    def close(self, callback: Callable[[Self], object] | None = None) -> None:
        """Start to close. Callbacks that are still due get FER_ECANCELED before this one is called.

        callback: ``callback(handle)``; the last that the handle calls. Closing again is allowed.

        Source: ``fer_handle_close``; pyuv ``Handle.close``.
        """
        check_callable(callback)

        def closed(status: int | None) -> None:
            self._registered.clear()
            self._settle()
            if callback is not None:
                callback(self)

        self._start(lambda call: _ferrule.fer_handle_close(self._c, call), closed)

    @property
    def closed(self) -> bool:
        """Whether ``close()`` or ``detach()`` was called, or the loop closed it."""
        return bool(_ferrule.fer_handle_is_closing(self._c))

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def loop(self) -> Loop:
        """The loop that the handle is on."""
        return self._loop

    @property
    def ref(self) -> bool:
        """Whether the handle keeps ``Loop.run()`` from returning while it waits for something; may be set.

        Source: ``fer_handle_hold_loop``; pyuv ``Handle.ref``.
        """
        return self.has_ref

    @ref.setter
    def ref(self, hold: bool) -> None:
        _ferrule.fer_handle_hold_loop(self._c, 1 if hold else 0)

    @property
    def has_ref(self) -> bool:
        """What ``ref`` is.

        Source: ``fer_handle_holds_loop``; uv_has_ref.
        """
        return bool(_ferrule.fer_handle_holds_loop(self._c))

    def __repr__(self) -> str:
        return f"<ferrule.{type(self).__name__} {'closed' if self.closed else 'open'} at {id(self):#x}>"


def check_loop(loop: Any) -> None:
    """Raises TypeError for anything that is not a Loop."""
    if not isinstance(loop, Loop):
        raise TypeError("a Loop is required")


def require_callable(callback: Any) -> None:
    """Raises TypeError for anything that cannot be called."""
    if not callable(callback):
        raise TypeError("a callable is required")


def check_callable(callback: Any) -> None:
    """Raises TypeError for anything that cannot be called, but for None."""
    if callback is not None:
        require_callable(callback)
