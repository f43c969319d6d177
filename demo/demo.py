"""A server and a client in each of C, Python and Node: every file of a folder goes between all nine pairs.

Usage: demo.py [FOLDER]; run it as ./dev demo [FOLDER], which builds what it needs. README.md has the rest.
"""

import argparse
import asyncio
import contextlib
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional, Union

import files
from programs import LANGUAGES, Outcome, Program, Trouble, run_client, start_server
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

REPOSITORY = Path(__file__).resolve().parent.parent
DEFAULT_MAX_MESSAGE = 64 << 20
SHOWN_REASONS = 10

Report = Callable[[int, int], None]
Result = Union[Outcome, str]


@dataclass
class Screen:
    """Where the demo shows what it does: a bar on a terminal, plain lines elsewhere."""

    console: Console

    @property
    def tick(self) -> str:
        return "✓" if self.console.encoding.lower().startswith("utf") else "ok"

    def line(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)

    @contextlib.contextmanager
    def pair(self, title: str, total: int) -> Iterator[Report]:
        """Shows how far a pair has come."""
        if not self.console.is_terminal:
            yield lambda messages, done: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[messages]} messages"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(title, total=max(total, 1), messages=0)
            yield lambda messages, done: progress.update(task, completed=done, messages=messages)


class Demo:
    """Runs the nine pairs."""

    def __init__(self, screen: Screen, found: files.Files, folder: Path) -> None:
        self.screen = screen
        self.found = found
        self.folder = folder
        self.max_message = max(DEFAULT_MAX_MESSAGE, found.largest)
        self.names = folder / "names"
        self.names.write_bytes(b"".join(name + b"\0" for name in found.names))
        self.results: dict[tuple[str, str], Result] = {}

    async def run(self) -> None:
        for server in LANGUAGES:
            await self._with_server(server)

    async def _with_server(self, language: str) -> None:
        """The three clients with one server. A server that dies is started again for the next."""
        address = f"pipe:{self.folder / language.lower()}.sock"
        server: Optional[Program] = None
        try:
            for client in LANGUAGES:
                title = f"{client} → {language}"
                try:
                    if server is None or not server.is_running():
                        server = await start_server(language, address, self.max_message)
                    with self.screen.pair(title, self.found.total) as report:
                        result: Result = await self._run_pair(client, server, address, report)
                except Trouble as trouble:
                    result = str(trouble)
                self.results[client, language] = result
                self._show(title, result)
            if server is not None and server.is_running():
                reason = await server.stop()
                if reason:
                    self._blame(language, reason)
        finally:
            if server is not None:
                await server.kill()

    async def _run_pair(self, client: str, server: Program, address: str, report: Report) -> Outcome:
        try:
            outcome = await run_client(client, address, self.max_message, self.names, report)
        except Trouble as trouble:
            # A client only sees its connection break; what the server died of says more.
            if not server.is_running():
                raise Trouble(f"{await server.ended()} ({trouble})") from None
            raise
        if outcome.messages != len(self.found.names):
            raise Trouble(f"{outcome.messages} of {len(self.found.names)} files were answered")
        return outcome

    def _blame(self, server: str, reason: str) -> None:
        """A server that does not end as it should spoils all its pairs."""
        self.screen.line(reason, "red")
        for client in LANGUAGES:
            if isinstance(self.results[client, server], Outcome):
                self.results[client, server] = reason

    def _show(self, title: str, result: Result) -> None:
        if isinstance(result, str):
            self.screen.line(f"{title}: failed: {result}", "red")
        elif not self.screen.console.is_terminal:
            self.screen.line(f"{title}: {result.messages} messages, {figures(result)} {self.screen.tick}")

    def table(self) -> Table:
        """Clients down, servers across."""
        table = Table(title="SHA-256 of every file, client by server", show_lines=True)
        table.add_column("client", style="bold")
        for server in LANGUAGES:
            table.add_column(f"{server} server", overflow="fold")
        for client in LANGUAGES:
            cells = []
            for server in LANGUAGES:
                result = self.results[client, server]
                if isinstance(result, str):
                    cells.append(Text(f"failed: {result}", style="red"))
                else:
                    text = f"{result.messages} messages\n{figures(result)} {self.screen.tick}"
                    cells.append(Text(text, style="green"))
            table.add_row(client, *cells)
        return table

    def good(self) -> int:
        return sum(isinstance(result, Outcome) for result in self.results.values())


def figures(outcome: Outcome) -> str:
    return f"{outcome.bytes / 1e6:.2f} MB, {outcome.seconds:.2f} s"


def show_left_out(screen: Screen, found: files.Files) -> None:
    if found.special:
        screen.line(f"left out, being sockets, FIFOs or devices: {found.special}")
    for name, reason in found.unreadable[:SHOWN_REASONS]:
        screen.line(f"cannot send {name}: {reason}", "red")
    more = len(found.unreadable) - SHOWN_REASONS
    if more > 0:
        screen.line(f"… and {more} more", "red")


def show(folder: Optional[Path]) -> int:
    """Runs the demo, and shows it."""
    screen = Screen(Console(highlight=False))
    if folder is not None and not folder.is_dir():
        print(f"demo: {folder} is not a folder", file=sys.stderr)
        return 2
    found = files.find(folder, REPOSITORY)
    what = str(folder) if folder is not None else "this repository"
    show_left_out(screen, found)
    if not found.names:
        screen.line(f"{what} has no file that could be sent", "red")
        return 1
    screen.line(f"Sending {len(found.names)} files of {what}, {found.total / 1e6:.2f} MB, nine times over")
    if found.largest > DEFAULT_MAX_MESSAGE:
        screen.line(f"The largest has {found.largest / 1e6:.0f} MB: raising the limit of 64 MiB")
    with tempfile.TemporaryDirectory(prefix="ferrule-demo-") as place:
        demo = Demo(screen, found, Path(place))
        asyncio.run(demo.run())
    screen.console.print(demo.table())
    screen.line(f"{demo.good()} of {len(demo.results)} pairs {screen.tick}")
    if found.unreadable:
        screen.line(f"files that could not be sent, see above: {len(found.unreadable)}", "red")
    return 0 if demo.good() == len(demo.results) and not found.unreadable else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER")
    # A child that ends while everything is given up is news to asyncio, and to nobody else.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    try:
        return show(parser.parse_args().folder)
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Who read our output has gone.
        sys.stderr.close()
        return 1


if __name__ == "__main__":
    sys.exit(main())
