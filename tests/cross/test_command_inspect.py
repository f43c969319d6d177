"""`ferrule inspect`, and what all commands take: secrets, statistics, other users."""

import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Union

import pytest
from command import listening, run
from conftest import Start
from harness import PATIENCE


def fields(output: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in output.decode().splitlines())


def address_of(complaints: Union[bytes, bytearray]) -> str:
    return complaints.decode().splitlines()[0].split(" at ", 1)[1]


@pytest.mark.parametrize("transport", ["pipe", "tcp"])
def test_a_channel(start: Start, place: Path, transport: str) -> None:
    address = f"pipe:{place}/s" if transport == "pipe" else "tcp:127.0.0.1:0"
    server = listening(start, "listen", address, "--max-message=5M")
    done = run("inspect", address_of(server.complaints))
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    found = fields(done.stdout)
    assert found["address"] == address_of(server.complaints)
    assert found["wire"] == "native, version 1"
    assert found["secret"] == "none"
    assert found["takes messages up to"] == f"{5 << 20} bytes"
    assert found["this side takes messages up to"] == f"{64 << 20} bytes"
    assert found["takes handles up to"] == "0 with a message"
    assert found["user"].split()[0] == str(os.getuid())
    assert re.fullmatch(r"\d+\.\d ms", found["connected in"])
    if transport == "pipe":
        assert found["process"] == str(server.process.pid)
        assert found["group"] == str(os.getgid())
    else:
        assert "process" not in found
    # The server took it for a client that had nothing to say.
    assert server.process.poll() is None
    assert server.complaints.count(b"\n") == 1


def test_a_plain_channel(start: Start, place: Path) -> None:
    listening(start, "listen", f"pipe:{place}/s", "--wire=plain")
    done = run("inspect", "--wire=plain", f"pipe:{place}/s")
    assert done.returncode == 0
    assert fields(done.stdout)["wire"] == "plain"
    assert "takes messages up to" not in fields(done.stdout)


@pytest.mark.parametrize("kind", ["nothing", "file", "stale"])
def test_nobody_there(place: Path, kind: str) -> None:
    if kind == "file":
        (place / "s").write_text("")
    elif kind == "stale":
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{place}/s")
    done = run("inspect", f"pipe:{place}/s")
    assert done.returncode == 1
    assert done.stdout == b""
    assert (b"(FER_ENOTSOCK)" if kind == "file" else b"nobody listens there") in done.stderr


@contextmanager
def stranger(place: Path, answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something else that listens, and what it does with each connection."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}/s")
        listener.listen(5)
        listener.settimeout(PATIENCE)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"pipe:{place}/s"
        thread.join()


