"""Every public call gets what it cannot take: the exception is the one that a Python user expects.

The table has a row for each call; a call without one is found out.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
from collections.abc import Iterator
from typing import Any, Callable

import ferrule
import pytest
from ferrule import error, ipc, sync
from test_sources import public_members

Row = tuple[Callable[..., Any], list[Any], tuple[type[BaseException], ...]]

# What is no bytes: among it what is not contiguous, and text where bytes are due.
NO_BYTES: list[Any] = [
    "text",
    7,
    None,
    object(),
    {"a": 1},
    memoryview(b"12345678")[::2],
    ["text"],
    [7],
    [b"x", None],
]
NO_ROOM: list[Any] = [b"read only", "text", 7, None, memoryview(bytearray(8))[::2], memoryview(b"x")]
NO_CALLABLE: list[Any] = [None, 7, "text", b"x"]
NO_CALLBACK: list[Any] = NO_CALLABLE[1:]
NO_FLAG: list[Any] = ["no", "", 0, 1, None, []]
NO_NUMBER: list[Any] = ["1", None, b"x", [1]]
NO_TIME: list[Any] = ["1", b"x", [], -1, float("nan"), -float("inf")]
NO_DESCRIPTOR: list[Any] = ["1", None, 1.5, -1, 10**6, 2**40, 2**70]
NO_LIMIT: list[Any] = [0, -1, "1", 1.5]
NO_NAME: list[Any] = [7, None, ["x"], "", "a\0b"]
NO_INET: list[Any] = [
    None, "127.0.0.1", ("127.0.0.1",), ("127.0.0.1", 1, 2), (7, 1), ("localhost", 1), ("127.0.0.1", -1),
    ("127.0.0.1", 65536), ("127.0.0.1", "1"), ["127.0.0.1", 1], (b"127.0.0.1", 1), ("127.0.0.1\0", 1),
]  # fmt: skip
NO_ADDRESS: list[Any] = [
    7,
    None,
    ["pipe:/x"],
    "",
    "nonsense",
    "pipe:",
    "pipe:/a\0b",
    "tcp:127.0.0.1",
    "fd:x",
    "fifo:/a",
]
NO_OPTIONS: list[dict[str, Any]] = [
    {"color": "red"}, {"wire": "aea"}, {"wire": 1}, {"max_message": 0}, {"max_message": "1"}, {"max_message": 2**40},
    {"high_water": 0}, {"high_water": None}, {"max_handles": 65}, {"max_handles": "1"}, {"max_handles": -1},
    {"handshake_timeout": -1}, {"close_timeout": "1"}, {"frame_timeout": float("nan")},
    {"busy_poll": -0.0001}, {"busy_poll": 0.00101}, {"busy_poll": float("nan")}, {"busy_poll": "1"}, {"busy_poll": None},
    {"any_host": "no"}, {"any_user": 1}, {"inline": None}, {"wire": ["native"]},
]  # fmt: skip
NO_SERVER_OPTIONS: list[dict[str, Any]] = [
    *NO_OPTIONS, {"secret": 7}, {"max_half_open": -1}, {"max_half_open": "1"}, {"allow": "some"}, {"allow": 7},
]  # fmt: skip

MISTAKE = (TypeError, ValueError)
NUMBER = (*MISTAKE, OverflowError)
BYTES = (TypeError, BufferError)
PLACE = (*MISTAKE, OSError)


class Stock:
    """An object of each kind, and what a table needs besides."""

    def __init__(self) -> None:
        self.host = asyncio.new_event_loop()
        self.loop, self.other_loop = ferrule.Loop(), ferrule.Loop()
        self.pipe, self.far = ferrule.Pipe.pair(self.loop, True)
        self.fresh, self.elsewhere = ferrule.Pipe(self.loop), ferrule.Pipe(self.other_loop)
        self.tcp, self.udp = ferrule.TCP(self.loop), ferrule.UDP(self.loop)
        self.bound = ferrule.UDP(self.loop)
        self.bound.bind(("127.0.0.1", 0))
        self.timer, self.wakeup = ferrule.Timer(self.loop), ferrule.Async(self.loop)
        self.one, self.other = self.host.run_until_complete(ferrule.pair(max_handles=2))
        self.here, self.there = sync.pair(max_handles=2)
        with open(os.devnull) as file:
            self.there.send(b"x", handles=[file])
        self.handle = self.here.recv_message().handles[0]
        self.channel_of_aea = ipc.make_ipc_channel()

    def run(self, call: Any) -> Any:
        """Await what a coroutine function gives, or what is a coroutine already."""
        if not inspect.isawaitable(call):
            return call

        async def main() -> Any:
            return await call

        return self.host.run_until_complete(main())

    def close(self) -> None:
        """End it all."""
        self.one.abort()
        self.other.abort()
        self.run(self.channel_of_aea.close())
        for _ in range(10):
            self.run(asyncio.sleep(0))
        self.host.close()
        self.here.abort()
        self.there.abort()
        self.handle.close()
        self.loop.close()
        self.other_loop.close()


@pytest.fixture
def stock() -> Iterator[Stock]:
    made = Stock()
    try:
        yield made
    finally:
        made.close()


# How each is called with something wrong, what is wrong, and what comes of it.
ROWS: dict[str, list[Row]] = {
    "Handle.close": [(lambda s, x: s.pipe.close(x), NO_CALLBACK, (TypeError,))],
    "IOHandle.fileno": [(lambda s, x: x(s).fileno(), [lambda s: s.fresh, lambda s: s.tcp], (OSError,))],
    "IOHandle.detach": [(lambda s, x: x(s).detach(), [lambda s: s.fresh, lambda s: s.udp], (OSError,))],
    "IOHandle.to_socket": [(lambda s, x: x(s).to_socket(), [lambda s: s.fresh, lambda s: s.tcp], (OSError,))],
    "InetHandle.getsockname": [(lambda s, x: x(s).getsockname(), [lambda s: s.tcp, lambda s: s.udp], (OSError,))],
    "InetHandle.getpeername": [(lambda s, x: x(s).getpeername(), [lambda s: s.tcp, lambda s: s.bound], (OSError,))],
    "Stream.listen": [
        (lambda s, x: s.fresh.listen(x), NO_CALLABLE, (TypeError,)),
        (lambda s, x: s.fresh.listen(print, x), ["1", None, -1, 2**40], NUMBER),
        (lambda s, x: x(s).listen(print), [lambda s: s.fresh, lambda s: s.pipe, lambda s: s.tcp], (OSError,)),
    ],
    "Stream.accept": [
        (lambda s, x: s.pipe.accept(x), [None, 7, "text", object()], (TypeError,)),
        (lambda s, x: s.fresh.accept(x(s)), [lambda s: s.elsewhere, lambda s: s.pipe, lambda s: s.tcp], (OSError,)),
        (lambda s, x: s.pipe.accept(x(s)), [lambda s: s.elsewhere, lambda s: s.far, lambda s: s.timer], PLACE),
    ],
    "Stream.start_read": [(lambda s, x: s.pipe.start_read(x), NO_CALLABLE, (TypeError,))],
    "Stream.write": [
        (lambda s, x: s.pipe.write(x), NO_BYTES, BYTES),
        (lambda s, x: s.tcp.write(x), NO_BYTES, (*BYTES, OSError)),
        (lambda s, x: s.pipe.write(b"x", x), NO_CALLBACK, (TypeError,)),
    ],
    "Stream.try_write": [(lambda s, x: s.pipe.try_write(x), NO_BYTES, BYTES)],
    "Stream.shutdown": [(lambda s, x: s.pipe.shutdown(x), NO_CALLBACK, (TypeError,))],
    "Stream.set_blocking": [
        (lambda s, x: s.fresh.set_blocking(x), [True, False], (OSError,)),
        (lambda s, x: s.pipe.set_blocking(x), NO_FLAG, (TypeError,)),
    ],
    "Pipe": [
        (lambda s, x: ferrule.Pipe(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: ferrule.Pipe(s.loop, x), NO_FLAG, (TypeError,)),
    ],
    "Pipe.pair": [
        (lambda s, x: ferrule.Pipe.pair(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: ferrule.Pipe.pair(s.loop, x), NO_FLAG, (TypeError,)),
    ],
    "Pipe.bind": [
        (lambda s, x: s.fresh.bind(x), NO_NAME, PLACE),
        (lambda s, x: s.fresh.bind("x", mode=x), ["1", None, -1, 0o1777, 2**40], NUMBER),
        (lambda s, x: s.fresh.bind("x", keep_file=x), NO_FLAG, (TypeError,)),
        (lambda s, x: s.pipe.bind(x), ["x"], (OSError,)),
    ],
    "Pipe.chmod": [(lambda s, x: s.fresh.chmod(x), [*NO_NUMBER, 0o600, -1, 2**40], NUMBER)],
    "Pipe.connect": [
        (lambda s, x: s.fresh.connect(x, print), NO_NAME, PLACE),
        (lambda s, x: s.fresh.connect("x", x), NO_CALLABLE, (TypeError,)),
        (lambda s, x: s.pipe.connect("x", x), [print], (OSError,)),
    ],
    "Pipe.open": [(lambda s, x: s.fresh.open(x), NO_DESCRIPTOR, (*PLACE, OverflowError))],
    "Pipe.getsockname": [(lambda s, x: x(s).getsockname(), [lambda s: s.fresh], (OSError,))],
    "Pipe.getpeername": [(lambda s, x: x(s).getpeername(), [lambda s: s.fresh], (OSError,))],
    "Pipe.pending_instances": [(lambda s, x: s.fresh.pending_instances(x), [*NO_NUMBER, 0, -1, 2**40], NUMBER)],
    "Pipe.peer_credentials": [(lambda s, x: x(s).peer_credentials(), [lambda s: s.fresh], (OSError,))],
    "Pipe.write": [
        (lambda s, x: s.pipe.write(x, None, s.far), NO_BYTES, BYTES),
        (lambda s, x: s.pipe.write(b"x", None, x), ["text", 1.5, True, object(), -1, 10**6], PLACE),
        (lambda s, x: s.pipe.write(b"x", None, x(s)), [lambda s: s.pipe, lambda s: s.fresh], PLACE),
        (lambda s, x: s.pipe.write(x, None, s.far), [b"", [], [b"", b""]], MISTAKE),
    ],
    "Pipe.start_read2": [
        (lambda s, x: s.pipe.start_read2(x), NO_CALLABLE, (TypeError,)),
        (lambda s, x: s.fresh.start_read2(x), [print], PLACE),
    ],
    "Pipe.accept_fd": [(lambda s, x: x(s).accept_fd(), [lambda s: s.fresh, lambda s: s.pipe], PLACE)],
    "TCP": [
        (lambda s, x: ferrule.TCP(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: ferrule.TCP(s.loop, x), [None, "AF_INET", socket.AF_UNIX, -1, 99], MISTAKE),
    ],
    "TCP.bind": [
        (lambda s, x: s.tcp.bind(x), NO_INET, NUMBER),
        (lambda s, x: s.tcp.bind(("127.0.0.1", 0), x), [*NO_NUMBER, 64, -1, 2**40], NUMBER),
    ],
    "TCP.connect": [
        (lambda s, x: s.tcp.connect(x, print), NO_INET, NUMBER),
        (lambda s, x: s.tcp.connect(("127.0.0.1", 9), x), NO_CALLABLE, (TypeError,)),
    ],
    "TCP.open": [(lambda s, x: s.tcp.open(x), NO_DESCRIPTOR, (*PLACE, OverflowError))],
    "TCP.nodelay": [(lambda s, x: s.tcp.nodelay(x), NO_FLAG, (TypeError,))],
    "TCP.keepalive": [
        (lambda s, x: s.tcp.keepalive(True, x), ["1", None, -1, 2**40], NUMBER),
        (lambda s, x: s.tcp.keepalive(x), NO_FLAG, (TypeError,)),
    ],
    "TCP.simultaneous_accepts": [(lambda s, x: s.tcp.simultaneous_accepts(x), NO_FLAG, (TypeError,))],
    "UDP": [
        (lambda s, x: ferrule.UDP(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: ferrule.UDP(s.loop, x), [None, "AF_INET", socket.AF_UNIX, -1, 99], MISTAKE),
    ],
    "UDP.bind": [
        (lambda s, x: s.udp.bind(x), NO_INET, NUMBER),
        (lambda s, x: s.udp.bind(("127.0.0.1", 0), x), [*NO_NUMBER, 64, -1, 2**40], NUMBER),
    ],
    "UDP.connect": [(lambda s, x: s.udp.connect(x), NO_INET, NUMBER)],
    "UDP.disconnect": [(lambda s, x: x(s).disconnect(), [lambda s: s.udp, lambda s: s.bound], (OSError,))],
    "UDP.open": [(lambda s, x: s.udp.open(x), NO_DESCRIPTOR, (*PLACE, OverflowError))],
    "UDP.send": [
        (lambda s, x: s.bound.send(s.bound.getsockname(), x), NO_BYTES, BYTES),
        (lambda s, x: s.bound.send(s.bound.getsockname(), x), [bytes(70_000)], (ValueError,)),
        (lambda s, x: s.bound.send(x, b"x"), NO_INET, (*NUMBER, OSError)),
        (lambda s, x: s.bound.send(s.bound.getsockname(), b"x", x), NO_CALLBACK, (TypeError,)),
    ],
    "UDP.try_send": [
        (lambda s, x: s.bound.try_send(s.bound.getsockname(), x), NO_BYTES, BYTES),
        (lambda s, x: s.bound.try_send(x, b"x"), NO_INET, (*NUMBER, OSError)),
    ],
    "UDP.start_recv": [(lambda s, x: s.udp.start_recv(x), NO_CALLABLE, (TypeError,))],
    "UDP.set_membership": [
        (lambda s, x: s.bound.set_membership(x, ferrule.UV_JOIN_GROUP), [7, None, "", "127.0.0.1", "x"], PLACE),
        (lambda s, x: s.bound.set_membership("224.0.0.9", x), [*NO_NUMBER, 7, -1], NUMBER),
        (lambda s, x: s.bound.set_membership("224.0.0.9", ferrule.UV_JOIN_GROUP, x), [7, "x"], PLACE),
    ],
    "UDP.set_multicast_interface": [(lambda s, x: s.bound.set_multicast_interface(x), [7, "x", b"x"], MISTAKE)],
    "UDP.set_multicast_ttl": [(lambda s, x: s.bound.set_multicast_ttl(x), [*NO_NUMBER, -1, 256, 2**40], NUMBER)],
    "UDP.set_ttl": [(lambda s, x: s.bound.set_ttl(x), [*NO_NUMBER, 0, 256, 2**40], NUMBER)],
    "UDP.set_multicast_loop": [
        (lambda s, x: s.udp.set_multicast_loop(x), [True], (OSError,)),
        (lambda s, x: s.bound.set_multicast_loop(x), NO_FLAG, (TypeError,)),
    ],
    "UDP.set_broadcast": [
        (lambda s, x: s.udp.set_broadcast(x), [True], (OSError,)),
        (lambda s, x: s.bound.set_broadcast(x), NO_FLAG, (TypeError,)),
    ],
    "Timer": [(lambda s, x: ferrule.Timer(x), [None, 7, object()], (TypeError,))],
    "Timer.start": [
        (lambda s, x: s.timer.start(x, 1), NO_CALLABLE, (TypeError,)),
        (lambda s, x: s.timer.start(print, x), [*NO_TIME, None, float("inf")], MISTAKE),
        (lambda s, x: s.timer.start(print, 1, x), [*NO_TIME, None, float("inf")], MISTAKE),
    ],
    "Timer.again": [(lambda s, x: x(s).again(), [lambda s: s.timer], (ValueError,))],
    "Async": [
        (lambda s, x: ferrule.Async(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: ferrule.Async(s.loop, x), NO_CALLBACK, (TypeError,)),
    ],
    "Loop.run": [(lambda s, x: s.loop.run(x), [7, -1, "0", None], MISTAKE)],
    "Loop.step": [(lambda s, x: s.loop.step(x), NO_TIME, MISTAKE)],
    "Loop.post": [(lambda s, x: s.loop.post(x), NO_CALLABLE, (TypeError,))],
    "Loop.set_notify": [(lambda s, x: s.loop.set_notify(x), NO_CALLBACK, (TypeError,))],
    "Channel.recv_many": [(lambda s, x: s.one.recv_many(x), NO_LIMIT[:3], MISTAKE)],
    "Channel.recv_into": [(lambda s, x: s.one.recv_into(x), NO_ROOM, BYTES)],
    "Channel.send": [
        (lambda s, x: s.one.send(x), NO_BYTES, BYTES),
        (lambda s, x: s.one.send(b"x", x), [["text"], [None], [True], 7, [object()], [-1], [10**6]], PLACE),
        (lambda s, x: s.one.send(b"x", [x(s)] * 3), [lambda s: s.pipe], (NotImplementedError,)),
        (lambda s, x: s.one.send(b"x", [x(s)]), [lambda s: s.fresh, lambda s: s.tcp], (OSError,)),
    ],
    "Channel.send_many": [
        (lambda s, x: s.one.send_many(x), ["text", 7, None, object(), b"bytes"], (TypeError,)),
        (lambda s, x: s.one.send_many([x]), NO_BYTES, BYTES),
    ],
    "connect": [
        (lambda s, x: ferrule.connect(x, timeout=0), NO_ADDRESS, MISTAKE),
        (lambda s, x: ferrule.connect("pipe:/nowhere/s", timeout=0, **x), NO_OPTIONS, MISTAKE),
        (lambda s, x: ferrule.connect("pipe:/nowhere/s", timeout=x), NO_TIME, MISTAKE),
        (lambda s, x: ferrule.connect(x, timeout=0), ["fd:1000000", "pipe:/nowhere/s"], (OSError,)),
    ],
    "listen": [
        (lambda s, x: ferrule.listen(x, print), NO_ADDRESS, MISTAKE),
        (lambda s, x: ferrule.listen("pipe:/nowhere/s", x), NO_CALLABLE, (TypeError,)),
        (lambda s, x: ferrule.listen("pipe:/nowhere/s", print, **x), NO_SERVER_OPTIONS, MISTAKE),
        (lambda s, x: ferrule.listen("pipe:/nowhere/s", print, max_channels=x), [-1, "1", 2**32], MISTAKE),
    ],
    "pair": [(lambda s, x: ferrule.pair(**x), NO_OPTIONS, MISTAKE)],
    "parent": [(lambda s, x: ferrule.parent(**x), NO_OPTIONS, MISTAKE)],
    "spawn": [
        (lambda s, x: ferrule.spawn("true", **x), NO_OPTIONS, MISTAKE),
        (lambda s, x: ferrule.spawn(*x), [(7,), (None,), ("true", 7), ("a\0b",)], MISTAKE),
        (lambda s, x: ferrule.spawn(x), ["no-such-program", "/", os.devnull], (OSError,)),
        (lambda s, x: ferrule.spawn("true", stdin=x), ["text", object(), 10**6], (*PLACE, AttributeError)),
        (lambda s, x: ferrule.spawn("true", cwd=x), ["/nowhere"], (OSError,)),
        (lambda s, x: ferrule.spawn("true", env=x), [7, ["a"]], MISTAKE),
    ],
    "open_pipe_connection": [
        (lambda s, x: ferrule.open_pipe_connection(x), [*NO_NAME, "/nowhere/s"], PLACE),
        (lambda s, x: ferrule.open_pipe_connection("/nowhere/s", limit=x), [0, -1, "1"], MISTAKE),
    ],
    "start_pipe_server": [
        (lambda s, x: ferrule.start_pipe_server(print, x), [*NO_NAME, "/nowhere/s"], PLACE),
        (lambda s, x: ferrule.start_pipe_server(x, "/nowhere/s"), NO_CALLABLE, PLACE),
        (lambda s, x: ferrule.start_pipe_server(print, "/nowhere/s", limit=x), [0, -1, "1"], MISTAKE),
    ],
    "activation_address": [
        (lambda s, x: ferrule.activation_address(x), [7, b"x", "a\0b"], MISTAKE),
        (lambda s, x: ferrule.activation_address(None, x), [*NO_NUMBER, -1], NUMBER),
        (lambda s, x: ferrule.activation_address(x), ["nobody", None], (FileNotFoundError,)),
    ],
    "ReceivedHandle.open": [
        (lambda s, x: s.handle.open(x), [None, 7, object()], (TypeError,)),
        (lambda s, x: s.handle.open(x(s)), [lambda s: s.loop], (TypeError,)),
    ],
    "ReceivedHandle.to_socket": [(lambda s, x: x(s).to_socket(), [lambda s: s.handle], (OSError,))],
    "sync.Channel.send": [
        (lambda s, x: s.here.send(x), NO_BYTES, BYTES),
        (lambda s, x: s.here.send(b"x", x), NO_TIME, MISTAKE),
        (lambda s, x: s.here.send(b"x", handles=x), [["text"], [None], [True], 7, [-1], [10**6]], PLACE),
    ],
    "sync.Channel.send_many": [
        (lambda s, x: s.here.send_many(x), ["text", 7, None, object(), b"bytes"], (TypeError,)),
        (lambda s, x: s.here.send_many([x]), NO_BYTES, BYTES),
        (lambda s, x: s.here.send_many([b"x"], x), NO_TIME, MISTAKE),
    ],
    "sync.Channel.flush": [(lambda s, x: s.here.flush(x), NO_TIME, MISTAKE)],
    "sync.Channel.recv": [(lambda s, x: s.here.recv(x), [*NO_TIME, 0], (*MISTAKE, TimeoutError))],
    "sync.Channel.recv_message": [(lambda s, x: s.here.recv_message(x), NO_TIME, MISTAKE)],
    "sync.Channel.recv_many": [
        (lambda s, x: s.here.recv_many(x, 0), NO_LIMIT[:3], MISTAKE),
        (lambda s, x: s.here.recv_many(1, x), NO_TIME, MISTAKE),
    ],
    "sync.Channel.recv_into": [
        (lambda s, x: s.here.recv_into(x, 0), NO_ROOM, BYTES),
        (lambda s, x: s.here.recv_into(bytearray(1), x), NO_TIME, MISTAKE),
    ],
    "sync.Channel.close": [(lambda s, x: s.here.close(x), NO_TIME, MISTAKE)],
    "sync.connect": [
        (lambda s, x: sync.connect(x, timeout=0), NO_ADDRESS, MISTAKE),
        (lambda s, x: sync.connect("pipe:/nowhere/s", timeout=0, **x), NO_OPTIONS, MISTAKE),
        (lambda s, x: sync.connect("pipe:/nowhere/s", timeout=x), NO_TIME, MISTAKE),
    ],
    "sync.listen": [
        (lambda s, x: sync.listen(x), NO_ADDRESS, MISTAKE),
        (lambda s, x: sync.listen("pipe:/nowhere/s", **x), NO_SERVER_OPTIONS, MISTAKE),
    ],
    "sync.Server.accept": [],  # test_accept_gets_no_time
    "sync.pair": [(lambda s, x: sync.pair(**x), NO_OPTIONS, MISTAKE)],
    "sync.parent": [(lambda s, x: sync.parent(**x), NO_OPTIONS, MISTAKE)],
    "sync.spawn": [
        (lambda s, x: sync.spawn("true", **x), NO_OPTIONS, MISTAKE),
        (lambda s, x: sync.spawn(*x), [(7,), (None,), ("true", 7), ("a\0b",)], MISTAKE),
        (lambda s, x: sync.spawn(x), ["no-such-program", "/", os.devnull], (OSError,)),
    ],
    "ipc.IPCChannelClient.connect": [],  # abstract: the classes below have it
    "ipc.IPCChannelClient.write": [(lambda s, x: s.channel_of_aea.write(x), [b"x", "x"], PLACE)],
    "ipc.IPCChannelClient.read": [(lambda s, x: x(s).read(), [lambda s: s.channel_of_aea], (ValueError,))],
    "ipc.TCPSocketChannelClient": [(lambda s, x: ipc.TCPSocketChannelClient(x, x), ["port", "", "1:x", "-"], MISTAKE)],
    "ipc.make_ipc_channel_client": [(lambda s, x: ipc.make_ipc_channel_client(x, x), [7, None, [1]], MISTAKE)],
}  # fmt: skip

# These take nothing, and fail in no state but a closed one.
TAKE_NOTHING = set(
    """
    Async.send Channel.recv Channel.recv_message Channel.cork Channel.uncork Channel.corked Channel.flush Channel.close
    Channel.abort Channel.stats Child.wait Child.kill Child.terminate HasFileno.fileno Loop.default_loop Loop.stop
    Loop.fileno Loop.get_timeout Loop.now Loop.update_time Loop.close PipeServer.get_loop PipeServer.is_serving
    PipeServer.close PipeServer.wait_closed PipeServer.serve_forever ReceivedHandle.fileno ReceivedHandle.detach
    ReceivedHandle.close Server.abort Server.close Server.drain Server.serve_forever Stream.stop_read UDP.stop_recv
    Timer.stop sync.Channel.abort sync.Channel.fileno sync.Channel.stats sync.Server.fileno sync.Child.wait
    sync.Child.kill sync.Child.terminate sync.Server.close sync.activation_address ipc.IPCChannelClient.close
    ipc.PosixNamedPipeChannel.close ipc.TCPSocketChannel.connect ipc.TCPSocketChannel.close
    ipc.TCPSocketProtocol.write ipc.TCPSocketProtocol.read ipc.TCPSocketProtocol.close ipc.make_ipc_channel
