"""Servers under load: limits, handshakes that nobody finishes, drain, statistics, sockets of a service manager."""

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
from support import (
    Child,
    descriptors,
    echo,
    hello,
    is_served,
    own_hello,
    path_of,
    raw_connect,
    told_to_the_loop,
    until,
)
from transports import TRANSPORTS, place


def send_once(address: str, message: bytes) -> None:
    with sync.connect(address) as channel:
        channel.send(message)


# --- The limit on channels -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["pipe", "tcp"])
async def test_a_client_over_the_limit(folder: Path, told: Any, transport: str) -> None:
    async with ferrule.listen(place(transport, folder), echo, max_channels=2) as server:
        assert server.count == 0
        first = await ferrule.connect(server.address)
        async with ferrule.connect(server.address) as second:
            await until(lambda: server.count == 2)
            for _ in range(3):
                with pytest.raises(ConnectionResetError):
                    await ferrule.connect(server.address)
            await second.send(b"still served")
            assert await second.recv() == b"still served"
        await until(lambda: server.count == 1)
        await is_served(server.address)
        await first.close()
        await until(lambda: server.count == 0)
    assert told() == ["FER_EBUSY"] * 3
    assert server.count == 0


async def test_a_limit_on_the_plain_wire(address: str, told: Any) -> None:
    async with ferrule.listen(address, echo, max_channels=1, wire="plain") as server:
        async with ferrule.connect(address, wire="plain"):
            await until(lambda: server.count == 1)
            async with ferrule.connect(address, wire="plain") as refused:
                with pytest.raises((ferrule.EndOfStream, ConnectionResetError)):
                    await refused.recv()
        await until(lambda: server.count == 0)
        await is_served(address, wire="plain")
    assert told() == ["FER_EBUSY"]


@pytest.mark.parametrize("name", ["max_channels", "max_half_open"])
def test_limits_that_make_no_sense(address: str, name: str) -> None:
    wrong: Any
    for wrong in (-1, 1 << 32):
        with pytest.raises(ValueError, match=name):
            ferrule.listen(address, echo, **{name: wrong})
    wrong = "many"
    with pytest.raises(TypeError):
        ferrule.listen(address, echo, **{name: wrong})
    with pytest.raises(TypeError):
        sync.listen(address, max_channels=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="max_half_open"):
        sync.listen(address, max_half_open=-1)
    assert not os.path.exists(path_of(address))


# --- Handshakes that nobody finishes ---------------------------------------------------------------------------


async def test_a_handshake_that_is_never_finished(address: str, told: Any) -> None:
    async with ferrule.listen(address, echo, handshake_timeout=0.05):
        silent = [raw_connect(address) for _ in range(4)]
        for raw, start in zip(silent, (b"", hello()[:1], hello()[:8], hello()[:-1])):
            raw.sendall(start)
        await is_served(address)
        await until(lambda: len(told()) == len(silent))
        for raw in silent:
            raw.recv(1000)
            try:
                assert raw.recv(1000) == b""
            except ConnectionResetError:
                pass  # What it had said was not read.
            raw.close()
        await is_served(address)
    assert told() == ["FER_ETIMEDOUT"] * 4


async def test_a_thousand_half_open_handshakes(address: str, told: Any) -> None:
    """They hold no more than the limit; good clients are served meanwhile."""
    before = len(descriptors())
    raws = []
    async with ferrule.listen(address, echo, max_half_open=10, handshake_timeout=None) as server:
        good = await ferrule.connect(address)
        for round in range(20):
            raws += [raw_connect(address) for _ in range(50)]
            raws[-1].sendall(hello()[:10])
            await good.send(b"%d" % round)
            assert await good.recv() == b"%d" % round
            await is_served(address)
        assert len(raws) == 1000
        assert server.count <= 2  # The last of the good ones may not be closed yet.
        # Its own end of each, the ten, the good one's two ends, the server's socket; a few for the loop.
        assert len(descriptors()) - before < 1000 + 10 + 20
        # The server said hello to all, and closed all but the last of them.
        assert {raw.recv(1000) + raw.recv(1000) for raw in raws[:-10]} == {own_hello()}
        await good.close()
    for raw in raws:
        raw.close()
    assert set(told()) == {"FER_ECONNABORTED"}
    assert len(told()) >= 990


def test_a_thousand_half_open_handshakes_in_front_of_a_blocking_server(address: str) -> None:
    raws = []
    before = len(descriptors())
    with sync.listen(address, max_half_open=10, handshake_timeout=None) as server:
        for round in range(10):
            raws += [raw_connect(address) for _ in range(100)]
            thread = threading.Thread(target=send_once, args=(address, b"%d" % round))
            thread.start()
            with server.accept(timeout=60) as channel:
                assert list(channel) == [b"%d" % round]
            thread.join()
        assert len(descriptors()) - before < 1000 + 20
    for raw in raws:
        raw.close()


