"""The pools of the examples: Node with workers in Python, Python with workers in Node."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, chain, cycle, islice
from operator import add
from pathlib import Path
from typing import Callable

import pytest
from conftest import Start
from harness import PATIENCE, ROOT, Program, wait_until

SMOOTH = ["node", str(ROOT / "examples" / "node" / "pool" / "smooth.mjs")]
MANDELBROT = [sys.executable, str(ROOT / "examples" / "python" / "pool" / "mandelbrot.py")]


@dataclass
class Pool:
    """One of the programs: what it is called with, and what must come out."""

    tasks: int
    # Small, a second of work, and much more than a test waits for.
    small: list[str]
    medium: list[str]
    endless: list[str]
    runner: str
    check: Callable[[str, int], None]

    def with_runner(self, program: object) -> list[str]:
        """What runs the workers is this."""
        return [*self.small, self.runner, str(program)]


def smoothed(task: int) -> Iterator[float]:
    """The same numbers, made and smoothed here. They repeat themselves, from some period on after smoothing, too."""
    period = [((i * 7919 + task * 104_729) % 1000) / 1000 for i in range(1000)]
    found = [list(accumulate(period, pull))]
    while len(found) < 2 or found[-1] != found[-2]:
        found.append(list(accumulate(period, pull, initial=found[-1][-1]))[1:])
    return chain(chain.from_iterable(found), cycle(found[-1]))


def pull(mean: float, sample: float) -> float:
    return mean + (sample - mean) / 8


def check_mean(output: str, recordings: int) -> None:
    samples = 524_288
    sums = [reduce(add, islice(smoothed(task), samples)) for task in range(recordings)]
    assert (
        output
        == f"the mean of {recordings} smoothed recordings is {reduce(add, sums) / recordings / samples}\n"
    )


def steps(x: float, y: float) -> int:
    count, a, b = 0, 0.0, 0.0
    while count < 250 and a * a + b * b <= 4:
        count, a, b = count + 1, a * a - b * b + x, 2 * a * b + y
    return count


def check_picture(output: str, size: int) -> None:
    """One point in 256 is computed again."""
    found = re.fullmatch(r"(.*): ([0-9]+) of ([0-9]+) points are in the set\n", output)
    assert found
    header = b"P5 %d %d 255\n" % (size, size)
    content = Path(found[1]).read_bytes()
    assert content.startswith(header)
    shades = content[len(header) :]
    assert len(shades) == int(found[3]) == size * size
    assert shades.count(255 - 250) == int(found[2])
    for row in range(0, size, 16):
        expected = [
            255 - steps(3 * column / size - 2.25, 3 * row / size - 1.5) for column in range(0, size, 16)
        ]
        assert list(shades[size * row : size * (row + 1) : 16]) == expected


@pytest.fixture(params=["node", "python"])
def pool(request: pytest.FixtureRequest, place: Path) -> Pool:
    if request.param == "node":
        here = ["--python", sys.executable]
        return Pool(
            tasks=2,
            small=[*SMOOTH, *here, "--recordings", "2"],
            medium=[*SMOOTH, *here, "--recordings", "10"],
            endless=[*SMOOTH, *here, "--recordings", "10000"],
            runner="--python",
            check=lambda output, medium: check_mean(output, 10 if medium else 2),
        )
    file = str(place / "picture.pgm")
    return Pool(
        tasks=8,
        small=[*MANDELBROT, file, "--size", "512"],
        medium=[*MANDELBROT, file, "--size", "2048"],
        endless=[*MANDELBROT, file, "--size", "10000"],
        runner="--node",
        check=lambda output, medium: check_picture(output, 2048 if medium else 512),
    )


def started(program: Program) -> int:
    """A worker is there: its number."""
    while not (found := re.fullmatch("worker ([0-9]+) started", program.complaint())):
        pass
    return int(found[1])


class Watch:
    """Tells when processes that are no children of this one have ended."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._fds = [os.pidfd_open(pid) for pid in pids]

    def all_gone(self) -> None:
        for pid, fd in zip(self._pids, self._fds):
            readable, _, _ = select.select([fd], [], [], PATIENCE)
            assert readable, f"process {pid} is left"
            os.close(fd)


