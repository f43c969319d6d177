"""The examples in C do what their first lines say."""

import signal
from pathlib import Path

import ferrule
import pytest
from conftest import Start
from ferrule import sync
from harness import BUILD, COMMAND, PATIENCE, Program

CLIENT = str(BUILD / "bin" / "ferrule_example_echo_client")
SERVER = str(BUILD / "bin" / "ferrule_example_echo_server")


def check_client(client: Program) -> None:
    assert client.line() == "hello"
    assert client.wait() == 0
    assert not client.complaints


@pytest.mark.parametrize("server", [[SERVER], [COMMAND, "echo"]], ids=["example", "command"])
def test_echo(start: Start, place: Path, server: list[str]) -> None:
    """The client waits for its server, so they may be started in any order."""
    address = f"pipe:{place}/s"
    client = start(CLIENT, address)
    start(*server, address)
    check_client(client)
    check_client(start(CLIENT, address))


def test_wrong_arguments(start: Start) -> None:
    """Each says how it is called."""
    programs = sorted((BUILD / "bin").glob("ferrule_example_*"))
    assert len(programs) >= 4
    for program in programs:
        for arguments in (["a", "b"], ["--help"]):
            ended = start(str(program), *arguments)
            assert ended.wait() == 2
            assert ended.complaints.decode().startswith(f"usage: {program.name[len('ferrule_example_') :]}")


def test_client_without_a_server(start: Start, place: Path) -> None:
    client = start(CLIENT, f"pipe:{place}/s")
    assert client.wait() == 1
    assert "no such file or directory" in client.complaints.decode()


def test_server_on_a_taken_address(start: Start, place: Path) -> None:
    address = f"pipe:{place}/s"
    listener = start(COMMAND, "listen", address)
    listener.complaint()
    server = start(SERVER, address)
    assert server.wait() == 1
    assert "address in use" in server.complaints.decode()


def test_client_of_a_server_that_does_not_answer(start: Start, place: Path) -> None:
    """It gives up instead of waiting for ever."""
    address = f"pipe:{place}/s"
    listener = start(COMMAND, "listen", address)
    listener.complaint()
    client = start(CLIENT, address)
    assert listener.line() == "hello"
    assert client.wait() == 1
    assert "timed out" in client.complaints.decode()


def test_a_crowd(start: Start, place: Path) -> None:
    """A hundred clients, each of whose messages reaches all others; the next is sent away."""
    address = f"pipe:{place}/s"
    server = start(str(BUILD / "bin" / "ferrule_example_crowd_server"), address)
    server.expect(f"listening at {address}")
    clients = [sync.connect(address) for _ in range(100)]
    with pytest.raises((ConnectionResetError, ferrule.error.EndOfStream)):
        sync.connect(address).recv(timeout=PATIENCE)
    assert "100 channels are open" in server.complaint()
    for number in (0, 57, 99):
        clients[number].send(b"from %d" % number)
        for other, client in enumerate(clients):
            if other != number:
                assert client.recv(timeout=PATIENCE) == b"from %d" % number
    # One leaves, and another may come.
    clients.pop().close()
    while True:
        try:
            clients.append(sync.connect(address))
            break
        except ConnectionResetError:
            assert "100 channels are open" in server.complaint()
    # Who takes too little is sent away.
    clients.pop().close()
    with pytest.raises(ConnectionResetError):
        sync.connect(address, max_message=1000).recv(timeout=PATIENCE)
    server.signal(signal.SIGTERM)
    for client in clients:
        with pytest.raises(ferrule.error.EndOfStream):
            client.recv(timeout=PATIENCE)
        client.close()
    assert server.wait() == 0
