"""Secrets: both sides prove that they know it, and nobody else can."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import Child, echo, frame, hello, is_served, path_of, raw_connect, raw_listener, until
from transports import place

PROOF = 7
SECRET = b"\x00\xffnot to be guessed"


@pytest.mark.parametrize("transport", ["pipe", "fifo", "tcp"])
@pytest.mark.parametrize(
    "secret", [SECRET, "Geheimnis mit Ümlaut", bytearray(b"x"), b"y" * 100_000], ids=range(4)
)
async def test_both_know_the_secret(folder: Path, transport: str, secret: Any) -> None:
    async with ferrule.listen(place(transport, folder), echo, secret=secret) as server:
        same = secret.encode() if isinstance(secret, str) else bytes(secret)
        await is_served(server.address, secret=same)
        if transport == "fifo":
            await until(lambda: server.count == 0)
        await is_served(server.address, secret=memoryview(same))


@pytest.mark.parametrize("transport", ["pipe", "tcp"])
@pytest.mark.parametrize(
    ("of_server", "of_client"),
    [(SECRET, b"wrong"), (SECRET, SECRET + b"1"), (SECRET, SECRET[:-1]), (SECRET, None), (None, SECRET)],
)
async def test_not_both_know_the_secret(
    folder: Path, told: Any, transport: str, of_server: bytes | None, of_client: bytes | None
) -> None:
    """Both sides hear that access was denied, and the server goes on."""
    right: Any = {} if of_server is None else {"secret": of_server}
    wrong: Any = {} if of_client is None else {"secret": of_client}
    async with ferrule.listen(place(transport, folder), echo, **right) as server:
        for _ in range(3):
            with pytest.raises(PermissionError) as caught:
                await ferrule.connect(server.address, **wrong)
            assert caught.value.status == "FER_EACCES"  # type: ignore[attr-defined]
            await is_served(server.address, **right)
        await until(lambda: len(told()) == 3)
        assert server.count <= 1
    assert told() == ["FER_EACCES"] * 3


def test_secrets_of_blocking_channels(address: str) -> None:
    served: list[bytes] = []

    def serve() -> None:
        with server.accept(timeout=60) as channel:
            served.extend(channel)

    with sync.listen(address, secret=SECRET) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        for wrong in ({"secret": b"wrong"}, {}):
            with pytest.raises(PermissionError):
                sync.connect(address, **wrong)  # type: ignore[arg-type]
        with sync.connect(address, secret=SECRET) as channel:
            channel.send(b"right")
        thread.join()
    assert served == [b"right"]


@pytest.mark.parametrize("empty", [b"", "", bytearray()])
async def test_an_empty_secret(address: str, empty: Any) -> None:
    for call in (lambda: sync.connect(address, secret=empty), lambda: sync.listen(address, secret=empty)):
        with pytest.raises(ValueError, match="empty"):
            call()
    with pytest.raises(ValueError, match="empty"):
        await ferrule.listen(address, echo, secret=empty)
    with pytest.raises(ValueError, match="empty"):
        await ferrule.connect(address, secret=empty)
    assert not os.path.exists(path_of(address))


@pytest.mark.parametrize("wrong", [None, 16, ["a"], 1.5])
def test_what_is_no_secret(address: str, wrong: Any) -> None:
    """None is none either: it would open a server for all that forgets to read its secret."""
    for call in (ferrule.connect, sync.connect, sync.listen):
        with pytest.raises(TypeError, match="secret"):
            call(address, secret=wrong)
    with pytest.raises(TypeError, match="secret"):
        ferrule.listen(address, echo, secret=wrong)


async def test_secrets_that_nobody_can_prove(address: str) -> None:
    unsupported = ferrule.error.NotSupportedError
    with pytest.raises(unsupported):
        await ferrule.listen(address, echo, secret=SECRET, wire="plain")
    with pytest.raises(unsupported):
        sync.connect(address, secret=SECRET, wire="plain")
    with pytest.raises(unsupported):
        await ferrule.pair(secret=SECRET)
    with pytest.raises(unsupported):
        sync.pair(secret=SECRET)
    one, other = socket.socketpair()
    with one, other:
        with pytest.raises(unsupported):
            await ferrule.connect(f"fd:{one.fileno()}", secret=SECRET)
        with pytest.raises(unsupported):
            sync.connect(f"fd:{one.fileno()}", secret=SECRET)


class Relay:
    """Sits between clients and a server, and remembers what went by."""

    def __init__(self, outside: str, inside: str) -> None:
        self.outside = outside
        self.inside = inside
        self.said: bytes = b""
        self.answered: bytes = b""

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_unix_server(self._serve, path_of(self.outside))
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        os.unlink(path_of(self.outside))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(path_of(self.inside))

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, name: str) -> None:
            while data := await source.read(1 << 16):
                setattr(self, name, getattr(self, name) + data)
                target.write(data)
            target.close()
            await target.wait_closed()

        await asyncio.gather(pump(reader, inner_writer, "said"), pump(inner_reader, writer, "answered"))


async def receive_all(raw: socket.socket) -> bytes:
    """What comes until the other side goes away."""
    raw.setblocking(False)
    parts = b""
    try:
        while part := await asyncio.get_running_loop().sock_recv(raw, 1 << 16):
            parts += part
    except ConnectionResetError:
        pass
    return parts


async def test_a_replayed_handshake(folder: Path, told: Any) -> None:
    """What a client that knew the secret has said is of no use to another one; nor is the server's part."""
    inside, outside = f"pipe:{folder}/inside", f"pipe:{folder}/outside"
    async with ferrule.listen(inside, echo, secret=SECRET, inline=True) as server:
        async with Relay(outside, inside) as relay:
            await is_served(outside, secret=SECRET, inline=True)
            await until(lambda: server.count == 0)
            await asyncio.sleep(0.01)
        assert SECRET not in relay.said + relay.answered
        with raw_connect(inside) as raw:
            raw.sendall(relay.said)
            # The server's hello, and nothing of its proof.
            assert len(await receive_all(raw)) == len(own_hello_with_secret())
        assert told() == ["FER_EACCES"]
        await is_served(inside, secret=SECRET)
    with raw_listener(outside) as listener:
        connecting = asyncio.ensure_future(ferrule.connect(outside, secret=SECRET))
        listener.setblocking(False)
        raw, _ = await asyncio.get_running_loop().sock_accept(listener)
        with raw:
            raw.sendall(relay.answered)
            with pytest.raises(PermissionError):
                await connecting


