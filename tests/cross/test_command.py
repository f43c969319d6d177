"""The command `ferrule`, as a person or a script uses it."""

import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from harness import COMMAND, PATIENCE, Program, wait_until

SIZES = [0, 1, 4, 65535, 65536, 65537, 1 << 20, 5_000_000]


def run(*arguments: object, stdin: bytes = b"", **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs the command to its end."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=stdin,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
        **options,
    )


def listening(start: Start, command: str, address: str, *options: object, **more: Any) -> Program:
    """A server that listens."""
    server = start(COMMAND, command, *map(str, options), address, **more)
    assert server.complaint().startswith("ferrule: listening at ")
    return server


def messages() -> list[bytes]:
    """Messages of all sizes, with every byte in them, and one that looks like several."""
    random_bytes = random.Random(7)
    return [random_bytes.randbytes(size) for size in SIZES] + [b"\n\n\0\0", bytes(range(256))]


def counted(items: list[bytes]) -> bytes:
    """Messages as --framing=length has them."""
    return b"".join(struct.pack(">I", len(item)) + item for item in items)


# --- Help and usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["echo"], ["listen"], ["send"], ["recv"]])
def test_help(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(b"Usage: " + b" ".join([b"ferrule", *map(str.encode, command)]))
    assert done.stderr == b""


def test_version() -> None:
    done = run("--version")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["ferrule", "libferrule", "libuv"]
    assert lines[0].split()[1] == lines[1].split()[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Usage:"),
        (["frobnicate"], 'no command "frobnicate"'),
        (["send"], "an address is missing"),
        (["listen", "pipe:a", "pipe:b"], '"pipe:b" is one argument too many'),
        (["listen", "--frobnicate", "pipe:a"], "--frobnicate: unknown option"),
        (["recv", "--count"], "--count"),
        (["recv", "--once", "pipe:a"], "--once: unknown option"),
        (["send", "pip:a"], "(FER_EADDRESS)"),
        (["send", "pipe:"], "(FER_EADDRESS)"),
        (["send", "--timeout=soon", "pipe:a"], '"soon" is not a number of seconds'),
        (["send", "--timeout=-1", "pipe:a"], "is not a number of seconds"),
        (["listen", "--count=0", "pipe:a"], "is not a number of messages"),
        (["listen", "--count=3x", "pipe:a"], "is not a number of messages"),
        (["listen", "--max-message=4G", "pipe:a"], "is not a size"),
        (["listen", "--max-message=1T", "pipe:a"], "is not a size"),
        (["listen", "--wire=purple", "pipe:a"], "neither native nor plain"),
        (["listen", "--framing=purple", "pipe:a"], "none of line, null, none and length"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    """Exit code 2, a message, and nothing on standard output."""
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert done.stdout == b""


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written(option: str) -> None:
    with open("/dev/full", "wb") as full:
        done = run(option, stdout=full)
    assert done.returncode == 1
    assert b"write to standard output: No space left on device" in done.stderr


# --- Messages ---------------------------------------------------------------------------------------------------


def test_lines(start: Start, place: Path) -> None:
    """Each line is a message; the last may lack its newline; an empty one is an empty message."""
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--once")
    assert run("send", address, stdin=b"one\n\nthree\nlast").returncode == 0
    assert server.wait() == 0
    assert bytes(server.output) == b"one\n\nthree\nlast\n"


@pytest.mark.parametrize("framing", ["null", "length", "none"])
def test_framings(start: Start, place: Path, framing: str) -> None:
    """What goes in comes out, byte for byte."""
    address = f"pipe:{place}/s"
    text = {
        "null": b"one\ntwo\0\0three\0",
        "length": counted(messages()),
        "none": b"".join(messages()),
    }[framing]
    server = listening(start, "listen", address, "--once", f"--framing={framing}")
    assert run("send", f"--framing={framing}", address, stdin=text).returncode == 0
    assert server.wait() == 0
    assert bytes(server.output) == text


def test_null_for_short(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "-1", "-0")
    assert run("send", "-0", address, stdin=b"a\nb\0c").returncode == 0
    assert server.wait() == 0
    assert bytes(server.output) == b"a\nb\0c\0"


def test_input_that_ends_inside_a_message(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--once")
    done = run("send", "--framing=length", address, stdin=counted([b"whole"]) + b"\0\0\0\5part")
    assert done.returncode == 1
    assert b"standard input ends inside a message" in done.stderr
    assert server.wait() == 0
    assert bytes(server.output) == b"whole\n"


def test_files(start: Start, place: Path) -> None:
    """A file is one message, whatever is in it; --output makes a file of each message again."""
    address = f"pipe:{place}/s"
    names = []
    for number, item in enumerate(messages()):
        names.append(place / f"file{number}")
        names[-1].write_bytes(item)
    output = place / "received"
    server = listening(start, "listen", address, "--output", output, "--count", len(names) + 1)
    assert run("send", address, *names, "-", stdin=b"from\ninput").returncode == 0
    assert server.wait() == 0
    received = sorted(output.iterdir())
    assert [name.name for name in received] == [f"{i + 1:06}" for i in range(len(names) + 1)]
    assert [name.read_bytes() for name in received] == [*messages(), b"from\ninput"]
    assert not server.output


def test_large_file(start: Start, place: Path) -> None:
    """Over the default limit, when both sides are told so."""
    address = f"pipe:{place}/s"
    large = place / "large"
    with large.open("wb") as file:
        for number in range(100):
            file.write(bytes([number]) * (1 << 20))
    output = place / "received"
    server = listening(start, "listen", address, "--output", output, "--count=1", "--max-message=100M")
    assert run("send", "--max-message=100M", address, large).returncode == 0
    assert server.wait() == 0
    assert subprocess.run(["cmp", large, output / "000001"], check=False).returncode == 0


def test_file_over_the_limit(start: Start, place: Path) -> None:
    """It is refused, with its name and the limit; the others go."""
    address = f"pipe:{place}/s"
    (place / "small").write_text("small")
    (place / "large").write_text("too large")
    server = listening(start, "listen", address, "--once", "--max-message=8")
    done = run("send", address, place / "large", place / "small")
    assert done.returncode == 1
    assert f"{place}/large: more than the 8 bytes" in done.stderr.decode()
    assert server.wait() == 0
    assert bytes(server.output) == b"small\n"


def test_line_over_the_limit(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--once")
    done = run("send", "--max-message=8", address, stdin=b"12345678\n123456789\n")
    assert done.returncode == 1
    assert b"standard input: more than the 8 bytes" in done.stderr
    assert server.wait() == 0
    assert bytes(server.output) == b"12345678\n"


def test_files_that_cannot_be_read(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    (place / "good").write_text("good")
    server = listening(start, "listen", address, "--once")
    done = run("send", address, place / "missing", place, place / "good")
    assert done.returncode == 1
    assert f"ferrule: read {place}/missing: No such file or directory" in done.stderr.decode()
    assert f"ferrule: read {place}: Is a directory" in done.stderr.decode()
    assert server.wait() == 0
    assert bytes(server.output) == b"good\n"


def test_empty_line_on_the_plain_wire(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = listening(start, "listen", address, "--once", "--wire=plain")
    done = run("send", "--wire=plain", address, stdin=b"one\n\n")
    assert done.returncode == 1
    assert b"send message 2" in done.stderr and b"(FER_EINVAL)" in done.stderr
    assert server.wait() == 0
    assert bytes(server.output) == b"one\n"


def test_recv(peer: Start, place: Path) -> None:
    """Prints what a server sends, until its goodbye."""
    address = f"pipe:{place}/s"
    server = peer("c", "listen", address, "send", "0,3x2")
    server.expect("ready")
    done = run("recv", "--framing=length", address)
    assert done.returncode == 0
    assert [len(item) for item in split_counted(done.stdout)] == [0, 3, 3]
    assert server.result()["end"] == "FER_OK"


def split_counted(text: bytes) -> list[bytes]:
    items = []
    while text:
        size = struct.unpack(">I", text[:4])[0]
        items.append(text[4 : 4 + size])
        text = text[4 + size :]
    return items


def test_recv_count(peer: Start, place: Path) -> None:
    """Takes so many and leaves the rest."""
    address = f"pipe:{place}/s"
    server = peer("c", "listen", address, "send", "1x1000", "--stay")
    server.expect("ready")
    done = run("recv", "--count=10", "--framing=none", address)
    assert done.returncode == 0
    assert len(done.stdout) == 10


def test_recv_fewer_than_asked_for(peer: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = peer("c", "listen", address, "send", "1x3")
    server.expect("ready")
    done = run("recv", "--count=10", address)
    assert done.returncode == 1
    assert b"goodbye after 3 of 10 messages" in done.stderr


def test_echo(start: Start, peer: Start, place: Path) -> None:
    """Any number of clients, each gets its own back."""
    address = f"pipe:{place}/s"
    server = listening(start, "echo", address)
    pings = [peer("c", "connect", address, "ping", "64x1000,3000000,0,1x100") for _ in range(3)]
    for ping in pings:
        assert ping.result()["messages"] == 1102
    server.signal(signal.SIGINT)
    assert server.wait() == 0


def test_send_to_one_that_talks_back(start: Start, place: Path) -> None:
    """What the server sends does not block the sender, however much it is."""
    address = f"pipe:{place}/s"
    server = listening(start, "echo", address, "--once")
    large = place / "large"
    large.write_bytes(bytes(1 << 20))
    assert run("send", address, *[large] * 40).returncode == 0
    assert server.wait() == 0


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
    client = start(COMMAND, "recv", address)
    wait_until(lambda: has_connection(server), "the client connects")
    server.signal(number)
    assert server.wait() == 0
    assert client.wait() == 0
    assert not (place / "s").exists()
    assert len(server.complaints.decode().splitlines()) == 1


def has_connection(server: Program) -> bool:
    """Whether a server has more than one socket."""
    links = []
    for descriptor in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            links.append(os.readlink(descriptor))
        except FileNotFoundError:
            continue
    return sum(link.startswith("socket:") for link in links) > 1


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
