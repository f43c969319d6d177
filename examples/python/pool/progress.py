"""Progress on standard error: a bar on a terminal, elsewhere a line for every tenth."""

from __future__ import annotations

import shutil
import sys


class Progress:
    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._terminal = sys.stderr.isatty()
        self._draw()

    def advance(self) -> None:
        tenth = self._tenth()
        self._done += 1
        if self._terminal:
            self._draw()
        elif self._tenth() > tenth:
            print(f"{self._done} of {self._total}", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a line, above the bar."""
        print(f"\r\x1b[K{text}" if self._terminal else text, file=sys.stderr, flush=True)
        self._draw()

    def end(self) -> None:
        """Leave the line of the bar."""
        if self._terminal:
            print(file=sys.stderr, flush=True)

    def _tenth(self) -> int:
        return 10 * self._done // self._total

    def _draw(self) -> None:
        if not self._terminal:
            return
        count = f" {self._done} of {self._total}"
        width = max(0, min(40, shutil.get_terminal_size().columns - len(count) - 3))
        full = round(width * self._done / self._total)
        print(f"\r[{'#' * full}{' ' * (width - full)}]{count}", end="", file=sys.stderr, flush=True)
