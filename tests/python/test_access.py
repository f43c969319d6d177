"""Who is served: other users, decisions of the program, secrets."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import sync
from strangers import NOBODY, as_nobody, in_a_thread, needs_root
from support import echo, is_served, path_of, raw_connect, told_to_the_loop, until
from transports import every_wire, place

# --- Other users -----------------------------------------------------------------------------------------------

# A client says how it fared: what it received, or the name of the error.
CLIENT = """
    try:
        with sync.connect(sys.argv[1], wire=sys.argv[2], timeout=60) as channel:
            channel.send(b"from another user")
            print(channel.recv(timeout=60).decode(), os.getpid())
    except (EOFError, OSError) as failure:
        print(type(failure).__name__)
"""


def open_to_all(address: str) -> None:
    """Let the file system keep nobody out."""
    path = path_of(address)
    if path.startswith("/"):
        os.chmod(path, 0o666)


def somewhere(transport: str, public: Path) -> str:
    name = f"pipe:@ferrule-access-{os.getpid()}"
    return {"pipe": f"pipe:{public}/s", "abstract": name, "tcp": "tcp:127.0.0.1:0", "tcp6": "tcp:[::1]:0"}[
        transport
    ]


every_place = pytest.mark.parametrize("transport", ["pipe", "abstract", "tcp", "tcp6"])


@needs_root
@every_place
@every_wire
async def test_a_client_of_another_user_is_not_served(
    public: Path, told: Any, transport: str, wire: str
) -> None:
    async with ferrule.listen(somewhere(transport, public), echo, wire=wire) as server:
        open_to_all(server.address)
        with as_nobody(CLIENT, server.address, wire) as child:
            line = await in_a_thread(child.line)
            assert line in ("ResetError", "EndOfStream", "PipeBrokenError")
            assert await in_a_thread(child.end) == (0, "", "")
        await is_served(server.address, wire=wire)
        assert server.count <= 1
        assert told() == ["FER_EACCES"]


@needs_root
@every_place
@pytest.mark.parametrize("how", ["any", "function"])
async def test_a_client_of_another_user_that_is_allowed(
    public: Path, told: Any, transport: str, how: str
) -> None:
    asked: list[ferrule.Credentials] = []
    known: list[ferrule.Credentials] = []

    def allow(who: ferrule.Credentials) -> bool:
        asked.append(who)
        return who.uid == NOBODY

    async def handler(channel: ferrule.Channel) -> None:
        known.append(channel.peer_credentials)
        await echo(channel)

    choice: Any = "any" if how == "any" else allow
    async with ferrule.listen(somewhere(transport, public), handler, allow=choice) as server:
        open_to_all(server.address)
        with as_nobody(CLIENT, server.address, "native") as child:
            line = await in_a_thread(child.line)
            text, _, pid = line.rpartition(" ")
            assert text == "from another user"
            assert await in_a_thread(child.end) == (0, "", "")
        expected = ferrule.Credentials(None, NOBODY, None)
        if not transport.startswith("tcp"):
            expected = ferrule.Credentials(int(pid), NOBODY, NOBODY)
        assert known == [expected]
        if how == "function":
            assert asked == [expected]
            with pytest.raises(ConnectionResetError):
                await ferrule.connect(server.address)  # Of root, whom the function does not like.
            assert [who.uid for who in asked] == [NOBODY, 0]
            assert told() == ["FER_EACCES"]


SERVER = """
    with sync.listen(sys.argv[1]) as server:
        print(server.address)
        for number in range(int(sys.argv[2])):
            with server.accept(timeout=60) as channel:
                print(*channel.peer_credentials)
                for message in channel:
                    channel.send(message)