def own_hello_with_secret() -> bytes:
    """As long as the frame that a side with a secret says first: it has random bytes at its end."""
    return hello() + bytes(32)


async def test_a_reflected_handshake(address: str, told: Any) -> None:
    """Who sends back what he hears has proved nothing, to a server and to a client."""
    async with ferrule.listen(address, echo, secret=SECRET):
        with raw_connect(address) as raw:
            raw.setblocking(False)
            first = await asyncio.get_running_loop().sock_recv(raw, 1000)
            assert len(first) == len(own_hello_with_secret())
            raw.sendall(first + frame(PROOF, bytes(32)))
            assert await receive_all(raw) == b""
        await is_served(address, secret=SECRET)
    assert told() == ["FER_EACCES"]
    with raw_listener(address) as listener:
        connecting = asyncio.ensure_future(ferrule.connect(address, secret=SECRET))
        listener.setblocking(False)
        raw, _ = await asyncio.get_running_loop().sock_accept(listener)
        with raw:
            raw.setblocking(False)
            for size in (len(first), len(frame(PROOF, bytes(32)))):
                heard = await asyncio.get_running_loop().sock_recv(raw, 1000)
                assert len(heard) == size
                raw.sendall(heard)
            with pytest.raises(PermissionError):
                await connecting


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (hello(features=2), "FER_EPROTO"),
        (frame(PROOF, bytes(32)), "FER_EPROTO"),
        (hello(), "FER_EACCES"),
        (b"\x01\0\0\0\0\0\0\x3cFERRULE\n", "FER_ETIMEDOUT"),
        (b"GET / HTTP/1.1\r\n\r\n", "FER_EPROTO"),
    ],
    ids=["no random bytes", "a proof first", "no secret", "half a hello", "not a channel"],
)
async def test_bad_handshakes_with_a_server_that_has_a_secret(
    address: str, told: Any, said: bytes, status: str
) -> None:
    async with ferrule.listen(address, echo, secret=SECRET, handshake_timeout=0.1):
        with raw_connect(address) as raw:
            raw.sendall(said)
            await receive_all(raw)
        await is_served(address, secret=SECRET)
    assert told() == [status]


async def test_a_proof_that_never_comes(address: str, told: Any) -> None:
    async with ferrule.listen(address, echo, secret=SECRET, handshake_timeout=0.1):
        with raw_connect(address) as raw:
            raw.setblocking(False)
            heard = await asyncio.get_running_loop().sock_recv(raw, 1000)
            raw.sendall(heard + frame(PROOF, bytes(32))[:-1])
            assert await receive_all(raw) == b""
        await is_served(address, secret=SECRET)
    assert told() == ["FER_ETIMEDOUT"]


def test_a_secret_between_processes(address: str) -> None:
    code = """
        import sys
        from ferrule import sync

        with sync.connect(sys.argv[1], secret=bytes.fromhex(sys.argv[2])) as channel:
            channel.send(b"it is me")
    """
    with sync.listen(address, secret=SECRET) as server, Child(code, address, SECRET.hex()) as child:
        with server.accept(timeout=60) as channel:
            assert list(channel) == [b"it is me"]
        assert child.end() == (0, "", "")
