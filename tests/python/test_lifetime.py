"""Who lives how long: cycles, dropped objects, foreign threads, the end of the interpreter."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import _embed, sync
from support import goodbye, hello, message, raw_connect, run_child, until


@pytest.fixture
def loop(folder: Path) -> Iterator[ferrule.Loop]:
    made = ferrule.Loop()
    yield made
    made.close()


def dropped(make: Callable[[], object]) -> list[str]:
    """The ResourceWarnings of making something and dropping it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
        gc.collect()
    return [str(warning.message) for warning in caught if warning.category is ResourceWarning]


# --- Pipes and loops -------------------------------------------------------------------------------------------


def test_a_dropped_pipe_warns_and_is_closed(loop: ferrule.Loop, folder: Path) -> None:
    def make() -> None:
        pipe = ferrule.Pipe(loop)
        pipe.bind(folder / "s")

    assert ["unclosed pipe" in text for text in dropped(make)] == [True]
    loop.step(0)
    assert not (folder / "s").exists()


def test_a_closed_pipe_does_not_warn(loop: ferrule.Loop) -> None:
    def make() -> None:
        ferrule.Pipe(loop).close()
        loop.run()

    assert dropped(make) == []


def test_a_pipe_dropped_in_another_thread(loop: ferrule.Loop, folder: Path) -> None:
    pipe = ferrule.Pipe(loop)
    pipe.bind(folder / "s")
    holder = [pipe]
    del pipe

    def drop() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            holder.clear()
            gc.collect()

    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    loop.step(0)
    assert not (folder / "s").exists()


def test_what_is_under_way_is_kept_by_the_loop(loop: ferrule.Loop, folder: Path) -> None:
    seen: list[str] = []
    pipe = ferrule.Pipe(loop)
    pipe.bind(folder / "s")

    def on_connection(pipe: ferrule.Pipe, error: int | None) -> None:
        seen.append("connection")
        pipe.close()

    pipe.listen(on_connection)
    alive = weakref.ref(pipe)
    del pipe
    gc.collect()
    assert alive() is not None
    raw_connect(f"pipe:{folder}/s").close()
    loop.run()
    gc.collect()
    assert seen == ["connection"]
    assert alive() is None


def test_callbacks_that_know_their_pipe_make_no_cycle_through_c(folder: Path) -> None:
    """Loop, pipe and callbacks that refer to both are collected together, closed or not."""

    class Everything:
        def __init__(self) -> None:
            self.loop = ferrule.Loop()
            self.server = ferrule.Pipe(self.loop)
            self.server.bind(folder / "s")
            self.server.listen(self.on_event)
            self.client = ferrule.Pipe(self.loop)
            self.client.connect(folder / "s", self.on_event)
            self.loop.set_notify(self.on_event)
            self.loop.post(self.on_event)

        def on_event(self, *arguments: object) -> None:
            pass

    alive: list[weakref.ref[Any]] = []

    def make() -> None:
        everything = Everything()
        alive.extend(map(weakref.ref, (everything, everything.loop, everything.server, everything.client)))

    texts = dropped(make)
    assert [reference() for reference in alive] == [None] * 4
    assert any("unclosed loop" in text for text in texts)
    assert not (folder / "s").exists()


def test_a_loop_collected_in_another_thread_is_closed_there(folder: Path) -> None:
    holder: list[Any] = []

    def make() -> None:
        loop = ferrule.Loop()
        pipe = ferrule.Pipe(loop)
        pipe.bind(folder / "s")
        pipe.listen(print)
        holder.append(loop)

    def drop() -> None:
        texts.extend(dropped(holder.clear))

    texts: list[str] = []
    make()
    assert (folder / "s").exists()
    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
    assert any("unclosed loop" in text for text in texts)
    assert not (folder / "s").exists()


def test_a_loop_outlives_its_wrapper_while_a_pipe_refers_to_it(folder: Path) -> None:
    loop = ferrule.Loop()
    pipe = ferrule.Pipe(loop)
    alive = weakref.ref(loop)
    del loop
    gc.collect()
    assert pipe.loop is alive()
    pipe.close()
    pipe.loop.close()


@pytest.mark.parametrize("order", ["loop first", "pipe first"])
def test_closed_things_may_go_in_any_order(order: str) -> None:
    loop = ferrule.Loop()
    pipe = ferrule.Pipe(loop)
    pipe.close()
    loop.close()
    if order == "loop first":
        del loop
        gc.collect()
        assert pipe.closed
        del pipe
    else:
        del pipe
        gc.collect()
        assert loop.closed
        del loop
    gc.collect()


# --- Channels and servers on asyncio ---------------------------------------------------------------------------


async def test_a_dropped_channel_warns_and_is_aborted(address: str) -> None:
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait):
        channel = await ferrule.connect(address)
        server = await accepted.get()
        alive = weakref.ref(channel)
        holder = [channel]
        del channel
        assert ["unclosed channel" in text for text in dropped(holder.clear)] == [True]
        assert alive() is None
        with pytest.raises(ConnectionResetError):
            await server.recv()
        server.abort()


