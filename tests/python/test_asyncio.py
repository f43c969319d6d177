"""Channels and asyncio itself: its debug mode, timeouts at every await, many loops in many threads."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Callable

import ferrule
import pytest
import uvloop
from support import run_child


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_debug_mode_has_nothing_to_say(folder: Path, library: str) -> None:
    code, output, errors = run_child(
        """
        import asyncio, sys
        import ferrule, uvloop

        async def echo(channel):
            async for message in channel:
                await channel.send(message)

        async def lines(reader, writer):
            writer.write(await reader.readline())
            writer.close()

        async def main():
            # It complains of slow callbacks, too, which on a busy machine says nothing.
            asyncio.get_running_loop().slow_callback_duration = 60
            address, name = sys.argv[1:3]
            async with ferrule.listen(address, echo) as server:
                async with ferrule.connect(address) as channel:
                    for size in (0, 1, 70_000, 3 << 20):
                        await channel.send(bytes(size))
                        assert len(await channel.recv()) == size
                    try:
                        await asyncio.wait_for(channel.recv(), 0.01)
                    except asyncio.TimeoutError:
                        pass
            one, other = await ferrule.pair(max_handles=1)
            await one.send(b"x", handles=[sys.stdin])
            (await other.recv()).handles[0].close()
            await asyncio.gather(one.close(), other.close())
            async with await ferrule.start_pipe_server(lines, name):
                reader, writer = await ferrule.open_pipe_connection(name)
                writer.write(b"line\\n")
                print(await reader.readline())
                writer.close()
                await writer.wait_closed()

        if sys.argv[3] == "uvloop":
            uvloop.install()
        asyncio.run(main(), debug=True)
        """,
        f"pipe:{folder}/channel",
        f"{folder}/pipe",
        library,
        options=("-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning"),
    )
    assert (code, output, errors) == (0, "b'line\\n'\n", "")


async def test_a_timeout_at_every_await_leaves_the_stream_in_step(address: str) -> None:
    """A call is cut off after each number of turns; whatever it did not do is there for the next."""
    got: list[bytes] = []
    taken = asyncio.Event()

    async def take(channel: ferrule.Channel) -> None:
        async for message in channel:
            got.append(message)
            taken.set()
            await channel.send(message)

    async def cut_off(turns: int, call: Callable[[], Awaitable[Any]]) -> Any:
        task = asyncio.ensure_future(call())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            return None

    async with ferrule.listen(address, take, high_water=1):
        async with ferrule.connect(address, high_water=1) as channel:
            sent: list[bytes] = []
            received: list[bytes] = []
            for turns in range(60):
                message = b"%d:" % turns + bytes(turns * 7919)
                done = await cut_off(turns % 8, lambda message=message: send(channel, message))  # type: ignore[misc]
                if done:
                    sent.append(message)
                answer = await cut_off(turns % 9, channel.recv)
                if answer is not None:
                    received.append(answer)
            while len(received) < len(sent):
                received.append(await asyncio.wait_for(channel.recv(), 30))
            assert sent and received == sent == got


async def send(channel: ferrule.Channel, message: bytes) -> bool:
    await channel.send(message)
    return True


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout() came with 3.11")
async def test_asyncio_timeout(address: str) -> None:
    async with ferrule.listen(address, lambda channel: channels.append(channel)):
        channels: list[ferrule.Channel] = []
        channel = await ferrule.connect(address)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):  # type: ignore[attr-defined, unused-ignore]
                    await channel.recv()
        await channels[0].send(b"after all")
        assert await channel.recv() == b"after all"
        await asyncio.gather(channel.close(), channels[0].close())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_many_loops_in_many_threads(address: str, new_loop: Callable[[], Any]) -> None:
    """Every thread has a server of its own, and is a client of the next one."""
    threads, messages = 8, 200
    failures: list[BaseException] = []
    ready = threading.Barrier(threads)
    done = threading.Barrier(threads)

    async def serve(channel: ferrule.Channel) -> None:
        async for message in channel:
            await channel.send(message)

    async def main(number: int) -> None:
        loop = asyncio.get_running_loop()
        async with ferrule.listen(f"{address}{number}", serve):
            await loop.run_in_executor(None, ready.wait, 60)
            async with ferrule.connect(f"{address}{(number + 1) % threads}") as channel:
                for count in range(messages):
                    await channel.send(b"%d %d" % (number, count))
                for count in range(messages):
                    assert await channel.recv() == b"%d %d" % (number, count)
            await loop.run_in_executor(None, done.wait, 60)

    def run(number: int) -> None:
        loop = new_loop()
        try:
            loop.run_until_complete(main(number))
            loop.run_until_complete(loop.shutdown_default_executor())
        except BaseException as failure:
            failures.append(failure)
            ready.abort()
            done.abort()
        finally:
            loop.close()

    started = [threading.Thread(target=run, args=[number]) for number in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert not failures, failures