"""


@needs_root
@every_place
async def test_a_server_of_another_user(public: Path, transport: str) -> None:
    """It serves root. On TCP, where anybody could have taken the port, clients ask whose it is."""
    tcp = transport.startswith("tcp")
    with as_nobody(SERVER, somewhere(transport, public), "1") as child:
        address = child.line()
        if tcp:
            for wire in ("native", "plain"):
                with pytest.raises(PermissionError, match=f"user {NOBODY}"):
                    await ferrule.connect(address, wire=wire)
            with pytest.raises(PermissionError, match=f"user {NOBODY}"):
                sync.connect(address)
        channel = await ferrule.connect(address, any_user=True)
        await channel.send(b"from root")
        assert await channel.recv() == b"from root"
        assert channel.peer_credentials.uid == NOBODY
        await channel.close()
        assert child.line() == ("None 0 None" if tcp else f"{os.getpid()} 0 0")
        assert await in_a_thread(child.end) == (0, "", "")


@needs_root
@every_place
def test_a_blocking_server_and_another_user(public: Path, transport: str) -> None:
    with sync.listen(somewhere(transport, public)) as server:
        open_to_all(server.address)
        with as_nobody(CLIENT, server.address, "native") as child:
            ended = threading.Event()
            mine: list[bytes] = []
            lines: list[str] = []

            def own() -> None:
                lines.append(child.line())
                ended.set()
                with sync.connect(server.address) as channel:
                    channel.send(b"mine")
                    mine.append(channel.recv(timeout=60))

            thread = threading.Thread(target=own)
            thread.start()
            with server.accept(timeout=60) as channel:
                # The stranger was turned away before.
                assert ended.is_set()
                assert channel.peer_credentials.uid == os.getuid()
                for message in channel:
                    channel.send(message)
            thread.join()
            assert mine == [b"mine"]
            assert lines[0] in ("ResetError", "PipeBrokenError")
            assert child.end() == (0, "", "")


@needs_root
@pytest.mark.parametrize("transport", ["pipe", "tcp"])
async def test_strangers_do_not_keep_others_out(public: Path, transport: str) -> None:
    """A hundred of them that connect and say nothing take none of the places."""
    code = """
        family = socket.AF_UNIX if sys.argv[1] == "pipe" else socket.AF_INET
        where = sys.argv[2] if sys.argv[1] == "pipe" else ("127.0.0.1", int(sys.argv[2]))
        strangers = [socket.socket(family) for _ in range(100)]
        for stranger in strangers:
            stranger.connect(where)
        for stranger in strangers:
            try:
                assert stranger.recv(1) == b""
            except ConnectionResetError:
                pass
        print("all turned away")
    """
    place = somewhere(transport, public)
    async with ferrule.listen(place, echo, max_channels=1, max_half_open=1, handshake_timeout=None) as server:
        open_to_all(server.address)
        with as_nobody(code, transport, server.address.rpartition(":")[2]) as child:
            line = asyncio.ensure_future(in_a_thread(child.line))
            while not line.done():
                await is_served(server.address)
                await until(lambda: server.count == 0)
            assert await line == "all turned away"
            assert await in_a_thread(child.end) == (0, "", "")


# --- Who is at the other end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["pipe", "tcp"])
@every_wire
async def test_peer_credentials(folder: Path, transport: str, wire: str) -> None:
    served: list[ferrule.Channel] = []
    async with ferrule.listen(place(transport, folder), served.append, wire=wire) as server:
        async with ferrule.connect(server.address, wire=wire) as channel:
            await until(lambda: served)
            whole = ferrule.Credentials(os.getpid(), os.getuid(), os.getgid())
            expected = whole if transport == "pipe" else ferrule.Credentials(None, os.getuid(), None)
            assert channel.peer_credentials == served[0].peer_credentials == expected
            await asyncio.gather(channel.close(), served[0].close())
            with pytest.raises(ferrule.error.ClosedError):
                _ = channel.peer_credentials


async def test_peer_credentials_that_nobody_tells() -> None:
    served: list[ferrule.Channel] = []
    async with ferrule.listen("fifo:", served.append) as server:
        async with ferrule.connect(server.address) as channel:
            await until(lambda: served)
            with pytest.raises(ferrule.error.NotSupportedError):
                _ = channel.peer_credentials
            await asyncio.gather(channel.close(), served[0].close())


def test_peer_credentials_of_blocking_channels() -> None:
    one, other = sync.pair()
    assert one.peer_credentials == other.peer_credentials == (os.getpid(), os.getuid(), os.getgid())
    other.abort()
    one.abort()
    with pytest.raises(ferrule.error.ClosedError):
        _ = one.peer_credentials


# --- Decisions of the program ----------------------------------------------------------------------------------


async def test_a_client_is_asked_about_before_it_says_anything(address: str, told: Any) -> None:
    asked: list[ferrule.Credentials] = []

    def allow(who: ferrule.Credentials) -> bool:
        asked.append(who)
        return len(asked) > 1

    async with ferrule.listen(address, echo, allow=allow):
        with raw_connect(address) as raw:
            raw.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(raw, 100) == b""
        await is_served(address)
    assert asked == [ferrule.Credentials(os.getpid(), os.getuid(), os.getgid())] * 2
    assert told() == ["FER_EACCES"]


@pytest.mark.parametrize("answer", [LookupError("whoever that is"), 1, None, "yes"])
async def test_a_decision_that_fails(address: str, told: Any, answer: object) -> None:
    """The client is closed, the loop's exception handler is told, and the server goes on."""
    contexts = told_to_the_loop()
    decided: list[object] = []

    def allow(who: ferrule.Credentials) -> Any:
        decided.append(who)
        if len(decided) > 1:
            return True
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with ferrule.listen(address, echo, allow=allow) as server:
        with pytest.raises(ConnectionResetError):
            await ferrule.connect(address)
        await is_served(address)
        assert [context["server"] for context in contexts] == [server]
    expected = LookupError if isinstance(answer, Exception) else TypeError
    assert [type(context["exception"]) for context in contexts] == [expected]
    assert told() == ["FER_EACCES"]
    contexts.clear()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_what_ends_the_program_in_a_decision_comes_out(
    address: str, exception: type[BaseException], library: str
) -> None:
    from conftest import HOSTS

    def allow(who: ferrule.Credentials) -> bool:
        raise exception("in a decision")

    async def main() -> None:
        async with ferrule.listen(address, echo, allow=allow):
            with pytest.raises(ConnectionResetError):
                await ferrule.connect(address)

    host = HOSTS[library]()
    task = host.create_task(main())
    with pytest.raises(exception, match="in a decision"):
        host.run_until_complete(task)
    host.run_until_complete(task)
    host.run_until_complete(asyncio.sleep(0.01))
    host.close()


