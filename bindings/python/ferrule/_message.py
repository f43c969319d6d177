"""``Message`` and ``ReceivedHandle``: what comes on channels that take handles; and what can be sent on them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, Union

from . import _ferrule, error
from .pipe import Pipe
from .tcp import TCP
from .udp import UDP

if TYPE_CHECKING:
    from typing_extensions import Buffer, Self

    from .loop import Loop

_KINDS = {
    _ferrule.FER_KIND_PIPE: "pipe",
    _ferrule.FER_KIND_TCP: "tcp",
    _ferrule.FER_KIND_UDP: "udp",
    _ferrule.FER_KIND_OTHER: "other",
}

_HANDLE_WEIGHT = 1 << 14


class HasFileno(Protocol):
    """What has a descriptor, such as a socket, a file or a handle."""

    def fileno(self) -> int:
        """The descriptor."""


Passable = Union[int, HasFileno]
"""What can be sent with a message: a Pipe, a TCP or a UDP, a received handle, a ``socket.socket``, anything else with
``fileno()``, or a descriptor."""

Received = Union[bytes, "tuple[bytes, tuple[object, ...]]"]
"""A message as C gives it: with what holds its handles, if it has any."""


class ReceivedHandle:
    """A handle that came with a message: its descriptor, which is this object's until somebody takes it.

    It belongs to no loop and no thread. As a context manager it is closed at the end of the block, unless it was
    taken before. One that is dropped is closed, with a ResourceWarning.

    Source: ``fer_passed``; pyuv ``Pipe.pending_handle_type``.
    """

    __slots__ = ("__weakref__", "_held", "_kind")

    def __init__(self, held: object) -> None:
        self._held = held
        self._kind = _KINDS[_ferrule.ferpy_received_kind(held)]
        _ferrule.ferpy_received_give(held)

    @property
    def kind(self) -> str:
        """``"pipe"``, ``"tcp"``, ``"udp"``, or ``"other"`` for a descriptor of something else.

        Source: ``fer_kind``; pyuv ``Pipe.pending_handle_type``.
        """
        return self._kind

    def fileno(self) -> int:
        """The descriptor, which stays this object's. It is close-on-exec.

        Raises ClosedError when it was closed or taken.
        Source: ``fer_message_take_fd``.
        """
        fd = _ferrule.ferpy_received_fileno(self._held)
        if fd < 0:
            raise error.from_status(_ferrule.FER_ECLOSED, "the handle was closed or taken")
        return fd

    def detach(self) -> int:
        """Take the descriptor, which is the caller's from now on.

        Raises ClosedError.
        Source: ``fer_message_take_fd``; ``socket.socket.detach``.
        """
        self.fileno()
        return _ferrule.ferpy_received_detach(self._held)

    def to_socket(self) -> socket.socket:
        """Make a ``socket.socket`` of the same family and type. It takes the descriptor.

        It blocks or not as the sender's does: both share that. ``setblocking()`` changes it for both.

        Raises ClosedError; OSError for a descriptor that is no socket, which stays this object's.
        Source: ``fer_message_take_fd``; ``socket.socket``.
        """
        fd = self.fileno()
        blocking = os.get_blocking(fd)
        made = socket.socket(fileno=fd)
        self.detach()
        made.setblocking(blocking)
        return made

    def open(self, loop: Loop, ipc: bool = False) -> Pipe | TCP | UDP:
        """Make a handle on a loop. It takes the descriptor.

        loop: where its callbacks run.
        ipc: of a pipe: whether handles are passed over it.

        Raises ClosedError; KindError for the kind ``"other"``; what ``open()`` of the handle raises. The descriptor
        stays this object's then.
        Source: ``fer_message_take``; pyuv ``Pipe.accept``.
        """
        fd = self.fileno()
        made: Pipe | TCP | UDP
        if self._kind == "pipe":
            made = Pipe(loop, ipc)
        elif self._kind == "tcp":
            made = TCP(loop)
        elif self._kind == "udp":
            made = UDP(loop)
        else:
            raise error.from_status(_ferrule.FER_EKIND, "the descriptor is no handle: detach() gives it")
        try:
            made.open(fd)
        except BaseException:
            made.close()
            raise
        _ferrule.ferpy_received_detach(self._held)
        return made

    def close(self) -> None:
        """Close the descriptor. Closing again, or after somebody took it, does nothing.

        Source: none.
        """
        fd = _ferrule.ferpy_received_detach(self._held)
        if fd >= 0:
            os.close(fd)

    @property
    def closed(self) -> bool:
        """Whether the descriptor was closed or taken.

        Source: ``io.IOBase.closed``.
        """
        return _ferrule.ferpy_received_fileno(self._held) < 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"descriptor {self.fileno()}"
        return f"<ferrule.ReceivedHandle {self._kind} {state}>"


class Message(bytes):
    """A message: its bytes, and the handles that came with it.

    handles: in the order in which they were sent; empty when none came.

    Source: ``fer_message``.
    """

    handles: tuple[ReceivedHandle, ...] = ()


def hand_out(received: Received) -> Message:
    """The message for the program. From now on its handles are the program's."""
    if isinstance(received, bytes):
        return Message(received)
    payload, held = received
    message = Message(payload)
    message.handles = tuple(map(ReceivedHandle, held))
    return message


@contextmanager
def writable(buffer: Buffer) -> Iterator[memoryview]:
    """The bytes of a buffer that a message is received into. Raises TypeError for what is no such buffer."""
    with memoryview(buffer) as whole, whole.cast("B") as view:
        if view.readonly:
            raise TypeError("a writable buffer is required")
        yield view


def too_small(size: int, room: int) -> error.Error:
    """What receiving into a buffer raises when the message does not fit."""
    return error.from_status(_ferrule.FER_EINVAL, f"{size} bytes do not fit into {room}")


def payload(received: Received) -> bytes:
    """The bytes of a message."""
    return received if isinstance(received, bytes) else received[0]


def weight(received: Received) -> int:
    """How much of an inbox a message fills: a waiting descriptor is dearer than a byte."""
    if isinstance(received, bytes):
        return len(received)
    return len(received[0]) + _HANDLE_WEIGHT * len(received[1])


def descriptors(handles: Iterable[Passable]) -> list[int]:
    """The numbers of what is to be sent. Raises TypeError for what has none."""
    numbers = []
    for handle in handles:
        if type(handle) is int:
            numbers.append(handle)
        elif isinstance(handle, int) or not hasattr(handle, "fileno"):
            raise TypeError(f"no handle, no socket and no descriptor: {handle!r}")
        else:
            numbers.append(handle.fileno())
    return numbers
