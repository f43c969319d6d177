"""The examples do what their first lines say."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import ROOT, raw_connect

EXAMPLES = ROOT / "examples" / "python"


def start(name: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def stop(server: subprocess.Popen[str]) -> None:
    server.send_signal(signal.SIGINT)
    assert server.communicate(timeout=60) == ("", "")
    assert server.returncode == 0


# What ./dev installs of it needs an older Python.
HAS_CURIO = sys.version_info < (3, 12)


def test_wrong_arguments() -> None:
    """Each says how it is called."""
    programs = sorted(path.name for path in EXAMPLES.glob("*.py"))
    if not HAS_CURIO:
        programs.remove("curio_client.py")
    assert len(programs) >= 8
    for running in [
        start(name, *arguments) for name in programs for arguments in (("a", "b"), ("--colour",))
    ]:
        output, complaints = running.communicate(timeout=60)
        assert (running.returncode, output) == (2, ""), running.args
        assert complaints.startswith("usage: ")


@pytest.mark.parametrize("client", ["echo_client.py", "sync_client.py"])
def test_echo(address: str, client: str) -> None:
    server = start("echo_server.py", address)
    assert server.stdout
    assert server.stdout.readline() == f"listening at {address}\n"
    for _ in range(2):
        process = start(client, address)
        assert process.communicate(timeout=60) == ("hello\n", "")
        assert process.returncode == 0
    stop(server)


def test_a_program_for_pyuv(folder: Path) -> None:
    server = start("pipe_server.py", f"{folder}/s")
    assert server.stdout
    assert server.stdout.readline() == f"listening at {folder}/s\n"
    with raw_connect(f"pipe:{folder}/s") as raw:
        raw.sendall(b"hello")
        assert raw.recv(100) == b"hello"
    stop(server)


@pytest.mark.parametrize("host_loop", ["trio", "curio"])
def test_a_pipe_inside_another_loop(folder: Path, host_loop: str) -> None:
    if host_loop == "curio" and not HAS_CURIO:
        pytest.skip("there is no curio for this Python")
    server = start("pipe_server.py", f"{folder}/s")
    assert server.stdout
    assert server.stdout.readline() == f"listening at {folder}/s\n"
    client = start(f"{host_loop}_client.py", f"{folder}/s")
    assert client.communicate(timeout=60) == ("hello\n", "")
    assert client.returncode == 0
    stop(server)
    client = start(f"{host_loop}_client.py", f"{folder}/nobody")
    output, errors = client.communicate(timeout=60)
    assert client.returncode == 1 and output == "" and "FER_ENOENT" in errors


def test_a_port_that_comes_with_a_message(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as port, sync.listen(address) as owner:
        worker = start("share_port_worker.py", address)
        with owner.accept(60) as channel:
            channel.send(b"the port", handles=[port])
            assert worker.stdout
            assert worker.stdout.readline() == "serving the port\n"
            for _ in range(2):
                with socket.create_connection(port.getsockname()) as client:
                    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                    answer = b"".join(iter(lambda: client.recv(1000), b""))  # noqa: B023
                    assert answer.endswith(f"process {worker.pid}\n".encode())
        assert worker.communicate(timeout=60) == ("", "")
        assert worker.returncode == 0


async def test_a_crowd(address: str) -> None:
    server = start("crowd_server.py", address)
    assert server.stdout
    assert server.stdout.readline() == f"listening at {address}\n"
    clients = await asyncio.gather(*(ferrule.connect(address) for _ in range(100)))
    speaker, quiet, *others = clients
    for client in (quiet, *others):
        # Their end is open a little before the server has heard of it.
        hearing = asyncio.ensure_future(hear(client, b"to all of you"))
        while not hearing.done():
            await speaker.send(b"to all of you")
            await asyncio.wait({hearing}, timeout=0.02)
    # One more than may come.
    with pytest.raises(ConnectionResetError):
        await ferrule.connect(address)
    # One goes, in no orderly way, and another comes in its place.
    quiet.abort()
    late = await connect_when_possible(address)
    await late.send(b"late")
    await asyncio.gather(*(hear(client, b"late") for client in (speaker, *others)))
    await late.close()
    # One that takes too little.
    small = await connect_when_possible(address, max_message=1000)
    with pytest.raises(ConnectionResetError):
        await small.recv()
    small.abort()
    # One that reads nothing holds nobody up.
    for number in range(1000):
        await speaker.send(b"%d" % number + bytes(10_000))
        assert (await others[0].recv()).startswith(b"%d\0" % number)
    # It says goodbye to everybody, and ends.
    server.send_signal(signal.SIGTERM)
    for client in (speaker, *others):
        with pytest.raises(ferrule.EndOfStream):
            while True:
                await client.recv()
    await asyncio.gather(*(client.close() for client in (speaker, *others)))
    output, complaints = server.communicate(timeout=60)
    assert (server.returncode, output) == (0, "")
    said = complaints.splitlines()
    assert "[FER_EBUSY]" in said[0]
    assert all("[FER_EBUSY]" in line or "[FER_ECONNRESET]" in line for line in said)


async def hear(client: ferrule.Channel, what: bytes) -> None:
    """Wait for a message."""
    while await client.recv() != what:
        pass


async def connect_when_possible(address: str, **options: Any) -> ferrule.Channel:
    """Connect as soon as the server has noticed that somebody went."""
    while True:
        try:
            return await ferrule.connect(address, **options)
        except ConnectionResetError:
            continue
