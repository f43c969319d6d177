"""TCP handles, as pyuv has them."""

from __future__ import annotations

import asyncio
import gc
import os
import selectors
import socket
import threading
from typing import Any

import ferrule
import pytest
from ferrule.errno import FER_ECANCELED, FER_ECONNREFUSED, UV_EOF
from handles import Inbox, answer_once, connected_tcp, name_of, run_until, status_of
from support import Child

HERE = ("127.0.0.1", 0)


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def option(handle: ferrule.IOHandle, level: int, name: int) -> int:
    """An option of the socket, as the kernel has it."""
    with socket.socket(fileno=os.dup(handle.fileno())) as same:
        return same.getsockopt(level, name)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_program_for_pyuv(loop: ferrule.Loop, host: str) -> None:
    """An echo server and its client: nothing is kept but what the loop keeps."""
    if host == "::1" and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    import ferrule as pyuv

    received: list[bytes] = []
    events: list[Any] = []

    def on_read(client: pyuv.TCP, data: bytes | None, error: int | None) -> None:
        if data is None:
            assert error == UV_EOF
            client.close()
            server.close()
        else:
            client.write(data)

    def on_connection(server: pyuv.TCP, error: int | None) -> None:
        client = pyuv.TCP(server.loop)
        server.accept(client)
        assert client.getsockname() == server.getsockname()
        client.start_read(on_read)

    def on_answer(client: pyuv.TCP, data: bytes | None, error: int | None) -> None:
        if data is None:
            client.close(lambda tcp: events.append("closed"))
            return
        received.append(data)
        if b"".join(received) == b"hello world":
            client.shutdown(lambda tcp, error: events.append(("shut down", error)))

    def on_connected(client: pyuv.TCP, error: int | None) -> None:
        assert error is None
        assert client.getpeername() == server.getsockname()
        client.nodelay(True)
        client.write([b"hello", bytearray(b" world")], lambda tcp, error: events.append(error))
        client.start_read(on_answer)

    server = pyuv.TCP(loop)
    server.bind((host, 0))
    assert server.getsockname()[0] == host
    server.listen(on_connection, 16)
    pyuv.TCP(loop).connect(server.getsockname(), on_connected)
    assert loop.run() is False
    assert b"".join(received) == b"hello world"
    assert events == [None, ("shut down", None), "closed"]
    assert loop._active == set()


def test_between_two_processes(loop: ferrule.Loop) -> None:
    child = """
        import sys, ferrule
        loop = ferrule.Loop()
        def on_read(tcp, data, error):
            if data is None:
                tcp.close()
            else:
                tcp.write(data.upper())
        def on_connected(tcp, error):
            assert error is None
            tcp.start_read(on_read)
        ferrule.TCP(loop).connect(("127.0.0.1", int(sys.argv[1])), on_connected)
        loop.run()
        loop.close()
        print("end")
    """
    size = 1 << 20
    inboxes: list[Inbox] = []

    def on_connection(listener: ferrule.TCP, error: int | None) -> None:
        client = ferrule.TCP(loop)
        listener.accept(client)
        client.write(b"x" * size)
        client.shutdown()
        inboxes.append(Inbox(client))

    listener = ferrule.TCP(loop)
    listener.bind(HERE)
    listener.listen(on_connection)
    with Child(child, str(listener.getsockname()[1])) as process:
        run_until(loop, lambda: inboxes and inboxes[0].end)
        assert process.end() == (0, "end\n", "")
    assert inboxes[0].data == b"X" * size
    assert inboxes[0].end == "FER_EOF"


