"""Channels on asyncio and uvloop against a model: two lists of messages."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import ferrule
import model
import pytest
from conftest import HOSTS
from ferrule import _embed, channel, error
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model import LATE, SIDES, Sent, as_sent, identity
from support import descriptors

# Turns of the loop that anything takes at most; it takes far fewer.
PATIENCE = 5000

HOWS = st.sampled_from(["recv", "recv_message", "recv_many", "recv_some", "iterate"])
# Of the asyncio loop: between any two of them something may be cancelled.
STEPS = st.integers(0, 12)


class Work:
    """A call that is under way."""

    def __init__(self, what: str, call: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        self.what = what
        self.cancelled = False
        self.task = loop.create_task(call)


class Side:
    """An end of the pair, and what is expected of it."""

    def __init__(self, made: ferrule.Channel, max_handles: int) -> None:
        self.channel = made
        self.max_handles = max_handles
        self.done: list[Sent] = []  # what calls have sent that are over
        self.batch: list[bytes] = []  # what one that is under way is about to send
        self.received: list[bytes] = []  # of what the peer sent
        self.closed = False  # close() was called
        self.aborted = False
        self.corked = False
        self.work: list[Work] = []
        self.peer: Side

    @property
    def accepted(self) -> list[Sent]:
        """What was sent."""
        count = self.channel.stats().messages_out - len(self.done) if self.batch else 0
        return self.done + [(data, ()) for data in self.batch[:count]]

    @property
    def ended(self) -> bool:
        """Whether it was told to end."""
        return self.closed or self.aborted

    def sends(self) -> bool:
        """Whether a call that sends is under way."""
        return any(work.what.startswith("send") for work in self.work)

    def waits(self) -> bool:
        """Whether a call that receives is under way."""
        return any(work.what.startswith("recv") for work in self.work)


class Channels(RuleBasedStateMachine):
    """What may be done with a pair of channels, in any order."""

    host = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.serial = 0
        self.failed = False
        self.steps = 0
        self.failures: list[dict[str, Any]] = []

    @initialize(
        wire=st.sampled_from(["native", "native", "plain"]),
        max_handles=st.sampled_from([0, 3]),
        high_water=st.sampled_from([1, 1000, 1 << 20]),
        inline=st.booleans(),
    )
    def open(self, wire: str, max_handles: int, high_water: int, inline: bool) -> None:
        """Make the pair."""
        self.before = descriptors()
        self.loop = HOSTS[self.host]()
        self.loop.set_exception_handler(lambda _, context: self.failures.append(context))
        self.plain = wire == "plain"
        handles = 0 if self.plain else max_handles
        pair = self.loop.run_until_complete(
            ferrule.pair(
                wire=wire, max_handles=handles, high_water=high_water, inline=inline, close_timeout=None
            )
        )
        self.sides = [Side(made, handles) for made in pair]
        self.sides[0].peer, self.sides[1].peer = self.sides[1], self.sides[0]

    @invariant()
    def step(self) -> None:
        """Another operation was made."""
        self.steps += 1

    # --- Running -------------------------------------------------------------------------------------------

    def start(self, side: Side, what: str, call: Coroutine[Any, Any, None]) -> Work:
        """Begin a call; it is looked at when the loop turns."""
        assert self.loop is not None
        work = Work(what, call, self.loop)
        side.work.append(work)
        return work

    def turn(self, count: int = 1) -> None:
        """Turn the loop. What calls raised that they should not have comes out."""
        try:
            self.turn_once(count)
        except BaseException:
            self.failed = True
            raise

    def turn_once(self, count: int) -> None:
        """The same, and whoever fails need not end in order."""
        assert self.loop is not None
        for _ in range(count):
            self.loop.run_until_complete(asyncio.sleep(0))
            for side in self.sides:
                for work in [work for work in side.work if work.task.done()]:
                    side.work.remove(work)
                    if work.task.cancelled():
                        assert work.cancelled, f"{work.what} was cancelled by nobody"
                    else:
                        work.task.result()
                want = [sent for sent, _ in side.peer.accepted[: len(side.received)]]
                assert side.received == want, "what came is not what was sent"

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn the loop until something holds."""
        for _ in range(PATIENCE):
            if condition():
                return
            self.turn()
        self.failed = True
        raise AssertionError(f"waited in vain: {what}")

    # --- Sending -------------------------------------------------------------------------------------------

    def check_send(self, side: Side, failure: error.Error, data: bytes, handles: int) -> None:
        """Whether sending may have failed like this."""
        if isinstance(failure, error.ClosedError):
            assert side.ended
        elif isinstance(failure, error.PipeBrokenError):
            assert side.peer.ended
        elif isinstance(failure, error.ResetError):
            assert side.peer.aborted or (self.plain and side.peer.ended)
        elif isinstance(failure, error.NotSupportedError):
            assert handles > side.peer.max_handles
        elif isinstance(failure, error.InvalidArgumentError):
            assert self.plain and not data
        else:
            raise failure

    @rule(index=SIDES, size=st.sampled_from(model.SIZES), handles=st.integers(0, 4), parts=st.booleans())
    def send(self, index: int, size: int, handles: int, parts: bool) -> None:
        """One message. It waits when much is under way."""
        side = self.sides[index]
        if any(work.what == "send_many" for work in side.work):
            return  # Whose is first nobody could tell.
        self.serial += 1
        data = model.payload(self.serial, size)
        pipes = [os.pipe() for _ in range(max(0, handles - 1))]
        fds = [reading for reading, _ in pipes]

        async def call() -> None:
            found = tuple(map(identity, fds))
            try:
                await side.channel.send([data[:7], bytearray(data[7:])] if parts else data, handles=fds)
                assert not side.ended and len(fds) <= side.peer.max_handles
                side.done.append((data, found))
            except error.Error as failure:
                self.check_send(side, failure, data, len(fds))
            finally:
                for pipe in pipes:
                    for fd in pipe:
                        os.close(fd)

        work = self.start(side, "send", call())
        # A task that never began would not close them.
        self.turn()
        assert work.task.done() or not side.channel._writable or side.peer.ended

    @rule(index=SIDES, sizes=st.lists(st.sampled_from(model.SIZES[1:6]), max_size=8))
    def send_many(self, index: int, sizes: list[int]) -> None:
        """Several at a time; when it fails or is cancelled, it has sent a beginning of them."""
        side = self.sides[index]
        if side.sends():
            return
        messages = []
        for size in sizes:
            self.serial += 1
            messages.append(model.payload(self.serial, size))
        before = len(side.done)

        async def call() -> None:
            side.batch = messages
            try:
                await side.channel.send_many(iter(messages))
                assert len(side.accepted) == before + len(messages)
            except error.Error as failure:
                self.check_send(side, failure, b"x", 0)
            finally:
                side.done, side.batch = side.accepted, []

        self.start(side, "send_many", call())
        self.turn()

    @rule(index=SIDES)
    def cork(self, index: int) -> None:
        """Hold back what is sent."""
        self.call_on(index, lambda side: side.channel.cork())
        self.sides[index].corked = True

    @rule(index=SIDES)
    def uncork(self, index: int) -> None:
        """Let it go."""
        self.call_on(index, lambda side: side.channel.uncork())
        self.sides[index].corked = False

    def call_on(self, index: int, call: Callable[[Side], object]) -> None:
        """What is refused when this side has ended, and otherwise works."""
        side = self.sides[index]
        try:
            call(side)
            assert not side.ended
        except error.ClosedError:
            assert side.ended

    # --- Receiving -----------------------------------------------------------------------------------------

    def check_receive(self, side: Side, failure: error.Error, room: int | None) -> None:
        """Whether receiving may have failed like this."""
        position, peer = len(side.received), side.peer
        if isinstance(failure, error.ClosedError):
            assert side.ended
        elif isinstance(failure, error.EndOfStream):
            assert peer.ended
            # Without an abort nothing is lost.
            assert position == len(peer.accepted) or peer.aborted
            assert peer.closed or self.plain
        elif isinstance(failure, error.ResetError):
            assert peer.aborted
        elif isinstance(failure, error.InvalidArgumentError):
            assert room is not None and len(peer.accepted[position][0]) > room
        else:
            raise failure

    def take(self, side: Side, messages: list[bytes]) -> None:
        """What was received is what the peer sent next."""
        for message in messages:
            expected = side.peer.accepted[len(side.received)]
            assert type(message) is (ferrule.Message if side.max_handles else bytes)
            assert as_sent(message) == expected
            side.received.append(bytes(message))

    @rule(index=SIDES, how=HOWS)
    def receive(self, index: int, how: str) -> None:
        """Wait for a message, or for several."""
        side = self.sides[index]
        one = side.channel

        async def call() -> None:
            try:
                if how == "recv":
                    self.take(side, [await one.recv()])
                elif how == "recv_many":
                    self.take(side, await one.recv_many())
                elif how == "recv_some":
                    messages = await one.recv_many(3)
                    assert 1 <= len(messages) <= 3
                    self.take(side, messages)
                elif how == "iterate":
                    try:
                        self.take(side, [await one.__anext__()])
                    except StopAsyncIteration:
                        raise error.from_status(ferrule.errno.FER_EOF) from None
                else:
                    message = await one.recv_message()
                    assert type(message) is ferrule.Message
                    self.take(side, [message if side.max_handles else bytes(message)])
            except error.Error as failure:
                self.check_receive(side, failure, None)

        self.start(side, "recv", call())
        self.turn()

    @rule(
        index=SIDES,
        rooms=st.lists(st.sampled_from((0, 5, 2000)), max_size=2),
        hows=st.lists(HOWS, max_size=3),
    )
    def receive_at_once(self, index: int, rooms: list[int], hows: list[str]) -> None:
        """Several that wait for the same messages."""
        for room in rooms:
            self.receive_into(index, room)
        for how in hows:
            self.receive(index, how)

    @rule(index=SIDES, room=st.sampled_from((0, 5, 2000, 300_000)))
    def receive_into(self, index: int, room: int) -> None:
        """Wait for a message that fits, or does not."""
        side = self.sides[index]

        async def call() -> None:
            buffer = bytearray(room + 3)
            try:
                with memoryview(buffer) as whole:
                    size = await side.channel.recv_into(whole[:room])
                expected = side.peer.accepted[len(side.received)][0]
                assert size == len(expected) and buffer[:size] == expected
                assert not any(buffer[size:])
                side.received.append(expected)
            except error.Error as failure:
                assert not any(buffer)
                self.check_receive(side, failure, room)

        self.start(side, "recv_into", call())
        self.turn()

    # --- Cancelling, time ----------------------------------------------------------------------------------

    @precondition(lambda self: any(side.work for side in self.sides))
    @rule(data=st.data(), steps=STEPS)
    def cancel(self, data: st.DataObject, steps: int) -> None:
        """End a call that is under way, or that is just about to be done."""
        work = data.draw(st.sampled_from([work for side in self.sides for work in side.work]), "which")
        self.cancel_after(work, steps)
        self.turn(3)

    def cancel_after(self, work: Work, steps: int) -> None:
        """Between whatever two steps of the asyncio loop."""
        assert self.loop is not None
        if steps:
            self.loop.call_soon(self.cancel_after, work, steps - 1)
        elif not work.task.done():
            work.cancelled = True
            work.task.cancel()

    @rule(index=SIDES, hows=st.lists(HOWS, min_size=1, max_size=3), steps=STEPS)
    def cancel_as_a_message_comes(self, index: int, hows: list[str], steps: int) -> None:
        """Nothing is lost: the next who waits gets it, or the next who comes."""
        side = self.sides[index]
        for how in hows:
            self.receive(index, how)
        waiting = [work for work in side.work if work.what.startswith("recv")]
        if waiting:
            self.cancel_after(waiting[0], steps)
        self.send(1 - index, 12, 0, False)
        self.turn(3)

    @rule(count=st.integers(1, 20))
    def time_passes(self, count: int) -> None:
        """Let everybody do what is to be done."""
        self.turn(count)

    @rule()
    def look(self) -> None:
        """Nothing that only looks changes anything."""
        for side in self.sides:
            stats = side.channel.stats()
            assert stats.messages_out == len(side.accepted) or side.sends()
            assert stats.messages_in <= len(side.peer.accepted) or side.peer.sends()
            assert side.channel.unsent >= 0
            assert ("closed" if side.ended else "open") in repr(side.channel)
            assert side.channel.closed == side.ended
        for index in (0, 1):
            self.call_on(index, lambda side: side.channel.info)
            self.call_on(index, lambda side: side.channel.peer_credentials)

    # --- The end -------------------------------------------------------------------------------------------

    def be_busy(self, index: int, ours: int, theirs: int) -> None:
        """Something is under way when the end comes: small messages, and large ones from the peer."""
        for _ in range(ours):
            self.send(index, 1500, 0, False)
        for _ in range(theirs):
            self.send(1 - index, 300_000, 0, False)

    @precondition(lambda self: self.steps > LATE)
    @rule(index=SIDES, ours=st.sampled_from((0, 8)), theirs=st.sampled_from((0, 8)))
    def close(self, index: int, ours: int, theirs: int) -> None:
        """In order: flush, say goodbye, wait for the peer's."""
        side = self.sides[index]
        self.be_busy(index, ours, theirs)

        async def call() -> None:
            side.closed = True
            try:
                await side.channel.close()
            except error.ResetError:
                assert side.peer.aborted
            except error.CanceledError:
                assert side.aborted
            except error.PipeBrokenError:
                assert side.peer.ended

        self.start(side, "close", call())
        self.turn()

    @precondition(lambda self: self.steps > 2 * LATE)
    @rule(index=SIDES, ours=st.sampled_from((0, 8)), theirs=st.sampled_from((0, 8)))
    def abort(self, index: int, ours: int, theirs: int) -> None:
        """At once."""
        side = self.sides[index]
        self.be_busy(index, ours, theirs)
        side.aborted = True
        side.channel.abort()
        self.until(lambda: not side.work, "an end at once")

    @rule()
    def settle(self) -> None:
        """With nobody in the way, what was sent arrives, and whoever waits for it gets it."""
        for side in self.sides:
            if not side.ended:
                side.channel.uncork()
                side.corked = False
        for side in self.sides:
            peer = side.peer
            if side.ended:
                self.until(lambda side=side: not side.waits() and not side.sends(), "calls on what has ended")  # type: ignore[misc]
                continue
            if peer.aborted:
                self.until(lambda side=side: not side.sends(), "somebody who sends to nobody")  # type: ignore[misc]
            self.until(
                lambda side=side, peer=peer: (  # type: ignore[misc]
                    not side.waits()
                    or (len(side.received) >= len(peer.accepted) and not peer.ended and not peer.sends())
                ),
                "somebody who receives",
            )

    def teardown(self) -> None:
        """Everything arrives, both sides close, nothing is left."""
        if self.loop is None:
            return
        try:
            if not self.failed:
                self.finish()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            for side in self.sides:
                side.channel.abort()
            for _ in range(10):
                self.loop.run_until_complete(asyncio.sleep(0))
            left = self.loop in _embed._embedded
            self.loop.close()
        if not self.failed:
            assert not left, "the library's loop is still there"
            assert not self.failures, self.failures
            assert descriptors() == self.before

    def finish(self) -> None:
        """Take what is left, and end in order what has not ended otherwise."""
        one, other = self.sides
        self.settle()
        for side in self.sides:
            while not side.ended and not side.peer.aborted:
                if len(side.received) == len(side.peer.accepted) and not side.peer.sends():
                    break
                before = len(side.received)
                self.receive(self.sides.index(side), "recv_many")
                self.until(lambda: len(side.received) > before or not side.waits(), "what was sent")  # noqa: B023
        for index in (0, 1):
            self.close(index, 0, 0)
        self.until(lambda: not one.work and not other.work, "the end")


class ChannelsOnUvloop(Channels):
    """The same on the other loop."""

    host = "uvloop"


@pytest.mark.parametrize("machine", [Channels, ChannelsOnUvloop])
def test_channels(machine: type[Channels], monkeypatch: pytest.MonkeyPatch) -> None:
    # So that receiving pauses, and goes on, all the time.
    monkeypatch.setattr(channel, "_BYTES_WAITING", 20_000)
    monkeypatch.setattr(channel, "_MESSAGES_WAITING", 4)
    model.run(machine, 120, 50)
