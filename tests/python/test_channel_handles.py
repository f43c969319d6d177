"""Handles with messages: every kind, together or not at all, in order, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import ferrule
import pytest
from ferrule import sync
from handles import Inbox, connected_tcp, is_open, only_so_many_descriptors, run_until
from support import Child, descriptors, until
from transports import place, two_ends

MANY = 100_000
MIB = 1 << 20

Two = tuple[ferrule.Channel, ferrule.Channel]


async def close_both(*channels: ferrule.Channel) -> None:
    await asyncio.gather(*(channel.close() for channel in channels))


def numbered(number: int) -> int:
    """A descriptor with a number in it: the read end of a pipe."""
    reads, writes = os.pipe()
    os.write(writes, b"%d" % number)
    os.close(writes)
    return reads


def number_in(handle: ferrule.ReceivedHandle) -> int:
    """Take the number out, and close the handle."""
    with handle:
        return int(os.read(handle.fileno(), 100))


async def send_numbered(channel: ferrule.Channel, data: bytes, *numbers: int) -> None:
    fds = [numbered(number) for number in numbers]
    try:
        await channel.send(data, handles=fds)
    finally:
        for fd in fds:
            os.close(fd)


# --- Messages ----------------------------------------------------------------------------------------------------


async def test_handles_come_with_their_message_and_in_order() -> None:
    one, other = await ferrule.pair(max_handles=64)
    script = [(5, 0), (3, 1), (5, 0), (0, 2), (0, 0), (MIB, 1), (1, 64), (2, 64), (9, 0), (3 * MIB, 3)]
    numbers = iter(range(10**6))
    plan = [
        (bytes([step]) * size, [next(numbers) for _ in range(count)])
        for step, (size, count) in enumerate(script)
    ]

    async def send_all() -> None:
        for _ in range(3):
            for data, contents in plan:
                await send_numbered(one, data, *contents)

    sending = asyncio.ensure_future(send_all())
    for _ in range(3):
        for data, contents in plan:
            message = await other.recv_message()
            assert message == data
            assert [number_in(handle) for handle in message.handles] == contents
    await sending
    await close_both(one, other)


async def test_a_message_is_bytes() -> None:
    one, other = await ferrule.pair(max_handles=1)
    await one.send(b"with", handles=[0])
    await one.send(b"without")
    first, second = await other.recv(), await other.recv()
    for message, text in ((first, b"with"), (second, b"without")):
        assert type(message) is ferrule.Message
        assert message == text
        assert hash(message) == hash(text)
        numbers: dict[bytes, int] = {message: 1}
        assert numbers[text] == 1
        assert bytes(message) + b"" == text
    assert [len(message.handles) for message in (first, second)] == [1, 0]  # type: ignore[attr-defined]
    first.handles[0].close()  # type: ignore[attr-defined]
    await close_both(one, other)


async def test_recv_gives_bytes_where_no_handles_are_taken() -> None:
    one, other = await ferrule.pair()
    for _ in range(3):
        await one.send(b"x")
    assert type(await other.recv()) is bytes
    assert [type(message) for message in await other.recv_many(1)] == [bytes]
    message = await other.recv_message()
    assert (message, message.handles) == (b"x", ())
    await close_both(one, other)


async def test_recv_many_and_iteration_give_messages() -> None:
    one, other = await ferrule.pair(max_handles=2)
    for number in range(4):
        await send_numbered(one, b"x", number, number + 10)
    await until(lambda: len(other._messages) == 4)
    for number, message in enumerate(await other.recv_many(2)):
        assert [number_in(handle) for handle in message.handles] == [number, number + 10]  # type: ignore[attr-defined]
    closing = asyncio.ensure_future(one.close())
    left = [[number_in(handle) for handle in message.handles] async for message in other]  # type: ignore[attr-defined]
    assert left == [[2, 12], [3, 13]]
    await other.close()
    await closing


def test_handles_without_a_loop(address: str) -> None:
    with sync.listen(address, max_handles=2) as server:
        client = threading.Thread(target=_send_to, args=[address])
        client.start()
        with server.accept(10) as channel:
            first = channel.recv(10)
            assert type(first) is ferrule.Message
            assert (first, first.handles) == (b"none", ())
            second = channel.recv_message(10)
            assert [number_in(handle) for handle in second.handles] == [1, 2]
            with pytest.raises(EOFError):
                channel.recv(10)
        client.join()


def _send_to(address: str) -> None:
    with sync.connect(address) as channel:
        channel.send(b"none")
        fds = [numbered(1), numbered(2)]
        channel.send(b"two", handles=fds)
        for fd in fds:
            os.close(fd)


def test_what_nobody_takes_is_closed_without_a_loop_too() -> None:
    one, other = sync.pair(max_handles=3)
    for _ in range(3):
        one.send(b"x", handles=[0, 0, 0])
    before = len(descriptors())
    message = other.recv_message()
    assert len(descriptors()) == before + 3
    for handle in message.handles:
        handle.close()
    assert len(descriptors()) == before
    one.abort()
    other.abort()


# --- What can be sent --------------------------------------------------------------------------------------------


@pytest.fixture
def things(loop: ferrule.Loop, folder: Path) -> Iterator[dict[str, Any]]:
    """One of everything that can be sent, by the kind that it arrives as."""
    pipe, other_pipe = ferrule.Pipe.pair(loop)
    tcp, other_tcp = connected_tcp(loop)
    udp = ferrule.UDP(loop)
    udp.bind(("127.0.0.1", 0))
    unix, other_unix = socket.socketpair()
    inet, bound = socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    file = open(folder / "file", "w+b")  # noqa: SIM115
    yield {
        "pipe": [pipe, unix, unix.fileno()],
        "tcp": [tcp, inet],
        "udp": [udp, bound],
        "other": [file, file.fileno(), 0],
    }
    for thing in (unix, other_unix, inet, bound, file):
        thing.close()
    for handle in (pipe, other_pipe, tcp, other_tcp, udp):
        handle.close()


async def test_everything_with_a_descriptor_can_be_sent(things: dict[str, Any]) -> None:
    one, other = await ferrule.pair(max_handles=4)
    for kind, senders in things.items():
        await one.send(kind.encode(), handles=senders)
        message = await other.recv_message()
        assert [handle.kind for handle in message.handles] == [kind] * len(senders)
        for sender, handle in zip(senders, message.handles):
            fd = sender if isinstance(sender, int) else sender.fileno()
            assert fd != handle.fileno()
            assert os.path.samestat(os.fstat(fd), os.fstat(handle.fileno()))
            assert not os.get_inheritable(handle.fileno())
        # A received handle goes on as it is.
        await other.send(b"back", handles=message.handles)
        for handle in message.handles:
            handle.close()
        for handle in (await one.recv_message()).handles:
            assert handle.kind == kind
            handle.close()
    await close_both(one, other)


@pytest.mark.parametrize("what", ["text", None, 1.5, True, b"x", [0]])
async def test_what_is_no_handle_is_refused(what: Any) -> None:
    one, other = await ferrule.pair(max_handles=4)
    with pytest.raises(TypeError):
        await one.send(b"x", handles=[0, what])
    await one.send(b"next")
    assert await other.recv() == b"next"
    await close_both(one, other)


async def test_what_is_closed_is_refused(loop: ferrule.Loop) -> None:
    one, other = await ferrule.pair(max_handles=4)
    pipe = ferrule.Pipe(loop)
    with pytest.raises(ferrule.Error, match="FER_EBADF"):
        await one.send(b"x", handles=[pipe])  # It is not open yet.
    pipe.close()
    gone = socket.socket()
    gone.close()
    attempts: list[tuple[Any, str]] = [
        (pipe, "FER_ECLOSED"),
        (gone, "FER_EBADF"),
        (-1, "FER_EBADF"),
        (999999, "FER_EBADF"),
    ]
    for handle, status in attempts:
        with pytest.raises(ferrule.Error, match=status):
            await one.send(b"x", handles=[0, handle])
    await one.send(b"next")
    assert await other.recv() == b"next"
    await close_both(one, other)


async def test_more_than_the_peer_takes_is_refused_before_anything_is_sent(folder: Path) -> None:
    one, other = await ferrule.pair(max_handles=2)
    for count in (3, 64, 65, 1000):
        with pytest.raises((NotImplementedError, ValueError)):
            await one.send(b"x", handles=[0] * count)
    await one.send(b"next")
    assert await other.recv() == b"next"
    await close_both(one, other)
    for transport in ("pipe", "fifo", "tcp"):
        async with two_ends(transport, folder) as (client, server):
            with pytest.raises(NotImplementedError):
                await client.send(b"x", handles=[0])
            await client.send(b"next")
            assert await server.recv() == b"next"


@pytest.mark.parametrize(("transport", "wire"), [("pipe", "plain"), ("fifo", "native"), ("tcp", "native")])
async def test_where_none_can_go_none_can_be_asked_for(transport: str, wire: str, folder: Path) -> None:
    address = place(transport, folder)
    with pytest.raises(NotImplementedError):
        await ferrule.listen(address, print, wire=wire, max_handles=1)
    with pytest.raises(NotImplementedError):
        sync.listen(address, wire=wire, max_handles=1)


async def test_a_sender_without_room_to_keep_them_is_told() -> None:
    """A handle that must wait is duplicated; when that does not work, nothing is sent."""
    one, other = await ferrule.pair(max_handles=1, high_water=64 * MIB)
    await one.send(b"x" * (32 * MIB))
    with only_so_many_descriptors(0), pytest.raises(ferrule.Error, match="FER_EMFILE"):
        await one.send(b"y", handles=[0])
    await one.send(b"z")
    assert [len(await other.recv()), await other.recv()] == [32 * MIB, b"z"]
    await close_both(one, other)


async def test_a_receiver_without_room_is_told() -> None:
    one, other = await ferrule.pair(max_handles=4)
    with only_so_many_descriptors(2):
        await one.send(b"x", handles=[0] * 4)
        with pytest.raises(ferrule.Error, match="FER_EMFILE"):
            await other.recv()
    one.abort()
    other.abort()


# --- A received handle -------------------------------------------------------------------------------------------


async def received(*handles: Any) -> tuple[ferrule.ReceivedHandle, ...]:
    one, other = await ferrule.pair(max_handles=64)
    await one.send(b"x", handles=handles)
    message = await other.recv_message()
    one.abort()
    other.abort()
    return message.handles


async def test_a_handle_outlives_its_channel_and_is_closed_once() -> None:
    (handle,) = await received(0)
    fd = handle.fileno()
    assert is_open(fd)
    assert "other" in repr(handle)
    assert not handle.closed
    handle.close()
    handle.close()
    assert handle.closed
    assert not is_open(fd)
    assert "closed" in repr(handle)
    calls: list[Callable[[], object]] = [handle.fileno, handle.detach, handle.to_socket]
    for call in calls:
        with pytest.raises(ferrule.error.ClosedError):
            call()
    with handle:
        pass


async def test_detach_gives_the_descriptor_away() -> None:
    (handle,) = await received(0)
    with handle:
        fd = handle.detach()
    assert handle.closed
    assert is_open(fd)
    os.close(fd)


async def test_to_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        (handle,) = await received(server)
        with handle.to_socket() as made:
            assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
            assert made.getsockname() == server.getsockname()
            assert not made.getblocking()
            assert handle.closed
    (handle,) = await received(0)
    with handle, pytest.raises(OSError, match=r"."):
        handle.to_socket()


async def test_open_makes_a_handle_of_the_right_kind(loop: ferrule.Loop, things: dict[str, Any]) -> None:
    handles = await received(things["pipe"][0], things["tcp"][0], things["udp"][0], 0)
    made = [handle.open(loop) for handle in handles[:3]]
    assert [type(handle) for handle in made] == [ferrule.Pipe, ferrule.TCP, ferrule.UDP]
    assert all(handle.closed for handle in handles[:3])
    with handles[3], pytest.raises(ferrule.error.KindError):
        handles[3].open(loop)
    with pytest.raises(ferrule.error.ClosedError):
        handles[0].open(loop)
    for handle in made:
        handle.close()


async def test_open_that_fails_leaves_the_descriptor(loop: ferrule.Loop) -> None:
    end, peer = socket.socketpair()
    with end, peer:
        (handle,) = await received(end)
    with handle:
        with pytest.raises(TypeError):
            handle.open(None)  # type: ignore[arg-type]
        fd = handle.fileno()
        spare = os.dup(fd)
        os.close(fd)
        with pytest.raises(ferrule.Error, match="FER_EBADF"):
            handle.open(loop)
        os.dup2(spare, fd)
        os.close(spare)
        assert not handle.closed


async def test_an_opened_pipe_passes_handles_if_asked(loop: ferrule.Loop) -> None:
    near, far = socket.socketpair()
    (handle,) = await received(far)
    far.close()
    pipe = handle.open(loop, ipc=True)
    assert isinstance(pipe, ferrule.Pipe)
    assert pipe.ipc
    inbox = Inbox(pipe)
    near.sendall(b"hello")
    near.close()
    run_until(loop, lambda: inbox.end)
    assert inbox.data == b"hello"
    pipe.close()


# --- What is left behind: nothing --------------------------------------------------------------------------------


async def test_a_dropped_handle_is_closed_with_a_warning() -> None:
    before = descriptors()
    (handle,) = await received(0)
    text = f"unclosed received handle, descriptor {handle.fileno()}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del handle
        gc.collect()
    assert [str(warning.message) for warning in caught] == [text]
    assert caught[0].category is ResourceWarning
    await until(lambda: descriptors() == before)


async def test_an_exception_in_between_closes_them() -> None:
    """Handles of a message in a traceback, and of one that was received and thrown away."""
    before = descriptors()

    async def fail() -> None:
        message = await other.recv_message()
        raise ValueError(len(message.handles))

    one, other = await ferrule.pair(max_handles=2)
    await one.send(b"x", handles=[0, 0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="2"):
            await fail()
        gc.collect()
    assert len(caught) == 2
    one.abort()
    other.abort()
    await until(lambda: descriptors() == before)


@pytest.mark.parametrize("how", ["abort", "close", "drop", "cancel"])
async def test_what_nobody_received_is_closed_without_a_warning(how: str) -> None:
    one, other = await ferrule.pair(max_handles=4)
    before = descriptors()
    if how == "cancel":
        # Who gave up takes nothing.
        receiving = asyncio.ensure_future(other.recv())
        await asyncio.sleep(0)
        receiving.cancel()
    for _ in range(10):
        await one.send(b"x", handles=[0] * 4)
    await until(lambda: len(other._messages) == 10)
    assert len(descriptors()) == len(before) + 40
    if how == "cancel":
        with pytest.raises(asyncio.CancelledError):
            await receiving
    if how == "close":
        closing = asyncio.ensure_future(other.close())
        await one.close()
        await closing
    elif how == "drop":
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del other
            gc.collect()
        assert [str(warning.message)[:16] for warning in caught] == ["unclosed channel"]
    else:
        other.abort()
    assert len(descriptors()) <= len(before)
    one.abort()


async def test_waiting_handles_are_bounded() -> None:
    """A receiver that does not take its messages keeps few descriptors; the rest waits with the sender."""
    one, other = await ferrule.pair(max_handles=1, high_water=1000)
    before = len(descriptors())
    sending = asyncio.gather(*(one.send(b"%d" % number, handles=[0]) for number in range(5000)))
    held = -1
    while held != len(descriptors()):
        held = len(descriptors())
        for _ in range(50):
            await asyncio.sleep(0)
    assert not sending.done()
    assert held - before < 1000
    for number in range(5000):
        message = await other.recv_message()
        assert message == b"%d" % number
        message.handles[0].close()
    await sending
    await close_both(one, other)


async def test_a_hundred_thousand_handles_are_received() -> None:
    one, other = await ferrule.pair(max_handles=64)
    before = descriptors()

    async def send_all() -> None:
        for _ in range(MANY // 50):
            await one.send(b"x", handles=[0] * 50)

    sending = asyncio.ensure_future(send_all())
    count = 0
    while count < MANY:
        for handle in (await other.recv_message()).handles:
            handle.close()
            count += 1
    await sending
    assert descriptors() == before
    await close_both(one, other)


async def test_a_channel_can_be_sent_over_itself() -> None:
    """The kernel collects what can only be reached from inside of itself."""
    one, other = socket.socketpair()
    channels = await asyncio.gather(
        *(ferrule.connect(f"fd:{os.dup(end.fileno())}", max_handles=2) for end in (one, other))
    )
    await channels[0].send(b"x", handles=[one, other])
    one.close()
    other.close()
    for channel in channels:
        channel.abort()


# --- Other processes ---------------------------------------------------------------------------------------------


async def test_a_listening_socket_goes_to_another_process_and_works_there(address: str) -> None:
    child = """
        import socket, sys
        from ferrule import sync
        with sync.connect(sys.argv[1], max_handles=1) as channel:
            with channel.recv_message(10).handles[0].to_socket() as listener:
                listener.setblocking(True)
                with listener.accept()[0] as client:
                    client.sendall(b"served by " + client.recv(100))
            file = open(sys.argv[2], "rb")
            channel.send(b"file", handles=[file])
            file.close()
    """
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    with tempfile.NamedTemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as listener:
        file.write(b"what is in the file")
        file.flush()
        async with ferrule.listen(address, accepted.put_nowait, max_handles=1):
            with Child(child, address, file.name) as process:
                channel = await accepted.get()
                host, port = listener.getsockname()
                await channel.send(b"serve", handles=[listener])
                listener.close()
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b"another")
                assert await reader.read() == b"served by another"
                writer.close()
                await writer.wait_closed()
                with (await channel.recv_message()).handles[0] as handle:
                    assert os.pread(handle.fileno(), 100, 0) == b"what is in the file"
                with pytest.raises(EOFError):
                    await channel.recv()
                await channel.close()
                assert process.end() == (0, "", "")
