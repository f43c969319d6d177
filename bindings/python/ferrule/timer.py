"""``Timer``: calls back after a while, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import _ferrule, _time, error
from ._weak import weak_method
from .handle import Handle, check_loop, make, require_callable
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._ferrule import _TimerPointer


def _finite(seconds: float) -> int:
    """In milliseconds, rounded up. Raises ValueError for None and infinity, too."""
    limit = _time.milliseconds(seconds)
    if limit < 0:
        raise ValueError(f"a timer cannot take {seconds!r} seconds")
    return limit


class Timer(Handle):
    """A timer on a loop. It is kept by the loop while it runs.

    loop: where its callback runs.

    >>> with ferrule.Loop() as loop:
    ...     timer = ferrule.Timer(loop)
    ...     timer.start(lambda timer: (print("time"), timer.close()), 0.01, repeat=1)
    ...     loop.run()
    time
    False

    Source: ``fer_timer_new``; pyuv ``Timer``.
    """

    _c: _TimerPointer

    def __init__(self, loop: Loop) -> None:
        check_loop(loop)
        c = make(error.TIMER, _ferrule.fer_timer_new, loop._c)
        self._own(loop, c, _ferrule.ferpy_own_timer(c))
        self._held = True
        self._callback: Callable[[Any], object] | None = None

    def start(self, callback: Callable[[Self], object], timeout: float, repeat: float = 0) -> None:
        """Start the timer, or start it anew.

        callback: ``callback(timer)``, called when the time is up, never early.
        timeout: seconds until the first call; rounded up to whole milliseconds.
        repeat: seconds between the calls after it; 0: only one call. A call that comes late does not have others
        follow faster.

        Raises ValueError for a time that is negative or has no end.
        Source: ``fer_timer_start``; pyuv ``Timer.start``.
        """
        require_callable(callback)
        delay, period = _finite(timeout), _finite(repeat)
        _ferrule.fer_timer_start(self._c, delay, period, weak_method(self._on_time))
        self._callback = callback
        self._register("timer", callback)

    def _on_time(self) -> None:
        callback = self._callback
        if not _ferrule.fer_timer_is_active(self._c):
            self._unregister("timer")
        if callback is not None:
            callback(self)

    def stop(self) -> None:
        """Stop the timer; stopping twice changes nothing.

        Source: ``fer_timer_stop``; pyuv ``Timer.stop``.
        """
        _ferrule.fer_timer_stop(self._c)
        self._unregister("timer")

    def again(self) -> None:
        """Start a timer that repeats anew, with ``repeat`` as the time until the next call.

        One that does not repeat is not started.

        Raises InvalidArgumentError for one that was never started.
        Source: ``fer_timer_again``; pyuv ``Timer.again``.
        """
        _ferrule.fer_timer_again(self._c)
        if self._callback is not None and _ferrule.fer_timer_is_active(self._c):
            self._register("timer", self._callback)

    @property
    def repeat(self) -> float:
        """Seconds between the calls; 0 for one that does not repeat. May be set, for the calls after the next.

        Source: ``fer_timer_repeat``, ``fer_timer_set_repeat``; pyuv ``Timer.repeat``.
        """
        return _ferrule.fer_timer_repeat(self._c) / 1000

    @repeat.setter
    def repeat(self, seconds: float) -> None:
        _ferrule.fer_timer_set_repeat(self._c, _finite(seconds))

    # --- What Handle asks for ------------------------------------------------------------------------------

    def _close(self, call: Callable[..., None]) -> None:
        _ferrule.fer_timer_close(self._c, call)

    def _is_closing(self) -> bool:
        return bool(_ferrule.fer_timer_is_closing(self._c))

    def _hold(self, hold: int) -> None:
        _ferrule.fer_timer_hold_loop(self._c, hold)
        self._held = bool(hold)

    def _holds(self) -> bool:
        return self._held
