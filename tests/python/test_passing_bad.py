"""Handles passed over pipes: floods and limits, and what is refused."""

from __future__ import annotations

import array
import socket
import threading
from typing import Any

import ferrule
import pytest
from handles import Catcher, bound_udp, only_so_many_descriptors, run_until, status_of
from support import descriptors

PENDING_MAX = 64

Pair = tuple[ferrule.Pipe, ferrule.Pipe]


@pytest.fixture
def pair(loop: ferrule.Loop) -> Pair:
    return ferrule.Pipe.pair(loop, ipc=True)


# --- Floods and limits -----------------------------------------------------------------------------------------


def send_handles(raw: socket.socket, data: bytes, fds: list[int]) -> None:
    raw.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def test_a_peer_that_floods_is_cut_off(loop: ferrule.Loop) -> None:
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop, ipc=True)
    pipe.open(ours.detach())
    catcher = Catcher(pipe, take=False)
    loop.step(0)
    before = len(descriptors())
    with peer:
        send_handles(peer, b"x", [peer.fileno()] * PENDING_MAX)
        run_until(loop, lambda: catcher.data)
        assert pipe.pending_count == PENDING_MAX
        assert len(descriptors()) == before + PENDING_MAX
        send_handles(peer, b"x", [peer.fileno()])
        run_until(loop, lambda: catcher.end)
        assert catcher.end == "FER_EPROTO"
        assert pipe.pending_count == 0
        assert len(descriptors()) == before
        assert pipe not in loop._active


def test_no_room_for_what_comes(loop: ferrule.Loop, pair: Pair) -> None:
    """A named error, and nothing of it is left."""
    catcher = Catcher(pair[1])
    pair[0].write(b"h", None, bound_udp(loop))
    before = descriptors()
    with only_so_many_descriptors(0):
        run_until(loop, lambda: catcher.end)
    assert (catcher.data, catcher.handles, catcher.end) == (b"", [], "FER_EMFILE")
    assert pair[1].pending_count == 0
    assert descriptors() == before
    assert pair[1] not in loop._active


@pytest.mark.parametrize("room", [0, 1, 3])
def test_no_room_for_all_of_what_comes(loop: ferrule.Loop, room: int) -> None:
    """The kernel puts some of them into this process: nothing is half delivered."""
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop, ipc=True)
    pipe.open(ours.detach())
    catcher = Catcher(pipe)
    loop.step(0)
    with peer:
        send_handles(peer, b"first", [peer.fileno()])
        run_until(loop, lambda: catcher.handles)
        send_handles(peer, b"second", [peer.fileno()] * 5)
        before = descriptors()
        with only_so_many_descriptors(room):
            run_until(loop, lambda: catcher.end)
        assert (catcher.data, len(catcher.handles), catcher.end) == (b"first", 1, "FER_EMFILE")
        assert pipe.pending_count == 0
        assert descriptors() == before


def test_room_for_exactly_what_comes(loop: ferrule.Loop) -> None:
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop, ipc=True)
    pipe.open(ours.detach())
    catcher = Catcher(pipe, take=False)
    loop.step(0)
    with peer:
        send_handles(peer, b"all", [peer.fileno()] * 5)
        with only_so_many_descriptors(5):
            run_until(loop, lambda: catcher.data)
        assert (catcher.data, pipe.pending_count, catcher.end) == (b"all", 5, None)


def test_no_room_to_keep_a_copy(loop: ferrule.Loop, pair: Pair) -> None:
    """A handle that must wait is duplicated. When that cannot be, nothing is written."""
    udp = bound_udp(loop)
    never: list[Any] = []
    pair[0].write(bytes(4 << 20))
    waiting = pair[0].write_queue_size
    with only_so_many_descriptors(0):
        assert status_of(lambda: pair[0].write(b"h", lambda *args: never.append(args), udp)) == "FER_EMFILE"
    assert pair[0].write_queue_size == waiting
    pair[0].write(b"h", None, udp)
    catcher = Catcher(pair[1])
    run_until(loop, lambda: catcher.handles)
    assert len(catcher.data) == (4 << 20) + 1
    assert never == []


# --- What is refused -------------------------------------------------------------------------------------------


def test_what_cannot_be_passed(loop: ferrule.Loop, pair: Pair) -> None:
    udp, closed, fresh = bound_udp(loop), bound_udp(loop), ferrule.TCP(loop)
    raw = socket.socket()
    raw.close()
    closed.close()
    plain, _ = ferrule.Pipe.pair(loop)
    never: list[Any] = []
    refused: list[tuple[ferrule.Pipe, Any, Any, str]] = [
        (plain, b"x", udp, "FER_EINVAL"),
        (plain, b"x", 0, "FER_EINVAL"),
        (ferrule.Pipe(loop, True), b"x", udp, "FER_ENOTCONN"),
        (pair[0], b"x", pair[0], "FER_EINVAL"),
        (pair[0], b"x", closed, "FER_ECLOSED"),
        (pair[0], b"x", fresh, "FER_EBADF"),
        (pair[0], b"x", raw, "FER_EBADF"),
        (pair[0], b"x", -1, "FER_EBADF"),
        (pair[0], b"x", 1 << 20, "FER_EBADF"),
        (pair[0], b"", udp, "FER_EINVAL"),
        (pair[0], [b"", b""], udp, "FER_EINVAL"),
        (pair[0], (), udp, "FER_EINVAL"),
        (pair[0], b"", 0, "FER_EINVAL"),
    ]
    for pipe, data, handle, status in refused:
        for callback in (None, lambda pipe, error: never.append(error)):
            call = lambda: pipe.write(data, callback, handle)  # noqa: B023, E731
            assert status_of(call) == status, (data, handle)
    for handle in ("udp", b"x", 1.5, True, object(), loop, open, [udp]):
        with pytest.raises(TypeError):
            pair[0].write(b"x", None, handle)  # type: ignore[arg-type]
    for data in ("text", None, 7):
        with pytest.raises(TypeError):
            pair[0].write(data, None, udp)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pair[0].write(b"x", 7, udp)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ferrule.TCP(loop).write(b"x", None, udp)  # type: ignore[call-arg]
    catcher = Catcher(pair[1])
    pair[0].write(b"x", None, udp)
    run_until(loop, lambda: catcher.data)
    assert (catcher.data, len(catcher.handles), never) == (b"x", 1, [])


