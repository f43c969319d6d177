"""``spawn`` and ``Child``: a program with a channel to it, on asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _child, _ferrule, _options, error
from ._child import Program, Stream
from ._connect import begin, opened
from ._opening import Opening
from .channel import Channel

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from typing_extensions import Unpack

# What a program said before it exited has arrived already: this is for the loop to come round to it.
_AFTERMATH = 1.0

_HANDSHAKE = 5.0


class Child(_child.AnyChild["Process", Channel]):
    """A program with a channel to it; ``spawn()`` makes them.

    As an asynchronous context manager it closes the channel and the child's standard input at the end of the block,
    and waits until the child has exited; when the block raises, or closing fails, the child is killed.

    Source: ``asyncio.subprocess.Process``.
    """

    __slots__ = ()

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it; None while the child runs.

        Source: ``asyncio.subprocess.Process.returncode``.
        """
        return self._process.returncode

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        """The child's standard input, if ``spawn()`` was given ``PIPE``.

        Source: ``asyncio.subprocess.Process.stdin``.
        """
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        """The child's standard output, if ``spawn()`` was given ``PIPE``.

        Source: ``asyncio.subprocess.Process.stdout``.
        """
        return self._process.stdout

    @property
    def stderr(self) -> asyncio.StreamReader | None:
        """The child's standard error, if ``spawn()`` was given ``PIPE``.

        Source: ``asyncio.subprocess.Process.stderr``.
        """
        return self._process.stderr

    async def wait(self) -> int:
        """Wait until the child has exited. Gives the exit code, minus the signal that ended it.

        Source: ``asyncio.subprocess.Process.wait``.
        """
        return await self._process.wait()

    def kill(self) -> None:
        """Send SIGKILL. Does nothing when the child has exited.

        Source: ``asyncio.subprocess.Process.kill``.
        """
        _send_signal(self._process, signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM. Does nothing when the child has exited.

        Source: ``asyncio.subprocess.Process.terminate``.
        """
        _send_signal(self._process, signal.SIGTERM)

    async def __aenter__(self) -> Child:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is not None:
                return
            await self._channel.close()
            if self._process.stdin is not None:
                self._process.stdin.close()
            await self._process.wait()
        finally:
            self._channel.abort()
            await _reap(self._process)
            await self._channel._until_closed()


def spawn(
    program: Program,
    *arguments: Program,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    cwd: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
    **options: Unpack[_options.Options],
) -> Opening[Child]:
    """Start a program with a channel to it: ``await spawn(...)``, or ``async with spawn(...) as child``.

    The program, in whatever language, opens its side with ``parent()``. Only it inherits its end of the channel, a
    Unix domain socket, whose number is in the variable ``FERRULE_CHANNEL`` of its environment. One of them that dies
    ends the channel for the other.

    program: its name, which is looked for in ``PATH``, or its path.
    arguments: of the program.
    stdin, stdout, stderr: its standard streams, as ``subprocess`` takes them; None for this process's own.
    env: its environment; None for that of this process.
    cwd: its working directory; None for that of this process.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: of the channel; see ``Options``.

    >>> code = "from ferrule import sync; c = sync.parent(); c.send(c.recv()[::-1]); c.close()"
    >>> async def main():
    ...     async with ferrule.spawn(sys.executable, "-c", code) as child:
    ...         await child.channel.send(b"stressed")
    ...         answer = await child.channel.recv()
    ...     return answer, child.returncode
    >>> asyncio.run(main())
    (b'desserts', 0)

    Raises OSError, such as FileNotFoundError, when it cannot be started; ResetError when it exits before it has opened
    its channel, with its exit code in the text; TimedOutError when it did not do so in ``handshake_timeout``; ProtocolError
    or VersionError after a bad handshake. The child is killed then, and also when this is cancelled.
    Source: ``fer_channel_connect``; ``asyncio.create_subprocess_exec``.
    """
    streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
    return Opening(_spawn(program, arguments, {**streams, "cwd": cwd}, env, _options.to_c(options)))


async def _spawn(
    program: Program,
    arguments: tuple[Program, ...],
    how: dict[str, Any],
    env: Mapping[str, str] | None,
    options: dict[str, Any],
) -> Child:
    ours, theirs = _child.ends()
    with theirs:
        try:
            channel = begin(options, _ferrule.fer_channel_connect, f"fd:{ours.fileno()}")
        except BaseException:
            ours.close()
            raise
        ours.detach()  # It is the channel's.
        try:
            process = await asyncio.create_subprocess_exec(
                program, *arguments, pass_fds=(theirs.fileno(),), env=_child.environment(env, theirs), **how
            )
        except BaseException:
            await channel._abandon()
            raise
    limit = options.get("handshake_timeout_ms", _HANDSHAKE * 1000)
    try:
        await _meet(program, process, channel, None if limit < 0 else limit / 1000)
    except BaseException:
        await _reap(process)
        await channel._abandon()
        raise
    return Child(process, channel)


async def _meet(program: Program, process: Process, channel: Channel, patience: float | None) -> None:
    """Wait until the channel is open, or the process has exited."""
    opening = asyncio.ensure_future(opened(channel))
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait({opening, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not opening.done():
            await asyncio.wait({opening}, timeout=_AFTERMATH)
        failure = opening.exception() if opening.done() else None
        if isinstance(failure, error.ResetError) and not ending.done():
            # It is about to exit, unless it closed all its descriptors.
            await asyncio.wait({ending}, timeout=patience)
        if opening.done() and failure is None:
            return
        if ending.done():
            raise _child.exited(program, ending.result()) from failure
        if isinstance(failure, error.Error):
            raise _child.silent(program, failure) from failure
        assert failure is not None
        raise failure
    finally:
        for task in (opening, ending):
            task.cancel()
        await asyncio.wait({opening, ending})


def _send_signal(process: Process, number: int) -> None:
    """Send a signal to the process if it still runs.

    That of asyncio looks first whether it does, in a way that takes the exit code from whoever waits for it. macOS has
    no other before Python 3.13.
    """
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        if not hasattr(os, "waitid"):
            process.send_signal(number)
        elif os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(process.pid, number)


async def _reap(process: Process) -> None:
    """Kill the process if it still runs, and wait for its end, also when this is cancelled: it does not take long."""
    if process.returncode is None:
        _send_signal(process, signal.SIGKILL)
    ending = asyncio.ensure_future(process.wait())
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait({ending})
        raise
