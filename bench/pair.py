"""The two processes of one measurement."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import Any, Optional

# Beside the time that a measurement is meant to take.
PATIENCE_SECONDS = 30.0

Result = dict[str, Any]


class Failure(Exception):
    """A measurement that cannot be used, and why."""


def processors() -> Optional[tuple[int, int]]:
    """Two processors for the two sides; None where there is only one, or no way to choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[-1]) if len(allowed) > 1 else None


def pin(pid: int, processor: Optional[int]) -> None:
    """Have a process, with all threads that it has by now, run on one processor."""
    if processor is not None:
        for thread in os.listdir(f"/proc/{pid}/task") if os.path.isdir("/proc") else [str(pid)]:
            os.sched_setaffinity(int(thread), {processor})


class Side:
    """One of the two processes."""

    def __init__(self, command: Sequence[str], processor: Optional[int]) -> None:
        self.name = " ".join(command)
        self._complaints = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                text=True,
            )
        except FileNotFoundError:
            self._complaints.close()
            raise Failure(f"{command[0]} is not there: run ./dev bench") from None
        pin(self.process.pid, processor)

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failure(self.why())
        return line.strip()

    def result(self) -> Result:
        line = self.line()
        try:
            found: Result = json.loads(line)
        except ValueError:
            raise Failure(f"{self.name}: said {line!r} instead of a result") from None
        return found

    def tell(self) -> None:
        """It may go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def why(self) -> str:
        """How it ended too early."""
        status = self.process.wait()
        self._complaints.seek(0)
        complaint = self._complaints.read().decode("utf-8", "replace").strip()
        return f"{self.name}: status {status}: {complaint}"

    def finish(self) -> None:
        """Lets it end, and checks that it ends well."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.read()
        if self.process.wait() != 0:
            raise Failure(self.why())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._complaints):
            if stream is not None:
                stream.close()


class Watch:
    """Ends the processes of a measurement that takes too long."""

    def __init__(self, sides: list[Side], patience: float) -> None:
        self.patience = patience
        self.expired = threading.Event()
        self._sides = sides
        self._timer = threading.Timer(patience, self._expire)

    def _expire(self) -> None:
        self.expired.set()
        for side in self._sides:
            side.process.kill()

    def __enter__(self) -> "Watch":
        self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        for side in self._sides:
            side.stop()


def run_pair(
    command: Sequence[str],
    arguments: Sequence[str],
    patience: float,
    around: Sequence[Sequence[str]] = ((), ()),
) -> tuple[Result, Result]:
    """Runs a server and a driver; what each printed as its result. `around` is what comes before their commands."""
    server_cpu, driver_cpu = processors() or (None, None)
    sides: list[Side] = []
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-") as folder, Watch(sides, patience) as watch:
        path = os.path.join(folder, "socket")
        try:
            sides.append(Side([*around[0], *command, "serve", path, *arguments], server_cpu))
            ready = sides[0].line()
            if ready != "ready":
                raise Failure(f"{sides[0].name}: said {ready!r} instead of ready")
            sides.append(Side([*around[1], *command, "drive", path, *arguments], driver_cpu))
            driven = sides[1].result()
            served = sides[0].result()
            for side in sides:
                side.finish()
            return served, driven
        except Failure as failure:
            if watch.expired.is_set():
                raise Failure(f"{' '.join(command)}: not done after {patience:.0f} s") from None
            if len(sides) == 2 and sides[0].process.poll() not in (None, 0, -9):
                # The driver only sees its connection break.
                raise Failure(sides[0].why()) from failure
            raise


def run_parent(command: Sequence[str], arguments: Sequence[str], patience: float) -> tuple[Result, Result]:
    """Runs a server that starts the driver itself; what each printed as its result."""
    server_cpu, driver_cpu = processors() or (None, None)
    sides: list[Side] = []
    with Watch(sides, patience) as watch:
        try:
            side = Side([*command, "both", *arguments], server_cpu)
            sides.append(side)
            word, _, pid = side.line().partition(" ")
            if word != "driver":
                raise Failure(f"{side.name}: said {word!r} instead of driver")
            pin(int(pid), driver_cpu)
            side.tell()
            served, driven = side.result(), side.result()
            side.finish()
            return served, driven
        except Failure:
            if watch.expired.is_set():
                raise Failure(f"{' '.join(command)}: not done after {patience:.0f} s") from None
            raise