async def test_a_dropped_server_warns_and_stops_listening(address: str, folder: Path) -> None:
    holder = [await ferrule.listen(address, print)]
    assert ["unclosed server" in text for text in dropped(holder.clear)] == [True]
    await until(lambda: not (folder / "s").exists())


async def test_a_channel_collected_in_another_thread(address: str) -> None:
    accepted: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
    async with ferrule.listen(address, accepted.put_nowait):
        holder = [await ferrule.connect(address)]
        server = await accepted.get()

        def drop() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                holder.clear()
                gc.collect()

        thread = threading.Thread(target=drop)
        thread.start()
        thread.join()
        with pytest.raises(ConnectionResetError):
            await server.recv()
        server.abort()


async def test_a_closed_channel_is_free_of_cycles(address: str) -> None:
    gc.collect()
    gc.disable()
    try:
        alive: list[weakref.ref[Any]] = []

        async def handler(channel: ferrule.Channel) -> None:
            alive.append(weakref.ref(channel))
            async for _ in channel:
                pass

        async with ferrule.listen(address, handler) as server:
            alive.append(weakref.ref(server))
            async with ferrule.connect(address) as channel:
                alive.append(weakref.ref(channel))
                await channel.send(b"x")
            del channel
        del server
        for _ in range(5):
            await asyncio.sleep(0)
        assert [reference() for reference in alive] == [None] * 3
    finally:
        gc.enable()


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_an_asyncio_loop_that_ends_with_everything_open(address: str, folder: Path, library: str) -> None:
    from conftest import HOSTS

    host = HOSTS[library]()
    kept: list[Any] = []

    async def main() -> None:
        kept.append(await ferrule.listen(address, kept.append))
        kept.append(await ferrule.connect(address))
        await until(lambda: len(kept) == 3)
        kept.append(asyncio.ensure_future(kept[1].recv()))
        await asyncio.sleep(0)

    host.run_until_complete(main())
    embedded = weakref.ref(kept[0]._embedded)
    task = kept.pop()
    host.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task._log_destroy_pending = False
        del task
        kept.clear()
        del host
        gc.collect()
    assert embedded() is None
    assert not (folder / "s").exists()
    assert len(_embed._embedded) == 0


# --- The end of the interpreter --------------------------------------------------------------------------------

EVERYTHING = """
    import asyncio, os, sys, threading
    import ferrule, ferrule.sync

    folder = sys.argv[1]
    loop = ferrule.Loop.default_loop()
    def on_event(*arguments):
        sys.exit("a callback was called at the end")
    server = ferrule.Pipe(loop)
    server.bind(folder + "/pipe")
    server.listen(on_event)
    client = ferrule.Pipe(loop)
    client.connect(folder + "/pipe", on_event)
    loop.post(on_event)
    loop.set_notify(lambda: None)

    host = asyncio.new_event_loop()
    kept = []
    async def main():
        async def handler(channel):
            async for message in channel:
                pass
        kept.append(await ferrule.listen("pipe:" + folder + "/channel", handler))
        kept.append(await ferrule.connect("pipe:" + folder + "/channel"))
        kept.append(asyncio.ensure_future(kept[1].recv()))
        await kept[1].send(bytes(8 << 20))
        asyncio.ensure_future(kept[1].send(b"x"))
        await asyncio.sleep(0)
    host.run_until_complete(main())

    blocking = ferrule.sync.listen("pipe:" + folder + "/sync")

    def in_thread():
        with ferrule.Loop() as other:
            pipe = ferrule.Pipe(other)
            pipe.bind(folder + "/thread")
            pipe.listen(on_event)
            started.set()
            other.run()
    started = threading.Event()
    threading.Thread(target=in_thread, daemon=True).start()
    started.wait()
"""


@pytest.mark.leftover
@pytest.mark.parametrize("how", ["end", "exit", "raise"])
def test_the_interpreter_ends_with_everything_open(folder: Path, how: str) -> None:
    endings = {"end": "", "exit": "sys.exit(3)", "raise": "raise ValueError('the end')"}
    program = EVERYTHING + "    print('last line')\n    " + endings[how]
    code, output, errors = run_child(program, str(folder), options=("-W", "ignore"))
    assert output == "last line\n"
    assert code == {"end": 0, "exit": 3, "raise": 1}[how]
    assert errors == "" or how == "raise" or "Task was destroyed" in errors
    assert "Fatal" not in errors
    assert "Segmentation" not in errors
    # What the interpreter could reach was closed; the daemon thread's loop still ran.
    left = sorted(path.name for path in folder.iterdir())
    assert "pipe" not in left
    assert "channel" not in left
    assert "sync" not in left


