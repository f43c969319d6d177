"""Cancellation and timeouts: nothing is lost, nothing is sent by half, CancelledError is never swallowed."""

from __future__ import annotations

import asyncio
from typing import Any

import ferrule
import pytest
from support import frame, message, own_hello, raw_listener, raw_peer, until


async def cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_receive_leaves_the_stream_in_step(address: str) -> None:
    """At every position inside of a message."""
    async with raw_peer(address) as (raw, channel):
        for cut in range(len(message(b"body")) + 1):
            whole = message(b"body")
            raw.sendall(whole[:cut])
            receiving = asyncio.ensure_future(channel.recv())
            for _ in range(5):
                await asyncio.sleep(0)
            if not receiving.done():
                await cancel(receiving)
                raw.sendall(whole[cut:])
                assert await channel.recv() == b"body"
            else:
                raw.sendall(whole[cut:])
                assert receiving.result() == b"body"


async def test_a_receive_that_times_out(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(channel.recv(), 0.005)
        raw.sendall(message(b"late"))
        assert await channel.recv() == b"late"


async def test_a_receive_cancelled_as_its_message_comes(address: str) -> None:
    """The message that had woken the one that is cancelled goes to the next one."""
    async with raw_peer(address) as (raw, channel):

        async def receive_and_cancel() -> bytes:
            received = await channel.recv()
            second.cancel()
            return received

        first = asyncio.ensure_future(receive_and_cancel())
        second = asyncio.ensure_future(channel.recv())
        third = asyncio.ensure_future(channel.recv())
        await asyncio.sleep(0)
        # Both come at once, and wake two.
        raw.sendall(message(b"one") + message(b"two"))
        assert await first == b"one"
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await third == b"two"


async def test_a_cancelled_send_was_not_sent(address: str) -> None:
    async with raw_peer(address, high_water=1000) as (raw, channel):
        await channel.send(bytes(8 << 20))
        waiting = [asyncio.ensure_future(channel.send(b"%d" % number)) for number in range(4)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        await cancel(waiting[1])
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        received = b""
        expected = own_hello() + message(bytes(8 << 20)) + b"".join(message(b"%d" % n) for n in (0, 2, 3))
        while len(received) < len(expected):
            received += await loop.sock_recv(raw, 1 << 20)
        assert received == expected
        await asyncio.gather(waiting[0], waiting[2], waiting[3])


async def test_a_cancelled_connect(address: str) -> None:
    connecting = asyncio.ensure_future(ferrule.connect(address, timeout=None))
    for _ in range(5):
        await asyncio.sleep(0)
    await cancel(connecting)
    with raw_listener(address):
        connecting = asyncio.ensure_future(ferrule.connect(address, handshake_timeout=None))
        for _ in range(5):
            await asyncio.sleep(0)
        await cancel(connecting)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ferrule.connect(address), 0.01)


async def test_a_cancelled_close_goes_on(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        closing = asyncio.ensure_future(channel.close())
        for _ in range(5):
            await asyncio.sleep(0)
        await cancel(closing)
        raw.sendall(frame(4))
        await channel.close()


async def test_cancelling_a_block_aborts_its_channel(address: str) -> None:
    async with raw_peer(address) as (raw, channel):

        async def work() -> None:
            async with channel:
                await channel.recv()

        task = asyncio.ensure_future(work())
        for _ in range(5):
            await asyncio.sleep(0)
        await cancel(task)
        assert channel.closed
        raw.setblocking(True)
        assert raw.recv(1000) == own_hello()
        assert raw.recv(1000) == b""


async def test_an_iteration_that_is_cancelled_can_be_taken_up_again(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        received: list[bytes] = []

        async def iterate() -> None:
            async for part in channel:
                received.append(part)

        for number in range(3):
            task = asyncio.ensure_future(iterate())
            raw.sendall(message(b"%d" % number) + message(b"%d" % (number + 10)))
            await until(lambda: len(received) == 2 * number + 2)  # noqa: B023
            await cancel(task)
        assert received == [b"0", b"10", b"1", b"11", b"2", b"12"]
