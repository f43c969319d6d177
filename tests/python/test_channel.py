"""Channels on asyncio and uvloop: what they are for."""

from __future__ import annotations

import array
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ferrule
import pytest
from support import Child, until

SIZES = [0, 1, 4, 4095, 4096, 4097, 65531, 65535, 65536, 65537, 219263, 1 << 20, 3 << 20]


async def echo(channel: ferrule.Channel) -> None:
    async for message in channel:
        await channel.send(message)


@asynccontextmanager
async def pair(address: str, **options: Any) -> AsyncIterator[tuple[ferrule.Channel, ferrule.Channel]]:
    """Two ends of one channel in this process: a client's and a server's."""
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait, **options):
        client = await ferrule.connect(address, **options)
        server = await accepted.get()
        try:
            yield client, server
        except BaseException:
            client.abort()
            server.abort()
            raise
        await asyncio.gather(client.close(), server.close(), return_exceptions=True)


async def test_messages_of_every_size_come_back(address: str) -> None:
    async with ferrule.listen(address, echo), ferrule.connect(address) as channel:
        for size in SIZES:
            sent = os.urandom(size)
            await channel.send(sent)
            assert await channel.recv() == sent


async def test_a_burst_arrives_whole_and_in_order(address: str) -> None:
    async with ferrule.listen(address, echo), ferrule.connect(address) as channel:

        async def send_all() -> None:
            for number in range(20000):
                await channel.send(b"%d" % number)

        sending = asyncio.ensure_future(send_all())
        for number in range(20000):
            assert await channel.recv() == b"%d" % number
        await sending


async def test_messages_to_and_from_another_process(address: str) -> None:
    child = """
        import asyncio, sys, ferrule
        async def echo(channel):
            async for message in channel:
                await channel.send([b"<", message, b">"])
        async def main():
            async with ferrule.listen(sys.argv[1], echo) as server:
                print("ready")
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        asyncio.run(main())
    """
    with Child(child, address) as process:
        assert process.line() == "ready"
        async with ferrule.connect(address) as channel:
            for number in range(2000):
                await channel.send(b"%d" % number)
            for number in range(2000):
                assert await channel.recv() == b"<%d>" % number
        assert process.end() == (0, "", "")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"bytes", b"bytes"),
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"_view_")[1:5], b"view"),
        (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
        ([b"one", bytearray(b"two"), memoryview(b"three")], b"onetwothree"),
        ((), b""),
        ([b"", b""], b""),
        ([b"x"] * 1000, b"x" * 1000),
        ([b"y" * 70000, b"z" * 70000], b"y" * 70000 + b"z" * 70000),
    ],
    ids=["bytes", "bytearray", "view", "array", "list", "nothing", "empty", "many", "large"],
)
async def test_anything_with_the_buffer_protocol_is_sent(address: str, data: object, expected: bytes) -> None:
    async with ferrule.listen(address, echo), ferrule.connect(address) as channel:
        await channel.send(data)  # type: ignore[arg-type]
        assert await channel.recv() == expected


@pytest.mark.parametrize("data", ["text", 7, None, [b"x", "y"], {1: b"x"}, [1, 2], memoryview(b"abcd")[::2]])
async def test_what_is_not_bytes_is_refused(address: str, data: object) -> None:
    async with ferrule.listen(address, echo), ferrule.connect(address) as channel:
        with pytest.raises((TypeError, BufferError)):
            await channel.send(data)  # type: ignore[arg-type]
        await channel.send(b"next")
        assert await channel.recv() == b"next"


async def test_large_read_only_buffers_are_held_and_let_go(address: str) -> None:
    """Zero copy: the channel holds the object while the kernel does not have it, and no longer."""
    data = os.urandom(8 << 20)
    before = sys.getrefcount(data)
    async with pair(address) as (client, server):
        await client.send(data)
        assert sys.getrefcount(data) > before
        assert await server.recv() == data
        await until(lambda: sys.getrefcount(data) == before)


async def test_a_mutable_buffer_may_change_after_send(address: str) -> None:
    data = bytearray(os.urandom(4 << 20))
    expected = bytes(data)
    async with pair(address) as (client, server):
        await client.send(data)
        data[:] = bytes(len(data))
        data.clear()  # Not possible while anybody holds the buffer.
        assert await server.recv() == expected


async def test_both_sides_at_once(address: str) -> None:
    """Neither side waits for the other when both send more than the kernel holds."""
    async with pair(address) as (one, other):

        async def talk(channel: ferrule.Channel, fill: bytes) -> list[int]:
            async def send_all() -> None:
                for _ in range(100):
                    await channel.send(fill * 100000)

            sending = asyncio.ensure_future(send_all())
            received = [len(await channel.recv()) for _ in range(100)]
            await sending
            return received

        results = await asyncio.gather(talk(one, b"a"), talk(other, b"b"))
        assert [*results] == [[100000] * 100] * 2


