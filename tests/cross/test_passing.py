"""Handles passed from every language to every other one: real processes, every kind of handle."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Start
from harness import BUILD, HERE

PASSERS = {
    "c": [str(BUILD / "bin" / "ferrule_passer")],
    "node": ["node", str(HERE / "peers" / "passer.mjs")],
    "python": [sys.executable, "-u", str(HERE / "peers" / "passer.py")],
}
KINDS = ["tcp-connection", "tcp-bound", "tcp-listening", "udp", "pipe-connection", "pipe-listener"]
PAIRS = [(giver, taker) for giver in PASSERS for taker in PASSERS]


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest) -> Iterator[dict[tuple[str, str, str], str]]:
    """What came out for each giver, taker and kind; shown at the end."""
    outcomes: dict[tuple[str, str, str], str] = {}
    yield outcomes
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n\n| from → to |", " | ".join(KINDS), "|")
        print("| --- |", " | ".join("---" for _ in KINDS), "|")
        for giver, taker in PAIRS:
            row = [outcomes.get((giver, taker, kind), "-") for kind in KINDS]
            print(f"| {giver} → {taker} |", " | ".join(row), "|")


def is_built(language: str) -> bool:
    """Whether there is a passer in this language."""
    return Path(PASSERS[language][-1]).exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("giver", "taker"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_passing(
    start: Start, place: Path, matrix: dict[tuple[str, str, str], str], giver: str, taker: str, kind: str
) -> None:
    """The handle works where it arrives, and both know it."""
    for language in (giver, taker):
        if not is_built(language):
            pytest.skip(f"there is no passer in {language}")
    matrix[giver, taker, kind] = "FAILED"
    take = start(*PASSERS[taker], "take", str(place / "s"))
    take.expect("ready")
    give = start(*PASSERS[giver], "give", str(place / "s"), kind)
    give.expect("ok")
    take.expect(f"ok {kind.partition('-')[0]}")
    for program in (give, take):
        assert program.wait() == 0, program.complaints.decode()
        assert program.complaints == b""
    matrix[giver, taker, kind] = "ok"
