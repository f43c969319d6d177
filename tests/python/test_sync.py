"""The blocking twin."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import (
    MESSAGE,
    Child,
    frame,
    goodbye,
    hello,
    message,
    own_hello,
    path_of,
    raw_connect,
    raw_listener,
    receive_exactly,
    run_child,
)

ECHO = """
    import sys, ferrule.sync
    with ferrule.sync.listen(sys.argv[1], **eval(sys.argv[2])) as server:
        print("ready")
        with server.accept() as channel:
            for message in channel:
                channel.send(message)
"""


@pytest.fixture
def echo(address: str) -> Iterator[str]:
    """The address of a server in another process, which echoes for one client."""
    with Child(ECHO, address, "{}") as process:
        assert process.line() == "ready"
        yield address
        assert process.end() == (0, "", "")


@pytest.fixture
def pair(address: str) -> Iterator[tuple[sync.Channel, socket.socket]]:
    """A channel of a server, and the raw socket at its other end, which has said hello."""
    with sync.listen(address) as server, raw_connect(address) as raw:
        raw.sendall(hello())
        channel = server.accept()
        assert receive_exactly(raw, len(own_hello())) == own_hello()
        yield channel, raw
        channel.abort()


@pytest.mark.parametrize("size", [0, 1, 4095, 65535, 65536, 219263, 1 << 20, 3 << 20])
def test_messages_of_every_size_come_back(echo: str, size: int) -> None:
    sent = os.urandom(size)
    with sync.connect(echo) as channel:
        channel.send(sent)
        assert channel.recv() == sent
        channel.send([sent, bytearray(sent), memoryview(sent)])
        assert channel.recv() == sent * 3


def test_a_burst(echo: str) -> None:
    with sync.connect(echo) as channel:

        def send_all() -> None:
            for number in range(300):
                channel.send(b"%d" % number)

        send_all()
        for number in range(300):
            assert channel.recv() == b"%d" % number


def test_plain_wire(address: str) -> None:
    with Child(ECHO, address, "{'wire': 'plain'}") as process:
        assert process.line() == "ready"
        with sync.connect(address, wire="plain") as channel:
            channel.send(b"hello")
            assert channel.recv() == b"hello"
            with pytest.raises(ValueError, match="FER_EINVAL"):
                channel.send(b"")
        assert process.end() == (0, "", "")


def test_with_asyncio_at_the_other_end(address: str) -> None:
    child = """
        import asyncio, sys, ferrule
        async def echo(channel):
            async for message in channel:
                await channel.send(message)
        async def main():
            async with ferrule.listen(sys.argv[1], echo):
                print("ready")
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        asyncio.run(main())
    """
    with Child(child, address) as process:
        assert process.line() == "ready"
        with sync.connect(address) as one, sync.connect(address) as other:
            one.send(b"one")
            other.send(b"other")
            assert (one.recv(), other.recv()) == (b"one", b"other")
        assert process.end() == (0, "", "")


def test_many_at_once_are_not_too_many() -> None:
    """A sender that keeps up does not fill the memory of who takes all that is there."""
    sizes = [300_000, 700_000, 300_000, 48_576, 2_000_000, 1]
    one, other = sync.pair()
    sending = threading.Thread(target=one.send_many, args=([bytes(size) for size in sizes],))
    sending.start()
    received: list[int] = []
    while len(received) < len(sizes):
        took = [len(message) for message in other.recv_many(timeout=60)]
        assert sum(took[:-1]) < 1 << 20
        received += took
    sending.join()
    assert received == sizes
    one.abort()
    other.abort()


def test_iteration_ends_at_the_goodbye(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    raw.sendall(message(b"one") + message(b"") + message(b"three") + goodbye())
    assert list(channel) == [b"one", b"", b"three"]
    with pytest.raises(EOFError) as caught:
        channel.recv()
    assert caught.value.status == "FER_EOF"  # type: ignore[attr-defined]
    with pytest.raises(BrokenPipeError):
        channel.send(b"x")
    channel.close()


def test_timeouts_leave_the_stream_in_step(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    whole = message(b"body")
    for cut in range(len(whole)):
        raw.sendall(whole[:cut])
        for limit in (0, 0.001):
            with pytest.raises(TimeoutError) as caught:
                channel.recv(limit)
            assert caught.value.status == "FER_ETIMEDOUT"  # type: ignore[attr-defined]
        raw.sendall(whole[cut:])
        assert channel.recv(30) == b"body"


def test_a_send_that_times_out_was_accepted(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    with pytest.raises(TimeoutError):
        channel.send(bytes(8 << 20), timeout=0.01)
    with pytest.raises(BlockingIOError):
        channel.send(b"not accepted", timeout=0.01)
    with pytest.raises(TimeoutError):
        channel.flush(0)
    expected = message(bytes(8 << 20)) + message(b"next")
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(receive_exactly(raw, len(expected))))
    reader.start()
    channel.flush()
    channel.send(b"next")
    reader.join()
    assert received == [expected]


def test_the_interpreter_is_let_go_while_a_call_waits(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    timer = threading.Timer(0.01, raw.sendall, (message(b"from another thread"),))
    timer.start()
    assert channel.recv() == b"from another thread"
    timer.join()


def test_two_threads_in_one_channel(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(channel.recv()))
    thread.start()
    # Until the thread is inside of the call.
    for _ in range(1000000):
        try:
            channel.recv(0)
        except TimeoutError:
            continue
        except ferrule.Error as failure:
            assert failure.status == "FER_EBUSY"
            break
    raw.sendall(message(b"x"))
    thread.join()
    assert received == [b"x"]


def test_fileno(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    assert select.select([channel], [], [], 0) == ([], [], [])
    raw.sendall(message(b"x"))
    assert select.select([channel], [], [], 30) == ([channel], [], [])
    assert channel.recv(0) == b"x"


def test_facts(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    assert channel.info["peer_max_message"] == 64 << 20
    assert channel.info["wire"] == "native"
    assert not channel.closed
    assert "open" in repr(channel)
    channel.abort()
    assert channel.closed
    assert "closed" in repr(channel)


def test_a_server(address: str) -> None:
    server = sync.listen(address)
    assert server.address == address
    assert address in repr(server)
    with pytest.raises(TimeoutError):
        server.accept(0.001)
    with raw_connect(address) as raw:
        raw.sendall(hello())
        channel = server.accept(30)
        channel.abort()
    # One that says garbage, and one that says nothing, do not hold up the next.
    with raw_connect(address) as garbage, raw_connect(address), raw_connect(address) as good:
        garbage.sendall(b"GET / HTTP/1.1\r\n\r\n")
        good.sendall(hello())
        accepted = server.accept(30)
        accepted.abort()
    server.close()
    server.close()
    assert server.closed
    with pytest.raises(ferrule.error.ClosedError):
        server.accept()
    assert list(server) == []
    assert not os.path.exists(path_of(address))


# --- What goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "pipe:", "nonsense:x", "pipe:relative/path"])
def test_a_malformed_address(text: str) -> None:
    for call in (sync.connect, sync.listen):
        with pytest.raises(ferrule.error.AddressError):
            call(text)


def test_nobody_listens(address: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        sync.connect(address, timeout=0.01)
    assert caught.value.errno == errno.ENOENT
    with raw_listener(address) as listener:
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            sync.connect(address, timeout=0.01)


def test_bad_options(address: str) -> None:
    for call in (sync.connect, sync.listen):
        for options, kind in (
            ({"wire": "morse"}, ValueError),
            ({"max_message": 0}, ValueError),
            ({"nonsense": 1}, TypeError),
            ({"close_timeout": -1}, ValueError),
        ):
            with pytest.raises(kind):
                call(address, **options)


def test_a_path_that_cannot_be_bound(folder: Any) -> None:
    with pytest.raises(FileNotFoundError):
        sync.listen(f"pipe:{folder}/none/s")
    with sync.listen(f"pipe:{folder}/s"):
        with pytest.raises(ferrule.Error) as caught:
            sync.listen(f"pipe:{folder}/s")
    assert caught.value.status == "FER_EADDRINUSE"


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        (message(b"cut in the middle")[:-3], "FER_ECONNRESET"),
        (b"", "FER_ECONNRESET"),
        (struct.pack(">BBHI", MESSAGE, 0, 0, 0xFFFFFFFF), "FER_EMSGSIZE"),
        (frame(9, b"unknown kind"), "FER_EPROTO"),
    ],
    ids=["middle", "end", "4GiB", "kind"],
)
def test_what_was_complete_arrives_before_the_end(
    pair: tuple[sync.Channel, socket.socket], tail: bytes, status: str
) -> None:
    channel, raw = pair
    raw.sendall(message(b"one") + message(b"two") + tail)
    raw.shutdown(socket.SHUT_WR)
    assert (channel.recv(), channel.recv()) == (b"one", b"two")
    for _ in range(2):
        with pytest.raises(ferrule.Error) as caught:
            channel.recv()
        assert caught.value.status == status
    with pytest.raises(ferrule.Error) as caught:
        channel.close()
    assert caught.value.status == status
    channel.close()


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", bytes(64)])
def test_a_server_that_does_not_speak_the_wire(address: str, first: bytes) -> None:
    with raw_listener(address) as listener:

        def answer() -> None:
            raw, _ = listener.accept()
            with raw:
                raw.sendall(first)
                raw.recv(1000)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ferrule.error.ProtocolError) as caught:
            sync.connect(address)
        assert caught.value.status == "FER_EPROTO"
        thread.join()
        with pytest.raises(TimeoutError):
            sync.connect(address, handshake_timeout=0.01)


def test_a_peer_killed_in_the_middle_of_a_message(address: str) -> None:
    child = """
        import socket, sys
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(sys.argv[1])
        raw.sendall(bytes.fromhex(sys.argv[2]))
        print("sent")
        sys.stdin.read()
    """
    data = hello() + message(b"whole") + message(b"x" * 100)[:50]
    with sync.listen(address) as server, Child(child, path_of(address), data.hex()) as process:
        channel = server.accept()
        assert channel.recv() == b"whole"
        assert process.line() == "sent"
        process.process.send_signal(signal.SIGKILL)
        with pytest.raises(ConnectionResetError):
            channel.recv()
        channel.abort()


def test_limits(address: str) -> None:
    with Child(ECHO, address, "{'max_message': 1000}") as process:
        assert process.line() == "ready"
        with sync.connect(address) as channel:
            with pytest.raises(ferrule.error.MessageSizeError):
                channel.send(bytes(1001))
            channel.send(bytes(1000))
            assert len(channel.recv()) == 1000
        process.end()


def test_a_peer_that_never_says_goodbye(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    with pytest.raises(TimeoutError):
        channel.close(0.01)
    assert channel.closed
    channel.close()


def test_calls_after_close(pair: tuple[sync.Channel, socket.socket]) -> None:
    channel, raw = pair
    channel.abort()
    for call in (
        lambda: channel.send(b"x"),
        channel.recv,
        channel.flush,
        channel.fileno,
        lambda: channel.info,
        lambda: next(channel),
    ):
        with pytest.raises(ferrule.error.ClosedError) as caught:
            call()
        assert caught.value.status == "FER_ECLOSED"


@pytest.mark.parametrize("data", ["text", 7, None, ["x"]])
def test_what_is_not_bytes_is_refused(pair: tuple[sync.Channel, socket.socket], data: Any) -> None:
    channel, raw = pair
    with pytest.raises(TypeError):
        channel.send(data)


@pytest.mark.parametrize("limit", [-1, float("nan"), "1"])
def test_a_time_that_makes_no_sense(pair: tuple[sync.Channel, socket.socket], limit: Any) -> None:
    channel, raw = pair
    with pytest.raises((ValueError, TypeError)):
        channel.recv(limit)


def test_a_channel_of_a_loop_is_refused(address: str) -> None:
    from ferrule import _ferrule

    with ferrule.Loop() as loop:
        server = _ferrule.fer_server_listen(loop._c, address, None, print)
        channel = _ferrule.fer_channel_connect(loop._c, address, None, lambda status: None)
        for call in (
            lambda: _ferrule.fer_sync_receive(channel, 0),
            lambda: _ferrule.fer_sync_send(channel, b"x", 0),
            lambda: _ferrule.fer_sync_accept(server, 0),
        ):
            with pytest.raises(NotImplementedError, match="FER_ENOTSUP"):
                call()
        _ferrule.fer_channel_unref(channel)
        _ferrule.fer_server_unref(server)


def test_in_the_child_of_a_fork(address: str) -> None:
    child = """
        import os, sys, threading, ferrule.sync
        server = ferrule.sync.listen(sys.argv[1])
        thread = threading.Thread(target=lambda: accepted.append(server.accept()))
        accepted = []
        thread.start()
        channel = ferrule.sync.connect(sys.argv[1])
        thread.join()
        pid = os.fork()
        if pid == 0:
            count = 0
            for call in (channel.recv, lambda: channel.send(b"x"), channel.close, server.accept, server.fileno, server.close):
                try:
                    call()
                except ferrule.error.ForkError:
                    count += 1
            os._exit(count)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        channel.send(b"still")
        print(accepted[0].recv())
        channel.abort()
        accepted[0].abort()
        server.close()
    """
    code, output, errors = run_child(child, address, options=("-W", "ignore"))
    assert (code, output, errors) == (0, "6\nb'still'\n", "")


def test_dropping_one_warns(address: str) -> None:
    import gc
    import warnings

    def texts() -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            holder.clear()
            gc.collect()
        return [str(warning.message) for warning in caught]

    holder: list[Any] = [sync.listen(address)]
    with raw_connect(address) as raw:
        raw.sendall(hello())
        holder.append(holder[0].accept())
        found = texts()
    assert len(found) == 2
    assert all("unclosed" in text for text in found)
    assert not os.path.exists(path_of(address))