async def test_clients_that_go_away_before_they_have_said_hello(address: str, told: Any) -> None:
    async with ferrule.listen(address, echo):
        for start in (b"", hello()[:5]):
            with raw_connect(address) as raw:
                raw.sendall(start)
            await is_served(address)
        await until(lambda: len(told()) == 2)
    assert told() == ["FER_ECONNRESET"] * 2


# --- Drain -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_drain(folder: Path, transport: str) -> None:
    """Every channel gets what was sent, then a goodbye; handlers end without a report."""
    begun: list[ferrule.Channel] = []

    async def handler(channel: ferrule.Channel) -> None:
        begun.append(channel)
        await channel.send(b"y" * 500_000)
        async for _ in channel:
            pass

    many = 1 if transport == "fifo" else 3
    async with ferrule.listen(place(transport, folder), handler) as server:
        channels = [await ferrule.connect(server.address) for _ in range(many)]
        await until(lambda: len(begun) == many)
        drained = asyncio.ensure_future(server.drain())
        for channel in channels:
            assert await channel.recv() == b"y" * 500_000
            with pytest.raises(ferrule.EndOfStream):
                await channel.recv()
            await channel.close()
        await drained
        assert server.closed
        assert server.count == 0
        assert all(channel.closed and channel.unsent == 0 for channel in begun)
        await server.drain()
        await server.close()
    with pytest.raises(ferrule.error.Error):
        await ferrule.connect(server.address, timeout=0.01)


@pytest.mark.parametrize("drains", [False, True])
async def test_abort(address: str, drains: bool) -> None:
    """Nobody is waited for; handlers end without a report."""
    told = told_to_the_loop()
    stuck: list[ferrule.Channel] = []

    async def handler(channel: ferrule.Channel) -> None:
        stuck.append(channel)
        if len(stuck) % 2:
            await channel.recv()
        while True:
            await channel.send(b"y" * 500_000)

    server = await ferrule.listen(address, handler, close_timeout=None)
    channels = [await ferrule.connect(address) for _ in range(4)]
    await until(lambda: len(stuck) == 4)
    draining = asyncio.ensure_future(server.drain()) if drains else None
    await asyncio.sleep(0)
    server.abort()
    assert server.closed
    await server.close()
    assert server.count == 0
    if draining is not None:
        await draining
    assert all(channel.closed for channel in stuck)
    server.abort()
    await server.drain()
    # Some had been told goodbye before.
    ends = (ConnectionResetError, ferrule.EndOfStream) if drains else ConnectionResetError
    for channel in channels:
        with pytest.raises(ends):
            while True:
                await channel.recv()
        channel.abort()
    assert told == []


async def test_drain_after_close(address: str) -> None:
    server = await ferrule.listen(address, echo)
    async with ferrule.connect(address) as channel:
        await until(lambda: server.count)
        await server.close()
        await channel.send(b"x")
        assert await channel.recv() == b"x"
        drained = asyncio.ensure_future(server.drain())
        with pytest.raises(ferrule.EndOfStream):
            await channel.recv()
        await channel.close()
        await drained
    await server.drain()


async def test_drain_of_a_server_without_clients(address: str) -> None:
    server = await ferrule.listen(address, echo)
    await server.drain()
    assert not os.path.exists(path_of(address))


async def test_drain_drops_half_open_clients(address: str) -> None:
    server = await ferrule.listen(address, echo, handshake_timeout=None)
    with raw_connect(address) as raw:
        await is_served(address)
        await server.drain()
        assert raw.recv(1000)
        assert raw.recv(1000) == b""


async def test_drain_of_channels_that_were_taken_over(address: str) -> None:
    kept: list[ferrule.Channel] = []
    server = await ferrule.listen(address, kept.append)
    channel = await ferrule.connect(address)
    await until(lambda: kept)
    receiving = asyncio.ensure_future(kept[0].recv())
    await asyncio.sleep(0)
    await asyncio.gather(server.drain(), channel.close())
    with pytest.raises(ferrule.error.ClosedError):
        await receiving
    await kept[0].close()


async def test_drain_with_a_client_that_never_says_goodbye(address: str) -> None:
    """It waits for it no longer than for one channel, and the handler's end tells."""
    told = told_to_the_loop()
    async with ferrule.listen(address, echo, close_timeout=0.05) as server:
        with raw_connect(address) as raw:
            raw.sendall(hello())
            await until(lambda: server.count)
            await server.drain()
            assert server.count == 0
    assert [type(context["exception"]) for context in told] == [ferrule.error.TimedOutError]


async def test_what_a_handler_raises_while_it_is_drained_is_told(address: str) -> None:
    told = told_to_the_loop()

    async def handler(channel: ferrule.Channel) -> None:
        try:
            await channel.recv()
        except ferrule.error.ClosedError:
            raise LookupError("of its own") from None

    async with ferrule.listen(address, handler) as server, ferrule.connect(address):
        await until(lambda: server.count)
        await asyncio.sleep(0)
        draining = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)  # It closes the channel before the client says goodbye.
    await draining
    assert [str(context["exception"]) for context in told] == ["of its own"]


