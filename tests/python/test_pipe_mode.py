"""The socket file has its mode from the first instant, whoever looks at it and whenever."""

from __future__ import annotations

import os
import select
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import ferrule
import pytest
from support import Child

BINDS = 300
LOOKS = 100
WATCHER = """
    import os, select, stat, sys
    path, looks = sys.argv[1], int(sys.argv[2])
    seen = {}
    over = select.poll()
    over.register(0, select.POLLIN)
    print("looking")
    while not over.poll(0):
        for _ in range(100):
            try:
                mode = stat.S_IMODE(os.lstat(path).st_mode)
            except FileNotFoundError:
                continue
            seen[mode] = seen.get(mode, 0) + 1
            if sum(seen.values()) == looks:
                print("enough")
    print(*seen)
"""


class Watch:
    """The modes of a file that somebody saw who looked at it all the time."""

    def __init__(self) -> None:
        self.modes: set[int] = set()

    def enough(self) -> bool:
        """Whether it was seen often enough to say something."""
        raise NotImplementedError

    def on(self, path: Path) -> AbstractContextManager[None]:
        """Look at this file, until the context ends."""
        raise NotImplementedError


class ThreadWatch(Watch):
    """A thread of this process. It looks while the library works only when its call has begun before."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def enough(self) -> bool:
        return self.looks >= LOOKS

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
        self.child: subprocess.Popen[str] | None = None
        self.ready = False

    def enough(self) -> bool:
        assert self.child
        assert self.child.stdout
        if not self.ready and select.select([self.child.stdout], [], [], 0)[0]:
            assert self.child.stdout.readline() == "enough\n"
            self.ready = True
        return self.ready

    @contextmanager
    def on(self, path: Path) -> Iterator[None]:
        with Child(WATCHER, str(path), str(LOOKS)) as child:
            assert child.line() == "looking"
            self.child = child.process
            yield
            status, output, errors = child.end()
            assert (status, errors) == (0, "")
            self.modes.update(map(int, output.split()))


@contextmanager
def masked(mask: int) -> Iterator[None]:
    """The bits that this process takes away from every file that it makes."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def bind_often(loop: ferrule.Loop, path: Path, watch: Watch, mode: int) -> None:
    """Bind again and again, until the watch has seen enough."""
    rounds = 0
    while rounds < BINDS or not watch.enough():
        rounds += 1
        assert rounds < 100_000, "the watch saw nothing"
        pipe = ferrule.Pipe(loop)
        pipe.bind(path, mode=mode)
        assert stat.S_IMODE(path.lstat().st_mode) == (mode or 0o600)
        pipe.close()
        assert not path.exists()
        loop.step(0)


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
    watch = kind()
    with ferrule.Loop() as loop, masked(mask), watch.on(folder / "s"):
        bind_often(loop, folder / "s", watch, mode)
    assert watch.modes
    assert watch.modes <= allowed


@pytest.mark.parametrize("kind", [ThreadWatch, ProcessWatch], ids=["thread", "process"])
def test_the_watch_sees_a_mode_that_comes_late(folder: Path, kind: type[Watch]) -> None:
    """What the tests above would see if the mode were set behind the back of bind."""
    path, watch = folder / "s", kind()
    with masked(0), watch.on(path):
        for rounds in range(100_000):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.bind(str(path))
                path.chmod(0o600)
                path.unlink()
            if rounds >= BINDS and watch.enough():
                break
    assert 0o777 in watch.modes


def test_the_mask_of_the_process_is_left_alone(loop: ferrule.Loop, folder: Path) -> None:
    """It belongs to all threads."""
    with masked(0o027):
        for mode in (0, 0o666, 0o600):
            pipe = ferrule.Pipe(loop)
            pipe.bind(folder / "s", mode=mode)
            assert os.umask(0o027) == 0o027
            pipe.close()
