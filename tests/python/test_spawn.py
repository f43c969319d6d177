"""spawn(): programs with a channel to them, programs that have none, and bad ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import threading
import time
import warnings
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from children import ECHO, SYNC_ECHO, python
from ferrule import sync
from strangers import in_a_thread
from support import SANITIZER, Child, has_children

VARIABLE = "FERRULE_CHANNEL"

# Waits until its parent says something, and dies of what it says.
OBEDIENT = """
import os, sys, time
from ferrule import sync

channel = sync.parent()
order = channel.recv().decode()
if order == "exit":
    os._exit(7)
if order == "raise":
    raise LookupError("as told")
if order == "abort":
    channel.abort()
    time.sleep(600)
time.sleep(600)
"""


def is_gone(pid: int) -> bool:
    """Whether a child is neither running nor a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def has_ended(pid: int) -> bool:
    """Whether a child is not running."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


# --- A program that is one -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [ECHO, SYNC_ECHO], ids=["asyncio", "sync"])
async def test_spawn(code: str) -> None:
    async with ferrule.spawn(*python(code)) as child:
        assert child.returncode is None
        assert "running" in repr(child)
        for size in (0, 5, 3_000_000):
            await child.channel.send(b"m" * size)
            assert await child.channel.recv() == b"m" * size
        assert (child.stdin, child.stdout, child.stderr) == (None, None, None)
    assert child.returncode == 0
    assert await child.wait() == 0
    assert "exited with 0" in repr(child)
    assert child.channel.closed
    child.kill()
    child.terminate()
    assert VARIABLE not in os.environ
    assert is_gone(child.pid)


@pytest.mark.parametrize("code", [ECHO, SYNC_ECHO], ids=["asyncio", "sync"])
def test_spawn_that_waits(code: str) -> None:
    with sync.spawn(*python(code)) as child:
        assert child.returncode is None
        assert "running" in repr(child)
        for size in (0, 5, 3_000_000):
            sending = threading.Thread(target=child.channel.send, args=(b"m" * size,))
            sending.start()
            sending.join()
            assert child.channel.recv(timeout=60) == b"m" * size
        with pytest.raises(TimeoutError):
            child.wait(0)
    assert child.returncode == child.wait() == 0
    assert "exited with 0" in repr(child)
    assert child.channel.closed
    child.kill()
    child.terminate()
    assert VARIABLE not in os.environ
    assert is_gone(child.pid)


async def test_spawn_may_be_awaited() -> None:
    child = await ferrule.spawn(*python(SYNC_ECHO))
    await child.channel.send(b"x")
    assert await child.channel.recv() == b"x"
    await child.channel.close()
    assert await child.wait() == 0


async def test_many_children_at_once() -> None:
    async def one(number: int) -> None:
        async with ferrule.spawn(*python(SYNC_ECHO)) as child:
            await child.channel.send(b"%d" % number)
            assert await child.channel.recv() == b"%d" % number

    await asyncio.gather(*(one(number) for number in range(4)))


async def test_handles_to_a_child() -> None:
    reading, writing = os.pipe()
    os.write(writing, b" from a pipe")
    async with ferrule.spawn(*python(ECHO)) as child:
        await child.channel.send(b"read", handles=[reading])
        assert await child.channel.recv() == b"read from a pipe"
        assert child.channel.stats().handles_out == 1
    os.close(reading)
    os.close(writing)


async def test_the_plain_wire() -> None:
    code = SYNC_ECHO.replace("parent()", "parent(wire='plain')")
    async with ferrule.spawn(*python(code), wire="plain") as child:
        await child.channel.send(b"plain")
        assert await child.channel.recv() == b"plain"
    with sync.spawn(*python(code), wire="plain") as waiting:
        waiting.channel.send(b"plain")
        assert waiting.channel.recv(timeout=60) == b"plain"


async def test_standard_streams(tmp_path: Path) -> None:
    code = """
