"""``Channel``: whole messages, on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Union

from . import _access, _embed, _ferrule, _message, error
from ._access import Credentials
from ._message import Message, Passable
from ._stats import ChannelInfo, ChannelStats, channel_info
from ._waiter import Waiter, wake
from ._weak import weak_method

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._ferrule import _ChannelPointer

Address = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""Such as ``pipe:/path``, ``pipe:@abstract``, ``pipe:name``, ``fifo:IN,OUT``, ``tcp:127.0.0.1:PORT`` or ``fd:N``."""

# Receiving pauses when more than this waits for recv(), and goes on when half of it is taken.
_BYTES_WAITING = 1 << 20
_MESSAGES_WAITING = 4096


class Channel:
    """A channel on an asyncio loop; ``connect()`` and ``listen()`` make them.

    Messages arrive whole or not at all. It belongs to the asyncio loop that it was made on. One that is
    dropped without ``close()`` is aborted, with a ResourceWarning.

    As an asynchronous iterator it gives messages until the peer's goodbye. As an asynchronous context
    manager it is closed at the end of the block, or aborted when the block raises.

    >>> async def main():
    ...     one, other = await ferrule.pair()
    ...     await one.send([b"in ", b"pieces"])
    ...     await one.send_many([b"many", b"at once"])
    ...     closing = asyncio.ensure_future(one.close())
    ...     print([message async for message in other])
    ...     await asyncio.gather(closing, other.close())
    >>> asyncio.run(main())
    [b'in pieces', b'many', b'at once']

    Source: ``fer_channel``.
    """

    __slots__ = (
        "__weakref__",
        "_c",
        "_closed",
        "_closers",
        "_embedded",
        "_end",
        "_ending",
        "_messages",
        "_opening",
        "_owner",
        "_paused",
        "_receivers",
        "_senders",
        "_size",
        "_takes",
        "_unsent",
        "_writable",
    )

    def __init__(self, embedded: _embed.Embedded, takes_handles: bool) -> None:
        self._embedded = embedded
        self._takes = takes_handles
        self._messages: deque[Any] = deque()  # received, not taken yet
        self._size = 0  # of all of these
        self._paused = False
        self._writable = True
        self._end: tuple[int, str] | None = None  # how receiving ended
        self._ending = False  # close() or abort() was called
        self._closed = False
        self._unsent = 0  # in the end
        self._opening: asyncio.Future[tuple[int, str]] | None = None
        self._receivers: deque[Waiter] = deque()
        self._senders: deque[Waiter] = deque()
        self._closers: list[asyncio.Future[tuple[int, str]]] = []

    def _own(self, c: _ChannelPointer) -> None:
        """Take over a reference to a channel of the library."""
        self._c = c
        self._owner = _ferrule.ferpy_own_channel(c, self._embedded.dropped)
        self._embedded.enter()

    def _on_connected(self, status: int) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(with_detail(status))

    def _start(self) -> None:
        """The channel is open."""
        _ferrule.ferpy_channel_use_bytes(self._c)
        _ferrule.fer_channel_receive(self._c, weak_method(self._on_messages))
        _ferrule.fer_channel_on_drain(self._c, weak_method(self._on_drain))

    # --- Receiving -----------------------------------------------------------------------------------------

    def _on_messages(self, status: int, messages: list[Any]) -> None:
        if status:
            self._end = with_detail(status)
            wake(self._receivers)
            wake(self._senders)
            return
        self._messages.extend(messages)
        self._size += sum(map(_message.weight if self._takes else len, messages))
        if self._size > _BYTES_WAITING or len(self._messages) > _MESSAGES_WAITING:
            self._paused = True
            _ferrule.fer_channel_pause(self._c)
        wake(self._receivers, len(self._messages))

    async def recv(self) -> bytes:
        """Wait for the next message; on a channel with ``max_handles`` it is a ``Message``.

        May be cancelled, also by a timeout, at any time: nothing is lost.

        Raises EndOfStream after the peer's goodbye, ResetError (a ConnectionResetError) when the peer died,
        ProtocolError, MessageSizeError; AbortedError after a silence of ``frame_timeout``; Error FER_EMFILE when
        handles came and this process has no room for them; ClosedError after ``close()`` or ``abort()``.
        Source: ``fer_channel_receive``; aea ``IPCChannelClient.read``.
        """
        if not self._messages:
            await self._arrival()
        if self._takes:
            return self._take_message()
        message: bytes = self._messages.popleft()
        self._size -= len(message)
        if self._paused:
            self._look()
        return message

    async def recv_message(self) -> Message:
        """Wait for the next message: as ``recv()``, and always a ``Message``.

        Raises as ``recv()``.
        Source: ``fer_channel_receive``.
        """
        if not self._messages:
            await self._arrival()
        return self._take_message()

    async def recv_many(self, limit: int | None = None) -> list[bytes]:
        """Wait for the next message, and take with it all that are there already.

        limit: how many at most; None for no limit.

        Gives at least one message. Raises ValueError for a limit below 1, and as ``recv()``.
        Source: ``fer_channel_receive``.
        """
        if limit is not None and limit < 1:
            raise ValueError("a limit is at least 1")
        if not self._messages:
            await self._arrival()
        many = len(self._messages) if limit is None else min(limit, len(self._messages))
        if self._takes:
            return [self._take_message() for _ in range(many)]
        messages: list[bytes]
        if many == len(self._messages):
            messages = list(self._messages)
            self._messages.clear()
            self._size = 0
        else:
            messages = [self._messages.popleft() for _ in range(many)]
            self._size -= sum(map(len, messages))
        if self._paused:
            self._look()
        return messages

    async def recv_into(self, buffer: Buffer) -> int:
        """Wait for the next message, and copy it to the beginning of a buffer. Handles that came with it are closed.

        buffer: writable, of contiguous bytes.

        Gives the size of the message. Raises InvalidArgumentError (a ValueError) when it does not fit: then it is there
        for the next call; TypeError for what is no such buffer; otherwise as ``recv()``.
        Source: ``fer_channel_receive``; ``socket.socket.recv_into``.
        """
        with _message.writable(buffer) as view:
            if not self._messages:
                await self._arrival()
            received = self._messages[0]
            message = _message.payload(received)
            size = len(message)
            if size > len(view):
                wake(self._receivers, 1)  # Another may take it.
                raise _message.too_small(size, len(view))
            view[:size] = message
            self._messages.popleft()
        self._size -= _message.weight(received)
        if self._paused:
            self._look()
        return size

    def _take_message(self) -> Message:
        received = self._messages.popleft()
        self._size -= _message.weight(received)
        if self._paused:
            self._look()
        return _message.hand_out(received)

    async def _arrival(self) -> None:
        """Wait until there is a message. Raises when none will come."""
        while not self._messages:
            if self._ending:
                raise error.from_status(_ferrule.FER_ECLOSED, "this side has closed the channel")
            if self._end is not None:
                raise error.from_status(*self._end)
            waiter = Waiter(self._embedded, self)
            self._receivers.append(waiter)
            try:
                await waiter
            except BaseException:
                self._leave(self._receivers, waiter)
                raise

    def _look(self) -> None:
        """Receive again if there is room."""
        if self._size <= _BYTES_WAITING // 2 and len(self._messages) <= _MESSAGES_WAITING // 2:
            self._paused = False
            if self._end is None:
                _ferrule.fer_channel_resume(self._c)

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except error.EndOfStream:
            raise StopAsyncIteration from None

    # --- Sending -------------------------------------------------------------------------------------------

    async def send(self, data: Buffer | Sequence[Buffer], handles: Iterable[Passable] = ()) -> None:
        """Send a message: accepted whole, or not at all.

        data: an object with the buffer protocol, or a sequence of them that becomes one message. Read-only
        buffers of 64 KiB and more are not copied: what is behind them must not change until they are sent.
        handles: what goes with it, up to 64: a Pipe, a TCP or a UDP, a received handle, a ``socket.socket``, anything
        else with ``fileno()``, or a descriptor. They stay the caller's, who may close them at once. The peer
        gets descriptors of its own, all with the message or none.

        Waits while more than ``high_water`` bytes are waiting to be sent. When it is cancelled, the message
        was not sent. Returning means that the message was accepted; ``close()`` tells of its arrival.

        Raises MessageSizeError over this side's or the peer's limit, PipeBrokenError after the peer's goodbye,
        ResetError when the peer died, ClosedError after ``close()`` or ``abort()``, InvalidArgumentError for an
        empty message on the plain wire, TypeError for anything that is not bytes, or not a handle. With handles also
        NotSupportedError for more of them than the peer takes, or where none can go; Error FER_EBADF for what is
        not open, FER_EMFILE, FER_ETOOMANYREFS. After all but the second to fourth the channel goes on.
        Source: ``fer_channel_send``, ``fer_channel_send_fds``; aea ``IPCChannelClient.write``.
        """
        while not self._writable and self._end is None and not self._ending:
            await self._room()
        if handles:
            fds = _message.descriptors(handles)
            self._writable = _ferrule.ferpy_channel_send_fds(self._c, data, fds)
        else:
            self._writable = _ferrule.ferpy_channel_send(self._c, data)

    async def send_many(self, messages: Iterable[Buffer | Sequence[Buffer]]) -> None:
        """Send messages, one after the other, with few calls of the library.

        messages: each as for ``send()``.

        Waits whenever more than ``high_water`` bytes are waiting to be sent. When it is cancelled or raises, some were
        sent and the rest was not, in order: where it matters which, use ``send()``.

        Raises as ``send()``.
        Source: ``fer_channel_send``.
        """
        batch = list(messages)
        position = 0
        while position < len(batch):
            while not self._writable and self._end is None and not self._ending:
                await self._room()
            position, self._writable = _ferrule.ferpy_channel_send_many(self._c, batch, position)

    def cork(self) -> None:
        """Hold back what is sent from now on, so that it leaves together, until ``uncork()``.

        What has gathered to 64 KiB leaves all the same, and ``close()`` flushes everything. Corking twice changes
        nothing.

        Raises ClosedError.
        Source: ``fer_channel_cork``.
        """
        _ferrule.fer_channel_cork(self._c)

    def uncork(self) -> None:
        """Send what ``cork()`` held back, and hold back no more. Without a cork nothing changes.

        Raises ClosedError.
        Source: ``fer_channel_uncork``.
        """
        _ferrule.fer_channel_uncork(self._c)

    @contextlib.contextmanager
    def corked(self) -> Iterator[Channel]:
        """``cork()`` at the beginning of a block, ``uncork()`` at its end: ``with channel.corked():``.

        Raises ClosedError.
        Source: ``fer_channel_cork``, ``fer_channel_uncork``.
        """
        self.cork()
        try:
            yield self
        finally:
            if not self._ending:
                self.uncork()

    async def flush(self) -> None:
        """Wait until the kernel has everything that was sent so far, also what ``cork()`` holds back.

        When it is cancelled, what was sent goes on.

        Raises PipeBrokenError or ResetError when the peer went away before, CanceledError when ``abort()`` was called
        or a ``close()`` ran out of time meanwhile, ClosedError after ``close()`` or ``abort()``.
        Source: ``fer_channel_flush``.
        """
        flushed: asyncio.Future[tuple[int, str]] = _embed.check(self._embedded, self).create_future()

        def settle(status: int) -> None:
            detailed = with_detail(status)
            if not flushed.done():
                flushed.set_result(detailed)

        _ferrule.fer_channel_flush(self._c, settle)
        status, detail = await flushed
        if status:
            raise error.from_status(status, detail)

    def _on_drain(self) -> None:
        self._writable = True
        wake(self._senders)

    # --- Waiting -------------------------------------------------------------------------------------------

    async def _room(self) -> None:
        """Wait until sending may go on, in turn."""
        waiter = Waiter(self._embedded, self)
        self._senders.append(waiter)
        try:
            await waiter
        except BaseException:
            self._leave(self._senders, waiter)
            raise

    def _leave(self, waiters: deque[Waiter], waiter: Waiter) -> None:
        """One that waited goes. When it was woken before, the next one is woken in its place."""
        if waiter in waiters:
            waiters.remove(waiter)
        elif waiters is self._receivers and self._messages:
            wake(waiters, 1)

    # --- The end -------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Flush what was sent, say goodbye, wait for the peer's goodbye, close.

        Messages that were not received yet are dropped. The wait is bounded by ``close_timeout``. Closing
        again waits for the same end; after it, nothing happens. When it is cancelled, the closing goes on.

        Raises TimedOutError when the peer did not say goodbye in time, ResetError when it died before: then
        messages may not have arrived. CanceledError when ``abort()`` was called meanwhile. The channel is
        closed in any case; ``unsent``, of the channel and of the error, says what was not flushed.
        Source: ``fer_channel_close``; aea ``IPCChannelClient.close``.
        """
        host = _embed.check(self._embedded, self)
        self._finish()
        if self._closed:
            return
        closer: asyncio.Future[tuple[int, str]] = host.create_future()
        self._closers.append(closer)
        status, detail = await closer
        if status:
            failure = error.from_status(status, detail)
            failure.unsent = self._unsent
            raise failure

    def abort(self) -> None:
        """Close at once: nothing is flushed, and no goodbye is said.

        Source: ``fer_channel_abort``.
        """
        if not self._closed:
            _ferrule.fer_channel_abort(self._c)
            self._finish()

    def _finish(self) -> None:
        """Have the channel closed, and be told of it."""
        if self._ending:
            return
        _ferrule.fer_channel_close(self._c, weak_method(self._on_closed))
        self._ending = True
        self._embedded.closing.add(self)
        self._messages.clear()
        wake(self._receivers)
        wake(self._senders)

    def _on_closed(self, status: int) -> None:
        detailed = with_detail(status)
        self._unsent = _ferrule.fer_channel_unsent(self._c)
        self._closed = True
        self._embedded.closing.discard(self)
        self._embedded.leave()
        for closer in self._closers:
            if not closer.done():
                closer.set_result(detailed)
        self._closers.clear()

    @property
    def closed(self) -> bool:
        """Whether ``close()`` or ``abort()`` was called.

        Source: ``fer_channel_is_closing``.
        """
        return self._ending

    async def _abandon(self) -> None:
        """Abort, and wait until the descriptor is closed."""
        self.abort()
        await self._until_closed()

    async def _until_closed(self) -> None:
        """Close, and leave it to the owner to hear how that went."""
        try:
            await self.close()
        except error.Error:
            pass  # Of an aborted channel it says just that.

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            await self.close()
        else:
            await self._abandon()

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def info(self) -> ChannelInfo:
        """What is known: ``wire``, which is its name, ``version``, ``max_message`` and ``peer_max_message`` in bytes,
        ``max_handles``, ``peer_max_handles``, ``queued`` and ``high_water`` in bytes.

        Raises ClosedError.
        Source: ``fer_channel_get_info``.
        """
        return channel_info(self._c)

    @property
    def peer_credentials(self) -> Credentials:
        """Who is at the other end: on ``pipe:`` process, user and group, on ``tcp:`` of the loopback the user.

        Raises NotSupportedError where the system does not tell, AccessError when the peer is gone and nobody can
        tell any more, ClosedError.
        Source: ``fer_channel_peer_credentials``.
        """
        return _access.credentials(_ferrule.fer_channel_peer_credentials(self._c))

    def stats(self) -> ChannelStats:
        """Count what has gone over the channel; also a closed one.

        Source: ``fer_channel_get_stats``.
        """
        return ChannelStats(**_ferrule.fer_channel_get_stats(self._c))

    @property
    def unsent(self) -> int:
        """How many bytes of what was accepted, headers included, the kernel never got. Final after ``close()``.

        Source: ``fer_channel_unsent``.
        """
        return self._unsent if self._closed else _ferrule.fer_channel_unsent(self._c)

    def __repr__(self) -> str:
        return f"<ferrule.Channel {'closed' if self._ending else 'open'} at {id(self):#x}>"


def with_detail(status: int) -> tuple[int, str]:
    """A status that a callback was given, and what the library says about it."""
    return status, _ferrule.fer_status_detail() if status else ""
