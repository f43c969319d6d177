"""``open_pipe_connection`` and ``start_pipe_server``: bytes over pipes, with the streams of asyncio.

The library finds the place: names of any length, socket files that are for their owner alone from the first instant,
stale ones replaced, live ones left alone. From then on the socket is asyncio's.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, Union

from . import _embed, _ferrule, error
from .channel import with_detail
from .handle import require_callable

if TYPE_CHECKING:
    from typing_extensions import Self

_LIMIT = 1 << 16

PipeName = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""A path, or a name in Linux's abstract namespace, which begins with a NUL."""
ClientConnected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Optional[Awaitable[None]]]
"""What a server does with a client: a function or a coroutine function."""


async def open_pipe_connection(
    name: PipeName, *, limit: int = _LIMIT
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a pipe, and read and write bytes as with ``asyncio.open_connection()``.

    name: as for ``Pipe.connect()``.
    limit: of the reader's buffer, in bytes.

    >>> async def echo(reader, writer):
    ...     writer.write(await reader.readline())
    ...     writer.close()
    >>> async def main():
    ...     async with await ferrule.start_pipe_server(echo, "streams.sock"):
    ...         reader, writer = await ferrule.open_pipe_connection("streams.sock")
    ...         writer.write(b"a line\\n")
    ...         line = await reader.readline()
    ...         writer.close()
    ...         await writer.wait_closed()
    ...     return line
    >>> asyncio.run(main())
    b'a line\\n'

    Raises NotFoundError, RefusedError, AccessError and others as ``Pipe.connect()`` tells them; ValueError for a bad
    limit. It does not try again. May be cancelled at any time.
    Source: ``fer_pipe_connect``; ``asyncio.open_unix_connection``.
    """
    _check_limit(limit)
    connected = await _connect(name)
    try:
        return await asyncio.open_unix_connection(sock=connected, limit=limit)
    except BaseException:
        connected.close()
        raise


def _check_limit(limit: int) -> None:
    if limit <= 0:
        raise ValueError("a limit is at least 1")


async def _connect(name: PipeName) -> socket.socket:
    embedded = _embed.here()
    opening: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    def opened(status: int) -> None:
        if not opening.done():
            opening.set_result(with_detail(status))

    c = _ferrule.fer_pipe_new(embedded.c, 0)
    owner = _ferrule.ferpy_own_handle(c)
    embedded.enter()
    try:
        _ferrule.fer_pipe_connect(c, name, opened)
        status, detail = await opening
        if status:
            raise error.from_status(status, detail)
        return _to_socket(_ferrule.fer_handle_detach(c))
    finally:
        if not _ferrule.fer_handle_is_closing(c):
            _ferrule.fer_handle_close(c, None)
        del owner
        embedded.leave()


def _to_socket(fd: int) -> socket.socket:
    try:
        return socket.socket(fileno=fd)
    except BaseException:
        os.close(fd)
        raise


async def start_pipe_server(
    client_connected_cb: ClientConnected,
    name: PipeName,
    *,
    mode: int = 0,
    limit: int = _LIMIT,
    backlog: int = 511,
) -> PipeServer:
    """Serve clients at a pipe, as with ``asyncio.start_server()``.

    client_connected_cb: called with the reader and the writer of each client; a coroutine runs in a task.
    name: as for ``Pipe.bind()``.
    mode: of the socket file; 0 means 0o600.
    limit: of the readers' buffers, in bytes.
    backlog: how many connections the system may keep waiting.

    Raises Error FER_EADDRINUSE when somebody listens there, and others as ``Pipe.bind()``.
    Source: ``fer_pipe_bind``; ``asyncio.start_unix_server``.
    """
    require_callable(client_connected_cb)
    _check_limit(limit)
    place = _Place(name, mode)
    try:
        listening = _to_socket(os.dup(_ferrule.fer_handle_fileno(place.c)))
        try:
            server = await asyncio.start_unix_server(
                client_connected_cb, sock=listening, limit=limit, backlog=backlog
            )
        except BaseException:
            listening.close()
            raise
    except BaseException:
        place.close()
        raise
    return PipeServer(server, place)


class _Place:
    """A bound pipe of the library, which removes its file when it is closed."""

    def __init__(self, name: PipeName, mode: int) -> None:
        self._embedded = _embed.here()
        self.c = _ferrule.fer_pipe_new(self._embedded.c, 0)
        self._owner = _ferrule.ferpy_own_handle(self.c)
        self._embedded.enter()
        try:
            _ferrule.fer_pipe_bind(self.c, name, {"mode": mode})
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if not _ferrule.fer_handle_is_closing(self.c):
            _ferrule.fer_handle_close(self.c, None)
            self._embedded.leave()

    def __del__(self) -> None:
        if hasattr(self, "_owner") and not _ferrule.fer_handle_is_closing(self.c):
            self._embedded.dropped()


class PipeServer:
    """Serves clients at a pipe; ``start_pipe_server()`` makes it.

    It has what ``asyncio.Server`` has. As an asynchronous context manager it is closed at the end of the block.

    Source: ``asyncio.Server``.
    """

    def __init__(self, server: asyncio.AbstractServer, place: _Place) -> None:
        self._server: Any = server
        self._place = place
        self._name = _ferrule.fer_pipe_getsockname(place.c)

    @property
    def name(self) -> str:
        """Where clients find it.

        Source: ``fer_pipe_getsockname``.
        """
        return self._name

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening socket; none when it is closed.

        Source: ``asyncio.Server.sockets``.
        """
        return tuple(self._server.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop that it is on.

        Source: ``asyncio.Server.get_loop``.
        """
        found: asyncio.AbstractEventLoop = self._server.get_loop()
        return found

    def is_serving(self) -> bool:
        """Whether it accepts clients.

        Source: ``asyncio.Server.is_serving``.
        """
        return bool(self._server.is_serving())

    def close(self) -> None:
        """Stop listening, and remove the socket file. Clients that are there stay; closing again does nothing.

        Source: ``fer_handle_close``; ``asyncio.Server.close``.
        """
        self._place.close()
        self._server.close()

    async def wait_closed(self) -> None:
        """Wait until it is closed; what else it waits for depends on the version of Python.

        Source: ``asyncio.Server.wait_closed``.
        """
        await self._server.wait_closed()

    async def serve_forever(self) -> None:
        """Wait until this is cancelled, and close then.

        Source: ``asyncio.Server.serve_forever``.
        """
        try:
            await self._server.serve_forever()
        finally:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()