import os, sys
from ferrule import sync
with sync.parent() as channel:
    print(sys.stdin.read(), end="", flush=True)
    print("complaint", file=sys.stderr, flush=True)
    channel.send(os.getcwd().encode())
"""
    async with ferrule.spawn(*python(code), stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=tmp_path) as child:
        assert child.stdin and child.stdout and child.stderr
        child.stdin.write(b"what to say")
        child.stdin.close()
        assert await child.channel.recv() == os.fsencode(tmp_path)
        assert await child.stdout.read() == b"what to say"
        assert await child.stderr.read() == b"complaint\n"
    with open(tmp_path / "out", "wb") as output:
        with sync.spawn(*python(code), stdin=subprocess.DEVNULL, stdout=output, stderr=output) as waiting:
            assert waiting.channel.recv(timeout=60) == os.fsencode(os.getcwd())
    assert (tmp_path / "out").read_bytes() == b"complaint\n"


async def test_the_end_of_standard_input_comes_with_the_end_of_the_block() -> None:
    code = SYNC_ECHO + "import sys\nsys.exit(len(sys.stdin.read()))\n"
    async with ferrule.spawn(*python(code), stdin=PIPE) as child:
        assert child.stdin
        child.stdin.write(b"four")
    assert child.returncode == 4
    with sync.spawn(*python(code), stdin=PIPE) as waiting:
        assert waiting.stdin
        waiting.stdin.write(b"five!")
    assert waiting.returncode == 5


async def test_the_environment() -> None:
    code = """
import os
from ferrule import sync
with sync.parent() as channel:
    channel.send(repr(sorted(os.environ)).encode())
