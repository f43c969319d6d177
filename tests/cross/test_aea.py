"""The rendezvous of aea: every language with every other one, and with aea's own module."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
from conftest import Start
from harness import BUILD, HERE, LONG, expand

PROGRAM = [sys.executable, "-u", str(HERE / "peers" / "rendezvous.py")]
PROGRAMS = {
    "c": [str(BUILD / "bin" / "ferrule_rendezvous")],
    "node": ["node", str(HERE / "peers" / "rendezvous.mjs")],
    "python": [*PROGRAM, "ferrule.ipc"],
}
AEA = [*PROGRAM, "aea.helpers.pipe"]
LANGUAGES = sorted(PROGRAMS)
TRANSPORTS = ["fifo", "tcp"]
# A write of aea's to a FIFO is cut at the FIFO's capacity, which holds the header, too.
CARRIED = {"fifo": "1,4,4091-4097,65531-65532,1", "tcp": f"1,4,4091-4097,65531-65537,219263,{1 << 20},1"}
SIZES = f"1,4,4091-4097,65531-65537,219262-219264,{1 << 20},1" + (f",{64 << 20}" if LONG else "")


def converse(
    start: Start, maker: list[str], client: list[str], transport: str, sizes: str, pings: str
) -> None:
    """One side makes the channel, the other finds it; one of them sends what the other sends back."""
    words = {side: ["ping", sizes] if side == pings else ["echo"] for side in ("maker", "client")}
    made = start(*maker, "make", transport, *words["maker"])
    line = made.line().split(" ")
    assert line[0] == "at"
    in_path, out_path = line[1:]
    found = start(*client, "client", out_path, in_path, *words["client"])
    count = sum(run[1] for run in expand(sizes))
    for program in (made, found):
        program.expect(f"ok {count}")
        assert program.wait() == 0, program.complaints.decode()
        assert program.complaints == b""
    if transport == "fifo":
        assert not Path(in_path).parent.exists()


@pytest.mark.parametrize("pings", ["maker", "client"])
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("maker", "client"), list(itertools.product(LANGUAGES, LANGUAGES)))
def test_each_other(start: Start, maker: str, client: str, transport: str, pings: str) -> None:
    """Sizes that aea's module cannot carry, too. Nothing is left of the place where they met."""
    converse(start, PROGRAMS[maker], PROGRAMS[client], transport, SIZES, pings)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="open-aea is not for this Python: it needs 3.10")
class TestAea:
    """The real module at the other end, up to the sizes that it can carry."""

    def test_it_is_the_real_one(self) -> None:
        """./dev installs it: scripts/requirements-aea.txt."""
        assert importlib.util.find_spec("aea") is not None

    @pytest.mark.parametrize("pings", ["maker", "client"])
    @pytest.mark.parametrize("transport", TRANSPORTS)
    @pytest.mark.parametrize("side", ["makes", "finds"])
    @pytest.mark.parametrize("language", LANGUAGES)
    def test_with_it(self, start: Start, language: str, side: str, transport: str, pings: str) -> None:
        ours = PROGRAMS[language]
        maker, client = (ours, AEA) if side == "makes" else (AEA, ours)
        converse(start, maker, client, transport, CARRIED[transport], pings)
