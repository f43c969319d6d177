"""Pipes with callbacks against a model: what was written, and what came of it."""

from __future__ import annotations

import os
from typing import Any, Callable

import ferrule
import model
from ferrule import errno, error
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from model import SIDES, identity
from support import descriptors

PATIENCE = 5000


class Call:
    """A callback that is due: it comes once, and never at once."""

    def __init__(self, what: str, end: int) -> None:
        self.what = what
        self.end = end  # how much had been written with it
        self.told: list[int | None] = []


class Side:
    """An end of the pair, and what is expected of it."""

    def __init__(self, pipe: ferrule.Pipe) -> None:
        self.pipe = pipe
        self.written = bytearray()
        self.passed: list[tuple[int, int]] = []  # after how many bytes, and what
        self.received = bytearray()
        self.taken = 0  # handles
        self.calls: list[Call] = []
        self.reading = False
        self.eof = False
        self.shut = False
        self.closed = False
        self.close_told = 0
        self.peer: Side


class Pipes(RuleBasedStateMachine):
    """What may be done with a pair of pipes, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop: ferrule.Loop | None = None
        self.serial = 0

    @initialize(ipc=st.booleans())
    def open(self, ipc: bool) -> None:
        """Make the pair."""
        self.before = descriptors()
        self.loop = ferrule.Loop()
        self.ipc = ipc
        self.inside = False
        self.sides = [Side(pipe) for pipe in ferrule.Pipe.pair(self.loop, ipc)]
        self.sides[0].peer, self.sides[1].peer = self.sides[1], self.sides[0]

    def turn(self) -> None:
        """Run the callbacks that are due."""
        assert self.loop is not None
        self.inside = True
        self.loop.step(0)
        self.inside = False
        for side in self.sides:
            assert side.peer.written.startswith(side.received), "what came is not what was written"

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn the loop until something holds."""
        for _ in range(PATIENCE):
            if condition():
                return
            self.turn()
        raise AssertionError(f"waited in vain: {what}")

    # --- Writing -------------------------------------------------------------------------------------------

    def call(self, side: Side, what: str) -> tuple[Call, Callable[[ferrule.Pipe, int | None], None]]:
        """A callback that is to be counted."""
        due = Call(what, len(side.written))

        def told(pipe: ferrule.Pipe, failure: int | None) -> None:
            assert self.inside and pipe is side.pipe and not due.told
            # In the order of the calls, but for a close, which comes last.
            earlier = [other for other in side.calls[: side.calls.index(due)] if not other.told]
            assert not earlier, "one that was called before was not told yet"
            assert not side.close_told
            due.told.append(failure)
            if failure is not None:
                assert side.closed or side.peer.closed
                if failure == errno.FER_ECANCELED:
                    assert side.closed
                else:
                    assert failure in (errno.FER_EPIPE, errno.FER_ECONNRESET)

        return due, told

    def check_write(self, side: Side, failure: error.Error) -> None:
        """Whether writing may have failed like this: then nothing was written."""
        if isinstance(failure, error.HandleClosedError):
            assert side.closed
        elif isinstance(failure, error.PipeBrokenError):
            assert side.shut or side.peer.closed
        elif isinstance(failure, error.ResetError):
            assert side.peer.closed
        else:
            raise failure
        assert isinstance(failure, error.HandleClosedError if side.closed else error.PipeError)

    @rule(
        index=SIDES,
        size=st.sampled_from(model.SIZES),
        parts=st.booleans(),
        told=st.booleans(),
        passes=st.booleans(),
    )
    def write(self, index: int, size: int, parts: bool, told: bool, passes: bool) -> None:
        """Bytes, with a handle or without."""
        side = self.sides[index]
        self.serial += 1
        data = model.payload(self.serial, size)
        due, callback = self.call(side, "write")
        due.end += size
        pipe = os.pipe() if passes else None
        try:
            given: Any = [data[:9], data[9:]] if parts else data
            side.pipe.write(given, callback if told else None, pipe[0] if pipe else None)
            assert not side.closed and not side.shut
            if pipe:
                assert self.ipc and size
                side.passed.append((len(side.written), identity(pipe[0])))
            side.written += data
            if told:
                side.calls.append(due)
        except error.InvalidArgumentError:
            assert passes and (not self.ipc or not size)
        except error.Error as failure:
            self.check_write(side, failure)
        finally:
            for fd in pipe or ():
                os.close(fd)
        assert not due.told

    @rule(index=SIDES, size=st.sampled_from(model.SIZES))
    def try_write(self, index: int, size: int) -> None:
        """What the kernel takes now."""
        side = self.sides[index]
        self.serial += 1
        data = model.payload(self.serial, size)
        waits = side.pipe.write_queue_size > 0
        try:
            wrote = side.pipe.try_write(data)
            assert not side.closed and not side.shut and not waits
            assert wrote <= size and bool(wrote) == bool(size)
            side.written += data[:wrote]
        except error.WouldBlockError:
            assert not side.closed
        except error.Error as failure:
            self.check_write(side, failure)

    @rule(index=SIDES)
    def shutdown(self, index: int) -> None:
        """Nothing more is written after what is due."""
        side = self.sides[index]
        due, callback = self.call(side, "shutdown")
        try:
            side.pipe.shutdown(callback)
            assert not side.closed and not side.shut
            side.shut = True
            side.calls.append(due)
        except error.HandleClosedError:
            assert side.closed
        except error.Error as failure:
            assert isinstance(failure, error.PipeError)
            if failure.code == errno.FER_ENOTCONN:
                assert side.peer.closed
            else:
                assert failure.code == errno.FER_EALREADY and side.shut

    # --- Reading -------------------------------------------------------------------------------------------

    def on_read(self, side: Side, data: bytes | None, failure: int | None) -> None:
        """Bytes came, or the end did."""
        assert self.inside and side.reading and not side.eof and not side.closed
        if data is not None:
            assert data and failure is None
            side.received += data
            return
        side.reading = False
        side.eof = True
        if failure == errno.FER_EOF:
            assert side.peer.shut or side.peer.closed
            # Without a close nothing is lost.
            assert side.peer.closed or side.received == side.peer.written
        else:
            assert failure == errno.FER_ECONNRESET and side.peer.closed

    def take_handles(self, side: Side) -> None:
        """Those that came are those that were passed, and not before their bytes."""
        while side.pipe.pending_count:
            assert side.pipe.pending_handle_type == ferrule.UV_FILE
            fd = side.pipe.accept_fd()
            position, what = side.peer.passed[side.taken]
            assert identity(fd) == what
            assert len(side.received) > position or side.eof
            os.close(fd)
            side.taken += 1

    @rule(index=SIDES)
    def start_read(self, index: int) -> None:
        """Read what comes, and take handles at once."""
        side = self.sides[index]

        def on_read2(pipe: ferrule.Pipe, data: bytes | None, pending: int, failure: int | None) -> None:
            self.on_read(side, data, failure)
            assert (pending != ferrule.UV_UNKNOWN_HANDLE) == bool(pipe.pending_count)
            self.take_handles(side)

        def on_read(pipe: ferrule.Pipe, data: bytes | None, failure: int | None) -> None:
            self.on_read(side, data, failure)

        try:
            if self.ipc:
                side.pipe.start_read2(on_read2)
            else:
                side.pipe.start_read(on_read)
            assert not (side.closed or side.reading or side.eof)
            side.reading = True
        except error.HandleClosedError:
            assert side.closed
        except error.EndOfStream as failure:
            assert side.eof and isinstance(failure, error.PipeError)
        except error.PipeError as failure:
            if failure.code == errno.FER_EALREADY:
                assert side.reading
            else:
                assert failure.code in (errno.FER_ENOTCONN, errno.FER_ECONNRESET) and side.peer.closed

    @rule(index=SIDES)
    def stop_read(self, index: int) -> None:
        """Leave the rest where it is."""
        side = self.sides[index]
        try:
            side.pipe.stop_read()
            assert not side.closed
            side.reading = False
        except error.HandleClosedError:
            assert side.closed

    @rule(count=st.integers(1, 10))
    def time_passes(self, count: int) -> None:
        """Let the loop turn."""
        for _ in range(count):
            self.turn()

    @rule()
    def look(self) -> None:
        """Nothing that only looks changes anything."""
        assert self.loop is not None
        for side in self.sides:
            assert side.pipe.closed == side.closed
            assert (side.pipe in self.loop.handles) != side.closed
            assert side.pipe.write_queue_size <= len(side.written)
            waits = any(not call.told for call in side.calls)
            assert side.pipe.active == ((side.reading or waits) and not side.closed)
            if not side.closed:
                assert side.pipe.writable <= (not side.shut)
                assert side.pipe.fileno() >= 0

    @precondition(lambda self: len(self.sides[0].written) + len(self.sides[1].written) > 5000)
    @rule(index=SIDES)
    def close(self, index: int) -> None:
        """At once, and what is under way is told so first."""
        side = self.sides[index]

        def told(pipe: ferrule.Pipe) -> None:
            assert self.inside and all(call.told for call in side.calls)
            side.close_told += 1

        side.pipe.close(told)
        assert not side.close_told or side.closed
        side.closed = True
        side.reading = False

    # --- The end -------------------------------------------------------------------------------------------

    @rule()
    def settle(self) -> None:
        """With a reader, everything that is written comes, and its callbacks do."""
        for side in self.sides:
            if side.reading and not side.peer.closed:
                self.until(lambda side=side: side.received == side.peer.written, "what was written")  # type: ignore[misc]
                if side.peer.shut:
                    self.until(lambda side=side: side.eof, "the end")  # type: ignore[misc]
                self.until(
                    lambda side=side: all(call.told for call in side.peer.calls) or side.closed,  # type: ignore[misc]
                    "callbacks",
                )
                assert [call.told for call in side.peer.calls] == [[None]] * len(side.peer.calls)

    def teardown(self) -> None:
        """Everything comes, both close, nothing is left."""
        if self.loop is None:
            return
        try:
            for index in (0, 1):
                if not (self.sides[index].closed or self.sides[index].reading or self.sides[index].eof):
                    self.start_read(index)
            self.settle()
            for side in self.sides:
                if self.ipc and side.reading and not side.peer.closed:
                    assert side.taken == len(side.peer.passed)
        finally:
            self.inside = True
            for index in (0, 1):
                self.close(index)
            self.loop.run()
            self.loop.close()
        for side in self.sides:
            assert side.close_told >= 1
            assert all(len(call.told) == 1 for call in side.calls)
        assert descriptors() == self.before


def test_pipes() -> None:
    model.run(Pipes, 100, 50)
