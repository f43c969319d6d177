"""``ferrule.ipc`` over two FIFOs."""

from __future__ import annotations

import logging
import os
import stat
import tempfile
import weakref
from asyncio import AbstractEventLoop

from . import _ipc

_Identity = tuple[int, int]


class PosixNamedPipeProtocol(_ipc.AtAddress):
    """Two FIFOs that are there already, one for each direction.

    in_path: the FIFO that this side reads.
    out_path: the one that it writes.
    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    Source: aea ``PosixNamedPipeProtocol``.
    """

    def __init__(
        self,
        in_path: str,
        out_path: str,
        logger: logging.Logger = _ipc.default_logger,
        loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(logger)
        self._address = f"fifo:{in_path},{out_path}"


class PosixNamedPipeChannel(PosixNamedPipeProtocol, _ipc.Making):
    """Two FIFOs in a private directory, which go away with it.

    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    Raises OSError when they cannot be made.
    Source: aea ``PosixNamedPipeChannel``.
    """

    def __init__(
        self, logger: logging.Logger = _ipc.default_logger, loop: AbstractEventLoop | None = None
    ) -> None:
        made = tempfile.mkdtemp(prefix="ferrule-")
        self._in_path = os.path.join(made, "to-channel")
        self._out_path = os.path.join(made, "to-client")
        identities: dict[str, _Identity] = {}
        # Also at the end of the interpreter, and when it is dropped.
        self._remove = weakref.finalize(self, _remove, made, identities, os.getpid())
        for path in (self._in_path, self._out_path):
            identities[path] = _make(path)
        super().__init__(self._in_path, self._out_path, logger, loop)

    async def close(self) -> None:
        """As ``IPCChannelClient.close()``. The FIFOs and their directory are removed.

        Source: aea ``PosixNamedPipeChannel.close``.
        """
        try:
            await super().close()
        finally:
            self._remove()


class PosixNamedPipeChannelClient(_ipc.Joining, PosixNamedPipeProtocol, _ipc.IPCChannelClient):
    """The other side of a ``PosixNamedPipeChannel``.

    in_path: the FIFO that this side reads: the channel's ``out_path``.
    out_path: the one that it writes: the channel's ``in_path``.
    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    ``last_exception`` is what kept the last ``connect()`` from succeeding: it raises nothing of that.

    Source: aea ``PosixNamedPipeChannelClient``.
    """


def _make(path: str) -> _Identity:
    os.mkfifo(path, 0o600)
    info = os.lstat(path)
    return info.st_dev, info.st_ino


def _remove(directory: str, identities: dict[str, _Identity], pid: int) -> None:
    """Remove what was made, unless somebody else has put something in its place."""
    if os.getpid() != pid:
        return  # They are the parent's.
    for path, identity in identities.items():
        try:
            info = os.lstat(path)
            # A file may have got the number of a FIFO that is gone.
            if (info.st_dev, info.st_ino) == identity and stat.S_ISFIFO(info.st_mode):
                os.unlink(path)
        except FileNotFoundError:
            pass
    try:
        os.rmdir(directory)
    except OSError:
        pass  # It is not empty, or was removed: what is in there is not ours.
