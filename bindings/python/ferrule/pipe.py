"""``Pipe``: a stream of bytes between two processes, as pyuv has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from . import _ferrule, error
from ._weak import Requests, weak_method
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Buffer

Name = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""A path, or on Linux an abstract name, which begins with a NUL byte."""

Callback = Callable[["Pipe", Optional[int]], object]
"""``callback(pipe, error)``: ``error`` is None, or the number of a status (``ferrule.errno``)."""

ReadCallback = Callable[["Pipe", Optional[bytes], Optional[int]], object]
"""``callback(pipe, data, error)``: ``data`` is None when ``error`` is not."""

CloseCallback = Callable[["Pipe"], object]
"""``callback(pipe)``."""


class Pipe:
    """A Unix domain socket (a named pipe on Windows): a listener, or a stream of bytes.

    loop: where its callbacks run.
    ipc: whether handles are passed over it; not supported yet.

    While it listens, reads, connects, writes or closes, the loop keeps it; otherwise one that is dropped
    without ``close()`` is closed, with a ResourceWarning. Callbacks are called by the loop, never before
    the method that took them has returned. Every method raises ClosedError after ``close()``, ThreadError
    in another thread than the loop's, and ForkError in the child of a fork.

    Raises NotSupportedError for ``ipc``.
    Source: ``fer_pipe_new``; pyuv ``Pipe``.
    """

    def __init__(self, loop: Loop, ipc: bool = False) -> None:
        if not isinstance(loop, Loop):
            raise TypeError("a Loop is required")
        if ipc:
            raise error.from_status(_ferrule.FER_ENOTSUP, "a pipe with ipc=True, which passes handles")
        self._c = _ferrule.fer_pipe_new(loop._c, 0)
        self._owner = _ferrule.ferpy_own_handle(self._c)
        self._loop = loop
        self._requests = Requests()
        self._listen_callback: Callback | None = None
        self._read_callback: ReadCallback | None = None

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

    def _settle(self) -> None:
        if self._requests or self._listen_callback or self._read_callback:
            self._loop._active.add(self)
        else:
            self._loop._active.discard(self)

    def _tell(self, callback: Callback | None) -> Callable[[int | None], None]:
        _check_callable(callback)

        def tell(status: int | None) -> None:
            if callback is not None:
                callback(self, status)

        return tell

    # --- Listening -----------------------------------------------------------------------------------------

    def bind(self, name: Name, *, mode: int = 0, keep_file: bool = False) -> None:
        """Bind to a name. A stale socket that stands there is replaced, a live one is in the way.

        name: a path of any length, or an abstract name.
        mode: permission bits that the socket file has from the first instant; 0 means 0o600.
        keep_file: leave the file where it is when the pipe is closed.

        Raises Error FER_EADDRINUSE when somebody listens there; NotFoundError, AccessError,
        NotDirectoryError, InvalidArgumentError and others by what is wrong with the name.
        Source: ``fer_pipe_bind``; pyuv ``Pipe.bind``.
        """
        flags = _ferrule.FER_BIND_KEEP_FILE if keep_file else 0
        _ferrule.fer_pipe_bind(self._c, name, {"mode": mode, "flags": flags})

    def listen(self, callback: Callback, backlog: int = 511) -> None:
        """Accept connections. The callback should call ``accept()`` for each.

        callback: ``callback(pipe, error)``, called for each connection that waits.
        backlog: how many connections the system may keep waiting.

        Raises Error FER_EALREADY for a second call, FER_EDESTADDRREQ when not bound.
        Source: ``fer_stream_listen``; pyuv ``Pipe.listen``.
        """
        _require_callable(callback)
        if backlog < 0:
            raise ValueError("backlog cannot be negative")
        _ferrule.fer_stream_listen(self._c, backlog, weak_method(self._on_connection))
        self._listen_callback = callback
        self._settle()

    def _on_connection(self, status: int) -> None:
        if self._listen_callback is not None:
            self._listen_callback(self, status or None)

    def accept(self, client: Pipe) -> None:
        """Take the next waiting connection.

        client: a pipe that is not open yet; receives the connection.

        Raises WouldBlockError when none waits; Error FER_EISCONN when ``client`` is open already.
        Source: ``fer_stream_accept``; pyuv ``Pipe.accept``.
        """
        if not isinstance(client, Pipe):
            raise TypeError("a Pipe is required")
        _ferrule.fer_stream_accept(self._c, client._c)

    # --- Connecting ----------------------------------------------------------------------------------------

    def connect(self, name: Name, callback: Callback) -> None:
        """Connect to a listening pipe.

        name: as for ``bind()``.
        callback: ``callback(pipe, error)``: FER_ENOENT, FER_ECONNREFUSED, FER_EACCES and others by what is
        wrong with the name.

        Raises InvalidArgumentError for a name that cannot be one; Error FER_EISCONN, FER_EALREADY.
        Source: ``fer_pipe_connect``; pyuv ``Pipe.connect``.
        """
        _require_callable(callback)
        self._start(lambda call: _ferrule.fer_pipe_connect(self._c, name, call), self._tell(callback))

    def open(self, fd: int) -> None:
        """Make this the pipe of a connected, or listening, socket of the Unix domain.

        fd: the descriptor; it is the pipe's from now on, and its blocking mode is left as it is.

        Raises Error FER_EBADF, FER_ENOTSOCK, FER_EPROTOTYPE, FER_EISCONN; the descriptor stays the caller's.
        Source: ``fer_pipe_open``; pyuv ``Pipe.open``.
        """
        _ferrule.fer_pipe_open(self._c, fd)

    # --- Bytes ---------------------------------------------------------------------------------------------

    def start_read(self, callback: ReadCallback) -> None:
        """Read what comes, until ``stop_read()``, an error or the end.

        callback: ``callback(pipe, data, error)``; ``error`` is FER_EOF at the end of the stream.

        Raises Error FER_ENOTCONN, FER_EALREADY while it reads; EndOfStream after the end.
        Source: ``fer_stream_read_start``; pyuv ``Pipe.start_read``.
        """
        _require_callable(callback)
        _ferrule.fer_stream_read_start(self._c, weak_method(self._on_read))
        self._read_callback = callback
        self._settle()

    def _on_read(self, status: int, data: bytes | None) -> None:
        callback = self._read_callback
        if status:
            self._read_callback = None
            self._settle()
        if callback is not None:
            callback(self, data, status or None)

    def stop_read(self) -> None:
        """Stop reading. What is not read yet stays in the kernel; nothing is lost.

        Source: ``fer_stream_read_stop``; pyuv ``Pipe.stop_read``.
        """
        _ferrule.fer_stream_read_stop(self._c)
        self._read_callback = None
        self._settle()

    def write(self, data: Buffer | Sequence[Buffer], callback: Callback | None = None) -> None:
        """Write bytes; all of them are taken, in order.

        data: an object with the buffer protocol, or a sequence of them. With a callback they are not copied,
        and must not change until it is called.
        callback: ``callback(pipe, error)``, called when the kernel has the bytes.

        Raises PipeBrokenError after ``shutdown()`` or when the peer no longer reads; ResetError; Error
        FER_ENOTCONN; TypeError for anything that is not bytes.
        Source: ``fer_stream_write``; pyuv ``Pipe.write``.
        """
        if callback is None:
            _ferrule.fer_stream_write(self._c, (data, None))
            return
        self._start(lambda call: _ferrule.fer_stream_write(self._c, (data, call)), self._tell(callback))

    def try_write(self, data: Buffer | Sequence[Buffer]) -> int:
        """Write as much as the kernel takes now, and give how many bytes that was.

        data: an object with the buffer protocol, or a sequence of them.

        Raises WouldBlockError when nothing could be written or earlier writes are not done; otherwise as
        ``write()``.
        Source: ``fer_stream_try_write``; pyuv ``Pipe.try_write``.
        """
        return _ferrule.fer_stream_try_write(self._c, data)

    def shutdown(self, callback: Callback | None = None) -> None:
        """End the outgoing direction after the writes that are due. The other direction goes on.

        callback: ``callback(pipe, error)``.

        Raises Error FER_ENOTCONN, FER_EALREADY.
        Source: ``fer_stream_shutdown``; pyuv ``Pipe.shutdown``.
        """
        self._start(lambda call: _ferrule.fer_stream_shutdown(self._c, call), self._tell(callback))

    # --- The end -------------------------------------------------------------------------------------------

    def close(self, callback: CloseCallback | None = None) -> None:
        """Start to close. Callbacks that are still due get FER_ECANCELED before this one is called.

        callback: ``callback(pipe)``; the last that the pipe calls. Closing again is allowed.

        Source: ``fer_handle_close``; pyuv ``Pipe.close``.
        """
        _check_callable(callback)

        def closed(status: int | None) -> None:
            self._listen_callback = None
            self._read_callback = None
            self._settle()
            if callback is not None:
                callback(self)

        self._start(lambda call: _ferrule.fer_handle_close(self._c, call), closed)

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called, here or the loop's."""
        return bool(_ferrule.fer_handle_is_closing(self._c))

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def loop(self) -> Loop:
        """The loop that the pipe is on."""
        return self._loop

    def fileno(self) -> int:
        """The descriptor, which stays the pipe's.

        Raises Error FER_EBADF before there is one.
        Source: ``fer_handle_fileno``; pyuv ``Pipe.fileno``.
        """
        return _ferrule.fer_handle_fileno(self._c)

    def getsockname(self) -> str:
        """The name that the pipe is bound to; empty when there is none.

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

    @property
    def readable(self) -> bool:
        """Whether bytes may still come."""
        return bool(_ferrule.fer_stream_is_readable(self._c))

    @property
    def writable(self) -> bool:
        """Whether bytes may still be written."""
        return bool(_ferrule.fer_stream_is_writable(self._c))

    @property
    def write_queue_size(self) -> int:
        """How many bytes wait to be written."""
        return _ferrule.fer_stream_write_queue_size(self._c)

    @property
    def ref(self) -> bool:
        """Whether the pipe keeps ``Loop.run()`` from returning while it waits for something."""
        return bool(_ferrule.fer_handle_holds_loop(self._c))

    @ref.setter
    def ref(self, hold: bool) -> None:
        _ferrule.fer_handle_hold_loop(self._c, 1 if hold else 0)

    def __repr__(self) -> str:
        return f"<ferrule.Pipe {'closed' if self.closed else 'open'} at {id(self):#x}>"


def _require_callable(callback: Any) -> None:
    if not callable(callback):
        raise TypeError("a callable is required")


def _check_callable(callback: Any) -> None:
    if callback is not None:
        _require_callable(callback)
