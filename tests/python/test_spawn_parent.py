"""parent(): the side of the child, what its own children get of it, and the death of the parent."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import ferrule
import pytest
from children import SYNC_ECHO, python
from ferrule import sync
from support import Child, descriptors, goodbye, hello, receive_exactly

VARIABLE = "FERRULE_CHANNEL"


# --- The side of the child -------------------------------------------------------------------------------------


async def open_parent(how: str, **options: Any) -> Any:
    """Both ways to the parent, which has to be answered at once."""
    return await ferrule.parent(**options) if how == "asyncio" else sync.parent(**options)


every_way = pytest.mark.parametrize("how", ["asyncio", "sync"])


def in_c() -> bool:
    """Whether a program that this process starts gets the variable."""
    return b"FERRULE_CHANNEL=" in subprocess.run(["env"], stdout=PIPE, check=True).stdout


@every_way
async def test_parent_takes_the_channel_and_the_variable(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        monkeypatch.setenv(VARIABLE, f"fd:{theirs.fileno()}")
        theirs.set_inheritable(True)
        ours.sendall(hello() + goodbye())
        channel = await open_parent(how)
        fd = theirs.detach()
        assert VARIABLE not in os.environ
        assert not in_c()
        assert not os.get_inheritable(fd)
        with pytest.raises(FileNotFoundError):
            await open_parent(how)
        channel.abort()
        if how == "asyncio":
            await channel._until_closed()
        assert receive_exactly(ours, len(hello())) == hello(features=1)


@every_way
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("fd:0", "FER_EINVAL"),
        ("fd:1", "FER_EINVAL"),
        ("fd:2", "FER_EINVAL"),
        ("fd:", "FER_EADDRESS"),
        ("fd:x", "FER_EADDRESS"),
        ("fd:-1", "FER_EADDRESS"),
        ("", "FER_EADDRESS"),
        ("5", "FER_EADDRESS"),
        ("pipe:/tmp/x", "FER_EADDRESS"),
        ("tcp:127.0.0.1:80", "FER_EADDRESS"),
        ("fd:" + "9" * 100, "FER_EADDRESS"),
        ("fd:19999", "FER_EBADF"),
    ],
)
async def test_a_variable_that_names_no_channel(
    monkeypatch: pytest.MonkeyPatch, how: str, text: str, status: str
) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ferrule.Error) as caught:
        await open_parent(how)
    assert caught.value.status == status
    assert VARIABLE not in os.environ
    assert not in_c()
    with pytest.raises(FileNotFoundError):
        await open_parent(how)


@every_way
@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("file", {"FER_ENOTSOCK"}),
        ("pipe", {"FER_ENOTSOCK"}),
        ("listener", {"FER_EPROTOTYPE", "FER_ENOTCONN"}),
        ("datagrams", {"FER_EPROTOTYPE", "FER_ENOTCONN"}),
        ("unconnected", {"FER_ENOTCONN"}),
    ],
)
async def test_a_variable_that_names_the_wrong_descriptor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, kind: str, statuses: set[str]
) -> None:
    """It stays what it was."""
    with contextlib.ExitStack() as stack:
        if kind == "file":
            fd = stack.enter_context(open(tmp_path / "file", "wb")).fileno()
        elif kind == "pipe":
            fd, other = os.pipe()
            stack.callback(os.close, fd)
            stack.callback(os.close, other)
        else:
            made = stack.enter_context(
                socket.socket(type=socket.SOCK_DGRAM if kind == "datagrams" else socket.SOCK_STREAM)
            )
            fd = made.fileno()
            if kind != "unconnected":
                made.bind(("127.0.0.1", 0))
            if kind == "listener":
                made.listen()
        monkeypatch.setenv(VARIABLE, f"fd:{fd}")
        with pytest.raises(ferrule.Error) as caught:
            await open_parent(how)
        assert caught.value.status in statuses
        assert VARIABLE not in os.environ
        os.fstat(fd)


@every_way
async def test_options_that_make_no_sense_cost_no_channel(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(hello() + goodbye())
        monkeypatch.setenv(VARIABLE, f"fd:{theirs.fileno()}")
        for options, expected in (
            ({"max_message": -1}, ValueError),
            ({"max_handles": 65}, ValueError),
            ({"secret": b"x"}, ferrule.error.NotSupportedError),
            ({"color": "red"}, TypeError),
        ):
            with pytest.raises(expected):
                await open_parent(how, **options)
            assert os.environ[VARIABLE] == f"fd:{theirs.fileno()}"
            assert in_c()
        channel = await open_parent(how)
        theirs.detach()
        channel.abort()
        if how == "asyncio":
            await channel._until_closed()


@every_way
async def test_a_parent_that_says_nothing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        monkeypatch.setenv(VARIABLE, f"fd:{theirs.detach()}")
        with pytest.raises(TimeoutError):
            await open_parent(how, handshake_timeout=0.05)


@every_way
async def test_a_parent_that_has_gone(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    monkeypatch.setenv(VARIABLE, f"fd:{theirs.detach()}")
    with pytest.raises(ConnectionResetError):
        await open_parent(how)


# Tells what a program that it starts, careless about descriptors, inherits.
CARELESS = """
import os, subprocess, sys
from ferrule import sync

