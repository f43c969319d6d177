"""The plain wire on the streams of asyncio."""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from . import _ferrule, error

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MAX_MESSAGE = 64 << 20
_JOINED = 1 << 16  # Up to here, joining header and payload is cheaper than writing twice.
_LENGTH = struct.Struct(">I")
_GOODBYE = _LENGTH.pack(0)


class PlainStream:
    """Messages on a reader and a writer that are connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._size: int | None = None  # of the message whose header has come
        self._ended = False
        self._closing = False
        # Made when they are needed: before Python 3.10, a lock belongs to the loop that it was made on.
        self._reading: asyncio.Lock | None = None
        self._draining: asyncio.Lock | None = None

    @property
    def queued(self) -> int:
        """Bytes that the kernel does not have yet."""
        return self.writer.transport.get_write_buffer_size()

    # --- Messages ------------------------------------------------------------------------------------------

    async def write(self, data: Buffer) -> None:
        """Send a message, and wait while too much is queued."""
        payload = bytes(data)
        self._check_open()
        if not payload:
            raise error.from_status(_ferrule.FER_EINVAL, "the plain wire has no empty message")
        if len(payload) > _MAX_MESSAGE:
            raise error.from_status(_ferrule.FER_EMSGSIZE, f"{len(payload)} bytes")
        header = _LENGTH.pack(len(payload))
        if len(payload) <= _JOINED:
            self.writer.write(header + payload)
        else:
            self.writer.write(header)
            self.writer.write(payload)
        await self._drain()

    async def _drain(self) -> None:
        if self._draining is None:
            self._draining = asyncio.Lock()
        async with self._draining:
            await self.writer.drain()

    async def read(self) -> bytes | None:
        """The next message; None at the end. May be cancelled at any time."""
        self._check_open()
        if self._reading is None:
            self._reading = asyncio.Lock()
        async with self._reading:
            try:
                return await self._next()
            except asyncio.IncompleteReadError as short:
                self._ended = True
                if self._closing or (self._size is None and not short.partial):
                    return None
                raise error.from_status(_ferrule.FER_ECONNRESET, "in the middle of a message") from None

    async def _next(self) -> bytes | None:
        if self._ended:
            return None
        if self._size is None:
            # Kept, so that the payload is not taken for a header when this is cancelled here.
            (self._size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        if self._size > _MAX_MESSAGE:
            raise error.from_status(_ferrule.FER_EMSGSIZE, f"the peer sends {self._size} bytes")
        if self._size == 0:
            self._ended = True
            return None
        payload = await self._reader.readexactly(self._size)
        self._size = None
        return payload

    def _check_open(self) -> None:
        if self._closing:
            raise error.from_status(_ferrule.FER_ENOTCONN, "closed")

    # --- The end -------------------------------------------------------------------------------------------

    async def close(self, patience: float) -> None:
        """Flush, say goodbye, wait for the peer's end, close. Raises when not everything was flushed."""
        if self._closing:
            return
        self._closing = True
        queued = self.queued
        lost: Exception | None = None
        try:
            await asyncio.wait_for(self._say_goodbye(), patience)
        except (OSError, asyncio.TimeoutError) as failure:
            lost = failure
        finally:
            left = self.queued
            gone = self.writer.transport.is_closing()
            self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass  # The connection is gone: nothing else is wanted.
        if lost is not None and left > len(_GOODBYE):
            raise _unsent(_ferrule.FER_ETIMEDOUT, left - len(_GOODBYE))
        # A connection that is lost has dropped what was queued.
        if lost is not None and gone and queued:
            raise _unsent(_ferrule.FER_ECONNRESET, queued)

    async def _say_goodbye(self) -> None:
        self.writer.write(_GOODBYE)
        if self.writer.can_write_eof():
            self.writer.write_eof()
        # From here on, draining means that nothing is queued.
        self.writer.transport.set_write_buffer_limits(high=0)
        await self._drain()
        # Closing while there is something to read would throw away what the peer has not read yet.
        while not self._reader.at_eof():
            if self._reading is not None and self._reading.locked():
                async with self._reading:
                    continue
            await self._reader.read(1 << 16)


def _unsent(status: int, count: int) -> error.Error:
    failure = error.from_status(status, "the other side did not take everything")
    failure.unsent = count
    return failure
