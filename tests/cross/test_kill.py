"""Processes that are killed at any moment, and processes that send and exit.

The moments are random. The seed of a run is shown with a failure; FERRULE_TEST_SEED repeats its choices.
"""

import itertools
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from harness import LONG, PEERS, TRANSPORTS, WIRES, Program, address_of, can_pass, expand

LANGUAGES = sorted(PEERS)
PAIRS = list(itertools.product(LANGUAGES, LANGUAGES))
WAYS = list(itertools.product(TRANSPORTS, WIRES))
SEED = int(os.environ.get("FERRULE_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = 1000 if LONG else 60
# In these times a peer gets from its start to the end of what it sends, or almost.
MOST_BEFORE_OPEN = 0.25
MOST_AFTER_OPEN = 0.06
MIB = 1 << 20

pairs = pytest.mark.parametrize(("server", "client"), PAIRS, ids=["-".join(pair) for pair in PAIRS])


def sizes_for(transport: str, wire: str) -> str:
    """Small and large messages in turn, with handles where they travel; more than can be sent in a round."""
    handles = "+2" if can_pass(transport, wire) else ""
    return f"1-40,70000,9{handles}x20,300000,1-40,3{handles}x5,{2 * MIB}x60"


def flat(runs: list[list[int]]) -> list[list[int]]:
    return [[size, *handles] for size, count, *handles in runs for _ in range(count)]


def check_prefix(result: dict[str, Any], sizes: str) -> None:
    """Every message is whole or absent, and none is missing between two."""
    assert result["bad"] == -1
    received = flat(result["runs"])
    assert received == flat(expand(sizes))[: len(received)]


class Round:
    """What the round with this number does."""

    def __init__(self, number: int) -> None:
        chance = random.Random(f"{SEED} {number}")
        # All combinations come in turn; what is left to chance is the moment.
        self.transport, self.wire = WAYS[number % len(WAYS)]
        self.server, self.client = PAIRS[(number + number // len(WAYS)) % len(PAIRS)]
        self.sends = ("server", "client")[(number + number // 2) % 2]
        self.dies = ("server", "client")[(number // 3) % 2]
        self.before_open = number % 5 == 4
        self.moment = chance.uniform(0, MOST_BEFORE_OPEN if self.before_open else MOST_AFTER_OPEN)

    def __str__(self) -> str:
        return (
            f"seed {SEED}: {self.transport} {self.wire}, {self.server} serves {self.client}, the {self.sends} sends, "
            f"the {self.dies} dies {self.moment:.4f} s after {'its start' if self.before_open else 'it is open'}"
        )


def ends_after_death(wire: str) -> set[str]:
    """How a channel may end whose peer was killed. The plain wire has nothing that tells a death from an end."""
    ends = {"FER_ECONNRESET", "FER_EPIPE"}
    return ends | {"FER_EOF"} if wire == "plain" else ends


def kill_after_open(peer: Start, place: Path, this: Round) -> None:
    sizes = sizes_for(this.transport, this.wire)
    options = ["--wire", this.wire, *(["--max-handles", "2"] if can_pass(this.transport, this.wire) else [])]
    words = {
        side: (["send", sizes, "--stay"] if side == this.sends else ["collect"])
        for side in ("server", "client")
    }
    server = peer(this.server, "listen", address_of(this.transport, place), *words["server"], *options)
    client = peer(this.client, "connect", server.ready(), *words["client"], *options)
    victim, survivor = (server, client) if this.dies == "server" else (client, server)
    survivor.expect("open")
    victim.expect("open")
    time.sleep(this.moment)
    victim.kill()
    result = survivor.result()
    assert result["end"] in ends_after_death(this.wire)
    assert "error" not in result
    if this.sends == this.dies:
        check_prefix(result, sizes)
    assert survivor.complaints == b""
    check_place(peer, place, this)


def kill_before_open(peer: Start, place: Path, this: Round) -> None:
    """A client dies in the midst of connecting: the server goes on as if it had never come."""
    options = ["--wire", this.wire]
    server = peer(this.server, "listen", address_of(this.transport, place), "echo", *options)
    address = server.ready()
    client = peer(this.client, "connect", address, "ping", f"1x100,{MIB}x100", *options)
    time.sleep(this.moment)
    client.kill()
    ping = peer(this.client, "connect", address, "ping", "1,70000,3", *options)
    result = ping.result()
    assert (result["runs"], result["bad"], result["end"]) == (expand("1,70000,3"), -1, "FER_OK")
    server.close_input()
    result = server.result()
    assert result["bad"] == -1
    assert list(place.iterdir()) == []


def check_place(peer: Start, place: Path, this: Round) -> None:
    """A server that lives removes its files; those of one that was killed do not bother the next."""
    if this.dies == "server":
        server = peer(this.client, "listen", address_of(this.transport, place), "echo", "--wire", this.wire)
        ping = peer(this.client, "connect", server.ready(), "ping", "1,70000", "--wire", this.wire)
        assert ping.result()["runs"] == expand("1,70000")
        server.close_input()
        server.result()
    left = {path.name for path in place.iterdir()}
    # A server removes only the FIFOs that it made, not what one that was killed has left.
    assert left <= ({"in", "out"} if (this.dies, this.transport) == ("server", "fifo") else set())


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_round_of_kill(peer: Start, place: Path, number: int) -> None:
    this = Round(number)
    print(this)
    if this.before_open:
        kill_before_open(peer, place, this)
    else:
        kill_after_open(peer, place, this)


# What close() reports.

LARGE = [(number, way) for number, way in enumerate(WAYS)]


def start_pair(
    peer: Start, place: Path, pair: tuple[str, str], way: tuple[str, str], *words: str
) -> tuple[Program, Program]:
    """One that sends, and one that does not receive before it is told to."""
    collect = peer(pair[0], "listen", address_of(way[0], place), "collect", "--hold", "--wire", way[1])
    send = peer(pair[1], "connect", collect.ready(), "send", *words, "--wire", way[1])
    collect.expect("open")
    send.expect("open")
    return collect, send


@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pairs
def test_send_then_exit(peer: Start, place: Path, server: str, client: str, way: tuple[str, str]) -> None:
    """Who sends, closes and exits loses nothing, at the sizes at which others do."""
    sizes = f"1,4095-4097,65535-65537,219262-219264,{MIB},7"
    # The largest once for each way in the normal run: it takes its time. It comes first: a queue that is not empty
    # has no room for it.
    if LONG or PAIRS.index((server, client)) == (4 * WAYS.index(way)) % len(PAIRS):
        sizes = f"{64 * MIB},{sizes}"
    collect, send = start_pair(peer, place, (server, client), way, sizes)
    collect.tell("go\n")
    result = send.result()
    assert (result["runs"], result["end"], result["unsent"]) == (expand(sizes), "FER_OK", 0)
    result = collect.result()
    assert (result["runs"], result["bad"], result["end"]) == (expand(sizes), -1, "FER_EOF")


@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_flushed_arrives(peer: Start, place: Path, language: str, way: tuple[str, str]) -> None:
    """The close gives up on a peer that does not answer, and the process is gone: what the kernel had arrives."""
    # In C, who does not receive does not read either.
    collect, send = start_pair(peer, place, ("c", language), way, "1,100,3000", "--close-timeout", "50")
    result = send.result()
    assert (result["end"], result["unsent"]) == ("FER_ETIMEDOUT", 0)
    collect.tell("go\n")
    result = collect.result()
    assert (result["runs"], result["bad"], result["end"]) == (expand("1,100,3000"), -1, "FER_EOF")


@pytest.mark.parametrize("way", WAYS, ids="-".join)
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_not_flushed_is_told(peer: Start, place: Path, language: str, way: tuple[str, str]) -> None:
    """The close gives up before the kernel has everything: it says so, and no part of a message arrives as one."""
    sizes = f"1,3000,{48 * MIB}"
    collect, send = start_pair(peer, place, ("c", language), way, sizes, "--close-timeout", "50")
    result = send.result()
    assert result["end"] == "FER_ETIMEDOUT"
    # Headers count, and what a socket or a pipe can hold went.
    assert 16 * MIB < result["unsent"] <= 48 * MIB + 16
    collect.tell("go\n")
    result = collect.result()
    assert (result["runs"], result["bad"], result["end"]) == (expand("1,3000"), -1, "FER_ECONNRESET")
