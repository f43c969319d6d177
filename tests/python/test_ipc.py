"""``ferrule.ipc``: what the ten names of aea's module are, and what is mended."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import ipc
from support import Child, until

SIZES = [1, 4, 4091, 4096, 65531, 65532, 65533, 65537, 219263, 1 << 20]

Two = tuple[ipc.IPCChannel, ipc.IPCChannelClient]


def over_fifos() -> Two:
    channel = ipc.PosixNamedPipeChannel()
    return channel, ipc.PosixNamedPipeChannelClient(channel.out_path, channel.in_path)


def over_tcp() -> Two:
    channel = ipc.TCPSocketChannel()
    return channel, ipc.TCPSocketChannelClient(channel.out_path, channel.in_path)


BOTH = pytest.mark.parametrize("make", [over_fifos, over_tcp])


async def connected(make: Callable[[], Two]) -> Two:
    two = make()
    assert await asyncio.gather(*(side.connect() for side in two)) == [True, True]
    return two


async def close_all(*sides: Any) -> None:
    await asyncio.gather(*(side.close() for side in sides))


async def streams() -> tuple[ipc.TCPSocketProtocol, ipc.TCPSocketProtocol]:
    """Two protocols on the streams of one connection."""
    sides = []
    for end in socket.socketpair():
        reader, writer = await asyncio.open_unix_connection(sock=end)
        sides.append(ipc.TCPSocketProtocol(reader, writer))
    return sides[0], sides[1]


async def raw_stream() -> tuple[ipc.TCPSocketProtocol, socket.socket]:
    one, other = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=one)
    return ipc.TCPSocketProtocol(reader, writer), other


# --- Names and signatures ----------------------------------------------------------------------------------------

MADE = {
    "PosixNamedPipeProtocol": ["in_path", "out_path", "logger", "loop"],
    "TCPSocketProtocol": ["reader", "writer", "logger", "loop"],
    "TCPSocketChannel": ["logger", "loop"],
    "PosixNamedPipeChannel": ["logger", "loop"],
    "TCPSocketChannelClient": ["in_path", "out_path", "logger", "loop"],
    "PosixNamedPipeChannelClient": ["in_path", "out_path", "logger", "loop"],
    "make_ipc_channel": ["logger", "loop"],
    "make_ipc_channel_client": ["in_path", "out_path", "logger", "loop"],
}
METHODS = {"connect": ["timeout"], "write": ["data"], "read": [], "close": []}


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


def test_the_names_and_signatures_are_those_of_aea() -> None:
    for name, expected in MADE.items():
        assert parameters(getattr(ipc, name)) == expected, name
        required = [
            p.name for p in inspect.signature(getattr(ipc, name)).parameters.values() if p.default is p.empty
        ]
        assert required == [name for name in expected if name not in ("logger", "loop")]
    for name in ["IPCChannelClient", "IPCChannel", *(name for name in MADE if name[0].isupper())]:
        for method, expected in METHODS.items():
            if name != "TCPSocketProtocol" or method != "connect":
                function = getattr(getattr(ipc, name), method)
                assert inspect.iscoroutinefunction(function)
                assert parameters(function) == expected
    assert inspect.signature(ipc.IPCChannelClient.connect).parameters["timeout"].default == 10.0
    for name in ("IPCChannel", "TCPSocketChannel", "PosixNamedPipeChannel"):
        assert isinstance(getattr(ipc, name).in_path, property)
        assert isinstance(getattr(ipc, name).out_path, property)
    for name in ("TCPSocketChannel", "PosixNamedPipeChannel"):
        assert issubclass(getattr(ipc, name), ipc.IPCChannel)
    for name in ("IPCChannel", "TCPSocketChannelClient", "PosixNamedPipeChannelClient"):
        assert issubclass(getattr(ipc, name), ipc.IPCChannelClient)
    assert isinstance(ipc.TCPSocketProtocol.writer, property)


@pytest.mark.parametrize("kind", [ipc.IPCChannel, ipc.IPCChannelClient])
def test_what_is_abstract_is_not_made(kind: Any) -> None:
    with pytest.raises(TypeError):
        kind()


async def test_make_ipc_channel(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mine")
    caplog.set_level(logging.DEBUG)
    channel = ipc.make_ipc_channel(logger, asyncio.get_running_loop())
    assert isinstance(channel, ipc.PosixNamedPipeChannel)
    client = ipc.make_ipc_channel_client(channel.out_path, channel.in_path, loop=asyncio.get_running_loop())
    assert isinstance(client, ipc.PosixNamedPipeChannelClient)
    assert [*await asyncio.gather(channel.connect(), client.connect())] == [True, True]
    await client.write(b"secret")
    assert await channel.read() == b"secret"
    await close_all(channel, client)
    assert any(record.name == "mine" for record in caplog.records) or not caplog.records
    assert "secret" not in caplog.text


def test_ports_make_tcp_clients() -> None:
    for text in ("4711", "127.0.0.1:4711", "localhost:4711"):
        assert isinstance(ipc.make_ipc_channel_client(text, text), ipc.TCPSocketChannelClient)
    with pytest.raises(ValueError, match="nonsense"):
        ipc.TCPSocketChannelClient("127.0.0.1:nonsense", "")


# --- Messages ----------------------------------------------------------------------------------------------------


@BOTH
async def test_messages_of_every_size_both_ways(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    for size in SIZES:
        data = os.urandom(size)
        await channel.write(data)
        assert await client.read() == data
        await client.write(data)
        assert await channel.read() == data
    await close_all(channel, client)


@BOTH
async def test_a_burst_without_a_reader_waits_and_loses_nothing(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)

    async def write_all() -> None:
        for number in range(1000):
            await channel.write(b"%04d" % number * 10000)

    writing = asyncio.ensure_future(write_all())
    for _ in range(100):
        await asyncio.sleep(0)
    assert not writing.done()
    for number in range(1000):
        assert await client.read() == b"%04d" % number * 10000
    await writing
    await close_all(channel, client)


@BOTH
async def test_the_end_is_none_and_stays(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    await client.write(b"last")
    closing = asyncio.ensure_future(client.close())
    assert await channel.read() == b"last"
    assert [await channel.read(), await channel.read()] == [None, None]
    await channel.close()
    await closing


@BOTH
async def test_an_empty_message_is_refused_and_is_no_goodbye(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    with pytest.raises(ValueError, match="FER_EINVAL"):
        await client.write(b"")
    await client.write(b"x")
    assert await channel.read() == b"x"
    await close_all(channel, client)


@BOTH
async def test_a_cancelled_read_raises_and_loses_nothing(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(channel.read(), 0.01)
    reading = asyncio.ensure_future(channel.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await client.write(b"x" * 300000)
    assert await channel.read() == b"x" * 300000
    await close_all(channel, client)


@BOTH
async def test_a_read_that_waits_ends_when_this_side_closes(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    reading = asyncio.ensure_future(channel.read())
    await asyncio.sleep(0)
    await close_all(channel, client)
    assert await reading is None


@BOTH
async def test_several_at_once_and_one_after_the_other(make: Callable[[], Two]) -> None:
    for _ in range(3):
        pairs = [await connected(make) for _ in range(5)]
        for number, (channel, _) in enumerate(pairs):
            await channel.write(b"%d" % number)
        for number, (_, client) in enumerate(pairs):
            assert await client.read() == b"%d" % number
        await close_all(*(side for two in pairs for side in two))


# --- Connecting --------------------------------------------------------------------------------------------------


@BOTH
async def test_a_timeout_is_kept_and_another_try_succeeds(make: Callable[[], Two]) -> None:
    channel, client = make()
    for _ in range(12):
        assert not await channel.connect(0.001)
    assert not await channel.connect(0)
    if make is over_fifos:
        for _ in range(12):
            assert not await client.connect(0.001)
    assert [*await asyncio.gather(channel.connect(), client.connect())] == [True, True]
    await client.write(b"x")
    assert await channel.read() == b"x"
    await close_all(channel, client)


@BOTH
async def test_calls_in_the_wrong_state(make: Callable[[], Two]) -> None:
    channel, client = make()
    for side in (channel, client):
        for attempt in (side.read(), side.write(b"x")):
            with pytest.raises(ValueError, match="FER_ENOTCONN"):
                await attempt
    connecting = asyncio.ensure_future(channel.connect())
    await asyncio.sleep(0)
    with pytest.raises(ferrule.Error, match="FER_EALREADY"):
        await channel.connect()
    assert [await client.connect(), await connecting] == [True, True]
    with pytest.raises(ferrule.Error, match="FER_EISCONN"):
        await client.connect()
    await close_all(channel, client)
    for side in (channel, client):
        await side.close()
        for attempt in (side.read(), side.write(b"x")):
            with pytest.raises(ValueError, match="FER_ENOTCONN"):
                await attempt
        with pytest.raises(ferrule.error.ClosedError):
            await side.connect()


@BOTH
async def test_a_cancelled_connect_leaves_nothing(make: Callable[[], Two]) -> None:
    channel, client = make()
    connecting = asyncio.ensure_future(channel.connect(60))
    for _ in range(5):
        await asyncio.sleep(0)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert [*await asyncio.gather(channel.connect(), client.connect())] == [True, True]
    await close_all(channel, client)


@BOTH
async def test_closing_while_it_connects(make: Callable[[], Two]) -> None:
    channel, client = make()
    connecting = asyncio.ensure_future(channel.connect(0.05))
    for _ in range(5):
        await asyncio.sleep(0)
    await channel.close()
    assert await connecting is False
    await client.close()


# --- What is made, and removed -----------------------------------------------------------------------------------


async def test_the_fifos_are_private_and_go_away() -> None:
    channel = ipc.PosixNamedPipeChannel()
    folder = Path(channel.in_path).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (channel.in_path, channel.out_path):
        assert stat.S_ISFIFO(os.stat(path).st_mode)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    await channel.close()
    await channel.close()
    assert not folder.exists()


async def test_only_what_was_made_is_removed() -> None:
    channel = ipc.PosixNamedPipeChannel()
    folder = Path(channel.in_path).parent
    os.unlink(channel.in_path)
    Path(channel.in_path).write_text("somebody else's")
    await channel.close()
    assert os.listdir(folder) == [Path(channel.in_path).name]
    os.unlink(channel.in_path)
    folder.rmdir()


async def test_what_is_dropped_is_removed() -> None:
    channel, _ = over_fifos()
    folder = Path(channel.in_path).parent
    del channel
    gc.collect()
    assert not folder.exists()


def test_what_is_left_at_the_end_of_the_interpreter_is_removed_by_its_process_only() -> None:
    code = """
        import os, sys
        from ferrule import ipc
        channel = ipc.make_ipc_channel()
        child = os.fork()
        if not child:
            del channel
            os._exit(0)
        os.waitpid(child, 0)
        print(os.path.exists(channel.in_path), os.path.dirname(channel.in_path))
    """
    with Child(code) as process:
        there, folder = process.line().split(maxsplit=1)
        assert process.end()[0] == 0
    assert there == "True"
    assert not os.path.exists(folder)


async def test_a_port_is_bound_from_the_beginning_and_one_peer_is_served() -> None:
    channel, client = over_tcp()
    assert channel.in_path == channel.out_path
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind(("127.0.0.1", int(channel.in_path)))
    assert await client.connect()  # It waits to be accepted.
    second = ipc.TCPSocketChannelClient(channel.out_path, channel.in_path)
    assert await channel.connect()
    assert not await second.connect(0.01)
    assert isinstance(second.last_exception, ConnectionRefusedError)
    await client.write(b"x")
    assert await channel.read() == b"x"
    await close_all(channel, client, second)


async def test_of_two_peers_that_come_at_once_one_is_served() -> None:
    channel, client = over_tcp()
    second = ipc.TCPSocketChannelClient(channel.out_path, channel.in_path)
    assert await client.connect()
    assert await second.connect()
    assert await channel.connect()
    await channel.write(b"for one")
    ends = await asyncio.gather(client.read(), second.read(), return_exceptions=True)
    assert ends[0] == b"for one"
    assert ends[1] is None or isinstance(ends[1], ConnectionResetError)
    await close_all(channel, client, second)


async def test_what_is_wrong_with_a_place(folder: Path) -> None:
    """A client says that it is not connected, and keeps the reason; the others raise it."""
    (folder / "file").write_text("")
    os.mkfifo(folder / "fifo")
    client = ipc.PosixNamedPipeChannelClient(f"{folder}/fifo", f"{folder}/file")
    assert not await client.connect(0.01)
    assert isinstance(client.last_exception, ferrule.Error)
    assert client.last_exception.status == "FER_EPROTOTYPE"
    with pytest.raises(ferrule.Error, match="FER_EPROTOTYPE"):
        await ipc.PosixNamedPipeProtocol(f"{folder}/fifo", f"{folder}/file").connect(0.01)
    away = ipc.TCPSocketChannelClient("192.0.2.1:1", "")
    assert not await away.connect(0.01)
    assert isinstance(away.last_exception, PermissionError)


# --- The end -----------------------------------------------------------------------------------------------------


@BOTH
async def test_a_peer_that_never_answers_is_left_after_a_while(
    make: Callable[[], Two], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferrule._ipc.ANSWER_TIME", 0.02)
    channel, client = await connected(make)
    await channel.write(b"x")
    await channel.close()
    assert await client.read() == b"x"
    assert await client.read() is None
    await client.close()


async def silent_peer(channel: ipc.IPCChannel) -> list[Any]:
    """Connect a channel to somebody who never reads; gives what is to be closed."""
    connecting = asyncio.ensure_future(channel.connect())
    raw: list[Any]
    if isinstance(channel, ipc.TCPSocketChannel):
        raw = [socket.create_connection(("127.0.0.1", int(channel.in_path)))]
    else:
        raw = [
            open(channel.out_path, "rb", opener=lambda path, _: os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        ]
        await until(lambda: connecting.done())
        raw.append(open(channel.in_path, "wb", buffering=0))
    assert await connecting
    return raw


@pytest.mark.parametrize("make", [ipc.PosixNamedPipeChannel, ipc.TCPSocketChannel])
async def test_close_raises_when_not_everything_was_taken(
    make: Callable[[], ipc.IPCChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferrule._ipc.FLUSH_TIME", 0.05)
    channel = make()
    raw = await silent_peer(channel)
    await channel.write(bytes(32 << 20))
    with pytest.raises(TimeoutError) as caught:
        await channel.close()
    assert isinstance(caught.value, ferrule.Error)
    assert caught.value.unsent > 16 << 20
    for end in raw:
        end.close()


@BOTH
async def test_close_waits_for_a_slow_reader(make: Callable[[], Two]) -> None:
    channel, client = await connected(make)
    await channel.write(bytes(8 << 20))
    closing = asyncio.ensure_future(channel.close())
    assert await client.read() == bytes(8 << 20)
    assert await client.read() is None
    await client.close()
    await closing


async def test_a_peer_that_dies_in_the_middle_of_a_message(folder: Path) -> None:
    for name in ("in", "out"):
        os.mkfifo(folder / name)
    pipe = ipc.PosixNamedPipeProtocol(f"{folder}/in", f"{folder}/out")
    connecting = asyncio.ensure_future(pipe.connect())
    reader = os.open(folder / "out", os.O_RDONLY | os.O_NONBLOCK)
    await until(lambda: connecting.done())
    writer = os.open(folder / "in", os.O_WRONLY)
    os.write(writer, struct.pack(">I", 5) + b"whole" + struct.pack(">I", 100) + b"half")
    os.close(writer)
    os.close(reader)
    assert await pipe.read() == b"whole"
    with pytest.raises(ConnectionResetError):
        await pipe.read()
    await pipe.close()


# --- A protocol on streams of asyncio ----------------------------------------------------------------------------


async def test_a_protocol_on_streams_carries_every_size() -> None:
    one, other = await streams()
    assert isinstance(one.writer, asyncio.StreamWriter)
    for size in [*SIZES, 8 << 20]:
        data = bytearray(os.urandom(size))
        writing = asyncio.ensure_future(one.write(data))
        assert await other.read() == bytes(data)
        await writing
    closing = asyncio.ensure_future(one.close())
    assert [await other.read(), await other.read()] == [None, None]
    await other.close()
    await closing
    await one.close()
    for attempt in (one.read(), one.write(b"x")):
        with pytest.raises(ValueError, match="FER_ENOTCONN"):
            await attempt


async def test_a_read_of_streams_cancelled_between_header_and_body() -> None:
    protocol, raw = await raw_stream()
    whole = struct.pack(">I", 4) + b"body"
    with raw:
        for cut in range(len(whole)):
            raw.sendall(whole[:cut])
            reading = asyncio.ensure_future(protocol.read())
            for _ in range(5):
                await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            raw.sendall(whole[cut:])
            assert await protocol.read() == b"body"
        raw.shutdown(socket.SHUT_WR)
        assert await protocol.read() is None
        await protocol.close()


@pytest.mark.parametrize(
    ("bytes_", "status"),
    [
        (struct.pack(">I", 100) + b"half", "FER_ECONNRESET"),
        (b"\0\0", "FER_ECONNRESET"),
        (b"\xff\xff\xff\xff" + bytes(1000), "FER_EMSGSIZE"),
        (struct.pack(">I", (64 << 20) + 1), "FER_EMSGSIZE"),
        (struct.pack(">I", 0) + b"more", None),
        (b"", None),
    ],
    ids=["body", "header", "4GiB", "limit+1", "goodbye", "end"],
)
async def test_how_streams_end(bytes_: bytes, status: str | None) -> None:
    protocol, raw = await raw_stream()
    with raw:
        raw.sendall(struct.pack(">I", 5) + b"whole" + bytes_)
        raw.shutdown(socket.SHUT_WR)
        assert await protocol.read() == b"whole"
        for _ in range(2):
            if status is None:
                assert await protocol.read() is None
                continue
            with pytest.raises(ferrule.Error) as caught:
                await protocol.read()
            assert caught.value.status == status
            if status == "FER_ECONNRESET":
                break
        await protocol.close()


async def test_what_streams_refuse_to_write() -> None:
    one, other = await streams()
    refused: list[tuple[Any, type[Exception]]] = [
        (b"", ValueError),
        ("text", TypeError),
        (bytes((64 << 20) + 1), ferrule.error.MessageSizeError),
    ]
    for data, kind in refused:
        with pytest.raises(kind):
            await one.write(data)
    await one.write(b"next")
    assert await other.read() == b"next"
    await close_all(one, other)


async def test_two_readers_and_two_writers_on_streams_take_turns() -> None:
    one, other = await streams()
    reading = [asyncio.ensure_future(other.read()) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.gather(one.write(b"a"), one.write(b"b"))
    assert await asyncio.gather(*reading) == [b"a", b"b"]
    big = [bytes([fill]) * (4 << 20) for fill in (1, 2)]
    writing = asyncio.gather(*(one.write(data) for data in big))
    assert [await other.read(), await other.read()] == big
    await writing
    await close_all(one, other)


@pytest.mark.parametrize("dies", [False, True], ids=["silent", "dead"])
async def test_streams_say_what_was_not_taken(dies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dies:
        monkeypatch.setattr("ferrule._ipc.FLUSH_TIME", 0.05)
    protocol, raw = await raw_stream()
    writing = asyncio.ensure_future(protocol.write(bytes(16 << 20)))
    await asyncio.sleep(0)
    closing: Awaitable[None] = asyncio.ensure_future(protocol.close())
    await asyncio.sleep(0)
    if dies:
        raw.close()
    with pytest.raises(ConnectionResetError if dies else TimeoutError) as caught:
        await closing
    assert isinstance(caught.value, ferrule.Error)
    assert caught.value.unsent > 8 << 20
    await asyncio.gather(writing, return_exceptions=True)
    raw.close()
