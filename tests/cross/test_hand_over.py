"""One process accepts connections in Node and hands each to Python, which answers the HTTP client."""

import re
import subprocess
import sys
from pathlib import Path

from conftest import Start
from harness import PATIENCE, ROOT, Program

FRONT = ["node", str(ROOT / "examples" / "node" / "hand_over.mjs")]
WORKER = [sys.executable, "-u", str(ROOT / "examples" / "python" / "hand_over_worker.py")]


def fetch(address: str) -> "tuple[int, str]":
    """The status and the body that a client gets."""
    done = subprocess.run(
        [
            "curl",
            "--silent",
            "--show-error",
            "--max-time",
            str(PATIENCE),
            "--write-out",
            "%{http_code}",
            address,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout[-3:]), done.stdout[:-3]


def start_front(start: Start, pipe: str) -> "tuple[Program, str]":
    front = start(*FRONT, pipe)
    address = front.line()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
    return front, address


def test_python_answers_what_node_accepted(start: Start, place: Path) -> None:
    pipe = f"{place}/s"
    front, address = start_front(start, pipe)
    worker = start(*WORKER, pipe)
    front.expect("workers: 1")
    for _ in range(5):
        assert fetch(address) == (200, f"answered by Python, process {worker.process.pid}\n")


def test_workers_take_turns(start: Start, place: Path) -> None:
    pipe = f"{place}/s"
    front, address = start_front(start, pipe)
    workers = []
    for count in (1, 2):
        workers.append(start(*WORKER, pipe))
        front.expect(f"workers: {count}")
    answers = {fetch(address)[1] for _ in range(4)}
    assert answers == {f"answered by Python, process {worker.process.pid}\n" for worker in workers}


def test_a_large_request_reaches_the_worker_whole(start: Start, place: Path) -> None:
    """Node must not read a byte of it."""
    pipe = f"{place}/s"
    front, address = start_front(start, pipe)
    worker = start(*WORKER, pipe)
    front.expect("workers: 1")
    path = "x" * 60_000
    assert fetch(address + path) == (200, f"answered by Python, process {worker.process.pid}\n")


def test_without_a_worker(start: Start, place: Path) -> None:
    _, address = start_front(start, f"{place}/s")
    assert fetch(address) == (503, "")


def test_workers_end_with_the_front(start: Start, place: Path) -> None:
    pipe = f"{place}/s"
    front, _ = start_front(start, pipe)
    worker = start(*WORKER, pipe)
    front.expect("workers: 1")
    front.kill()
    assert worker.wait() == 0
    assert not worker.complaints