with sync.parent() as channel:
    look = "import os; print(*{os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd') if os.path.islink(f'/proc/self/fd/{fd}')}, 'FERRULE_CHANNEL' in os.environ)"
    told = [
        subprocess.run([sys.executable, "-c", look], close_fds=False, env=env, stdout=subprocess.PIPE).stdout
        for env in (None, os.environ)
    ]
    channel.send(b"".join(told))
"""


async def test_grandchildren_inherit_nothing() -> None:
    """Nothing that the child has of its channel: some hosts let children have what this process itself was given."""
    given = {
        os.readlink(f"/proc/self/fd/{number}")
        for number, _ in descriptors()
        if os.get_inheritable(int(number))
    }
    async with ferrule.spawn(*python(CARELESS)) as child:
        first, second = (await child.channel.recv()).decode().splitlines()
    for line in (first, second):
        *links, has_variable = line.split(" ")
        assert has_variable == "False"
        sockets = {link for link in links if link.startswith("socket:")}
        assert sockets <= given


async def test_a_grandchild_with_a_channel_of_its_own() -> None:
    code = """
import sys
from ferrule import sync
with sync.parent() as above, sync.spawn(sys.executable, "-c", sys.argv[1]) as below:
    for message in above:
        below.channel.send(message)
        above.send(below.channel.recv())
"""
    async with ferrule.spawn(*python(code, SYNC_ECHO)) as child:
        await child.channel.send(b"down and up again")
        assert await child.channel.recv() == b"down and up again"
    assert child.returncode == 0


def test_children_of_one_parent_do_not_hold_each_others_channels() -> None:
    with sync.spawn(*python(SYNC_ECHO)) as first, sync.spawn(*python(SYNC_ECHO)) as second:
        first.kill()
        with pytest.raises(ConnectionResetError):
            first.channel.recv(timeout=60)
        first.channel.abort()
        second.channel.send(b"alive")
        assert second.channel.recv(timeout=60) == b"alive"
        first.__exit__(LookupError, None, None)


# --- The death of the parent -----------------------------------------------------------------------------------

BEREAVED = """
from ferrule import sync

channel = sync.parent()
print("born", flush=True)
try:
    channel.recv()
except ConnectionResetError as failure:
    print(failure.status, flush=True)
channel.abort()
"""

PARENT = """
    import asyncio, sys
    import ferrule
    from ferrule import sync

    async def main():
        child = await ferrule.spawn(sys.executable, "-c", sys.argv[1])
        await asyncio.sleep(600)

    if sys.argv[2] == "asyncio":
        asyncio.run(main())
    child = sync.spawn(sys.executable, "-c", sys.argv[1])
    child.wait()
"""


@pytest.mark.parametrize("how", ["asyncio", "sync"])
def test_the_death_of_the_parent_ends_the_channel(how: str) -> None:
    with Child(PARENT, BEREAVED, how) as parent:
        assert parent.line() == "born"
        parent.process.kill()
        # The child has the same standard output, and outlives it.
        assert parent.line() == "FER_ECONNRESET"
        parent.process.wait()


@pytest.mark.parametrize("how", ["exit", "asyncio"])
def test_a_child_that_is_forgotten(how: str) -> None:
    """A program that ends without a word leaves a child that knows."""
    code = """
        import os, sys
        from ferrule import sync
        sync.spawn(sys.executable, "-c", sys.argv[1])
        os._exit(0)
    """
    if how == "asyncio":
        code = """
            import asyncio, os, sys
            import ferrule

            async def main():
                child = await ferrule.spawn(sys.executable, "-c", sys.argv[1])
                os._exit(0)

            asyncio.run(main())
        """
    with Child(code, BEREAVED) as parent:
        assert parent.line() == "born"
        assert parent.line() == "FER_ECONNRESET"
        assert parent.end() == (0, "", "")
