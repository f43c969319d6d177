"""``Pipe``: a stream of bytes between two processes, which can pass handles, as pyuv has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable, Union

from . import _access, _check, _ferrule
from ._access import Credentials
from ._weak import weak_method
from .handle import check_loop, make, require_callable
from .io_handle import IOHandle
from .loop import Loop
from .stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

Name = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""A path, or on Linux an abstract name, which begins with a NUL byte."""


class Pipe(Stream):
    """A Unix domain socket (a named pipe on Windows): a listener, or a stream of bytes.

    loop: where its callbacks run.
    ipc: whether handles are passed over it. A listener has False; what it accepts has a choice of its own.

    >>> def on_connection(listener, error):
    ...     served = ferrule.Pipe(listener.loop)
    ...     listener.accept(served)
    ...     served.start_read(on_read)
    ...     listener.close()
    >>> def on_read(served, data, error):
    ...     print(data)
    ...     served.close()
    >>> with ferrule.Loop() as loop:
    ...     listener = ferrule.Pipe(loop)
    ...     listener.bind("example.sock")
    ...     listener.listen(on_connection)
    ...     client = ferrule.Pipe(loop)
    ...     client.connect("example.sock", lambda client, error: client.write(b"hello"))
    ...     loop.run()
    b'hello'
    False

    Source: ``fer_pipe_new``; pyuv ``Pipe``.
    """

    def __init__(self, loop: Loop, ipc: bool = False) -> None:
        check_loop(loop)
        self._own(loop, make(_ferrule.FER_KIND_PIPE, _ferrule.fer_pipe_new, loop._c, _flags(ipc)))

    @classmethod
    def pair(cls, loop: Loop, ipc: bool = False) -> tuple[Self, Self]:
        """Make two pipes that are connected to each other.

        loop: where the callbacks of both run.
        ipc: whether handles are passed over them.

        Raises Error FER_EMFILE, FER_ENFILE.
        Source: ``fer_pipe_pair``; uv_socketpair.
        """
        check_loop(loop)
        one, other = cls.__new__(cls), cls.__new__(cls)
        ends = make(_ferrule.FER_KIND_PIPE, _ferrule.fer_pipe_pair, loop._c, _flags(ipc))
        for pipe, c in zip((one, other), ends):
            pipe._own(loop, c)
        return one, other

    # --- Names ---------------------------------------------------------------------------------------------

    def bind(self, name: Name, *, mode: int = 0, keep_file: bool = False) -> None:
        """Bind to a name. A stale socket that stands there is replaced, a live one is in the way.

        name: a path of any length, or an abstract name.
        mode: permission bits that the socket file has from the first instant; 0 means 0o600.
        keep_file: leave the file where it is when the pipe is closed.

        Raises Error FER_EADDRINUSE when somebody listens there; NotFoundError, AccessError,
        NotDirectoryError, InvalidArgumentError and others by what is wrong with the name.
        Source: ``fer_pipe_bind``; pyuv ``Pipe.bind``.
        """
        flags = _ferrule.FER_BIND_KEEP_FILE if _check.flag("keep_file", keep_file) else 0
        _ferrule.fer_pipe_bind(self._c, name, {"mode": mode, "flags": flags})

    def chmod(self, mode: int) -> None:
        """Change the permission bits of the socket file of a bound pipe.

        mode: the bits, up to 0o777.

        Raises InvalidArgumentError, also when it is not bound to a path; NotFoundError when the file is no
        longer the pipe's; AccessError.
        Source: ``fer_pipe_chmod``; uv_pipe_chmod.
        """
        _ferrule.fer_pipe_chmod(self._c, mode)

    def connect(self, name: Name, callback: Callable[[Self, int | None], object]) -> None:
        """Connect to a listening pipe. While the listener's queue is full, this waits for room.

        name: as for ``bind()``.
        callback: ``callback(pipe, error)``: FER_ENOENT, FER_ECONNREFUSED, FER_EACCES and others by what is
        wrong with the name.

        Raises InvalidArgumentError for a name that cannot be one; Error FER_EISCONN, FER_EALREADY.
        Source: ``fer_pipe_connect``; pyuv ``Pipe.connect``.
        """
        require_callable(callback)
        self._start(lambda call: _ferrule.fer_pipe_connect(self._c, name, call), self._tell(callback))

    def open(self, fd: int) -> None:
        """Make this the pipe of a connected, or listening, socket of the Unix domain.

        fd: the descriptor; it is the pipe's from now on, and its blocking mode is left as it is.

        Raises Error FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE, FER_EISCONN; the descriptor stays the caller's.
        Source: ``fer_pipe_open``; pyuv ``Pipe.open``.
        """
        _ferrule.fer_pipe_open(self._c, fd)

    def getsockname(self) -> str:
        """The name that the pipe is bound to, or its listener was; empty when there is none.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_pipe_getsockname``.
        """
        return _ferrule.fer_pipe_getsockname(self._c)

    def getpeername(self) -> str:
        """The name that the peer is bound to; empty when there is none.

        Raises Error FER_EBADF before it is open, FER_ENOTCONN.
        Source: ``fer_pipe_getpeername``.
        """
        return _ferrule.fer_pipe_getpeername(self._c)

    def pending_instances(self, count: int) -> None:
        """Choose how many instances of a named pipe wait for connections. Has an effect on Windows only.

        count: how many, above 0.

        Raises InvalidArgumentError.
        Source: ``fer_pipe_pending_instances``; pyuv ``Pipe.pending_instances``.
        """
        _ferrule.fer_pipe_pending_instances(self._c, count)

    def peer_credentials(self) -> Credentials:
        """Who is at the other end.

        Raises Error FER_ENOTCONN; NotSupportedError where the system does not tell.
        Source: ``fer_pipe_peer_credentials``; SO_PEERCRED.
        """
        return _access.credentials(_ferrule.fer_pipe_peer_credentials(self._c))

    # --- Passing handles -----------------------------------------------------------------------------------

    def write(
        self,
        data: Buffer | Sequence[Buffer],
        callback: Callable[[Self, int | None], object] | None = None,
        handle: IOHandle | socket.socket | int | None = None,
    ) -> None:
        """Write bytes; all of them are taken, in order. A handle is passed with the first of them.

        data: an object with the buffer protocol, or a sequence of them. With a callback they are not copied,
        and must not change until it is called. With a handle, at least one byte.
        callback: ``callback(pipe, error)``, called when the kernel has the bytes.
        handle: an open Pipe, TCP or UDP of this thread, a ``socket.socket``, or a descriptor of any kind. It
        stays the caller's and usable, and may be closed at once. The peer gets a descriptor of its own.

        Raises PipeBrokenError after ``shutdown()`` or when the peer no longer reads; ResetError; Error
        FER_ENOTCONN; TypeError for anything that is not bytes or not a handle. With a handle also
        InvalidArgumentError for no bytes, for the pipe itself, and for a pipe without ``ipc``; ClosedError and
        ThreadError for what the handle is; Error FER_EBADF when it is not open, FER_ETOOMANYREFS, FER_EMFILE.
        Source: ``fer_stream_write``, ``fer_pipe_pass``, ``fer_pipe_pass_fd``; pyuv ``Pipe.write``.
        """
        if handle is None:
            super().write(data, callback)
            return
        pass_it = self._passing(data, handle)
        if callback is None:
            pass_it(None)
        else:
            self._start(pass_it, self._tell(callback))

    def _passing(
        self, data: Buffer | Sequence[Buffer], handle: IOHandle | socket.socket | int
    ) -> Callable[[Callable[..., None] | None], None]:
        if isinstance(handle, IOHandle):
            c = handle._c
            return lambda call: _ferrule.fer_pipe_pass(self._c, (data, c, call))
        if isinstance(handle, socket.socket):
            fd = handle.fileno()
        elif type(handle) is int:
            fd = handle
        else:
            raise TypeError("a Pipe, a TCP, a UDP, a socket.socket or a descriptor is required")
        return lambda call: _ferrule.fer_pipe_pass_fd(self._c, (data, fd, call))

    def start_read2(self, callback: Callable[[Self, bytes | None, int, int | None], object]) -> None:
        """Read what comes, and be told of received handles, on a pipe with ``ipc``.

        callback: ``callback(pipe, data, pending, error)``. ``pending`` is the kind of the next received
        handle: ``UV_NAMED_PIPE``, ``UV_TCP``, ``UV_UDP`` for ``accept()``, ``UV_FILE`` for ``accept_fd()``,
        ``UV_UNKNOWN_HANDLE`` when there is none. ``error`` is FER_EPROTO when more than 64 wait, FER_EMFILE
        when this process had no room for one that came; then reading has ended and what came with it is
        closed.

        Raises as ``start_read()``; InvalidArgumentError for a pipe without ``ipc``.
        Source: ``fer_pipe_read_start2``; pyuv ``Pipe.start_read2``.
        """
        require_callable(callback)
        _ferrule.fer_pipe_read_start2(self._c, weak_method(self._on_read))
        self._register("read", callback)

    @property
    def pending_count(self) -> int:
        """How many received handles wait to be accepted. They are closed with the pipe.

        Source: ``fer_pipe_pending_count``; uv_pipe_pending_count.
        """
        return _ferrule.fer_pipe_pending_count(self._c)

    @property
    def pending_handle_type(self) -> int:
        """The kind of the next received handle, as in ``start_read2()``.

        Source: ``fer_pipe_pending_kind``; uv_pipe_pending_type.
        """
        return _ferrule.fer_pipe_pending_kind(self._c)

    def accept_fd(self) -> int:
        """Take the next received handle, of whatever kind, as a descriptor, which is the caller's.

        Raises WouldBlockError when none waits; InvalidArgumentError for a pipe without ``ipc``.
        Source: ``fer_pipe_accept_fd``.
        """
        return _ferrule.fer_pipe_accept_fd(self._c)

    @property
    def ipc(self) -> bool:
        """Whether handles are passed over it.

        Source: ``fer_pipe_is_ipc``; pyuv ``Pipe(loop, ipc)``.
        """
        return bool(_ferrule.fer_pipe_is_ipc(self._c))


def _flags(ipc: bool) -> int:
    return _ferrule.FER_PIPE_IPC if _check.flag("ipc", ipc) else 0
