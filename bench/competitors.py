"""Who is measured, and the two processes of one measurement. README.md describes the programs."""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

HERE = Path(__file__).resolve().parent
# Beside the time that a measurement is meant to take.
PATIENCE_SECONDS = 30.0


RTT, STREAM, CONNECT, PASS = "rtt", "stream", "connect", "pass"


@dataclass(frozen=True)
class Competitor:
    """Programs that speak the benchmark's arguments."""

    name: str
    # Mode -> the program that speaks it.
    programs: dict[str, str]


@dataclass(frozen=True)
class Measurement:
    """One column of the table."""

    name: str
    mode: str
    size: int
    # The ratio to `raw` that ferrule is to reach.
    target: float

    @property
    def is_one_way(self) -> bool:
        """Whether the server's clock counts, and not the driver's."""
        return self.mode in (STREAM, PASS)


def program(name: str) -> str:
    """A program that the build made."""
    build = Path(os.environ.get("FERRULE_BUILD_DIR", HERE.parent / "build" / "release"))
    return str(build / "bin" / f"bench_{name}")


def both(messages: str, pipes: str) -> dict[str, str]:
    """The modes of a program for messages and of one for pipes."""
    one, other = program(messages), program(pipes)
    return {RTT: one, STREAM: one, CONNECT: other, PASS: other}


BASE = "raw"
COMPETITORS = [
    Competitor(BASE, both("raw", "raw_pipe")),
    Competitor("raw, 1 MiB buffer", {STREAM: program("raw_buffer")}),
    Competitor("libuv", both("libuv_plain", "libuv_pipe")),
    Competitor("ferrule", both("ferrule_loop", "ferrule_pipe")),
    Competitor("ferrule sync", {RTT: program("ferrule_sync")}),
]
MEASUREMENTS = [
    Measurement("rtt", RTT, 64, 0.9),
    Measurement("64 B", STREAM, 64, 20),
    Measurement("1 KiB", STREAM, 1 << 10, 4),
    Measurement("64 KiB", STREAM, 64 << 10, 1.5),
    Measurement("1 MiB", STREAM, 1 << 20, 2),
    Measurement("connect", CONNECT, 64, 0.85),
    Measurement("pass", PASS, 64, 0.6),
]
# What is left idle, the program that does it, and how many bytes one may cost at most.
IDLE = [("channel", program("ferrule_idle"), 1023.0), ("pipe", program("ferrule_idle_pipe"), 500.0)]


class Failure(Exception):
    """A measurement that cannot be used, and why."""


def processors() -> Optional[tuple[int, int]]:
    """Two processors for the two sides; None where there is only one, or no way to choose."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return (allowed[0], allowed[-1]) if len(allowed) > 1 else None


class Side:
    """One of the two processes."""

    def __init__(self, command: Sequence[str], processor: Optional[int]) -> None:
        self.name = " ".join(command)
        self._complaints = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        if processor is not None:
            os.sched_setaffinity(self.process.pid, {processor})

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Failure(self.why())
        return line

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


def run_pair(
    executable: str, arguments: Sequence[str], patience: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Runs a server and a driver; what each printed as its result."""
    server_cpu, driver_cpu = processors() or (None, None)
    sides: list[Side] = []
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-") as folder:
        path = os.path.join(folder, "socket")
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            for side in sides:
                side.process.kill()

        watch = threading.Timer(patience, expire)
        watch.start()
        try:
            sides.append(Side([executable, "serve", path, *arguments], server_cpu))
            ready = sides[0].line().strip()
            if ready != "ready":
                raise Failure(f"{sides[0].name}: said {ready!r} instead of ready")
            sides.append(Side([executable, "drive", path, *arguments], driver_cpu))
            driven = json.loads(sides[1].line())
            served = json.loads(sides[0].line())
            for side in sides:
                side.finish()
            return served, driven
        except Failure as failure:
            if expired.is_set():
                raise Failure(f"{executable}: not done after {patience:.0f} s") from None
            if len(sides) == 2 and sides[0].process.poll() not in (None, 0, -9):
                # The driver only sees its connection break.
                raise Failure(sides[0].why()) from failure
            raise
        finally:
            watch.cancel()
            for side in sides:
                side.stop()


def measure(competitor: Competitor, measurement: Measurement, seconds: float) -> float:
    """Messages, connections or handles a second. Both sides must agree on what went over."""
    arguments = [measurement.mode, str(measurement.size), str(seconds)]
    served, driven = run_pair(competitor.programs[measurement.mode], arguments, PATIENCE_SECONDS + seconds)
    for key in ("count", "bytes"):
        if served[key] != driven[key]:
            raise Failure(
                f"{competitor.name}, {measurement.name}: the server counted {served[key]:.0f} {key},"
                f" the driver {driven[key]:.0f}"
            )
    counted = served if measurement.is_one_way else driven
    if counted["count"] == 0 or counted["seconds"] <= 0:
        raise Failure(f"{competitor.name}, {measurement.name}: nothing was measured")
    return counted["count"] / counted["seconds"]


@dataclass(frozen=True)
class Memory:
    """Bytes that something idle costs, on one side."""

    what: str
    side: str
    target: float
    allocator: float
    malloc: float
    resident: float


def measure_memory(count: int) -> list[Memory]:
    """What `count` idle channels, and pipes, cost the server and the client, each."""
    found = []
    for what, executable, target in IDLE:
        served, driven = run_pair(executable, [str(count)], PATIENCE_SECONDS + count / 100)
        for side, result in (("server", served), ("client", driven)):
            if result["count"] != count:
                raise Failure(f"idle {what}, {side}: {result['count']:.0f} instead of {count}")
            each = {key: result[key] / count for key in ("allocator", "malloc", "resident")}
            found.append(Memory(what=what, side=side, target=target, **each))
    return found
