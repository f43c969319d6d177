"""The figures as tables: on a terminal, and in a page."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from competitors import BASE, GROUPS, MEASUREMENTS, Target, is_ours
from figures import Figures
from rich.console import Group
from rich.table import Table
from rich.text import Text
from scale import (
    FEWEST,
    IDLE_OBJECTS,
    LARGE_MEMORY,
    LINEAR,
    OPEN,
    WAYS,
    growth,
    most_growth,
    slowdown,
)

# What stands between the marks of a page.
FIGURES, CALLS = "figures", "calls"


@dataclass(frozen=True)
class Cell:
    """What stands in one place; `good` when it was measured against something to reach."""

    text: str
    good: "bool | None" = None


@dataclass
class Grid:
    title: str
    head: list[str]
    rows: list[list[Cell]] = field(default_factory=list)
    # Before which rows a line is drawn.
    sections: set[int] = field(default_factory=set)

    def add(self, *cells: "str | Cell") -> None:
        self.rows.append([cell if isinstance(cell, Cell) else Cell(cell) for cell in cells])

    def section(self) -> None:
        self.sections.add(len(self.rows))

    def rich(self) -> Group:
        table = Table()
        for number, name in enumerate(self.head):
            table.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0)
        styles = {True: "green", False: "red", None: ""}
        for number, row in enumerate(self.rows):
            if number in self.sections:
                table.add_section()
            style = "bold" if is_ours(row[0].text) else ""
            table.add_row(*(Text(cell.text, style=styles[cell.good]) for cell in row), style=style)
        return Group(Text(f"\n{self.title}"), table)

    def markdown(self) -> str:
        align = ["---"] + ["---:"] * (len(self.head) - 1)
        lines = [self.head, align]
        for row in self.rows:
            bold = "**" if is_ours(row[0].text) else ""
            lines.append([f"{bold}{row[0].text}{bold}", *(cell.text for cell in row[1:])])
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{self.title}:\n\n{body}\n"


def number(value: float) -> str:
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def verdict(text: str, good: bool) -> Cell:
    return Cell(f"{text} {'reached' if good else 'missed'}", good)


def _absolute(rate: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if rate >= unit:
            return f"{rate / unit:.3g}{letter}/s"
    return f"{rate:.0f}/s"


def base_grid(figures: Figures) -> Grid:
    """What the ratios are to."""
    names = [one.name for one in MEASUREMENTS if figures.has(BASE, one.name)]
    grid = Grid(
        f"{BASE}, to which all the ratios are: messages, connections or handles a second", ["", *names]
    )
    grid.add(BASE, *(_absolute(figures.base(name)) for name in names))
    return grid


def rates_grid(figures: Figures, group: str, spread: bool) -> Grid:
    """Medians as ratios to the base, perhaps with the smallest and largest of the rounds."""
    names = [one.name for one in figures.measurements(group)]
    grid = Grid(f"{GROUPS[group]}, × {BASE}" + (": median (least–most)" if spread else ""), ["", *names])
    for competitor in figures.competitors(group):
        cells = []
        for name in names:
            if not figures.has(competitor.name, name):
                cells.append("–")
                continue
            found = figures.ratios(competitor.name, name)
            cell = number(figures.ratio(competitor.name, name))
            if spread and competitor.name != BASE:
                cell += f" ({number(min(found))}–{number(max(found))})"
            cells.append(cell)
        grid.add(competitor.name, *cells)
    grid.section()
    targets = [figures.targets(group, name) for name in names]
    for level in range(max(map(len, targets), default=0)):
        verdicts = [
            verdict(f"≥ {one[level][0].ratio:g}", one[level][1] >= one[level][0].ratio)
            if level < len(one)
            else Cell("")
            for one in targets
        ]
        grid.add("to reach" if level == 0 else f"to reach, {' or '.join(_only(targets, level))}", *verdicts)
    return grid


def _only(targets: list[list[tuple[Target, float]]], level: int) -> list[str]:
    """For whom the further targets are."""
    return sorted({name for one in targets if level < len(one) for name in one[level][0].competitors})


def idle_grid(figures: Figures) -> Grid:
    grid = Grid(
        f"Bytes that one costs, of {IDLE_OBJECTS:,} that are idle",
        ["", "allocator", "malloc", "resident", ""],
    )
    for one in figures.idle:
        cells = (f"{value:.0f}" for value in (one.allocator, one.malloc, one.resident))
        grid.add(f"{one.what}, {one.side}", *cells, verdict(f"≤ {one.target:g}", one.malloc <= one.target))
    return grid


def costs_grid(figures: Figures) -> Grid:
    head = ["", *(f"{channels:,} open" for channels in OPEN), "grows"]
    grid = Grid(
        "µs a message of 64 bytes by the clock (of both processors), with many channels open, in C", head
    )
    for way, text in WAYS.items():
        found = {one.channels: one for one in figures.costs if one.way == way}
        cells = (
            f"{found[channels].clock * 1e6:.1f} ({found[channels].processor * 1e6:.1f})" for channels in OPEN
        )
        grown = growth(figures.costs, way)
        if grown is not None:
            since = f" from {FEWEST[way]} on" if FEWEST[way] > OPEN[0] else ""
            most = most_growth(figures.costs, way)
            said = f"× {grown:.2f}{since}"
            grid.add(text, *cells, said if most is None else verdict(f"{said}, ≤ {most:.2f}", grown <= most))
    return grid


def large_grid(figures: Figures) -> Grid:
    sizes = sorted({one.size for one in figures.large})
    head = ["", *(f"{size >> 20} MiB" for size in sizes), "time a byte", "memory"]
    grid = Grid(
        "ms until one large message is answered (what it adds to the receiver's memory at most, × its size)",
        head,
    )
    for group, name in GROUPS.items():
        found = {one.size: one for one in figures.large if one.group == group}
        slower = slowdown(figures.large, group)
        if slower is None:
            continue
        largest = found[sizes[-1]]
        memory = largest.peak / largest.size
        grid.add(
            name,
            *(f"{found[size].seconds * 1e3:.1f} ({found[size].peak / size:.2f})" for size in sizes),
            verdict(f"× {slower:.2f}, ≤ {LINEAR:g}", slower <= LINEAR),
            verdict(f"≤ {LARGE_MEMORY:g}", memory <= LARGE_MEMORY),
        )
    return grid


def grids(figures: Figures, spread: bool) -> Iterator[Grid]:
    """All that there is to show."""
    if figures.rates:
        yield base_grid(figures)
    for group in GROUPS:
        if figures.measurements(group):
            yield rates_grid(figures, group, spread)
    if figures.costs:
        yield costs_grid(figures)
    if figures.large:
        yield large_grid(figures)
    if figures.idle:
        yield idle_grid(figures)


def about(figures: Figures) -> str:
    """Where and how the figures were measured, in a sentence."""
    machine = figures.machine
    node = f", Node {machine['node'].lstrip('v')}" if machine["node"] else ""
    return (
        f"Measured on {machine['processors']} processors ({machine['processor'] or 'unknown'}), {machine['system']},"
        f" Python {machine['python']}{node}: medians of {figures.rounds} rounds, {figures.seconds:g} s a measurement."
    )


def into_page(page: str, name: str, text: str) -> str:
    """A page with the text between its marks of this name. ValueError when it has none."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    start = page.index(begin) + len(begin)
    return f"{page[:start]}\n{text}\n{page[page.index(end, start) :]}"


def figures_text(figures: Figures) -> str:
    """All tables for a page."""
    return "\n".join([about(figures) + "\n", *(grid.markdown() for grid in grids(figures, spread=False))])
