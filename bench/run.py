"""Measures messages, connections, handles and idle objects against a raw socket. README.md says how.

Usage: run.py [--rounds N] [--seconds S] [--only NAME,…] [--json FILE]; run it as ./dev bench.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Optional

from competitors import (
    BASE,
    COMPETITORS,
    MEASUREMENTS,
    Competitor,
    Failure,
    Measurement,
    Memory,
    measure,
    measure_memory,
    processors,
)
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

ROUNDS = 7
SECONDS = 0.4
IDLE_OBJECTS = 1000
# Programs that ran over the last minute, on average; more than this spoils the figures.
BUSY = 0.5
RESULTS = Path(__file__).resolve().parent.parent / "build" / "bench" / "results.json"
# The one that the targets are for, and the first of a name that reaches one counts.
OURS = "ferrule"

# (competitor, measurement) -> rate of each round, a second
Rates = dict[tuple[str, str], list[float]]


def plan(only: Optional[set[str]]) -> list[tuple[Measurement, Competitor]]:
    """What one round measures, in order: the competitors of a measurement follow each other."""
    return [
        (measurement, competitor)
        for measurement in MEASUREMENTS
        if only is None or measurement.name in only
        for competitor in COMPETITORS
        if measurement.mode in competitor.programs
    ]


def run_rounds(console: Console, rounds: int, seconds: float, only: Optional[set[str]]) -> Rates:
    """Every measurement of every competitor, `rounds` times over."""
    rates: Rates = {}
    steps = plan(only)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=rounds * len(steps))
        for turn in range(rounds):
            if not console.is_terminal:
                console.print(f"round {turn + 1} of {rounds}")
            for measurement, competitor in steps:
                progress.update(task, description=f"{measurement.name}, {competitor.name}")
                rate = measure(competitor, measurement, seconds)
                rates.setdefault((competitor.name, measurement.name), []).append(rate)
                progress.advance(task)
    return rates


def ratios(rates: Rates, competitor: str, measurement: str) -> list[float]:
    """Of each round: the competitor to the base."""
    pairs = zip(rates[competitor, measurement], rates[BASE, measurement])
    return [rate / base for rate, base in pairs]


def is_reached(rates: Rates, measurement: Measurement) -> bool:
    """Whether one of our faces reaches the target."""
    return any(
        statistics.median(ratios(rates, name, measurement.name)) >= measurement.target
        for name, measured in rates
        if measured == measurement.name and name.startswith(OURS)
    )


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def measured(rates: Rates) -> list[Measurement]:
    return [one for one in MEASUREMENTS if (BASE, one.name) in rates]


def rates_table(rates: Rates) -> Table:
    """Medians as ratios to the base, with the smallest and largest of the rounds."""
    table = Table(
        title=f"messages, connections or handles a second, × {BASE}: median (least – most of the rounds)"
    )
    table.add_column("")
    for measurement in measured(rates):
        table.add_column(measurement.name, justify="right")
    for competitor in COMPETITORS:
        cells = []
        for measurement in measured(rates):
            if (competitor.name, measurement.name) not in rates:
                cells.append("–")
                continue
            found = ratios(rates, competitor.name, measurement.name)
            cell = number(statistics.median(found))
            if competitor.name != BASE:
                cell += f" ({number(min(found))} – {number(max(found))})"
            cells.append(cell)
        table.add_row(competitor.name, *cells)
    table.add_section()
    verdicts = []
    for measurement in measured(rates):
        good = is_reached(rates, measurement)
        style = "green" if good else "red"
        verdicts.append(Text(f"≥ {measurement.target:g} {'reached' if good else 'missed'}", style=style))
    table.add_row("target of ferrule", *verdicts)
    return table


def memory_table(memory: Iterable[Memory], count: int) -> Table:
    table = Table(title=f"bytes that one costs, of {count:,} that are idle")
    for title in ("", "", "allocator", "malloc", "resident", "target"):
        table.add_column(title, justify="right" if title else "left")
    for one in memory:
        good = one.malloc <= one.target
        verdict = Text(
            f"≤ {one.target:g} {'reached' if good else 'missed'}", style="green" if good else "red"
        )
        figures = (f"{value:.0f}" for value in (one.allocator, one.malloc, one.resident))
        table.add_row(one.what, one.side, *figures, verdict)
    return table


def save(path: Path, rates: Rates, memory: Iterable[Memory], arguments: argparse.Namespace) -> None:
    """Everything that was measured, in absolute figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": {"system": platform.platform(), "processors": os.cpu_count()},
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "a_second": [
            {"competitor": competitor, "measurement": measurement, "rounds": found}
            for (competitor, measurement), found in rates.items()
        ],
        "idle_bytes": [asdict(side) for side in memory],
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of a measurement; default {SECONDS}")
    names = [one.name for one in MEASUREMENTS]
    parser.add_argument("--only", help=f"some of: {', '.join(names)}, idle")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the absolute figures go")
    arguments = parser.parse_args()
    arguments.only = {name.strip() for name in arguments.only.split(",")} if arguments.only else None
    if arguments.only and not arguments.only <= {*names, "idle"}:
        parser.error(f"--only knows {', '.join(names)} and idle")
    if arguments.rounds < 1 or not 0 < arguments.seconds < 3600:
        parser.error("--rounds is at least 1, --seconds above 0")
    return arguments


def main() -> int:
    arguments = parse()
    # The table does not fold on a terminal that is too narrow for it, nor in a file.
    console = Console(highlight=False)
    if console.width < 120:
        console = Console(highlight=False, width=120)
    if processors() is None:
        console.print("Both processes share one processor: these ratios are not those of the targets.")
    load = os.getloadavg()[0]
    if load > BUSY:
        console.print(f"The machine is busy (load {load:.1f}): these ratios may be far off.")
    try:
        rates = run_rounds(console, arguments.rounds, arguments.seconds, arguments.only)
        idle = arguments.only is None or "idle" in arguments.only
        memory = measure_memory(IDLE_OBJECTS) if idle else []
    except Failure as failure:
        console.print(f"bench: {failure}", style="red")
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    save(arguments.json, rates, memory, arguments)
    if rates:
        console.print(rates_table(rates))
    if memory:
        console.print(memory_table(memory, IDLE_OBJECTS))
    console.print(f"Absolute figures: {os.path.relpath(arguments.json)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
