"""The socket file has its mode from the first instant, whoever looks at it and whenever."""

from __future__ import annotations

import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Callable

import ferrule
import pytest
from support import Child

BINDS = 300
LOOKS = 100
WATCHER = """
    import os, select, stat, sys
    path = sys.argv[1]
    looks, seen = 0, set()
    asked = select.poll()
    asked.register(0, select.POLLIN)
    print("looking")
    line = "\\n"
    while line:
        for _ in range(100):
            try:
                seen.add(stat.S_IMODE(os.lstat(path).st_mode))
            except FileNotFoundError:
                continue
            looks += 1
        if asked.poll(0):
            line = sys.stdin.readline()
            print(looks, *seen)
"""


class Watch:
    """Somebody looks at a file all the time: how often it was there, and its modes."""

    def __init__(self) -> None:
        self.looks = 0
        self.modes: set[int] = set()

    def on(self, path: Path) -> AbstractContextManager[None]:
        """Look at this file, until the context ends."""
        raise NotImplementedError

    def ask(self) -> None:
        """Learn what was seen up to now."""


class ThreadWatch(Watch):
    """A thread of this process. It looks while the library works only when its call has begun before."""

    @contextmanager
    def on(self, path: Path) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                try:
                    self.modes.add(stat.S_IMODE(path.lstat().st_mode))
                except FileNotFoundError:
                    continue
                self.looks += 1

        # Threads take turns as often as can be.
        interval = sys.getswitchinterval()
        thread = threading.Thread(target=look)
        thread.start()
        sys.setswitchinterval(1e-6)
        try:
            yield
        finally:
            sys.setswitchinterval(interval)
            over.set()
            thread.join()


class ProcessWatch(Watch):
    """Another process: it looks at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.child: Child | None = None

    @contextmanager
    def on(self, path: Path) -> Iterator[None]:
        with Child(WATCHER, str(path)) as self.child:
            assert self.child.line() == "looking"
            yield
            status, output, errors = self.child.end()
            assert (status, errors) == (0, "")
            self.hear(output)

    def ask(self) -> None:
        assert self.child
        assert self.child.process.stdin
        self.child.process.stdin.write("\n")
        self.child.process.stdin.flush()
        self.hear(self.child.line())

    def hear(self, line: str) -> None:
        self.looks, *modes = map(int, line.split())
        self.modes.update(modes)


def again_and_again(watch: Watch, action: Callable[[], object], enough: Callable[[], bool]) -> None:
    """Do something many times, and until the watch has seen enough."""
    for rounds in range(1, 100_001):
        action()
        if rounds % 50 == 0:
            watch.ask()
            if rounds >= BINDS and enough():
                return
    raise AssertionError(f"seen {watch.looks} times only, with the modes {watch.modes}")


@contextmanager
def masked(mask: int) -> Iterator[None]:
    """The bits that this process takes away from every file that it makes."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", [ThreadWatch, ProcessWatch], ids=["thread", "process"])
@pytest.mark.parametrize(
    ("mode", "mask", "allowed"),
    [
        (0, 0, {0o600}),
        (0, 0o022, {0o600}),
        (0o600, 0, {0o600}),
        (0o640, 0, {0o640}),
        (0o666, 0, {0o666}),
        # What the mask takes away comes a moment later: never more than was asked for.
        (0o660, 0o077, {0o600, 0o660}),
    ],
    ids=lambda value: oct(value) if isinstance(value, int) else "",
)
def test_the_mode_from_the_first_instant(
    folder: Path, kind: type[Watch], mode: int, mask: int, allowed: set[int]
) -> None:
    path, watch = folder / "s", kind()

    def bind() -> None:
        pipe = ferrule.Pipe(loop)
        pipe.bind(path, mode=mode)
        assert stat.S_IMODE(path.lstat().st_mode) == (mode or 0o600)
        pipe.close()
        assert not path.exists()
        loop.step(0)

    with ferrule.Loop() as loop, masked(mask), watch.on(path):
        again_and_again(watch, bind, lambda: watch.looks >= LOOKS)
    assert watch.modes
    assert watch.modes <= allowed


@pytest.mark.parametrize("kind", [ThreadWatch, ProcessWatch], ids=["thread", "process"])
def test_the_watch_sees_a_mode_that_comes_late(folder: Path, kind: type[Watch]) -> None:
    """What the tests above would see if the mode were set behind the back of bind."""
    path, watch = folder / "s", kind()

    def bind() -> None:
        with socket.socket(socket.AF_UNIX) as raw:
            raw.bind(str(path))
            path.chmod(0o600)
            path.unlink()

    with masked(0), watch.on(path):
        again_and_again(watch, bind, lambda: 0o777 in watch.modes)


def test_the_mask_of_the_process_is_left_alone(loop: ferrule.Loop, folder: Path) -> None:
    """It belongs to all threads."""
    with masked(0o027):
        for mode in (0, 0o666, 0o600):
            pipe = ferrule.Pipe(loop)
            pipe.bind(folder / "s", mode=mode)
            assert os.umask(0o027) == 0o027
            pipe.close()
