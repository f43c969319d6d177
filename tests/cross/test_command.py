"""The command `ferrule`, as a person or a script uses it."""

import random
import signal
import struct
import subprocess
from pathlib import Path

import pytest
from command import listening, run
from conftest import Start

SIZES = [0, 1, 4, 65535, 65536, 65537, 1 << 20, 5_000_000]


def messages() -> list[bytes]:
    """Messages of all sizes, with every byte in them, and one that looks like several."""
    random_bytes = random.Random(7)
    return [random_bytes.randbytes(size) for size in SIZES] + [b"\n\n\0\0", bytes(range(256))]


def counted(items: list[bytes]) -> bytes:
    """Messages as --framing=length has them."""
    return b"".join(struct.pack(">I", len(item)) + item for item in items)


# --- Help and usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [[], ["echo"], ["inspect"], ["listen"], ["proxy"], ["recv"], ["send"]])
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
        (["proxy", "pipe:a"], "a second address is missing"),
        (["proxy", "pipe:a", "pip:b"], "(FER_EADDRESS)"),
        (["proxy", "pipe:a", "pipe:b", "pipe:c"], '"pipe:c" is one argument too many'),
        (["proxy", "--connect-wire=wide", "pipe:a", "pipe:b"], '--connect-wire: "wide" is neither'),
        (["inspect", "--verbose", "pipe:a"], "--verbose: unknown option"),
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
    assert server.ready() == address
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
    assert server.ready() == address
    done = run("recv", "--count=10", "--framing=none", address)
    assert done.returncode == 0
    assert len(done.stdout) == 10


def test_recv_fewer_than_asked_for(peer: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    server = peer("c", "listen", address, "send", "1x3")
    assert server.ready() == address
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
