"""Handles passed over pipes: every kind, between processes, in the queue, and nothing is left behind."""

from __future__ import annotations

import os
import socket
import warnings
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule.errno import FER_ECANCELED
from handles import Catcher, Inbox, answer_once, bound_udp, closing, connected_tcp, run_until, status_of
from support import Child, descriptors
from test_lifetime import grows

HERE = ("127.0.0.1", 0)
MANY = 100_000
PENDING_MAX = 64

Pair = tuple[ferrule.Pipe, ferrule.Pipe]


@pytest.fixture
def pair(loop: ferrule.Loop) -> Pair:
    return ferrule.Pipe.pair(loop, ipc=True)


def one_handle(loop: ferrule.Loop, catcher: Catcher, kind: int) -> Any:
    """The handle that arrives."""
    run_until(loop, lambda: catcher.handles)
    assert catcher.kinds == [kind]
    return catcher.handles[0]


def expect_served(loop: ferrule.Loop, client: Any, address: Any) -> None:
    """Connect, and be served."""
    inboxes: list[Inbox] = []

    def on_connected(client: Any, error: int | None) -> None:
        assert error is None
        inboxes.append(Inbox(client))

    client.connect(address, on_connected)
    run_until(loop, lambda: inboxes and inboxes[0].end)
    assert (inboxes[0].data, inboxes[0].end) == (b"served\n", "FER_EOF")


# --- Every kind ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listening", [False, True], ids=["bound", "listening"])
def test_a_tcp_listener(loop: ferrule.Loop, pair: Pair, listening: bool) -> None:
    listener = ferrule.TCP(loop)
    listener.bind(HERE)
    address = listener.getsockname()
    if listening:
        listener.listen(lambda tcp, error: None)
    catcher = Catcher(pair[1])
    done: list[int | None] = []
    pair[0].write(b"h", lambda pipe, error: done.append(error), listener)
    listener.close()
    received = one_handle(loop, catcher, ferrule.UV_TCP)
    assert received.getsockname() == address
    answer_once(received)
    expect_served(loop, ferrule.TCP(loop), address)
    assert done == [None]
    assert catcher.data == b"h"


def test_a_tcp_connection(loop: ferrule.Loop, pair: Pair) -> None:
    client, served = connected_tcp(loop)
    catcher = Catcher(pair[1])
    pair[0].write(b"h", None, served)
    received = one_handle(loop, catcher, ferrule.UV_TCP)
    inbox = Inbox(client)
    served.write(b"sender, ")
    received.write(b"receiver")
    run_until(loop, lambda: inbox.data == b"sender, receiver")
    assert received.getpeername() == client.getsockname()


def test_a_udp_socket(loop: ferrule.Loop, pair: Pair) -> None:
    udp, sender = bound_udp(loop), bound_udp(loop)
    address = udp.getsockname()
    catcher = Catcher(pair[1])
    pair[0].write(b"h", None, udp)
    udp.close()
    came: list[Any] = []
    received = one_handle(loop, catcher, ferrule.UV_UDP)
    received.start_recv(lambda udp, address, flags, data, error: came.append((address, data)))
    sender.send(address, b"ping")
    run_until(loop, lambda: came)
    assert came == [(sender.getsockname(), b"ping")]


def test_a_pipe_connection(loop: ferrule.Loop, pair: Pair) -> None:
    near, far = ferrule.Pipe.pair(loop)
    catcher = Catcher(pair[1])
    pair[0].write([b"he", b"llo"], None, near)
    received = one_handle(loop, catcher, ferrule.UV_NAMED_PIPE)
    inbox = Inbox(far)
    near.write(b"sender, ")
    received.write(b"receiver")
    run_until(loop, lambda: inbox.data == b"sender, receiver")
    assert catcher.data == b"hello"


