"""``Stream``: what the handles that carry bytes have in common, ``Pipe`` and ``TCP``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Callable

from . import _check, _ferrule
from ._weak import weak_method
from .handle import require_callable
from .io_handle import IOHandle

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self


class Stream(IOHandle):
    """A handle that carries bytes, or listens for others that do. Not made by itself.

    Source: ``ferrule/stream.h``; pyuv ``Stream``.
    """

    # --- Listening -----------------------------------------------------------------------------------------

    def listen(self, callback: Callable[[Self, int | None], object], backlog: int = 511) -> None:
        """Accept connections. The callback should call ``accept()`` for each.

        callback: ``callback(stream, error)``, called for each connection that waits.
        backlog: how many connections the system may keep waiting.

        Raises Error FER_EALREADY for a second call, FER_EDESTADDRREQ when not bound, FER_EISCONN.
        Source: ``fer_stream_listen``; pyuv ``Pipe.listen``.
        """
        require_callable(callback)
        if backlog < 0:
            raise ValueError("backlog cannot be negative")
        _ferrule.fer_stream_listen(self._c, backlog, weak_method(self._on_connection))
        self._register("listen", callback)

    def _on_connection(self, status: int) -> None:
        callback = self._registered.get("listen")
        if callback is not None:
            callback(self, status or None)

    def accept(self, client: IOHandle) -> None:
        """Take the next waiting connection or, on a pipe with ``ipc``, the next received handle.

        client: a handle that is not open yet: of the same class for a connection, of the kind that
        ``Pipe.pending_handle_type`` tells for a received handle.

        Raises WouldBlockError when nothing waits; KindError for the wrong kind, and then nothing is taken;
        Error FER_EISCONN when ``client`` is open already; InvalidArgumentError for a stream that does neither.
        Source: ``fer_stream_accept``; pyuv ``Pipe.accept``.
        """
        if not isinstance(client, IOHandle):
            raise TypeError("a Pipe, a TCP or a UDP is required")
        _ferrule.fer_stream_accept(self._c, client._c)
        client._opened()

    # --- Bytes ---------------------------------------------------------------------------------------------

    def start_read(self, callback: Callable[[Self, bytes | None, int | None], object]) -> None:
        """Read what comes, until ``stop_read()``, an error or the end.

        callback: ``callback(stream, data, error)``; ``data`` is None when ``error``, which is FER_EOF at the
        end of the stream, is not.

        Raises Error FER_ENOTCONN, FER_EALREADY while it reads; EndOfStream after the end.
        Source: ``fer_stream_read_start``; pyuv ``Pipe.start_read``.
        """
        require_callable(callback)
        _ferrule.fer_stream_read_start(self._c, weak_method(self._on_read))
        self._register("read", callback)

    def _on_read(self, status: int, *came: object) -> None:
        callback = self._registered.get("read")
        if status:
            self._unregister("read")
        if callback is not None:
            callback(self, *came, status or None)

    def stop_read(self) -> None:
        """Stop reading. What is not read yet stays in the kernel; nothing is lost.

        Source: ``fer_stream_read_stop``; pyuv ``Pipe.stop_read``.
        """
        _ferrule.fer_stream_read_stop(self._c)
        self._unregister("read")

    def write(
        self, data: Buffer | Sequence[Buffer], callback: Callable[[Self, int | None], object] | None = None
    ) -> None:
        """Write bytes; all of them are taken, in order.

        data: an object with the buffer protocol, or a sequence of them. With a callback they are not copied,
        and must not change until it is called.
        callback: ``callback(stream, error)``, called when the kernel has the bytes.

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

        data: as for ``write()``; it is not held.

        Raises WouldBlockError when nothing could be written or earlier writes are not done; otherwise as
        ``write()``.
        Source: ``fer_stream_try_write``; pyuv ``Pipe.try_write``.
        """
        return _ferrule.fer_stream_try_write(self._c, data)

    def shutdown(self, callback: Callable[[Self, int | None], object] | None = None) -> None:
        """End the outgoing direction after the writes that are due. The other direction goes on.

        callback: ``callback(stream, error)``.

        Raises Error FER_ENOTCONN, FER_EALREADY.
        Source: ``fer_stream_shutdown``; pyuv ``Pipe.shutdown``.
        """
        self._start(lambda call: _ferrule.fer_stream_shutdown(self._c, call), self._tell(callback))

    def set_blocking(self, blocking: bool) -> None:
        """Set the blocking mode of the descriptor, for others that have it. The library never blocks on it.

        blocking: whether their calls wait.

        Raises Error FER_EBADF before it is open.
        Source: ``fer_stream_set_blocking``; uv_stream_set_blocking.
        """
        _ferrule.fer_stream_set_blocking(self._c, int(_check.flag("blocking", blocking)))

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def readable(self) -> bool:
        """Whether bytes may still come.

        Source: ``fer_stream_is_readable``; pyuv ``Pipe.readable``.
        """
        return bool(_ferrule.fer_stream_is_readable(self._c))

    @property
    def writable(self) -> bool:
        """Whether bytes may still be written.

        Source: ``fer_stream_is_writable``; pyuv ``Pipe.writable``.
        """
        return bool(_ferrule.fer_stream_is_writable(self._c))

    @property
    def write_queue_size(self) -> int:
        """How many bytes wait to be written.

        Source: ``fer_stream_write_queue_size``; pyuv ``Pipe.write_queue_size``.
        """
        return _ferrule.fer_stream_write_queue_size(self._c)
