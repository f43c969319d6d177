"""Helpers for handles: running a loop up to an event, and collecting what comes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Callable

import ferrule
import pytest

MAKE: dict[int, Any] = {
    ferrule.UV_NAMED_PIPE: ferrule.Pipe,
    ferrule.UV_TCP: ferrule.TCP,
    ferrule.UV_UDP: ferrule.UDP,
}
"""The class of each kind of received handle."""


def run_until(loop: ferrule.Loop, condition: Callable[[], object]) -> None:
    """Run a loop until ``condition()`` holds. Fails when nothing can happen any more."""
    while not condition():
        assert loop.step(None) or condition(), "nothing is left to wait for"


def status_of(call: Callable[[], object]) -> str:
    """The name of the status that a call raises."""
    with pytest.raises(ferrule.Error) as caught:
        call()
    return caught.value.status


def name_of(error: int | None) -> str:
    """The name of the error that a callback got."""
    return ferrule.errno.errorcode[error or 0]


class Inbox:
    """Reads a stream: the bytes that came, and the name of the status at the end."""

    def __init__(self, stream: ferrule.Stream) -> None:
        self.data = b""
        self.end: str | None = None
        stream.start_read(self._on_read)

    def _on_read(self, stream: ferrule.Stream, data: bytes | None, error: int | None) -> None:
        if data is None:
            self.end = name_of(error)
        else:
            self.data += data


class Catcher:
    """Reads a pipe with ipc, and takes the handles that come, unless it is told to leave them."""

    def __init__(self, pipe: ferrule.Pipe, take: bool = True) -> None:
        self.data = b""
        self.kinds: list[int] = []
        self.handles: list[Any] = []
        self.end: str | None = None
        self._take = take
        pipe.start_read2(self._on_read)

    def _on_read(self, pipe: ferrule.Pipe, data: bytes | None, pending: int, error: int | None) -> None:
        assert pending == pipe.pending_handle_type
        if data is None:
            self.end = name_of(error)
            return
        self.data += data
        while self._take and pipe.pending_count:
            self.take(pipe)

    def take(self, pipe: ferrule.Pipe) -> None:
        kind = pipe.pending_handle_type
        self.kinds.append(kind)
        if kind == ferrule.UV_FILE:
            self.handles.append(pipe.accept_fd())
            return
        handle = MAKE[kind](pipe.loop)
        pipe.accept(handle)
        self.handles.append(handle)


def bound_udp(loop: ferrule.Loop) -> ferrule.UDP:
    """A UDP socket with a port of its own."""
    udp = ferrule.UDP(loop)
    udp.bind(("127.0.0.1", 0))
    return udp


def is_open(fd: int) -> bool:
    """Whether this is a descriptor of this process."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@contextmanager
def only_so_many_descriptors(room: int) -> Iterator[None]:
    """This process has room for so many descriptors more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in range(soft) if not is_open(number))
    for _ in range(room):
        next(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(free), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def closing(*descriptors: int) -> Iterator[None]:
    """Close descriptors in the end."""
    try:
        yield
    finally:
        for fd in descriptors:
            os.close(fd)


def answer_once(listener: Any, data: bytes = b"served\n") -> None:
    """Listen, and give each connection ``data`` and the end of the stream."""

    def on_connection(stream: Any, error: int | None) -> None:
        assert error is None
        client = type(stream)(stream.loop)
        stream.accept(client)
        client.write(data)
        client.shutdown(lambda client, error: client.close())

    listener.listen(on_connection)


def connected_tcp(loop: ferrule.Loop) -> tuple[ferrule.TCP, ferrule.TCP]:
    """The two ends of a TCP connection: the one that connected, the one that was accepted."""
    listener, client, served = ferrule.TCP(loop), ferrule.TCP(loop), ferrule.TCP(loop)
    events: list[int | None] = []
    listener.bind(("127.0.0.1", 0))
    listener.listen(lambda tcp, error: tcp.accept(served))
    client.connect(listener.getsockname(), lambda tcp, error: events.append(error))
    run_until(loop, lambda: events and not served_is_new(served))
    assert events == [None]
    listener.close()
    return client, served


def served_is_new(served: ferrule.IOHandle) -> bool:
    """Whether nothing was accepted into a handle yet."""
    try:
        served.fileno()
    except ferrule.Error:
        return True
    return False
