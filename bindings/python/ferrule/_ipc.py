"""What all classes of ``ferrule.ipc`` have in common."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from . import _ferrule, error
from ._connect import connect
from .channel import Address, Channel

if TYPE_CHECKING:
    from typing_extensions import Buffer

PIPE_CONN_TIMEOUT = 10.0
"""Seconds that ``connect()`` waits for the other side."""

FLUSH_TIME = 5.0
"""Seconds for the kernel to take what was written, when it has not yet."""

ANSWER_TIME = 1.0
"""Seconds for the other side to end too: many say no goodbye."""

default_logger = logging.getLogger("ferrule.ipc")


class IPCChannelClient(ABC):
    """One side of a channel between two processes.

    Source: aea ``IPCChannelClient``.
    """

    @abstractmethod
    async def connect(self, timeout: float = PIPE_CONN_TIMEOUT) -> bool:
        """Wait for the other side.

        timeout: in seconds; 0 tries once.

        Gives whether it came in time. If not, another try may be made.

        Raises Error FER_EISCONN when it is connected already, FER_EALREADY while another call waits; ClosedError
        after ``close()``; what else is wrong with the place.
        Source: aea ``IPCChannelClient.connect``.
        """

    @abstractmethod
    async def write(self, data: Buffer) -> None:
        """Send a message: whole, or not at all. Waits while more than 1 MiB is waiting to be sent.

        data: at least one byte, up to 64 MiB.

        Raises NotConnectedError (a ValueError) before ``connect()`` and after ``close()``; InvalidArgumentError for no
        bytes, MessageSizeError; PipeBrokenError or ResetError when the other side is gone.
        Source: aea ``IPCChannelClient.write``.
        """

    @abstractmethod
    async def read(self) -> bytes | None:
        """Wait for a message. None is the end: the other side, or this one, has closed.

        May be cancelled at any time, also by a timeout: nothing is lost.

        Raises NotConnectedError (a ValueError) before ``connect()`` and after ``close()``; ResetError when the other
        side died in the middle of a message; MessageSizeError for one of more than 64 MiB.
        Source: aea ``IPCChannelClient.read``.
        """

    @abstractmethod
    async def close(self) -> None:
        """Flush, say goodbye, close, and remove what was made. Also for one that never connected, or is closed.

        The other side has a second to answer, and need not.

        Raises TimedOutError when it did not take in 5 seconds what was written before, ResetError when it was gone
        before it did; ``unsent`` of the error says how many bytes these were. It is closed in any case.
        Source: aea ``IPCChannelClient.close``.
        """


class IPCChannel(IPCChannelClient):
    """The side of a channel that makes it, and has the rendezvous points.

    Source: aea ``IPCChannel``.
    """

    @property
    @abstractmethod
    def in_path(self) -> str:
        """The rendezvous point for what this side reads: the client's ``out_path``.

        Source: aea ``IPCChannel.in_path``.
        """

    @property
    @abstractmethod
    def out_path(self) -> str:
        """The rendezvous point for what this side writes: the client's ``in_path``.

        Source: aea ``IPCChannel.out_path``.
        """


class OnChannel:
    """Writing, reading and closing, on a channel of Ferrule's."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger
        self._channel: Channel | None = None
        self._connecting = False
        self._closed = False

    async def _connect(self, opening: Coroutine[Any, Any, Channel]) -> bool:
        """Have the channel that ``opening`` gives. False when nobody was there in time."""
        try:
            self._check_unconnected()
        except error.Error:
            opening.close()
            raise
        self._connecting = True
        try:
            channel = await opening
        except error.Error as failure:
            self.logger.debug("not connected: %s", failure)
            if self._is_fatal(failure):
                raise
            return False
        finally:
            self._connecting = False
        if self._closed:
            channel.abort()
            return False
        self._channel = channel
        return True

    def _check_unconnected(self) -> None:
        if self._closed:
            raise error.from_status(_ferrule.FER_ECLOSED, "what was closed does not connect again")
        if self._connecting:
            raise error.from_status(_ferrule.FER_EALREADY, "another task connects it")
        if self._channel is not None:
            raise error.from_status(_ferrule.FER_EISCONN)

    def _is_fatal(self, failure: error.Error) -> bool:
        """Whether ``connect()`` raises it. Otherwise nobody came."""
        return not isinstance(failure, (error.TimedOutError, error.RefusedError, error.NotFoundError))

    def _connected(self) -> Channel:
        if self._channel is None or self._closed:
            raise error.from_status(
                _ferrule.FER_ENOTCONN, "closed" if self._closed else "call connect() first"
            )
        return self._channel

    async def write(self, data: Buffer) -> None:
        """As ``IPCChannelClient.write()``.

        data: at least one byte, up to 64 MiB.

        Source: aea ``IPCChannelClient.write``.
        """
        await self._connected().send(data)

    async def read(self) -> bytes | None:
        """As ``IPCChannelClient.read()``.

        Source: aea ``IPCChannelClient.read``.
        """
        channel = self._connected()
        try:
            return await channel.recv()
        except error.EndOfStream:
            return None
        except error.ClosedError:
            if not self._closed:
                raise
            return None  # This side closed while it waited.

    async def close(self) -> None:
        """As ``IPCChannelClient.close()``.

        Source: aea ``IPCChannelClient.close``.
        """
        channel = self._channel
        self._closed = True
        if channel is None:
            return
        patience = FLUSH_TIME if not channel.closed and channel.info["queued"] else ANSWER_TIME
        try:
            await asyncio.wait_for(channel.close(), patience)
        except asyncio.TimeoutError:
            # It may have been the channel's own time that was over. If not, what is left is dropped now.
            channel.abort()
            await self._end(channel)
        except error.Error as failure:
            self._judge(channel, failure)

    async def _end(self, channel: Channel) -> None:
        try:
            await channel.close()
        except error.Error as failure:
            self.logger.debug("the other side did not end: %s", failure)
        self._judge(
            channel, error.from_status(_ferrule.FER_ETIMEDOUT, "the other side did not take everything")
        )

    def _judge(self, channel: Channel, failure: error.Error) -> None:
        """How the other side ended matters only to what it should have got."""
        self.logger.debug("closed, %d bytes not sent: %s", channel.unsent, failure)
        if channel.unsent:
            failure.unsent = channel.unsent
            raise failure


class Making(OnChannel, IPCChannel):
    """The side that makes a channel: its two rendezvous points."""

    _in_path: str
    _out_path: str

    @property
    def in_path(self) -> str:
        """The rendezvous point for what this side reads.

        Source: aea ``IPCChannel.in_path``.
        """
        return self._in_path

    @property
    def out_path(self) -> str:
        """The rendezvous point for what this side writes.

        Source: aea ``IPCChannel.out_path``.
        """
        return self._out_path


class AtAddress(OnChannel):
    """A side that is connected by an address."""

    _address: str

    async def connect(self, timeout: float = PIPE_CONN_TIMEOUT) -> bool:
        """As ``IPCChannelClient.connect()``.

        timeout: in seconds; 0 tries once.

        Source: aea ``IPCChannelClient.connect``.
        """
        return await self._connect(open_plain(self._address, timeout))


class Joining(OnChannel):
    """A client: what is wrong with the place only means that it is not connected."""

    last_exception: Exception | None = None

    def _is_fatal(self, failure: error.Error) -> bool:
        self.last_exception = failure
        return False


async def open_plain(address: Address, timeout: float) -> Channel:
    """Connect to an address, on the wire of aea."""
    return await connect(address, timeout=max(0.0, timeout), wire="plain", close_timeout=FLUSH_TIME)
