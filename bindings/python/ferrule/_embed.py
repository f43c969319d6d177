"""The library's loop inside an asyncio loop: one for each, made when it is first needed.

The asyncio loop (or uvloop's, or any with ``add_reader``) waits for the descriptor and the next timeout
of the library's loop, and turns it. No thread is used. When the last channel or server on it has been
closed, the library's loop is closed too, so that nothing is left over when the asyncio loop ends.
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Callable

from . import _ferrule, _lifetime, error
from ._waiter import Waiter
from ._weak import weak_method

if TYPE_CHECKING:
    from ._ferrule import _LoopPointer

_PATIENCE = 0.0005
"""Seconds for which answers are looked for before the asyncio loop has its turn."""

_embedded: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Embedded] = weakref.WeakKeyDictionary()


def here() -> Embedded:
    """The one of the running asyncio loop.

    Raises RuntimeError outside of a coroutine or callback.
    """
    host = asyncio.get_running_loop()
    found = _embedded.get(host)
    if found is None:
        found = _embedded[host] = Embedded(host)
    return found


class Embedded:
    """A loop of the library, turned by an asyncio loop."""

    def __init__(self, host: asyncio.AbstractEventLoop) -> None:
        self.c = _ferrule.fer_loop_new()
        self._thread: int | None = threading.get_ident()
        # The asyncio loop is the key of the map that holds this.
        self._host = weakref.ref(host)
        self._users = 0
        self._scheduled = False
        self._turning = False
        self._woken: list[Waiter] = []  # in this turn
        self._timer: asyncio.TimerHandle | None = None
        self._ended = False
        # What closes lives until it is closed, as the program need not keep it; so do running handlers.
        self.closing: set[object] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._fd = _ferrule.fer_loop_fd(self.c)
        self.dropped = weak_method(self._dropped)
        _lifetime.watch(self)
        _ferrule.fer_loop_set_notify(self.c, weak_method(self._notified))
        host.add_reader(self._fd, self._turn)

    # --- Turning -------------------------------------------------------------------------------------------

    def _notified(self) -> None:
        """Work was left for a turn."""
        host = self._host()
        if not self._scheduled and host is not None and not host.is_closed():
            self._scheduled = True
            host.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if not self._ended:
            self._run(_ferrule.ferpy_loop_turn)
            self._linger()

    def _run(self, turn: Callable[[_LoopPointer], int | None]) -> bool:
        """One turn, and the tasks that it wakes. Gives whether there was a turn."""
        timeout: int | None = 0
        self._turning = True
        try:
            timeout = turn(self.c)
        finally:
            self._turning = False
            if not self._users:
                self._end()
            elif timeout is not None and (timeout >= 0 or self._timer is not None):
                self._arm(timeout)
            if self._woken:
                self._run_woken()
        return timeout is not None

    def _linger(self) -> None:
        """Look for the answers to what the tasks have asked, and turn again for them: as long as the host may wait."""
        until = 0.0
        while not self._ended and self._run(_ferrule.ferpy_loop_linger):
            now = time.monotonic()
            if not until:
                until = now + _PATIENCE
            elif now >= until:
                self._notified()
                return

    def _run_woken(self) -> None:
        """Run the tasks that the turn has woken. This is a callback of the asyncio loop, as their own would be."""
        woken, self._woken = self._woken, []
        woken.reverse()
        try:
            # Somebody may have made a task run the asyncio loop.
            while woken and asyncio.current_task(self._host()) is None:
                woken.pop()()
        finally:
            # What a task lets through, such as KeyboardInterrupt, is not for the others.
            while woken:
                self.call_soon(woken.pop())

    def call(self, waiter: Waiter) -> None:
        """Run a task at the end of the turn, or soon when there is none."""
        if self._turning:
            self._woken.append(waiter)
        else:
            self.call_soon(waiter)

    def call_soon(self, waiter: Waiter) -> None:
        """Run a task in the next turn of the asyncio loop."""
        host = self._host()
        if host is not None and not host.is_closed():
            host.call_soon(waiter)

    def _arm(self, timeout: int) -> None:
        """Have the next turn come after ``timeout`` milliseconds, if nothing comes before."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        host = self._host()
        if host is None or host.is_closed():
            return
        if timeout == 0:
            self._notified()
        elif timeout > 0:
            self._timer = host.call_later(timeout / 1000, self._timed)

    def _timed(self) -> None:
        self._timer = None
        self._turn()

    # --- What is on it -------------------------------------------------------------------------------------

    def enter(self) -> None:
        """One more channel or server is on the loop."""
        self._users += 1

    def leave(self) -> None:
        """One of them is closed. In the loop's thread."""
        self._users -= 1
        self.look()

    def look(self) -> None:
        """Have the loop closed soon if nothing is on it."""
        if not self._users:
            self._notified()

    def _dropped(self) -> None:
        """One of them was collected without having been closed, in whatever thread."""
        host = self._host()
        if host is None or host.is_closed():
            return
        try:
            host.call_soon_threadsafe(self.leave)
        except RuntimeError:
            pass  # It was closed just now: what collects this object closes the loop.

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task of its own, which is kept until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def report(self, message: str, exception: BaseException, **context: object) -> None:
        """Tell the asyncio loop about an exception that nobody waits for."""
        host = self._host()
        if host is not None:
            host.call_exception_handler({"message": message, "exception": exception, **context})

    # --- The end -------------------------------------------------------------------------------------------

    def _end(self) -> None:
        host = self._host()
        if host is not None:
            if not host.is_closed():
                host.remove_reader(self._fd)
            if _embedded.get(host) is self:
                del _embedded[host]
        if self._timer is not None:
            self._timer.cancel()
        self._dispose()

    def _dispose(self) -> None:
        """Close the loop, and whatever is open on it."""
        if not self._ended:
            self._ended = True
            _lifetime.dispose(self.c)

    def __del__(self) -> None:
        if not hasattr(self, "_ended"):
            return  # It was never made.
        self._dispose()
        _ferrule.fer_loop_unref(self.c)


def check(embedded: Embedded, what: object) -> asyncio.AbstractEventLoop:
    """The running asyncio loop, which must be the one that ``what`` was made on.

    Raises ThreadError otherwise.
    """
    host = asyncio.get_running_loop()
    if embedded._host() is not host:
        raise error.from_status(_ferrule.FER_ETHREAD, f"{what!r} belongs to another asyncio loop")
    return host
