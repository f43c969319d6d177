"""Channels on every transport and both wires: sizes, limits, orderly and other ends, on asyncio and without it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import until
from transports import every_transport, every_wire, framed, last_word, place, raw_end, two_ends

PIPE_BUF = 4096
LIMIT = 64 << 20
SIZES = [
    *(0, 1, 4, PIPE_BUF - 9, PIPE_BUF - 1, PIPE_BUF, PIPE_BUF + 1),
    *range(65531, 65538),
    *range(219262, 219265),
    1 << 20,
]


def sizes(wire: str) -> list[int]:
    """The plain wire has no empty message."""
    return SIZES if wire == "native" else SIZES[1:]


# --- Sizes and limits --------------------------------------------------------------------------------------------


@every_transport
@every_wire
async def test_every_size_both_ways_at_once(transport: str, wire: str, folder: Path) -> None:
    data = {size: os.urandom(size) for size in sizes(wire)}

    async def send_all(channel: ferrule.Channel) -> None:
        for size in data:
            await channel.send(data[size])

    async with two_ends(transport, folder, wire=wire) as ends:
        sending = asyncio.gather(*(send_all(channel) for channel in ends))
        for channel in ends:
            for size in data:
                assert await channel.recv() == data[size]
        await sending


@every_transport
@every_wire
async def test_the_largest_message_and_one_byte_more(transport: str, wire: str, folder: Path) -> None:
    async with two_ends(transport, folder, wire=wire) as (client, server):
        await client.send(b"first")
        # Of an odd period: nothing of it fits in another place.
        whole = (os.urandom((1 << 20) + 1) * (LIMIT >> 20))[:LIMIT]
        await client.send(whole)
        with pytest.raises(ferrule.error.MessageSizeError):
            await client.send(bytes(LIMIT + 1))
        await client.send(b"last")
        assert await server.recv() == b"first"
        assert await server.recv() == whole
        assert await server.recv() == b"last"


@every_transport
@every_wire
async def test_a_message_at_a_limit_of_ones_own(transport: str, wire: str, folder: Path) -> None:
    async with two_ends(transport, folder, wire=wire, max_message=1000) as (client, server):
        with pytest.raises(ferrule.error.MessageSizeError):
            await client.send(bytes(1001))
        await client.send(bytes(1000))
        assert await server.recv() == bytes(1000)


@every_transport
@every_wire
def test_every_size_without_a_loop(transport: str, wire: str, folder: Path) -> None:
    data = [os.urandom(size) for size in sizes(wire)]

    def echo(server: sync.Server) -> None:
        with server.accept(10) as channel:
            for message in channel:
                channel.send(message)

    with sync.listen(place(transport, folder), wire=wire) as server:
        thread = threading.Thread(target=echo, args=[server])
        thread.start()
        with sync.connect(server.address, wire=wire) as channel:
            for message in data:
                channel.send(message, timeout=10)
                assert channel.recv(10) == message
        thread.join()
        assert channel.unsent == 0


# --- The end -----------------------------------------------------------------------------------------------------


@every_transport
@every_wire
async def test_close_delivers_and_the_end_is_a_goodbye(transport: str, wire: str, folder: Path) -> None:
    async with two_ends(transport, folder, wire=wire) as (client, server):
        for _ in range(20):
            sending = asyncio.ensure_future(client.send(bytes(300000)))
            await until(lambda: sending.done() or server._messages)  # noqa: B023
            assert await server.recv() == bytes(300000)
            await sending
        await client.send(bytes(300000))
        closing = asyncio.ensure_future(client.close())
        assert [len(message) async for message in server] == [300000]
        await server.close()
        await closing
        assert client.unsent == server.unsent == 0


@every_transport
@every_wire
async def test_abort_is_a_death(transport: str, wire: str, folder: Path) -> None:
    """The plain wire cannot tell a death between two messages from an end."""
    async with two_ends(transport, folder, wire=wire) as (client, server):
        await client.send(b"x")
        assert await server.recv() == b"x"
        client.abort()
        with pytest.raises(ConnectionResetError if wire == "native" else EOFError):
            await server.recv()


@every_transport
@every_wire
async def test_close_says_what_the_peer_did_not_take(transport: str, wire: str, folder: Path) -> None:
    async with raw_end(transport, wire, folder, close_timeout=0.05) as (_, channel):
        await channel.send(bytes(32 << 20))
        assert channel.unsent > 16 << 20
        with pytest.raises(TimeoutError) as caught:
            await channel.close()
        assert isinstance(caught.value, ferrule.Error)
        assert channel.unsent == caught.value.unsent > 16 << 20


@every_transport
@every_wire
async def test_what_follows_a_goodbye_is_not_looked_at(transport: str, wire: str, folder: Path) -> None:
    async with raw_end(transport, wire, folder) as (raw, channel):
        raw.send(framed(wire, b"whole") + last_word(wire) + b"\xff" * 100)
        assert await channel.recv() == b"whole"
        for _ in range(2):
            with pytest.raises(ferrule.EndOfStream):
                await channel.recv()
        with pytest.raises(BrokenPipeError):
            await channel.send(b"x")


@every_transport
@every_wire
async def test_clients_come_and_go(transport: str, wire: str, folder: Path) -> None:
    """On FIFOs, one can come when the channel of the one before it is closed."""
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(place(transport, folder), accepted.put_nowait, wire=wire) as server:
        for number in range(20):
            client = await ferrule.connect(server.address, wire=wire)
            served = await accepted.get()
            for one, other in ((client, served), (served, client)):
                await one.send(b"%d" % number)
                assert await other.recv() == b"%d" % number
            await asyncio.gather(client.close(), served.close())


# --- Descriptors and pairs ---------------------------------------------------------------------------------------


@every_wire
async def test_channels_on_descriptors(wire: str) -> None:
    one, other = socket.socketpair()
    opening = [ferrule.connect(f"fd:{end.detach()}", wire=wire) for end in (one, other)]
    channels = await asyncio.gather(*opening)
    await channels[0].send(b"x")
    assert await channels[1].recv() == b"x"
    await asyncio.gather(*(channel.close() for channel in channels))


async def test_a_server_on_a_descriptor() -> None:
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()
    async with ferrule.listen(f"fd:{listener.detach()}", accepted.put_nowait):
        async with ferrule.connect(f"tcp:{host}:{port}") as channel:
            await channel.send(b"x")
            served = await accepted.get()
            assert await served.recv() == b"x"
            await asyncio.gather(served.close(), channel.close())


async def test_a_descriptor_that_is_none_stays_the_callers(folder: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    with open(folder / "file", "wb") as file, listener, pytest.raises(ferrule.Error, match="FER_ENOTSOCK"):
        await ferrule.connect(f"fd:{file.fileno()}")
    with socket.socket(socket.AF_UNIX) as unconnected, pytest.raises(ferrule.Error, match="FER_ENOTCONN"):
        await ferrule.connect(f"fd:{unconnected.fileno()}")
    with pytest.raises(ferrule.Error, match="FER_EBADF"):
        await ferrule.connect("fd:99999")


@every_wire
async def test_a_pair(wire: str) -> None:
    one, other = await ferrule.pair(wire=wire, max_message=1000)
    assert one.info["max_message"] == 1000
    with pytest.raises(ferrule.error.MessageSizeError):
        await one.send(bytes(1001))
    for channel, peer in ((one, other), (other, one)):
        await channel.send(b"hello")
        assert await peer.recv() == b"hello"
    await asyncio.gather(one.close(), other.close())


@every_wire
def test_a_pair_without_a_loop(wire: str) -> None:
    one, other = sync.pair(wire=wire)
    one.send(b"hello")
    assert other.recv(1) == b"hello"
    closing = threading.Thread(target=one.close)
    closing.start()
    other.close()
    closing.join()


BAD_PAIRS: list[tuple[dict[str, Any], type[Exception]]] = [
    ({"wire": "plain", "max_handles": 1}, NotImplementedError),
    ({"max_handles": 65}, ValueError),
    ({"max_handles": -1}, ValueError),
    ({"max_message": 0}, ValueError),
    ({"max_message": 1 << 32}, ValueError),
    ({"max_message": 1 << 70}, ValueError),
    ({"nonsense": 1}, TypeError),
]


@pytest.mark.parametrize(("options", "kind"), BAD_PAIRS)
async def test_a_pair_with_wrong_options(options: dict[str, Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await ferrule.pair(**options)
    with pytest.raises(kind):
        sync.pair(**options)


async def test_a_cancelled_pair_leaves_nothing() -> None:
    task = asyncio.ensure_future(ferrule.pair())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- Sending together, receiving together ------------------------------------------------------------------------


@every_transport
async def test_what_is_corked_leaves_together(
    transport: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    whole = ferrule.Channel._on_messages

    def count(channel: ferrule.Channel, status: int, messages: list[Any]) -> None:
        batches.append(len(messages))
        whole(channel, status, messages)

    monkeypatch.setattr(ferrule.Channel, "_on_messages", count)
    async with two_ends(transport, folder) as (client, server):
        with client.corked() as same:
            assert same is client
            for number in range(100):
                await client.send(b"%d" % number)
                for _ in range(3):
                    await asyncio.sleep(0)
            assert client.info["queued"] > 0
            assert not batches
        assert client.info["queued"] == 0
        assert await server.recv_many() == [b"%d" % number for number in range(100)]
        client.cork()
        await client.send(b"held")
        client.uncork()
        assert await server.recv() == b"held"
        with client.corked():
            client.abort()
        for call in (client.cork, client.uncork):
            with pytest.raises(ferrule.error.ClosedError):
                call()


async def test_flush_waits_until_the_kernel_has_all(folder: Path) -> None:
    large = bytes(4 << 20)
    async with two_ends("pipe", folder, inline=True) as (client, server):
        await asyncio.wait_for(client.flush(), 10)
        # What nobody takes makes the sender wait, in the end.
        await client.send([large, large])
        await client.send(large)
        flushing = [asyncio.ensure_future(client.flush()) for _ in range(3)]
        await until(lambda: server._paused)
        assert not any(one.done() for one in flushing)
        assert client.info["queued"] > 0
        flushing[0].cancel()
        assert await server.recv() == large + large
        assert await server.recv() == large
        await asyncio.gather(*flushing[1:])
        assert flushing[0].cancelled()
        assert client.info["queued"] == 0
        # What is corked goes, too.
        with client.corked():
            await client.send(b"corked")
            assert client.info["queued"] > 0
            await client.flush()
            assert client.info["queued"] == 0
            assert await server.recv() == b"corked"
        await client.send(large)
        lost = asyncio.ensure_future(client.flush())
        await asyncio.sleep(0)
        client.abort()
        with pytest.raises(ferrule.error.CanceledError):
            await lost
        with pytest.raises(ferrule.error.ClosedError):
            await client.flush()


async def test_flush_when_the_peer_dies(folder: Path) -> None:
    async with two_ends("pipe", folder, inline=True) as (client, server):
        await client.send(bytes(4 << 20))
        lost = asyncio.ensure_future(client.flush())
        await asyncio.sleep(0)
        server.abort()
        with pytest.raises((ferrule.error.PipeBrokenError, ferrule.error.ResetError)):
            await lost
        with pytest.raises((ferrule.error.PipeBrokenError, ferrule.error.ResetError)):
            await client.flush()


async def test_receiving_many(folder: Path) -> None:
    async with two_ends("pipe", folder) as (client, server):
        for number in range(10):
            await client.send(b"%d" % number)
        await until(lambda: len(server._messages) == 10)
        assert await server.recv_many(3) == [b"0", b"1", b"2"]
        assert await server.recv_many() == [b"%d" % number for number in range(3, 10)]
        for limit in (0, -1):
            with pytest.raises(ValueError, match="limit"):
                await server.recv_many(limit)
        receiving = asyncio.ensure_future(server.recv_many())
        await asyncio.sleep(0)
        await client.send(b"later")
        assert await receiving == [b"later"]
        closing = asyncio.ensure_future(client.close())
        with pytest.raises(ferrule.EndOfStream):
            await server.recv_many()
        await server.close()
        await closing


async def test_receiving_many_goes_on_after_a_pause(folder: Path) -> None:
    async with two_ends("pipe", folder) as (client, server):
        sending = asyncio.gather(*(client.send(b"x" * 1000) for _ in range(20000)))
        received = 0
        while received < 20000:
            await until(lambda: server._paused or sending.done())
            received += len(await server.recv_many())
        await sending
        assert received == 20000


# --- Addresses of TCP --------------------------------------------------------------------------------------------


async def test_hosts_beyond_the_loopback_are_for_those_who_ask() -> None:
    def refuse(channel: ferrule.Channel) -> None:
        raise AssertionError(channel)

    for attempt in (ferrule.connect("tcp:192.0.2.1:1"), ferrule.listen("tcp:0.0.0.0:0", refuse)):
        with pytest.raises(PermissionError):
            await attempt
    with pytest.raises(PermissionError):
        sync.listen("tcp:0.0.0.0:0")
    async with ferrule.listen("tcp:0.0.0.0:0", refuse, any_host=True) as server:
        assert server.address.startswith("tcp:")
    with sync.listen("tcp:0.0.0.0:0", any_host=True):
        pass
