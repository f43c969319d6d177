"""Bytes over pipes with the streams of asyncio."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import error


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_bytes_go_both_ways(folder: Path) -> None:
    async with await ferrule.start_pipe_server(echo, folder / "s") as server:
        assert server.name == str(folder / "s") and server.is_serving() and len(server.sockets) == 1
        assert server.get_loop() is asyncio.get_running_loop()
        assert stat.S_IMODE(os.stat(folder / "s").st_mode) == 0o600
        reader, writer = await ferrule.open_pipe_connection(folder / "s")
        writer.write(b"one line\nand some")
        assert await reader.readline() == b"one line\n"
        assert await reader.readexactly(8) == b"and some"
        data = os.urandom(3 << 20)

        async def send() -> None:
            writer.write(data)
            await writer.drain()
            writer.write_eof()

        sending = asyncio.ensure_future(send())
        assert await reader.read(-1) == data
        await sending
        await end(writer)
    assert not server.is_serving() and not os.path.exists(folder / "s")
    server.close()


async def test_names_of_all_kinds(folder: Path) -> None:
    long = folder / ("d" * 120)
    long.mkdir()
    for name in (str(long / "s"), os.fsencode(folder / "bytes"), "\0ferrule-" + folder.name):
        async with await ferrule.start_pipe_server(echo, name):
            reader, writer = await ferrule.open_pipe_connection(name)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
            await end(writer)


async def test_a_stale_file_is_replaced_and_a_live_one_is_not(folder: Path) -> None:
    name = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(name)
    async with await ferrule.start_pipe_server(echo, name, mode=0o660):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o660
        with pytest.raises(error.Error) as caught:
            await ferrule.start_pipe_server(echo, name)
        assert caught.value.status == "FER_EADDRINUSE"
        _, writer = await ferrule.open_pipe_connection(name)
        await end(writer)
    assert not os.path.exists(name)


async def test_nobody_is_there(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ferrule.open_pipe_connection(folder / "s")
    with socket.socket(socket.AF_UNIX) as quiet:
        quiet.bind(str(folder / "s"))
        with pytest.raises(ConnectionRefusedError):
            await ferrule.open_pipe_connection(folder / "s")
    os.unlink(folder / "s")
    with pytest.raises(OSError):
        await ferrule.start_pipe_server(echo, folder / "nowhere" / "s")


async def test_bad_arguments(folder: Path) -> None:
    wrong: Any
    for wrong in (None, 7, "", b""):
        with pytest.raises((TypeError, ValueError)):
            await ferrule.open_pipe_connection(wrong)
        with pytest.raises((TypeError, ValueError)):
            await ferrule.start_pipe_server(echo, wrong)
    for wrong in (None, 7):
        with pytest.raises(TypeError):
            await ferrule.start_pipe_server(wrong, folder / "s")
    async with await ferrule.start_pipe_server(echo, folder / "s"):
        with pytest.raises(ValueError):
            await ferrule.open_pipe_connection(folder / "s", limit=0)
    with pytest.raises(ValueError):
        await ferrule.start_pipe_server(echo, folder / "s", limit=0, mode=-1)


async def test_opening_that_is_cancelled_at_any_moment(folder: Path) -> None:
    """Nothing is left of it: the census of every test looks for descriptors."""
    async with await ferrule.start_pipe_server(echo, folder / "s"):
        for turns in range(12):
            task = asyncio.ensure_future(ferrule.open_pipe_connection(folder / "s"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            try:
                _, writer = await task
            except asyncio.CancelledError:
                continue
            await end(writer)


async def test_reading_goes_on_after_a_timeout(folder: Path) -> None:
    async with await ferrule.start_pipe_server(echo, folder / "s"):
        reader, writer = await ferrule.open_pipe_connection(folder / "s")
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(reader.readexactly(4), 0.01)
        writer.write(b"four")
        assert await reader.readexactly(4) == b"four"
        await end(writer)


async def test_serving_until_it_is_cancelled(folder: Path) -> None:
    server = await ferrule.start_pipe_server(echo, folder / "s")
    task = asyncio.ensure_future(server.serve_forever())
    _, writer = await ferrule.open_pipe_connection(folder / "s")
    await end(writer)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.is_serving() and not os.path.exists(folder / "s")


async def test_a_plain_function_is_called_for_each_client(folder: Path) -> None:
    writers: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    async with await ferrule.start_pipe_server(lambda _, writer: writers.put_nowait(writer), folder / "s"):
        reader, writer = await ferrule.open_pipe_connection(folder / "s")
        served = await writers.get()
        served.write(b"hello")
        await end(served)
        assert await reader.read() == b"hello"
        await end(writer)


@pytest.mark.skipif(sys.platform != "linux", reason="the peer is asked as Linux has it")
async def test_it_is_a_socket_that_others_know(folder: Path) -> None:
    async with await ferrule.start_pipe_server(echo, folder / "s"):
        _, writer = await ferrule.open_pipe_connection(folder / "s")
        sock = writer.get_extra_info("socket")
        assert sock.family == socket.AF_UNIX
        await end(writer)
        reader, writer = await asyncio.open_unix_connection(str(folder / "s"))
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await end(writer)