def say_nothing(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass


def say_garbage(connection: socket.socket) -> None:
    connection.sendall(os.urandom(7) + b"\0" * 100)
    say_nothing(connection)


def answer_as_http(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def hang_up(connection: socket.socket) -> None:
    connection.recv(4096)


@pytest.mark.parametrize(
    ("answer", "status", "advice"),
    [
        (say_nothing, "FER_ETIMEDOUT", "says nothing"),
        (say_garbage, "FER_EPROTO", "no channel of the native wire"),
        (answer_as_http, "FER_EPROTO", "no channel of the native wire"),
        (hang_up, "FER_ECONNRESET", "hung up"),
    ],
)
def test_no_channel(place: Path, answer: Callable[[socket.socket], None], status: str, advice: str) -> None:
    with stranger(place, answer) as address:
        done = run("inspect", "--timeout=0.3", address)
    assert done.returncode == 1
    assert done.stdout == b""
    complaint, hint = done.stderr.decode().splitlines()
    assert complaint.startswith(f"ferrule: connect {address}: ")
    assert complaint.endswith(f"({status})")
    assert advice in hint


def test_no_channel_on_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = run("inspect", "--timeout=0.3", f"tcp:127.0.0.1:{listener.getsockname()[1]}")
    assert done.returncode == 1
    assert b"(FER_ETIMEDOUT)" in done.stderr


# --- Secrets ----------------------------------------------------------------------------------------------------


def secret_file(place: Path, name: str, data: bytes, mode: int = 0o600) -> str:
    path = place / name
    path.write_bytes(data)
    path.chmod(mode)
    return f"--secret-file={path}"


def test_a_secret(start: Start, place: Path) -> None:
    right = secret_file(place, "right", b"correct horse\n")
    same = secret_file(place, "same", b"correct horse")
    wrong = secret_file(place, "wrong", b"correct horse\n\n")
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, right)
    done = run("inspect", same, address)
    assert done.returncode == 0, done.stderr
    assert fields(done.stdout)["secret"] == "proved by both"
    assert run("send", same, address, stdin=b"told in confidence\n").returncode == 0
    assert server.line() == "told in confidence"
    for refused in ([wrong], []):
        done = run("inspect", *refused, address)
        assert done.returncode == 1
        assert b"(FER_EACCES)" in done.stderr
        assert b"compare the secrets" in done.stderr


@pytest.mark.parametrize(
    ("data", "mode", "complaint"),
    [
        (b"", 0o600, "is empty"),
        (b"\n", 0o600, "is empty"),
        (b"x" * 65537, 0o600, "that is no secret"),
        (b"secret", 0o644, "can be read by other users: chmod 600"),
        (b"secret", 0o640, "can be read by other users: chmod 600"),
        (None, 0, "No such file"),
    ],
)
def test_a_file_that_is_no_secret(place: Path, data: "bytes | None", mode: int, complaint: str) -> None:
    option = f"--secret-file={place}/none" if data is None else secret_file(place, "key", data, mode)
    done = run("recv", option, f"pipe:{place}/s")
    assert done.returncode == 2
    assert complaint in done.stderr.decode()


def test_a_secret_of_another_program(start: Start, place: Path) -> None:
    """A pipe, as a shell makes it of <(command)."""
    listening(start, "listen", f"pipe:{place}/s", secret_file(place, "key", b"from a pipe"))
    read, write = os.pipe()
    os.write(write, b"from a pipe\n")
    os.close(write)
    done = run("inspect", f"--secret-file=/dev/fd/{read}", f"pipe:{place}/s", pass_fds=[read])
    os.close(read)
    assert done.returncode == 0, done.stderr


def test_a_secret_on_the_plain_wire(place: Path) -> None:
    done = run("recv", "--wire=plain", secret_file(place, "key", b"secret"), f"pipe:{place}/s")
    assert done.returncode == 1
    assert b"(FER_ENOTSUP)" in done.stderr


# --- Statistics -------------------------------------------------------------------------------------------------


def test_statistics(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--verbose", "--once")
    done = run("send", "-v", address, stdin=b"one\ntwo\n\nthree\n")
    assert done.returncode == 0
    assert done.stderr.decode() == (
        f"ferrule: {address}: 1 channel, in 0 messages 0 bytes 0 handles, "
        "out 4 messages 11 bytes 0 handles, high water 0 times\n"
    )
    assert server.wait() == 0
    assert bytes(server.complaints).decode().splitlines()[1] == (
        f"ferrule: {address}: 1 channel, in 4 messages 11 bytes 0 handles, "
        "out 0 messages 0 bytes 0 handles, high water 0 times"
    )


def test_statistics_count_floods(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    listening(start, "listen", address, f"--output={place}/out")
    (place / "large").write_bytes(bytes(40 << 20))
    done = run("send", "-v", address, place / "large")
    assert done.returncode == 0
    found = re.search(rb"out 1 messages 41943040 bytes 0 handles, high water (\d+) times", done.stderr)
    assert found is not None and int(found.group(1)) == 1


# --- Users ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else for a while")
@pytest.mark.parametrize("served", [False, True])
def test_other_users(start: Start, place: Path, served: bool) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, *(["--any-user"] if served else []))
    place.chmod(0o711)
    (place / "s").chmod(0o666)

    def ask() -> int:
        """In another process, since a user is for ever."""
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(PATIENCE)
                    client.connect(f"{place}/s")
                    os._exit(0 if client.recv(36) else 1)
            except BaseException:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert ask() == (0 if served else 1)
    if not served:
        assert "(FER_EACCES)" in server.complaint()
    assert run("send", address, stdin=b"mine\n").returncode == 0
    assert server.line() == "mine"


def test_help_names_every_command() -> None:
    text = run("--help").stdout.decode()
    for command in ("echo", "inspect", "listen", "proxy", "recv", "send"):
        assert f"\n  {command} " in text
        assert f"Usage: ferrule {command}" in run(command, "--help").stdout.decode()
