"""``Channel`` of ``ferrule.sync``, and the ways to one: calls that wait."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _access, _ferrule, _message, _options, error
from ._access import Credentials
from ._message import Message, Passable
from ._stats import ChannelInfo, ChannelStats, channel_info
from ._time import Deadline
from .channel import Address

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._ferrule import _ChannelPointer

T = TypeVar("T")

_MANY = 4096  # messages at most in one list, unless the caller says so
_BATCH = 256  # messages that are taken from an iterable at a time


class Exclusive:
    """Lets one thread in at a time, and refuses others: ``with one():``."""

    __slots__ = ("_lock", "_what")

    def __init__(self, what: str) -> None:
        self._lock = threading.Lock()
        self._what = what

    def __call__(self) -> threading.Lock:
        """What to enter. It has no code in Python, where a signal that raises would leave it taken for ever."""
        if self._lock.locked():
            raise error.from_status(_ferrule.FER_EBUSY, f"another thread uses the {self._what}")
        return self._lock


def patiently(deadline: Deadline, call: Callable[[int], T]) -> T:
    """Make a call with the time that is left, again after signals whose handlers did not raise."""
    while True:
        try:
            return call(deadline.left())
        except error.InterruptedCallError:
            continue


class Channel:
    """A channel; ``connect()`` and ``Server.accept()`` make them.

    As an iterator it gives messages until the peer's goodbye. As a context manager it is closed at the end
    of the block, or aborted when the block raises. One that is dropped without ``close()`` is aborted, with
    a ResourceWarning.

    Every method raises Error FER_EBUSY while another thread is in one, and ForkError in the child of a fork.

    >>> one, other = sync.pair()
    >>> one.send_many([b"first", b"second"])
    >>> other.recv(timeout=5)
    b'first'
    >>> buffer = bytearray(10)
    >>> buffer[: other.recv_into(buffer, timeout=5)]
    bytearray(b'second')
    >>> try:
    ...     other.recv(timeout=0)
    ... except TimeoutError:
    ...     print("nothing more")
    nothing more
    >>> one.abort(); other.abort()

    Source: ``fer_channel``; aea ``IPCChannelClient``.
    """

    __slots__ = ("__weakref__", "_c", "_closed", "_kept", "_one", "_owner", "_takes")

    def __init__(self, c: _ChannelPointer, takes_handles: bool) -> None:
        self._c = c
        self._takes = takes_handles
        self._owner = _ferrule.ferpy_own_channel(c, None)
        _ferrule.ferpy_channel_use_bytes(c)
        self._closed = False
        self._kept: Any = None  # a message that did not fit
        self._one = Exclusive("channel")

    def send(
        self,
        data: Buffer | Sequence[Buffer],
        timeout: float | None = None,
        *,
        handles: Iterable[Passable] = (),
    ) -> None:
        """Send a message, and wait until the kernel has it.

        data: an object with the buffer protocol, or a sequence of them that becomes one message.
        timeout: in seconds.
        handles: what goes with it, as for ``ferrule.Channel.send()``.

        Raises WouldBlockError when an earlier message kept this one from being accepted; TimedOutError when
        it was accepted and the rest of it goes with ``flush()`` or any later call (do not send it again);
        MessageSizeError, PipeBrokenError after the peer's goodbye, ResetError when the peer died,
        ClosedError, InvalidArgumentError for an empty message on the plain wire, TypeError. With handles also
        NotSupportedError; Error FER_EBADF, FER_EMFILE, FER_ETOOMANYREFS.
        Source: ``fer_sync_send``, ``fer_sync_send_fds``; aea ``IPCChannelClient.write``.
        """
        deadline = Deadline(timeout)
        fds = _message.descriptors(handles) if handles else None
        with self._one():
            try:
                self._send(data, fds, deadline)
            except error.InterruptedCallError:
                # It was accepted: what is left of it must still go.
                patiently(deadline, lambda limit: _ferrule.fer_sync_flush(self._c, limit))

    def _send(self, data: Buffer | Sequence[Buffer], fds: list[int] | None, deadline: Deadline) -> None:
        while True:
            limit = deadline.left()
            try:
                if fds is None:
                    _ferrule.fer_sync_send(self._c, data, limit)
                else:
                    _ferrule.fer_sync_send_fds(self._c, data, fds, limit)
                return
            except error.WouldBlockError:
                # Because of a signal, or because the time is up.
                if deadline.left() == 0:
                    raise

    def send_many(self, messages: Iterable[Buffer | Sequence[Buffer]], timeout: float | None = None) -> None:
        """Send messages, one after the other, with few calls of the library, and wait until the kernel has them.

        messages: each as for ``send()``.
        timeout: in seconds, for all of them.

        When it raises, some were sent and the rest was not, in order: where it matters which, use ``send()``.

        Raises as ``send()``.
        Source: ``fer_sync_send_many``.
        """
        deadline = Deadline(timeout)
        left = iter(messages)
        while batch := list(itertools.islice(left, _BATCH)):
            self._send_batch(batch, deadline)

    def _send_batch(self, batch: list[Any], deadline: Deadline) -> None:
        position = 0
        while position < len(batch):
            with self._one():
                position, status = _ferrule.ferpy_sync_send_many(self._c, batch, position, deadline.left())
                if status == _ferrule.FER_OK:
                    continue
                _ferrule.ferpy_check_signals()
                if status == _ferrule.FER_EINTR:
                    patiently(deadline, lambda limit: _ferrule.fer_sync_flush(self._c, limit))
                elif deadline.left() == 0:
                    raise error.from_status(status, "an earlier message is still on its way")

    def flush(self, timeout: float | None = None) -> None:
        """Wait until the kernel has everything that was accepted.

        timeout: in seconds.

        Raises TimedOutError, PipeBrokenError, ResetError, ClosedError.
        Source: ``fer_sync_flush``.
        """
        with self._one():
            patiently(Deadline(timeout), lambda limit: _ferrule.fer_sync_flush(self._c, limit))

    def recv(self, timeout: float | None = None) -> bytes:
        """Wait for the next message; on a channel with ``max_handles`` it is a ``Message``.

        timeout: in seconds. Running out of it loses nothing.

        Raises TimedOutError (a TimeoutError); EndOfStream after the peer's goodbye, ResetError (a
        ConnectionResetError) when the peer died, ProtocolError, MessageSizeError; AbortedError after a silence of
        ``frame_timeout``; Error FER_EMFILE when handles came and this process has no room for them; ClosedError.
        Source: ``fer_sync_receive``; aea ``IPCChannelClient.read``.
        """
        received = self._receive(timeout)
        return _message.hand_out(received) if self._takes else received

    def recv_message(self, timeout: float | None = None) -> Message:
        """Wait for the next message: as ``recv()``, and always a ``Message``.

        timeout: in seconds. Running out of it loses nothing.

        Raises as ``recv()``.
        Source: ``fer_sync_receive``.
        """
        return _message.hand_out(self._receive(timeout))

    def recv_many(self, limit: int | None = None, timeout: float | None = None) -> list[bytes]:
        """Wait for the next message, and take with it those that are there already, until they are 1 MiB.

        limit: how many at most; None: 4096.
        timeout: in seconds, for the first. Running out of it loses nothing.

        Gives at least one message. How the channel ended is for the next call.

        Raises ValueError for a limit below 1, and as ``recv()``.
        Source: ``fer_sync_receive``.
        """
        if limit is not None and limit < 1:
            raise ValueError("a limit is at least 1")
        deadline = Deadline(timeout)
        many = limit or _MANY
        with self._one():
            if self._kept is None:
                received = patiently(
                    deadline, lambda time: _ferrule.ferpy_sync_receive_many(self._c, many, time)
                )
            else:
                received = self._after_kept(many - 1)
        return [_message.hand_out(each) for each in received] if self._takes else received

    def _after_kept(self, more: int) -> list[Any]:
        """The message that did not fit into a buffer, and those behind it that are there."""
        received: list[Any] = []
        if more:
            try:
                received = _ferrule.ferpy_sync_receive_many(self._c, more, 0)
            except error.Error:
                pass  # None is there, or none will come: receiving again tells.
        received.insert(0, self._kept)
        self._kept = None
        return received

    def recv_into(self, buffer: Buffer, timeout: float | None = None) -> int:
        """Wait for the next message, and copy it to the beginning of a buffer. Handles that came with it are closed.

        buffer: writable, of contiguous bytes.
        timeout: in seconds. Running out of it loses nothing.

        Gives the size of the message. Raises InvalidArgumentError (a ValueError) when it does not fit: then it is there
        for the next call; TypeError for what is no such buffer; otherwise as ``recv()``.
        Source: ``fer_sync_receive``; ``socket.socket.recv_into``.
        """
        deadline = Deadline(timeout)
        with _message.writable(buffer) as view, self._one():
            received = self._kept
            if received is None:
                received = patiently(
                    deadline, lambda limit: _ferrule.ferpy_sync_receive_into(self._c, view, limit)
                )
                if isinstance(received, int):
                    return received
                self._kept = received
            message = _message.payload(received)
            size = len(message)
            if size > len(view):
                raise _message.too_small(size, len(view))
            view[:size] = message
            self._kept = None
            return size

    def _receive(self, timeout: float | None) -> Any:
        with self._one():
            if self._kept is not None:
                kept, self._kept = self._kept, None
                return kept
            deadline = Deadline(timeout)
            while True:
                try:
                    return _ferrule.fer_sync_receive(self._c, deadline.left())
                except error.InterruptedCallError:
                    continue

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return self.recv()
        except error.EndOfStream:
            raise StopIteration from None

    def close(self, timeout: float | None = None) -> None:
        """Flush, say goodbye, wait for the peer's goodbye, close. Closing again does nothing.

        timeout: in seconds, beside ``close_timeout`` of the options.

        Raises TimedOutError when the peer did not say goodbye in time, ResetError when it died before: then
        messages may not have arrived. The channel is closed in any case, except when the handler of a signal
        raised: then call again, or ``abort()``. ``unsent``, of the channel and of the error, says what was not
        flushed.
        Source: ``fer_sync_close``; aea ``IPCChannelClient.close``.
        """
        if self._closed:
            return
        with self._one():
            deadline = Deadline(timeout)
            try:
                patiently(deadline, lambda limit: _ferrule.fer_sync_close(self._c, limit))
                self._closed = True
                self._kept = None
            except error.Error as failure:
                self._closed = failure.code not in (_ferrule.FER_EBUSY, _ferrule.FER_EFORK)
                failure.unsent = _ferrule.fer_channel_unsent(self._c) if self._closed else 0
                self._kept = None if self._closed else self._kept
                raise

    def abort(self) -> None:
        """Close at once: nothing is flushed, and no goodbye is said.

        Source: ``fer_channel_abort``.
        """
        with self._one():
            _ferrule.fer_channel_abort(self._c)
            self._closed = True
            self._kept = None

    def fileno(self) -> int:
        """The descriptor, which stays the channel's, for ``select``.

        Messages that were read already are not seen there: call ``recv(0)`` until it raises TimedOutError,
        then wait.

        Raises ClosedError.
        Source: ``fer_sync_fileno``.
        """
        return _ferrule.fer_sync_fileno(self._c)

    @property
    def closed(self) -> bool:
        """Whether ``close()`` or ``abort()`` was called.

        Source: ``fer_channel_is_closing``.
        """
        return self._closed

    @property
    def info(self) -> ChannelInfo:
        """What is known: as ``ferrule.Channel.info``.

        Source: ``fer_channel_get_info``.
        """
        with self._one():
            return channel_info(self._c)

    @property
    def peer_credentials(self) -> Credentials:
        """Who is at the other end.

        Raises as ``ferrule.Channel.peer_credentials``.
        Source: ``fer_channel_peer_credentials``.
        """
        with self._one():
            return _access.credentials(_ferrule.fer_channel_peer_credentials(self._c))

    def stats(self) -> ChannelStats:
        """Count what has gone over the channel; also a closed one.

        Source: ``fer_channel_get_stats``.
        """
        with self._one():
            return ChannelStats(**_ferrule.fer_channel_get_stats(self._c))

    @property
    def unsent(self) -> int:
        """How many bytes of what was accepted, headers included, the kernel never got. Final after ``close()``.

        Source: ``fer_channel_unsent``.
        """
        with self._one():
            return _ferrule.fer_channel_unsent(self._c)

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"<ferrule.sync.Channel {'closed' if self._closed else 'open'} at {id(self):#x}>"


def open_channel(address: Address, options: _options.Options, timeout: float | None) -> Channel:
    fields = _options.to_c(options, timeout)
    deadline = Deadline(timeout)
    while True:
        try:
            c = _ferrule.fer_sync_connect(address, fields, -1)
            return Channel(c, fields.get("max_handles", 0) > 0)
        except error.InterruptedCallError:
            if os.fsencode(address).startswith(b"fd:"):
                raise
            # A handler ran, and did not raise: try for what is left. 0 stands for the default.
            fields["connect_timeout_ms"] = deadline.left() or 1


def join(end: socket.socket, options: _options.Options) -> Channel | Exception:
    """Make a channel of a socket, or give the exception. The socket is closed or the channel's then."""
    fd = end.detach()
    identity = os.fstat(fd).st_ino
    try:
        return open_channel(f"fd:{fd}", options, None)
    except Exception as failure:
        # An error leaves a descriptor that was never used where it is.
        if _inode(fd) == identity:
            os.close(fd)
        return failure


def _inode(fd: int) -> int | None:
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None
