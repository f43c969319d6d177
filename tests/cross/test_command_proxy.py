"""`ferrule proxy`: what it joins, in which order, and how it ends."""

import os
import re
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ferrule
import pytest
from command import listening
from conftest import Start
from ferrule import sync
from harness import COMMAND, PATIENCE, Program

COMMAND_FIELDS = re.compile(
    r": (\d+) channels?, in (\d+) messages (\d+) bytes (\d+) handles, out (\d+) messages"
)


def address_of(server: Program) -> str:
    """Where a command says that it listens."""
    return bytes(server.complaints).decode().splitlines()[0].split(" at ", 1)[1]


@contextmanager
def proxy(start: Start, first: str, second: str, *options: object) -> Iterator[Program]:
    program = start(*proxy_command(*options), first, second)
    assert program.complaint().startswith("ferrule: listening at ")
    yield program


def proxy_command(*options: object) -> list[str]:
    return [COMMAND, "proxy", *map(str, options)]


def place_of(transport: str, place: Path, name: str) -> str:
    return {
        "pipe": f"pipe:{place}/{name}",
        "tcp": "tcp:127.0.0.1:0",
        "fifo": f"fifo:{place}/{name}.in,{place}/{name}.out",
    }[transport]


@pytest.mark.parametrize("near_wire", ["native", "plain"])
@pytest.mark.parametrize("far_wire", ["native", "plain"])
@pytest.mark.parametrize(
    ("near", "far"), [("pipe", "tcp"), ("tcp", "pipe"), ("fifo", "pipe"), ("pipe", "fifo")]
)
def test_joins_transports_and_wires(
    start: Start, place: Path, near: str, far: str, near_wire: str, far_wire: str
) -> None:
    echo = listening(start, "echo", place_of(far, place, "e"), "--once", f"--wire={far_wire}")
    options = ("--once", "-v", f"--listen-wire={near_wire}", f"--connect-wire={far_wire}")
    with proxy(start, place_of(near, place, "p"), address_of(echo), *options) as between:
        sizes = [1, 2, 1000, 70_000, 300_000, 3_000_000, 5]
        with sync.connect(address_of(between), wire=near_wire, timeout=PATIENCE) as channel:
            for size in sizes:
                message = os.urandom(size)
                channel.send(message, timeout=PATIENCE)
                assert channel.recv(timeout=PATIENCE) == message
        assert between.wait() == 0
    assert echo.wait() == 0
    lines = bytes(between.complaints).decode().splitlines()
    assert len(lines) == 3
    for line in lines[1:]:
        found = COMMAND_FIELDS.search(line)
        assert found is not None, line
        assert found.groups() == ("1", str(len(sizes)), str(sum(sizes)), "0", str(len(sizes)))


def test_empty_message_cannot_become_plain(start: Start, place: Path) -> None:
    echo = listening(start, "echo", f"pipe:{place}/e", "--wire=plain")
    options = ("--connect-wire=plain", "--once")
    with proxy(start, f"pipe:{place}/p", address_of(echo), *options) as between:
        channel = sync.connect(f"pipe:{place}/p")
        channel.send(b"one")
        assert channel.recv(timeout=PATIENCE) == b"one"
        channel.send(b"")
        with pytest.raises(ConnectionResetError):
            channel.recv(timeout=PATIENCE)
        channel.abort()
        assert between.wait() == 1
        assert b"pass a message on to pipe:" in between.complaints
        assert b"(FER_EINVAL)" in between.complaints


def test_passes_handles(start: Start, place: Path) -> None:
    with sync.listen(f"pipe:{place}/far", max_handles=2) as server:
        with proxy(start, f"pipe:{place}/near", f"pipe:{place}/far", "--once", "-v") as between:
            client = sync.connect(f"pipe:{place}/near", max_handles=4)
            far = server.accept(timeout=PATIENCE)
            read, write = os.pipe()
            client.send(b"two", handles=[write, write])
            message = far.recv_message(timeout=PATIENCE)
            assert message == b"two"
            assert len(message.handles) == 2
            os.close(write)
            descriptor = message.handles[0].detach()
            os.write(descriptor, b"through the proxy")
            os.close(descriptor)
            message.handles[1].close()
            assert os.read(read, 100) == b"through the proxy"
            # Nobody else has it open any more: not the proxy either.
            assert os.read(read, 100) == b""
            os.close(read)
            far.send(b"back", handles=[0])
            answer = client.recv_message(timeout=PATIENCE)
            [handle] = answer.handles
            handle.close()
            # More than the far side takes.
            client.send(b"three", handles=[0, 1, 2])
            with pytest.raises(ConnectionResetError):
                client.recv(timeout=PATIENCE)
            with pytest.raises(ConnectionResetError):
                far.recv(timeout=PATIENCE)
            client.abort()
            far.abort()
            assert between.wait() == 1
            assert b"(FER_ENOTSUP)" in between.complaints


@pytest.mark.parametrize(("near", "far"), [("native", "plain"), ("plain", "native")])
def test_no_handles_to_a_side_that_has_none(start: Start, place: Path, near: str, far: str) -> None:
    echo = listening(start, "echo", f"pipe:{place}/e", f"--wire={far}")
    options = (f"--listen-wire={near}", f"--connect-wire={far}")
    with proxy(start, f"pipe:{place}/p", address_of(echo), *options):
        with sync.connect(f"pipe:{place}/p", wire=near) as channel:
            with pytest.raises(ferrule.error.NotSupportedError):
                channel.send(b"with", handles=[0])
            channel.send(b"without")
            assert channel.recv(timeout=PATIENCE) == b"without"


def ended(channel: sync.Channel) -> None:
    """The next that comes is a goodbye."""
    with pytest.raises(ferrule.error.EndOfStream):
        channel.recv(timeout=PATIENCE)


