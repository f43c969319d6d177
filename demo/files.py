"""Which files the demo sends."""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

# The length field of a message has 32 bits.
LARGEST_MESSAGE = 2**32 - 1
# What ./dev makes, for copies of this repository without git.
MADE_BY_DEV = {".git", ".venv", "build", "node_modules", "__pycache__"}


@dataclass
class Files:
    """What will be sent, and what will not."""

    names: list[bytes] = field(default_factory=list)
    total: int = 0
    largest: int = 0
    # (name, reason): these should have been sent.
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    # Sockets, FIFOs and devices have no contents that could be sent.
    special: int = 0

    def add(self, path: bytes) -> None:
        """Takes a file, or notes why not."""
        try:
            # Without O_NONBLOCK a FIFO that nobody writes to would hold us up here.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            self._note(path, error)
            return
        try:
            info = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        if stat.S_ISDIR(info.st_mode):
            return
        if not stat.S_ISREG(info.st_mode):
            self.special += 1
        elif info.st_size > LARGEST_MESSAGE:
            self.unreadable.append((os.fsdecode(path), "a message has at most 4 GiB - 1"))
        else:
            self.names.append(path)
            self.total += info.st_size
            self.largest = max(self.largest, info.st_size)

    def _note(self, path: bytes, error: OSError) -> None:
        try:
            mode = os.stat(path).st_mode
        except OSError:
            mode = stat.S_IFREG
        if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            self.unreadable.append((os.fsdecode(path), error.strerror or str(error)))
        else:
            self.special += 1


def tracked(root: Path) -> Optional[list[bytes]]:
    """The files that git tracks and that are there; None when git cannot say."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    if done.returncode != 0:
        return None
    names = [os.path.join(os.fsencode(root), name) for name in done.stdout.split(b"\0") if name]
    return [name for name in names if os.path.lexists(name)]


def walk(root: Path, leave_out: set[str], files: Files) -> Iterator[bytes]:
    """Every file below a folder, in order. Links to folders are not followed."""

    def note(error: OSError) -> None:
        files.unreadable.append((str(error.filename), error.strerror or str(error)))

    for folder, folders, names in os.walk(os.fsencode(root), onerror=note):
        folders[:] = sorted(name for name in folders if os.fsdecode(name) not in leave_out)
        for name in sorted(names):
            yield os.path.join(folder, name)


def find(folder: Optional[Path], repository: Path) -> Files:
    """The files of a folder, or those of the repository."""
    files = Files()
    if folder is not None:
        names = walk(folder, set(), files)
    else:
        listed = tracked(repository)
        names = iter(listed) if listed is not None else walk(repository, MADE_BY_DEV, files)
    for name in names:
        files.add(name)
    return files
