"""The examples in C do what their first lines say."""

from pathlib import Path

import pytest
from conftest import Start
from harness import BUILD, COMMAND, Program

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


def test_client_without_a_server(start: Start, place: Path) -> None:
    client = start(CLIENT, f"pipe:{place}/s")
    assert client.wait() == 1
    assert "timed out" in client.complaints.decode()


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
