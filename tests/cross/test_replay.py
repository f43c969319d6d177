"""A conversation with handles, cut in two at every position, against a program of each language.

The program sends everything back, so that the test sees what it received. docs/wire-format.md describes the bytes.
"""

import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from harness import HERE, LONG, PEERS, Program, wait_until

sys.path.insert(0, str(HERE / "peers"))

from common import make_handle, tells  # noqa: E402
from stranger_wire import Channel, Fifos, Socket  # noqa: E402

LANGUAGES = sorted(PEERS)
MIB = 1 << 20
LIMIT = 2 * MIB
COUNT = 100 if LONG else 10
# What is sent, and how many handles go with it: plain, 1, plain, 2, empty, 1 with a large one.
SCRIPT = [
    (b"plain", 0),
    (b"one", 1),
    (b"plain again", 0),
    (b"two", 2),
    (b"", 0),
    (bytes(range(256)) * 4096, 1),
]
WITHOUT = [(data, 0) for data, _ in SCRIPT if data]
WAYS = {"first-byte": 0, "own-frames": 1, "own-last-bytes": 2}


class Stream:
    """All that one side sends: bytes, and the descriptors that ride on some of them."""

    def __init__(self, channel: Channel) -> None:
        self.pieces: list[tuple[int, bytes, list[int]]] = []
        self.size = 0
        for data, descriptors in channel.outgoing:
            self.pieces.append((self.size, bytes(data), descriptors))
            self.size += len(data)
        channel.outgoing.clear()

    def send(self, stream: "Socket | Fifos", begin: int, end: int) -> None:
        """A part of it, with what rides on it."""
        for at, data, descriptors in self.pieces:
            first, last = max(begin, at), min(end, at + len(data))
            riders = descriptors if first == at else []
            while first < last:
                first += stream.write(memoryview(data)[first - at : last - at], riders)
                riders = []

    def cuts(self) -> Iterator[int]:
        """Every position outside of large payloads, and some inside them."""
        for at, data, _ in self.pieces:
            if len(data) < MIB:
                yield from range(at, at + len(data))
            else:
                yield from (at + inside for inside in (0, 1, 4096, 65535, 65536, 262144, 262145, MIB - 1))
        yield self.size

    def close(self) -> None:
        for _, _, descriptors in self.pieces:
            for descriptor in descriptors:
                os.close(descriptor)


def wait_until_read(sock: socket.socket) -> None:
    """Until the other side has read everything, or is gone: nothing but asking tells."""
    while struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0] > 0:
        os.sched_yield()


def connect(path: Path, wire: str) -> "tuple[socket.socket, Channel]":
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    channel = Channel(Socket(sock), wire, LIMIT, 2 if wire == "native" else 0)
    sock.settimeout(60)
    return sock, channel


def replies(channel: Channel, count: int) -> "list[tuple[bytes, list[tuple[int, int]]]]":
    """So many messages that come back, or fewer at the end, each with what tells its handles from others."""
    found: list[tuple[bytes, list[tuple[int, int]]]] = []
    while channel.end is None and len(found) < count:
        for data, handles in channel.receive():
            found.append((data, [tells(handle) for handle in handles]))
            for handle in handles:
                os.close(handle)
    return found


def talk(path: Path, wire: str, way: int, cut: int) -> Stream:
    """One conversation, cut at a position."""
    sock, channel = connect(path, wire)
    channel.way = way
    marks = []
    for number, (data, count) in enumerate(SCRIPT if wire == "native" else WITHOUT):
        handles = [make_handle(4 * number + index) for index in range(count)]
        channel.send(data, handles, [4] * count)
        marks.append((data, [tells(handle) for handle in handles]))
        for handle in handles:
            os.close(handle)
    until = channel.queued
    channel.goodbye()
    stream = Stream(channel)
    # Who says goodbye is not sent anything any more: what is to come back comes before.
    for first, last in ((0, min(cut, until)), (min(cut, until), until)):
        stream.send(channel.stream, first, last)
        wait_until_read(sock)
    assert replies(channel, len(marks)) == marks
    for first, last in ((until, max(cut, until)), (max(cut, until), stream.size)):
        stream.send(channel.stream, first, last)
        wait_until_read(sock)
    assert (replies(channel, 1), channel.end) == ([], "FER_EOF")
    stream.close()
    channel.close()
    return stream


def descriptors(server: Program) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


CASES = [("native", way) for way in WAYS] + [("plain", "first-byte")]


@pytest.mark.parametrize(("wire", "way"), CASES, ids=["-".join(case) for case in CASES])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cut(peer: Start, place: Path, language: str, wire: str, way: str) -> None:
    """The messages are whole, each has its own handles, and none stays with the receiver."""
    options = ["--wire", wire, "--max-message", str(LIMIT)]
    if wire == "native":
        options += ["--max-handles", "2"]
    server = peer(language, "listen", f"pipe:{place}/s", "echo", *options)
    server.ready()
    stream = talk(place / "s", wire, WAYS[way], 0)
    counts_descriptors = sys.platform == "linux"
    before = descriptors(server) if counts_descriptors else 0
    cuts = list(stream.cuts())
    assert len(cuts) > (50 if wire == "plain" else 150)
    for cut in cuts:
        talk(place / "s", wire, WAYS[way], cut)
    if counts_descriptors:
        wait_until(lambda: descriptors(server) <= before, "descriptors are closed")
    server.close_input()
    result = server.result()
    script = SCRIPT if wire == "native" else WITHOUT
    assert (result["messages"], result["end"]) == (len(script) * (len(cuts) + 1), "FER_EOF")


@pytest.mark.parametrize("language", LANGUAGES)
def test_byte_by_byte(peer: Start, place: Path, language: str) -> None:
    """Nothing depends on how many bytes a read brings."""
    server = peer(language, "listen", f"pipe:{place}/s", "echo", "--max-handles", "2")
    server.ready()
    sock, channel = connect(place / "s", "native")
    handle = make_handle(0)
    channel.way = 2
    for _ in range(COUNT):
        channel.send(b"x" * 100, [handle, handle], [4, 4])
    stream = Stream(channel)
    for at in range(stream.size):
        stream.send(channel.stream, at, at + 1)
    mark = tells(handle)
    assert replies(channel, COUNT) == [(b"x" * 100, [mark, mark])] * COUNT
    stream.close()
    channel.close()
    os.close(handle)
