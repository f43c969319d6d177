"""Bad input on every transport and both wires: claims, silence, floods, deaths, and FIFOs that are not what they seem."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import descriptors, frame, hello, message, raw_connect, unread, until
from transports import Raw, every_transport, every_wire, framed, header, place, raw_end, two_ends

MANY = 100_000
LIMIT = 64 << 20
HUGE = (1 << 32) - 1


def virtual_memory() -> int:
    """Bytes of address space: also what was allocated and never touched."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


# --- Claims ------------------------------------------------------------------------------------------------------


@every_transport
@every_wire
@pytest.mark.parametrize("claim", [LIMIT + 1, HUGE])
async def test_a_claim_over_the_limit(transport: str, wire: str, claim: int, folder: Path) -> None:
    async with raw_end(transport, wire, folder) as (raw, channel):
        raw.send(framed(wire, b"whole") + header(wire, claim))
        assert await channel.recv() == b"whole"
        for _ in range(2):
            with pytest.raises(ferrule.error.MessageSizeError):
                await channel.recv()
        with pytest.raises(ferrule.Error):
            await channel.send(b"x")


@every_transport
@every_wire
async def test_a_claim_costs_nothing(transport: str, wire: str, folder: Path) -> None:
    """Memory grows with what comes, not with what is announced."""
    async with raw_end(transport, wire, folder, max_message=HUGE) as (raw, channel):
        raw.send(framed(wire, b"first"))
        assert await channel.recv() == b"first"
        before = virtual_memory()
        raw.send(header(wire, HUGE) + bytes(1000))
        receiving = asyncio.ensure_future(channel.recv())
        await turns()
        assert virtual_memory() - before < 8 << 20
        raw.end()
        with pytest.raises(ConnectionResetError):
            await receiving


@every_wire
def test_a_claim_over_the_limit_without_a_loop(wire: str, address: str) -> None:
    with sync.listen(address, wire=wire) as server, raw_connect(address) as raw:
        if wire == "native":
            raw.sendall(hello())
        channel = server.accept(10)
        raw.sendall(framed(wire, b"whole") + header(wire, HUGE))
        assert channel.recv(10) == b"whole"
        before = virtual_memory()
        for _ in range(2):
            with pytest.raises(ferrule.error.MessageSizeError):
                channel.recv(10)
        assert virtual_memory() - before < 8 << 20
        channel.abort()


# --- Half a frame ------------------------------------------------------------------------------------------------


@every_transport
@every_wire
@pytest.mark.parametrize("part", ["header", "body"])
async def test_half_a_frame_then_silence(transport: str, wire: str, part: str, folder: Path) -> None:
    """With a limit the channel ends; between messages silence may last."""
    half = header(wire, 100)[:-1] if part == "header" else header(wire, 100) + bytes(50)
    async with raw_end(transport, wire, folder, frame_timeout=0.05) as (raw, channel):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(channel.recv(), 0.1)
        raw.send(framed(wire, b"whole") + half)
        assert await channel.recv() == b"whole"
        for _ in range(2):
            with pytest.raises(ConnectionAbortedError) as caught:
                await channel.recv()
            assert isinstance(caught.value, ferrule.Error)
            assert caught.value.status == "FER_ECONNABORTED"


@every_wire
def test_half_a_frame_then_silence_without_a_loop(wire: str, address: str) -> None:
    with sync.listen(address, wire=wire, frame_timeout=0.05) as server, raw_connect(address) as raw:
        if wire == "native":
            raw.sendall(hello())
        channel = server.accept(10)
        raw.sendall(framed(wire, b"whole") + header(wire, 100) + bytes(50))
        assert channel.recv(10) == b"whole"
        with pytest.raises(ConnectionAbortedError):
            channel.recv(10)
        channel.abort()


@every_transport
@every_wire
async def test_half_a_frame_then_death_at_every_position(transport: str, wire: str, folder: Path) -> None:
    whole = framed(wire, b"body")
    for cut in range(1, len(whole)):
        async with raw_end(transport, wire, folder) as (raw, channel):
            raw.send(framed(wire, b"whole") + whole[:cut])
            raw.end()
            assert await channel.recv() == b"whole"
            with pytest.raises(ConnectionResetError):
                await channel.recv()


@every_transport
@every_wire
async def test_a_length_of_zero(transport: str, wire: str, folder: Path) -> None:
    """An empty message on the one wire, the goodbye on the other."""
    async with raw_end(transport, wire, folder) as (raw, channel):
        raw.send(header(wire, 0) + framed(wire, b"next"))
        if wire == "plain":
            with pytest.raises(ferrule.EndOfStream):
                await channel.recv()
            return
        assert [await channel.recv(), await channel.recv()] == [b"", b"next"]


