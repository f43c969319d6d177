"""Large messages, which are received straight into bytes objects."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import threading
import tracemalloc
from pathlib import Path

import ferrule
import pytest
from ferrule import sync
from support import MESSAGE, SANITIZER, frame, is_read, raw_peer, run_child
from transports import every_transport, every_wire, two_ends

KIB, MIB = 1 << 10, 1 << 20

# Around where bytes objects begin, around the read buffer, growing and shrinking.
SIZES = [
    *(32 * KIB + more for more in (-1, 0, 1)),
    *(256 * KIB + more for more in (-9, -8, 0, 1)),
    *(3 * MIB, MIB + 7, 100 * KIB, 33 * KIB, 40, 0),
    *(64 * KIB + 3, 200 * KIB, 1),
]


def message(size: int) -> bytes:
    """Bytes that no shifted or torn copy equals."""
    words = b"".join(number.to_bytes(4, "little") for number in range(min(size, KIB)))
    return (words * (size // len(words) + 1))[:size] if size else b""


def check(received: list[bytes], sizes: list[int]) -> None:
    assert [len(each) for each in received] == sizes
    for each, size in zip(received, sizes):
        assert type(each) is bytes
        assert each == message(size)
        assert hash(each) == hash(message(size))
        assert each + b"!" == message(size) + b"!"


@every_wire
@every_transport
async def test_sizes(transport: str, wire: str, tmp_path: Path) -> None:
    sizes = [size for size in SIZES if size or wire == "native"]
    async with two_ends(transport, tmp_path, wire=wire) as (one, other):
        for _ in range(2):
            sending = asyncio.ensure_future(one.send_many(map(message, sizes)))
            check([await other.recv() for _ in sizes], sizes)
            await sending


async def test_many_at_a_time() -> None:
    one, other = await ferrule.pair()
    sizes = [40 * KIB] * 200 + SIZES
    for _ in range(2):
        sending = asyncio.ensure_future(one.send_many(map(message, sizes)))
        received: list[bytes] = []
        while len(received) < len(sizes):
            received += await other.recv_many()
        await sending
        check(received, sizes)
    buffer = bytearray(MIB)
    await asyncio.gather(one.send(message(MIB)), other.recv_into(buffer))
    assert buffer == message(MIB)
    await asyncio.gather(one.close(), other.close())


def test_sizes_without_a_loop() -> None:
    one, other = sync.pair()

    def send_all() -> None:
        for _ in range(4):
            one.send_many(map(message, SIZES))

    thread = threading.Thread(target=send_all)
    thread.start()
    try:
        check([other.recv() for _ in SIZES], SIZES)
        many: list[bytes] = []
        while len(many) < len(SIZES):
            many += other.recv_many(len(SIZES) - len(many))
        check(many, SIZES)
        buffer = bytearray(3 * MIB)
        check([bytes(buffer[: other.recv_into(buffer)]) for _ in SIZES], SIZES)
        received = []
        for size in SIZES:
            if size:
                with pytest.raises(ValueError, match="do not fit"):
                    other.recv_into(bytearray(size - 1))
            received.append(other.recv())
        check(received, SIZES)
    finally:
        other.abort()
        thread.join()
        one.abort()


async def test_messages_with_handles() -> None:
    one, other = await ferrule.pair(max_handles=2)
    given, kept = socket.socketpair()
    with given, kept:
        sending = asyncio.gather(one.send(message(MIB), [given]), one.send(message(40 * KIB)))
        with_handle, without = await other.recv_message(), await other.recv_message()
        await sending
        assert (with_handle, without) == (message(MIB), message(40 * KIB))
        (handle,) = with_handle.handles
        with handle.to_socket() as received:
            received.sendall(b"x")
            assert kept.recv(1) == b"x"
    await asyncio.gather(one.close(), other.close())


async def a_few_and_half_a_message(channel: ferrule.Channel, raw: socket.socket) -> list[bytes]:
    """Three large messages, and a part of a fourth."""
    large = message(MIB)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    sending = asyncio.ensure_future(
        loop.sock_sendall(raw, frame(MESSAGE, large) * 3 + frame(MESSAGE, large)[: 700 * KIB])
    )
    received = [await channel.recv() for _ in range(3)]
    await sending
    await is_read(raw)
    return received


async def test_nothing_is_left_over(address: str) -> None:
    async def once() -> None:
        async with raw_peer(address) as (raw, channel):
            received = await a_few_and_half_a_message(channel, raw)
            # Nobody else has a reference.
            own = [bytes(MIB), bytes(MIB), bytes(MIB)]
            assert [*map(sys.getrefcount, received)] == [*map(sys.getrefcount, own)]
            channel.abort()

    await once()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            await once()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        assert after - before < 100 * KIB
    finally:
        tracemalloc.stop()


NO_MEMORY = """
import asyncio, resource, ferrule

