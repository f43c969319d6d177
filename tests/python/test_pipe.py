"""Pipes with callbacks, as pyuv has them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule.errno import FER_ECANCELED, FER_EOF, UV_EOF
from handles import run_until
from support import Child, receive_exactly


@pytest.fixture
def loop(folder: Path) -> Iterator[ferrule.Loop]:
    made = ferrule.Loop()
    yield made
    made.close()


@pytest.fixture
def pair(loop: ferrule.Loop) -> Iterator[tuple[ferrule.Pipe, socket.socket]]:
    """A pipe, and the raw socket at its other end."""
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop)
    pipe.open(ours.detach())
    with peer:
        yield pipe, peer
        pipe.close()


def test_an_echo_server_and_a_client(loop: ferrule.Loop, folder: Path) -> None:
    """A program as it is written for pyuv: nothing is kept but what the loop keeps."""
    received: list[bytes] = []
    events: list[str] = []

    def on_read(client: ferrule.Pipe, data: bytes | None, error: int | None) -> None:
        if data is None:
            assert error == UV_EOF
            client.close()
            server.close(lambda pipe: events.append("server closed"))
            return
        assert error is None
        client.write(data)

    def on_connection(pipe: ferrule.Pipe, error: int | None) -> None:
        assert pipe is server
        assert error is None
        client = ferrule.Pipe(pipe.loop)
        pipe.accept(client)
        client.start_read(on_read)

    def on_answer(pipe: ferrule.Pipe, data: bytes | None, error: int | None) -> None:
        assert pipe is client
        if data is None:
            assert error == FER_EOF
            pipe.close()
            return
        received.append(data)
        if b"".join(received) == b"hello world":
            pipe.shutdown(lambda pipe, error: events.append(f"shut down {error}"))

    def on_connected(pipe: ferrule.Pipe, error: int | None) -> None:
        assert pipe is client
        assert error is None
        pipe.write(b"hello", lambda pipe, error: events.append(f"written {error}"))
        pipe.write([b" ", bytearray(b"world")])
        pipe.start_read(on_answer)

    server = ferrule.Pipe(loop)
    server.bind(f"{folder}/s")
    server.listen(on_connection)
    client = ferrule.Pipe(loop)
    client.connect(f"{folder}/s", on_connected)
    assert loop.run() is False
    assert b"".join(received) == b"hello world"
    assert events == ["written None", "shut down None", "server closed"]
    assert loop._active == set()


def test_between_two_processes(loop: ferrule.Loop, folder: Path) -> None:
    child = """
        import sys, ferrule
        loop = ferrule.Loop.default_loop()
        def on_read(pipe, data, error):
            if data is None:
                pipe.close()
            else:
                pipe.write(data.upper())
        def on_connected(pipe, error):
            assert error is None
            pipe.start_read(on_read)
        ferrule.Pipe(loop).connect(sys.argv[1], on_connected)
        loop.run()
        print("end")
    """
    received: list[bytes] = []

    def on_connection(pipe: ferrule.Pipe, error: int | None) -> None:
        client = ferrule.Pipe(loop)
        pipe.accept(client)
        client.write(b"x" * 1000000)
        client.start_read(on_read)

    def on_read(pipe: ferrule.Pipe, data: bytes | None, error: int | None) -> None:
        assert data is not None
        received.append(data)
        if sum(map(len, received)) == 1000000:
            pipe.close()
            server.close()

    server = ferrule.Pipe(loop)
    server.bind(folder / "s")
    server.listen(on_connection)
    with Child(child, f"{folder}/s") as process:
        loop.run()
        assert process.end() == (0, "end\n", "")
    assert b"".join(received) == b"X" * 1000000


@pytest.mark.parametrize("name", ["str", "bytes", "path", "abstract"])
def test_names(loop: ferrule.Loop, folder: Path, name: str) -> None:
    names: dict[str, Any] = {
        "str": f"{folder}/s",
        "bytes": os.fsencode(f"{folder}/s"),
        "path": folder / "s",
        "abstract": b"\0ferrule-names-%d" % os.getpid(),
    }
    server = ferrule.Pipe(loop)
    server.bind(names[name])
    server.listen(lambda pipe, error: None)
    assert server.getsockname() == os.fsdecode(names[name])
    if name != "abstract":
        assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600
    seen: list[Any] = []

    def on_connected(pipe: ferrule.Pipe, error: int | None) -> None:
        seen.append((error, pipe.getsockname(), pipe.getpeername()))
        loop.stop()

    client = ferrule.Pipe(loop)
    client.connect(names[name], on_connected)
    loop.run()
    client.close()
    assert seen == [(None, "", os.fsdecode(names[name]))]


def test_a_full_queue_is_waited_for(loop: ferrule.Loop, folder: Path) -> None:
    name = f"{folder}/s"
    events: list[Any] = []
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(name)
        listener.listen(1)
        while True:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(name)
            except BlockingIOError:
                break
        pipe, canceled = ferrule.Pipe(loop), ferrule.Pipe(loop)
        pipe.connect(name, lambda pipe, error: events.append(error))
        canceled.connect(name, lambda pipe, error: events.append(error))
        loop.step(0)
        assert not events
        canceled.close()
        run_until(loop, lambda: events)
        assert events.pop() == FER_ECANCELED
        listener.accept()[0].close()
        run_until(loop, lambda: events)
        assert events == [None]
        assert pipe.getpeername() == name
        pipe.close()
    os.unlink(name)


def test_mode_and_keeping_the_file(loop: ferrule.Loop, tmp_path: Path) -> None:
    server = ferrule.Pipe(loop)
    server.bind(tmp_path / "s", mode=0o660, keep_file=True)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    server.close()
    loop.run()
    assert (tmp_path / "s").is_socket()
    (tmp_path / "s").unlink()


def test_facts(pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop) -> None:
    pipe, peer = pair
    assert pipe.readable
    assert pipe.writable
    assert pipe.write_queue_size == 0
    assert pipe.loop is loop
    assert not pipe.closed
    assert pipe.ref
    pipe.ref = False
    assert not pipe.ref
    pipe.start_read(lambda pipe, data, error: None)
    assert loop.run() is False
    pipe.ref = True
    assert os.path.sameopenfile(pipe.fileno(), pipe.fileno())
    assert "open" in repr(pipe)
    pipe.close()
    assert pipe.closed
    assert "closed" in repr(pipe)


def test_stop_read_loses_nothing(pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop) -> None:
    pipe, peer = pair
    seen: list[bytes | None] = []

    def one(pipe: ferrule.Pipe, data: bytes | None, error: int | None) -> None:
        seen.append(data)
        pipe.stop_read()

    peer.send(b"first")
    pipe.start_read(one)
    assert loop.run() is False
    peer.send(b"second")
    assert loop.run() is False
    pipe.start_read(one)
    loop.run()
    assert seen == [b"first", b"second"]


def test_writes_keep_their_order_and_hold_their_buffers(
    pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop
) -> None:
    pipe, peer = pair
    done: list[int] = []
    data = bytearray(b"ab" * (2 << 20))

    def written(number: int) -> Any:
        return lambda pipe, error: done.append(number)

    pipe.write(data, written(1))
    with pytest.raises(BufferError):
        data.append(0)
    pipe.write(b"cd", written(2))
    pipe.write((), written(3))
    assert pipe.write_queue_size > 0
    assert done == []
    received = b""
    while len(received) < len(data) + 2:
        loop.step(0)
        received += peer.recv(1 << 20)
    assert received == bytes(data) + b"cd"
    loop.run()
    assert done == [1, 2, 3]
    data.append(0)
    assert pipe.write_queue_size == 0


def test_without_a_callback_the_bytes_may_change_at_once(
    pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop
) -> None:
    pipe, peer = pair
    data = bytearray(b"x" * (1 << 20))
    pipe.write(data)
    data.clear()
    received = 0
    while received < 1 << 20:
        loop.step(0)
        part = peer.recv(1 << 20)
        assert set(part) == set(b"x")
        received += len(part)


def test_try_write(pair: tuple[ferrule.Pipe, socket.socket]) -> None:
    pipe, peer = pair
    assert pipe.try_write(b"hello") == 5
    assert pipe.try_write([b"a", b"b"]) == 2
    assert receive_exactly(peer, 7) == b"helloab"
    with pytest.raises(BlockingIOError) as caught:
        while True:
            pipe.try_write(bytes(1 << 20))
    assert caught.value.status == "FER_EAGAIN"  # type: ignore[attr-defined]


def test_close_cancels_what_is_due_and_comes_last(
    pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop
) -> None:
    pipe, peer = pair
    events: list[Any] = []
    pipe.write(bytes(8 << 20), lambda pipe, error: events.append(error))
    pipe.shutdown(lambda pipe, error: events.append(error))
    pipe.start_read(lambda pipe, data, error: events.append("read"))
    pipe.close(lambda pipe: events.append("closed"))
    pipe.close(lambda pipe: events.append("closed again"))
    assert events == []
    loop.run()
    assert events == [FER_ECANCELED, FER_ECANCELED, "closed", "closed again"]


# --- What goes wrong -------------------------------------------------------------------------------------------


def test_calls_after_close(pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop) -> None:
    pipe, peer = pair
    pipe.close()
    for when in ("closing", "closed"):
        calls: dict[str, Any] = {
            "bind": lambda: pipe.bind("x"),
            "listen": lambda: pipe.listen(print),
            "connect": lambda: pipe.connect("x", print),
            "open": lambda: pipe.open(0),
            "start_read": lambda: pipe.start_read(print),
            "stop_read": pipe.stop_read,
            "write": lambda: pipe.write(b"x"),
            "write with a callback": lambda: pipe.write(b"x", print),
            "try_write": lambda: pipe.try_write(b"x"),
            "shutdown": pipe.shutdown,
            "fileno": pipe.fileno,
            "getsockname": pipe.getsockname,
            "getpeername": pipe.getpeername,
        }
        for name, call in calls.items():
            with pytest.raises(ferrule.error.ClosedError) as caught:
                call()
            assert caught.value.status == "FER_ECLOSED", (name, when)
        assert pipe.write_queue_size == 0
        assert not pipe.readable
        assert not pipe.writable
        pipe.close()
        loop.run()
    assert loop._active == set()


def test_names_that_cannot_be(loop: ferrule.Loop, folder: Path) -> None:
    (folder / "file").write_text("")
    pipe = ferrule.Pipe(loop)
    for name, kind in (
        (f"{folder}/none/s", FileNotFoundError),
        (f"{folder}/file/s", NotADirectoryError),
        (f"{folder}/file", ferrule.Error),
        ("", ValueError),
        ("a\0b", ValueError),
        (7, TypeError),
        (None, TypeError),
    ):
        with pytest.raises(kind):
            pipe.bind(name)  # type: ignore[arg-type]
    pipe.close()


def test_names_that_nobody_listens_at(loop: ferrule.Loop, folder: Path) -> None:
    (folder / "file").write_text("")
    for name, status in (
        (f"{folder}/none", "FER_ENOENT"),
        (f"{folder}/file/s", "FER_ENOTDIR"),
        (f"{folder}/file", "FER_ENOTSOCK"),
    ):
        ends: list[Any] = []
        pipe = ferrule.Pipe(loop)
        pipe.connect(name, lambda pipe, error, ends=ends: ends.append(error))  # type: ignore[misc]
        loop.run()
        assert [ferrule.errno.errorcode[end] for end in ends] == [status]
        pipe.close()
    pipe = ferrule.Pipe(loop)
    wrong: Any
    for wrong, kind in (("", ValueError), ("a\0b", ValueError), (7, TypeError), (None, TypeError)):
        with pytest.raises(kind):
            pipe.connect(wrong, print)
    pipe.close()


def test_an_address_in_use(loop: ferrule.Loop, folder: Path) -> None:
    one, other = ferrule.Pipe(loop), ferrule.Pipe(loop)
    one.bind(folder / "s")
    with pytest.raises(ferrule.Error) as caught:
        other.bind(folder / "s")
    assert caught.value.status == "FER_EADDRINUSE"
    other.close()


def test_what_comes_at_the_wrong_time(loop: ferrule.Loop, folder: Path) -> None:
    pipe = ferrule.Pipe(loop)
    for call, status in (
        (lambda: pipe.listen(print), "FER_EDESTADDRREQ"),
        (lambda: pipe.start_read(print), "FER_ENOTCONN"),
        (lambda: pipe.write(b"x"), "FER_ENOTCONN"),
        (lambda: pipe.try_write(b"x"), "FER_ENOTCONN"),
        (pipe.shutdown, "FER_ENOTCONN"),
        (pipe.fileno, "FER_EBADF"),
        (pipe.getsockname, "FER_EBADF"),
        (lambda: pipe.open(-1), "FER_EBADF"),
    ):
        with pytest.raises(ferrule.Error) as caught:
            call()
        assert caught.value.status == status
    pipe.bind(folder / "s")
    pipe.listen(print)
    with pytest.raises(ferrule.Error) as caught:
        pipe.listen(print)
    assert caught.value.status == "FER_EALREADY"
    client = ferrule.Pipe(loop)
    with pytest.raises(BlockingIOError):
        pipe.accept(client)
    client.close()
    assert loop._active == {pipe, client}


def test_open_takes_what_is_a_pipe_only(loop: ferrule.Loop) -> None:
    pipe = ferrule.Pipe(loop)
    with socket.socket() as tcp, open(os.devnull) as file:
        for other, status in ((file, "FER_ENOTSOCK"), (tcp, "FER_EPROTOTYPE")):
            with pytest.raises(ferrule.Error) as caught:
                pipe.open(other.fileno())
            assert caught.value.status == status
            os.fstat(other.fileno())  # It stays the caller's.
    with pytest.raises(TypeError):
        pipe.open("0")  # type: ignore[arg-type]
    pipe.close()


def test_wrong_arguments(loop: ferrule.Loop, pair: tuple[Any, socket.socket]) -> None:
    pipe, peer = pair
    call: Callable[[], object]
    for call in (
        lambda: ferrule.Pipe(None),  # type: ignore[arg-type]
        lambda: ferrule.Pipe(pipe),
        lambda: pipe.listen(None),
        lambda: pipe.connect("x", None),
        lambda: pipe.start_read(7),
        lambda: pipe.write("text"),
        lambda: pipe.write(b"x", 7),
        lambda: pipe.write(7),
        lambda: pipe.try_write("text"),
        lambda: pipe.shutdown(7),
        lambda: pipe.close(7),
        lambda: pipe.accept(peer),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="backlog"):
        pipe.listen(print, -1)
    assert loop._active == set()


def test_unknown_flags(loop: ferrule.Loop) -> None:
    from ferrule import _ferrule

    with pytest.raises(ValueError, match="FER_EINVAL"):
        _ferrule.fer_pipe_new(loop._c, 1 << 31)
    pipe = _ferrule.fer_pipe_new(loop._c, 0)
    with pytest.raises(ValueError, match="FER_EINVAL"):
        _ferrule.fer_pipe_bind(pipe, "x", {"flags": 1 << 30})
    _ferrule.fer_handle_unref(pipe)


def test_a_peer_that_is_gone(pair: tuple[ferrule.Pipe, socket.socket], loop: ferrule.Loop) -> None:
    pipe, peer = pair
    ends: list[Any] = []
    peer.close()
    pipe.start_read(lambda pipe, data, error: ends.append((data, error)))
    loop.run()
    assert ends == [(None, FER_EOF)]
    with pytest.raises(EOFError):
        pipe.start_read(print)
    with pytest.raises(BrokenPipeError) as caught:
        pipe.write(b"x")
    assert caught.value.errno == 32
