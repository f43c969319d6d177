"""Every language with every other one: real processes, a channel between them."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from harness import LONG, PEERS, Program, expand

LANGUAGES = sorted(PEERS)
PAIRS = [(server, client) for server in LANGUAGES for client in LANGUAGES]
# The sizes at which other systems fail: nothing, the header's own, the capacity of a pipe, default socket
# buffers, and those of this library's read and send buffers.
SIZES = "0,1,4,7-9,4095-4097,65531-65537,219262-219264,262135-262145,1048575-1048577,0,16777216,1"
BURST = f"64x{200000 if LONG else 20000}"
# More than any socket buffer holds: it stays under way as long as nobody reads.
STUCK = 48 << 20

pairs = pytest.mark.parametrize(("server", "client"), PAIRS, ids=["-".join(pair) for pair in PAIRS])


def listening(peer: Start, language: str, place: Path, *arguments: str) -> tuple[Program, str]:
    """A server that is ready, and its address."""
    address = f"pipe:{place}/socket"
    server = peer(language, "listen", address, *arguments)
    assert server.ready() == address
    return server, address


def check(result: dict[str, Any], sizes: str, end: str) -> None:
    """Exactly these messages went over, and the channel ended so."""
    assert "error" not in result, result["error"]
    assert result["bad"] == -1
    assert result["runs"] == expand(sizes)
    assert result["end"] == end


@pairs
@pytest.mark.parametrize(
    "sizes", [SIZES, BURST, f"1x3000,{70000}x200,5x3000"], ids=["sizes", "burst", "mixed"]
)
def test_echo(peer: Start, place: Path, server: str, client: str, sizes: str) -> None:
    """Every message comes back as it was, in order, also while the next ones are sent."""
    echo, address = listening(peer, server, place, "echo")
    ping = peer(client, "connect", address, "ping", sizes)
    check(ping.result(), sizes, "FER_OK")
    echo.close_input()
    check(echo.result(), sizes, "FER_EOF")


@pairs
def test_three_clients_at_once(peer: Start, place: Path, server: str, client: str) -> None:
    """Clients of one server do not get each other's messages."""
    echo, address = listening(peer, server, place, "echo")
    sizes = ["64x3000,1000000", "1000000,65536x50", "0x100,1-300"]
    pings = [peer(client, "connect", address, "ping", one) for one in sizes]
    for ping, one in zip(pings, sizes):
        check(ping.result(), one, "FER_OK")
    echo.close_input()
    assert echo.result()["messages"] == sum(count for one in sizes for _, count in expand(one))


@pairs
@pytest.mark.parametrize("direction", ["client-sends", "server-sends"])
def test_send_then_exit(peer: Start, place: Path, server: str, client: str, direction: str) -> None:
    """A program that sends, closes and exits loses nothing, at any size and in either direction."""
    sending, collecting = ["send", SIZES], ["collect"]
    if direction == "server-sends":
        listener, address = listening(peer, server, place, *sending)
        connector = peer(client, "connect", address, *collecting)
        check(connector.result(), SIZES, "FER_EOF")
        check(listener.result(), SIZES, "FER_OK")
    else:
        listener, address = listening(peer, server, place, *collecting)
        connector = peer(client, "connect", address, *sending)
        check(connector.result(), SIZES, "FER_OK")
        check(listener.result(), SIZES, "FER_EOF")


@pairs
@pytest.mark.parametrize("size", [0, 1, 219263, 1 << 20, 48 << 20])
def test_last_message_arrives(peer: Start, place: Path, server: str, client: str, size: int) -> None:
    """The one message of a program that exits at once, while the receiver has not begun to receive."""
    collect, address = listening(peer, server, place, "collect", "--hold")
    send = peer(client, "connect", address, "send", str(size))
    collect.expect("open")
    send.expect("open")
    collect.tell("go\n")
    check(collect.result(), str(size), "FER_EOF")
    check(send.result(), str(size), "FER_OK")


@pairs
def test_sender_killed_between_messages(peer: Start, place: Path, server: str, client: str) -> None:
    """A peer that dies is told apart from one that says goodbye; what it had sent arrives."""
    sizes = "64x100,70000,1"
    collect, address = listening(peer, server, place, "collect")
    send = peer(client, "connect", address, "send", sizes, "--stay")
    send.until("flushed")
    send.kill()
    check(collect.result(), sizes, "FER_ECONNRESET")


