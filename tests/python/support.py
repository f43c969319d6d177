"""Helpers: the native wire by hand, raw sockets, and processes of their own."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import termios
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import ferrule

HELLO, MESSAGE, HANDLE, GOODBYE = 1, 2, 3, 4

ROOT = Path(__file__).resolve().parents[2]
PYTHON_SOURCES = ROOT / "bindings" / "python"
BUILD = Path(ferrule.__file__).resolve().parents[2]
"""Where the package was built, and the programs beside it."""


SANITIZER = {
    name: os.environ[name]
    for name in ("LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS", "PYTHONMALLOC")
    if name in os.environ
}
"""What a child needs of the environment besides, when the library is built with sanitizers: nothing otherwise."""


def descriptors() -> list[tuple[str, str]]:
    """The open descriptors of this process, and what each is."""
    found = []
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        try:
            found.append((name, os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            pass  # The one that the folder was read with.
    return found


# --- The native wire -------------------------------------------------------------------------------------------


def frame(kind: int, payload: bytes = b"", handles: int = 0) -> bytes:
    """A frame of the native wire."""
    return struct.pack(">BBHI", kind, handles, 0, len(payload)) + payload


def hello(
    max_message: int = 64 << 20,
    versions: tuple[int, int] = (1, 1),
    max_handles: int = 0,
    features: int = 0,
) -> bytes:
    """The frame that each side sends first."""
    payload = struct.pack(">8sHHIQI", b"FERRULE\n", *versions, features, max_message, max_handles)
    return frame(HELLO, payload)


def own_hello(max_handles: int = 0) -> bytes:
    """What the library says first on a Unix domain socket: it can share memory."""
    return hello(max_handles=max_handles, features=1)


def message(payload: bytes) -> bytes:
    """A message on the native wire."""
    return frame(MESSAGE, payload)


def goodbye() -> bytes:
    """The orderly end on the native wire."""
    return frame(GOODBYE)


def path_of(address: str) -> str:
    """The path of a ``pipe:/path`` address."""
    return address.partition(":")[2]


def raw_connect(address: str) -> socket.socket:
    """A raw socket that is connected to a listener."""
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(path_of(address))
    return raw


@contextmanager
def raw_listener(address: str) -> Iterator[socket.socket]:
    """A raw socket that listens; its file is removed."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path_of(address))
        listener.listen()
        try:
            yield listener
        finally:
            os.unlink(path_of(address))


def unread(raw: socket.socket) -> int:
    """How many bytes of what was sent the other side has not read yet."""
    (count,) = struct.unpack("i", fcntl.ioctl(raw, termios.TIOCOUTQ, b"\0\0\0\0"))
    return int(count)


async def is_read(raw: socket.socket) -> None:
    """Let the other side, which is in this process, read everything, or as much as it wants to."""
    for _ in range(10):
        await asyncio.sleep(0)
        if not unread(raw):
            return


async def until(condition: object) -> None:
    """Turn the asyncio loop until ``condition()`` holds."""
    while not condition():  # type: ignore[operator]
        await asyncio.sleep(0)


def receive_exactly(raw: socket.socket, size: int) -> bytes:
    """Read so many bytes from a blocking socket."""
    parts = b""
    while len(parts) < size:
        part = raw.recv(size - len(parts))
        if not part:
            raise EOFError(f"{len(parts)} of {size} bytes")
        parts += part
    return parts


async def echo(channel: ferrule.Channel) -> None:
    """A handler that sends everything back."""
    async for message in channel:
        await channel.send(message)


async def is_served(address: str, **options: Any) -> None:
    """A client of an echo server gets what it wants."""
    async with ferrule.connect(address, **options) as channel:
        await channel.send(b"x")
        assert await channel.recv() == b"x"


def told_to_the_loop() -> list[dict[str, Any]]:
    """What the exception handler of the running loop is told from now on."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    return told


@asynccontextmanager
async def raw_peer(address: str, **options: Any) -> AsyncIterator[tuple[socket.socket, ferrule.Channel]]:
    """A channel of a server, and the raw socket at its other end, which has said hello."""
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait, **options):
        with raw_connect(address) as raw:
            raw.sendall(hello())
            channel = await accepted.get()
            try:
                yield raw, channel
            finally:
                channel.abort()


# --- Processes -------------------------------------------------------------------------------------------------


def has_children() -> bool:
    """Whether this process has a child, running or not waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


class Child:
    """Another Python process that runs a piece of code. Its lines are read one by one."""

    def __init__(
        self, code: str, *arguments: str, options: tuple[str, ...] = (), keep: tuple[int, ...] = ()
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", *options, "-c", textwrap.dedent(code), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=keep,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def line(self) -> str:
        """Wait for its next line."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        text = self.process.stdout.readline().strip() if ready else ""
        if not text:
            self.process.kill()
            raise AssertionError(f"no line: {self.process.communicate()}")
        return text

    def end(self) -> tuple[int, str, str]:
        """Wait until it ends: exit code, the rest of its output, its errors."""
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def run_child(code: str, *arguments: str, options: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Run a piece of code in a process of its own, to its end."""
    with Child(code, *arguments, options=options) as child:
        return child.end()