def test_options_reach_the_socket(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    for enable in (True, False):
        client.nodelay(enable)
        assert bool(option(client, socket.IPPROTO_TCP, socket.TCP_NODELAY)) is enable
    client.keepalive(True, 7)
    assert option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    if hasattr(socket, "TCP_KEEPIDLE"):
        assert option(client, socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    for enable in (False, True):
        client.simultaneous_accepts(enable)
    client.keepalive(False)
    assert not option(client, socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    client.send_buffer_size = 32768
    assert client.send_buffer_size == option(client, socket.SOL_SOCKET, socket.SO_SNDBUF) >= 32768
    client.receive_buffer_size = 32768
    assert client.receive_buffer_size == option(client, socket.SOL_SOCKET, socket.SO_RCVBUF) >= 32768
    client.set_blocking(True)
    assert os.get_blocking(client.fileno())
    client.set_blocking(False)
    assert not os.get_blocking(client.fileno())


def test_flags_of_bind(loop: ferrule.Loop) -> None:
    one, other = ferrule.TCP(loop), ferrule.TCP(loop)
    one.bind(HERE, ferrule.UV_TCP_REUSEPORT)
    other.bind(one.getsockname(), ferrule.UV_TCP_REUSEPORT)
    assert one.getsockname() == other.getsockname()
    if has_ipv6():
        six = ferrule.TCP(loop)
        six.bind(("::", 0), ferrule.UV_TCP_IPV6ONLY)
        assert option(six, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_facts(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    assert client.readable
    assert client.writable
    assert client.write_queue_size == 0
    assert client.loop is loop
    assert client.ref
    assert client.has_ref
    client.ref = False
    assert not client.has_ref
    client.start_read(lambda tcp, data, error: None)
    assert loop.run() is False
    assert repr(client).startswith("<ferrule.TCP open at ")
    client.close()
    assert client.closed
    assert "closed" in repr(client)
    assert isinstance(client, ferrule.Stream)
    assert isinstance(client, ferrule.Handle)


def test_writes_hold_their_buffers(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    done: list[int | None] = []
    data = bytearray(b"ab" * (4 << 20))
    client.write(data, lambda tcp, error: done.append(error))
    with pytest.raises(BufferError):
        data.append(0)
    with pytest.raises(BlockingIOError):
        client.try_write(b"x")
    inbox = Inbox(served)
    run_until(loop, lambda: done and len(inbox.data) == len(data))
    assert inbox.data == data
    assert done == [None]
    data.append(0)


def test_a_descriptor_goes_in_and_out(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    fd = client.detach()
    assert client.closed
    assert status_of(lambda: client.write(b"x")) == "FER_ECLOSED"
    again = ferrule.TCP(loop)
    again.open(fd)
    assert again.fileno() == fd
    assert status_of(lambda: again.open(fd)) == "FER_EISCONN"
    inbox = Inbox(served)
    again.write(b"hello")
    again.close()
    run_until(loop, lambda: inbox.end)
    assert inbox.data == b"hello"


def test_to_socket(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    address = client.getsockname()
    Inbox(served)
    with client.to_socket() as raw:
        assert (raw.family, raw.type) == (socket.AF_INET, socket.SOCK_STREAM)
        assert raw.getsockname() == address
        assert not raw.getblocking()
        raw.setblocking(True)
        served.write(b"hello")
        assert raw.recv(5) == b"hello"
    assert client.closed
    run_until(loop, lambda: not served.readable)
    assert status_of(client.to_socket) == "FER_ECLOSED"


def test_to_socket_of_a_listener(loop: ferrule.Loop) -> None:
    listener = ferrule.TCP(loop)
    listener.bind(HERE)
    listener.listen(lambda tcp, error: None)
    with listener.to_socket() as raw, socket.create_connection(raw.getsockname()) as client:
        assert loop._active == set()
        raw.setblocking(True)
        served, _ = raw.accept()
        with served:
            client.send(b"x")
            assert served.recv(1) == b"x"


async def test_to_socket_for_asyncio() -> None:
    """The socket is as asyncio wants it."""
    with ferrule.Loop() as loop:
        client, served = connected_tcp(loop)
        with client.to_socket() as raw:
            served.write(b"hello")
            assert await asyncio.get_running_loop().sock_recv(raw, 5) == b"hello"


def test_open_leaves_the_mode_alone(loop: ferrule.Loop) -> None:
    with socket.create_server(HERE) as listener:
        with socket.create_connection(listener.getsockname()) as raw, listener.accept()[0] as far:
            tcp = ferrule.TCP(loop)
            tcp.open(raw.detach())
            inbox = Inbox(tcp)
            far.send(b"x")
            run_until(loop, lambda: inbox.data)
            with tcp.to_socket() as again:
                assert again.getblocking()


def test_selectors(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ)
        assert selector.select(0) == []
        served.write(b"x")
        assert [key.fileobj for key, _ in selector.select(60)] == [client]


def test_stop_read_loses_nothing(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    seen: list[bytes | None] = []

    def one(tcp: ferrule.TCP, data: bytes | None, error: int | None) -> None:
        seen.append(data)
        tcp.stop_read()

    for data in (b"first", b"second"):
        client.write(data)
        served.start_read(one)
        run_until(loop, lambda data=data: data in seen)  # type: ignore[misc]
    assert seen == [b"first", b"second"]


# --- What goes wrong -------------------------------------------------------------------------------------------


def test_nobody_listens(loop: ferrule.Loop) -> None:
    with socket.socket() as bound:
        bound.bind(HERE)
        ends: list[int | None] = []
        tcp = ferrule.TCP(loop)
        tcp.connect(bound.getsockname(), lambda tcp, error: ends.append(error))
        loop.run()
    assert ends == [FER_ECONNREFUSED]
    assert status_of(lambda: tcp.write(b"x")) == "FER_ENOTCONN"


def test_close_cancels_a_connect(loop: ferrule.Loop) -> None:
    events: list[Any] = []
    listener, tcp = ferrule.TCP(loop), ferrule.TCP(loop)
    listener.bind(HERE)
    listener.listen(lambda tcp, error: None)
    tcp.connect(listener.getsockname(), lambda tcp, error: events.append(error))
    assert status_of(lambda: tcp.connect(listener.getsockname(), print)) == "FER_EALREADY"
    assert status_of(tcp.detach) == "FER_EBUSY"
    tcp.close(lambda tcp: events.append("closed"))
    assert events == []
    run_until(loop, lambda: "closed" in events)
    assert events == [FER_ECANCELED, "closed"]


def test_bad_addresses(loop: ferrule.Loop) -> None:
    tcp = ferrule.TCP(loop)
    for host in ("localhost", "300.1.1.1", "<any>", "127.0.0.1 ", "1", "::1::", "x" * 500):
        calls: list[Any] = [lambda: tcp.bind((host, 0)), lambda: tcp.connect((host, 1), print)]  # noqa: B023
        for call in calls:
            with pytest.raises(ferrule.error.AddressError) as caught:
                call()
            assert caught.value.status == "FER_EADDRESS"
    wrong: list[Any] = ["127.0.0.1", None, 7, (), ("127.0.0.1",), ("127.0.0.1", 1, 2), ["127.0.0.1", 1]]
    wrong += [(b"127.0.0.1", 1), (None, 1), ("127.0.0.1", "1"), ("127.0.0.1", None), ("127.0.0.1", 1.5)]
    for address in wrong:
        with pytest.raises(TypeError):
            tcp.bind(address)
        with pytest.raises(TypeError):
            tcp.connect(address, print)
    for port in (-1, 65536, 1 << 70):
        with pytest.raises(OverflowError):
            tcp.bind(("127.0.0.1", port))
    with pytest.raises(ValueError, match="NUL"):
        tcp.bind(("127.0.0.1\0", 0))
    assert status_of(lambda: tcp.bind(("192.0.2.1", 0))) == "FER_EADDRNOTAVAIL"
    assert status_of(lambda: tcp.bind(HERE, 1 << 20)) == "FER_EINVAL"
    assert loop._active == set()
    tcp.bind(HERE)  # It is as it was.


def test_what_comes_at_the_wrong_time(loop: ferrule.Loop) -> None:
    tcp, other = ferrule.TCP(loop), ferrule.TCP(loop)
    calls: list[tuple[Any, str]] = [
        (lambda: tcp.listen(print), "FER_EDESTADDRREQ"),
        (lambda: tcp.start_read(print), "FER_ENOTCONN"),
        (lambda: tcp.write(b"x"), "FER_ENOTCONN"),
        (lambda: tcp.write(b"x", print), "FER_ENOTCONN"),
        (lambda: tcp.try_write(b"x"), "FER_ENOTCONN"),
        (tcp.shutdown, "FER_ENOTCONN"),
        (tcp.fileno, "FER_EBADF"),
        (tcp.getsockname, "FER_EBADF"),
        (tcp.getpeername, "FER_EBADF"),
        (lambda: tcp.set_blocking(True), "FER_EBADF"),
        (lambda: tcp.send_buffer_size, "FER_EBADF"),
        (tcp.detach, "FER_EBADF"),
        (tcp.to_socket, "FER_EBADF"),
        (lambda: tcp.accept(other), "FER_EINVAL"),
        (lambda: tcp.open(-1), "FER_EBADF"),
        (lambda: tcp.open(1 << 20), "FER_EBADF"),
    ]
    for call, status in calls:
        assert status_of(call) == status
    tcp.bind(HERE)
    assert status_of(lambda: tcp.bind(HERE)) == "FER_EINVAL"
    assert status_of(tcp.getpeername) == "FER_ENOTCONN"
    tcp.listen(print)
    assert status_of(lambda: tcp.listen(print)) == "FER_EALREADY"
    assert status_of(lambda: other.bind(tcp.getsockname())) == "FER_EADDRINUSE"
    assert status_of(lambda: tcp.accept(other)) == "FER_EAGAIN"
    for wrong in (ferrule.Pipe(loop), ferrule.UDP(loop)):
        with pytest.raises(TypeError) as caught:
            tcp.accept(wrong)
        assert caught.value.status == "FER_EKIND"  # type: ignore[attr-defined]
    assert loop._active == {tcp}


def test_on_a_connection(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    address = client.getpeername()
    assert status_of(lambda: client.connect(address, print)) == "FER_EISCONN"
    assert status_of(lambda: client.listen(print)) == "FER_EISCONN"
    client.start_read(print)
    assert status_of(lambda: client.start_read(print)) == "FER_EALREADY"
    client.shutdown()
    assert status_of(client.shutdown) == "FER_EALREADY"
    with pytest.raises(BrokenPipeError):
        client.write(b"x")
    assert not client.writable


def test_detach_waits_for_what_is_due(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    done: list[int | None] = []
    client.write(bytes(32 << 20), lambda tcp, error: done.append(error))
    assert client.write_queue_size > 0
    assert status_of(client.detach) == "FER_EBUSY"
    assert status_of(client.to_socket) == "FER_EBUSY"
    inbox = Inbox(served)
    run_until(loop, lambda: client.write_queue_size == 0)
    os.close(client.detach())
    run_until(loop, lambda: inbox.end)
    assert len(inbox.data) == 32 << 20
    assert len(done) == 1


def test_open_takes_what_is_tcp_only(loop: ferrule.Loop) -> None:
    tcp = ferrule.TCP(loop)
    unix, peer = socket.socketpair()
    with unix, peer, socket.socket(type=socket.SOCK_DGRAM) as udp, open(os.devnull) as file:
        for other, status in ((file, "FER_ENOTSOCK"), (unix, "FER_EPROTOTYPE"), (udp, "FER_EPROTOTYPE")):
            assert status_of(lambda other=other: tcp.open(other.fileno())) == status  # type: ignore[misc]
            os.fstat(other.fileno())  # It stays the caller's.
    with pytest.raises(TypeError):
        tcp.open("0")  # type: ignore[arg-type]


def test_calls_after_close(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    client.close()
    calls: list[Any] = [
        lambda: client.bind(HERE),
        lambda: client.connect(HERE, print),
        lambda: client.listen(print),
        lambda: client.accept(served),
        lambda: client.open(0),
        lambda: client.start_read(print),
        client.stop_read,
        lambda: client.write(b"x"),
        lambda: client.write(b"x", print),
        lambda: client.try_write(b"x"),
        client.shutdown,
        client.fileno,
        client.detach,
        client.to_socket,
        client.getsockname,
        client.getpeername,
        lambda: client.nodelay(True),
        lambda: client.keepalive(True),
        lambda: client.set_blocking(True),
        lambda: client.send_buffer_size,
        lambda: setattr(client, "receive_buffer_size", 4096),
        lambda: setattr(client, "ref", False),
    ]
    for _ in ("closing", "closed"):
        for call in calls:
            assert status_of(call) == "FER_ECLOSED"
        loop.run()
    client.close()


def test_wrong_arguments(loop: ferrule.Loop) -> None:
    client, served = connected_tcp(loop)
    calls: list[Any] = [
        lambda: ferrule.TCP(None),  # type: ignore[arg-type]
        lambda: ferrule.TCP(client),  # type: ignore[arg-type]
        ferrule.Handle,
        ferrule.Stream,
        lambda: client.listen(None),  # type: ignore[arg-type]
        lambda: client.connect(HERE, None),  # type: ignore[arg-type]
        lambda: client.start_read(7),  # type: ignore[arg-type]
        lambda: client.write("text"),  # type: ignore[arg-type]
        lambda: client.write(b"x", 7),  # type: ignore[arg-type]
        lambda: client.write(b"x", None, served),  # type: ignore[call-arg]
        lambda: client.close(7),  # type: ignore[arg-type]
        lambda: client.accept(None),  # type: ignore[arg-type]
        lambda: client.keepalive(True, "x"),  # type: ignore[arg-type]
        lambda: setattr(client, "send_buffer_size", "x"),
    ]
    for call in calls:
        with pytest.raises(TypeError):
            call()
    for size in (0, -1):
        with pytest.raises(ValueError, match="FER_EINVAL"):
            client.send_buffer_size = size
    with pytest.raises(OverflowError):
        client.send_buffer_size = 1 << 40
    with pytest.raises(ValueError, match="backlog"):
        client.listen(print, -1)


def test_another_thread(loop: ferrule.Loop) -> None:
    tcp = ferrule.TCP(loop)
    seen: list[str] = []

    def use() -> None:
        for call in (lambda: tcp.bind(HERE), lambda: tcp.connect(HERE, print), tcp.close):
            seen.append(status_of(call))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert seen == ["FER_ETHREAD"] * 3
    assert not tcp.closed


def test_dropped_without_close() -> None:
    with ferrule.Loop() as loop:
        tcp = ferrule.TCP(loop)
        tcp.bind(HERE)
        address = tcp.getsockname()
        with pytest.warns(ResourceWarning, match="unclosed tcp at"):
            del tcp
            gc.collect()
        loop.run()
        again = ferrule.TCP(loop)
        again.bind(address)
        again.close()


def test_what_a_callback_raises_comes_out_of_run(loop: ferrule.Loop) -> None:
    def fail(tcp: ferrule.TCP, error: int | None) -> None:
        raise LookupError(name_of(error))

    listener, tcp = ferrule.TCP(loop), ferrule.TCP(loop)
    listener.bind(HERE)
    answer_once(listener)
    tcp.connect(listener.getsockname(), fail)
    with pytest.raises(LookupError, match="FER_OK"):
        loop.run()
    tcp.close()
    listener.close()
    loop.run()
