"""How the command `ferrule` ends: failures, output that cannot be written, signals."""

import fcntl
import os
import signal
import socket
import struct
import subprocess
import termios
from pathlib import Path

import ferrule
import pytest
from command import listening, run
from conftest import Start
from ferrule import sync
from harness import COMMAND, PATIENCE, Program, wait_until

# --- Failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["send", "recv"])
def test_nobody_listens(place: Path, command: str) -> None:
    done = run(command, "--timeout=0.1", f"pipe:{place}/s")
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"ferrule: connect pipe:{place}/s: no such file or directory (FER_ENOENT)\n"
    )


def test_stale_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{place}/s")
    done = run("send", "--timeout=0.1", f"pipe:{place}/s")
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"ferrule: connect pipe:{place}/s: connection refused: nobody listens (FER_ECONNREFUSED)\n"
    )


def test_send_waits_for_its_server(start: Start, place: Path) -> None:
    """A client may be started first."""
    address = f"pipe:{place}/s"
    client = start(COMMAND, "send", address)
    client.tell("early\n")
    client.close_input()
    server = listening(start, "listen", address, "--once")
    assert client.wait() == 0
    assert server.wait() == 0
    assert bytes(server.output) == b"early\n"


def test_address_in_use(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    listening(start, "listen", address)
    done = run("listen", address)
    assert done.returncode == 1
    assert b"(FER_EADDRINUSE)" in done.stderr


def test_peer_that_is_no_channel(place: Path) -> None:
    """Something else listens there, and says nothing, or something strange."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{place}/s")
        other.listen(5)
        done = run("recv", "--timeout=0.2", f"pipe:{place}/s")
        assert done.returncode == 1
        assert b"(FER_ETIMEDOUT)" in done.stderr
        client = subprocess.Popen([COMMAND, "recv", f"pipe:{place}/s"], stderr=subprocess.PIPE)
        other.accept()[0].close()
        strange = other.accept()[0]
        strange.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        _, complaint = client.communicate(timeout=PATIENCE)
        strange.close()
    assert client.returncode == 1
    assert b"(FER_EPROTO)" in complaint


def test_nothing_happens(start: Start, place: Path) -> None:
    """--timeout also ends a wait for messages."""
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--timeout=0.2")
    assert server.wait() == 1
    assert "nothing happened for 0.2 seconds" in server.complaints.decode()
    listening(start, "echo", address)
    done = run("recv", "--timeout=0.2", address)
    assert done.returncode == 1
    assert b"nothing happened for 0.2 seconds" in done.stderr


def test_server_that_dies(start: Start, place: Path) -> None:
    """The sender does not claim success."""
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address)
    client = start(COMMAND, "send", address)
    client.tell("one\n")
    assert server.line() == "one"
    server.kill()
    assert client.wait() == 1
    assert "(FER_ECONNRESET)" in client.complaints.decode()


def test_client_that_dies(start: Start, place: Path) -> None:
    """A server says so and goes on; with --once it is the end, and a failure."""
    address = f"pipe:{place}/s"
    for once, expected in ((False, 0), (True, 1)):
        server = listening(start, "listen", address, *(["--once"] if once else []))
        client = start(COMMAND, "send", address)
        client.tell("one\n")
        assert server.line() == "one"
        client.kill()
        assert "client 1: the peer went away" in server.complaint()
        if not once:
            assert run("send", address, stdin=b"two\n").returncode == 0
            assert server.line() == "two"
            server.signal(signal.SIGTERM)
        assert server.wait() == expected


# --- Output that fails ----------------------------------------------------------------------------------------------


def check_refused(start: Start, address: str, server: Program, reason: str) -> None:
    """The server cannot keep a message: it fails, and a client that has more is not told that all is well."""
    client = start(COMMAND, "send", address)
    client.tell("line\n")
    assert server.wait() == 1
    assert client.wait() == 1
    assert reason in server.complaints.decode()
    assert "(FER_ECONNRESET)" in client.complaints.decode()


def test_full_disk(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    with open("/dev/full", "wb") as full:
        server = listening(start, "listen", address, stdout=full)
    check_refused(start, address, server, "write to standard output: No space left on device")


def test_full_disk_in_a_directory(start: Start, place: Path) -> None:
    """No part of a message is left behind as if it were one. The limit on file sizes stands in for a disk."""
    address = f"pipe:{place}/s"
    output = place / "received"
    server = start(
        "sh", "-c", f"trap '' XFSZ; ulimit -f 2; exec {COMMAND} listen --output {output} {address}"
    )
    server.complaint()
    (place / "small").write_bytes(bytes(100))
    (place / "large").write_bytes(bytes(100_000))
    run("send", address, place / "small", place / "large")
    assert server.wait() == 1
    assert f"write {output}/000002: File too large" in server.complaints.decode()
    assert [name.name for name in output.iterdir()] == ["000001"]


def test_reader_that_goes_away(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    reader, writer = os.pipe()
    server = listening(start, "listen", address, stdout=writer)
    os.close(writer)
    os.close(reader)
    check_refused(start, address, server, "write to standard output: Broken pipe")


def test_closed_standard_output(start: Start, place: Path) -> None:
    """The messages do not land in whatever gets the free descriptor."""
    address = f"pipe:{place}/s"
    server = start("sh", "-c", f"exec {COMMAND} listen {address} >&-")
    server.complaint()
    check_refused(start, address, server, "write to standard output: Bad file descriptor")


def test_closed_standard_input(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    listening(start, "listen", address)
    done = subprocess.run(
        ["sh", "-c", f"exec {COMMAND} send {address} <&-"],
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert b"read standard input: Bad file descriptor" in done.stderr


def test_output_file_exists(start: Start, place: Path) -> None:
    """Nothing is overwritten."""
    address = f"pipe:{place}/s"
    (place / "000001").write_text("mine")
    server = listening(start, "listen", address, "--output", place)
    check_refused(start, address, server, f"write {place}/000001: File exists")
    assert (place / "000001").read_text() == "mine"


# --- Signals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["echo", "listen"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_server(start: Start, place: Path, command: str, number: int) -> None:
    """An orderly end: the client hears a goodbye, the socket file goes."""
    address = f"pipe:{place}/s"
    server = listening(start, command, address)
    with sync.connect(address) as client:
        # Only what comes back says that the server has the channel open, and not just a connection.
        client.send(b"here")
        if command == "echo":
            assert client.recv() == b"here"
        else:
            assert server.line() == "here"
        server.signal(number)
        with pytest.raises(ferrule.EndOfStream):
            client.recv()
    assert server.wait() == 0
    assert not (place / "s").exists()
    assert len(server.complaints.decode().splitlines()) == 1


def test_interrupted_before_the_last_message(start: Start, place: Path) -> None:
    server = listening(start, "listen", f"pipe:{place}/s", "--count=5")
    server.signal(signal.SIGINT)
    assert server.wait() == 1
    assert "interrupted after 0 of 5 messages" in server.complaints.decode()


def test_interrupted_recv(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "echo", address, "--once")
    client = start(COMMAND, "recv", address)
    wait_until(lambda: not (place / "s").exists(), "the server has its client")
    client.signal(signal.SIGINT)
    assert client.wait() == 0
    assert server.wait() == 0


def test_interrupted_send(start: Start, place: Path) -> None:
    """No goodbye: nobody takes a part for the whole. A shell sees the signal."""
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--once")
    client = start(COMMAND, "send", address)
    client.tell("one\n")
    assert server.line() == "one"
    client.signal(signal.SIGINT)
    assert client.wait() == -signal.SIGINT
    assert "not everything was sent" in client.complaints.decode()
    assert server.wait() == 1
    assert "(FER_ECONNRESET)" in server.complaints.decode()


def unread(descriptor: int) -> int:
    """How many bytes a pipe holds."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))[0])


def is_asleep(program: Program) -> bool:
    stat = Path(f"/proc/{program.process.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "S"


def test_interrupted_while_output_is_stuck(start: Start, place: Path) -> None:
    """Nobody reads what it prints: Ctrl-C ends it all the same."""
    address = f"pipe:{place}/s"
    reader, writer = os.pipe()
    server = listening(start, "listen", address, stdout=writer)
    os.close(writer)
    client = start(COMMAND, "send", "--framing=none", address)
    client.tell("x" * 1_000_000)
    client.close_input()
    capacity = fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ)
    wait_until(lambda: unread(reader) == capacity and is_asleep(server), "the server waits for its reader")
    server.signal(signal.SIGINT)
    assert server.wait() == 1
    assert "interrupted while standard output took no more" in server.complaints.decode()
    os.close(reader)


def test_quiet(start: Start, place: Path) -> None:
    """With --quiet only errors are said."""
    address = f"pipe:{place}/s"
    server = start(COMMAND, "listen", "--quiet", "--once", address)
    assert run("send", "--quiet", address, stdin=b"one\n").returncode == 0
    assert server.wait() == 0
    assert not server.complaints
