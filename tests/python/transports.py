"""Helpers: channels on every transport and wire, and raw ends of them that do as they please."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ferrule
import pytest
from support import frame, hello

TRANSPORTS = ("pipe", "fifo", "tcp")
WIRES = ("native", "plain")

every_transport = pytest.mark.parametrize("transport", TRANSPORTS)
every_wire = pytest.mark.parametrize("wire", WIRES)


def place(transport: str, folder: Path) -> str:
    """An address to listen at."""
    return {"pipe": f"pipe:{folder}/s", "fifo": "fifo:", "tcp": "tcp:127.0.0.1:0"}[transport]


@asynccontextmanager
async def two_ends(
    transport: str, folder: Path, **options: Any
) -> AsyncIterator[tuple[ferrule.Channel, ferrule.Channel]]:
    """Both ends of one channel in this process: the client's and the server's."""
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(place(transport, folder), accepted.put_nowait, **options) as server:
        client = await ferrule.connect(server.address, **options)
        served = await accepted.get()
        try:
            yield client, served
        finally:
            client.abort()
            served.abort()


class Raw:
    """An end of a channel that sends what it is told to."""

    def __init__(self, address: str) -> None:
        self.sock: socket.socket | None = None
        transport, _, rest = address.partition(":")
        if transport == "fifo":
            reads, writes = rest.split(",")
            self._in = os.open(reads, os.O_RDONLY | os.O_NONBLOCK)
            self._out = os.open(writes, os.O_WRONLY)
            return
        if transport == "tcp":
            host, _, port = rest.rpartition(":")
            self.sock = socket.create_connection((host, int(port)))
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(rest)
        self._in = self._out = self.sock.fileno()

    def send(self, data: bytes) -> None:
        """Send everything; it must not be more than the kernel holds."""
        assert os.write(self._out, data) == len(data)

    def fill(self, data: bytes) -> int:
        """Send it again and again until the kernel takes no more. Gives how many bytes that were."""
        os.set_blocking(self._out, False)
        total = 0
        try:
            while True:
                total += os.write(self._out, data[total % len(data) :])
        except BlockingIOError:
            return total
        finally:
            os.set_blocking(self._out, True)

    def end(self) -> None:
        """End the outgoing direction, or die, as far as the other side can tell."""
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_WR)
        elif self._out >= 0:
            os.close(self._out)
            self._out = -1

    def close(self) -> None:
        """Go away."""
        if self.sock is not None:
            self.sock.close()
            return
        self.end()
        os.close(self._in)


@asynccontextmanager
async def raw_end(
    transport: str, wire: str, folder: Path, **options: Any
) -> AsyncIterator[tuple[Raw, ferrule.Channel]]:
    """A channel of a server, and the raw end on its other side, which has said hello if the wire has it."""
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(place(transport, folder), accepted.put_nowait, wire=wire, **options) as server:
        raw = Raw(server.address)
        try:
            if wire == "native":
                raw.send(hello())
            channel = await accepted.get()
            try:
                yield raw, channel
            finally:
                channel.abort()
        finally:
            raw.close()


def header(wire: str, size: int) -> bytes:
    """What comes before a message of so many bytes."""
    return frame(2)[:4] + struct.pack(">I", size) if wire == "native" else struct.pack(">I", size)


def framed(wire: str, payload: bytes) -> bytes:
    """A whole message."""
    return header(wire, len(payload)) + payload


def last_word(wire: str) -> bytes:
    """The goodbye."""
    return frame(4) if wire == "native" else header(wire, 0)