"""
    env = {"PYTHONPATH": os.environ["PYTHONPATH"], "LC_ALL": "C.UTF-8", **SANITIZER}
    names = sorted(env)
    async with ferrule.spawn(*python(code), env=env) as child:
        assert await child.channel.recv() == repr(names).encode()
    assert sorted(env) == names


def test_without_standard_streams() -> None:
    """Where descriptors 0 to 2 are free, the channel does not take their place."""
    code = """
        import os, sys
        from ferrule import sync

        output = os.dup(1)
        for fd in (0, 1, 2):
            os.close(fd)
        with sync.spawn(sys.executable, "-c", sys.argv[1], stdin=sync_null, stdout=sync_null, stderr=sync_null) as child:
            child.channel.send(b"heard")
            os.write(output, child.channel.recv(timeout=60) + b"\\n")
    """.replace("sync_null", "-3")
    with Child(code, SYNC_ECHO) as child:
        assert child.line() == "heard"
        assert child.end() == (0, "", "")


# --- Programs that are none, and bad ends ----------------------------------------------------------------------


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Not only after the time that a handshake has."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    ("program", "how"),
    [
        (("true",), "true exited with code 0"),
        (("sh", "-c", "exit 3"), "sh exited with code 3"),
        (("sh", "-c", "kill -9 $$"), "sh was killed by signal 9"),
        (("sh", "-c", "kill -15 $$"), "sh was killed by signal 15"),
    ],
)
async def test_a_program_that_exits_at_once(program: tuple[str, ...], how: str) -> None:
    with quickly(), pytest.raises(ConnectionResetError, match=how):
        await ferrule.spawn(*program, handshake_timeout=60)
    with quickly(), pytest.raises(ConnectionResetError, match=how):
        sync.spawn(*program, handshake_timeout=60)


async def test_a_program_whose_children_keep_its_descriptors() -> None:
    """Its own exit is what counts; for the blocking twin, at the end of the time at the latest."""
    program = ("sh", "-c", "sleep 600 & echo $!; exit 5")
    read, write = os.pipe()
    with open(read) as output:
        with quickly(), pytest.raises(ConnectionResetError, match="exited with code 5"):
            await ferrule.spawn(*program, stdout=write, handshake_timeout=60)
        with quickly(), pytest.raises(ConnectionResetError, match="exited with code 5"):
            sync.spawn(*program, stdout=write, handshake_timeout=0.2)
        os.close(write)
        for _ in range(2):
            os.kill(int(output.readline()), signal.SIGKILL)


@pytest.mark.parametrize("program", [("sleep", "600"), ("sh", "-c", "exec sleep 600")])
async def test_a_program_that_is_none(tmp_path: Path, program: tuple[str, ...]) -> None:
    """It is killed when the time for the handshake is up."""
    with pytest.raises(TimeoutError, match="is it a Ferrule program"):
        await ferrule.spawn(*program, handshake_timeout=0.1)
    with pytest.raises(TimeoutError, match="is it a Ferrule program"):
        sync.spawn(*program, handshake_timeout=0.1)


async def test_a_program_that_closes_its_descriptors() -> None:
    """It could be about to exit: it has the time of a handshake for that."""
    code = "import os, sys, time; os.closerange(3, 100); time.sleep(600)"
    with pytest.raises(ConnectionResetError, match="is it a Ferrule program"):
        await ferrule.spawn(*python(code), handshake_timeout=0.3)
    with pytest.raises(ConnectionResetError, match="is it a Ferrule program"):
        sync.spawn(*python(code), handshake_timeout=0.3)


async def test_a_program_that_says_something_else() -> None:
    code = f"import os, time; os.write(int(os.environ['{VARIABLE}'][3:]), b'HTTP/1.1 200 OK' * 9); time.sleep(600)"
    with pytest.raises(ferrule.error.ProtocolError, match="is it a Ferrule program"):
        await ferrule.spawn(*python(code))
    with pytest.raises(ferrule.error.ProtocolError, match="is it a Ferrule program"):
        sync.spawn(*python(code))


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("not to be run")
    for program, expected in (("no-such-program", FileNotFoundError), (script, PermissionError)):
        with pytest.raises(expected):
            await ferrule.spawn(program)
        with pytest.raises(expected):
            sync.spawn(program)
    with pytest.raises(FileNotFoundError):
        await ferrule.spawn("true", cwd=tmp_path / "nowhere")


async def test_options_that_make_no_sense() -> None:
    spawn: Any
    for spawn in (ferrule.spawn, sync.spawn):
        with pytest.raises(TypeError):
            spawn("true", color="red")
        with pytest.raises(ValueError, match="max_message"):
            spawn("true", max_message=-1)
    options: dict[str, Any]
    for options in ({"secret": b"x"}, {"max_handles": 1, "wire": "plain"}):
        with pytest.raises(ferrule.error.NotSupportedError):
            await ferrule.spawn("true", **options)
        with pytest.raises(ferrule.error.NotSupportedError):
            sync.spawn("sleep", "600", **options)


async def test_a_child_that_said_hello_and_exited() -> None:
    """What it sent is there."""
    code = "from ferrule import sync\nwith sync.parent() as channel: channel.send(b'last words')"
    child = await ferrule.spawn(*python(code))
    assert await child.wait() == 0
    assert await child.channel.recv() == b"last words"
    with pytest.raises(ferrule.EndOfStream):
        await child.channel.recv()
    await child.channel.close()


@pytest.mark.parametrize(("order", "code"), [("exit", 7), ("raise", 1)])
async def test_a_child_that_dies(order: str, code: int) -> None:
    child = await ferrule.spawn(*python(OBEDIENT), stderr=DEVNULL)
    await child.channel.send(order.encode())
    with pytest.raises(ConnectionResetError):
        await child.channel.recv()
    assert await child.wait() == code
    with pytest.raises(ConnectionResetError):
        await child.channel.send(b"too late")
        await child.channel.send(b"too late")
    with pytest.raises(ConnectionResetError):
        await child.channel.close()


@pytest.mark.parametrize(("how", "code"), [("kill", -signal.SIGKILL), ("terminate", -signal.SIGTERM)])
async def test_a_child_that_is_killed(how: str, code: int) -> None:
    child = await ferrule.spawn(*python(OBEDIENT))
    getattr(child, how)()
    with pytest.raises(ConnectionResetError):
        await child.channel.recv()
    assert await child.wait() == child.returncode == code
    child.channel.abort()
    waiting = sync.spawn(*python(OBEDIENT))
    getattr(waiting, how)()
    with pytest.raises(ConnectionResetError):
        waiting.channel.recv()
    assert waiting.wait(60) == waiting.returncode == code
    waiting.channel.abort()


async def test_a_child_that_exits_as_it_is_killed() -> None:
    """Whoever sends a signal at that moment does not get the exit code in the place of who waits."""
    for _ in range(3):
        child = await ferrule.spawn(
            *python("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + OBEDIENT)
        )
        await child.channel.send(b"exit")
        while not has_ended(child.pid):
            child.terminate()
        child.terminate()
        assert await child.wait() == 7
        child.channel.abort()


async def test_a_block_that_raises_kills_the_child() -> None:
    with pytest.raises(LookupError):
        async with ferrule.spawn(*python(OBEDIENT)) as child:
            raise LookupError
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(LookupError), sync.spawn(*python(OBEDIENT), stdin=PIPE) as waiting:
        raise LookupError
    assert waiting.returncode == -signal.SIGKILL
    assert is_gone(child.pid) and is_gone(waiting.pid)


async def test_a_child_that_does_not_answer_the_goodbye_is_killed() -> None:
    with pytest.raises(TimeoutError):
        async with ferrule.spawn(*python(OBEDIENT), close_timeout=0.1) as child:
            await child.channel.send(b"wait")
    assert child.returncode == -signal.SIGKILL
    with pytest.raises(TimeoutError), sync.spawn(*python(OBEDIENT), close_timeout=0.1) as waiting:
        waiting.channel.send(b"wait")
    assert waiting.returncode == -signal.SIGKILL


async def test_a_child_that_aborts_its_channel() -> None:
    with pytest.raises(ConnectionResetError):
        async with ferrule.spawn(*python(OBEDIENT)) as child:
            await child.channel.send(b"abort")
            await child.channel.recv()
    assert child.returncode == -signal.SIGKILL


# --- Cancelling, signals ---------------------------------------------------------------------------------------

WRITES_ITS_NUMBER = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"


async def test_spawning_that_is_cancelled() -> None:
    """The child is killed, and nothing of it is left."""
    read, write = os.pipe()
    spawning = asyncio.ensure_future(ferrule.spawn(*python(WRITES_ITS_NUMBER), stdout=write))
    pid = int(await in_a_thread(lambda: os.read(read, 100)))
    spawning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawning
    assert is_gone(pid)
    os.close(read)
    os.close(write)


async def test_waiting_that_is_cancelled() -> None:
    async with ferrule.spawn(*python(SYNC_ECHO)) as child:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(child.wait(), 0.01)
        await child.channel.send(b"still there")
        assert await child.channel.recv() == b"still there"
    assert child.returncode == 0


@pytest.fixture
def interrupted() -> Iterator[None]:
    """SIGALRM raises LookupError."""

    def handler(number: int, frame: object) -> None:
        raise LookupError("in the handler of a signal")

    previous = signal.signal(signal.SIGALRM, handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def test_a_signal_that_ends_a_waiting_spawn(interrupted: None) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with quickly(), pytest.raises(LookupError):
        sync.spawn("sleep", "600", handshake_timeout=None)
    assert not has_children()


def test_signals_that_do_not_end_a_waiting_spawn() -> None:
    """Such as the news that some child has exited."""
    seen: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        with sync.spawn(*python(SYNC_ECHO)) as child:
            child.channel.send(b"undisturbed")
            assert child.channel.recv(timeout=60) == b"undisturbed"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert seen


def test_a_child_that_is_dropped() -> None:
    """Its channel is aborted with a warning, as any channel."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        child = sync.spawn(*python(SYNC_ECHO))
        process = child._process
        del child
        gc.collect()
    assert [str(warning.message).split(" at ")[0] for warning in caught] == ["unclosed channel"]
    # With the end of the channel the child ends, too: with a traceback, which is not for us to see here.
    process.wait()