def test_a_pipe_listener(loop: ferrule.Loop, pair: Pair, folder: Path) -> None:
    listener = ferrule.Pipe(loop)
    listener.bind(folder / "s")
    catcher = Catcher(pair[1])
    pair[0].write(b"h", None, listener)
    received = one_handle(loop, catcher, ferrule.UV_NAMED_PIPE)
    answer_once(received)
    expect_served(loop, ferrule.Pipe(loop), folder / "s")


def test_a_pipe_that_passes_handles_itself(loop: ferrule.Loop, pair: Pair) -> None:
    """The pipe that is received is made with ipc by the one that takes it."""
    near, far = ferrule.Pipe.pair(loop, ipc=True)
    catcher = Catcher(pair[1], take=False)
    pair[0].write(b"h", None, near)
    run_until(loop, lambda: catcher.data)
    received = ferrule.Pipe(loop, ipc=True)
    pair[1].accept(received)
    inner = Catcher(far)
    received.write(b"h", None, bound_udp(loop))
    one_handle(loop, inner, ferrule.UV_UDP)


@pytest.mark.parametrize("to", ["close", "to_socket"])
def test_sockets_of_python(loop: ferrule.Loop, pair: Pair, to: str) -> None:
    """Every kind of socket goes over; what arrives can be made a socket again."""
    unix, peer = socket.socketpair()
    with socket.create_server(HERE) as listener, socket.socket(type=socket.SOCK_DGRAM) as udp, unix, peer:
        udp.bind(HERE)
        catcher = Catcher(pair[1])
        done: list[int | None] = []
        sent = [listener, udp, unix]
        for raw in sent:
            pair[0].write(b"h", lambda pipe, error: done.append(error), raw)
        run_until(loop, lambda: len(catcher.handles) == 3 and len(done) == 3)
        assert catcher.kinds == [ferrule.UV_TCP, ferrule.UV_UDP, ferrule.UV_NAMED_PIPE]
        assert done == [None] * 3
        for handle, raw in zip(catcher.handles, sent):
            assert handle.getsockname() == raw.getsockname()
            if to == "to_socket":
                with handle.to_socket() as again:
                    assert (again.family, again.type) == (raw.family, raw.type)
                    assert again.getsockname() == raw.getsockname()
                    assert again.fileno() != raw.fileno()
                    assert not os.get_inheritable(again.fileno())
        # They are the sender's, as before.
        peer.send(b"x")
        assert unix.recv(1) == b"x"


def test_descriptors_of_another_kind_block_nothing(loop: ferrule.Loop, pair: Pair) -> None:
    catcher = Catcher(pair[1], take=False)
    memory = os.memfd_create("x") if hasattr(os, "memfd_create") else os.open(os.devnull, os.O_RDWR)
    folder = os.open("/", os.O_RDONLY)
    with closing(memory, folder), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        os.write(memory, b"contents")
        for other in (memory, folder, datagrams):
            pair[0].write(b"f", None, other)
        pair[0].write(b"h", None, bound_udp(loop))
        run_until(loop, lambda: len(catcher.data) == 4)
        assert pair[1].pending_count == 4
        assert pair[1].pending_handle_type == ferrule.UV_FILE
        udp = ferrule.UDP(loop)
        with pytest.raises(TypeError) as caught:
            pair[1].accept(udp)
        assert caught.value.status == "FER_EKIND"  # type: ignore[attr-defined]
        taken = [pair[1].accept_fd() for _ in range(3)]
        with closing(*taken):
            assert [os.path.sameopenfile(*two) for two in zip(taken, (memory, folder))] == [True, True]
            assert not os.get_inheritable(taken[0])
            if hasattr(os, "memfd_create"):
                assert os.pread(taken[0], 100, 0) == b"contents"
        pair[1].accept(udp)
        assert udp.getsockname()[1] != 0
        assert pair[1].pending_count == 0


def test_any_handle_as_a_descriptor(loop: ferrule.Loop, pair: Pair) -> None:
    udp = bound_udp(loop)
    catcher = Catcher(pair[1], take=False)
    pair[0].write(b"h", None, udp)
    run_until(loop, lambda: catcher.data)
    with socket.socket(fileno=pair[1].accept_fd()) as raw:
        assert raw.getsockname() == udp.getsockname()


