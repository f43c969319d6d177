"""Every member of a pipe that pyuv has, and those beyond: pairs, descriptors, credentials."""

from __future__ import annotations

import gc
import os
import selectors
import socket
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule.errno import FER_EOF
from handles import Catcher, Inbox, answer_once, run_until, status_of
from support import Child

SEED = """accept bind close closed connect fileno listen loop open pending_instances readable
receive_buffer_size send_buffer_size shutdown start_read start_read2 stop_read try_write writable
write write_queue_size""".split()
"""What pyuv's pipes have."""


def test_every_member_of_the_seed_is_there() -> None:
    assert [name for name in SEED if not hasattr(ferrule.Pipe, name)] == []


# --- Pairs -----------------------------------------------------------------------------------------------------


def test_a_pair(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    assert type(one) is ferrule.Pipe
    assert not one.ipc
    assert not other.ipc
    assert one.getsockname() == one.getpeername() == ""
    inbox, back = Inbox(other), Inbox(one)
    one.write([b"hel", b"lo"])
    other.write(b"back")
    one.shutdown()
    run_until(loop, lambda: inbox.end and back.data)
    assert (inbox.data, inbox.end, back.data, back.end) == (b"hello", "FER_EOF", b"back", None)
    assert not one.writable
    assert one.readable


def test_pairs_of_a_subclass(loop: ferrule.Loop) -> None:
    class Named(ferrule.Pipe):
        pass

    one, other = Named.pair(loop, ipc=True)
    assert type(one) is type(other) is Named
    assert one.ipc
    assert other.ipc
    wrong: list[Any] = [None, one, 7]
    for place in wrong:
        with pytest.raises(TypeError):
            Named.pair(place)


def test_a_pair_without_descriptors(loop: ferrule.Loop) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert status_of(lambda: ferrule.Pipe.pair(loop)) == "FER_EMFILE"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ipc_is_what_was_asked_for(loop: ferrule.Loop) -> None:
    assert ferrule.Pipe(loop, True).ipc
    assert ferrule.Pipe(loop, ipc=True).ipc
    assert not ferrule.Pipe(loop).ipc


# --- What the kernel has ---------------------------------------------------------------------------------------


def test_buffer_sizes(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    with socket.socket(fileno=os.dup(one.fileno())) as same:
        one.send_buffer_size = 32768
        assert one.send_buffer_size == same.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 32768
        one.receive_buffer_size = 32768
        assert one.receive_buffer_size == same.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 32768
    for size, kind in ((0, ValueError), (-1, ValueError), ("x", TypeError), (1 << 40, OverflowError)):
        with pytest.raises(kind):
            one.send_buffer_size = size  # type: ignore[assignment]
        with pytest.raises(kind):
            one.receive_buffer_size = size  # type: ignore[assignment]
    fresh = ferrule.Pipe(loop)
    assert status_of(lambda: fresh.send_buffer_size) == "FER_EBADF"
    assert status_of(lambda: setattr(fresh, "receive_buffer_size", 4096)) == "FER_EBADF"


def test_the_size_of_the_queue(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    size = 8 << 20
    written = one.try_write(bytes(size))
    assert 0 < written < size
    one.write(bytes(1000))
    assert one.write_queue_size == 1000
    inbox = Inbox(other)
    run_until(loop, lambda: len(inbox.data) == written + 1000)
    assert one.write_queue_size == 0


def test_blocking_mode(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    assert not os.get_blocking(one.fileno())
    one.set_blocking(True)
    assert os.get_blocking(one.fileno())
    inbox = Inbox(one)
    other.write(b"x")
    run_until(loop, lambda: inbox.data)
    one.set_blocking(False)
    assert not os.get_blocking(one.fileno())
    assert status_of(lambda: ferrule.Pipe(loop).set_blocking(True)) == "FER_EBADF"


def test_a_descriptor_that_blocks_does_not_block_the_loop(loop: ferrule.Loop) -> None:
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop)
    pipe.open(ours.detach())
    assert os.get_blocking(pipe.fileno())
    done: list[Any] = []
    with peer:
        pipe.write(bytes(8 << 20), lambda pipe, error: done.append(error))
        inbox = Inbox(pipe)
        received = 0
        while received < 8 << 20:
            loop.step(0)
            received += len(peer.recv(1 << 20))
        peer.send(b"x")
        run_until(loop, lambda: inbox.data and done)
    assert done == [None]
    assert os.get_blocking(pipe.fileno())


def test_selectors(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        assert selector.select(0) == []
        other.write(b"x")
        assert [key.fileobj for key, _ in selector.select(60)] == [one]


def test_has_ref(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    assert one.has_ref
    one.ref = False
    assert not one.has_ref
    assert not one.ref
    one.start_read(print)
    assert loop.run() is False
    one.ref = True
    assert one.has_ref


def test_pending_instances(loop: ferrule.Loop, folder: Path) -> None:
    pipe = ferrule.Pipe(loop)
    pipe.pending_instances(4)
    pipe.bind(folder / "s")
    pipe.pending_instances(1)
    for count in (0, -1):
        assert status_of(lambda count=count: pipe.pending_instances(count)) == "FER_EINVAL"  # type: ignore[misc]
    with pytest.raises(TypeError):
        pipe.pending_instances("4")  # type: ignore[arg-type]


# --- Who is there ----------------------------------------------------------------------------------------------


def test_credentials_of_another_process(loop: ferrule.Loop, folder: Path) -> None:
    child = """
        import os, sys, ferrule
        loop = ferrule.Loop()
        pipe = ferrule.Pipe(loop)
        def on_connected(pipe, error):
            who = pipe.peer_credentials()
            print(os.getpid(), who.pid, who.uid, who.gid)
            pipe.start_read(lambda pipe, data, error: pipe.close())
        pipe.connect(sys.argv[1], on_connected)
        loop.run()
        loop.close()
    """
    seen: list[ferrule.Credentials] = []

    def on_connection(listener: ferrule.Pipe, error: int | None) -> None:
        client = ferrule.Pipe(loop)
        listener.accept(client)
        seen.append(client.peer_credentials())
        client.close()
        listener.close()

    listener = ferrule.Pipe(loop)
    listener.bind(folder / "s")
    listener.listen(on_connection)
    with Child(child, f"{folder}/s") as process:
        line = process.line()
        loop.run()
        assert process.end()[0] == 0
    pid, *who = map(int, line.split())
    assert seen == [(pid, os.geteuid(), os.getegid())]
    assert who == [os.getpid(), os.geteuid(), os.getegid()]


def test_credentials_of_nobody(loop: ferrule.Loop, folder: Path) -> None:
    pipe = ferrule.Pipe(loop)
    assert status_of(pipe.peer_credentials) == "FER_ENOTCONN"
    pipe.bind(folder / "s")
    assert status_of(pipe.peer_credentials) == "FER_ENOTCONN"
    one, other = ferrule.Pipe.pair(loop)
    assert one.peer_credentials() == ferrule.Credentials(os.getpid(), os.geteuid(), os.getegid())
    one.close()
    assert status_of(one.peer_credentials) == "FER_ECLOSED"


# --- Descriptors in and out ------------------------------------------------------------------------------------


def test_detach(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    one.start_read(print)
    assert one in loop._active
    fd = one.detach()
    assert one.closed
    assert one not in loop._active
    assert "closed" in repr(one)
    assert status_of(one.detach) == "FER_ECLOSED"
    events: list[Any] = []
    one.close(events.append)
    inbox = Inbox(other)
    os.write(fd, b"hello")
    os.close(fd)
    run_until(loop, lambda: inbox.end)
    assert inbox.data == b"hello"
    assert events == [one]


def test_detach_of_a_listener_leaves_its_file(loop: ferrule.Loop, folder: Path) -> None:
    listener = ferrule.Pipe(loop)
    listener.bind(folder / "s")
    listener.listen(print)
    with listener.to_socket() as raw:
        assert loop.run() is False
        assert (folder / "s").is_socket()
        again = ferrule.Pipe(loop)
        again.open(os.dup(raw.fileno()))
        answer_once(again)
        client = ferrule.Pipe(loop)
        inboxes: list[Inbox] = []
        client.connect(folder / "s", lambda pipe, error: inboxes.append(Inbox(pipe)))
        run_until(loop, lambda: inboxes and inboxes[0].end)
    assert inboxes[0].data == b"served\n"
    (folder / "s").unlink()


def test_detach_waits_for_what_is_due(loop: ferrule.Loop, folder: Path) -> None:
    fresh = ferrule.Pipe(loop)
    assert status_of(fresh.detach) == "FER_EBADF"
    assert status_of(fresh.to_socket) == "FER_EBADF"
    one, other = ferrule.Pipe.pair(loop)
    one.write(bytes(8 << 20))
    assert status_of(one.detach) == "FER_EBUSY"
    assert not one.closed
    arrived: list[Any] = []
    listener = ferrule.Pipe(loop)
    listener.bind(folder / "s")
    listener.listen(lambda pipe, error: arrived.append(error))
    client = ferrule.Pipe(loop)
    client.connect(folder / "s", lambda pipe, error: None)
    run_until(loop, lambda: arrived)
    assert status_of(listener.detach) == "FER_EBUSY"
    assert (folder / "s").is_socket()


def test_to_socket(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    with one.to_socket() as raw:
        assert (raw.family, raw.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
        assert not raw.getblocking()
        assert one.closed
        other.write(b"hello")
        raw.setblocking(True)
        assert raw.recv(5) == b"hello"


def test_to_socket_with_a_default_timeout(loop: ferrule.Loop) -> None:
    """It is for new sockets; this one is as it was."""
    ours, peer = socket.socketpair()
    pipe = ferrule.Pipe(loop)
    pipe.open(ours.detach())
    socket.setdefaulttimeout(5)
    try:
        with peer, pipe.to_socket() as raw:
            assert raw.gettimeout() is None
            assert os.get_blocking(raw.fileno())
    finally:
        socket.setdefaulttimeout(None)


def test_a_detached_pipe_is_not_reported(recwarn: pytest.WarningsRecorder) -> None:
    with ferrule.Loop() as loop:
        one, other = ferrule.Pipe.pair(loop)
        os.close(one.detach())
        other.close()
        del one, other
        gc.collect()
        loop.run()
    assert not recwarn.list


# --- Reading and the end ---------------------------------------------------------------------------------------


def test_a_second_reader(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop, ipc=True)
    for first in (one.start_read, one.start_read2):
        first(print)
        assert status_of(lambda: one.start_read(print)) == "FER_EALREADY"
        assert status_of(lambda: one.start_read2(print)) == "FER_EALREADY"
        one.stop_read()


def test_start_read2_tells_of_the_end(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop, ipc=True)
    seen: list[Any] = []
    one.start_read2(lambda *arguments: seen.append(arguments))
    other.write(b"x")
    other.close()
    run_until(loop, lambda: len(seen) == 2)
    assert seen == [
        (one, b"x", ferrule.UV_UNKNOWN_HANDLE, None),
        (one, None, ferrule.UV_UNKNOWN_HANDLE, FER_EOF),
    ]
    assert one not in loop._active
    with pytest.raises(EOFError):
        one.start_read2(print)


def test_the_facts_of_a_closed_pipe(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop, ipc=True)
    one.close()
    for _ in ("closing", "closed"):
        assert one.closed
        assert one.pending_count == 0
        assert one.pending_handle_type == ferrule.UV_UNKNOWN_HANDLE
        calls: list[Any] = [
            lambda: one.start_read2(print),
            one.accept_fd,
            lambda: one.accept(ferrule.TCP(loop)),
            lambda: one.write(b"x", None, other),
            lambda: one.write(b"x", None, 0),
            lambda: one.chmod(0o600),
            lambda: one.pending_instances(1),
            lambda: one.set_blocking(True),
            one.detach,
            one.to_socket,
            lambda: one.send_buffer_size,
            lambda: setattr(one, "ref", True),
        ]
        for call in calls:
            assert status_of(call) == "FER_ECLOSED"
        loop.run()


def test_a_callback_of_start_read2_that_raises(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop, ipc=True)

    def fail(*arguments: Any) -> None:
        raise LookupError("read2")

    one.start_read2(fail)
    other.write(b"x")
    with pytest.raises(LookupError, match="read2"):
        loop.run()
    one.stop_read()
    catcher = Catcher(one)
    other.write(b"y")
    run_until(loop, lambda: catcher.data)
    assert catcher.data == b"y"