@every_transport
@every_wire
async def test_cancels_and_timeouts_at_every_position(transport: str, wire: str, folder: Path) -> None:
    whole = framed(wire, b"body")
    async with raw_end(transport, wire, folder) as (raw, channel):
        for cut in range(len(whole)):
            raw.send(whole[:cut]) if cut else None
            if cut % 2:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(channel.recv(), 0.002)
            else:
                receiving = asyncio.ensure_future(channel.recv())
                await turns(5)
                receiving.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await receiving
            raw.send(whole[cut:])
            assert await channel.recv() == b"body"


@every_wire
def test_timeouts_at_every_position_without_a_loop(wire: str, address: str) -> None:
    whole = framed(wire, b"body")
    with sync.listen(address, wire=wire) as server, raw_connect(address) as raw:
        if wire == "native":
            raw.sendall(hello())
        channel = server.accept(10)
        for cut in range(len(whole)):
            raw.sendall(whole[:cut])
            for limit in (0, 0.001):
                with pytest.raises(TimeoutError):
                    channel.recv(limit)
            raw.sendall(whole[cut:])
            assert channel.recv(10) == b"body"
        channel.abort()


# --- Floods ------------------------------------------------------------------------------------------------------


@every_transport
@every_wire
async def test_a_flood_of_tiny_messages_with_a_slow_reader(transport: str, wire: str, folder: Path) -> None:
    """The sender is told to wait, and what waits on either side is bounded."""
    async with two_ends(transport, folder, wire=wire, high_water=100_000) as (client, server):
        sent = 0

        async def flood() -> None:
            nonlocal sent
            while sent < MANY * 10:
                await client.send(b"%07d" % sent)
                sent += 1

        flooding = asyncio.ensure_future(flood())
        held = -1
        while held != sent:
            held = sent
            await turns()
        assert not flooding.done()
        assert client.info["queued"] < 200_000
        assert len(server._messages) < 50_000
        flooding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flooding
        received = 0
        while received < sent:
            for one in await server.recv_many():
                assert one == b"%07d" % received
                received += 1


@every_transport
@every_wire
async def test_a_raw_flood_stays_in_the_kernel(transport: str, wire: str, folder: Path) -> None:
    """Who does not read makes the peer wait, whatever it sends."""
    async with raw_end(transport, wire, folder) as (raw, channel):
        total, more = 0, 1
        while more or not channel._paused:
            more = raw.fill(framed(wire, b"x") * 100)
            total += more
            await turns()
        assert channel._paused
        assert total < 32 << 20
        assert len(channel._messages) < 70_000


def flood_with_handles(address: str, count: int) -> int:
    """Send messages with descriptors until the other side has had enough. Gives how many were sent."""
    with raw_connect(address) as raw, open(os.devnull, "rb") as file:
        raw.sendall(hello())
        for number in range(count):
            try:
                socket.send_fds(raw, [frame(3, b"\4"), frame(2, b"x", handles=1)], [file.fileno()])
            except (BrokenPipeError, ConnectionResetError):
                return number
    return count


async def test_a_flood_of_handles_never_asked_for(address: str) -> None:
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    tried = 0
    async with ferrule.listen(address, accepted.put_nowait):
        before = descriptors()
        while tried < MANY:
            sending = asyncio.get_running_loop().run_in_executor(None, flood_with_handles, address, 200)
            channel = await accepted.get()
            with pytest.raises(ferrule.error.ProtocolError):
                await channel.recv()
            channel.abort()
            await sending
            tried += 200
        await until(lambda: len(descriptors()) <= len(before))
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_handles_that_were_asked_for_and_are_not_taken(address: str) -> None:
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait, max_handles=1):
        before = descriptors()
        for _ in range(20):
            with raw_connect(address) as raw, open(os.devnull, "rb") as file:
                raw.setblocking(False)
                raw.send(hello())
                channel = await accepted.get()
                data = [frame(3, b"\4"), frame(2, b"x", handles=1)]
                try:
                    for _ in range(10_000):
                        socket.send_fds(raw, data, [file.fileno()])
                        await asyncio.sleep(0)
                except BlockingIOError:
                    pass
                assert channel._paused
                assert len(descriptors()) - len(before) < 1000
                channel.abort()
            await until(lambda: len(descriptors()) <= len(before))


# --- One peer only -----------------------------------------------------------------------------------------------


@every_wire
async def test_a_second_peer_on_fifos_is_refused(wire: str, folder: Path) -> None:
    async with two_ends("fifo", folder, wire=wire) as (client, server):
        address = client_address(server)
        with pytest.raises(ferrule.Error, match="FER_EADDRINUSE"):
            await ferrule.connect(address, wire=wire, timeout=0.05)
        with pytest.raises(ferrule.Error, match="FER_EADDRINUSE"):
            sync.connect(address, wire=wire, timeout=0.05)
        await client.send(b"x")
        assert await server.recv() == b"x"