# --- Between processes -----------------------------------------------------------------------------------------

RELAY = """
    import sys, ferrule
    loop = ferrule.Loop()
    pipe = ferrule.Pipe(loop, ipc=True)
    pipe.open(int(sys.argv[1]))
    kinds = {ferrule.UV_TCP: ferrule.TCP, ferrule.UV_UDP: ferrule.UDP, ferrule.UV_NAMED_PIPE: ferrule.Pipe}
    def on_read(pipe, data, pending, error):
        if data is None:
            pipe.close()
            return
        while pipe.pending_count:
            handle = kinds[pipe.pending_handle_type](loop)
            pipe.accept(handle)
            pipe.write(b"back", None, handle)
            handle.close()
    pipe.start_read2(on_read)
    loop.run()
    loop.close()
"""


def test_through_a_third_process(loop: ferrule.Loop) -> None:
    """What another process receives it passes on, and then it still works."""
    ours, theirs = socket.socketpair()
    with theirs:
        fd = theirs.fileno()
        os.set_inheritable(fd, True)
        pipe = ferrule.Pipe(loop, ipc=True)
        pipe.open(ours.detach())
        with Child(RELAY, str(fd), keep=(fd,)) as process:
            theirs.close()
            near, far = ferrule.Pipe.pair(loop)
            client, served = connected_tcp(loop)
            udp = bound_udp(loop)
            catcher = Catcher(pipe)
            for handle in (near, served, udp):
                pipe.write(b"h", None, handle)
                handle.close()
            run_until(loop, lambda: len(catcher.handles) == 3)
            assert catcher.kinds == [ferrule.UV_NAMED_PIPE, ferrule.UV_TCP, ferrule.UV_UDP]
            for handle, end in zip(catcher.handles, (far, client)):
                inbox = Inbox(end)
                handle.write(b"hello")
                run_until(loop, lambda inbox=inbox: inbox.data == b"hello")  # type: ignore[misc]
            pipe.close()
            run_until(loop, lambda: pipe not in loop._active)
            assert process.end() == (0, "", "")
    assert catcher.data == b"back" * 3


def test_a_listener_served_by_another_process(loop: ferrule.Loop, folder: Path) -> None:
    child = """
        import sys, ferrule
        loop = ferrule.Loop()
        def on_read(pipe, data, pending, error):
            pipe.accept(listener)
            listener.listen(on_connection)
            print("listening")
            pipe.close()
        def on_connection(listener, error):
            client = ferrule.TCP(loop)
            listener.accept(client)
            client.write(b"served\\n")
            client.shutdown(lambda client, error: client.close())
            listener.close()
        listener = ferrule.TCP(loop)
        pipe = ferrule.Pipe(loop, True)
        pipe.connect(sys.argv[1], lambda pipe, error: pipe.start_read2(on_read))
        loop.run()
        loop.close()
        print("end")
    """
    tcp = ferrule.TCP(loop)
    tcp.bind(HERE)
    address = tcp.getsockname()

    def on_connection(listener: ferrule.Pipe, error: int | None) -> None:
        client = ferrule.Pipe(loop, ipc=True)
        listener.accept(client)
        client.write(b"h", None, tcp)
        tcp.close()
        client.shutdown(lambda client, error: client.close())
        listener.close()

    listener = ferrule.Pipe(loop)
    listener.bind(folder / "s")
    listener.listen(on_connection)
    with Child(child, f"{folder}/s") as process:
        loop.run()
        assert process.line() == "listening"
        with socket.create_connection(address) as raw:
            assert raw.recv(100) == b"served\n"
        assert process.end() == (0, "end\n", "")


def test_handles_come_also_with_the_plain_reader(loop: ferrule.Loop, pair: Pair) -> None:
    inbox = Inbox(pair[1])
    pair[0].write(b"h", None, bound_udp(loop))
    run_until(loop, lambda: inbox.data)
    assert pair[1].pending_handle_type == ferrule.UV_UDP
    pair[1].accept(ferrule.UDP(loop))


