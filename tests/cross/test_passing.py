"""Handles passed from every language to every other one, and on through a third: real processes, all kinds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from harness import BUILD, HERE, Program

PASSERS = {
    "c": [str(BUILD / "bin" / "ferrule_passer")],
    "node": ["node", str(HERE / "peers" / "passer.mjs")],
    "python": [sys.executable, "-u", str(HERE / "peers" / "passer.py")],
}
KINDS = ["tcp-connection", "tcp-bound", "tcp-listening", "udp", "pipe-connection", "pipe-listener"]
PAIRS = [(giver, taker) for giver in PASSERS for taker in PASSERS]


RELAYED = [
    # Between them, those that one language relays are of every kind.
    (giver, relay, taker, KINDS[(3 * i + k + 2 * j) % len(KINDS)])
    for i, giver in enumerate(PASSERS)
    for j, relay in enumerate(PASSERS)
    for k, taker in enumerate(PASSERS)
]


@pytest.fixture(scope="module")
def matrix(tables: list[str]) -> Iterator[dict[tuple[str, str, str], str]]:
    """What came out for each giver, taker and kind."""
    outcomes: dict[tuple[str, str, str], str] = {}
    yield outcomes
    lines = [f"| from → to | {' | '.join(KINDS)} |", f"| --- | {' | '.join('---' for _ in KINDS)} |"]
    for giver, taker in PAIRS:
        row = [outcomes.get((giver, taker, kind), "-") for kind in KINDS]
        lines.append(f"| {giver} → {taker} | {' | '.join(row)} |")
    tables.append("\n".join(lines) + "\n")


def need_passers(*languages: str) -> None:
    for language in languages:
        if not Path(PASSERS[language][-1]).exists():
            pytest.skip(f"there is no passer in {language}")


def end(*programs: Program) -> None:
    """All of them have done what they should."""
    for program in programs:
        assert program.wait() == 0, program.complaints.decode()
        assert program.complaints == b""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("giver", "taker"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_passing(
    start: Start, place: Path, matrix: dict[tuple[str, str, str], str], giver: str, taker: str, kind: str
) -> None:
    """The handle works where it arrives, and both know it."""
    need_passers(giver, taker)
    matrix[giver, taker, kind] = "FAILED"
    take = start(*PASSERS[taker], "take", str(place / "s"))
    take.expect("ready")
    give = start(*PASSERS[giver], "give", str(place / "s"), kind)
    give.expect("ok")
    take.expect(f"ok {kind.partition('-')[0]}")
    end(give, take)
    matrix[giver, taker, kind] = "ok"


@pytest.mark.parametrize(("giver", "relay", "taker", "kind"), RELAYED, ids=["-".join(row) for row in RELAYED])
def test_through_a_third_process(
    start: Start, place: Path, giver: str, relay: str, taker: str, kind: str
) -> None:
    """What one receives it passes on; it works at the end of the way, and two of the three have let it go."""
    need_passers(giver, relay, taker)
    take = start(*PASSERS[taker], "take", str(place / "end"))
    take.expect("ready")
    between = start(*PASSERS[relay], "relay", str(place / "s"), str(place / "end"))
    between.expect("ready")
    give = start(*PASSERS[giver], "give", str(place / "s"), kind)
    give.expect("ok")
    for program in (between, take):
        program.expect(f"ok {kind.partition('-')[0]}")
    end(give, between, take)
