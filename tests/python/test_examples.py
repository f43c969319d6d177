"""The examples do what their first lines say."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

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