def state(pid: int) -> str:
    """What a process does: T for one that is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def session(leader: int) -> list[str]:
    """Which processes of a session there are, but for those that nobody has waited for."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                text = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            name, _, rest = text.rpartition(")")
            state, _, _, sid = rest.split()[:4]
            if int(sid) == leader and state not in "ZX":
                members.append(f"{name})")
    return members


def test_result(start: Start, pool: Pool) -> None:
    """What the workers do is right, and without a terminal progress is in lines."""
    program = start(*pool.small)
    assert program.wait() == 0
    pool.check(program.output.decode(), False)
    lines = program.complaints.decode().splitlines()
    assert len([line for line in lines if re.fullmatch("worker [0-9]+ started", line)]) == 2
    progress = [line for line in lines if not line.startswith("worker")]
    assert progress == [f"{done} of {pool.tasks}" for done in range(1, pool.tasks + 1)]


def test_killed_worker_is_replaced(start: Start, pool: Pool) -> None:
    program = start(*pool.medium)
    worker = started(program)
    # In the middle of it.
    while not re.fullmatch("[0-9]+ of [0-9]+", program.complaint()):
        pass
    os.kill(worker, signal.SIGKILL)
    assert program.wait() == 0, program.complaints
    lines = program.complaints.decode().splitlines()
    (lost,) = [line for line in lines if "killed" in line]
    assert re.fullmatch(f"worker {worker} was killed by (SIGKILL|signal 9): .* done again", lost)
    workers = [line for line in lines if re.fullmatch("worker [0-9]+ started", line)]
    assert len(set(workers)) == 3
    pool.check(program.output.decode(), True)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["SIGINT", "SIGTERM", "SIGKILL"],
)
def test_signal_to_the_parent_alone(start: Start, pool: Pool, number: signal.Signals, status: int) -> None:
    program = start(*pool.endless, new_session=True)
    workers = [started(program), started(program)]
    watch = Watch(workers)
    if number != signal.SIGKILL:
        # One that does not run ends with the others.
        os.kill(workers[0], signal.SIGSTOP)
    program.signal(number)
    assert program.wait() == status
    watch.all_gone()
    assert session(program.process.pid) == []
    assert program.output == b""
    if number != signal.SIGKILL:
        assert program.complaints.endswith(b"\ninterrupted\n")
        assert b"Traceback" not in program.complaints