def client_address(channel: ferrule.Channel) -> str:
    """Where the client of a channel on FIFOs found its server."""
    paths = {os.path.basename(path): path for _, path in descriptors() if "/fifos-" in path}
    assert channel.info
    return f"fifo:{paths['to-client']},{paths['to-server']}"


@contextmanager
def fifos(folder: Path) -> Iterator[str]:
    """The address of two FIFOs with nobody at them."""
    for name in ("in", "out"):
        os.mkfifo(folder / name)
    yield f"fifo:{folder}/in,{folder}/out"


async def test_stale_fifos(folder: Path) -> None:
    """Nobody is there; what somebody had written is gone with them."""
    with fifos(folder) as address:
        with pytest.raises(ConnectionRefusedError):
            await ferrule.connect(address, timeout=0.02)
        with pytest.raises(ConnectionRefusedError):
            sync.connect(address, timeout=0.02)
        swapped = f"fifo:{folder}/out,{folder}/in"
        both = await asyncio.gather(ferrule.connect(address), ferrule.connect(swapped))
        await both[0].send(b"x")
        assert await both[1].recv() == b"x"
        await asyncio.gather(*(channel.close() for channel in both))
        assert sorted(os.listdir(folder)) == ["in", "out"]


async def test_what_is_no_fifo(folder: Path) -> None:
    with fifos(folder):
        (folder / "file").write_text("")
        (folder / "link").symlink_to("in")
        for name, status in (("file", "FER_EPROTOTYPE"), ("link", "FER_ELOOP"), ("missing", "FER_ENOENT")):
            for address in (f"fifo:{folder}/in,{folder}/{name}", f"fifo:{folder}/{name},{folder}/out"):
                with pytest.raises(ferrule.Error, match=status):
                    await ferrule.connect(address, timeout=0.02)
        with pytest.raises(ferrule.Error, match="FER_EPROTOTYPE"):
            await ferrule.listen(f"fifo:{folder}/in,{folder}/file", print)
        assert (folder / "file").read_text() == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("whose", ["in", "out"])
