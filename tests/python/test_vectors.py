"""The vectors of both wires, replayed against a real server and cut at every position."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
from pathlib import Path
from typing import Any

import ferrule
import pytest
from support import is_read, raw_connect

FILE = Path(__file__).parents[1] / "vectors" / "frames.json"
VECTORS = json.loads(FILE.read_text())["vectors"]


RIDER = os.stat(os.devnull)


def send(raw: socket.socket, data: bytes, start: int, rides: list[dict[str, int]]) -> None:
    """Send bytes that begin at ``start``. One that descriptors ride on begins a send of its own."""
    here = {ride["at"] - start: ride["count"] for ride in rides}
    cuts = sorted({0, *(at for at in here if 0 <= at < len(data)), len(data)})
    with open(os.devnull, "rb") as rider:
        for begin, end in zip(cuts, cuts[1:]):
            fds = [rider.fileno()] * here.get(begin, 0)
            sent = socket.send_fds(raw, [data[begin:end]], fds) if fds else 0
            raw.sendall(data[begin + sent : end])


class Seen(logging.Handler):
    """The statuses of the clients that a server turned away."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"FER_\w+", record.getMessage())
        assert found
        self.statuses.put_nowait(found[0])


async def events_of(channel: ferrule.Channel, wire: str, said_goodbye: bool) -> list[dict[str, Any]]:
    """What a channel sees, as the vectors have it."""
    events: list[dict[str, Any]] = []
    if wire == "native":
        info = channel.info
        hello = {"type": "hello", "version": info["version"]}
        hello.update(max_message=info["peer_max_message"], max_handles=info["peer_max_handles"])
        events.append(hello)
    try:
        while True:
            message = await channel.recv_message()
            for handle in message.handles:
                assert os.path.samestat(os.fstat(handle.fileno()), RIDER)
                handle.close()
            events.append({"type": "message", "hex": message.hex(), "handles": len(message.handles)})
    except ferrule.EndOfStream:
        events.append({"type": "goodbye" if said_goodbye else "end"})
    except ferrule.Error as failure:
        events.append({"type": "error", "status": failure.status})
    channel.abort()
    return events


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
async def test_a_vector_cut_at_every_position(address: str, vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    turned_away = Seen()
    logger = logging.getLogger("ferrule")
    logger.addHandler(turned_away)
    # On the plain wire both ends are FER_EOF: which of them it was, only the vector knows.
    said_goodbye = vector["events"][-1]["type"] == "goodbye"

    async def replay(parts: list[bytes]) -> list[dict[str, Any]]:
        with raw_connect(address) as raw:
            start = 0
            for number, part in enumerate(parts):
                try:
                    send(raw, part, start, vector.get("rides", []))
                except BrokenPipeError:
                    break  # The receiver has seen enough.
                start += len(part)
                if number < len(parts) - 1:
                    await is_read(raw)
            raw.shutdown(1)
            opened = asyncio.ensure_future(accepted.get())
            refused = asyncio.ensure_future(turned_away.statuses.get())
            await asyncio.wait((opened, refused), return_when=asyncio.FIRST_COMPLETED)
            opened.cancel()
            refused.cancel()
            if opened.done() and not opened.cancelled():
                return await events_of(opened.result(), vector["wire"], said_goodbye)
            return [{"type": "error", "status": refused.result()}]

    options = {"wire": vector["wire"], **vector["limits"]}
    try:
        async with ferrule.listen(address, accepted.put_nowait, **options):
            cuts = range(len(data) + 1) if len(data) < 500 else [*range(100), *range(100, len(data), 97)]
            for cut in cuts:
                assert await replay([data[:cut], data[cut:]]) == vector["events"], f"cut at {cut}"
            if len(data) < 500:
                pieces = [data[at : at + 1] for at in range(len(data))]
                assert await replay(pieces) == vector["events"], "byte by byte"
    finally:
        logger.removeHandler(turned_away)


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 50