async def test_a_decision_that_closes_the_server(address: str) -> None:
    asked: list[ferrule.Credentials] = []

    def allow(who: ferrule.Credentials) -> bool:
        asked.append(who)
        server._stop()
        return True

    server = await ferrule.listen(address, echo, allow=allow)
    with pytest.raises(ConnectionResetError):
        await ferrule.connect(address)
    await server.close()
    assert len(asked) == 1


async def test_a_decision_that_drops_a_channel(address: str) -> None:
    """It may do anything with what the server gave out before."""
    kept: list[ferrule.Channel] = []

    def allow(who: ferrule.Credentials) -> bool:
        for channel in kept:
            channel.abort()
        return True

    async with ferrule.listen(address, kept.append, allow=allow) as server:
        first = await ferrule.connect(address)
        await until(lambda: kept)
        second = await ferrule.connect(address)
        with pytest.raises(ConnectionResetError):
            await first.recv()
        await until(lambda: len(kept) == 2)
        assert server.count == 1
        for channel in (first, second, *kept):
            channel.abort()


async def decide_later(who: ferrule.Credentials) -> bool:
    return False


@pytest.mark.parametrize("allow", [decide_later, 3, True])
def test_what_cannot_decide(address: str, allow: Any) -> None:
    with pytest.raises(TypeError, match="allow"):
        ferrule.listen(address, echo, allow=allow)
    with pytest.raises(TypeError, match="allow"):
        sync.listen(address, allow=allow)
    for word in ("none", "Any", ""):
        with pytest.raises(ValueError, match="allow"):
            ferrule.listen(address, echo, allow=word)  # type: ignore[arg-type]
    assert not os.path.exists(path_of(address))


async def test_a_decision_keeps_nothing_alive(address: str) -> None:
    class Doorman:
        def __init__(self) -> None:
            self.server: object = None

        def allow(self, who: ferrule.Credentials) -> bool:
            return True

    doorman = Doorman()
    doorman.server = server = await ferrule.listen(address, echo, allow=doorman.allow)
    await is_served(address)
    handlers = server._handlers
    await until(lambda: not handlers)
    await server.close()
    known = weakref.ref(doorman)
    del doorman, server
    gc.collect()
    assert known() is None


def knock(address: str, times: int) -> threading.Thread:
    """Clients of a blocking server: each connects, one after the other, and says which it is when it is served."""

    def run() -> None:
        for number in range(times):
            try:
                with sync.connect(address, timeout=60) as channel:
                    channel.send(b"%d" % number)
            except ConnectionResetError:
                pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("exception", [LookupError, KeyboardInterrupt, SystemExit])
def test_a_decision_of_a_blocking_server_that_fails(address: str, exception: type[BaseException]) -> None:
    """accept() raises it at once; then the server goes on."""
    asked: list[ferrule.Credentials] = []

    def allow(who: ferrule.Credentials) -> bool:
        asked.append(who)
        if len(asked) == 1:
            raise exception("in a decision")
        return len(asked) == 3

    with sync.listen(address, allow=allow) as server:
        thread = knock(address, 3)
        with pytest.raises(exception, match="in a decision"):
            server.accept(timeout=60)
        with server.accept(timeout=60) as channel:
            assert channel.recv() == b"2"
        thread.join()
    assert asked == [ferrule.Credentials(os.getpid(), os.getuid(), os.getgid())] * 3


def test_a_decision_of_a_blocking_server_cannot_use_it(address: str) -> None:
    failures: list[ferrule.Error] = []

    def allow(who: ferrule.Credentials) -> bool:
        for call in (server.accept, server.close):
            with pytest.raises(ferrule.Error) as caught:
                call()
            failures.append(caught.value)
        return True

    with sync.listen(address, allow=allow) as server:
        thread = knock(address, 1)
        with server.accept(timeout=60) as channel:
            assert channel.recv() == b"0"
        thread.join()
    assert [failure.status for failure in failures] == ["FER_EBUSY"] * 2


def test_a_signal_while_a_blocking_server_decides(address: str) -> None:
    """What its handler raises comes out of accept(), and the client is closed."""

    def raises(number: int, frame: object) -> None:
        raise LookupError("in the handler of a signal")

    def allow(who: ferrule.Credentials) -> bool:
        os.kill(os.getpid(), signal.SIGUSR1)
        return True

    previous = signal.signal(signal.SIGUSR1, raises)
    try:
        with sync.listen(address, allow=allow) as server:
            thread = knock(address, 1)
            with pytest.raises(LookupError, match="in the handler of a signal"):
                server.accept(timeout=60)
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_a_blocking_server_for_all(address: str) -> None:
    with sync.listen(address, allow="any", max_half_open=3) as server:
        thread = knock(address, 1)
        with server.accept(timeout=60) as channel:
            assert channel.recv() == b"0"
        thread.join()
