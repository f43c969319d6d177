"""What a message of 64 bytes costs in system calls, and ferrule in allocations: strace and the counting allocator."""

import tempfile
from collections import Counter
from pathlib import Path

from competitors import COMPETITORS, GROUPS, MEASUREMENTS, RTT, STREAM, C, Competitor, Measurement, program
from pair import PATIENCE_SECONDS, Failure, run_pair
from tables import Grid

MEASURED = [one for one in MEASUREMENTS if one.mode in (RTT, STREAM) and one.size == 64]
# Of a message; what comes less often than this is not shown.
LEAST = 0.01
# A round trip is two messages.
MESSAGES = {RTT: 2, STREAM: 1}
# The counting program leaves its first messages out.
COUNTED_SECONDS = 3.0
SHORT_SECONDS = 0.1


def _read(path: Path) -> Counter[str]:
    """The table of strace -c: the name is a line's last word, the calls are its fourth."""
    found: Counter[str] = Counter()
    for line in path.read_text(encoding="ascii").splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            found[words[-1]] += int(words[3])
    return found


def _traced(competitor: Competitor, measurement: Measurement, seconds: float) -> tuple[int, Counter[str]]:
    """Messages, and the system calls of both sides."""
    with tempfile.TemporaryDirectory(prefix="ferrule-bench-") as folder:
        files = [Path(folder) / side for side in ("served", "driven")]
        _, driven = run_pair(
            competitor.programs[measurement.mode],
            [measurement.mode, str(measurement.size), str(seconds)],
            PATIENCE_SECONDS + seconds,
            around=[("strace", "-f", "-c", "-o", str(file)) for file in files],
        )
        calls = _read(files[0]) + _read(files[1])
    return int(driven["count"]) * MESSAGES[measurement.mode], calls


def system_calls(competitor: Competitor, measurement: Measurement, seconds: float) -> dict[str, float]:
    """System calls of both sides a message, the most frequent first. A short run shows what belongs to none."""
    few, before = _traced(competitor, measurement, SHORT_SECONDS)
    many, after = _traced(competitor, measurement, SHORT_SECONDS + seconds)
    if many <= few:
        raise Failure(f"{competitor.name}, {measurement.name}: no more messages in more time")
    return {name: (count - before[name]) / (many - few) for name, count in after.most_common()}


def _cell(found: dict[str, float]) -> str:
    """All of them, and which they are mostly."""
    each = ", ".join(f"{name} {count:.2f}" for name, count in found.items() if count >= LEAST)
    total = sum(found.values())
    return f"{total:.2f}: {each}" if each else f"{max(total, 0):.4f}"


def allocations(measurement: Measurement) -> float:
    """How often the library asks for memory a message, both sides together, once it has been going."""
    arguments = [measurement.mode, str(measurement.size), str(COUNTED_SECONDS * MESSAGES[measurement.mode])]
    served, driven = run_pair(program("ferrule_counted"), arguments, PATIENCE_SECONDS)
    messages = driven["count"] * MESSAGES[measurement.mode]
    return float((served["allocations"] + driven["allocations"]) / messages)


def grid(groups: set[str], seconds: float) -> Grid:
    made = Grid(
        "System calls a message of 64 bytes, both sides together", ["", "in a round trip", "in a stream"]
    )
    for group in GROUPS:
        for competitor in COMPETITORS if group in groups else ():
            if competitor.group != group or competitor.is_parent:
                continue
            cells = []
            for measurement in MEASURED:
                if measurement.mode not in competitor.programs:
                    cells.append("–")
                    continue
                cells.append(_cell(system_calls(competitor, measurement, seconds)))
            made.add(competitor.name, *cells)
    if C in groups:
        made.add("allocations of ferrule", *(f"{allocations(one):.6f}" for one in MEASURED))
    return made
