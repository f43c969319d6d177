"""``Loop``: where the callbacks of handles run."""

from __future__ import annotations

import os
import threading
import time
import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from . import _ferrule, _lifetime, _time, error
from ._signals import Wakeup, is_main_thread
from ._weak import Requests, WeakSet, weak_method, weak_question

if TYPE_CHECKING:
    from typing_extensions import Self

    from .handle import Handle

UV_RUN_DEFAULT = 0
UV_RUN_ONCE = 1
UV_RUN_NOWAIT = 2


class Loop:
    """Runs callbacks on the thread that made it.

    Everything on a loop is for that thread only; ``stop()`` and ``post()`` are for any. What a callback
    raises comes out of the ``run()`` or ``step()`` that called it, unless ``excepthook`` is set.

    >>> with ferrule.Loop() as loop:
    ...     loop.post(print, "on the loop's thread")
    ...     loop.run()
    on the loop's thread
    False

    Raises OSError when the system gives no more descriptors.
    Source: ``fer_loop_new``; pyuv ``Loop``.
    """

    _default: ClassVar[Loop | None] = None
    _parents: ClassVar[Loop | None] = None
    _default_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._c = _ferrule.fer_loop_new()
        self._thread: int | None = threading.get_ident()
        self._closed = False
        self._depth = 0
        self._wakeup: Wakeup | None = None
        self._posted = Requests()
        # What has something under way: it lives until that is done, as the program need not keep it.
        self._active: set[Handle] = set()
        self._handles: WeakSet[Handle] = WeakSet()
        _ferrule.ferpy_set_hook(self._c, weak_question(self._raised))
        _lifetime.watch(self)

    @classmethod
    def default_loop(cls) -> Loop:
        """The loop of the process; it belongs to the thread that asks first.

        Source: pyuv ``Loop.default_loop``.
        """
        with Loop._default_lock:
            if Loop._default is None or Loop._default.closed:
                Loop._default = cls()
            return Loop._default

    def run(self, mode: int = UV_RUN_DEFAULT) -> bool:
        """Run callbacks until nothing on the loop can call one any more, or until ``stop()``.

        mode: ``UV_RUN_DEFAULT``; ``UV_RUN_ONCE`` waits for one round of callbacks; ``UV_RUN_NOWAIT`` does
        not wait. Gives whether something on the loop can still call back.

        Raises what a callback raises; ClosedError, ThreadError, ForkError; Error FER_EBUSY in a callback.
        Source: ``fer_loop_run``; pyuv ``Loop.run``.
        """
        if mode == UV_RUN_ONCE:
            return self.step(None)
        if mode == UV_RUN_NOWAIT:
            return self.step(0)
        if mode != UV_RUN_DEFAULT:
            raise ValueError(f"no such mode: {mode!r}")
        self._turn(True, _ferrule.fer_loop_run, self._c)
        return self.alive

    def step(self, timeout: float | None = 0) -> bool:
        """Wait for at most ``timeout``, then run the callbacks that are due, once.

        timeout: in seconds; 0 does not wait, None waits without limit. Gives whether something on the loop
        can still call back.

        Raises as ``run()`` does.
        Source: ``fer_loop_step``; uv_run with UV_RUN_ONCE or UV_RUN_NOWAIT.
        """
        limit = _time.milliseconds(timeout)
        self._turn(limit != 0, _ferrule.fer_loop_step, self._c, limit)
        return self.alive

    def _turn(self, waits: bool, function: Callable[..., None], *arguments: Any) -> None:
        self._depth += 1
        try:
            with self._wakeup_for(waits):
                function(*arguments)
            _ferrule.ferpy_check_signals()
            return
        except error.CallbackError:
            raised = _ferrule.ferpy_take_exception(self._c)
            if raised is None:
                raise
        finally:
            self._depth -= 1
        try:
            raise raised
        finally:
            del raised  # The traceback holds this frame.

    def _wakeup_for(self, waits: bool) -> Any:
        if not waits or self._closed or not is_main_thread():
            return nullcontext()
        if self._wakeup is None:
            self._wakeup = Wakeup(self._c)
        return self._wakeup.armed()

    def stop(self) -> None:
        """Make the running ``run()`` or ``step()`` return as soon as its current callbacks have.

        For any thread. Without one that runs, the next returns at once.

        Raises ClosedError, ForkError.
        Source: ``fer_loop_stop``; pyuv ``Loop.stop``.
        """
        _ferrule.fer_loop_stop(self._c)

    def post(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Have ``callback(*arguments)`` called on the loop's thread, in the order of the posts.

        For any thread. It is not called when the loop is closed first.

        Raises ClosedError, ForkError.
        Source: ``fer_loop_post``; pyuv ``Async``.
        """
        if not callable(callback):
            raise TypeError("a callable is required")

        def posted(status: int) -> None:
            if status == _ferrule.FER_OK:
                callback(*arguments)

        self._posted.start(lambda call: _ferrule.fer_loop_post(self._c, call), posted)

    def fileno(self) -> int:
        """The descriptor that becomes readable when the loop has something to do.

        For another loop to wait on, before ``step(0)``. It stays the loop's.

        Raises ClosedError, ThreadError, ForkError.
        Source: ``fer_loop_fd``; pyuv ``Loop.fileno``.
        """
        return _ferrule.fer_loop_fd(self._c)

    def get_timeout(self) -> float:
        """How many seconds another loop may wait before ``step(0)``; -1 until ``fileno()`` is readable.

        Raises ClosedError, ThreadError, ForkError.
        Source: ``fer_loop_timeout``; pyuv ``Loop.get_timeout``.
        """
        limit = _ferrule.fer_loop_timeout(self._c)
        return limit / 1000 if limit >= 0 else -1.0

    def set_notify(self, callback: Callable[[], object] | None) -> None:
        """Be told when a call made outside of ``step()`` left work for the next one.

        callback: called with nothing, at most once between two steps; it may only make a note, such as
        ``call_soon(loop.step)``. None removes it.

        Raises ClosedError, ThreadError, ForkError.
        Source: ``fer_loop_set_notify``.
        """
        if callback is not None and not callable(callback):
            raise TypeError("a callable or None is required")
        self._notify = callback
        call = weak_method(self._notified) if callback is not None else None
        _ferrule.fer_loop_set_notify(self._c, call)

    def _notified(self) -> None:
        if self._notify is not None:
            self._notify()

    _notify: Callable[[], object] | None = None

    excepthook: Callable[[type[BaseException], BaseException, Any], object] | None = None
    """``excepthook(type, exception, traceback)`` is told what a callback raised, and the loop runs on. None (the
    default): it comes out of ``run()``. So does what the hook raises itself, and what is no ``Exception``, such as
    KeyboardInterrupt and SystemExit. May be set, or be a method of a subclass.

    Source: pyuv ``Loop.excepthook``.
    """

    def _raised(self, exception: BaseException) -> int:
        """Whether somebody took an exception of a callback."""
        hook = self.excepthook
        if hook is None or not isinstance(exception, Exception):
            return 0
        hook(type(exception), exception, exception.__traceback__)
        return 1

    def now(self) -> int:
        """The loop's clock, in milliseconds; it never goes back, and its zero means nothing.

        Source: pyuv ``Loop.now``; uv_now.
        """
        return time.monotonic_ns() // 1_000_000

    def update_time(self) -> None:
        """Do nothing: ``now()`` is never behind.

        Source: pyuv ``Loop.update_time``; uv_update_time.
        """

    @property
    def handles(self) -> list[Handle]:
        """What is on the loop and not closed: pipes, sockets, timers and wake-ups.

        Source: pyuv ``Loop.handles``; uv_walk.
        """
        return [handle for handle in self._handles if not handle.closed]

    @property
    def default(self) -> bool:
        """Whether this is the one that ``default_loop()`` gives.

        Source: pyuv ``Loop.default``.
        """
        return Loop._default is self

    @property
    def alive(self) -> bool:
        """Whether something on the loop can still call back.

        Source: ``fer_loop_is_alive``; uv_loop_alive.
        """
        return bool(_ferrule.fer_loop_is_alive(self._c))

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called.

        Source: asyncio ``loop.is_closed``.
        """
        return self._closed

    def close(self) -> None:
        """Close everything on the loop, run the callbacks that come of it, close the loop.

        Raises what these callbacks raise, and then goes on when it is called again; Error FER_EBUSY in a
        callback; ThreadError, ForkError.
        Source: ``fer_loop_close_objects``, ``fer_loop_close``.
        """
        if self._closed:
            return
        if self._depth:
            raise error.from_status(_ferrule.FER_EBUSY, "the loop runs")
        _ferrule.fer_loop_close_objects(self._c)
        self._turn(False, _ferrule.fer_loop_run, self._c)
        self._turn(False, _ferrule.fer_loop_close, self._c)
        self._end()

    def _end(self) -> None:
        self._closed = True
        _ferrule.ferpy_set_hook(self._c, None)
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        self._active.clear()

    def _dispose(self) -> None:
        """End a loop that nobody uses any more, whatever is open on it. For the interpreter's end."""
        if not self._closed:
            _lifetime.dispose(self._c)
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ferrule.Loop {'closed' if self._closed else 'open'} at {id(self):#x}>"

    def __del__(self, warn: Callable[..., None] = warnings.warn) -> None:
        if not hasattr(self, "_active"):
            return  # It was never made.
        unclosed = not self._closed
        self._dispose()
        c, self._c = self._c, None  # type: ignore[assignment]  # Whoever is told may keep this object.
        _ferrule.fer_loop_unref(c)
        if unclosed:
            warn(f"unclosed loop {self!r}", ResourceWarning, source=self, stacklevel=2)


def _after_fork() -> None:
    # The parent's is kept, so that the child does not complain of it when it is dropped.
    Loop._parents, Loop._default = Loop._default, None
    Loop._default_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
