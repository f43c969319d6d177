"""Makes a picture of the Mandelbrot set, which a pool of workers in Node computes: mandelbrot.py [OPTION...] FILE.pgm"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

from pool import TaskFailed, run_tasks
from progress import Progress

WORKER = Path(__file__).with_name("mandelbrot_worker.mjs")
ROWS = 64  # of the picture are a task
LONGEST = 250  # steps, which the worker takes for a point of the set


def rows(size: int, task: int) -> range:
    return range(ROWS * task, min(ROWS * (task + 1), size))


def points(size: int, task: int) -> memoryview:
    """What the pixels of a task stand for, as numbers: x and y, x and y."""
    across = array("d", (3 * column / size - 2.25 for column in range(size)))
    numbers = array("d", bytes(16 * size)) * len(rows(size, task))
    for place, row in enumerate(rows(size, task)):
        start, end = 2 * size * place, 2 * size * (place + 1)
        numbers[start:end:2] = across
        numbers[start + 1 : end : 2] = array("d", [3 * row / size - 1.5]) * size
    return memoryview(numbers)


async def compute(size: int, node: str, workers: int) -> array[int]:
    """How many steps each pixel takes. Progress is shown meanwhile."""
    picture = array("H", bytes(2 * size * size))
    tasks = -(-size // ROWS)
    progress = Progress(tasks)

    def take(task: int, answer: bytes) -> None:
        # The bytes of the message are the numbers: nothing is converted.
        steps = memoryview(answer).cast("H")
        start = size * ROWS * task
        memoryview(picture)[start : start + len(steps)] = steps
        progress.advance()

    try:
        await run_tasks(
            tasks,
            lambda task: points(size, task),
            take,
            command=[node, str(WORKER)],
            size=workers,
            on_start=lambda pid: progress.say(f"worker {pid} started"),
            on_lost=lambda pid, how: progress.say(f"worker {pid} {how}: its rows are done again"),
        )
    finally:
        progress.end()
    return picture


def write(picture: array[int], size: int, path: Path) -> None:
    """As a PGM, in which what took long is dark."""
    path.write_bytes(b"P5 %d %d 255\n" % (size, size) + bytes(255 - steps for steps in picture))


def number(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"a number from 1 to {most}")
        return int(text)

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--workers", type=number(100), default=2, metavar="N")
    parser.add_argument("--size", type=number(10_000), default=2048, metavar="PIXELS")
    parser.add_argument("--node", default="node", metavar="PROGRAM", help="that runs the workers")
    parser.add_argument("file", type=Path, metavar="FILE.pgm")
    return parser.parse_args()


async def main(given: argparse.Namespace) -> int:
    computing = asyncio.ensure_future(compute(given.size, given.node, given.workers))
    signals: list[int] = []

    def stop(number: int) -> None:
        signals.append(number)
        computing.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        picture = await computing
        write(picture, given.size, given.file)
    except asyncio.CancelledError:
        print("interrupted", file=sys.stderr)
        return 128 + signals[0]  # As a shell has it.
    except (OSError, TaskFailed) as problem:
        print(f"mandelbrot.py: {problem}", file=sys.stderr)
        return 1
    print(f"{given.file}: {picture.count(LONGEST)} of {len(picture)} points are in the set")
    return 0


# A worker that ends just when it is killed is news to asyncio, and to nobody else.
logging.getLogger("asyncio").setLevel(logging.ERROR)
sys.exit(asyncio.run(main(arguments())))