""".split()
)

# Not made by themselves, or plain values.
NOT_MADE = set(
    """
    Channel ChannelInfo ChannelStats Child Credentials EndOfStream Error Handle HasFileno IOHandle Loop Message Options PipeServer
    ReceivedHandle Server Stream sync.Channel sync.Child sync.Server ipc.IPCChannel ipc.IPCChannelClient
    ipc.PosixNamedPipeChannel ipc.PosixNamedPipeChannelClient ipc.PosixNamedPipeProtocol ipc.TCPSocketChannel
    ipc.TCPSocketProtocol
""".split()
)


@pytest.mark.parametrize("name", ROWS)
def test_what_a_call_cannot_take(stock: Stock, name: str) -> None:
    for call, wrong, expected in ROWS[name]:
        for value in wrong:
            try:
                given = stock.run(call(stock, value))
            except expected as failure:
                assert not isinstance(failure, (error.ThreadError, error.ForkError))
            else:
                raise AssertionError(f"{name} took {value!r} and gave {given!r}")


def test_what_is_wrong_is_named(stock: Stock) -> None:
    for options, complaint in [
        ({"timeout": "5"}, "a time must be a number, not '5'"),
        ({"frame_timeout": "5"}, "a time must be a number, not '5'"),
        ({"busy_poll": "5"}, "busy_poll must be a number, not '5'"),
        ({"max_message": "5"}, "max_message must be an int, not '5'"),
        ({"high_water": 1.5}, "high_water must be an int, not 1.5"),
        ({"any_user": "no"}, "any_user must be True or False, not 'no'"),
        ({"wire": 1}, "wire must be a str, not 1"),
    ]:
        with pytest.raises(TypeError) as caught:
            sync.connect("pipe:nobody", **options)  # type: ignore[arg-type]
        assert str(caught.value) == complaint
    with pytest.raises(TypeError, match="^ref must be True or False, not 'no'$"):
        stock.pipe.ref = "no"  # type: ignore[assignment]
    with pytest.raises(TypeError, match="^max_half_open must be an int, not '5'$"):
        sync.listen("pipe:nobody", max_half_open="5")  # type: ignore[arg-type]


def test_every_call_has_its_row() -> None:
    properties = {
        f"{module.__name__}.{name}.{inner}"
        for module in (ferrule, sync, ipc)
        for name in module.__all__
        if inspect.isclass(getattr(module, name))
        for inner, value in vars(getattr(module, name)).items()
        if isinstance(value, property)
    }
    found = {name.partition("ferrule.")[2] for name, _ in public_members() if name not in properties}
    known = {name for name in ROWS if not name.startswith("InetHandle.")} | TAKE_NOTHING | NOT_MADE
    assert found == known


def test_accept_gets_no_time(address: str) -> None:
    with sync.listen(address) as server:
        for wrong in NO_TIME:
            with pytest.raises(MISTAKE):
                server.accept(wrong)


def test_what_belongs_to_another_loop(stock: Stock, address: str) -> None:
    """Coroutines of channels and servers are for the asyncio loop that these were made on."""
    server = stock.run(ferrule.listen(address, print))

    async def elsewhere() -> None:
        for call in (
            stock.one.recv(), stock.one.recv_message(), stock.one.recv_many(), stock.one.recv_into(bytearray(9)),
            stock.one.close(), stock.one.flush(), server.close(), server.drain(), server.serve_forever(),
        ):  # fmt: skip
            with pytest.raises(error.ThreadError):
                await call

    other = asyncio.new_event_loop()
    other.run_until_complete(elsewhere())
    other.close()
    stock.run(server.close())
    # Handles that are passed may be on any loop of the thread, those that are accepted may not be closed.
    stock.pipe.write(b"x", None, stock.far)
    stock.elsewhere.close()
    with pytest.raises(error.ClosedError):
        stock.pipe.write(b"x", None, stock.elsewhere)
    with pytest.raises(error.ClosedError):
        stock.run(stock.one.send(b"x", [stock.elsewhere]))


def test_huge_and_empty_buffers(stock: Stock) -> None:
    huge = bytes((64 << 20) + 1)
    for call in (lambda: stock.run(stock.one.send(huge)), lambda: stock.here.send(huge)):
        with pytest.raises(error.MessageSizeError) as caught:
            call()
        assert isinstance(caught.value, ValueError)
    for empty in (b"", bytearray(), memoryview(b""), [], (), [b"", b""]):
        stock.run(stock.one.send(empty))
        assert stock.run(stock.other.recv()) == b""
        stock.here.send(empty)
        assert stock.there.recv() == b""
        stock.pipe.write(empty)
        assert stock.pipe.try_write(empty) == 0


def test_closed_objects(stock: Stock, address: str) -> None:
    """What is closed says so, wherever it is asked for something."""
    with stock.other_loop as loop:
        pass
    for call in (loop.run, loop.step, loop.stop, loop.fileno, loop.get_timeout, lambda: loop.post(print)):
        with pytest.raises(error.ClosedError):
            call()
    for make in (ferrule.Pipe, ferrule.TCP, ferrule.UDP, ferrule.Timer, ferrule.Async, ferrule.Pipe.pair):
        with pytest.raises(error.ClosedError):
            make(loop)
    stock.one.abort()
    stock.here.abort()
    stock.handle.close()
    calls: list[Callable[[], Any]] = [
        stock.one.recv, stock.one.recv_message, stock.one.recv_many, lambda: stock.one.recv_into(bytearray(9)),
        lambda: stock.one.send(b"x"), lambda: stock.one.send_many([b"x"]), stock.one.cork, stock.one.uncork,
        stock.one.flush, lambda: stock.one.info, lambda: stock.one.peer_credentials, lambda: stock.one.corked().__enter__(),
        stock.here.recv, stock.here.recv_message, stock.here.recv_many, lambda: stock.here.recv_into(bytearray(9)),
        lambda: stock.here.send(b"x"), lambda: stock.here.send_many([b"x"]), stock.here.flush, stock.here.fileno,
        lambda: stock.here.info, lambda: stock.here.peer_credentials, stock.handle.fileno, stock.handle.detach,
        stock.handle.to_socket, lambda: stock.handle.open(stock.loop),
    ]  # fmt: skip
    for number, call in enumerate(calls):
        with pytest.raises(error.ClosedError):
            stock.run(call())
            raise AssertionError(f"call {number} works")
    for again in (stock.one.abort, stock.here.abort, stock.here.close, stock.handle.close, loop.close):
        again()
    server = sync.listen(address)
    server.close()
    server.close()
    with pytest.raises(error.ClosedError):
        server.accept(0)
