"""``Async``: wakes a loop from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import _ferrule, error
from .handle import Handle, check_callable, check_loop, make
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._ferrule import _TimerPointer

_NEVER = 2**53  # Milliseconds.


def _nothing() -> None:
    """For the timer that stands for an Async on its loop. Its time does not come."""


class Async(Handle):
    """Has a callback called on the loop's thread, whatever thread asks for it.

    loop: where its callback runs. It keeps ``Loop.run()`` from returning until it is closed, unless ``ref`` is False.
    callback: ``callback(handle)``, once or more after every ``send()``; None only wakes the loop.

    ``Loop.post()`` does the same without an object to close, and calls once for every call.

    Source: ``fer_loop_post``, ``fer_timer_new``; pyuv ``Async``.
    """

    _c: _TimerPointer

    def __init__(self, loop: Loop, callback: Callable[[Self], object] | None = None) -> None:
        check_loop(loop)
        check_callable(callback)
        c = make(error.ASYNC, _ferrule.fer_timer_new, loop._c)
        self._own(loop, c, _ferrule.ferpy_own_timer(c))
        _ferrule.fer_timer_start(c, _NEVER, 0, _nothing)
        self._callback: Callable[[Any], object] | None = callback
        self._held = True
        self._ended = False
        self._sent = False
        self._register("async", _nothing)

    def send(self) -> None:
        """Have the callback called soon. For any thread, also for the handlers of signals.

        Of several that come before the callback runs, one call may come.

        Raises ClosedError after ``close()``, and when the loop is closed; ForkError.
        Source: ``fer_loop_post``; pyuv ``Async.send``.
        """
        if self._ended:
            raise error.from_status(_ferrule.FER_ECLOSED, f"{self!r} is closed", error.ASYNC)
        if self._sent:
            return
        self._sent = True
        try:
            self._loop.post(self._arrived)
        except BaseException as failure:
            self._sent = False
            if isinstance(failure, error.Error):
                raise error.of_kind(failure, error.ASYNC) from None
            raise

    def _arrived(self) -> None:
        # What is sent from here on calls again.
        self._sent = False
        if self._callback is not None and not self._ended:
            self._callback(self)

    def _ask(self, call: Callable[[], None]) -> None:
        """Make a call on the timer that stands for this. Its errors are this one's."""
        try:
            call()
        except error.Error as failure:
            raise error.of_kind(failure, error.ASYNC) from None

    # --- What Handle asks for ------------------------------------------------------------------------------

    def _close(self, call: Callable[..., None]) -> None:
        self._ask(lambda: _ferrule.fer_timer_close(self._c, call))
        self._ended = True

    def _is_closing(self) -> bool:
        return self._ended or bool(_ferrule.fer_timer_is_closing(self._c))

    def _hold(self, hold: int) -> None:
        self._ask(lambda: _ferrule.fer_timer_hold_loop(self._c, hold))
        self._held = bool(hold)

    def _holds(self) -> bool:
        return self._held
