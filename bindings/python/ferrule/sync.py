"""Channels for programs without an event loop: the same names, and calls that wait.

A channel or server may be used by any thread, but by one at a time. All times are in seconds; None means
without limit, 0 does not wait. Signals are handled while a call waits: one whose handler raises, as that of
Ctrl-C does, ends the call, and after any other it goes on for the rest of its time.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Callable

from . import _access, _ferrule, _lifetime, _options, error
from ._access import Allow, Credentials
from ._parent import activation_address, taking
from ._sync_channel import Channel, Exclusive, join, open_channel, patiently
from ._sync_spawn import Child, spawn
from ._time import Deadline
from ._weak import weak_question
from .channel import Address

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._ferrule import _ServerPointer


class Server:
    """Accepts channels at an address; ``listen()`` makes them.

    As an iterator it gives channels until it is closed. As a context manager it is closed at the end of the
    block. One that is dropped without ``close()`` is closed, with a ResourceWarning.

    Source: ``fer_server``; aea ``IPCChannel``.
    """

    __slots__ = (
        "__weakref__",
        "_address",
        "_allow",
        "_c",
        "_closed",
        "_failure",
        "_one",
        "_owner",
        "_takes",
        "_thread",
    )

    def __init__(
        self, c: _ServerPointer, takes_handles: bool, allow: Callable[[Credentials], bool] | None = None
    ) -> None:
        self._c = c
        self._takes = takes_handles
        self._allow = allow
        self._failure: BaseException | None = None  # what deciding about a client raised
        self._owner = _ferrule.ferpy_own_server(c, None)
        self._closed = False
        self._one = Exclusive("server")
        self._address = _ferrule.fer_server_address(c)
        self._thread: int | None = None
        _lifetime.watch(self)

    def accept(self, timeout: float | None = None) -> Channel:
        """Wait for the next client.

        timeout: in seconds.

        Raises TimedOutError, ClosedError; Error FER_EMFILE when there are no descriptors left; what ``allow`` of
        ``listen()`` raises. After all but ClosedError the server goes on.
        Source: ``fer_sync_accept``.
        """
        with self._one():
            try:
                c = patiently(Deadline(timeout), lambda limit: _ferrule.fer_sync_accept(self._c, limit))
            except error.CallbackError:
                if self._failure is None:
                    raise
                failure, self._failure = self._failure, None
            else:
                return Channel(c, self._takes)
        try:
            raise failure
        finally:
            del failure  # Its traceback has this frame.

    def _limit(self, max_half_open: int) -> None:
        _ferrule.fer_server_set_limits(self._c, 0, max_half_open)
        if self._allow is not None:
            _ferrule.fer_server_on_allow(self._c, weak_question(self._on_allow))

    def _on_allow(self, who: dict[str, int]) -> int:
        assert self._allow is not None
        try:
            # The handler of a signal may have raised on the way here.
            _ferrule.ferpy_check_signals()
            return _access.decide(self._allow, who)
        except BaseException as failure:
            self._failure = failure
            return _ferrule.FER_ECALLBACK

    def __iter__(self) -> Iterator[Channel]:
        return self

    def __next__(self) -> Channel:
        try:
            return self.accept()
        except error.ClosedError:
            raise StopIteration from None

    def fileno(self) -> int:
        """A descriptor, which stays the server's, for ``select``: readable when ``accept(0)`` has something to do.

        ``accept(0)`` that raises TimedOutError then says that the client is not open yet: wait again. To be used
        on Linux.

        Raises ClosedError; NotSupportedError on FIFOs, which have one client at a time, and on systems without
        epoll; Error FER_EMFILE when there are no descriptors left.
        Source: ``fer_sync_server_fileno``.
        """
        return _ferrule.fer_sync_server_fileno(self._c)

    def close(self) -> None:
        """Stop listening, and remove the files that were made. Channels live on. Closing again does nothing.

        Source: ``fer_server_close``.
        """
        with self._one():
            _ferrule.fer_server_close(self._c, None)
            self._closed = True

    def _dispose(self) -> None:
        """Remove the socket file at the interpreter's end, unless a thread still accepts."""
        if not self._closed:
            try:
                self.close()
            except error.Error:
                pass  # FER_EBUSY; or FER_EFORK: it is the parent's.

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called.

        Source: ``fer_server_is_closing``.
        """
        return self._closed

    @property
    def address(self) -> str:
        """The address at which clients find the server.

        Source: ``fer_server_address``; aea ``IPCChannel.in_path``.
        """
        return self._address

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ferrule.sync.Server {self._address} {'closed' if self._closed else 'open'}>"


def connect(
    address: Address,
    *,
    timeout: float | None = _options.CONNECT_TIMEOUT,
    **options: Unpack[_options.Options],
) -> Channel:
    """Connect to a server, and wait until the channel is open.

    address: where the server is.
    timeout: seconds until there is a listener, which is tried again and again; None for no limit.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, any_host, any_user,
    secret, inline, busy_poll: see ``Options``.

    Raises as ``ferrule.connect()``; for an ``fd:`` address also InterruptedCallError when a signal arrived: the
    handshake cannot be tried again then. After an error the descriptor is the caller's again.
    Source: ``fer_sync_connect``; aea ``IPCChannelClient.connect``.
    """
    return open_channel(address, options, timeout)


def pair(**options: Unpack[_options.Options]) -> tuple[Channel, Channel]:
    """Make two channels that are connected with each other, over a Unix domain socket.

    On the native wire a thread says hello for one of them, which has ended when this returns.

    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: of both; see ``Options``.

    Raises OSError when the system gives no more descriptors; NotSupportedError for handles on the plain wire;
    TypeError and ValueError for options.
    Source: ``fer_channel_pair``; ``socket.socketpair``.
    """
    while True:
        both = _join_both(options)
        channels = [channel for channel in both if isinstance(channel, Channel)]
        if len(channels) == 2:
            return channels[0], channels[1]
        for channel in channels:
            channel.abort()
        for failure in both:
            # A handler ran, and did not raise: there is nothing left but to begin anew.
            if isinstance(failure, Exception) and not isinstance(failure, error.InterruptedCallError):
                raise failure


def _join_both(options: _options.Options) -> list[Channel | Exception]:
    made: list[Channel | Exception] = []
    ends = socket.socketpair()
    other = threading.Thread(target=lambda: made.append(join(ends[1], options)), daemon=True)
    try:
        other.start()
        made.append(join(ends[0], options))
    finally:
        # Whatever happened: with this end gone, the other one does not wait.
        ends[0].close()
        if other.ident is not None:
            other.join()
        ends[1].close()
    return made


def listen(
    address: Address,
    *,
    max_half_open: int = 0,
    allow: Allow = None,
    **options: Unpack[_options.Options],
) -> Server:
    """Listen at an address.

    address: where to listen. A stale socket file is replaced; sockets and FIFOs have mode 0600. ``fifo:`` alone makes
    two FIFOs in a private directory, port 0 of ``tcp:`` picks one.
    max_half_open: clients that are connected and have not said hello; for one more, the oldest is closed. 0: 128.
    allow: as for ``ferrule.listen()``; what it raises comes out of ``accept()``, and the client is closed.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, any_host, secret,
    inline, busy_poll: of the channels; see ``Options``.

    >>> def serve(server):
    ...     with server.accept() as channel:
    ...         for message in channel:
    ...             channel.send(message[::-1])
    >>> with sync.listen("pipe:mirror") as server:
    ...     thread = threading.Thread(target=serve, args=(server,))
    ...     thread.start()
    ...     with sync.connect("pipe:mirror") as channel:
    ...         channel.send(b"draw")
    ...         print(channel.recv())
    ...     thread.join()
    b'ward'

    Raises as ``ferrule.listen()``.
    Source: ``fer_sync_listen``; aea ``IPCChannel.connect``.
    """
    fields = _options.to_c(options)
    half_open = _options.number("max_half_open", max_half_open)
    decide = _access.decider(allow)
    server = Server(_ferrule.fer_sync_listen(address, fields), fields.get("max_handles", 0) > 0, decide)
    server._limit(half_open)
    return server


def parent(**options: Unpack[_options.Options]) -> Channel:
    """Open the channel to the process that started this one, and wait until it is open.

    The environment variable that names it is removed, so that this works once, and children of this process do not
    take it for theirs.

    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: see ``Options``.

    Raises as ``ferrule.parent()``; InterruptedCallError when a signal arrived: the channel is closed then.
    Source: ``fer_sync_parent``.
    """
    fields = _options.to_c(options, None)
    with taking():
        return Channel(_ferrule.fer_sync_parent(fields, -1), fields.get("max_handles", 0) > 0)


__all__ = [
    "Channel",
    "Child",
    "Server",
    "activation_address",
    "connect",
    "listen",
    "pair",
    "parent",
    "spawn",
]