async def test_drain_that_is_cancelled(address: str) -> None:
    server = await ferrule.listen(address, echo)
    channel = await ferrule.connect(address)
    await until(lambda: server.count)
    drained = asyncio.ensure_future(server.drain())
    await asyncio.sleep(0)
    drained.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drained
    with pytest.raises(ferrule.EndOfStream):
        await channel.recv()
    await channel.close()
    await server.drain()


# --- Statistics ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("wire", ["native", "plain"])
async def test_statistics(folder: Path, transport: str, wire: str) -> None:
    served: list[ferrule.Channel] = []
    async with ferrule.listen(place(transport, folder), served.append, wire=wire) as server:
        channel = await ferrule.connect(server.address, wire=wire)
        await until(lambda: served)
        assert channel.stats() == ferrule.ChannelStats(0, 0, 0, 0, 0, 0, 0, 0)
        for size in (1, 10, 100):
            await channel.send(b"z" * size)
            await served[0].recv()
        await served[0].send(b"abc")
        await channel.recv()
        counted = ferrule.ChannelStats(
            messages_in=1,
            messages_out=3,
            bytes_in=3,
            bytes_out=111,
            handles_in=0,
            handles_out=0,
            queued=0,
            high_water_hits=0,
        )
        other = counted._replace(messages_in=3, messages_out=1, bytes_in=111, bytes_out=3)
        assert channel.stats() == counted
        assert served[0].stats() == other
        await asyncio.gather(channel.close(), served[0].close())
        assert channel.stats() == counted
        assert served[0].stats() == other
    assert channel.stats() == counted


async def test_statistics_of_handles_and_of_the_queue() -> None:
    one, other = await ferrule.pair(max_handles=2, high_water=1000)
    await one.send(b"", handles=[0, 1])
    message = await other.recv_message()
    for handle in message.handles:
        handle.close()
    assert one.stats().handles_out == other.stats().handles_in == 2
    for _ in range(3):
        waiting = asyncio.ensure_future(one.send(b"q" * 10_000_000))
        await asyncio.sleep(0)
        assert one.stats().queued > 0
        await other.recv()
        await waiting
    await until(lambda: one.stats().queued == 0)
    assert one.stats().high_water_hits == 3
    await asyncio.gather(one.close(), other.close())


def test_statistics_of_blocking_channels() -> None:
    one, other = sync.pair(max_handles=1)
    one.send(b"hello", handles=[0])
    other.recv_message().handles[0].close()
    one.send(b"")
    assert other.recv() == b""
    sent = ferrule.ChannelStats(0, 2, 0, 5, 0, 1, 0, 0)
    received = ferrule.ChannelStats(2, 0, 5, 0, 1, 0, 0, 0)
    assert (one.stats(), other.stats()) == (sent, received)
    one.abort()
    other.abort()
    assert (one.stats(), other.stats()) == (sent, received)


async def test_inline_channels_share_no_memory(address: str) -> None:
    raw_hellos = []
    async with ferrule.listen(address, echo, inline=True):
        with raw_connect(address) as raw:
            raw.setblocking(False)
            raw_hellos.append(await asyncio.get_running_loop().sock_recv(raw, 1000))
        async with ferrule.connect(address) as channel:
            await channel.send(b"m" * 3_000_000)
            assert await channel.recv() == b"m" * 3_000_000
    assert raw_hellos == [hello()]


# --- Sockets of a service manager ------------------------------------------------------------------------------


def test_activation_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(FileNotFoundError):
        ferrule.activation_address()
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_FDNAMES", "door:window:door")
    assert [ferrule.activation_address(index=index) for index in range(3)] == ["fd:3", "fd:4", "fd:5"]
    assert ferrule.activation_address("window") == "fd:4"
    assert sync.activation_address("door", 1) == "fd:5"
    for arguments in (("door", 2), ("gate",), (None, 3), ("",)):
        with pytest.raises(FileNotFoundError):
            ferrule.activation_address(*arguments)
    with pytest.raises(TypeError):
        ferrule.activation_address(3)  # type: ignore[arg-type]
    with pytest.raises((ValueError, OverflowError)):
        ferrule.activation_address("door", -1)
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    with pytest.raises(FileNotFoundError):
        ferrule.activation_address("door")


ACTIVATED = """
    import asyncio, os, sys
    import ferrule

    os.dup2(int(sys.argv[1]), 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="echo")

    async def echo(channel):
        async for message in channel:
            await channel.send(message)
        ended.set()

    async def main():
        global ended
        ended = asyncio.Event()
        async with ferrule.listen(ferrule.activation_address("echo"), echo):
            print("ready")
            await ended.wait()

    asyncio.run(main())
"""


def test_a_server_that_a_service_manager_starts(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path_of(address))
        listener.listen()
        with Child(ACTIVATED, str(listener.fileno()), keep=(listener.fileno(),)) as child:
            assert child.line() == "ready"
            with sync.connect(address) as channel:
                channel.send(b"hello")
                assert channel.recv(timeout=60) == b"hello"
            assert child.end() == (0, "", "")
        # It was not the server's to remove.
        assert os.path.exists(path_of(address))
        os.unlink(path_of(address))
