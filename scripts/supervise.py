#!/usr/bin/env python3
"""Runs one suite: output to a log, progress to the terminal, and nothing left behind.

Usage: supervise.py LOG SECONDS COMMAND...

The command gets a session of its own. It is ended when the time is up; processes that it leaves running are
ended too, and count as a failure: status 96. Running out of time is status 97.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LEFT_BEHIND = 96
OUT_OF_TIME = 97
# How long processes may take to end after the command has, and how often the log is looked at.
GRACE_SECONDS = 5.0
LOOK_SECONDS = 0.2
# Without a terminal, a line now and then shows that something happens.
QUIET_SECONDS = 20.0


def session_members(session: int) -> set[int]:
    """The living processes of a session. Empty where there is no /proc."""
    members = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except (OSError, IndexError):
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            members.add(int(stat.parent.name))
    return members


def end_session(session: int) -> None:
    for process in session_members(session) or {session}:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def last_line(log: Path) -> str:
    """The last line of a growing file."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def use_default_signals() -> None:
    """What runs in the background or under nohup ignores these signals, and hands that down."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Progress:
    """Shows the last line of the log: in place on a terminal, now and then elsewhere."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.terminal = sys.stdout.isatty()
        self.shown = ""
        self.since = time.monotonic()

    def show(self) -> None:
        line = last_line(self.log)
        if self.terminal:
            if line != self.shown:
                width = shutil.get_terminal_size().columns - 5
                print(f"\r\033[K    {line[:width]}", end="", flush=True)
                self.shown = line
        elif time.monotonic() - self.since > QUIET_SECONDS and line != self.shown:
            print(f"    ... {line[:110]}", flush=True)
            self.since = time.monotonic()
            self.shown = line

    def clear(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", flush=True)


def describe(process: int) -> str:
    """The command line of a process."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "?"
    return " ".join(word.decode("utf-8", "replace") for word in words).strip()


def supervise(log: Path, seconds: float, command: list[str]) -> int:
    """Runs the command; its status, or one of the two above."""
    deadline = time.monotonic() + seconds
    progress = Progress(log)
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=use_default_signals,
            )
        except OSError as error:
            output.write(f"{command[0]}: {error}\n".encode())
            return 127
        try:
            while True:
                try:
                    status = process.wait(LOOK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    progress.show()
                if time.monotonic() > deadline:
                    output.write(f"\nended after {seconds:g} seconds: out of time\n".encode())
                    end_session(process.pid)
                    process.wait()
                    return OUT_OF_TIME
            grace = time.monotonic() + GRACE_SECONDS
            left = session_members(process.pid)
            while left and time.monotonic() < grace:
                time.sleep(LOOK_SECONDS)
                left = session_members(process.pid)
            for member in left:
                output.write(f"\nleft running: {member} {describe(member)}\n".encode())
        except KeyboardInterrupt:
            end_session(process.pid)
            raise
        finally:
            progress.clear()
        if left:
            end_session(process.pid)
            return status or LEFT_BEHIND
        return status if status >= 0 else 128 - status


def interrupt(number: int, frame: object) -> None:
    """Being ended from outside is the same as Ctrl-C: what was started goes too."""
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    if len(arguments) < 3:
        print(__doc__)
        return 2
    # A shell has what it runs beside itself ignore Ctrl-C.
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        return supervise(Path(arguments[0]), float(arguments[1]), arguments[2:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