def test_no_thread_is_used_or_left() -> None:
    child = """
        import asyncio, os, sys, threading, ferrule
        async def echo(channel):
            async for message in channel:
                await channel.send(message)
        async def main():
            async with ferrule.listen(sys.argv[1], echo), ferrule.connect(sys.argv[1]) as channel:
                await channel.send(b"x")
                await channel.recv()
                print(threading.active_count(), len(os.listdir("/proc/self/task")))
        asyncio.run(main())
        print(threading.active_count(), len(os.listdir("/proc/self/task")))
    """
    code, output, errors = run_child(child, "pipe:@ferrule-no-thread")
    assert (code, output, errors) == (0, "1 1\n1 1\n", "")


def test_asyncio_in_the_child_of_a_fork(address: str) -> None:
    child = """
        import asyncio, os, sys, ferrule

        async def echo(channel):
            async for message in channel:
                await channel.send(message)

        async def start():
            return await ferrule.listen(sys.argv[1], echo), await ferrule.connect(sys.argv[1])

        async def talk():
            async with ferrule.connect(sys.argv[1]) as channel:
                await channel.send(b"from the child")
                return await channel.recv()

        async def wait(pid):
            while True:
                done, status = os.waitpid(pid, os.WNOHANG)
                if done:
                    await channel.send(b"from the parent")
                    assert await channel.recv() == b"from the parent"
                    await channel.close()
                    await server.close()
                    return os.waitstatus_to_exitcode(status)
                await asyncio.sleep(0.001)

        loop = asyncio.new_event_loop()
        server, channel = loop.run_until_complete(start())
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                # What the parent made is refused; a loop of its own works.
                channel.send(b"x").send(None)
            except ferrule.error.ForkError:
                code = 2 if asyncio.new_event_loop().run_until_complete(talk()) == b"from the child" else 3
            finally:
                os._exit(code)
        print(loop.run_until_complete(wait(pid)))
        loop.close()
    """
    code, output, errors = run_child(child, address, options=("-W", "ignore"))
    assert (code, output, errors) == (0, "2\n", "")


# --- Memory ----------------------------------------------------------------------------------------------------


def grows(action: Callable[[], object]) -> int:
    """How many blocks of memory of Python a repeated action leaves behind."""
    for _ in range(20):
        action()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100):
        action()
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize("first", [True, False])
def test_another_interpreter_is_refused(first: bool) -> None:
    code, output, errors = run_child(
        """
        import sys
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        if sys.argv[1] == "True":
            import ferrule
        for _ in range(3):
            other = interpreters.create()
            try:
                failure = interpreters.run_string(other, "import ferrule")
            except interpreters.RunFailedError as raised:
                failure = raised
            print("ImportError" in str(failure))
            interpreters.destroy(other)
        import ferrule
        from ferrule import sync
        try:
            sync.connect("pipe:/nowhere/at/all", timeout=0)
        except FileNotFoundError:
            print("the main one goes on")
        """,
        str(first),
    )
    assert code == 0, errors
    assert output.splitlines() == ["True"] * 3 + ["the main one goes on"]


def test_nothing_is_leaked_by_pipes(folder: Path) -> None:
    def action() -> None:
        with ferrule.Loop() as loop:
            server, client, accepted = (ferrule.Pipe(loop) for _ in range(3))

            def on_connection(pipe: ferrule.Pipe, error: int | None) -> None:
                server.accept(accepted)
                accepted.write([b"hello"] * 10, lambda pipe, error: pipe.shutdown())

            server.bind(folder / "s")
            server.listen(on_connection)
            client.connect(folder / "s", lambda pipe, error: client.start_read(on_read))

            def on_read(pipe: ferrule.Pipe, data: bytes | None, error: int | None) -> None:
                if error:
                    loop.stop()

            loop.post(lambda: None)
            loop.set_notify(lambda: None)
            loop.run()
            assert server.getsockname() == client.getpeername()

    assert grows(action) < 50


async def test_nothing_is_leaked_by_channels(address: str) -> None:
    async def echo(channel: ferrule.Channel) -> None:
        async for received in channel:
            await channel.send(received)

    async def action() -> None:
        async with ferrule.listen(address, echo) as server, ferrule.connect(address) as channel:
            for data in (b"x", [b"x"] * 10, bytes(200000)):
                await channel.send(data)
                await channel.recv()
            assert channel.info["version"] == 1
            assert server.address == address
            with pytest.raises(TypeError):
                await channel.send("text")  # type: ignore[arg-type]

    for _ in range(20):
        await action()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(100):
        await action()
    gc.collect()
    assert sys.getallocatedblocks() - before < 50


def test_nothing_is_leaked_by_blocking_channels(address: str) -> None:
    server = sync.listen(address)

    def action() -> None:
        with raw_connect(address) as raw:
            raw.sendall(hello() + message(b"x" * 1000) + goodbye())
            channel = server.accept()
            channel.send(b"y")
            assert list(channel) == [b"x" * 1000]
            with pytest.raises(EOFError):
                channel.recv()
            channel.abort()
        with pytest.raises(TimeoutError):
            server.accept(0)
        with pytest.raises(ValueError, match="FER_EADDRESS"):
            sync.connect("nonsense:x")

    assert grows(action) < 50
    server.close()
