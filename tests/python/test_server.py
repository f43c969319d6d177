"""Servers on asyncio: handlers, many clients, the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Any

import ferrule
import pytest
from support import path_of, until


async def echo(channel: ferrule.Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def test_listen_may_be_awaited(address: str) -> None:
    server = await ferrule.listen(address, echo)
    assert server.address == address
    assert address in repr(server)
    channel = await ferrule.connect(address)
    await channel.send(b"x")
    assert await channel.recv() == b"x"
    await channel.close()
    await server.close()
    assert server.closed


async def test_connecting_in_a_task_and_in_gather(address: str) -> None:
    async with ferrule.listen(address, echo):
        one = asyncio.get_running_loop().create_task(ferrule.connect(address))
        channels = [await one, *await asyncio.gather(*(ferrule.connect(address) for _ in range(20)))]
        await asyncio.gather(*(channel.close() for channel in channels))


async def test_many_clients_at_once(address: str) -> None:
    async def client(number: int) -> None:
        async with ferrule.connect(address) as channel:
            for _ in range(10):
                await channel.send(b"%d" % number)
                assert await channel.recv() == b"%d" % number

    async with ferrule.listen(address, echo):
        await asyncio.gather(*(client(number) for number in range(100)))


async def test_the_socket_file(address: str) -> None:
    path = Path(path_of(address))
    async with ferrule.listen(address, echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_names_without_a_path() -> None:
    name = f"ferrule-test-{os.getpid()}"
    for address in (f"pipe:{name}", f"pipe:@{name}"):
        async with ferrule.listen(address, echo) as server, ferrule.connect(server.address) as channel:
            await channel.send(b"x")
            assert await channel.recv() == b"x"


async def test_channels_live_on_when_the_server_is_closed(address: str) -> None:
    server = await ferrule.listen(address, echo)
    channel = await ferrule.connect(address)
    await server.close()
    await channel.send(b"still here")
    assert await channel.recv() == b"still here"
    await channel.close()
    with pytest.raises(FileNotFoundError):
        await ferrule.connect(address, timeout=0.01)


async def test_a_block_waits_for_its_handlers(address: str) -> None:
    done: list[str] = []

    async def handler(channel: ferrule.Channel) -> None:
        async for _ in channel:
            pass
        await asyncio.sleep(0.01)
        done.append("handler")

    async with ferrule.listen(address, handler), ferrule.connect(address):
        pass
    assert done == ["handler"]


async def test_a_block_that_raises_cancels_its_handlers(address: str) -> None:
    ended: list[str] = []

    async def handler(channel: ferrule.Channel) -> None:
        try:
            await channel.recv()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    channel = None
    with pytest.raises(LookupError):
        async with ferrule.listen(address, handler) as server:
            channel = await ferrule.connect(address)
            await until(lambda: server._handlers)
            await asyncio.sleep(0)
            raise LookupError
    assert ended == ["cancelled"]
    assert channel is not None
    with pytest.raises(ConnectionResetError):
        await channel.recv()
    channel.abort()


async def test_a_handler_that_is_cancelled_before_it_begins(address: str) -> None:
    begun: list[ferrule.Channel] = []

    async def work(channel: ferrule.Channel) -> None:
        begun.append(channel)

    def handler(channel: ferrule.Channel) -> Any:
        asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in server._handlers])
        return work(channel)

    async with ferrule.listen(address, handler) as server:
        channel = await ferrule.connect(address)
        with pytest.raises(ConnectionResetError):
            await channel.recv()
        channel.abort()
    assert begun == []


async def test_serve_forever(address: str) -> None:
    server = await ferrule.listen(address, echo)
    serving = asyncio.ensure_future(server.serve_forever())
    async with ferrule.connect(address):
        pass
    assert not serving.done()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert server.closed
    await server.serve_forever()


async def test_what_a_handler_raises(address: str, failures: list[dict[str, Any]]) -> None:
    """It is reported, its channel is aborted, and the server goes on."""

    async def coroutine(channel: ferrule.Channel) -> None:
        raise LookupError("in a coroutine")

    def function(channel: ferrule.Channel) -> None:
        raise LookupError("in a function")

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    for handler in (coroutine, function):
        async with ferrule.listen(address, handler):
            for _ in range(2):
                channel = await ferrule.connect(address)
                with pytest.raises(ConnectionResetError):
                    await channel.recv()
                channel.abort()
    assert [str(context["exception"]) for context in told] == ["in a coroutine"] * 2 + ["in a function"] * 2
    assert all(isinstance(context["channel"], ferrule.Channel) for context in told)
    told.clear()


async def test_a_handler_that_ends_its_channel_itself(address: str) -> None:
    """However it does that, it is no failure."""

    async def aborts(channel: ferrule.Channel) -> None:
        channel.abort()

    async def closes(channel: ferrule.Channel) -> None:
        await channel.close()

    for handler, expected in ((aborts, ConnectionResetError), (closes, ferrule.EndOfStream)):
        async with ferrule.listen(address, handler):
            channel = await ferrule.connect(address)
            with pytest.raises(expected):
                await channel.recv()
            with contextlib.suppress(ConnectionResetError):
                await channel.close()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_what_ends_the_program_in_a_handler_comes_out(
    address: str, exception: type[BaseException], library: str
) -> None:
    from conftest import HOSTS

    def handler(channel: ferrule.Channel) -> None:
        channel.abort()
        raise exception("in a handler")

    async def main() -> None:
        async with ferrule.listen(address, handler):
            async with ferrule.connect(address) as channel:
                await channel.recv()

    host = HOSTS[library]()
    task = host.create_task(main())
    with pytest.raises(exception, match="in a handler"):
        host.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        host.run_until_complete(task)
    host.run_until_complete(asyncio.sleep(0.01))
    host.close()


async def test_a_handler_that_takes_the_channel_over(address: str) -> None:
    kept: list[ferrule.Channel] = []
    async with ferrule.listen(address, kept.append):
        channel = await ferrule.connect(address)
        await until(lambda: kept)
    await kept[0].send(b"later")
    assert await channel.recv() == b"later"
    await asyncio.gather(channel.close(), kept[0].close())


async def test_a_stale_socket_is_replaced(address: str) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path_of(address))
    assert os.path.exists(path_of(address))
    async with ferrule.listen(address, echo), ferrule.connect(address):
        pass