# --- The queue and the end -------------------------------------------------------------------------------------


def test_a_handle_waits_in_the_queue_and_may_be_closed(loop: ferrule.Loop, pair: Pair) -> None:
    size = 4 << 20
    udp = bound_udp(loop)
    address = udp.getsockname()
    done: list[int | None] = []
    pair[0].write(bytes(size))
    for _ in range(3):
        pair[0].write(b"h", lambda pipe, error: done.append(error), udp)
    udp.close()
    catcher = Catcher(pair[1])
    run_until(loop, lambda: len(catcher.handles) == 3 and len(done) == 3)
    assert done == [None] * 3
    assert len(catcher.data) == size + 3
    assert [handle.getsockname() for handle in catcher.handles] == [address] * 3


def test_buffers_are_held_until_the_completion(loop: ferrule.Loop, pair: Pair) -> None:
    data = bytearray(b"ab" * (2 << 20))
    done: list[int | None] = []
    pair[0].write([b"first", data], lambda pipe, error: done.append(error), bound_udp(loop))
    with pytest.raises(BufferError):
        data.append(0)
    with pytest.raises(BufferError):
        data.clear()
    catcher = Catcher(pair[1])
    run_until(loop, lambda: done and len(catcher.data) == len(data) + 5)
    assert catcher.data == b"first" + data
    assert len(catcher.handles) == 1
    data.append(0)


def test_without_a_completion_the_bytes_may_change_at_once(loop: ferrule.Loop, pair: Pair) -> None:
    data = bytearray(b"ab" * (2 << 20))
    pair[0].write(data, None, bound_udp(loop))
    data.clear()
    catcher = Catcher(pair[1])
    run_until(loop, lambda: len(catcher.data) == 4 << 20)
    assert catcher.data == b"ab" * (2 << 20)


def test_a_write_that_fails_lets_the_buffer_go(loop: ferrule.Loop, pair: Pair) -> None:
    data = bytearray(b"ab")
    udp = bound_udp(loop)
    never: list[Any] = []
    udp.close()
    for handle in (udp, -1, pair[0]):
        with pytest.raises(ferrule.Error):
            pair[0].write(data, lambda pipe, error: never.append(error), handle)
        data.append(0)
    pair[1].close()
    loop.run()
    with pytest.raises(BrokenPipeError):
        pair[0].write(data, lambda pipe, error: never.append(error), 0)
    data.append(0)
    assert never == []
    assert loop._active == set()


def test_everything_comes_before_the_end(loop: ferrule.Loop) -> None:
    """A peer that writes, passes and closes at once loses nothing."""
    udp = bound_udp(loop)
    for _ in range(50):
        one, other = ferrule.Pipe.pair(loop, ipc=True)
        catcher = Catcher(other)
        for _ in range(5):
            one.write(b"bytes")
            one.write(b"h", None, udp)
        one.close()
        run_until(loop, lambda catcher=catcher: catcher.end)  # type: ignore[misc]
        assert (catcher.data, catcher.end) == (b"bytesh" * 5, "FER_EOF")
        assert catcher.kinds == [ferrule.UV_UDP] * 5
        other.close()
        for handle in catcher.handles:
            handle.close()


def test_what_nobody_accepts_is_closed_with_the_pipe(loop: ferrule.Loop, pair: Pair) -> None:
    before = descriptors()
    catcher = Catcher(pair[1], take=False)
    udp = bound_udp(loop)
    loop.step(0)
    with_udp = len(descriptors())
    for _ in range(10):
        pair[0].write(b"h", None, udp)
    run_until(loop, lambda: len(catcher.data) == 10)
    assert len(descriptors()) == with_udp + 10
    assert status_of(pair[1].detach) == "FER_EBUSY"
    for handle in (udp, *pair):
        handle.close()
    loop.run()
    assert len(descriptors()) == len(before) - 2


