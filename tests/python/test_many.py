"""Several messages at a time, and messages into buffers."""

from __future__ import annotations

import array
import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import ferrule
import pytest
from ferrule import error, sync


async def test_many_messages_arrive_in_order(address: str) -> None:
    one, other = await ferrule.pair(high_water=1000)
    messages: list[Any] = [b"%d" % number + bytes(number) for number in range(500)]
    messages += [[b"of ", b"pieces"], bytearray(b"x"), memoryview(b"abc")[::1], b"", bytes(3 << 20)]
    sending = asyncio.ensure_future(one.send_many(iter(messages)))
    received: list[bytes] = []
    while len(received) < len(messages):
        received += await other.recv_many()
    await sending
    assert received == [b"".join(each) if isinstance(each, list) else bytes(each) for each in messages]
    await one.send_many([])
    await asyncio.gather(one.close(), other.close())
    with pytest.raises(error.ClosedError):
        await one.send_many([b"x"])


async def test_many_messages_up_to_a_wrong_one(address: str) -> None:
    one, other = await ferrule.pair()
    wrong: Any
    for wrong in ("text", 7, None):
        with pytest.raises(TypeError):
            await one.send_many([b"before", wrong, b"after"])
        assert await other.recv() == b"before"
    for wrong in (b"bytes", "text", 7, None):
        with pytest.raises(TypeError):
            await one.send_many(wrong)

    await one.send(b"end")
    assert await other.recv() == b"end"
    await asyncio.gather(one.close(), other.close())


async def test_many_messages_that_are_cancelled(address: str) -> None:
    """What was sent is a beginning of the list, whole."""
    one, other = await ferrule.pair(high_water=1)
    messages = [b"%d" % number + bytes(50_000) for number in range(200)]
    sending = asyncio.ensure_future(one.send_many(messages))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not sending.done()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    closing = asyncio.ensure_future(one.close())
    received = [message async for message in other]
    assert 0 < len(received) < len(messages) and received == messages[: len(received)]
    await asyncio.gather(closing, other.close())


async def test_a_message_into_a_buffer(address: str) -> None:
    one, other = await ferrule.pair()
    buffer = bytearray(b"........")
    await one.send_many([b"hello", b"", b"too long for it", b"end"])
    assert await other.recv_into(buffer) == 5
    assert buffer == b"hello..."
    assert await other.recv_into(memoryview(buffer)[6:]) == 0
    with pytest.raises(ValueError, match="15 bytes"):
        await other.recv_into(buffer)
    numbers = array.array("I", [0] * 4)
    assert await other.recv_into(numbers) == 15
    assert numbers.tobytes() == b"too long for it\0"
    wrong: Any
    for wrong in (b"read only", "text", 7, None, memoryview(bytearray(8))[::2]):
        with pytest.raises(TypeError):
            await other.recv_into(wrong)
    assert await other.recv() == b"end"
    waiting = asyncio.ensure_future(other.recv_into(buffer))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    buffer.append(0)  # Nobody holds it.
    await one.send(b"after")
    assert await other.recv_into(buffer) == 5
    closing = asyncio.ensure_future(one.close())
    with pytest.raises(EOFError):
        await other.recv_into(buffer)
    await asyncio.gather(closing, other.close())


async def test_a_message_that_does_not_fit_is_for_the_next_who_waits(address: str) -> None:
    one, other = await ferrule.pair()
    small = asyncio.ensure_future(other.recv_into(bytearray(1)))
    large = asyncio.ensure_future(other.recv())
    await asyncio.sleep(0)
    await one.send(b"large")
    with pytest.raises(ValueError):
        await small
    assert await asyncio.wait_for(large, 30) == b"large"
    await asyncio.gather(one.close(), other.close())


async def test_a_message_with_handles_into_a_buffer(address: str) -> None:
    one, other = await ferrule.pair(max_handles=1)
    with open("/dev/null") as file:
        await one.send(b"with", handles=[file])
    buffer = bytearray(4)
    assert await other.recv_into(buffer) == 4 and buffer == b"with"
    await asyncio.gather(one.close(), other.close())


@pytest.fixture
def pair() -> Iterator[tuple[sync.Channel, sync.Channel]]:
    one, other = sync.pair()
    yield one, other
    one.abort()
    other.abort()


def test_many_messages_without_a_loop(pair: tuple[sync.Channel, sync.Channel]) -> None:
    one, other = pair
    messages = [b"%d" % number for number in range(1000)]
    one.send_many(messages[:3], timeout=5)
    assert other.recv_many(2) == messages[:2]
    assert other.recv_many() == messages[2:3]
    with pytest.raises(TimeoutError):
        other.recv_many(timeout=0)
    with pytest.raises(ValueError):
        other.recv_many(0)

    def send_all() -> None:
        one.send_many(messages)
        one.close()

    thread = threading.Thread(target=send_all)
    thread.start()
    received: list[bytes] = []
    while len(received) < len(messages):
        received += other.recv_many(timeout=60)
    assert received == messages
    with pytest.raises(EOFError):
        other.recv_many(timeout=60)
    other.close()
    thread.join()
