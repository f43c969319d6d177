"""What stays the same when there is more of it: idle objects, open channels, large messages."""

import statistics
from dataclasses import dataclass
from typing import Optional

from competitors import GROUPS, NODE, PYTHON, C, Command, program, script
from pair import PATIENCE_SECONDS, Failure, Result, run_pair

# What is left idle, the program that does it, and how many bytes one may cost at most.
IDLE = [("channel", program("ferrule_idle"), 1023.0), ("pipe", program("ferrule_idle_pipe"), 500.0)]
IDLE_OBJECTS = 1000

# How many channels are open, and the ways to use them.
OPEN = (1, 10, 100, 1000)
RAW, TURN, ASLEEP, CROWD = "raw", "turn", "asleep", "crowd"
WAYS = {
    RAW: "raw, polling: one message under way, on each in turn",
    TURN: "one message under way, on each in turn",
    ASLEEP: "the same, no busy poll",
    CROWD: "one message under way on each",
}
# What a message may cost on the most channels: so many times what it costs on the fewest that count. A crowd of one is no
# crowd: there each message wakes somebody up.
FLAT = 1.25
FEWEST = {RAW: 1, TURN: 1, ASLEEP: 1, CROWD: 10}

# Sizes of large messages, the program of each group, and how much memory the largest may take, × its size.
LARGE = (16 << 20, 32 << 20, 64 << 20)
LARGE_PROGRAMS: dict[str, Command] = {
    C: program("ferrule_large"),
    PYTHON: script(PYTHON, "ferrule_large.py"),
    NODE: script(NODE, "ferrule_large.mjs"),
}
LARGE_MEMORY = 1.25
# A byte of the largest may take so many times as long as one of the smallest.
LINEAR = 1.25


@dataclass(frozen=True)
class Memory:
    """Bytes that something idle costs, on one side."""

    what: str
    side: str
    target: float
    allocator: float
    malloc: float
    resident: float


@dataclass(frozen=True)
class Cost:
    """What a message costs when so many channels are open, in seconds: by the clock, and of both processors."""

    way: str
    channels: int
    clock: float
    processor: float


@dataclass(frozen=True)
class Large:
    """One large message: seconds from send to answer, and what it added to the receiver's memory at most, in bytes."""

    group: str
    size: int
    seconds: float
    peak: float


def measure_memory(count: int = IDLE_OBJECTS) -> list[Memory]:
    """What `count` idle channels, and pipes, cost the server and the client, each."""
    found = []
    for what, command, target in IDLE:
        served, driven = run_pair(command, [str(count)], PATIENCE_SECONDS + count / 100)
        for side, result in (("server", served), ("client", driven)):
            if result["count"] != count:
                raise Failure(f"idle {what}, {side}: {result['count']:.0f} instead of {count}")
            each = {key: result[key] / count for key in ("allocator", "malloc", "resident")}
            found.append(Memory(what=what, side=side, target=target, **each))
    return found


def _one_cost(way: str, channels: int, seconds: float) -> Cost:
    arguments = [way, str(channels), str(seconds)]
    served, driven = run_pair(
        program("raw_many" if way == RAW else "ferrule_many"), arguments, PATIENCE_SECONDS + seconds
    )
    if served["count"] != driven["count"] or driven["count"] == 0:
        raise Failure(f"{channels} channels, {way}: {served['count']} and {driven['count']} round trips")
    messages = 2 * driven["count"]
    processor = (served["cpu"] + driven["cpu"]) / messages
    return Cost(way, channels, driven["seconds"] / messages, processor)


def measure_costs(rounds: int, seconds: float) -> list[Cost]:
    """Medians of the rounds, which interleave the numbers of channels."""
    found: dict[tuple[str, int], list[Cost]] = {}
    for _ in range(rounds):
        for way in WAYS:
            for channels in OPEN:
                found.setdefault((way, channels), []).append(_one_cost(way, channels, seconds))
    return [
        Cost(
            way,
            channels,
            statistics.median(one.clock for one in costs),
            statistics.median(one.processor for one in costs),
        )
        for (way, channels), costs in found.items()
    ]


def _one_large(group: str, size: int) -> tuple[Result, Result]:
    served, driven = run_pair(LARGE_PROGRAMS[group], [str(size)], PATIENCE_SECONDS)
    if served["bytes"] != size or driven["bytes"] != size:
        raise Failure(f"{GROUPS[group]}: {served['bytes']} bytes arrived of {size}")
    return served, driven


def measure_large(rounds: int, groups: set[str]) -> list[Large]:
    """Medians of the rounds, which interleave languages and sizes."""
    found: dict[tuple[str, int], list[tuple[Result, Result]]] = {}
    for _ in range(rounds):
        for group in GROUPS:
            for size in LARGE if group in groups else ():
                found.setdefault((group, size), []).append(_one_large(group, size))
    return [
        Large(
            group,
            size,
            statistics.median(driven["seconds"] for _, driven in results),
            statistics.median(served["peak"] for served, _ in results),
        )
        for (group, size), results in found.items()
    ]


def growth(costs: list[Cost], way: str) -> Optional[float]:
    """The cost on the most channels, × that on the fewest that count."""
    clock = {cost.channels: cost.clock for cost in costs if cost.way == way}
    if FEWEST[way] not in clock or OPEN[-1] not in clock:
        return None
    return clock[OPEN[-1]] / clock[FEWEST[way]]


def most_growth(costs: list[Cost], way: str) -> Optional[float]:
    """What is still flat; None for raw, by which it is measured.

    Who does not sleep waits for memory alone, and that of a thousand sockets is in no cache of a processor: the time
    that raw sockets take more for it is not the library's.
    """
    if way == RAW:
        return None
    return FLAT * max(1.0, growth(costs, RAW) or 1.0) if way == TURN else FLAT


def slowdown(larges: list[Large], group: str) -> Optional[float]:
    """The time of a byte of the largest, × that of a byte of the smallest."""
    times = {large.size: large.seconds / large.size for large in larges if large.group == group}
    if LARGE[0] not in times or LARGE[-1] not in times:
        return None
    return times[LARGE[-1]] / times[LARGE[0]]
