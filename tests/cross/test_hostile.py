"""A raw socket that misbehaves, against a program of each language: a named status, and nothing else happens.

docs/wire-format.md describes the bytes.
"""

import array
import fcntl
import json
import os
import socket
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from harness import PATIENCE, PEERS, ROOT, Program, wait_until

MESSAGE, HANDLE, GOODBYE = 2, 3, 4
HEADER = 8
VECTORS = json.loads((ROOT / "tests" / "vectors" / "frames.json").read_text(encoding="utf-8"))["vectors"]
HELLO = bytes.fromhex(next(one["hex"] for one in VECTORS if one["name"] == "hello-then-end"))
# The payloads that peers expect as their first two messages: see README.md.
FIRST = bytes(range(5))
SECOND = bytes(range(31, 38))

languages = pytest.mark.parametrize("language", sorted(PEERS))


def frame(kind: int, payload: bytes = b"", *, handles: int = 0, reserved: int = 0) -> bytes:
    return struct.pack(">BBHI", kind, handles, reserved, len(payload)) + payload


def header(kind: int, length: int) -> bytes:
    return struct.pack(">BBHI", kind, 0, 0, length)


class Raw:
    """A socket that says what it likes."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(PATIENCE)

    def send(self, *pieces: bytes) -> None:
        self.connection.sendall(b"".join(pieces))

    def until_end(self) -> bytes:
        """Everything that comes, until the other side closes."""
        received = b""
        while True:
            try:
                piece = self.connection.recv(65536)
            except ConnectionResetError:
                return received
            if not piece:
                return received
            received += piece

    def unread(self) -> int:
        """How many of the bytes that were sent are not read yet."""
        return int(struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)))[0])

    def close(self) -> None:
        self.connection.close()


@pytest.fixture
def raw(place: Path) -> Iterator[Raw]:
    """A connection to the server of the test."""
    connection = socket.socket(socket.AF_UNIX)
    yield Raw(connection)
    connection.close()


def collecting(peer: Start, language: str, place: Path, raw: Raw, *options: object) -> Program:
    """A peer that receives from our socket."""
    server = peer(language, "listen", f"pipe:{place}/socket", "collect", *options)
    server.ready()
    raw.connection.connect(f"{place}/socket")
    return server


def check(server: Program, messages: int, end: str) -> None:
    result: dict[str, Any] = server.result()
    assert (result["messages"], result["bad"], result["end"]) == (messages, -1, end), result


@languages
@pytest.mark.parametrize("cut", range(HEADER + len(SECOND) + 1))
def test_end_at_every_byte(peer: Start, place: Path, raw: Raw, language: str, cut: int) -> None:
    """The stream ends inside a message: it is never delivered, and the one before it is."""
    server = collecting(peer, language, place, raw)
    raw.send(HELLO, frame(MESSAGE, FIRST), frame(MESSAGE, SECOND)[:cut])
    raw.close()
    check(server, 2 if cut == HEADER + len(SECOND) else 1, "FER_ECONNRESET")


@languages
def test_one_byte_at_a_time(peer: Start, place: Path, raw: Raw, language: str) -> None:
    server = collecting(peer, language, place, raw)
    raw.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    for byte in HELLO + frame(MESSAGE, FIRST) + frame(MESSAGE, SECOND) + frame(GOODBYE):
        raw.send(bytes([byte]))
    check(server, 2, "FER_EOF")


@languages
@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (frame(5), "FER_EPROTO"),
        (frame(0), "FER_EPROTO"),
        (frame(127, b"x"), "FER_EPROTO"),
        (frame(MESSAGE, b"x", reserved=1), "FER_EPROTO"),
        (frame(MESSAGE, b"x", handles=1), "FER_EPROTO"),
        (frame(HANDLE), "FER_EPROTO"),
        (frame(GOODBYE, b"x"), "FER_EPROTO"),
        (HELLO, "FER_EPROTO"),
        (header(0x80, 0xFFFFFFFF), "FER_EPROTO"),
        (header(MESSAGE, 0xFFFFFFFF), "FER_EMSGSIZE"),
        (header(MESSAGE, (64 << 20) + 1), "FER_EMSGSIZE"),
    ],
    ids=[
        "kind-5",
        "kind-0",
        "kind-127",
        "reserved",
        "handles",
        "handle-frame",
        "long-goodbye",
        "second-hello",
        "long-skippable",
        "length-ffffffff",
        "over-the-limit",
    ],
)
def test_bad_frame(peer: Start, place: Path, raw: Raw, language: str, bad: bytes, status: str) -> None:
    """It ends the channel with its name; the message before it is delivered, the one behind it is not."""
    server = collecting(peer, language, place, raw)
    raw.send(HELLO, frame(MESSAGE, FIRST), bad)
    raw.until_end()
    check(server, 1, status)


@languages
def test_unknown_frame_that_may_be_skipped(peer: Start, place: Path, raw: Raw, language: str) -> None:
    """What a later version may send."""
    server = collecting(peer, language, place, raw)
    raw.send(HELLO, frame(0x80, bytes(100_000)), frame(MESSAGE, FIRST), frame(0xFF), frame(GOODBYE))
    check(server, 1, "FER_EOF")


@languages
def test_bytes_behind_the_goodbye(peer: Start, place: Path, raw: Raw, language: str) -> None:
    """They are of no interest."""
    server = collecting(peer, language, place, raw)
    raw.send(HELLO, frame(MESSAGE, FIRST), frame(GOODBYE), frame(MESSAGE, SECOND))
    check(server, 1, "FER_EOF")


@languages
@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\5hello",
        frame(MESSAGE, FIRST),
        HELLO[:8] + b"F" + bytes(27),
        HELLO[:20],
    ],
    ids=["http", "plain", "message", "wrong-magic", "half-hello"],
)
def test_bad_hello(peer: Start, place: Path, raw: Raw, language: str, bad: bytes) -> None:
    """That client is turned away, and the next one is served."""
    server = collecting(peer, language, place, raw)
    raw.send(bad)
    raw.connection.shutdown(socket.SHUT_WR)
    raw.until_end()
    good = peer("c", "connect", f"pipe:{place}/socket", "send", "5,7")
    check(server, 2, "FER_EOF")
    assert good.result()["end"] == "FER_OK"


def memory(program: Program) -> int:
    """The most memory that a process has had, in bytes."""
    for line in Path(f"/proc/{program.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


@languages
def test_length_that_is_only_claimed(peer: Start, place: Path, raw: Raw, language: str) -> None:
    """Memory grows with the bytes that arrive, not with the length in front of them."""
    server = collecting(peer, language, place, raw)
    raw.send(HELLO, frame(MESSAGE, FIRST))
    server.expect("open")
    before = memory(server)
    raw.send(header(MESSAGE, 60 << 20), bytes(100_000))
    wait_until(lambda: raw.unread() == 0, "the server reads what was sent")
    after = memory(server)
    raw.close()
    check(server, 1, "FER_ECONNRESET")
    assert after - before < 16 << 20


@languages
def test_descriptor_that_nobody_asked_for(peer: Start, place: Path, raw: Raw, language: str) -> None:
    """It does not stay open over there."""
    server = collecting(peer, language, place, raw)
    reader, writer = os.pipe()
    raw.send(HELLO)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer]))]
    raw.connection.sendmsg([frame(MESSAGE, FIRST)], rights)
    os.close(writer)
    # The end of the pipe comes when nobody has the other side of it any more.
    assert os.read(reader, 1) == b""
    os.close(reader)
    raw.until_end()
    assert server.result()["end"] == "FER_EPROTO"


@languages
@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "FER_EPROTO"),
        (b"", "FER_ECONNRESET"),
        (HELLO[:15], "FER_ECONNRESET"),
        (HELLO[:16] + struct.pack(">HH", 7, 9) + HELLO[20:], "FER_EVERSION"),
    ],
    ids=["ssh", "nothing", "half-hello", "version-7"],
)
def test_strange_server(peer: Start, place: Path, language: str, answer: bytes, status: str) -> None:
    """A client learns what is wrong with what it connected to."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}/socket")
        listener.listen(1)
        listener.settimeout(PATIENCE)
        client = peer(language, "connect", f"pipe:{place}/socket", "ping", "5")
        connection = listener.accept()[0]
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        assert client.result()["error"] == status
        connection.close()