def test_interrupted_while_workers_read_nothing(start: Start, pool: Pool, place: Path) -> None:
    """What is being sent to them is not waited for."""
    program = place / "stops"
    program.write_text(
        f"#!{sys.executable}\nimport os, signal\nfrom ferrule import sync\nchannel = sync.parent()\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    program.chmod(0o755)
    stuck = start(*pool.with_runner(program))
    workers = [started(stuck), started(stuck)]
    watch = Watch(workers)
    wait_until(lambda: [state(worker) for worker in workers] == ["T", "T"], "they stop")
    stuck.signal(signal.SIGINT)
    assert stuck.wait() == 130
    watch.all_gone()


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.shown = ""

    def read(self) -> bool:
        """Some more of what it shows; whether there is more to come."""
        readable, _, _ = select.select([self._master], [], [], PATIENCE)
        assert readable, f"nothing more after {self.shown!r}"
        try:
            data = os.read(self._master, 10_000)
        except OSError:  # As Linux has it when nobody has the terminal any more.
            data = b""
        self.shown += data.decode()
        return data != b""

    def until(self, pattern: str) -> re.Match[str]:
        while not (found := re.search(pattern, self.shown)):
            assert self.read(), f"it has ended: {self.shown!r}"
        return found

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait(self) -> int:
        while self.read():
            pass
        os.close(self._master)
        return self.process.wait(PATIENCE)

    def stop(self) -> None:
        """After the test, whatever its end."""
        if self.process.poll() is None:
            self.process.kill()
            self.wait()

    def screen(self) -> list[str]:
        """The lines as one sees them in the end."""
        lines = [re.split("\r(?!$)", line.replace("\x1b[K", ""))[-1] for line in self.shown.split("\n")]
        return [line.rstrip("\r") for line in lines]


@pytest.fixture
def on_terminal() -> Iterator[Callable[[list[str]], Terminal]]:
    """Starts a program on a terminal, and ends it with the test."""
    terminals: list[Terminal] = []

    def run(command: list[str]) -> Terminal:
        terminals.append(Terminal(command))
        return terminals[-1]

    yield run
    for terminal in terminals:
        terminal.stop()


def test_progress_on_a_terminal(pool: Pool, on_terminal: Callable[[list[str]], Terminal]) -> None:
    terminal = on_terminal(pool.small)
    assert terminal.wait() == 0, terminal.shown
    *workers, bar, result, rest = terminal.screen()
    assert len(workers) == 2 and rest == ""
    assert bar == f"[{'#' * 40}] {pool.tasks} of {pool.tasks}"
    for done in range(pool.tasks):
        assert f"\r[{'#' * round(40 * done / pool.tasks)} " in terminal.shown
        assert f"] {done} of {pool.tasks}" in terminal.shown
    pool.check(f"{result}\n", False)


def test_ctrl_c(pool: Pool, on_terminal: Callable[[list[str]], Terminal]) -> None:
    """The terminal sends it to all processes, workers too."""
    terminal = on_terminal(pool.endless)
    first = terminal.until("worker ([0-9]+) started\r\n")
    second = terminal.until(f"(?s:{re.escape(first[0])}.*)worker ([0-9]+) started\r\n")
    watch = Watch([int(first[1]), int(second[1])])
    terminal.until(r"\[#* *\] [0-9]+ of")
    terminal.type("\x03")
    assert terminal.wait() == 130, terminal.shown
    watch.all_gone()
    assert session(terminal.process.pid) == []
    assert terminal.screen()[-2:] == ["interrupted", ""]
    assert "Traceback" not in terminal.shown


def test_task_that_workers_die_of(start: Start, pool: Pool, place: Path) -> None:
    """It is given up, instead of killing workers for ever."""
    program = place / "dies"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom ferrule import sync\nwith sync.parent() as channel:\n"
        "    channel.recv()\n    channel.abort()\n    sys.exit(3)\n"
    )
    program.chmod(0o755)
    ended = start(*pool.with_runner(program), "--workers", "1", new_session=True)
    assert ended.wait() == 1
    lines = ended.complaints.decode().splitlines()
    assert [bool(re.match("worker [0-9]+ exited with code 3: ", line)) for line in lines[:-1]] == [
        False,
        True,
    ] * 3
    assert "task 0: 3 workers died of it, the last exited with code 3" in lines[-1]
    assert ended.output == b""
    assert session(ended.process.pid) == []


@pytest.mark.parametrize(
    ("program", "complaint"), [("/nowhere/at/all", "nowhere/at/all"), ("/bin/true", "exited with code 0")]
)
def test_worker_that_is_none(start: Start, pool: Pool, program: str, complaint: str) -> None:
    ended = start(*pool.with_runner(program), new_session=True)
    assert ended.wait() == 1
    assert ended.output == b""
    (line,) = ended.complaints.decode().splitlines()
    assert complaint in line
    assert session(ended.process.pid) == []


@pytest.mark.parametrize(
    "arguments", [["--workers", "0"], ["--workers", "two"], ["--bees", "2"], ["more", "more"]]
)
def test_bad_arguments(start: Start, pool: Pool, arguments: list[str]) -> None:
    ended = start(*pool.small, *arguments)
    assert ended.wait() == 2
    assert ended.output == b""
    assert b"usage: " in ended.complaints
    assert b"started" not in ended.complaints