@pairs
def test_sender_killed_inside_a_message(peer: Start, place: Path, server: str, client: str) -> None:
    """What was complete is delivered, the part of a message is not."""
    # A receiver that reads ahead may have the second message, none can have the third.
    whole = ["64x10", "64x10,3000000"]
    collect, address = listening(peer, server, place, "collect", "--hold")
    send = peer(client, "connect", address, "send", f"{whole[1]},{STUCK}", "--stay")
    send.until("accepted")
    send.kill()
    collect.expect("open")
    collect.tell("go\n")
    result = collect.result()
    assert result["runs"] in [expand(one) for one in whole]
    assert (result["bad"], result["end"]) == (-1, "FER_ECONNRESET")


@pairs
def test_receiver_killed_inside_a_message(peer: Start, place: Path, server: str, client: str) -> None:
    """The sender of a message that nobody will read is told so."""
    collect, address = listening(peer, server, place, "collect", "--hold")
    send = peer(client, "connect", address, "send", f"64x10,3000000,{STUCK}", "--stay")
    send.until("accepted")
    collect.kill()
    result = send.result()
    assert result["end"] in ("FER_ECONNRESET", "FER_EPIPE"), result


@pairs
def test_plain_wire(peer: Start, place: Path, server: str, client: str) -> None:
    """The wire of other programs: the same messages, but no empty one."""
    sizes = SIZES.replace("0,1,4,", "1,4,").replace(",0,16777216", ",16777216")
    echo, address = listening(peer, server, place, "echo", "--wire", "plain")
    ping = peer(client, "connect", address, "ping", sizes, "--wire", "plain")
    check(ping.result(), sizes, "FER_OK")
    echo.close_input()
    check(echo.result(), sizes, "FER_EOF")


@pairs
def test_empty_message_on_the_plain_wire(peer: Start, place: Path, server: str, client: str) -> None:
    """It would be taken for the goodbye, so it is refused by the side that sends it."""
    collect, address = listening(peer, server, place, "collect", "--wire", "plain")
    send = peer(client, "connect", address, "send", "5,0", "--wire", "plain")
    assert send.result()["end"] == "FER_EINVAL"
    check(collect.result(), "5", "FER_EOF")


@pairs
def test_message_over_the_limit(peer: Start, place: Path, server: str, client: str) -> None:
    """Each side knows the other's limit: the message is refused before a byte of it is sent."""
    collect, address = listening(peer, server, place, "collect", "--max-message", "1000")
    send = peer(client, "connect", address, "send", "1000,1001")
    assert send.result()["end"] == "FER_EMSGSIZE"
    check(collect.result(), "1000", "FER_EOF")


@pairs
def test_different_wires(peer: Start, place: Path, server: str, client: str) -> None:
    """A client of the plain wire is turned away by a server of the native one, which goes on."""
    echo, address = listening(peer, server, place, "echo")
    stranger = peer(client, "connect", address, "ping", "100", "--wire", "plain")
    assert stranger.result()["end"] in ("FER_EMSGSIZE", "FER_ECONNRESET", "FER_EOF", "FER_EPIPE")
    ping = peer(client, "connect", address, "ping", "100")
    check(ping.result(), "100", "FER_OK")


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_listens(peer: Start, place: Path, language: str, start: Start) -> None:
    """A socket file that nobody serves any more: the reason is named, and the next server takes it over."""
    server, address = listening(peer, language, place, "echo")
    server.kill()
    assert os.path.exists(address[len("pipe:") :])
    echo, address = listening(peer, language, place, "echo")
    ping = peer(language, "connect", address, "ping", "1")
    check(ping.result(), "1", "FER_OK")
    echo.signal(signal.SIGKILL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_rounds_of_kill(peer: Start, place: Path, language: str) -> None:
    """Senders that are killed at any moment: complete messages, then a reset, never anything else."""
    sizes = "1-40,70000,300000,1-40,2000000x40"
    expected = expand(sizes)
    for _ in range(200 if LONG else 5):
        collect, address = listening(peer, language, place, "collect")
        send = peer(language, "connect", address, "send", sizes, "--stay")
        send.expect("open")
        send.kill()
        result = collect.result()
        assert result["bad"] == -1
        assert result["end"] == "FER_ECONNRESET"
        runs = result["runs"]
        assert runs[:-1] == expected[: len(runs[:-1])]
        if runs:
            assert runs[-1][0] == expected[len(runs) - 1][0]
