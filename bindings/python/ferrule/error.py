"""Exceptions: one class for each status that programs tell apart.

Each is an ``Error``, which is an ``OSError``, and also the built-in exception that means the same, so that
``except ConnectionResetError`` works as it does for sockets. What a call on a handle raises is also of the class for its
kind, as in pyuv: a ``PipeError``, a ``TCPError`` and so on.

>>> try:
...     sync.connect("pipe:nobody-there", timeout=0)
... except FileNotFoundError as problem:
...     print(problem.status, problem.code == ferrule.errno.UV_ENOENT)
FER_ENOENT True
"""

from __future__ import annotations

from typing import Any

from . import _ferrule

# Kinds of handles, beside those of the library: as the wrapper of C has them, too.
NO_HANDLE = -1
TIMER = -2
ASYNC = -3


class Error(OSError):
    """A call of the library failed.

    code: the number of the status (``ferrule.errno``), the same on every platform.
    status: its name, such as ``"FER_ECONNREFUSED"``.
    errno: the platform's own number that comes nearest; 0 for ``FER_EOF``.
    args: ``code`` and ``strerror``.
    strerror: what it means, and what was wrong in this case.
    unsent: of an error of a channel's ``close()``: bytes that were accepted and that the kernel never got.
    Source: ``fer_status``; pyuv ``error.UVError``.
    """

    code: int
    status: str
    unsent: int = 0

    def __init__(self, code: int = _ferrule.FER_EUNKNOWN, detail: str = "") -> None:
        text = _ferrule.fer_status_text(code)
        super().__init__(_ferrule.fer_status_errno(code), f"{text}: {detail}" if detail else text)
        # As pyuv has it: the first of the arguments is the number to compare with those of ferrule.errno.
        self.args = (code, self.strerror)
        self.code = code
        self.status = _ferrule.fer_status_name(code)
        self._detail = detail

    def __str__(self) -> str:
        return f"[{self.status}] {self.strerror}"

    def __reduce__(self) -> Any:
        return type(self), (self.code, self._detail)


class InvalidArgumentError(Error, ValueError):
    """``FER_EINVAL``: an argument makes no sense, or an unknown flag is set."""


class OutOfMemoryError(Error, MemoryError):
    """``FER_ENOMEM``."""


class KindError(Error, TypeError):
    """``FER_EKIND``: the call is not for this kind of handle."""


class ClosedError(Error, ValueError):
    """``FER_ECLOSED``: the object is closed."""


class ThreadError(Error, RuntimeError):
    """``FER_ETHREAD``: the loop belongs to another thread."""


class ForkError(Error, RuntimeError):
    """``FER_EFORK``: the object belongs to the parent process."""


class CanceledError(Error):
    """``FER_ECANCELED``: this side closed before it was done. Not ``asyncio.CancelledError``."""


class CallbackError(Error):
    """``FER_ECALLBACK``: a callback failed. ``Loop.run()`` raises what the callback raised instead."""


class ProtocolError(Error):
    """``FER_EPROTO``: the peer does not keep to the wire format."""


class AddressError(Error, ValueError):
    """``FER_EADDRESS``: a malformed address."""


class VersionError(Error):
    """``FER_EVERSION``: no version in common."""


class EndOfStream(Error, EOFError):
    """``FER_EOF``: the peer said goodbye; everything it had sent was received."""


class MessageSizeError(Error, ValueError):
    """``FER_EMSGSIZE``: a message over this side's or the peer's limit."""


class TimedOutError(Error, TimeoutError):
    """``FER_ETIMEDOUT``."""


class WouldBlockError(Error, BlockingIOError):
    """``FER_EAGAIN``: nothing was done."""


class NotSupportedError(Error, NotImplementedError):
    """``FER_ENOTSUP``: not to be had here."""


class InterruptedCallError(Error, InterruptedError):
    """``FER_EINTR``: a signal arrived. The classes of this package call again by themselves."""


class NotConnectedError(Error, ValueError):
    """``FER_ENOTCONN``: there is no connection yet, or no longer."""


class RefusedError(Error, ConnectionRefusedError):
    """``FER_ECONNREFUSED``: nobody listens."""


class ResetError(Error, ConnectionResetError):
    """``FER_ECONNRESET``: the peer went away without a goodbye."""


class AbortedError(Error, ConnectionAbortedError):
    """``FER_ECONNABORTED``."""


class PipeBrokenError(Error, BrokenPipeError):
    """``FER_EPIPE``: the peer no longer receives."""


class NotFoundError(Error, FileNotFoundError):
    """``FER_ENOENT``."""


class AccessError(Error, PermissionError):
    """``FER_EACCES`` and ``FER_EPERM``."""


class ExistsError(Error, FileExistsError):
    """``FER_EEXIST``."""


