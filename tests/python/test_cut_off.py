"""What opens a channel, or a server, is cancelled between any two turns of the loop: nothing is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable

import ferrule
import pytest
from conftest import HOSTS
from ferrule import _embed
from support import BUILD, descriptors, goodbye, has_children, hello, path_of, raw_listener

# It answers what its parent says, and is there at once.
CHILD = BUILD / "bin" / "ferrule_example_child"

End = Callable[[Any], Awaitable[object]]


class CountedLoop(asyncio.SelectorEventLoop):
    """Cancels a task after so many turns. A turn that has nothing to do waits for something."""

    victim: asyncio.Task[Any] | None = None
    turns = 0

    def _run_once(self) -> None:
        if self.victim is not None:
            if self.turns == 0:
                self.victim.cancel()
            self.turns -= 1
        super()._run_once()  # type: ignore[misc]


async def settle() -> None:
    """Let the library's loop end, and children be waited for."""
    for _ in range(20_000):
        if asyncio.get_running_loop() not in _embed._embedded and not has_children():
            return
        await asyncio.sleep(0)
    raise AssertionError("the library's loop, or a child, is still there")


async def cut(loop: Any, turns: int, begin: Callable[[], Coroutine[Any, Any, Any]], end: End) -> bool:
    """Cancel what ``begin()`` gives after so many turns. Whether it was cut off."""
    victim = asyncio.ensure_future(begin())
    if isinstance(loop, CountedLoop):
        loop.victim, loop.turns = victim, turns
    else:
        cancel_after(loop, victim, turns)
    try:
        opened = await victim
    except asyncio.CancelledError:
        cancelled = True
    else:
        cancelled = False
        await end(opened)
    finally:
        if isinstance(loop, CountedLoop):
            loop.victim = None
    await settle()
    return cancelled


def cancel_after(loop: asyncio.AbstractEventLoop, victim: asyncio.Task[Any], turns: int) -> None:
    """The same on uvloop, whose turns do not wait then."""
    if turns:
        loop.call_soon(cancel_after, loop, victim, turns - 1)
    else:
        victim.cancel()


def turns_of(host: str) -> list[int]:
    """After how many it is cancelled. Those of uvloop pass without waiting, so that there are many."""
    if host == "asyncio":
        return list(range(400))
    return [*range(30), *(2**power for power in range(5, 30))]


def cut_everywhere(
    host: str, begin: Callable[[], Coroutine[Any, Any, Any]], end: End, left: Callable[[], object] = bool
) -> int:
    """Cut it off after no turn, after one and so on, until it is done before. How often it was."""
    before = descriptors()
    for times, turns in enumerate(turns_of(host)):
        failures: list[dict[str, Any]] = []
        loop = CountedLoop() if host == "asyncio" else HOSTS[host]()
        loop.set_exception_handler(lambda _, context: failures.append(context))  # noqa: B023
        try:
            # Children are waited for by the loop of the main thread, where there is such a thing.
            asyncio.set_event_loop(loop)
            cancelled = loop.run_until_complete(asyncio.wait_for(cut(loop, turns, begin, end), 60))
            assert not asyncio.all_tasks(loop)
        finally:
            asyncio.set_event_loop(None)
            loop.close()
        assert not failures, failures
        assert descriptors() == before, f"after {turns} turns"
        assert not has_children() and not left(), f"after {turns} turns"
        if not cancelled:
            return times
    raise AssertionError("it never came to its end")


both_hosts = pytest.mark.parametrize("host", list(HOSTS))


async def close(*opened: Any) -> None:
    """End what was opened after all."""
    await asyncio.gather(*(each.close() for each in opened))


@both_hosts
def test_spawn_is_cut_off(host: str) -> None:
    async def begin() -> ferrule.Child:
        return await ferrule.spawn(CHILD)

    async def end(child: ferrule.Child) -> None:
        async with child:
            await child.channel.send(b"x")
            assert await child.channel.recv() == b"x"

    assert cut_everywhere(host, begin, end) > 3


@both_hosts
def test_a_block_around_a_child_is_cut_off(host: str) -> None:
    async def begin() -> int | None:
        async with ferrule.spawn(CHILD) as child:
            await child.channel.send(b"x")
            assert await child.channel.recv() == b"x"
        return child.returncode

    async def end(code: int | None) -> None:
        assert code == 0

    assert cut_everywhere(host, begin, end) > 6


@both_hosts
def test_spawning_what_is_not_there_is_cut_off(host: str) -> None:
    async def begin() -> str:
        try:
            await ferrule.spawn("no-such-program")
        except FileNotFoundError:
            return "none"
        raise AssertionError

    async def end(what: str) -> None:
        assert what == "none"

    assert cut_everywhere(host, begin, end) >= 1


@both_hosts
def test_parent_is_cut_off(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[socket.socket] = []

    async def begin() -> ferrule.Channel:
        ours, theirs = socket.socketpair()
        ours.sendall(hello() + goodbye())
        ends.append(ours)
        monkeypatch.setenv("FERRULE_CHANNEL", f"fd:{theirs.detach()}")
        return await ferrule.parent()

    def left() -> bool:
        """The descriptor is the channel's as soon as the variable is gone, and goes with it."""
        for end in ends:
            end.close()
        ends.clear()
        return "FERRULE_CHANNEL" in os.environ

    # It is looked at after the descriptors were: close the other end in time.
    async def begin_and_close() -> ferrule.Channel:
        try:
            return await begin()
        finally:
            left()

    assert cut_everywhere(host, begin_and_close, abandon, left) >= 1


async def abandon(channel: ferrule.Channel) -> None:
    """End a channel whose peer is gone."""
    await channel._abandon()


@both_hosts
def test_listen_is_cut_off(host: str, address: str) -> None:
    async def begin() -> ferrule.Server:
        return await ferrule.listen(address, print)

    assert cut_everywhere(host, begin, close, lambda: os.path.exists(path_of(address))) >= 1


@both_hosts
def test_serving_is_cut_off(host: str, address: str) -> None:
    """Listening, connecting, answering, closing, draining: wherever it is."""

    async def echo(channel: ferrule.Channel) -> None:
        try:
            async for message in channel:
                await channel.send(message)
        except ConnectionError:
            channel.abort()

    async def begin() -> bytes:
        async with ferrule.listen(address, echo) as server:
            async with ferrule.connect(address) as channel:
                await channel.send(b"x")
                answer = await channel.recv()
            await server.drain()
        return answer

    async def end(answer: bytes) -> None:
        assert answer == b"x"

    assert cut_everywhere(host, begin, end, lambda: os.path.exists(path_of(address))) > 6


@both_hosts
def test_pair_is_cut_off(host: str) -> None:
    async def begin() -> tuple[ferrule.Channel, ...]:
        return await ferrule.pair()

    async def end(channels: tuple[ferrule.Channel, ...]) -> None:
        await close(*channels)

    assert cut_everywhere(host, begin, end) > 1


@both_hosts
def test_connect_is_cut_off(host: str, address: str) -> None:
    with raw_listener(address) as listener:
        accepted: list[socket.socket] = []

        def accept() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(hello() + goodbye())
            accepted.append(connection)

        async def begin() -> ferrule.Channel:
            asyncio.get_running_loop().add_reader(listener, accept)
            try:
                return await ferrule.connect(address)
            finally:
                asyncio.get_running_loop().remove_reader(listener)
                # One that was cut off may wait there, and has nothing to say.
                while select.select([listener], [], [], 0)[0]:
                    accept()
                for connection in accepted:
                    connection.close()
                accepted.clear()

        assert cut_everywhere(host, begin, abandon) > 1
