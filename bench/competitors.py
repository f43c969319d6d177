"""Who is measured, at what, and what is to be reached. README.md describes the programs."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pair import PATIENCE_SECONDS, Failure, run_pair, run_parent

HERE = Path(__file__).resolve().parent

RTT, STREAM, CONNECT, PASS = "rtt", "stream", "connect", "pass"
C, PYTHON, NODE = "c", "python", "node"
GROUPS = {C: "C", PYTHON: "Python", NODE: "Node"}

# What starts a program.
Command = tuple[str, ...]


@dataclass(frozen=True)
class Competitor:
    """Programs that speak the benchmark's arguments."""

    name: str
    group: str
    # Mode -> the program that speaks it.
    programs: dict[str, Command]
    # Whether the program starts the driver itself.
    is_parent: bool = False


@dataclass(frozen=True)
class Measurement:
    """One column of the table."""

    name: str
    mode: str
    size: int

    @property
    def is_one_way(self) -> bool:
        """Whether the server's clock counts, and not the driver's."""
        return self.mode in (STREAM, PASS)


@dataclass(frozen=True)
class Target:
    """The ratio to the base that one of these competitors is to reach."""

    group: str
    measurement: str
    ratio: float
    competitors: tuple[str, ...]


def program(name: str) -> Command:
    """A program that the build made."""
    build = Path(os.environ.get("FERRULE_BUILD_DIR", HERE.parent / "build" / "release"))
    return (str(build / "bin" / f"bench_{name}"),)


def script(language: str, name: str, *options: str) -> Command:
    """A program that an interpreter runs."""
    interpreter = sys.executable if language == PYTHON else shutil.which("node") or "node"
    return (interpreter, str(HERE / language / name), *options)


def of_pipes(messages: str, pipes: str) -> dict[str, Command]:
    """The modes of a program for messages and of one for pipes."""
    return {**of_messages(program(messages)), CONNECT: program(pipes), PASS: program(pipes)}


def of_messages(command: Command) -> dict[str, Command]:
    return {RTT: command, STREAM: command}


BASE = "raw"
COMPETITORS = [
    Competitor(BASE, C, of_pipes("raw", "raw_pipe")),
    Competitor("raw, 1 MiB buffer", C, {STREAM: program("raw_buffer")}),
    Competitor("raw, polling", C, {RTT: program("raw_polling")}),
    Competitor("libuv", C, of_pipes("libuv_plain", "libuv_pipe")),
    Competitor("nng", C, of_messages(program("nng"))),
    Competitor("ZeroMQ", C, of_messages(program("zeromq"))),
    Competitor("ferrule", C, of_pipes("ferrule_loop", "ferrule_pipe")),
    Competitor("ferrule, no busy poll", C, {RTT: program("ferrule_asleep")}),
    Competitor("ferrule, inline", C, {STREAM: program("ferrule_inline")}),
    Competitor("ferrule sync", C, of_messages(program("ferrule_sync"))),
    Competitor("asyncio streams", PYTHON, of_messages(script(PYTHON, "streams.py", "asyncio"))),
    Competitor("uvloop streams", PYTHON, of_messages(script(PYTHON, "streams.py", "uvloop"))),
    Competitor(
        "multiprocessing.connection", PYTHON, of_messages(script(PYTHON, "multiprocessing_connection.py"))
    ),
    Competitor("pyzmq", PYTHON, of_messages(script(PYTHON, "zeromq.py"))),
    Competitor("ferrule, asyncio", PYTHON, of_messages(script(PYTHON, "ferrule_asyncio.py", "asyncio"))),
    Competitor("ferrule, uvloop", PYTHON, of_messages(script(PYTHON, "ferrule_asyncio.py", "uvloop"))),
    Competitor(
        "ferrule, asyncio, no busy poll",
        PYTHON,
        {RTT: script(PYTHON, "ferrule_asyncio.py", "asyncio,asleep")},
    ),
    Competitor("ferrule.sync", PYTHON, of_messages(script(PYTHON, "ferrule_sync.py"))),
    Competitor("net", NODE, of_messages(script(NODE, "net.mjs", "plain"))),
    Competitor("net, with cork", NODE, of_messages(script(NODE, "net.mjs", "cork"))),
    Competitor("child_process", NODE, of_messages(script(NODE, "child.mjs")), is_parent=True),
    Competitor("ferrule in Node", NODE, of_messages(script(NODE, "ferrule.mjs", "default"))),
    Competitor("ferrule in Node, no busy poll", NODE, {RTT: script(NODE, "ferrule.mjs", "asleep")}),
]
MEASUREMENTS = [
    Measurement("rtt", RTT, 64),
    Measurement("64 B", STREAM, 64),
    Measurement("1 KiB", STREAM, 1 << 10),
    Measurement("64 KiB", STREAM, 64 << 10),
    Measurement("1 MiB", STREAM, 1 << 20),
    Measurement("connect", CONNECT, 64),
    Measurement("pass", PASS, 64),
]
# Those that every group is measured at.
MESSAGES = ("rtt", "64 B", "1 KiB", "64 KiB", "1 MiB")


def is_ours(competitor: str) -> bool:
    return competitor.startswith("ferrule")


def _targets(group: str, measurements: tuple[str, ...], *wanted: float) -> list[Target]:
    """Targets that any of our faces in a group may reach."""
    faces = tuple(one.name for one in COMPETITORS if one.group == group and is_ours(one.name))
    return [Target(group, name, ratio, faces) for name, ratio in zip(measurements, wanted)]


TARGETS = [
    Target(C, "rtt", 0.95, ("ferrule sync",)),
    *_targets(C, (*MESSAGES[1:], "connect", "pass"), 60, 6, 2, 3.5, 0.85, 0.6),
    Target(PYTHON, "rtt", 0.75, ("ferrule, asyncio",)),
    Target(PYTHON, "rtt", 0.92, ("ferrule.sync",)),
    *_targets(PYTHON, MESSAGES[1:], 4, 3, 1.5, 2),
    *_targets(NODE, MESSAGES, 0.75, 6, 3, 1.5, 2),
]


def measure(competitor: Competitor, measurement: Measurement, seconds: float) -> float:
    """Messages, connections or handles a second. Both sides must agree on what went over."""
    arguments = [measurement.mode, str(measurement.size), str(seconds)]
    run = run_parent if competitor.is_parent else run_pair
    served, driven = run(competitor.programs[measurement.mode], arguments, PATIENCE_SECONDS + seconds)
    for key in ("count", "bytes"):
        if served[key] != driven[key]:
            raise Failure(
                f"{competitor.name}, {measurement.name}: the server counted {served[key]:.0f} {key},"
                f" the driver {driven[key]:.0f}"
            )
    counted = served if measurement.is_one_way else driven
    if counted["count"] == 0 or counted["seconds"] <= 0:
        raise Failure(f"{competitor.name}, {measurement.name}: nothing was measured")
    return float(counted["count"] / counted["seconds"])
