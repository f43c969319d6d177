"""Channels without a loop against a model: two lists of messages. Nothing ever waits: one thread has both ends."""

from __future__ import annotations

import os
import select

import ferrule
import model
from ferrule import error, sync
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from model import LATE, SIDES, Sent, as_sent, identity
from support import descriptors

HOWS = st.sampled_from(["recv", "recv_message", "recv_many", "recv_some"])


class End:
    """An end of the pair, and what is expected of it."""

    def __init__(self, made: sync.Channel, max_handles: int) -> None:
        self.channel = made
        self.max_handles = max_handles
        self.accepted: list[Sent] = []
        self.taken = 0  # of what the peer has sent
        self.flushed = True  # the kernel has all that was accepted
        self.whole = True  # it had when this side closed
        self.closed = False
        self.aborted = False
        self.peer: End

    @property
    def ended(self) -> bool:
        """Whether it was told to end."""
        return self.closed or self.aborted


class SyncChannels(RuleBasedStateMachine):
    """What may be done with a pair of channels, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[End] | None = None
        self.serial = 0
        self.steps = 0

    @initialize(
        wire=st.sampled_from(["native", "native", "plain"]),
        max_handles=st.sampled_from([0, 3]),
        inline=st.booleans(),
    )
    def open(self, wire: str, max_handles: int, inline: bool) -> None:
        """Make the pair."""
        self.before = descriptors()
        self.plain = wire == "plain"
        handles = 0 if self.plain else max_handles
        self.ends = [End(made, handles) for made in sync.pair(wire=wire, max_handles=handles, inline=inline)]
        self.ends[0].peer, self.ends[1].peer = self.ends[1], self.ends[0]

    def end(self, index: int) -> End:
        """One of the two."""
        assert self.ends is not None
        self.steps += 1
        return self.ends[index]

    # --- Sending -------------------------------------------------------------------------------------------

    def check_send(self, end: End, failure: error.Error, data: bytes, handles: int) -> None:
        """Whether sending may have failed like this: then nothing was accepted."""
        if isinstance(failure, error.ClosedError):
            assert end.ended
        elif isinstance(failure, error.WouldBlockError):
            assert not end.flushed
        elif isinstance(failure, (error.PipeBrokenError, error.ResetError)):
            assert end.peer.ended
        elif isinstance(failure, error.NotSupportedError):
            assert handles > end.peer.max_handles
        elif isinstance(failure, error.InvalidArgumentError):
            assert self.plain and not data
        else:
            raise failure

    @rule(index=SIDES, size=st.sampled_from(model.SIZES), handles=st.integers(0, 4), parts=st.booleans())
    def send(self, index: int, size: int, handles: int, parts: bool) -> None:
        """One message; what the kernel does not take is kept."""
        end = self.end(index)
        self.serial += 1
        data = model.payload(self.serial, size)
        pipes = [os.pipe() for _ in range(max(0, handles - 1))]
        fds = [reading for reading, _ in pipes]
        sent = (data, tuple(map(identity, fds)))
        try:
            end.channel.send([data[:7], bytearray(data[7:])] if parts else data, 0, handles=fds)
            end.accepted.append(sent)
            end.flushed = True
        except error.TimedOutError:
            end.accepted.append(sent)
            end.flushed = False
        except error.Error as failure:
            self.check_send(end, failure, data, len(fds))
        else:
            assert not end.ended
        finally:
            for pipe in pipes:
                for fd in pipe:
                    os.close(fd)

    @rule(index=SIDES, sizes=st.lists(st.sampled_from(model.SIZES[1:]), max_size=8))
    def send_many(self, index: int, sizes: list[int]) -> None:
        """Several; when one does not go, those before it have gone."""
        end = self.end(index)
        messages = []
        for size in sizes:
            self.serial += 1
            messages.append(model.payload(self.serial, size))
        before = end.channel.stats().messages_out
        try:
            end.channel.send_many(messages, 0)
            end.flushed = end.flushed or bool(messages)
        except error.TimedOutError:
            end.flushed = False
        except error.Error as failure:
            self.check_send(end, failure, b"x", 0)
        count = end.channel.stats().messages_out - before
        end.accepted += [(data, ()) for data in messages[:count]]

    @rule(index=SIDES)
    def flush(self, index: int) -> None:
        """What is kept goes as far as the kernel takes it."""
        end = self.end(index)
        try:
            end.channel.flush(0)
            assert not end.ended
            end.flushed = True
        except error.TimedOutError:
            assert not end.flushed
        except error.Error as failure:
            self.check_send(end, failure, b"x", 0)

    # --- Receiving -----------------------------------------------------------------------------------------

    def check_receive(self, end: End, failure: error.Error, room: int | None) -> None:
        """Whether receiving may have failed like this: then nothing was taken."""
        peer = end.peer
        if isinstance(failure, error.ClosedError):
            assert end.ended
        elif isinstance(failure, error.TimedOutError):
            # What the kernel has is there.
            assert end.taken == len(peer.accepted) or not peer.flushed
            assert not peer.ended or not peer.whole
        elif isinstance(failure, error.EndOfStream):
            assert peer.ended and (peer.closed or self.plain)
            assert end.taken == len(peer.accepted) or not peer.whole
        elif isinstance(failure, error.ResetError):
            assert peer.aborted or not peer.whole
        elif isinstance(failure, error.InvalidArgumentError):
            assert room is not None and len(peer.accepted[end.taken][0]) > room
        else:
            raise failure

    def take(self, end: End, messages: list[bytes]) -> None:
        """What was received is what the peer sent next."""
        assert not end.ended
        for message in messages:
            assert type(message) is (ferrule.Message if end.max_handles else bytes)
            assert as_sent(message) == end.peer.accepted[end.taken]
            end.taken += 1

    @rule(index=SIDES, how=HOWS)
    def receive(self, index: int, how: str) -> None:
        """A message that is there, or several."""
        end = self.end(index)
        try:
            if how == "recv":
                self.take(end, [end.channel.recv(0)])
            elif how == "recv_many":
                self.take(end, end.channel.recv_many(timeout=0))
            elif how == "recv_some":
                messages = end.channel.recv_many(3, 0)
                assert 1 <= len(messages) <= 3
                self.take(end, messages)
            else:
                message = end.channel.recv_message(0)
                assert type(message) is ferrule.Message
                self.take(end, [message if end.max_handles else bytes(message)])
        except error.Error as failure:
            self.check_receive(end, failure, None)

    @rule(index=SIDES, room=st.sampled_from((0, 5, 2000, 300_000)))
    def receive_into(self, index: int, room: int) -> None:
        """A message that fits, or does not."""
        end = self.end(index)
        buffer = bytearray(room + 3)
        try:
            with memoryview(buffer) as whole:
                size = end.channel.recv_into(whole[:room], 0)
            expected = end.peer.accepted[end.taken][0]
            assert size == len(expected) and buffer[:size] == expected
            assert not any(buffer[size:])
            end.taken += 1
        except error.Error as failure:
            assert not any(buffer)
            self.check_receive(end, failure, room)

    @rule(index=SIDES, how=HOWS)
    def receive_what_does_not_fit(self, index: int, how: str) -> None:
        """It stays for whoever receives next."""
        self.receive_into(index, 0)
        self.receive(index, how)

    @rule()
    def look(self) -> None:
        """Nothing that only looks changes anything."""
        for index in (0, 1):
            end = self.end(index)
            stats = end.channel.stats()
            assert stats.messages_out == len(end.accepted)
            assert stats.messages_in <= len(end.peer.accepted)
            assert (end.channel.unsent > 0) >= (not end.flushed and not end.ended)
            assert end.channel.closed == end.ended
            try:
                assert end.channel.info["max_handles"] == end.max_handles
                readable, _, _ = select.select([end.channel], [], [], 0)
                assert not end.ended
                assert not readable or end.peer.accepted or end.peer.ended
            except error.ClosedError:
                assert end.ended

    # --- The end -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.steps > LATE)
    @rule(index=SIDES, room=st.sampled_from((0, 300_000)), how=HOWS)
    def close(self, index: int, room: int, how: str) -> None:
        """In order, as far as that goes without waiting for the peer."""
        end = self.end(index)
        self.receive_into(index, room)
        if not end.ended:
            # It has said goodbye, and the peer sees that, if nothing was in its way.
            end.whole = end.flushed
        try:
            end.channel.close(0)
        except error.Error as failure:
            assert isinstance(failure, (error.TimedOutError, error.PipeBrokenError, error.ResetError))
            assert end.flushed or end.peer.ended or failure.unsent > 0
        end.closed = True
        self.receive(index, how)

    @precondition(lambda self: self.steps > 2 * LATE)
    @rule(index=SIDES, room=st.sampled_from((0, 300_000)), how=HOWS)
    def abort(self, index: int, room: int, how: str) -> None:
        """At once."""
        end = self.end(index)
        self.receive_into(index, room)
        end.channel.abort()
        if not end.ended:
            end.whole = False
            end.aborted = True
        self.receive(index, how)

    def teardown(self) -> None:
        """What was accepted arrives, in order, and nothing is left."""
        if self.ends is None:
            return
        try:
            for index in (0, 1, 0, 1):
                self.exchange(index)
        finally:
            for end in self.ends:
                end.channel.abort()
        assert descriptors() == self.before

    def exchange(self, index: int) -> None:
        """Receive until there is nothing more, with the peer flushing meanwhile."""
        end = self.end(index)
        for _ in range(10_000):
            if end.ended or end.peer.ended or end.taken == len(end.peer.accepted):
                break
            self.flush(1 - index)
            self.receive(index, "recv_many")
        else:
            raise AssertionError("it does not arrive")


def test_channels_without_a_loop() -> None:
    model.run(SyncChannels, 100, 50)
