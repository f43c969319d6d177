"""UDP handles, as pyuv has them."""

from __future__ import annotations

import gc
import os
import selectors
import socket
from typing import Any

import ferrule
import pytest
from ferrule import errno, error
from ferrule.errno import FER_ECANCELED, FER_ECONNREFUSED
from handles import run_until, status_of
from support import Child, run_child
from test_tcp import has_ipv6, option

HERE = ("127.0.0.1", 0)


class Post:
    """Receives datagrams."""

    def __init__(self, udp: ferrule.UDP) -> None:
        self.came: list[tuple[Any, ...]] = []
        self.errors: list[int] = []
        udp.start_recv(self._on_datagram)

    def _on_datagram(
        self,
        udp: ferrule.UDP,
        address: tuple[str, int] | None,
        flags: int,
        data: bytes | None,
        error: int | None,
    ) -> None:
        if error is not None:
            assert (address, flags, data) == (None, 0, None)
            self.errors.append(error)
        else:
            self.came.append((address, flags, data))


def bound(loop: ferrule.Loop, host: str = "127.0.0.1") -> ferrule.UDP:
    udp = ferrule.UDP(loop)
    udp.bind((host, 0))
    return udp


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_arrive_whole(loop: ferrule.Loop, host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("there is no IPv6 here")
    one, other = bound(loop, host), bound(loop, host)
    post = Post(other)
    sent: list[int | None] = []
    one.send(other.getsockname(), [b"hel", bytearray(b"lo")], lambda udp, error: sent.append(error))
    assert sent == []
    one.send(other.getsockname(), b"")
    assert one.try_send(other.getsockname(), memoryview(b"now")) == 3
    assert one.try_send(other.getsockname(), [b"ab", b"c", b""]) == 3
    assert one.try_send(other.getsockname(), ()) == 0
    run_until(loop, lambda: len(post.came) == 5 and sent)
    assert sent == [None]
    assert post.came == [(one.getsockname(), 0, data) for data in (b"hello", b"", b"now", b"abc", b"")]


def test_a_program_for_pyuv(loop: ferrule.Loop) -> None:
    import ferrule as pyuv

    def on_ping(server: pyuv.UDP, address: Any, flags: int, data: Any, error: int | None) -> None:
        server.send(address, b"pong" + data)

    def on_pong(client: pyuv.UDP, address: Any, flags: int, data: Any, error: int | None) -> None:
        assert (address, flags, data, error) == (server.getsockname(), 0, b"pongping", None)
        client.close()
        server.close()

    server, client = pyuv.UDP(loop), pyuv.UDP(loop)
    server.bind(HERE)
    server.start_recv(on_ping)
    client.start_recv(on_pong)
    client.send(server.getsockname(), b"ping")
    assert loop.run() is False
    assert loop._active == set()


def test_between_two_processes(loop: ferrule.Loop) -> None:
    child = """
        import sys, ferrule
        loop = ferrule.Loop()
        def on_answer(udp, address, flags, data, error):
            print(data.decode())
            udp.close()
        udp = ferrule.UDP(loop)
        udp.connect(("127.0.0.1", int(sys.argv[1])))
        udp.send(None, b"ping")
        udp.start_recv(on_answer)
        loop.run()
        loop.close()
    """
    udp = bound(loop)
    post = Post(udp)
    with Child(child, str(udp.getsockname()[1])) as process:
        run_until(loop, lambda: post.came)
        address, _, data = post.came[0]
        assert data == b"ping"
        udp.send(address, b"pong")
        assert process.end() == (0, "pong\n", "")


def test_a_connected_socket_has_one_peer(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    post = Post(other)
    assert status_of(lambda: one.send(None, b"x")) == "FER_EDESTADDRREQ"
    assert status_of(one.disconnect) == "FER_ENOTCONN"
    assert status_of(one.getpeername) == "FER_ENOTCONN"
    one.connect(other.getsockname())
    assert status_of(lambda: one.connect(other.getsockname())) == "FER_EISCONN"
    assert one.getpeername() == other.getsockname()
    assert status_of(lambda: one.send(other.getsockname(), b"x")) == "FER_EISCONN"
    one.send(None, b"x")
    run_until(loop, lambda: post.came)
    one.disconnect()
    assert status_of(one.getpeername) == "FER_ENOTCONN"


def test_what_nobody_takes_is_told(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    one.connect(other.getsockname())
    post = Post(one)
    other.close()
    loop.step(0)
    one.send(None, b"x")
    run_until(loop, lambda: post.errors)
    assert post.errors == [FER_ECONNREFUSED]
    assert post.came == []
    again = ferrule.UDP(loop)
    again.bind(one.getpeername())
    again.send(one.getsockname(), b"it goes on")
    run_until(loop, lambda: post.came)


def test_stop_and_start(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    seen: list[bytes | None] = []

    def first(udp: ferrule.UDP, address: Any, flags: int, data: bytes | None, error: int | None) -> None:
        seen.append(data)
        udp.stop_recv()

    for data in (b"1", b"2", b"3"):
        one.send(other.getsockname(), data)
    other.start_recv(first)
    assert status_of(lambda: other.start_recv(first)) == "FER_EALREADY"
    assert loop.run() is False
    assert seen == [b"1"]
    other.stop_recv()
    post = Post(other)
    run_until(loop, lambda: len(post.came) == 2)
    assert [data for _, _, data in post.came] == [b"2", b"3"]


def test_a_long_datagram(loop: ferrule.Loop) -> None:
    """All of the largest one that there is comes."""
    one, other = bound(loop), bound(loop)
    post = Post(other)
    data = os.urandom(65507)
    one.send(other.getsockname(), data)
    run_until(loop, lambda: post.came)
    assert post.came == [(one.getsockname(), 0, data)]


def test_without_a_callback_the_buffer_may_change_at_once(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    post = Post(other)
    data = bytearray(b"hello")
    one.send(other.getsockname(), data)
    data.clear()
    run_until(loop, lambda: post.came)
    assert post.came[0][2] == b"hello"


def test_the_buffer_is_held_until_the_callback(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    post = Post(other)
    data = bytearray(b"hello")
    events: list[Any] = []
    one.send(other.getsockname(), [data, data], lambda udp, error: events.append(error))
    with pytest.raises(BufferError):
        data.clear()
    run_until(loop, lambda: events and post.came)
    assert events == [None]
    data.clear()
    assert post.came[0][2] == b"hellohello"
    # What is refused is not held.
    kept = bytearray(b"x" * 70000)
    assert status_of(lambda: one.send(other.getsockname(), kept, print)) == "FER_EMSGSIZE"
    kept.clear()
    with pytest.raises(OverflowError):
        one.send(("127.0.0.1", 65536), kept, print)
    with pytest.raises(TypeError):
        one.send(("127.0.0.1", "x"), kept, print)  # type: ignore[arg-type]
    kept.append(1)


def test_close_tells_every_send_and_comes_last(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    events: list[Any] = []
    for _ in range(100):
        one.send(other.getsockname(), b"x", lambda udp, error: events.append(error))
    one.start_recv(lambda *arguments: events.append("received"))
    one.close(lambda udp: events.append("closed"))
    assert events == []
    loop.run()
    assert len(events) == 101
    assert set(events[:100]) <= {None, FER_ECANCELED}
    assert events[100] == "closed"


GROUP = "239.255.77.78"


def test_a_multicast_group(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop, "0.0.0.0")
    port = other.getsockname()[1]
    post = Post(other)
    assert (
        status_of(lambda: other.set_membership(GROUP, ferrule.UV_LEAVE_GROUP, HERE[0])) == "FER_EADDRNOTAVAIL"
    )
    other.set_membership(GROUP, ferrule.UV_JOIN_GROUP, HERE[0])
    assert status_of(lambda: other.set_membership(GROUP, ferrule.UV_JOIN_GROUP, HERE[0])) == "FER_EADDRINUSE"
    one.set_multicast_interface(HERE[0])
    one.send((GROUP, port), b"to all")
    run_until(loop, lambda: post.came)
    assert post.came == [(one.getsockname(), 0, b"to all")]
    other.set_membership(GROUP, ferrule.UV_LEAVE_GROUP, HERE[0])
    one.set_multicast_interface(None)


def test_how_far_datagrams_go(loop: ferrule.Loop) -> None:
    udp = bound(loop)
    udp.set_ttl(7)
    assert option(udp, socket.IPPROTO_IP, socket.IP_TTL) == 7
    udp.set_multicast_ttl(9)
    assert option(udp, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 9
    for enable in (False, True):
        udp.set_multicast_loop(enable)
        assert bool(option(udp, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP)) == enable
    everybody = ("127.255.255.255", udp.getsockname()[1])
    with pytest.raises(PermissionError):
        udp.send(everybody, b"x")
    for enable in (True, False):
        udp.set_broadcast(enable)
        assert bool(option(udp, socket.SOL_SOCKET, socket.SO_BROADCAST)) == enable


def test_bad_options(loop: ferrule.Loop) -> None:
    udp, new = bound(loop), ferrule.UDP(loop)
    join = ferrule.UV_JOIN_GROUP
    for call, status in (
        (lambda: udp.set_membership("all", join), "FER_EADDRESS"),
        (lambda: udp.set_membership(GROUP, join, "lo"), "FER_EADDRESS"),
        (lambda: udp.set_membership(HERE[0], join), "FER_EINVAL"),
        (lambda: udp.set_membership(GROUP, 2), "FER_EINVAL"),
        (lambda: udp.set_membership("ff01::1", join), "FER_EAFNOSUPPORT"),
        (lambda: udp.set_membership(GROUP, join, "192.0.2.1"), "FER_ENODEV"),
        (lambda: udp.set_multicast_interface("192.0.2.1"), "FER_EADDRNOTAVAIL"),
        (lambda: udp.set_ttl(0), "FER_EINVAL"),
        (lambda: udp.set_multicast_ttl(256), "FER_EINVAL"),
        (lambda: new.set_membership(GROUP, join), "FER_EBADF"),
        (lambda: new.set_multicast_interface(None), "FER_EBADF"),
        (lambda: new.set_multicast_loop(True), "FER_EBADF"),
        (lambda: new.set_multicast_ttl(1), "FER_EBADF"),
        (lambda: new.set_ttl(1), "FER_EBADF"),
        (lambda: new.set_broadcast(True), "FER_EBADF"),
    ):
        assert status_of(call) == status
    for wrong in (None, b"239.255.77.78", 7):
        with pytest.raises((TypeError, ferrule.Error)):
            udp.set_membership(wrong, join)  # type: ignore[arg-type]


def test_disconnecting_gives_a_picked_port_back(loop: ferrule.Loop) -> None:
    """That is how Linux has it; the port of a socket that was bound to one stays."""
    one, other = bound(loop), bound(loop)
    one.connect(other.getsockname())
    one.disconnect()
    assert one.getsockname()[1] == 0
    post = Post(other)
    one.send(other.getsockname(), b"from a new port")
    run_until(loop, lambda: post.came)
    assert post.came[0][2] == b"from a new port"


def test_options_and_facts(loop: ferrule.Loop) -> None:
    one, other = ferrule.UDP(loop), ferrule.UDP(loop)
    one.bind(HERE, ferrule.UV_UDP_REUSEPORT)
    other.bind(one.getsockname(), ferrule.UV_UDP_REUSEPORT)
    one.send_buffer_size = 32768
    assert one.send_buffer_size == option(one, socket.SOL_SOCKET, socket.SO_SNDBUF) >= 32768
    one.receive_buffer_size = 32768
    assert one.receive_buffer_size == option(one, socket.SOL_SOCKET, socket.SO_RCVBUF) >= 32768
    if has_ipv6():
        six = ferrule.UDP(loop)
        six.bind(("::", 0), ferrule.UV_UDP_IPV6ONLY)
        assert option(six, socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
    assert one.ref
    one.ref = False
    Post(one)
    assert loop.run() is False
    assert repr(one).startswith("<ferrule.UDP open at ")
    assert isinstance(one, ferrule.Handle)
    assert not isinstance(one, ferrule.Stream)
    assert (ferrule.UV_UDP_PARTIAL, one.closed, one.loop) == (1, False, loop)


def test_descriptors_go_in_and_out(loop: ferrule.Loop) -> None:
    udp = bound(loop)
    address = udp.getsockname()
    with udp.to_socket() as raw:
        assert udp.closed
        assert (raw.family, raw.type) == (socket.AF_INET, socket.SOCK_DGRAM)
        assert raw.getsockname() == address
        again = ferrule.UDP(loop)
        again.open(os.dup(raw.fileno()))
        assert status_of(lambda: again.open(raw.fileno())) == "FER_EISCONN"
        post = Post(again)
        bound(loop).send(address, b"x")
        run_until(loop, lambda: post.came)
        os.close(again.detach())
        assert again.closed
        assert again not in loop._active


def test_open_of_a_connected_socket(loop: ferrule.Loop) -> None:
    other = bound(loop)
    post = Post(other)
    with socket.socket(type=socket.SOCK_DGRAM) as raw:
        raw.connect(other.getsockname())
        udp = ferrule.UDP(loop)
        udp.open(raw.detach())
    assert udp.getpeername() == other.getsockname()
    udp.send(None, b"x")
    run_until(loop, lambda: post.came)


def test_selectors(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    with selectors.DefaultSelector() as selector:
        selector.register(other, selectors.EVENT_READ)
        assert selector.select(0) == []
        one.send(other.getsockname(), b"x")
        assert [key.fileobj for key, _ in selector.select(60)] == [other]


# --- What goes wrong -------------------------------------------------------------------------------------------


def test_bad_addresses(loop: ferrule.Loop) -> None:
    udp, taken = ferrule.UDP(loop), bound(loop)
    for host in ("localhost", "300.1.1.1", "<any>", "127.0.0.1.1"):
        calls: list[Any] = [
            lambda host=host: udp.bind((host, 0)),
            lambda host=host: udp.connect((host, 1)),
            lambda host=host: udp.send((host, 1), b"x"),
            lambda host=host: udp.send((host, 1), b"x", print),
            lambda host=host: udp.try_send((host, 1), b"x"),
        ]
        for call in calls:
            assert status_of(call) == "FER_EADDRESS"
    address: Any
    for address in ("127.0.0.1", 7, ("127.0.0.1",), (None, 1), ("127.0.0.1", "1")):
        for call in (udp.bind, udp.connect, lambda address: udp.send(address, b"x")):
            with pytest.raises(TypeError):
                call(address)
    address = None
    for call in (udp.bind, udp.connect):
        with pytest.raises(TypeError):
            call(address)
    with pytest.raises(OverflowError):
        udp.send(("127.0.0.1", 65536), b"x")
    assert status_of(lambda: udp.bind(taken.getsockname())) == "FER_EADDRINUSE"
    assert status_of(lambda: udp.bind(HERE, 1 << 20)) == "FER_EINVAL"
    assert loop._active == set()
    udp.bind(HERE)
    assert status_of(lambda: udp.bind(HERE)) == "FER_EINVAL"


def test_what_cannot_be_sent(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    never: list[Any] = []
    for call in (
        lambda: one.send(other.getsockname(), bytes(70000)),
        lambda: one.send(other.getsockname(), bytes(70000), lambda udp, error: never.append(error)),
        lambda: one.try_send(other.getsockname(), bytes(70000)),
    ):
        with pytest.raises(ValueError, match="FER_EMSGSIZE"):
            call()
    wrong: list[Any] = ["text", None, 7, ["text"], [7]]
    for data in wrong:
        with pytest.raises(TypeError):
            one.send(other.getsockname(), data)
        with pytest.raises(TypeError):
            one.try_send(other.getsockname(), data)
    with pytest.raises(TypeError):
        one.send(other.getsockname(), b"x", 7)  # type: ignore[arg-type]
    loop.run()
    assert never == []
    assert loop._active == set()


def test_before_it_is_open(loop: ferrule.Loop) -> None:
    udp = ferrule.UDP(loop)
    calls: list[tuple[Any, str]] = [
        (udp.fileno, "FER_EBADF"),
        (udp.getsockname, "FER_EBADF"),
        (udp.getpeername, "FER_EBADF"),
        (udp.detach, "FER_EBADF"),
        (udp.to_socket, "FER_EBADF"),
        (lambda: udp.send_buffer_size, "FER_EBADF"),
        (lambda: udp.open(-1), "FER_EBADF"),
        (lambda: udp.send(None, b"x"), "FER_EDESTADDRREQ"),
        (udp.disconnect, "FER_ENOTCONN"),
    ]
    for call, status in calls:
        assert status_of(call) == status
    udp.stop_recv()
    with socket.socket() as tcp, open(os.devnull) as file:
        assert status_of(lambda: udp.open(tcp.fileno())) == "FER_EPROTOTYPE"
        assert status_of(lambda: udp.open(file.fileno())) == "FER_ENOTSOCK"
    wrong: list[Any] = [lambda: ferrule.UDP(None), lambda: udp.start_recv(None), lambda: udp.close(7)]  # type: ignore[arg-type]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_calls_after_close(loop: ferrule.Loop) -> None:
    udp = bound(loop)
    address = udp.getsockname()
    udp.close()
    calls: list[Any] = [
        lambda: udp.bind(HERE),
        lambda: udp.connect(address),
        udp.disconnect,
        lambda: udp.open(0),
        lambda: udp.send(address, b"x"),
        lambda: udp.send(address, b"x", print),
        lambda: udp.try_send(address, b"x"),
        lambda: udp.start_recv(print),
        udp.stop_recv,
        udp.fileno,
        udp.detach,
        udp.getsockname,
        udp.getpeername,
    ]
    for _ in ("closing", "closed"):
        for call in calls:
            assert status_of(call) == "FER_ECLOSED"
        loop.run()
    assert loop._active == set()


@pytest.mark.parametrize("where", ["start_recv", "send"])
def test_what_a_callback_raises_comes_out_of_run(loop: ferrule.Loop, where: str) -> None:
    def fail(udp: ferrule.UDP, *arguments: Any) -> None:
        udp.close()
        raise LookupError(where)

    one, other = bound(loop), bound(loop)
    if where == "start_recv":
        other.start_recv(fail)
    one.send(other.getsockname(), b"x", fail if where == "send" else None)
    with pytest.raises(LookupError, match=where):
        loop.run()


def test_dropped_without_close() -> None:
    with ferrule.Loop() as loop:
        udp = bound(loop)
        with pytest.warns(ResourceWarning, match="unclosed udp at"):
            del udp
            gc.collect()
        loop.run()


# --- The family, and what waits --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ferrule.TCP, ferrule.UDP])
def test_a_socket_made_with_its_family(loop: ferrule.Loop, make: Any) -> None:
    """It is there with the handle: its options are, too. Otherwise an address tells the family."""
    kind = error.TCPError if make is ferrule.TCP else error.UDPError
    with pytest.raises(kind) as raised:
        make(loop).family  # noqa: B018
    assert raised.value.code == errno.FER_EBADF
    later = make(loop, socket.AF_UNSPEC)
    later.bind(HERE)
    assert later.family is socket.AF_INET
    families = [(socket.AF_INET, "0.0.0.0", "127.0.0.1", "::1")]
    if has_ipv6():
        families.append((socket.AF_INET6, "::", "::1", "127.0.0.1"))
    for family, anywhere, here, elsewhere in families:
        at_once = make(loop, family)
        fd = at_once.fileno()
        assert at_once.family is family and at_once.getsockname() == (anywhere, 0)
        at_once.send_buffer_size = 50_000
        with pytest.raises(kind):
            at_once.bind((elsewhere, 0))
        with pytest.raises(kind):
            at_once.open(fd)
        at_once.bind((here, 0))
        assert at_once.fileno() == fd and at_once.getsockname()[0] == here
        with make(loop, family).to_socket() as made:
            assert made.family is family
    for wrong, expected in (
        ("AF_INET", TypeError),
        (None, TypeError),
        (socket.AF_UNIX, ValueError),
        (-1, ValueError),
    ):
        with pytest.raises(expected):
            make(loop, wrong)


def test_a_connection_of_a_socket_made_with_its_family(loop: ferrule.Loop) -> None:
    listener = ferrule.TCP(loop, socket.AF_INET)
    listener.bind(HERE)
    served = ferrule.TCP(loop)
    listener.listen(lambda listener, failure: listener.accept(served))
    client = ferrule.TCP(loop, socket.AF_INET)
    client.nodelay(True)
    ends: list[int | None] = []
    client.connect(listener.getsockname(), lambda tcp, failure: ends.append(failure))
    run_until(loop, lambda: ends and served.readable)
    assert ends == [None] and served.family is socket.AF_INET
    with pytest.raises(error.TCPError):
        listener.accept(ferrule.TCP(loop, socket.AF_INET))
    with client.to_socket() as made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_descriptor_for_a_socket_with_a_family() -> None:
    code = """
        import resource, socket
        import ferrule

        loop = ferrule.Loop()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        for kind, make in ((ferrule.error.TCPError, ferrule.TCP), (ferrule.error.UDPError, ferrule.UDP)):
            try:
                make(loop, socket.AF_INET)
            except kind as failure:
                print(failure.status)
        try:
            ferrule.Pipe.pair(loop)
        except ferrule.error.PipeError as failure:
            print(failure.status)
        loop.close()
    """
    status, output, errors = run_child(code)
    assert (status, output.split()) == (0, ["FER_EMFILE"] * 3), errors


def test_what_waits_for_the_kernel(loop: ferrule.Loop) -> None:
    one, other = bound(loop), bound(loop)
    assert (one.send_queue_size, one.send_queue_count) == (0, 0)
    one.connect(other.getsockname())
    # The loopback takes everything. A datagram socket of the Unix domain, in the place of this one, is full until
    # its reader reads.
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ends[0].setblocking(False)
    os.dup2(ends[0].fileno(), one.fileno(), inheritable=False)
    ends[0].close()
    told: list[int | None] = []
    sent = 0
    while not one.send_queue_count:
        one.send(None, b"12345", lambda udp, failure: told.append(failure))
        sent += 1
    assert (one.send_queue_size, one.send_queue_count) == (5, 1)
    one.send(None, [b"123", b"45678"])
    one.send(None, b"")
    assert (one.send_queue_size, one.send_queue_count) == (13, 3)
    with pytest.raises(error.WouldBlockError) as raised:
        one.try_send(None, b"x")
    assert isinstance(raised.value, error.UDPError)
    received = [ends[1].recv(100) for _ in range(sent - 1)]
    run_until(loop, lambda: not one.send_queue_count and len(told) == sent)
    assert (one.send_queue_size, told) == (0, [None] * sent)
    received += [ends[1].recv(100) for _ in range(3)]
    assert received == [b"12345"] * sent + [b"12345678", b""]
    while not one.send_queue_count:
        one.send(None, b"12345", lambda udp, failure: told.append(failure))
    one.close()
    assert (one.send_queue_size, one.send_queue_count) == (0, 0)
    loop.run()
    assert told[-1] == FER_ECANCELED
    ends[1].close()
