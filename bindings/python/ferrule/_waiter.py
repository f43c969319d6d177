"""What a task waits on until a turn of the library's loop wakes it: a future that runs the task at once.

A future of asyncio has its task called in the next turn of the asyncio loop, which asks the kernel for events in
between. What wakes tasks here is itself a callback of that loop, so they can run right after it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator
from contextvars import Context
from typing import TYPE_CHECKING, Callable

from . import _ferrule, error

if TYPE_CHECKING:
    from ._embed import Embedded

_get_ident = threading.get_ident


class Waiter:
    """A future for one task, as asyncio takes those of other makes: it has no result, and is awaited once.

    Source: asyncio ``Future``, of which a task uses what is here.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_context",
        "_done",
        "_embedded",
        "_owner",
    )

    def __init__(self, embedded: Embedded, owner: object) -> None:
        self._embedded = embedded
        self._owner = owner
        self._done = False
        self._cancelled: tuple[object, ...] | None = None  # what CancelledError says
        self._callback: Callable[[Waiter], object] | None = None
        self._asyncio_future_blocking = False

    # --- For those who wake --------------------------------------------------------------------------------

    def wake(self) -> bool:
        """Have the task go on. Gives whether it waited."""
        if self._done:
            return False
        self._done = True
        if self._callback is not None:
            self._embedded.call(self)
        return True

    def __call__(self) -> None:
        """Run the task up to where it waits again."""
        assert self._callback is not None
        self._context.run(self._callback, self)

    # --- For the task --------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Waiter, None, None]:
        if _get_ident() != self._embedded._thread:
            raise self._foreign()
        if not self._done:
            self._asyncio_future_blocking = True
            try:
                yield self
            except RuntimeError:
                # A task of another loop refuses what is not its loop's.
                if self._callback is None and asyncio.get_running_loop() is not self.get_loop():
                    raise self._foreign() from None
                raise

    def _foreign(self) -> error.Error:
        return error.from_status(_ferrule.FER_ETHREAD, f"{self._owner!r} belongs to another asyncio loop")

    def get_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop of the task that may wait."""
        return self._embedded._host()

    def add_done_callback(self, callback: Callable[[Waiter], object], *, context: Context) -> None:
        """The task waits."""
        self._callback = callback
        self._context = context
        if self._done:
            self._embedded.call(self)

    def cancel(self, msg: object = None) -> bool:
        """The task was cancelled. Gives whether it still waited."""
        if self._done:
            return False
        self._done = True
        self._cancelled = () if msg is None else (msg,)
        if self._callback is not None:
            self._embedded.call_soon(self)
        return True

    def result(self) -> None:
        """What the task goes on with."""
        if self._cancelled is not None:
            raise asyncio.CancelledError(*self._cancelled)

    def done(self) -> bool:
        """Whether the task was woken or cancelled."""
        return self._done

    def __repr__(self) -> str:
        return f"<ferrule.Waiter of {self._owner!r} {'done' if self._done else 'waiting'}>"


def wake(waiters: deque[Waiter], count: int | None = None) -> None:
    """Wake the first ``count`` that wait, or all."""
    while waiters and count != 0:
        if waiters.popleft().wake() and count is not None:
            count -= 1