def test_a_fifo_of_another_user(whose: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with fifos(folder) as address:
            for fifo in ("in", "out"):
                os.chown(folder / fifo, 4711 if fifo == whose else 4712, 4712)
                (folder / fifo).chmod(0o666)
            # Somebody reads, so that it is there to be opened for writing.
            reader = os.open(folder / "out", os.O_RDONLY | os.O_NONBLOCK)
            child = os.fork()
            if not child:
                os._exit(refused_as(4712, address))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            os.close(reader)


def refused_as(user: int, address: str) -> int:
    """0 when another user cannot connect."""
    os.setgid(user)
    os.setuid(user)
    try:
        sync.connect(address, timeout=0.02)
    except PermissionError:
        return 0
    return 1


async def test_a_server_removes_the_fifos_that_it_made_and_no_others(folder: Path) -> None:
    os.mkfifo(folder / "in")
    async with ferrule.listen(f"fifo:{folder}/in,{folder}/out", print):
        assert sorted(os.listdir(folder)) == ["in", "out"]
    assert os.listdir(folder) == ["in"]
    async with ferrule.listen(f"fifo:{folder}/in,{folder}/out", print):
        os.unlink(folder / "out")
        (folder / "out").write_text("somebody else's")
    assert (folder / "out").read_text() == "somebody else's"
    with sync.listen("fifo:") as server:
        made = Path(server.address.partition(":")[2].partition(",")[0]).parent
        assert made.is_dir()
    assert not made.exists()


# --- Handles that do not fit -------------------------------------------------------------------------------------

WITH_HANDLES: list[tuple[list[tuple[bytes, int]], str]] = [
    ([(frame(3, b"\4") + frame(2, b"x", handles=1), 0)], "FER_EPROTO"),
    ([(frame(3, b"\4") + frame(2, b"x", handles=2), 1)], "FER_EPROTO"),
    ([(frame(3, b"\4") * 2 + frame(2, b"x", handles=1), 2)], "FER_EPROTO"),
    ([(frame(2, b"x") + message(b"more"), 1)], "FER_EPROTO"),
    ([(frame(3, b"\4") * 5 + frame(2, b"x", handles=5), 5)], "FER_EPROTO"),
    ([(frame(3, b"\4") + frame(2, b"body", handles=1)[:-1], 1)], "FER_ECONNRESET"),
    ([(frame(3, b"\4"), 1)], "FER_ECONNRESET"),
    ([(frame(3, b"\4"), 1), (frame(4), 0)], "FER_EPROTO"),
]


@pytest.mark.parametrize(("sends", "status"), WITH_HANDLES)
def test_handles_that_do_not_fit_without_a_loop(
    sends: list[tuple[bytes, int]], status: str, address: str
) -> None:
    """On asyncio the vectors show the same; nothing may stay open here either."""
    with sync.listen(address, max_handles=4) as server, raw_connect(address) as raw:
        raw.sendall(hello() + message(b"whole"))
        channel = server.accept(10)
        before = descriptors()
        for data, count in sends:
            sent = socket.send_fds(raw, [data[:1]], [raw.fileno()] * count) if count else 0
            raw.sendall(data[sent:])
        raw.shutdown(socket.SHUT_WR)
        received: list[Any] = []
        with pytest.raises(ferrule.Error) as caught:
            while True:
                received.append(channel.recv_message(10))
                for handle in received[-1].handles:
                    handle.close()
        assert caught.value.status == status
        assert received[0] == b"whole"
        channel.abort()
        assert len(descriptors()) <= len(before)


# --- Deaths ------------------------------------------------------------------------------------------------------


def payload(number: int) -> bytes:
    """A message that shows whether it is whole."""
    size = (number * 7919) % 200_000
    return struct.pack(">Q", number) + bytes([number % 251]) * size


def send_until_killed(address: str, wire: str) -> None:
    """What the other process does: it never returns."""
    try:
        channel = sync.connect(address, wire=wire)
        number = 0
        while True:
            channel.send(payload(number))
            number += 1
    finally:
        os._exit(1)


@every_transport
@every_wire
def test_a_peer_killed_at_any_moment(transport: str, wire: str, folder: Path) -> None:
    """Every message is whole or not there, and the end is a clean status. A thousand in all, with the next one."""
    chance = random.Random(4711)
    with sync.listen(place(transport, folder), wire=wire) as server:
        for _ in range(85):
            child = os.fork()
            if not child:
                send_until_killed(server.address, wire)
            channel = server.accept()
            received = 0
            kill_at = chance.randrange(30)
            try:
                while True:
                    if received == kill_at:
                        os.kill(child, signal.SIGKILL)
                    assert channel.recv(30) == payload(received)
                    received += 1
            except (ferrule.EndOfStream, ConnectionResetError) as end:
                if wire == "native":
                    assert isinstance(end, ConnectionResetError)
            finally:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                channel.abort()
            assert received >= kill_at


def echo_until_killed(server: sync.Server) -> None:
    """What the other process does: it never returns."""
    try:
        channel = server.accept()
        for one in channel:
            channel.send(one)
    finally:
        os._exit(1)


@every_transport
@every_wire
def test_a_receiver_killed_at_any_moment(transport: str, wire: str, folder: Path) -> None:
    chance = random.Random(4712)
    for _ in range(85):
        code_reads, code_writes = os.pipe()
        child = os.fork()
        if not child:
            server = sync.listen(place(transport, folder), wire=wire)
            os.write(code_writes, server.address.encode())
            echo_until_killed(server)
        os.close(code_writes)
        address = os.read(code_reads, 1000).decode()
        os.close(code_reads)
        channel = sync.connect(address, wire=wire)
        kill_at = chance.randrange(20)
        number = 0
        try:
            while True:
                if number == kill_at:
                    os.kill(child, signal.SIGKILL)
                channel.send(payload(number))
                assert channel.recv(30) == payload(number)
                number += 1
        except (ferrule.EndOfStream, ConnectionResetError, BrokenPipeError) as end:
            assert isinstance(end, ferrule.Error)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            channel.abort()
        assert number >= kill_at
        remove_leftovers(address)


def remove_leftovers(address: str) -> None:
    """What a server that was killed could not remove."""
    transport, _, rest = address.partition(":")
    if transport == "tcp":
        return
    for path in rest.split(","):
        os.unlink(path)
    if transport == "fifo":
        os.rmdir(os.path.dirname(rest.partition(",")[0]))


# --- Raw ends ----------------------------------------------------------------------------------------------------


async def test_what_the_kernel_holds_is_not_read_while_nobody_takes_it(address: str) -> None:
    async with raw_end("pipe", "native", Path(address.partition(":")[2]).parent) as (raw, channel):
        assert isinstance(raw, Raw)
        assert raw.sock is not None
        while not channel._paused:
            raw.fill(framed("native", bytes(1000)))
            await turns(5)
        held = raw.fill(framed("native", bytes(1000))) + unread(raw.sock)
        await turns()
        assert unread(raw.sock) > 0
        assert held > 0
