"""Signals while a loop waits: their Python handlers run at once, so that Ctrl-C interrupts the wait."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import _ferrule
from ._weak import weak_method

if TYPE_CHECKING:
    from ._ferrule import _LoopPointer


class Wakeup:
    """A socket that a signal writes to, and whose other end is a pipe on the loop.

    The pipe does not keep the loop running. Reading from it enters Python, where the handlers run; what
    they raise leaves the loop as any exception of a callback does.
    """

    def __init__(self, loop: _LoopPointer) -> None:
        reader, self._writer = socket.socketpair()
        with reader:
            self._writer.setblocking(False)
            self._previous = -1
            self._pipe = _ferrule.fer_pipe_new(loop, 0)
            _ferrule.fer_pipe_open(self._pipe, reader.fileno())
            reader.detach()
        _ferrule.fer_handle_hold_loop(self._pipe, 0)
        _ferrule.fer_stream_read_start(self._pipe, weak_method(self._arrived))

    def _arrived(self, status: int, data: bytes | None) -> None:
        if data and self._previous >= 0:
            try:
                os.write(self._previous, data)
            except OSError:
                pass  # Its owner's socket is full or gone; signal.set_wakeup_fd() would only warn.
        _ferrule.ferpy_check_signals()

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Signals wake the loop inside the block. The main thread only."""
        self._previous = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(self._previous)
            self._previous = -1

    def close(self) -> None:
        """Let go of the pipe, which the loop closes if it is still open, and of the socket."""
        _ferrule.fer_handle_unref(self._pipe)
        self._writer.close()


def is_main_thread() -> bool:
    """Whether signal handlers run in this thread."""
    return threading.current_thread() is threading.main_thread()