def test_close_cancels_what_waits(loop: ferrule.Loop, pair: Pair) -> None:
    events: list[Any] = []
    pair[0].write(bytes(4 << 20))
    pair[0].write(b"h", lambda pipe, error: events.append(error), bound_udp(loop))
    pair[0].close(lambda pipe: events.append("closed"))
    run_until(loop, lambda: "closed" in events)
    assert events == [FER_ECANCELED, "closed"]


def test_many_passes_leak_nothing(loop: ferrule.Loop, pair: Pair) -> None:
    udp = bound_udp(loop)
    received: list[ferrule.UDP] = []

    def on_read(pipe: ferrule.Pipe, data: bytes | None, pending: int, error: int | None) -> None:
        while pipe.pending_count:
            with socket.socket(fileno=pipe.accept_fd()) as raw:
                assert raw.type == socket.SOCK_DGRAM
            received.append(udp)

    pair[1].start_read2(on_read)
    loop.step(0)
    before = descriptors()
    for number in range(1, MANY + 1):
        pair[0].write(b"h", None, udp)
        if number % 16 == 0:
            run_until(loop, lambda number=number: len(received) == number)  # type: ignore[misc]
    run_until(loop, lambda: len(received) == MANY)
    assert descriptors() == before


def test_many_handles_taken_and_closed() -> None:
    """As handles of the library, which nobody keeps."""
    with ferrule.Loop() as loop:
        one, other = ferrule.Pipe.pair(loop, ipc=True)
        udp = bound_udp(loop)
        taken = 0

        def on_read(pipe: ferrule.Pipe, data: bytes | None, pending: int, error: int | None) -> None:
            nonlocal taken
            while pipe.pending_count:
                handle = ferrule.UDP(loop)
                pipe.accept(handle)
                handle.close()
                taken += 1

        other.start_read2(on_read)
        loop.post(list)
        loop.step(None)
        before = descriptors()
        for number in range(1, 2001):
            one.write(b"h", None, udp)
            if number % 16 == 0:
                run_until(loop, lambda number=number: taken == number)  # type: ignore[misc]
        run_until(loop, lambda: taken == 2000 and descriptors() == before)
        assert loop._active == {other}
        for handle in (one, other, udp):
            handle.close()
        loop.run()


def test_nothing_is_leaked_in_memory() -> None:
    """Passing, taking, what goes wrong with both, and what is closed before it is done."""

    def action() -> None:
        with ferrule.Loop() as loop:
            one, other = ferrule.Pipe.pair(loop, ipc=True)
            udp, tcp = bound_udp(loop), ferrule.TCP(loop)
            tcp.bind(HERE)
            catcher = Catcher(other)
            for handle in (udp, tcp, one, other, 0, -1, None, "udp"):
                for data in ([b"hello"] * 10, b"", "text"):
                    try:
                        one.write(data, lambda pipe, error: None, handle)  # type: ignore[arg-type]
                    except (ferrule.Error, TypeError):
                        assert handle is not udp or data != [b"hello"] * 10
            run_until(loop, lambda: len(catcher.handles) == 4)
            assert catcher.kinds == [ferrule.UV_UDP, ferrule.UV_TCP, ferrule.UV_NAMED_PIPE, ferrule.UV_FILE]
            os.close(catcher.handles.pop())
            catcher.handles.pop().to_socket().close()
            assert one.peer_credentials().pid == os.getpid()
            catcher.handles[0].start_recv(lambda *arguments: loop.stop())
            for address in (udp.getsockname(), ("nowhere", 1), ("127.0.0.1", "x"), None):
                try:
                    udp.send(address, [b"ping"] * 10, lambda udp, error: None)  # type: ignore[arg-type]
                except (ferrule.Error, TypeError):
                    assert address != udp.getsockname()
            loop.run()
            one.write(bytes(1 << 20))
            one.write(b"h", lambda pipe, error: None, udp)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        assert grows(action) < 50
