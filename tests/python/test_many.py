"""Several messages at a time, and messages into buffers."""

from __future__ import annotations

import array
import asyncio
import os
import signal
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


def test_many_messages_up_to_a_wrong_one_without_a_loop(pair: tuple[sync.Channel, sync.Channel]) -> None:
    one, other = pair
    wrong: Any
    for wrong in ("text", 7, None, memoryview(bytes(8))[::2]):
        before = [b"%d" % number for number in range(40)]
        with pytest.raises((TypeError, BufferError)):
            one.send_many([*before, wrong, b"after"], timeout=5)
        assert other.recv_many(timeout=5) == before
    for wrong in ("text", 7, None):
        with pytest.raises(TypeError):
            one.send_many(wrong)
    one.send_many(iter([]))
    one.send_many(([b"of ", bytearray(b"pieces")], b"", memoryview(b"x" * 300_000)), timeout=5)
    assert other.recv_many(timeout=5) == [b"of pieces", b"", b"x" * 300_000]


def test_sending_many_that_runs_out_of_time(pair: tuple[sync.Channel, sync.Channel]) -> None:
    """What was accepted arrives, in order and whole."""
    one, other = pair
    messages = [b"%d" % number + bytes(100_000) for number in range(200)]
    with pytest.raises((error.TimedOutError, error.WouldBlockError)):
        one.send_many(messages, timeout=0.05)
    closing = threading.Thread(target=one.close)
    closing.start()
    received = list(other)
    assert 0 < len(received) < len(messages) and received == messages[: len(received)]
    other.close()
    closing.join()
    with pytest.raises(error.ClosedError):
        one.send_many([b"x"])


def test_a_message_into_a_buffer_without_a_loop(pair: tuple[sync.Channel, sync.Channel]) -> None:
    one, other = pair
    buffer = bytearray(b"........")
    one.send_many([b"hello", b"", b"too long for it", b"next", b"after"])
    assert other.recv_into(buffer, timeout=5) == 5
    assert buffer == b"hello..."
    assert other.recv_into(memoryview(buffer)[6:]) == 0
    for _ in range(2):
        with pytest.raises(error.InvalidArgumentError, match="15 bytes"):
            other.recv_into(buffer)
    numbers = array.array("I", [0] * 4)
    assert other.recv_into(numbers) == 15
    assert numbers.tobytes() == b"too long for it\0"
    wrong: Any
    for wrong in (b"read only", "text", 7, None, memoryview(bytearray(8))[::2]):
        with pytest.raises(TypeError):
            other.recv_into(wrong)
    # What does not fit is for whoever receives next, in whatever way.
    with pytest.raises(ValueError, match="4 bytes"):
        other.recv_into(bytearray(3))
    assert other.recv_many(1) == [b"next"]
    with pytest.raises(ValueError, match="5 bytes"):
        other.recv_into(bytearray())
    one.send(b"last")
    assert other.recv_many() == [b"after", b"last"]
    one.send(b"x")
    with pytest.raises(ValueError, match="1 byte"):
        other.recv_into(bytearray())
    assert other.recv() == b"x"
    with pytest.raises(TimeoutError):
        other.recv_into(buffer, timeout=0.01)
    buffer.append(0)  # Nobody holds it.
    one.send(b"dropped")
    with pytest.raises(ValueError, match="7 bytes"):
        other.recv_into(bytearray())
    other.abort()
    with pytest.raises(error.ClosedError):
        other.recv_into(buffer)
    with pytest.raises(error.ClosedError):
        other.recv_many()


def test_a_message_with_handles_into_a_buffer_without_a_loop() -> None:
    """They are closed at once; those of a message that does not fit are kept with it."""
    one, other = sync.pair(max_handles=2)
    with open("/dev/null") as file:
        before = len(os.listdir("/proc/self/fd"))
        one.send(b"with", handles=[file, file])
        buffer = bytearray(4)
        assert other.recv_into(buffer) == 4 and buffer == b"with"
        assert len(os.listdir("/proc/self/fd")) == before
        one.send(b"with", handles=[file])
        with pytest.raises(ValueError):
            other.recv_into(bytearray(1))
        [message] = other.recv_many()
        assert isinstance(message, ferrule.Message)
        assert message == b"with" and [handle.kind for handle in message.handles] == ["other"]
        message.handles[0].close()
        one.send(b"with", handles=[file])
        with pytest.raises(ValueError):
            other.recv_into(bytearray(1))
        assert other.recv_into(buffer) == 4
        assert len(os.listdir("/proc/self/fd")) == before
    one.abort()
    other.abort()


@pytest.fixture
def ticking() -> Iterator[list[int]]:
    """A signal arrives all the time, and its handler raises nothing."""
    seen: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    yield seen
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def test_signals_do_not_end_what_takes_many(
    pair: tuple[sync.Channel, sync.Channel], ticking: list[int]
) -> None:
    one, other = pair
    messages = [b"%d" % number + bytes(50_000) for number in range(300)]
    received: list[bytes] = []

    def receive_all() -> None:
        buffer = bytearray(60_000)
        while len(received) < len(messages):
            received.extend(other.recv_many(2, timeout=60))
            if len(received) < len(messages):
                received.append(bytes(buffer[: other.recv_into(buffer, timeout=60)]))

    thread = threading.Thread(target=receive_all)
    thread.start()
    one.send_many(messages)
    thread.join()
    assert received == messages
    assert ticking


def test_a_signal_whose_handler_raises_ends_what_takes_many(pair: tuple[sync.Channel, sync.Channel]) -> None:
    """What was sent before it is a beginning of the list, whole."""
    one, other = pair

    def handler(number: int, frame: object) -> None:
        raise LookupError

    messages = [b"%d" % number + bytes(100_000) for number in range(200)]
    previous = signal.signal(signal.SIGALRM, handler)
    try:
        for call in (lambda: one.send_many(messages), other.recv_many, lambda: other.recv_into(bytearray(9))):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(LookupError):
                call()
            received: list[bytes] = []
            closing = threading.Thread(target=one.flush)
            closing.start()
            try:
                while True:
                    received += other.recv_many(timeout=0.1)
            except TimeoutError:
                pass
            closing.join()
            assert received == messages[: len(received)] and len(received) < len(messages)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
