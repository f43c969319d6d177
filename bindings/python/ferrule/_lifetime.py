"""The end of loops that nobody closed: at the end of the interpreter, or when they are collected."""

from __future__ import annotations

import atexit
import sys
import threading
import types
from typing import TYPE_CHECKING, Protocol

from . import _ferrule, error
from ._weak import WeakSet

if TYPE_CHECKING:
    from ._ferrule import _LoopPointer


class Disposable(Protocol):
    """Something that has a loop, or a socket file."""

    _thread: int | None
    """The identity of the thread that it belongs to, if any."""

    def _dispose(self) -> None:
        """End it. Doing it twice is allowed."""


_alive: WeakSet[Disposable] = WeakSet()


def watch(holder: Disposable) -> None:
    """Dispose of ``holder`` at the end of the interpreter if it is still there."""
    _alive.add(holder)


def report(exception: BaseException, where: object) -> None:
    """Tell ``sys.unraisablehook`` about an exception that nobody can be given."""
    sys.unraisablehook(
        types.SimpleNamespace(
            exc_type=type(exception),
            exc_value=exception,
            exc_traceback=exception.__traceback__,
            err_msg=None,
            object=where,
        )
    )


def run_to_end(loop: _LoopPointer) -> None:
    """Run a loop on which everything is closing. What callbacks raise goes to ``sys.unraisablehook``."""
    while True:
        try:
            _ferrule.fer_loop_run(loop)
            return
        except error.CallbackError:
            raised = _ferrule.ferpy_take_exception(loop)
            if raised is not None:
                report(raised, loop)


def dispose(loop: _LoopPointer) -> None:
    """Close everything on a loop that nobody uses any more, then the loop, in whatever thread this is."""
    try:
        _ferrule.fer_loop_adopt(loop)
        _ferrule.fer_loop_close_objects(loop)
        run_to_end(loop)
        _ferrule.fer_loop_close(loop)
    except (error.ClosedError, error.ForkError):
        pass  # Closed before, or the parent's: there is nothing to end here.
    except error.Error as failure:
        report(failure, loop)


def _at_exit() -> None:
    _ferrule.ferpy_shutdown()
    # Only daemon threads are left; what they use is theirs to the end.
    others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident(), None}
    for holder in list(_alive):
        if holder._thread not in others:
            holder._dispose()


atexit.register(_at_exit)
