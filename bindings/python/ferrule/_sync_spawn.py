"""``spawn`` and ``Child`` of ``ferrule.sync``: a program with a channel to it, and calls that wait."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from . import _child, _ferrule, _options, error
from ._child import Program, Stream
from ._sync_channel import Channel, join

if TYPE_CHECKING:
    import os

    from typing_extensions import Unpack

_HANDSHAKE = 5.0


class Child(_child.AnyChild["subprocess.Popen[bytes]", Channel]):
    """A program with a channel to it; ``spawn()`` makes them.

    As a context manager it closes the channel and the child's standard streams at the end of the block, and waits
    until the child has exited; when the block raises, or closing fails, the child is killed.

    Source: ``subprocess.Popen``.
    """

    __slots__ = ()
    _name = "ferrule.sync.Child"

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it; None while the child runs.

        Source: ``subprocess.Popen.returncode``.
        """
        return self._process.poll()

    @property
    def stdin(self) -> IO[bytes] | None:
        """The child's standard input, if ``spawn()`` was given ``PIPE``.

        Source: ``subprocess.Popen.stdin``.
        """
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes] | None:
        """The child's standard output, if ``spawn()`` was given ``PIPE``.

        Source: ``subprocess.Popen.stdout``.
        """
        return self._process.stdout

    @property
    def stderr(self) -> IO[bytes] | None:
        """The child's standard error, if ``spawn()`` was given ``PIPE``.

        Source: ``subprocess.Popen.stderr``.
        """
        return self._process.stderr

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the child has exited. Gives the exit code, minus the signal that ended it.

        timeout: in seconds.

        Raises TimedOutError.
        Source: ``subprocess.Popen.wait``.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise error.from_status(_ferrule.FER_ETIMEDOUT, f"process {self.pid} still runs") from None

    def kill(self) -> None:
        """Send SIGKILL. Does nothing when the child has exited.

        Source: ``subprocess.Popen.kill``.
        """
        self._process.kill()

    def terminate(self) -> None:
        """Send SIGTERM. Does nothing when the child has exited.

        Source: ``subprocess.Popen.terminate``.
        """
        self._process.terminate()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        try:
            if kind is not None:
                return
            self._channel.close()
            with self._process:
                pass
        finally:
            self._channel.abort()
            _reap(self._process)


def spawn(
    program: Program,
    *arguments: Program,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    cwd: str | bytes | os.PathLike[str] | os.PathLike[bytes] | None = None,
    **options: Unpack[_options.Options],
) -> Child:
    """Start a program with a channel to it, and wait until that is open. As ``ferrule.spawn()``.

    A thread says hello, which has ended when this returns: the news that some other child has exited, a signal,
    would end the handshake otherwise.

    program: its name, which is looked for in ``PATH``, or its path.
    arguments: of the program.
    stdin, stdout, stderr: its standard streams, as ``subprocess`` takes them; None for this process's own.
    env: its environment; None for that of this process.
    cwd: its working directory; None for that of this process.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: of the channel; see ``Options``.

    >>> code = "from ferrule import sync; c = sync.parent(); c.send(c.recv()[::-1]); c.close()"
    >>> with sync.spawn(sys.executable, "-c", code) as child:
    ...     child.channel.send(b"drawer")
    ...     print(child.channel.recv(timeout=60))
    b'reward'

    Raises as ``ferrule.spawn()``.
    Source: ``fer_sync_connect``; ``subprocess.Popen``.
    """
    limit = _options.to_c(options).get("handshake_timeout_ms", _HANDSHAKE * 1000)
    ours, theirs = _child.ends()
    with ours, theirs:
        process = subprocess.Popen(
            [program, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=_child.environment(env, theirs),
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        try:
            return Child(process, _meet(program, process, ours, options, None if limit < 0 else limit / 1000))
        except BaseException:
            _reap(process)
            raise


def _meet(
    program: Program,
    process: subprocess.Popen[bytes],
    end: socket.socket,
    options: _options.Options,
    patience: float | None,
) -> Channel:
    """Open the channel. Raises when the process exits instead."""
    made: list[Channel | Exception] = []
    with end.dup() as brake:
        thread = threading.Thread(target=lambda: made.append(_undisturbed(end, options)), daemon=True)
        thread.start()
        try:
            thread.join()
        except BaseException:
            # With the connection gone, the thread does not wait.
            brake.shutdown(socket.SHUT_RDWR)
            thread.join()
            for channel in made:
                if isinstance(channel, Channel):
                    channel.abort()
            raise
    [channel] = made
    if isinstance(channel, Channel):
        return channel
    code = _exit_code(process, patience if isinstance(channel, error.ResetError) else 0)
    if code is not None and isinstance(channel, (error.ResetError, error.TimedOutError)):
        raise _child.exited(program, code) from channel
    if isinstance(channel, error.Error):
        raise _child.silent(program, channel) from channel
    raise channel


def _undisturbed(end: socket.socket, options: _options.Options) -> Channel | Exception:
    """Let other threads have the signals."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    return join(end, options)


def _exit_code(process: subprocess.Popen[bytes], patience: float | None) -> int | None:
    """None when the process did not exit in time: it may have closed all its descriptors."""
    try:
        return process.wait(patience)
    except subprocess.TimeoutExpired:
        return None


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Kill the process if it still runs, close the streams to it, and wait for its end."""
    process.kill()
    with process:
        pass
