"""What both ``spawn()`` share: the two ends, the environment of the child, and what is said when it does not answer."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Mapping
from typing import IO, Any, Generic, TypeVar, Union

from . import _ferrule, error
from ._parent import VARIABLE

Program = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""A program's name, which is looked for in ``PATH``, or its path; or one of its arguments."""

Stream = Union[int, IO[Any], None]
"""As ``subprocess`` takes it: None for the parent's own, ``subprocess.PIPE``, ``subprocess.DEVNULL``, a file, a
descriptor."""

C = TypeVar("C")
P = TypeVar("P")


class AnyChild(Generic[P, C]):
    """A program with a channel to it, of the one kind or of the other."""

    __slots__ = ("__weakref__", "_channel", "_process")
    _name = "ferrule.Child"

    def __init__(self, process: P, channel: C) -> None:
        self._process = process
        self._channel = channel

    @property
    def channel(self) -> C:
        """The channel to the child. When the child dies, receiving ends with ResetError."""
        return self._channel

    @property
    def pid(self) -> int:
        """The number of the process."""
        number: int = self._process.pid  # type: ignore[attr-defined]
        return number

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it; None while the child runs."""
        raise NotImplementedError

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"exited with {self.returncode}"
        return f"<{self._name} {self.pid} {state}>"


# Standard streams have the numbers below.
_FIRST = 3


def ends() -> tuple[socket.socket, socket.socket]:
    """Two sockets that are connected with each other, neither in the place of a standard stream."""
    made = socket.socketpair()
    try:
        return _above(made[0]), _above(made[1])
    except BaseException:
        for end in made:
            end.close()
        raise


def _above(end: socket.socket) -> socket.socket:
    if end.fileno() >= _FIRST:
        return end
    with end:
        return socket.socket(fileno=fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FIRST))


def environment(env: Mapping[str, str] | None, end: socket.socket) -> dict[str, str]:
    """The child's, which tells it of its end."""
    return {**(os.environ if env is None else env), VARIABLE: f"fd:{end.fileno()}"}


def exited(program: Program, code: int) -> error.Error:
    """The child ended before the channel was open."""
    how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
    return error.from_status(_ferrule.FER_ECONNRESET, f"{os.fsdecode(program)} {how} before it said hello")


def silent(program: Program, failure: error.Error) -> error.Error:
    """The child lives, and the channel could not be opened."""
    detail = f"; {failure._detail}" if failure._detail else ""
    return error.from_status(
        failure.code, f"{os.fsdecode(program)} did not open its channel: is it a Ferrule program?{detail}"
    )