async def test_send_waits_above_the_high_water_mark(address: str) -> None:
    async with pair(address, high_water=100000) as (client, server):
        sent = 0

        async def send_all() -> None:
            nonlocal sent
            for _ in range(2000):
                await client.send(bytes(10000))
                sent += 1

        sending = asyncio.ensure_future(send_all())
        held = -1
        while held != sent:  # Until nothing moves any more.
            held = sent
            for _ in range(50):
                await asyncio.sleep(0)
        assert 0 < held < 2000
        assert client.info["queued"] < 200000
        for _ in range(2000):
            assert len(await server.recv()) == 10000
        await sending


async def test_receiving_pauses_while_nobody_takes_the_messages(address: str) -> None:
    async with pair(address) as (client, server):
        for _ in range(200):
            sending = asyncio.ensure_future(client.send(bytes(100000)))
            for _ in range(20):
                await asyncio.sleep(0)
            if not sending.done():
                break
        assert not sending.done(), "the server took more than it has room for"
        assert server._size < 3 << 20
        received = 0
        while not sending.done() or client.info["queued"] or received < 20:
            await server.recv()
            received += 1
        await sending


async def test_small_messages_are_bounded_too(address: str) -> None:
    async with pair(address) as (client, server):
        for _ in range(100000):
            await client.send(b"")
        await until(lambda: server._paused)
        assert len(server._messages) < 50000  # The bound, and what one read brings.
        for _ in range(100000):
            assert await server.recv() == b""


async def test_several_receivers_share_the_messages(address: str) -> None:
    async with pair(address) as (client, server):
        receivers = [asyncio.ensure_future(server.recv()) for _ in range(5)]
        await asyncio.sleep(0)
        for number in range(5):
            await client.send(b"%d" % number)
        assert await asyncio.gather(*receivers) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_batch_of_messages_crosses_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    whole = ferrule.Channel._on_messages

    def count(channel: ferrule.Channel, status: int, messages: list[bytes]) -> None:
        batches.append(len(messages))
        whole(channel, status, messages)

    monkeypatch.setattr(ferrule.Channel, "_on_messages", count)
    async with pair(address) as (client, server):
        for number in range(1000):
            await client.send(b"%d" % number)
        for number in range(1000):
            assert await server.recv() == b"%d" % number
    assert len(batches) < 50


async def test_iteration_ends_at_the_goodbye(address: str) -> None:
    async with pair(address) as (client, server):
        for number in range(3):
            await client.send(b"%d" % number)
        closing = asyncio.ensure_future(client.close())
        assert [message async for message in server] == [b"0", b"1", b"2"]
        with pytest.raises(ferrule.EndOfStream):
            await server.recv()
        with pytest.raises(BrokenPipeError):
            await server.send(b"too late")
        await server.close()
        await closing


async def test_close_delivers_what_was_sent(address: str) -> None:
    received: list[bytes] = []

    async def collect(channel: ferrule.Channel) -> None:
        received.extend([message async for message in channel])

    async with ferrule.listen(address, collect), ferrule.connect(address) as channel:
        for _ in range(50):
            await channel.send(bytes(300000))
    assert [len(message) for message in received] == [300000] * 50


async def test_plain_wire(address: str) -> None:
    async with ferrule.listen(address, echo, wire="plain"):
        async with ferrule.connect(address, wire="plain") as channel:
            await channel.send(b"hello")
            assert await channel.recv() == b"hello"
            with pytest.raises(ValueError, match="FER_EINVAL"):
                await channel.send(b"")
            assert (channel.info["wire"], channel.info["version"]) == ("plain", 0)


async def test_facts(address: str) -> None:
    async with ferrule.listen(address, echo, max_message=1000) as server:
        assert server.address == address
        async with ferrule.connect(address, max_message=2000, high_water=500) as channel:
            info = channel.info
            assert (info["max_message"], info["peer_max_message"], info["high_water"]) == (2000, 1000, 500)
            assert (info["wire"], info["version"], info["queued"]) == ("native", 1, 0)
            assert set(info) == set(ferrule.ChannelInfo.__annotations__)
            assert not channel.closed
            assert "open" in repr(channel)
        assert channel.closed
        assert "closed" in repr(channel)


async def test_one_loop_of_the_library_for_each_asyncio_loop(address: str, folder: object) -> None:
    async with ferrule.listen(address, echo) as server, ferrule.connect(address) as channel:
        async with ferrule.listen(f"pipe:{folder}/other", echo) as other:
            assert server._embedded is channel._embedded is other._embedded