def test_after_shutdown_and_close(loop: ferrule.Loop, pair: Pair) -> None:
    udp = bound_udp(loop)
    pair[0].shutdown()
    with pytest.raises(BrokenPipeError):
        pair[0].write(b"x", None, udp)
    pair[1].close()
    assert status_of(lambda: pair[1].write(b"x", None, udp)) == "FER_ECLOSED"


def test_a_channel_is_not_passed(loop: ferrule.Loop, pair: Pair, address: str) -> None:
    """Its handle is its own: somebody else in the stream would break it."""
    with ferrule.sync.listen(address) as server:
        thread = threading.Thread(target=lambda: server.accept(timeout=60).close())
        thread.start()
        with ferrule.sync.connect(address) as channel:
            for handle in (channel, server):
                with pytest.raises(TypeError):
                    pair[0].write(b"x", None, handle)  # type: ignore[arg-type]
        thread.join()


def test_a_handle_of_another_loop(loop: ferrule.Loop, pair: Pair) -> None:
    """Of the same thread it is passed, and taken."""
    with ferrule.Loop() as elsewhere:
        udp = bound_udp(elsewhere)
        catcher = Catcher(pair[1], take=False)
        pair[0].write(b"h", None, udp)
        run_until(loop, lambda: catcher.data)
        received = ferrule.UDP(elsewhere)
        pair[1].accept(received)
        assert received.getsockname() == udp.getsockname()


def test_a_handle_of_another_thread(loop: ferrule.Loop, pair: Pair) -> None:
    made, looked_at = threading.Event(), threading.Event()
    handles: list[ferrule.UDP] = []

    def own() -> None:
        with ferrule.Loop() as theirs:
            handles.append(bound_udp(theirs))
            handles.append(ferrule.UDP(theirs))
            made.set()
            looked_at.wait(60)

    thread = threading.Thread(target=own)
    thread.start()
    made.wait(60)
    catcher = Catcher(pair[1], take=False)
    try:
        assert status_of(lambda: pair[0].write(b"h", None, handles[0])) == "FER_ETHREAD"
        pair[0].write(b"h", None, bound_udp(loop))
        run_until(loop, lambda: catcher.data)
        assert status_of(lambda: pair[1].accept(handles[1])) == "FER_ETHREAD"
        assert pair[1].pending_count == 1
    finally:
        looked_at.set()
        thread.join()
    assert handles[0].closed


def test_what_cannot_be_accepted(loop: ferrule.Loop, pair: Pair) -> None:
    fresh = ferrule.UDP(loop)
    assert status_of(lambda: pair[1].accept(fresh)) == "FER_EAGAIN"
    assert status_of(pair[1].accept_fd) == "FER_EAGAIN"
    plain, _ = ferrule.Pipe.pair(loop)
    assert status_of(lambda: plain.accept(ferrule.Pipe(loop))) == "FER_EINVAL"
    assert status_of(lambda: plain.accept(fresh)) == "FER_EKIND"
    assert status_of(plain.accept_fd) == "FER_EINVAL"
    assert status_of(lambda: plain.start_read2(print)) == "FER_EINVAL"
    assert (plain.pending_count, plain.pending_handle_type) == (0, ferrule.UV_UNKNOWN_HANDLE)
    catcher = Catcher(pair[1], take=False)
    pair[0].write(b"h", None, bound_udp(loop))
    run_until(loop, lambda: catcher.data)
    used, closed = bound_udp(loop), ferrule.UDP(loop)
    closed.close()
    wrong: list[tuple[ferrule.Handle, str]] = [
        (ferrule.TCP(loop), "FER_EKIND"),
        (ferrule.Pipe(loop), "FER_EKIND"),
        (used, "FER_EISCONN"),
        (closed, "FER_ECLOSED"),
    ]
    for handle, status in wrong:
        assert status_of(lambda handle=handle: pair[1].accept(handle)) == status  # type: ignore[misc]
        assert pair[1].pending_count == 1
    nothing: list[Any] = [None, 7, loop]
    for client in nothing:
        with pytest.raises(TypeError):
            pair[1].accept(client)
    pair[1].accept(fresh)
    assert pair[1].pending_count == 0
    assert status_of(lambda: pair[1].accept(ferrule.UDP(loop))) == "FER_EAGAIN"
