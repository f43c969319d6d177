"""``ferrule.ipc`` over TCP."""

from __future__ import annotations

import asyncio
import logging
import socket
from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING

from . import _ferrule, _ipc, error
from ._ipc import PIPE_CONN_TIMEOUT
from ._plain import PlainStream
from .channel import Channel
from .server import listen

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ONE_TRY = 0.01


class TCPSocketProtocol:
    """The messages of an asyncio connection that is there already.

    reader: one end of it, as ``asyncio.open_connection()`` gives it.
    writer: the other.
    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    Source: aea ``TCPSocketProtocol``.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        logger: logging.Logger = _ipc.default_logger,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        self.logger = logger
        self._stream = PlainStream(reader, writer)

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The writer that it was made with.

        Source: aea ``TCPSocketProtocol.writer``.
        """
        return self._stream.writer

    async def write(self, data: Buffer) -> None:
        """As ``IPCChannelClient.write()``; but one that is cancelled while it waits was written.

        data: at least one byte, up to 64 MiB.

        Source: aea ``TCPSocketProtocol.write``.
        """
        await self._stream.write(data)

    async def read(self) -> bytes | None:
        """As ``IPCChannelClient.read()``.

        Source: aea ``TCPSocketProtocol.read``.
        """
        return await self._stream.read()

    async def close(self) -> None:
        """As ``IPCChannelClient.close()``.

        Source: aea ``TCPSocketProtocol.close``.
        """
        patience = _ipc.FLUSH_TIME if self._stream.queued else _ipc.ANSWER_TIME
        await self._stream.close(patience)


class TCPSocketChannel(_ipc.Making):
    """A port of the loopback, bound from the beginning, for exactly one peer.

    Any user of the machine can be that peer: ports have no permissions, as files have.

    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    Raises OSError when there is no port.
    Source: aea ``TCPSocketChannel``.
    """

    def __init__(
        self, logger: logging.Logger = _ipc.default_logger, loop: AbstractEventLoop | None = None
    ) -> None:
        super().__init__(logger)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._in_path = self._out_path = str(self._listener.getsockname()[1])

    async def connect(self, timeout: float = PIPE_CONN_TIMEOUT) -> bool:
        """As ``IPCChannelClient.connect()``. When one peer is there, others are refused.

        timeout: in seconds; 0 tries once.

        Source: aea ``TCPSocketChannel.connect``.
        """
        connected = await self._connect(self._accept(timeout))
        if connected:
            self._listener.close()
        return connected

    async def _accept(self, timeout: float) -> Channel:
        first: asyncio.Future[Channel] = asyncio.get_running_loop().create_future()

        def take(channel: Channel) -> None:
            if first.done():
                channel.abort()
            else:
                first.set_result(channel)

        # The server has a descriptor of its own, so that the port stays bound when nobody comes.
        with self._listener.dup() as listener:
            server = await listen(
                f"fd:{listener.fileno()}", take, wire="plain", close_timeout=_ipc.FLUSH_TIME
            )
            listener.detach()
        try:
            try:
                await asyncio.wait([first], timeout=max(_ONE_TRY, timeout))
            finally:
                first.cancel()
                await server.close()
        except BaseException:
            if not first.cancelled():
                first.result().abort()
            raise
        if first.cancelled():
            raise error.from_status(_ferrule.FER_ETIMEDOUT, "nobody connected")
        return first.result()

    async def close(self) -> None:
        """As ``IPCChannelClient.close()``. The port is given back.

        Source: aea ``TCPSocketChannel.close``.
        """
        self._listener.close()
        await super().close()


class TCPSocketChannelClient(_ipc.Joining, _ipc.AtAddress, _ipc.IPCChannelClient):
    """The other side of a ``TCPSocketChannel``.

    in_path: the port, or ``host:port``, where the host is one of the loopback.
    out_path: the same; it is not looked at.
    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    ``last_exception`` is what kept the last ``connect()`` from succeeding: it raises nothing of that.

    Raises ValueError for what is no port.
    Source: aea ``TCPSocketChannelClient``.
    """

    def __init__(
        self,
        in_path: str,
        out_path: str,
        logger: logging.Logger = _ipc.default_logger,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(logger)
        host, _, port = in_path.rpartition(":")
        self._address = f"tcp:{host or '127.0.0.1'}:{int(port)}"
