"""Channels on asyncio with what goes wrong: addresses, peers, limits, threads, closing at every moment."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ferrule
import pytest
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
    raw_peer,
    until,
)


async def echo(channel: ferrule.Channel) -> None:
    async for received in channel:
        await channel.send(received)


# --- Addresses and names ---------------------------------------------------------------------------------------

MALFORMED = [
    "",
    "pipe",
    "pipe:",
    "nonsense:x",
    "pipe:relative/path",
    "pipe:-\n",
    "tcp:nowhere",
    "fd:x",
    "fifo:a",
]


@pytest.mark.parametrize("text", MALFORMED)
async def test_a_malformed_address(text: str) -> None:
    for attempt in (ferrule.connect(text), ferrule.listen(text, echo)):
        with pytest.raises(ferrule.error.AddressError) as caught:
            await attempt
        assert caught.value.status == "FER_EADDRESS"
        assert isinstance(caught.value, ValueError)
        assert "address" in str(caught.value)


@pytest.mark.parametrize("address", ["pipe:/tmp/a\0b", 7, None, ["pipe:/x"]])
async def test_what_is_no_text(address: Any) -> None:
    for attempt in (ferrule.connect(address), ferrule.listen(address, echo)):
        with pytest.raises((ValueError, TypeError)):
            await attempt


async def test_nobody_listens(address: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        await ferrule.connect(address, timeout=0.05)
    assert caught.value.errno == 2
    with raw_listener(address) as listener:
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await ferrule.connect(address, timeout=0.05)


async def test_connect_waits_for_a_listener(address: str) -> None:
    connecting = asyncio.ensure_future(ferrule.connect(address, timeout=30))
    await asyncio.sleep(0)
    async with ferrule.listen(address, echo), await connecting as channel:
        await channel.send(b"x")
        assert await channel.recv() == b"x"


async def test_a_path_that_cannot_be_bound(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(FileNotFoundError):
        await ferrule.listen(f"pipe:{folder}/none/s", echo)
    with pytest.raises(NotADirectoryError):
        await ferrule.listen(f"pipe:{folder}/file/s", echo)
    with pytest.raises(ferrule.Error) as caught:
        await ferrule.listen(f"pipe:{folder}/file", echo)
    assert caught.value.status == "FER_EADDRINUSE"
    assert (folder / "file").exists()
    with pytest.raises(ferrule.Error) as caught:
        await ferrule.listen(f"pipe:{folder}/{'n' * 300}", echo)
    assert caught.value.status == "FER_ENAMETOOLONG"


async def test_an_address_in_use_keeps_its_server(address: str) -> None:
    async with ferrule.listen(address, echo):
        with pytest.raises(ferrule.Error) as caught:
            await ferrule.listen(address, echo)
        assert caught.value.status == "FER_EADDRINUSE"
        async with ferrule.connect(address) as channel:
            await channel.send(b"x")
            assert await channel.recv() == b"x"


async def test_a_long_path(folder: Path) -> None:
    deep = folder / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    address = f"pipe:{deep}/s"
    async with ferrule.listen(address, echo), ferrule.connect(address) as channel:
        await channel.send(b"x")
        assert await channel.recv() == b"x"


# --- Options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"wire": "morse"},
        {"max_message": 0},
        {"max_message": -1},
        {"max_message": 1 << 70},
        {"max_message": 1 << 32},
        {"high_water": -5},
        {"handshake_timeout": -1},
        {"close_timeout": float("nan")},
    ],
    ids=str,
)
async def test_an_option_that_makes_no_sense(address: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        await ferrule.connect(address, **options)
    with pytest.raises(ValueError, match=r"."):
        await ferrule.listen(address, echo, **options)


async def test_an_unknown_option(address: str) -> None:
    with pytest.raises(TypeError, match="max_mesage"):
        ferrule.connect(address, max_mesage=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="time"):
        ferrule.connect(address, timeout=-1)
    with pytest.raises(TypeError):
        ferrule.listen(address, None)  # type: ignore[arg-type]


async def test_an_unknown_flag_or_field(address: str) -> None:
    from ferrule import _embed, _ferrule

    embedded = _embed.here()
    with pytest.raises(ValueError, match="FER_EINVAL"):
        _ferrule.fer_channel_connect(embedded.c, address, {"flags": 1 << 30}, print)
    with pytest.raises(TypeError, match="no such option"):
        _ferrule.fer_channel_connect(embedded.c, address, {"nonsense": 1}, print)
    with pytest.raises(ValueError, match="out of range"):
        _ferrule.fer_channel_connect(embedded.c, address, {"flags": 1 << 32}, print)
    with pytest.raises(TypeError, match="must be an int"):
        _ferrule.fer_channel_connect(embedded.c, address, {"wire": "native"}, print)
    embedded.look()


# --- Hostile and unlucky peers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "FER_EPROTO"),
        (bytes(64), "FER_EPROTO"),
        (b"\xff" * 64, "FER_EPROTO"),
        (frame(MESSAGE, b"no hello before"), "FER_EPROTO"),
        (hello(versions=(7, 9)), "FER_EVERSION"),
        (hello()[:11], "FER_ECONNRESET"),
        (b"", "FER_ECONNRESET"),
    ],
    ids=["http", "zeros", "ones", "message", "version", "half", "nothing"],
)
async def test_garbage_instead_of_hello(
    address: str, first: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    # To a server: the client is turned away, the next one is served.
    async with ferrule.listen(address, echo):
        with raw_connect(address) as raw:
            raw.sendall(first)
            raw.shutdown(socket.SHUT_WR)
            await until(lambda: caplog.records)
            assert status in caplog.text
        async with ferrule.connect(address) as channel:
            await channel.send(b"x")
            assert await channel.recv() == b"x"
    # To a client.
    with raw_listener(address) as listener:
        connecting = asyncio.ensure_future(ferrule.connect(address))
        raw, _ = await asyncio.get_running_loop().run_in_executor(None, listener.accept)
        await asyncio.get_running_loop().shutdown_default_executor()
        with raw:
            raw.sendall(first)
            raw.shutdown(socket.SHUT_WR)
            with pytest.raises(ferrule.Error) as caught:
                await connecting
    assert caught.value.status == status


async def test_a_client_that_never_says_hello(address: str, caplog: pytest.LogCaptureFixture) -> None:
    async with ferrule.listen(address, echo, handshake_timeout=0.05):
        with raw_connect(address):
            await until(lambda: caplog.records)
    assert "FER_ETIMEDOUT" in caplog.text


async def test_a_server_that_never_says_hello(address: str) -> None:
    with raw_listener(address):
        with pytest.raises(TimeoutError) as caught:
            await ferrule.connect(address, handshake_timeout=0.05)
    assert isinstance(caught.value, ferrule.Error)


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        (message(b"cut in the middle")[:-3], "FER_ECONNRESET"),
        (message(b"cut in the header")[:5], "FER_ECONNRESET"),
        (b"", "FER_ECONNRESET"),
        (goodbye(), "FER_EOF"),
        (struct.pack(">BBHI", MESSAGE, 0, 0, 0xFFFFFFFF) + b"x" * 1000, "FER_EMSGSIZE"),
        (frame(9, b"unknown kind"), "FER_EPROTO"),
        (frame(MESSAGE, b"handles that nobody asked for", handles=3), "FER_EPROTO"),
        (struct.pack(">BBHI", MESSAGE, 0, 7, 1) + b"x", "FER_EPROTO"),
        (frame(4, b"a goodbye with a payload"), "FER_EPROTO"),
    ],
    ids=["payload", "header", "end", "goodbye", "4GiB", "kind", "handles", "reserved", "goodbye-payload"],
)
async def test_what_was_complete_arrives_before_the_end(address: str, tail: bytes, status: str) -> None:
    async with raw_peer(address) as (raw, channel):
        raw.sendall(message(b"one") + message(b"") + tail)
        raw.shutdown(socket.SHUT_WR)
        assert await channel.recv() == b"one"
        assert await channel.recv() == b""
        for _ in range(2):
            with pytest.raises(ferrule.Error) as caught:
                await channel.recv()
            assert caught.value.status == status
        with pytest.raises(ferrule.Error):
            await channel.send(b"x")


async def test_kinds_from_0x80_up_are_skipped(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        raw.sendall(frame(0x80, b"future") + message(b"present"))
        assert await channel.recv() == b"present"


@pytest.mark.parametrize("wire", ["native", "plain"])
async def test_a_peer_killed_in_the_middle_of_a_message(address: str, wire: str) -> None:
    child = """
        import socket, struct, sys
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(sys.argv[1])
        raw.sendall(bytes.fromhex(sys.argv[2]))
        print("sent")
        sys.stdin.read()
    """
    first = {
        "native": hello() + message(b"whole") + message(b"x" * 100)[:50],
        "plain": struct.pack(">I", 5) + b"whole" + struct.pack(">I", 100) + b"x" * 50,
    }[wire]
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait, wire=wire):
        with Child(child, path_of(address), first.hex()) as process:
            channel = await accepted.get()
            assert await channel.recv() == b"whole"
            receiving = asyncio.ensure_future(channel.recv())
            assert process.line() == "sent"
            process.process.send_signal(signal.SIGKILL)
            with pytest.raises(ConnectionResetError) as caught:
                await receiving
            assert caught.value.status == "FER_ECONNRESET"  # type: ignore[attr-defined]
            channel.abort()


async def test_a_sender_that_waits_hears_of_the_death_of_its_peer(address: str) -> None:
    """Also when it does not receive, and so has stopped to read."""
    async with raw_peer(address, high_water=1000) as (raw, channel):
        sending = asyncio.ensure_future(asyncio.gather(*(channel.send(bytes(1 << 20)) for _ in range(5))))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not sending.done()
        raw.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await sending
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_message_over_the_limits(address: str) -> None:
    async with ferrule.listen(address, echo, max_message=1000):
        async with ferrule.connect(address, max_message=2000) as channel:
            for size in (1001, 2001):
                with pytest.raises(ferrule.error.MessageSizeError) as caught:
                    await channel.send(bytes(size))
                assert caught.value.status == "FER_EMSGSIZE"
                assert str(size) in str(caught.value)
            await channel.send(bytes(1000))
            assert await channel.recv() == bytes(1000)


async def test_a_peer_that_never_says_goodbye(address: str) -> None:
    async with raw_peer(address, close_timeout=0.05) as (raw, channel):
        await channel.send(b"x")
        with pytest.raises(TimeoutError) as caught:
            await channel.close()
        assert caught.value.status == "FER_ETIMEDOUT"  # type: ignore[attr-defined]
        raw.setblocking(True)
        rest = raw.recv(1 << 16)
        assert rest == own_hello() + message(b"x") + goodbye()


async def test_close_tells_that_the_peer_had_died(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        raw.close()
        with pytest.raises(ConnectionResetError):
            await channel.recv()
        with pytest.raises(ConnectionResetError):
            await channel.close()
        await channel.close()


# --- After close, and other threads ----------------------------------------------------------------------------


async def test_calls_after_close(address: str) -> None:
    async with ferrule.listen(address, echo) as server:
        channel = await ferrule.connect(address)
        await channel.close()
        await channel.close()
        channel.abort()
        for attempt in (channel.send(b"x"), channel.recv()):
            with pytest.raises(ferrule.error.ClosedError) as caught:
                await attempt
            assert caught.value.status == "FER_ECLOSED"
        with pytest.raises(ferrule.error.ClosedError):
            async for _ in channel:
                pass
        with pytest.raises(ferrule.error.ClosedError):
            channel.info  # noqa: B018
        await server.close()
        await server.close()
        assert not os.path.exists(path_of(address))


async def test_abort_wakes_whoever_waits(address: str) -> None:
    async with raw_peer(address, high_water=1000) as (raw, channel):
        receiving = asyncio.ensure_future(channel.recv())
        await channel.send(bytes(8 << 20))
        sending = asyncio.ensure_future(channel.send(b"x"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not sending.done()
        channel.abort()
        for waiting in (receiving, sending):
            with pytest.raises(ferrule.error.ClosedError):
                await waiting


async def test_abort_ends_a_close_that_waits(address: str) -> None:
    async with raw_peer(address) as (raw, channel):
        closing = asyncio.ensure_future(channel.close())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not closing.done()
        channel.abort()
        with pytest.raises(ferrule.error.CanceledError):
            await closing


@pytest.mark.parametrize("how", ["abort", "close"])
async def test_closing_in_a_handler(address: str, how: str) -> None:
    """A handler that is a plain function runs inside of the library's callback."""

    def end(channel: ferrule.Channel) -> None:
        if how == "abort":
            channel.abort()
        else:
            closing.append(asyncio.ensure_future(channel.close()))

    closing: list[asyncio.Future[None]] = []
    async with ferrule.listen(address, end):
        channel = await ferrule.connect(address)
        with pytest.raises(EOFError if how == "close" else ConnectionResetError):
            await channel.recv()
        await asyncio.gather(channel.close(), *closing, return_exceptions=True)


async def test_another_thread_is_refused(address: str) -> None:
    outcome: list[Any] = []

    def elsewhere(call: Callable[[], Awaitable[Any]]) -> None:
        async def run() -> None:
            try:
                await call()
            except Exception as failure:
                outcome.append(failure)

        asyncio.run(run())

    async with ferrule.listen(address, echo) as server, ferrule.connect(address) as channel:
        await channel.send(b"x")
        await channel.recv()
        calls = [channel.recv, channel.close, server.close, server.serve_forever, lambda: channel.send(b"y")]
        for call in calls:
            thread = threading.Thread(target=elsewhere, args=(call,))
            thread.start()
            thread.join()
        assert [failure.status for failure in outcome] == ["FER_ETHREAD"] * len(calls)
        await channel.send(b"x")
        assert await channel.recv() == b"x"
