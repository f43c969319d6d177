"""``Handle``: what pipes, sockets, timers and wake-ups have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import _check, error
from ._weak import Requests
from .loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Self


T = TypeVar("T")


class Handle:
    """What ``Pipe``, ``TCP``, ``UDP``, ``Timer`` and ``Async`` have in common. Not made by itself.

    While something is under way the loop keeps a handle; otherwise one that is dropped without ``close()``
    is closed, with a ResourceWarning. Callbacks are called by the loop, never before the method that took
    them has returned. Every method raises ClosedError after ``close()``, ThreadError in another thread than
    the loop's, and ForkError in the child of a fork.

    Source: ``fer_handle``, ``fer_timer``; pyuv ``Handle``.
    """

    _c: Any

    def __init__(self) -> None:
        raise TypeError("make a Pipe, a TCP, a UDP, a Timer or an Async")

    def _own(self, loop: Loop, c: Any, owner: object) -> None:
        """Be the object of ``c``, whose reference goes with ``owner``."""
        self._c = c
        self._owner = owner
        self._loop = loop
        loop._handles.add(self)
        self._requests = Requests()
        # What the program gave for C to call again and again, by what it is called for.
        self._registered: dict[str, Callable[..., object]] = {}

    # --- Being kept by the loop while something is under way ---------------------------------------------

    def _start(
        self, function: Callable[[Callable[..., None]], None], callback: Callable[..., object]
    ) -> None:
        """Call ``function`` with a one-shot callable for C that calls ``callback(error)`` in the end."""

        def done(status: int = 0) -> None:
            self._settle()
            callback(status or None)

        self._requests.start(function, done)
        self._settle()

    def _register(self, name: str, callback: Callable[..., object]) -> None:
        self._registered[name] = callback
        self._settle()

    def _unregister(self, name: str) -> None:
        self._registered.pop(name, None)
        self._settle()

    def _settle(self) -> None:
        if self._requests or self._registered:
            self._loop._active.add(self)
        else:
            self._loop._active.discard(self)

    def _tell(self, callback: Callable[[Self, int | None], object] | None) -> Callable[[int | None], None]:
        check_callable(callback)

        def tell(status: int | None) -> None:
            if callback is not None:
                callback(self, status)

        return tell

    # --- The end -------------------------------------------------------------------------------------------

    def close(self, callback: Callable[[Self], object] | None = None) -> None:
        """Start to close. Callbacks that are still due get FER_ECANCELED before this one is called.

        callback: ``callback(handle)``; the last that the handle calls. Closing again is allowed.

        Source: ``fer_handle_close``, ``fer_timer_close``; pyuv ``Handle.close``.
        """
        check_callable(callback)

        def closed(status: int | None) -> None:
            self._registered.clear()
            self._settle()
            if callback is not None:
                callback(self)

        self._start(self._close, closed)

    @property
    def closed(self) -> bool:
        """Whether ``close()`` or ``detach()`` was called, or the loop closed it.

        Source: ``fer_handle_is_closing``, ``fer_timer_is_closing``; pyuv ``Handle.closed``.
        """
        return self._is_closing()

    @property
    def active(self) -> bool:
        """Whether something is under way: it connects, listens, reads, writes, or its time runs.

        Source: pyuv ``Handle.active``.
        """
        return bool(self._requests or self._registered) and not self.closed

    # --- Facts ---------------------------------------------------------------------------------------------

    @property
    def loop(self) -> Loop:
        """The loop that the handle is on.

        Source: pyuv ``Handle.loop``.
        """
        return self._loop

    @property
    def ref(self) -> bool:
        """Whether the handle keeps ``Loop.run()`` from returning while it waits for something; may be set.

        Source: ``fer_handle_hold_loop``, ``fer_timer_hold_loop``; pyuv ``Handle.ref``.
        """
        return self._holds()

    @ref.setter
    def ref(self, hold: bool) -> None:
        self._hold(int(_check.flag("ref", hold)))

    @property
    def has_ref(self) -> bool:
        """What ``ref`` is.

        Source: ``fer_handle_holds_loop``; uv_has_ref.
        """
        return self._holds()

    # --- What each kind does in its own way ----------------------------------------------------------------

    def _close(self, call: Callable[..., None]) -> None:
        raise NotImplementedError

    def _is_closing(self) -> bool:
        raise NotImplementedError

    def _hold(self, hold: int) -> None:
        raise NotImplementedError

    def _holds(self) -> bool:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<ferrule.{type(self).__name__} {'closed' if self.closed else 'open'} at {id(self):#x}>"


def make(kind: int, function: Callable[..., T], *arguments: Any) -> T:
    """Call what makes a handle. What fails in the system is an error of that kind of handle."""
    try:
        return function(*arguments)
    except error.ClosedError:
        raise  # The loop.
    except error.Error as failure:
        raise error.of_kind(failure, kind) from None


def check_loop(loop: Any) -> None:
    """Raises TypeError for anything that is not a Loop."""
    if not isinstance(loop, Loop):
        raise TypeError("a Loop is required")


def require_callable(callback: Any) -> None:
    """Raises TypeError for anything that cannot be called."""
    if not callable(callback):
        raise TypeError("a callable is required")


def check_callable(callback: Any) -> None:
    """Raises TypeError for anything that cannot be called, but for None."""
    if callback is not None:
        require_callable(callback)
