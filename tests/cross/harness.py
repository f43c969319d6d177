"""Programs under test as processes: started, listened to, and ended with the test that started them."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, Optional

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("FERRULE_BUILD_DIR", ROOT / "build" / "dev"))
COMMAND = str(BUILD / "bin" / "ferrule")
PEERS = {
    "c": [str(BUILD / "bin" / "ferrule_peer")],
    "python": [sys.executable, "-u", str(HERE / "peers" / "peer.py")],
    "node": ["node", str(HERE / "peers" / "peer.mjs")],
}
# Not a language of the library: plain sockets, and the description of the wire.
STRANGER = [sys.executable, "-u", str(HERE / "peers" / "stranger.py")]
TRANSPORTS = ("pipe", "fifo", "tcp")
WIRES = ("native", "plain")
# Far more than anything here takes: a test that runs into it has found a hang.
PATIENCE = 60.0
LONG = bool(os.environ.get("FERRULE_TEST_LONG"))


class Program:
    """A process whose lines are read as they come."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdout: Any = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
        new_session: bool = False,
    ) -> None:
        self.command = list(command)
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            start_new_session=new_session,
        )
        self.output = bytearray()
        self.complaints = bytearray()
        self._lines: queue.Queue[Optional[bytes]] = queue.Queue()
        self._complaint_lines: queue.Queue[Optional[bytes]] = queue.Queue()
        self._readers = [
            self._read(self.process.stderr, self.complaints, self._complaint_lines),
        ]
        if self.process.stdout is not None:
            self._readers.append(self._read(self.process.stdout, self.output, self._lines))

    @staticmethod
    def _read(stream: Any, store: bytearray, lines: "queue.Queue[Optional[bytes]]") -> threading.Thread:
        def run() -> None:
            for line in iter(stream.readline, b""):
                store.extend(line)
                lines.put(line)
            stream.close()
            lines.put(None)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _next(self, lines: "queue.Queue[Optional[bytes]]") -> str:
        try:
            line = lines.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"{self} says nothing") from None
        assert line is not None, f"{self} has ended: {self.process.wait()}, {self.complaints.decode()}"
        return line.decode("utf-8", "replace").rstrip("\n")

    def line(self) -> str:
        """The next line of standard output."""
        return self._next(self._lines)

    def complaint(self) -> str:
        """The next line of standard error."""
        return self._next(self._complaint_lines)

    def expect(self, wanted: str) -> None:
        """The next line is this one."""
        found = self.line()
        assert found == wanted, f"{self}: {found!r} instead of {wanted!r}"

    def ready(self) -> str:
        """A peer that listens: the address at which clients find it."""
        address = self.line()
        assert address.startswith("at "), address
        self.expect("ready")
        return address[len("at ") :]

    def until(self, wanted: str) -> None:
        """Some line of standard output is this one; those before it are skipped."""
        while self.line() != wanted:
            pass

    def result(self) -> dict[str, Any]:
        """The result of a peer, which is its last line; others are skipped."""
        while True:
            line = self.line()
            if line.startswith("result "):
                result: dict[str, Any] = json.loads(line[len("result ") :])
                assert self.wait() == 0, self.complaints.decode()
                return result

    def tell(self, text: str) -> None:
        """Write to standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.process.kill()
        self.process.wait()

    def wait(self) -> int:
        """The exit code, with all output read."""
        try:
            status = self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} does not end") from None
        for reader in self._readers:
            reader.join(PATIENCE)
            assert not reader.is_alive(), f"{self}: a child holds its output open"
        return status

    def stop(self) -> None:
        """After the test, whatever its end."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(PATIENCE)
        if self.process.stdin is not None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass

    def __str__(self) -> str:
        return " ".join(self.command)


def expand(sizes: str, *, refused: bool = False) -> list[list[int]]:
    """A list of sizes, as the runs of a result; without the messages that have handles when they are refused."""
    runs: list[list[int]] = []
    for word in sizes.split(","):
        body, _, times = word.partition("x")
        body, _, handles = body.partition("+")
        first, _, last = body.partition("-")
        if refused and handles:
            continue
        tail = [int(handles)] if int(handles or 0) else []
        for one in range(int(first), int(last or first) + 1):
            if runs and runs[-1][0] == one and runs[-1][2:] == tail:
                runs[-1][1] += int(times or 1)
            else:
                runs.append([one, int(times or 1), *tail])
    return runs


def address_of(transport: str, place: Path) -> str:
    """Where a server listens."""
    if transport == "tcp":
        return "tcp:127.0.0.1:0"
    return f"pipe:{place}/s" if transport == "pipe" else f"fifo:{place}/in,{place}/out"


def can_pass(transport: str, wire: str) -> bool:
    """Whether handles travel there."""
    return (transport, wire) == ("pipe", "native")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """For what no program can tell: looks again and again, but not for ever."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.005)


__all__ = [
    "BUILD",
    "COMMAND",
    "LONG",
    "PATIENCE",
    "PEERS",
    "ROOT",
    "STRANGER",
    "TRANSPORTS",
    "WIRES",
    "Program",
    "address_of",
    "can_pass",
    "expand",
    "signal",
    "wait_until",
]