def most(size):
    with open("/proc/self/statm") as facts:
        have = int(facts.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (have + size, resource.RLIM_INFINITY))

async def main():
    large = bytes(48 << 20)
    one, other = await ferrule.pair()
    await asyncio.gather(one.send(bytes(1 << 20)), other.recv())
    most(24 << 20)
    sending = asyncio.ensure_future(one.send(large))
    try:
        await other.recv()
    except MemoryError as failure:
        most(1 << 30)
        print(type(failure).__name__)
    await asyncio.wait([sending])
    one.abort()
    other.abort()

asyncio.run(main())
"""


def test_no_memory_for_a_message() -> None:
    status, output, complaints = run_child(NO_MEMORY)
    assert (status, output, complaints) == (0, "OutOfMemoryError\n", "")


PEAK = """
import asyncio, ferrule, sys

def resident(name):
    with open("/proc/self/status") as facts:
        return next(int(line.split()[1]) * 1024 for line in facts if line.startswith(name))

async def main():
    large = bytes(int(sys.argv[1]))
    one, other = await ferrule.pair()
    await asyncio.gather(one.send(b"x"), other.recv())
    with open("/proc/self/clear_refs", "w") as peak:
        peak.write("5")
    before = resident("VmRSS:")
    received, _ = await asyncio.gather(other.recv(), one.send(large))
    assert received == large
    print(resident("VmHWM:") - before)
    await asyncio.gather(one.close(), other.close())

asyncio.run(main())
"""


@pytest.mark.skipif("LD_PRELOAD" in SANITIZER, reason="a sanitizer keeps memory that was freed")
def test_a_message_takes_its_memory_once() -> None:
    size = (33 << 20) + 1
    status, output, complaints = run_child(PEAK, str(size))
    assert (status, complaints) == (0, "")
    assert size * 0.9 < int(output) < size * 1.4, "over 1 x and some MB that malloc keeps"


HALF_RECEIVED = """
import asyncio, sys, threading, ferrule
from ferrule import sync

async def main():
    one, other = await ferrule.pair()
    sending = asyncio.ensure_future(one.send_many([bytes(1 << 20)] * 3 + [bytes(48 << 20)]))
    await other.recv()
    sys.exit(7)

if sys.argv[1] == "loop":
    asyncio.run(main())
else:
    one, other = sync.pair()
    thread = threading.Thread(target=one.send_many, args=([bytes(1 << 20)] * 3 + [bytes(48 << 20)],), daemon=True)
    thread.start()
    for _ in range(3):
        other.recv()
    # It has the beginning of the last one, and waits for the rest.
    threading.Thread(target=other.recv, daemon=True).start()
    sys.exit(7)
"""


@pytest.mark.parametrize("way", ["loop", "threads"])
def test_the_end_of_the_interpreter_in_the_middle_of_a_message(way: str) -> None:
    status, _, complaints = run_child(HALF_RECEIVED, way, options=("-W", "ignore"))
    assert (status, complaints) == (7, "")
