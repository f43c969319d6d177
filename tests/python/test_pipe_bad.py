"""Pipes that are used wrongly: memory that changes or goes while it is written, and writing after the end."""

from __future__ import annotations

import array
import mmap
from typing import Any, Callable

import ferrule
import pytest
from handles import Inbox, bound_udp, run_until, status_of

SIZE = 8 << 20

Pair = tuple[ferrule.Pipe, ferrule.Pipe]


@pytest.fixture
def pair(loop: ferrule.Loop) -> Pair:
    return ferrule.Pipe.pair(loop, ipc=True)


# --- Memory ----------------------------------------------------------------------------------------------------


def a_bytearray() -> Any:
    return bytearray(SIZE)


def an_array() -> Any:
    return array.array("B", bytes(SIZE))


def a_map() -> Any:
    return mmap.mmap(-1, SIZE)


def a_view() -> Any:
    return memoryview(bytearray(SIZE))


@pytest.mark.parametrize("where", ["write", "vector", "pass"])
@pytest.mark.parametrize(
    ("make", "change"),
    [
        (a_bytearray, lambda data: data.append(0)),
        (a_bytearray, lambda data: data.clear()),
        (a_bytearray, lambda data: data.__delitem__(slice(10))),
        (an_array, lambda data: data.append(0)),
        (a_map, lambda data: data.close()),
        (a_view, lambda data: data.release()),
    ],
    ids=["append", "clear", "delete", "array", "map", "view"],
)
def test_memory_stays_while_it_is_written(
    loop: ferrule.Loop, pair: Pair, make: Callable[[], Any], change: Callable[[Any], object], where: str
) -> None:
    data = make()
    done: list[int | None] = []
    given = [b"first", data] if where == "vector" else data
    handle = bound_udp(loop) if where == "pass" else None
    pair[0].write(given, lambda pipe, error: done.append(error), handle)
    with pytest.raises(BufferError):
        change(data)
    inbox = Inbox(pair[1])
    run_until(loop, lambda: done and len(inbox.data) >= SIZE)
    assert done == [None]
    change(data)


def test_memory_that_is_overwritten(loop: ferrule.Loop, pair: Pair) -> None:
    """Which of the bytes go out is not promised; how many is."""
    data = bytearray(b"a" * SIZE)
    pair[0].write(data, lambda pipe, error: None)
    data[:] = b"b" * SIZE
    inbox = Inbox(pair[1])
    run_until(loop, lambda: len(inbox.data) == SIZE)
    assert set(inbox.data) <= set(b"ab")


@pytest.mark.parametrize("how", ["close", "peer"])
def test_memory_is_let_go_when_the_write_fails(loop: ferrule.Loop, pair: Pair, how: str) -> None:
    data = bytearray(SIZE)
    ends: list[int | None] = []
    pair[0].write(data, lambda pipe, error: ends.append(error))
    pair[0 if how == "close" else 1].close()
    run_until(loop, lambda: ends)
    assert [ferrule.errno.errorcode[end or 0] for end in ends] == [
        "FER_ECANCELED" if how == "close" else "FER_EPIPE"
    ]
    data.clear()


def test_memory_that_cannot_be_written(pair: Pair) -> None:
    released = memoryview(b"x")
    released.release()
    calls: list[Callable[[Any], object]] = [
        pair[0].write,
        pair[0].try_write,
        lambda data: pair[0].write(data, print),
        lambda data: pair[0].write(data, print, 0),
        lambda data: pair[0].write([b"first", data], print),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="released"):
            call(released)
        with pytest.raises(BufferError):
            call(memoryview(b"abcd")[::2])
        with pytest.raises(TypeError):
            call("text")
    assert pair[0].write_queue_size == 0


# --- The wrong time --------------------------------------------------------------------------------------------


def writes(pipe: ferrule.Pipe, handle: ferrule.IOHandle, never: list[Any]) -> list[Callable[[], object]]:
    """All the ways to write."""

    def callback(pipe: ferrule.Pipe, error: int | None) -> None:
        never.append(error)

    return [
        lambda: pipe.write(b"x"),
        lambda: pipe.write([b"x", b"y"], callback),
        lambda: pipe.write(b"x", callback, handle),
        lambda: pipe.write(b"x", None, 0),
        lambda: pipe.try_write(b"x"),
    ]


def test_after_shutdown(loop: ferrule.Loop, pair: Pair) -> None:
    never: list[Any] = []
    udp = bound_udp(loop)
    ends: list[int | None] = []
    pair[0].shutdown(lambda pipe, error: ends.append(error))
    for _ in ("under way", "done"):
        assert not pair[0].writable
        assert [status_of(call) for call in writes(pair[0], udp, never)] == ["FER_EPIPE"] * 5
        assert status_of(pair[0].shutdown) == "FER_EALREADY"
        run_until(loop, lambda: ends)
    # The other direction goes on.
    inbox = Inbox(pair[0])
    pair[1].write(b"answer")
    run_until(loop, lambda: inbox.data)
    assert (inbox.data, never) == (b"answer", [])


def test_after_close(loop: ferrule.Loop, pair: Pair) -> None:
    never: list[Any] = []
    udp = bound_udp(loop)
    closed: list[Any] = []
    pair[0].close(closed.append)
    for _ in ("under way", "done"):
        assert [status_of(call) for call in writes(pair[0], udp, never)] == ["FER_ECLOSED"] * 5
        run_until(loop, lambda: closed)
    assert never == []


def test_after_the_peer_has_gone(loop: ferrule.Loop, pair: Pair) -> None:
    never: list[Any] = []
    pair[1].close()
    loop.step(0)
    udp = bound_udp(loop)
    assert [status_of(call) for call in writes(pair[0], udp, never)] == ["FER_EPIPE"] * 5
    assert never == []
