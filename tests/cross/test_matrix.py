"""Every language with every other one, on every transport and wire, without and with handles."""

import contextlib
import itertools
import select
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from harness import LONG, PEERS, STRANGER, TRANSPORTS, WIRES, Program, address_of, can_pass, expand

LANGUAGES = sorted(PEERS)
PAIRS = list(itertools.product(LANGUAGES, LANGUAGES))
WAYS = list(itertools.product(TRANSPORTS, WIRES))
# What frames, pipes and socket buffers begin or end at. On the plain wire there are no empty messages.
SIZES = (
    f"1,4,{select.PIPE_BUF - 5}-{select.PIPE_BUF - 3},{select.PIPE_BUF - 1}-{select.PIPE_BUF + 1},"
    "65531-65537,219262-219264,1048576,1"
)
WITH_HANDLES = "5,1+1,7,70000+2,1x3,9+64,3+64x2,1048576+1,4,2+1x20,6"
EMPTY = {"native": "0,", "plain": ""}
EMPTY_WITH = {"native": "0+2,0,0+64,", "plain": ""}
LIMIT = 64 << 20

pairs = pytest.mark.parametrize(("server", "client"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
ways = pytest.mark.parametrize(("transport", "wire"), WAYS, ids=["-".join(way) for way in WAYS])


class Echoes:
    """Servers that send everything back, one for each language and way: many tests have them as peers."""

    def __init__(self) -> None:
        self.servers: dict[tuple[str, str, str], tuple[Program, str]] = {}
        self.expected: dict[tuple[str, str, str], int] = {}
        self.places: list[Path] = []

    def at(self, language: str, transport: str, wire: str) -> str:
        """The address of one, which is started at the first need."""
        key = (language, transport, wire)
        if key not in self.servers:
            place = Path(tempfile.mkdtemp(prefix="ferrule-"))
            self.places.append(place)
            command = [*(STRANGER if language == "stranger" else PEERS[language])]
            command += ["listen", address_of(transport, place), "echo", "--wire", wire]
            if can_pass(transport, wire):
                command += ["--max-handles", "64"]
            program = Program(command)
            self.servers[key] = (program, "")
            self.servers[key] = (program, program.ready())
            self.expected[key] = 0
        return self.servers[key][1]

    def add(self, language: str, transport: str, wire: str, messages: int) -> None:
        """Messages that one must have sent back."""
        self.expected[language, transport, wire] += messages

    def end(self) -> None:
        """Each has sent back what it should, and leaves no file behind."""
        for key, (program, _) in self.servers.items():
            program.close_input()
            result = program.result()
            assert result["messages"] == self.expected[key], key
        for place in self.places:
            assert list(place.iterdir()) == [], "a file was left behind"

    def stop(self) -> None:
        for program, _ in self.servers.values():
            program.stop()
        for place in self.places:
            shutil.rmtree(place)


@pytest.fixture(scope="module")
def echoes() -> Iterator[Echoes]:
    with contextlib.ExitStack() as stack:
        servers = Echoes()
        stack.callback(servers.stop)
        yield servers
        servers.end()


Matrix = dict[tuple[str, str, str, str, bool], str]


@pytest.fixture(scope="module")
def matrix(tables: list[str]) -> Iterator[Matrix]:
    """What came out for each cell."""
    outcomes: Matrix = {}
    yield outcomes
    columns = [f"{transport} {wire}" for transport, wire in WAYS]
    lines = [
        f"| server, client | {' | '.join(f'{column} | with handles' for column in columns)} |",
        f"| --- | {' | '.join('---' for _ in range(2 * len(columns)))} |",
    ]
    for server, client in PAIRS:
        row = [
            outcomes.get((server, client, *way, handles), "-") for way in WAYS for handles in (False, True)
        ]
        lines.append(f"| {server}, {client} | {' | '.join(row)} |")
    tables.append("\n".join(lines) + "\n")


def converse(
    echoes: Echoes, client: list[str], server: str, way: tuple[str, str], sizes: str
) -> dict[str, Any]:
    """What a client makes of a conversation with a server that sends everything back."""
    transport, wire = way
    command = [*client, "connect", echoes.at(server, transport, wire), "ping", sizes, "--wire", wire]
    if can_pass(transport, wire):
        command += ["--max-handles", "64"]
    program = Program(command)
    try:
        result = program.result()
        assert program.complaints == b""
    finally:
        program.stop()
    assert "error" not in result, result["error"]
    assert result["bad"] == -1
    assert (result["end"], result["unsent"]) == ("FER_OK", 0)
    echoes.add(server, transport, wire, result["messages"])
    return result


@ways
@pairs
def test_without_handles(
    echoes: Echoes, matrix: Matrix, server: str, client: str, transport: str, wire: str
) -> None:
    """Every size comes back as it was, in order."""
    cell = (server, client, transport, wire, False)
    matrix[cell] = "FAILED"
    sizes = EMPTY[wire] + SIZES
    result = converse(echoes, PEERS[client], server, (transport, wire), sizes)
    assert (result["runs"], result["refused"]) == (expand(sizes), 0)
    matrix[cell] = "ok"


@ways
@pairs
def test_with_handles(
    echoes: Echoes, matrix: Matrix, server: str, client: str, transport: str, wire: str
) -> None:
    """Handles come back with their message; where none can travel, the message is refused and nothing is sent."""
    cell = (server, client, transport, wire, True)
    matrix[cell] = "FAILED"
    sizes = EMPTY_WITH[wire] + WITH_HANDLES
    refused = not can_pass(transport, wire)
    result = converse(echoes, PEERS[client], server, (transport, wire), sizes)
    assert result["runs"] == expand(sizes, refused=refused)
    total = sum(run[1] for run in expand(sizes))
    assert result["messages"] + result["refused"] == total
    matrix[cell] = "refused" if refused else "ok"


@ways
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("side", ["serves", "connects"])
def test_the_stranger(echoes: Echoes, language: str, side: str, transport: str, wire: str) -> None:
    """A peer that was written from the description of the wire alone understands them, and they it."""
    client = PEERS[language] if side == "serves" else STRANGER
    server = "stranger" if side == "serves" else language
    sizes = f"{EMPTY[wire]}{EMPTY_WITH[wire]}{SIZES},{WITH_HANDLES}"
    result = converse(echoes, client, server, (transport, wire), sizes)
    assert result["runs"] == expand(sizes, refused=not can_pass(transport, wire))


@pytest.mark.parametrize("wire", WIRES)
@pairs
def test_inherited_descriptors(start: Start, server: str, client: str, wire: str) -> None:
    """Each has one end of a pair of sockets."""
    sizes = EMPTY_WITH[wire] + WITH_HANDLES
    ends = socket.socketpair()
    programs = []
    for language, end, words in ((server, ends[0], ["echo"]), (client, ends[1], ["ping", sizes])):
        options = ["--wire", wire, *(["--max-handles", "64"] if wire == "native" else [])]
        command = [*PEERS[language], "connect", f"fd:{end.fileno()}", *words, *options]
        programs.append(start(*command, pass_fds=[end.fileno()]))
        end.close()
    runs = expand(sizes, refused=wire == "plain")
    for program, wanted in zip(programs, ("FER_EOF", "FER_OK")):
        result = program.result()
        assert (result["runs"], result["bad"], result["end"]) == (runs, -1, wanted)


@pytest.mark.parametrize("way", [way for way in WAYS if not can_pass(*way)], ids="-".join)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_handles_are_taken_where_none_travel(
    peer: Start, place: Path, language: str, way: tuple[str, str]
) -> None:
    """Neither side opens with the promise to take handles, and neither leaves anything behind."""
    transport, wire = way
    address = address_of(transport, place).replace("127.0.0.1:0", "127.0.0.1:9")
    for role in ("listen", "connect"):
        program = peer(language, role, address, "echo", "--wire", wire, "--max-handles", "1")
        assert program.result()["error"] == "FER_ENOTSUP"
    assert list(place.iterdir()) == []


# In normal runs each way has another pair.
LARGE = [
    (way, pair)
    for number, way in enumerate(WAYS)
    for index, pair in enumerate(PAIRS)
    if LONG or index == (4 * number + 1) % len(PAIRS)
]
large = pytest.mark.parametrize(("way", "pair"), LARGE, ids=["-".join((*way, *pair)) for way, pair in LARGE])


@large
def test_the_limit(peer: Start, place: Path, way: tuple[str, str], pair: tuple[str, str]) -> None:
    """As much as the limit allows arrives; one byte more is refused before anything of it is sent."""
    collect = peer(pair[0], "listen", address_of(way[0], place), "collect", "--wire", way[1])
    address = collect.ready()
    send = peer(pair[1], "connect", address, "send", f"3,{LIMIT},{LIMIT + 1}", "--wire", way[1])
    assert send.result()["end"] == "FER_EMSGSIZE"
    result = collect.result()
    assert (result["runs"], result["bad"], result["end"]) == ([[3, 1], [LIMIT, 1]], -1, "FER_EOF")


@large
def test_over_the_limit(peer: Start, place: Path, way: tuple[str, str], pair: tuple[str, str]) -> None:
    """A sender that may send more: the receiver takes nothing over its own limit."""
    collect = peer(pair[0], "listen", address_of(way[0], place), "collect", "--wire", way[1])
    address = collect.ready()
    options = ["--wire", way[1], "--max-message", str(2 * LIMIT)]
    send = peer(pair[1], "connect", address, "send", f"3,{LIMIT + 1}", *options, "--stay")
    result = collect.result()
    assert (result["runs"], result["bad"]) == ([[3, 1]], -1)
    # On the native wire the sender knows the limit of the other side, too.
    assert result["end"] == ("FER_EOF" if way[1] == "native" else "FER_EMSGSIZE")
    ends = ["FER_EMSGSIZE"] if way[1] == "native" else ["FER_ECONNRESET", "FER_EPIPE", "FER_EOF"]
    assert send.result()["end"] in ends
