"""``connect`` and ``Channel``: whole messages, on asyncio."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Union

from . import _embed, _ferrule, _options, error
from ._opening import Opening
from ._weak import weak_method

if TYPE_CHECKING:
    from typing_extensions import Buffer, Unpack

    from ._ferrule import _ChannelPointer

Address = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""Such as ``pipe:/path``, ``pipe:@abstract`` or ``pipe:name``."""

# Receiving pauses when more than this waits for recv(), and goes on when half of it is taken.
_BYTES_WAITING = 1 << 20
_MESSAGES_WAITING = 4096


class Channel:
    """A channel on an asyncio loop; ``connect()`` and ``listen()`` make them.

    Messages arrive whole or not at all. It belongs to the asyncio loop that it was made on. One that is
    dropped without ``close()`` is aborted, with a ResourceWarning.

    As an asynchronous iterator it gives messages until the peer's goodbye. As an asynchronous context
    manager it is closed at the end of the block, or aborted when the block raises.
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
        "_writable",
    )

    def __init__(self, embedded: _embed.Embedded) -> None:
        self._embedded = embedded
        self._messages: deque[bytes] = deque()  # received, not taken yet
        self._size = 0  # of all of these
        self._paused = False
        self._writable = True
        self._end: tuple[int, str] | None = None  # how receiving ended
        self._ending = False  # close() or abort() was called
        self._closed = False
        self._opening: asyncio.Future[tuple[int, str]] | None = None
        self._receivers: deque[asyncio.Future[None]] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._closers: list[asyncio.Future[tuple[int, str]]] = []

    def _own(self, c: _ChannelPointer) -> None:
        """Take over a reference to a channel of the library."""
        self._c = c
        self._owner = _ferrule.ferpy_own_channel(c, self._embedded.dropped)
        self._embedded.enter()

    def _on_connected(self, status: int) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_result(_with_detail(status))

    def _start(self) -> None:
        """The channel is open."""
        _ferrule.fer_channel_receive(self._c, weak_method(self._on_messages))
        _ferrule.fer_channel_on_drain(self._c, weak_method(self._on_drain))

    # --- Receiving -----------------------------------------------------------------------------------------

    def _on_messages(self, status: int, messages: list[bytes]) -> None:
        if status:
            self._end = _with_detail(status)
            _wake(self._receivers)
            _wake(self._senders)
            return
        self._messages.extend(messages)
        self._size += sum(map(len, messages))
        if self._size > _BYTES_WAITING or len(self._messages) > _MESSAGES_WAITING:
            self._paused = True
            _ferrule.fer_channel_pause(self._c)
        _wake(self._receivers, len(self._messages))

    async def recv(self) -> bytes:
        """Wait for the next message.

        May be cancelled, also by a timeout, at any time: nothing is lost.

        Raises EndOfStream after the peer's goodbye, ResetError (a ConnectionResetError) when the peer died,
        ProtocolError, MessageSizeError; ClosedError after ``close()`` or ``abort()``.
        Source: ``fer_channel_receive``; aea ``IPCChannelClient.read``.
        """
        while not self._messages:
            if self._ending:
                raise error.from_status(_ferrule.FER_ECLOSED, "this side has closed the channel")
            if self._end is not None:
                raise error.from_status(*self._end)
            await self._wait(self._receivers, self._messages)
        message = self._messages.popleft()
        self._size -= len(message)
        if (
            self._paused
            and self._size <= _BYTES_WAITING // 2
            and len(self._messages) <= _MESSAGES_WAITING // 2
        ):
            self._paused = False
            if self._end is None:
                _ferrule.fer_channel_resume(self._c)
        return message

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except error.EndOfStream:
            raise StopAsyncIteration from None

    # --- Sending -------------------------------------------------------------------------------------------

    async def send(self, data: Buffer | Sequence[Buffer]) -> None:
        """Send a message: accepted whole, or not at all.

        data: an object with the buffer protocol, or a sequence of them that becomes one message. Read-only
        buffers of 64 KiB and more are not copied: what is behind them must not change until they are sent.

        Waits while more than ``high_water`` bytes are waiting to be sent. When it is cancelled, the message
        was not sent. Returning means that the message was accepted; ``close()`` tells of its arrival.

        Raises MessageSizeError over this side's or the peer's limit, PipeBrokenError after the peer's goodbye,
        ResetError when the peer died, ClosedError after ``close()`` or ``abort()``, InvalidArgumentError for an
        empty message on the plain wire, TypeError for anything that is not bytes.
        Source: ``fer_channel_send``; aea ``IPCChannelClient.write``.
        """
        while not self._writable and self._end is None and not self._ending:
            await self._wait(self._senders, None)
        self._writable = _ferrule.ferpy_channel_send(self._c, data)

    def _on_drain(self) -> None:
        self._writable = True
        _wake(self._senders)

    # --- Waiting -------------------------------------------------------------------------------------------

    async def _wait(self, waiters: deque[asyncio.Future[None]], messages: deque[bytes] | None) -> None:
        """Wait to be woken, in turn. When cancelled after that, the next one is woken in its place."""
        waiter = _embed.check(self._embedded, self).create_future()
        waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            if waiter in waiters:
                waiters.remove(waiter)
            elif messages:
                _wake(waiters, 1)
            raise

    # --- The end -------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Flush what was sent, say goodbye, wait for the peer's goodbye, close.

        Messages that were not received yet are dropped. The wait is bounded by ``close_timeout``. Closing
        again waits for the same end; after it, nothing happens. When it is cancelled, the closing goes on.

        Raises TimedOutError when the peer did not say goodbye in time, ResetError when it died before: then
        messages may not have arrived. CanceledError when ``abort()`` was called meanwhile. The channel is
        closed in any case.
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
            raise error.from_status(status, detail)

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
        _wake(self._receivers)
        _wake(self._senders)

    def _on_closed(self, status: int) -> None:
        self._closed = True
        self._embedded.closing.discard(self)
        self._embedded.leave()
        for closer in self._closers:
            if not closer.done():
                closer.set_result(_with_detail(status))
        self._closers.clear()

    @property
    def closed(self) -> bool:
        """Whether ``close()`` or ``abort()`` was called."""
        return self._ending

    async def _abandon(self) -> None:
        """Abort, and wait until the descriptor is closed."""
        self.abort()
        try:
            await self.close()
        except error.Error:
            pass  # It says that the channel was aborted.

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
    def info(self) -> dict[str, int]:
        """What is known: ``wire``, ``version``, ``max_message`` and ``peer_max_message`` in bytes,
        ``max_handles``, ``peer_max_handles``, ``queued`` and ``high_water`` in bytes.

        Raises ClosedError.
        Source: ``fer_channel_get_info``.
        """
        return _ferrule.fer_channel_get_info(self._c)

    def __repr__(self) -> str:
        return f"<ferrule.Channel {'closed' if self._ending else 'open'} at {id(self):#x}>"


def _with_detail(status: int) -> tuple[int, str]:
    """A status that a callback was given, and what the library says about it."""
    return status, _ferrule.fer_status_detail() if status else ""


def _wake(waiters: deque[asyncio.Future[None]], count: int | None = None) -> None:
    """Wake the first ``count`` that wait, or all."""
    while waiters and count != 0:
        waiter = waiters.popleft()
        if not waiter.done():
            waiter.set_result(None)
            if count is not None:
                count -= 1


def connect(
    address: Address,
    *,
    timeout: float | None = _options.CONNECT_TIMEOUT,
    **options: Unpack[_options.Options],
) -> Opening[Channel]:
    """Connect to a server: ``await connect(...)``, or ``async with connect(...) as channel``.

    address: where the server is.
    timeout: seconds until there is a listener, which is tried again and again; None for no limit.
    wire, max_message, high_water, handshake_timeout, close_timeout: see ``Options``.

    Raises NotFoundError, RefusedError or TimedOutError when nobody listened in time; AddressError;
    AccessError; ProtocolError or VersionError after a bad handshake, ResetError when the peer went away
    during it, TimedOutError when it was slow; NotSupportedError for a transport or wire that is not to be
    had; TypeError and ValueError for options.
    Source: ``fer_channel_connect``; aea ``IPCChannelClient.connect``.
    """
    return Opening(_connect(address, _options.to_c(options, timeout)))


async def _connect(address: Address, options: dict[str, int]) -> Channel:
    embedded = _embed.here()
    channel = Channel(embedded)
    channel._opening = asyncio.get_running_loop().create_future()
    call = weak_method(channel._on_connected)
    try:
        channel._own(_ferrule.fer_channel_connect(embedded.c, address, options, call))
    finally:
        embedded.look()
    try:
        status, detail = await channel._opening
        if status:
            raise error.from_status(status, detail)
        channel._start()
    except BaseException:
        await channel._abandon()
        raise
    return channel
