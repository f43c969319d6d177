"""Measures messages, connections, handles and what they cost against a raw socket. README.md says how.

Usage: run.py [OPTION…]; run it as ./dev bench. See --help.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import calls
import tables
from competitors import BASE, COMPETITORS, GROUPS, MEASUREMENTS, C, Competitor, Measurement, measure
from figures import Figures, load, machine
from pair import Failure, processors
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from scale import measure_costs, measure_large, measure_memory

ROUNDS = 5
SECONDS = 1.0
# Programs that ran over the last minute, on average; more than this spoils the figures.
BUSY = 0.5
RESULTS = Path(__file__).resolve().parent.parent / "build" / "bench" / "results.json"
# What is measured besides the columns of the first tables.
OPEN, LARGE, IDLE = "open", "large", "idle"
NARROW = 120


def plan(only: Optional[set[str]], groups: set[str]) -> list[tuple[Measurement, Competitor]]:
    """What one round measures, in order: the competitors of a measurement follow each other."""
    steps = []
    for measurement in MEASUREMENTS:
        if only is not None and measurement.name not in only:
            continue
        able = [one for one in COMPETITORS if measurement.mode in one.programs]
        wanted = [one for one in able if one.group in groups and one.name != BASE]
        if wanted:
            steps += [(measurement, one) for one in able if one.name == BASE or one in wanted]
    return steps


def run_rounds(console: Console, figures: Figures, steps: list[tuple[Measurement, Competitor]]) -> None:
    """Every measurement of every competitor, as often as there are rounds."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=figures.rounds * len(steps))
        for turn in range(figures.rounds):
            if not console.is_terminal:
                console.print(f"round {turn + 1} of {figures.rounds}")
            for measurement, competitor in steps:
                progress.update(task, description=f"{measurement.name}, {competitor.name}")
                rate = measure(competitor, measurement, figures.seconds)
                figures.rates.setdefault((competitor.name, measurement.name), []).append(rate)
                progress.advance(task)


def run_all(console: Console, arguments: argparse.Namespace) -> Figures:
    """All that was asked for."""

    def asked(name: str) -> bool:
        return arguments.only is None or name in arguments.only

    figures = Figures(machine(), arguments.rounds, arguments.seconds)
    run_rounds(console, figures, plan(arguments.only, arguments.group))
    if asked(OPEN) and C in arguments.group:
        console.print("many open channels")
        figures.costs = measure_costs(arguments.rounds, arguments.seconds)
    if asked(LARGE):
        console.print("large messages")
        figures.large = measure_large(arguments.rounds, arguments.group)
    if asked(IDLE) and C in arguments.group:
        console.print("idle objects")
        figures.idle = measure_memory()
    return figures


def names_of(known: list[str]) -> Callable[[str], set[str]]:
    """For argparse: a list with commas."""

    def parse_names(text: str) -> set[str]:
        names = {name.strip() for name in text.split(",")}
        if not names <= set(known):
            raise argparse.ArgumentTypeError(
                f"not one of {', '.join(known)}: {', '.join(names - set(known))}"
            )
        return names

    return parse_names


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=(__doc__ or "").split("\n")[0])
    names = [*(one.name for one in MEASUREMENTS), OPEN, LARGE, IDLE]
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"of a measurement; default {SECONDS:g}"
    )
    parser.add_argument(
        "--group", type=names_of(list(GROUPS)), default=set(GROUPS), help=f"some of: {', '.join(GROUPS)}"
    )
    parser.add_argument("--only", type=names_of(names), help=f"some of: {', '.join(names)}")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the absolute figures go")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the figures")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="put the tables into this page")
    parser.add_argument(
        "--from",
        type=Path,
        dest="earlier",
        metavar="FILE.json",
        help="measure nothing: show what is in this file",
    )
    parser.add_argument(
        "--calls", action="store_true", help="measure only the system calls and allocations of a message"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not 0 < arguments.seconds < 3600:
        parser.error("--rounds is at least 1, --seconds above 0")
    return arguments


def warn(console: Console) -> None:
    """What would make the figures mean less."""
    if processors() is None:
        console.print("Both processes share one processor: these ratios are not those of the targets.")
    load_average = os.getloadavg()[0]
    if load_average > BUSY:
        console.print(f"The machine is busy (load {load_average:.1f}): these ratios may be far off.")


def fill(console: Console, path: Path, name: str, text: str) -> None:
    """Put a text into a page."""
    page = path.read_text(encoding="utf-8")
    path.write_text(tables.into_page(page, name, text), encoding="utf-8")
    console.print(f"Tables: {os.path.relpath(path)}")


def show(console: Console, figures: Figures, arguments: argparse.Namespace) -> None:
    for grid in tables.grids(figures, spread=True):
        console.print(grid.rich())
    if arguments.plot is not None:
        import plot

        plot.draw(figures, arguments.plot)
        console.print(f"Drawn: {os.path.relpath(arguments.plot)}")
    if arguments.page is not None:
        fill(console, arguments.page, tables.FIGURES, tables.figures_text(figures))


def main() -> int:
    arguments = parse()
    # The tables do not fold on a terminal that is too narrow for them, nor in a file.
    console = Console(highlight=False)
    if console.width < NARROW:
        console = Console(highlight=False, width=NARROW)
    try:
        if arguments.earlier is not None:
            show(console, load(arguments.earlier), arguments)
            return 0
        if arguments.calls:
            grid = calls.grid(arguments.group, arguments.seconds)
            console.print(grid.rich())
            if arguments.page is not None:
                fill(console, arguments.page, tables.CALLS, grid.markdown())
            return 0
        warn(console)
        figures = run_all(console, arguments)
        figures.save(arguments.json)
        console.print(f"Absolute figures: {os.path.relpath(arguments.json)}")
        show(console, figures, arguments)
    except (Failure, OSError, ValueError) as failure:
        console.print(f"bench: {failure}", style="red")
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
