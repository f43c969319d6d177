"""``listen`` and ``Server``: accept channels, on asyncio."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable

from . import _access, _embed, _ferrule, _options, error
from ._access import Allow, Credentials
from ._opening import Opening
from ._weak import WeakSet, weak_method, weak_question
from .channel import Address, Channel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._ferrule import _ChannelPointer, _ServerPointer

Handler = Callable[[Channel], Any]
"""A coroutine function that has the channel until it returns, or a function that takes it over."""

_log = logging.getLogger("ferrule")


class Server:
    """Accepts channels at an address; ``listen()`` makes them.

    It belongs to the asyncio loop that it was made on. One that is dropped without ``close()`` stops
    listening, with a ResourceWarning.

    As an asynchronous context manager it stops listening at the end of the block and then waits for the
    handlers that run; when the block raises, or is cancelled, they are cancelled.

    Source: ``fer_server``; asyncio ``Server``.
    """

    def __init__(
        self,
        embedded: _embed.Embedded,
        handler: Handler,
        takes_handles: bool,
        allow: Callable[[Credentials], bool] | None,
    ) -> None:
        self._embedded = embedded
        self._handler = handler
        self._takes = takes_handles
        self._allow = allow
        self._channels: WeakSet[Channel] = WeakSet()
        self._draining = False
        self._ending = False
        self._closed = False
        self._handlers: set[asyncio.Task[None]] = set()
        self._closers: list[asyncio.Future[None]] = []

    def _own(self, c: _ServerPointer) -> None:
        """Take over a reference to a server of the library."""
        self._c = c
        self._owner = _ferrule.ferpy_own_server(c, self._embedded.dropped)
        self._embedded.enter()
        self._address = _ferrule.fer_server_address(c)

    # --- Clients -------------------------------------------------------------------------------------------

    def _limit(self, max_channels: int, max_half_open: int) -> None:
        """Before the first client: how many there may be, and which."""
        _ferrule.fer_server_set_limits(self._c, max_channels, max_half_open)
        if self._allow is not None:
            _ferrule.fer_server_on_allow(self._c, weak_question(self._on_allow))

    def _on_allow(self, who: dict[str, int]) -> int:
        assert self._allow is not None
        try:
            return _access.decide(self._allow, who)
        except Exception as failure:
            self._embedded.report(f"deciding about a client of {self._address} failed", failure, server=self)
            return 0

    def _on_channel(self, status: int, c: _ChannelPointer | None) -> None:
        if c is None:
            failure = error.from_status(status, _ferrule.fer_status_detail())
            _log.warning("%s: a client was turned away: %s", self._address, failure)
            return
        channel = Channel(self._embedded, self._takes)
        channel._own(c)
        self._channels.add(channel)
        try:
            channel._start()
            work = self._handler(channel)
        except Exception as failure:
            channel.abort()
            self._report(failure, channel)
            return
        except BaseException:
            channel.abort()
            raise
        if inspect.isawaitable(work):
            task = self._embedded.start(self._serve(channel, work))
            self._handlers.add(task)
            task.add_done_callback(lambda task: self._served(task, channel, work))

    def _served(self, task: asyncio.Task[None], channel: Channel, work: Awaitable[object]) -> None:
        self._handlers.discard(task)
        # One that was cancelled before it began has done nothing.
        if inspect.iscoroutine(work):
            work.close()
        if not channel.closed:
            channel.abort()

    async def _serve(self, channel: Channel, work: Awaitable[object]) -> None:
        try:
            await self._work(channel, work)
            await channel.close()
        except error.CanceledError as failure:
            # An end that the handler has chosen is none of its failures.
            if not channel.closed:
                self._report(failure, channel)
        except Exception as failure:
            self._report(failure, channel)
        finally:
            await channel._abandon()

    async def _work(self, channel: Channel, work: Awaitable[object]) -> None:
        try:
            await work
        except error.ClosedError:
            if not (self._draining and channel.closed):
                raise

    def _report(self, failure: Exception, channel: Channel) -> None:
        self._embedded.report(f"a handler of {self._address} failed", failure, channel=channel, server=self)

    # --- The end -------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Stop listening, and remove the files that were made. Channels, and handlers that run, go on.

        Closing again waits for the same end; after it, nothing happens.

        Raises ThreadError on another thread, and in another asyncio loop.
        Source: ``fer_server_close``.
        """
        host = _embed.check(self._embedded, self)
        self._stop()
        await self._wait(host)

    async def drain(self) -> None:
        """Stop listening, and close every channel that the server gave out, as ``Channel.close()`` does; wait for that.

        A handler that receives or sends meanwhile gets ClosedError, which it may let through: it is not reported then.
        How it went with a channel is told to its handler's end, or to whoever closes it. May be called after
        ``close()``. When it is cancelled, the closing goes on.

        Raises ThreadError on another thread, and in another asyncio loop.
        Source: ``fer_server_drain``.
        """
        host = _embed.check(self._embedded, self)
        self._draining = True
        channels = list(self._channels)
        for channel in channels:
            channel._finish()
        self._stop()
        await self._wait(host)
        for channel in channels:
            await channel._until_closed()

    def abort(self) -> None:
        """Stop listening, and abort every channel that the server gave out, as ``Channel.abort()`` does.

        Handlers are treated as with ``drain()``. ``close()`` waits for the end. May be called after ``close()``, and
        ends the wait of ``drain()``.
        Source: ``fer_server_abort``.
        """
        self._stop()
        self._draining = True
        for channel in list(self._channels):
            channel.abort()
        # So that the end of the server comes after theirs.
        _ferrule.fer_server_abort(self._c)

    def _stop(self) -> None:
        if not self._ending:
            _ferrule.fer_server_close(self._c, weak_method(self._on_closed))
            self._ending = True
            self._embedded.closing.add(self)

    async def _wait(self, host: asyncio.AbstractEventLoop) -> None:
        if not self._closed:
            closer: asyncio.Future[None] = host.create_future()
            self._closers.append(closer)
            await closer

    def _on_closed(self) -> None:
        self._closed = True
        self._embedded.closing.discard(self)
        self._embedded.leave()
        for closer in self._closers:
            if not closer.done():
                closer.set_result(None)
        self._closers.clear()

    async def serve_forever(self) -> None:
        """Wait until the server is closed. When this is cancelled, it is closed.

        Raises ThreadError on another thread, and in another asyncio loop.
        Source: asyncio ``Server.serve_forever``.
        """
        host = _embed.check(self._embedded, self)
        try:
            await self._wait(host)
        except BaseException:
            await self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called.

        Source: ``fer_server_is_closing``.
        """
        return self._ending

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
        handlers = set(self._handlers)
        if kind is not None:
            for handler in handlers:
                handler.cancel()
        if handlers:
            await asyncio.wait(handlers)

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def address(self) -> str:
        """The address at which clients find the server.

        Source: ``fer_server_address``; aea ``IPCChannel.in_path``.
        """
        return self._address

    @property
    def count(self) -> int:
        """How many channels that the server gave out are open.

        Source: ``fer_server_count``.
        """
        return _ferrule.fer_server_count(self._c)

    def __repr__(self) -> str:
        return f"<ferrule.Server {self._address} {'closed' if self._ending else 'open'}>"


def listen(
    address: Address,
    handler: Handler,
    *,
    max_channels: int = 0,
    max_half_open: int = 0,
    allow: Allow = None,
    **options: Unpack[_options.Options],
) -> Opening[Server]:
    """Listen at an address: ``await listen(...)``, or ``async with listen(...) as server``.

    address: where to listen. A stale socket file is replaced; sockets and FIFOs have mode 0600. ``fifo:`` alone makes
    two FIFOs in a private directory, and FIFOs have one client at a time; port 0 of ``tcp:`` picks one; ``fd:N`` is a
    socket that listens already.
    handler: called with the channel of each client. A coroutine function runs in a task of its own, and its
    channel is closed when it returns, aborted when it raises; what it raises goes to the asyncio loop's
    exception handler. Any other function takes the channel over.
    max_channels: open channels; a client more is closed, at once or when it has said hello. 0: no limit.
    max_half_open: clients that are connected and have not said hello; for one more, the oldest is closed. 0: 128.
    allow: None serves clients of the same user and of root on ``pipe:`` and on ``tcp:`` of the loopback, where the
    system tells; ``"any"`` serves all. A function is called with the ``Credentials`` of each client, before a byte of
    it is read, and answers True or False; when it raises, the client is closed, and the exception goes to the asyncio
    loop's exception handler.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, any_host, secret,
    inline, busy_poll: of the channels; see ``Options``.

    >>> async def count(channel):
    ...     await channel.send(b"%d" % len([message async for message in channel]))
    >>> async def main():
    ...     async with await ferrule.listen("pipe:counter", count, max_message=1000) as server:
    ...         return server.address, server.count
    >>> asyncio.run(main())
    ('pipe:counter', 0)

    Raises AddressError; Error FER_EADDRINUSE when somebody listens there, FER_EPROTOTYPE for a file in the place of a
    FIFO; NotFoundError, AccessError and others by what is wrong with the path; AccessError for a host beyond the
    loopback; NotSupportedError for handles where none can go; TypeError and ValueError for options.
    Source: ``fer_server_listen``; aea ``IPCChannel.connect``.
    """
    if not callable(handler):
        raise TypeError("a callable is required")
    limits = (_options.number("max_channels", max_channels), _options.number("max_half_open", max_half_open))
    return Opening(_listen(address, handler, _options.to_c(options), limits, _access.decider(allow)))


async def _listen(
    address: Address,
    handler: Handler,
    options: dict[str, Any],
    limits: tuple[int, int],
    allow: Callable[[Credentials], bool] | None,
) -> Server:
    embedded = _embed.here()
    server = Server(embedded, handler, options.get("max_handles", 0) > 0, allow)
    call = weak_method(server._on_channel)
    try:
        server._own(_ferrule.fer_server_listen(embedded.c, address, options, call))
    finally:
        embedded.look()
    server._limit(*limits)
    return server