class NotDirectoryError(Error, NotADirectoryError):
    """``FER_ENOTDIR``."""


class DirectoryError(Error, IsADirectoryError):
    """``FER_EISDIR``."""


_CLASSES: dict[int, type[Error]] = {
    _ferrule.FER_EINVAL: InvalidArgumentError,
    _ferrule.FER_ENOMEM: OutOfMemoryError,
    _ferrule.FER_EKIND: KindError,
    _ferrule.FER_ECLOSED: ClosedError,
    _ferrule.FER_ETHREAD: ThreadError,
    _ferrule.FER_EFORK: ForkError,
    _ferrule.FER_ECANCELED: CanceledError,
    _ferrule.FER_ECALLBACK: CallbackError,
    _ferrule.FER_EPROTO: ProtocolError,
    _ferrule.FER_EADDRESS: AddressError,
    _ferrule.FER_EVERSION: VersionError,
    _ferrule.FER_EOF: EndOfStream,
    _ferrule.FER_EMSGSIZE: MessageSizeError,
    _ferrule.FER_ETIMEDOUT: TimedOutError,
    _ferrule.FER_EAGAIN: WouldBlockError,
    _ferrule.FER_ENOTSUP: NotSupportedError,
    _ferrule.FER_EINTR: InterruptedCallError,
    _ferrule.FER_ENOTCONN: NotConnectedError,
    _ferrule.FER_ECONNREFUSED: RefusedError,
    _ferrule.FER_ECONNRESET: ResetError,
    _ferrule.FER_ECONNABORTED: AbortedError,
    _ferrule.FER_EPIPE: PipeBrokenError,
    _ferrule.FER_ENOENT: NotFoundError,
    _ferrule.FER_EACCES: AccessError,
    _ferrule.FER_EPERM: AccessError,
    _ferrule.FER_EEXIST: ExistsError,
    _ferrule.FER_ENOTDIR: NotDirectoryError,
    _ferrule.FER_EISDIR: DirectoryError,
}


def from_status(code: int, detail: str = "", kind: int = NO_HANDLE) -> Error:
    """The exception for a status that a callback was given.

    code: the number of the status.
    detail: what was wrong in this case; may be empty.
    kind: of the handle that it is about, such as ``UV_NAMED_PIPE``: then it is a ``PipeError``, too.
    Source: none.
    """
    if kind == NO_HANDLE:
        return _CLASSES.get(code, Error)(code, detail)
    found = _handle_classes.get((kind, code))
    if found is None:
        found = _handle_classes[kind, code] = _handle_class(kind, code)
    return found(code, detail)


def of_kind(failure: Error, kind: int) -> Error:
    """The same failure, as one of a handle of this kind.

    failure: as a call raised it that knew nothing of the handle.
    kind: as for ``from_status()``.
    Source: none.
    """
    return from_status(failure.code, failure._detail, kind)


# --- The names that pyuv has: by the handle that it is about -------------------------------------------------------

UVError = Error


class HandleError(Error):
    """A call on a pipe, a socket, a timer or a wake-up failed."""


class HandleClosedError(HandleError, ClosedError):
    """``FER_ECLOSED`` of one of these."""


class StreamError(HandleError):
    """A call on a pipe or a TCP socket failed."""


class PipeError(StreamError):
    """A call on a ``Pipe`` failed."""


class TCPError(StreamError):
    """A call on a ``TCP`` failed."""


class UDPError(HandleError):
    """A call on a ``UDP`` failed."""


class TimerError(HandleError):
    """A call on a ``Timer`` failed."""


class AsyncError(HandleError):
    """A call on an ``Async`` failed."""


_KINDS: dict[int, type[HandleError]] = {
    _ferrule.FER_KIND_PIPE: PipeError,
    _ferrule.FER_KIND_TCP: TCPError,
    _ferrule.FER_KIND_UDP: UDPError,
    TIMER: TimerError,
    ASYNC: AsyncError,
}

# By kind and status, made when they are first needed: all of them would be some hundred.
_handle_classes: dict[tuple[int, int], type[Error]] = {}


def _handle_class(kind: int, code: int) -> type[Error]:
    """What is both: such as a PipeError and a ResetError."""
    handle = _KINDS.get(kind, HandleError)
    status = _CLASSES.get(code)
    if status is None:
        return handle
    if status is ClosedError:
        return HandleClosedError

    def reduce(self: Error) -> Any:
        return from_status, (self.code, self._detail, kind)

    name = handle.__name__.replace("Error", "") + status.__name__
    members = {"__doc__": status.__doc__, "__module__": __name__, "__reduce__": reduce}
    return type(name, (handle, status), members)


_ferrule.ferpy_set_error_factory(from_status)