# --- Ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["goodbye", "death"])
@pytest.mark.parametrize("from_near", [True, False])
def test_an_end_is_passed_on_as_what_it_is(start: Start, place: Path, end: str, from_near: bool) -> None:
    """What came before it arrives first."""
    with sync.listen(f"pipe:{place}/far") as server:
        with proxy(start, f"pipe:{place}/near", f"pipe:{place}/far", "--once") as between:
            near = sync.connect(f"pipe:{place}/near")
            far = server.accept(timeout=PATIENCE)
            first, second = (near, far) if from_near else (far, near)
            messages = [os.urandom(200_000) for _ in range(10)]
            sent = threading.Event()

            def act() -> None:
                for message in messages:
                    first.send(message, timeout=PATIENCE)
                if end == "goodbye":
                    first.close(timeout=PATIENCE)
                else:
                    first.abort()
                sent.set()

            actor = threading.Thread(target=act)
            actor.start()
            for message in messages:
                assert second.recv(timeout=PATIENCE) == message
            if end == "goodbye":
                ended(second)
            else:
                with pytest.raises(ConnectionResetError):
                    second.recv(timeout=PATIENCE)
            actor.join()
            second.close(timeout=PATIENCE) if end == "goodbye" else second.abort()
            assert between.wait() == (0 if end == "goodbye" else 1)


def test_nobody_at_the_far_end(start: Start, place: Path) -> None:
    with proxy(start, f"pipe:{place}/near", f"pipe:{place}/far", "--timeout=0.2", "--once") as between:
        channel = sync.connect(f"pipe:{place}/near")
        with pytest.raises(ConnectionResetError):
            channel.recv(timeout=PATIENCE)
        channel.abort()
        assert between.wait() == 1
        # The time to connect is up, and so is that without progress: either may be seen first.
        complaints = bytes(between.complaints)
        assert b"nothing happened" in complaints or (
            b"client 1: connect pipe:" in complaints and b"(FER_ENOENT)" in complaints
        )


def test_one_far_end_dies_and_the_others_go_on(start: Start, place: Path) -> None:
    with sync.listen(f"pipe:{place}/far") as server:
        with proxy(start, f"pipe:{place}/near", f"pipe:{place}/far") as between:
            clients = [sync.connect(f"pipe:{place}/near") for _ in range(3)]
            far = [server.accept(timeout=PATIENCE) for _ in range(3)]
            # Which far end belongs to which client is not said.
            for number, client in enumerate(clients):
                client.send(b"%d" % number)
            by_number = {int(channel.recv(timeout=PATIENCE)): channel for channel in far}
            by_number[1].abort()
            with pytest.raises(ConnectionResetError):
                clients[1].recv(timeout=PATIENCE)
            for number in (0, 2):
                by_number[number].send(b"still there")
                assert clients[number].recv(timeout=PATIENCE) == b"still there"
            between.signal(signal.SIGTERM)
            for number in (0, 2):
                ended(clients[number])
                ended(by_number[number])
                clients[number].close()
                by_number[number].close()
            assert between.wait() == 0
            clients[1].abort()


# --- Back pressure ----------------------------------------------------------------------------------------------


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    text = Path(f"/proc/{pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="the system does not say how much memory it has"
)
@pytest.mark.parametrize("from_near", [True, False])
def test_who_is_faster_waits(start: Start, place: Path, from_near: bool) -> None:
    """A gigabyte would be ready to go; what is on its way stays small, and nothing is lost."""
    with sync.listen(f"pipe:{place}/far") as server:
        with proxy(start, f"pipe:{place}/near", f"pipe:{place}/far", "--once") as between:
            near = sync.connect(f"pipe:{place}/near")
            far = server.accept(timeout=PATIENCE)
            fast, slow = (near, far) if from_near else (far, near)
            chunk = bytes(100_000)
            sent = 0
            before = resident(between.process.pid)
            while True:
                try:
                    fast.send(struct.pack(">I", sent) + chunk, timeout=0.3)
                except (TimeoutError, BlockingIOError):
                    # That one was accepted, and waits in this process.
                    sent += 1
                    break
                sent += 1
                assert sent < 10_000
            assert resident(between.process.pid) - before < 40 << 20
            flushed = threading.Thread(target=lambda: fast.close(timeout=PATIENCE))
            flushed.start()
            for number in range(sent):
                message = slow.recv(timeout=PATIENCE)
                assert message is not None and struct.unpack(">I", message[:4]) == (number,)
            ended(slow)
            flushed.join()
            slow.close(timeout=PATIENCE)
            assert between.wait() == 0


# --- Secrets ----------------------------------------------------------------------------------------------------


def secret_file(place: Path, name: str, text: str) -> Path:
    path = place / name
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_adds_a_secret(start: Start, place: Path) -> None:
    """Inside, nobody proves anything; outside, everybody has to."""
    key = secret_file(place, "key", "correct horse\n")
    wrong = secret_file(place, "wrong", "battery staple\n")
    echo = listening(start, "echo", f"pipe:{place}/e")
    with proxy(start, "tcp:127.0.0.1:0", address_of(echo), f"--listen-secret-file={key}") as between:
        outside = address_of(between)
        with sync.connect(outside, secret=b"correct horse") as channel:
            channel.send(b"hello")
            assert channel.recv(timeout=PATIENCE) == b"hello"
        for refused in ((), (f"--secret-file={wrong}",)):
            client = start(COMMAND, "recv", *refused, outside)
            assert client.wait() == 1
            assert b"(FER_EACCES)" in client.complaints
        turned_away = 0
        while turned_away < 2:
            turned_away += "a client could not connect" in between.complaint()
