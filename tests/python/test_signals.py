"""Signals while something waits: Ctrl-C comes out at once, other handlers run and the wait goes on."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from support import Child, hello, path_of, raw_connect, raw_listener


@pytest.fixture
def handled() -> Iterator[list[int]]:
    """The SIGUSR1 that a handler has seen."""
    seen: list[int] = []
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGUSR1, previous)


def send_when_asleep(
    number: int, times: int = 1, then: Callable[[], object] | None = None
) -> threading.Thread:
    """Send this process a signal each time that its main thread is asleep in a system call."""
    main = threading.main_thread().native_id
    state = f"/proc/self/task/{main}/stat"

    def asleep() -> bool:
        with open(state) as file:
            return file.read().rpartition(")")[2].split()[0] == "S"

    def send() -> None:
        for _ in range(times):
            count = 0
            while count < 200:  # Not just between two instructions.
                count = count + 1 if asleep() else 0
            os.kill(os.getpid(), number)
        if then is not None:
            count = 0
            while count < 200:
                count = count + 1 if asleep() else 0
            then()

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.fixture
def waiting_loop() -> Iterator[ferrule.Loop]:
    """A loop that waits for ever."""
    with ferrule.Loop() as loop:
        listener = ferrule.Pipe(loop)
        listener.bind(b"\0ferrule-signals-%d" % os.getpid())
        listener.listen(print)
        yield loop


@pytest.mark.parametrize("how", ["run", "step"])
def test_ctrl_c_interrupts_a_waiting_loop(waiting_loop: ferrule.Loop, how: str) -> None:
    thread = send_when_asleep(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        if how == "run":
            waiting_loop.run()
        else:
            waiting_loop.step(None)
    thread.join()
    waiting_loop.post(waiting_loop.stop)
    waiting_loop.run()


def test_another_handler_runs_and_the_loop_goes_on(waiting_loop: ferrule.Loop, handled: list[int]) -> None:
    thread = send_when_asleep(signal.SIGUSR1, 3, waiting_loop.stop)
    waiting_loop.run()
    thread.join()
    assert handled == [signal.SIGUSR1] * 3


def test_what_a_handler_raises_comes_out(waiting_loop: ferrule.Loop) -> None:
    def fail(number: int, frame: Any) -> None:
        raise LookupError("from the handler")

    previous = signal.signal(signal.SIGUSR1, fail)
    try:
        thread = send_when_asleep(signal.SIGUSR1)
        with pytest.raises(LookupError, match="from the handler"):
            waiting_loop.run()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)


def test_ctrl_c_in_a_callback_comes_out(waiting_loop: ferrule.Loop) -> None:
    waiting_loop.post(os.kill, os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        waiting_loop.run()


def test_the_previous_wakeup_descriptor_is_restored_and_served(
    waiting_loop: ferrule.Loop, handled: list[int]
) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        try:
            thread = send_when_asleep(signal.SIGUSR1, 1, waiting_loop.stop)
            waiting_loop.run()
            thread.join()
            assert mine.recv(10) == bytes([signal.SIGUSR1])
        finally:
            assert signal.set_wakeup_fd(before) == theirs.fileno()
    assert handled


def test_a_loop_in_another_thread_is_left_alone() -> None:
    """The main thread takes the signal; the loop of the other one goes on."""
    child = """
        import os, signal, threading, time, ferrule
        ready = threading.Event()
        loops = []
        def work():
            with ferrule.Loop() as loop:
                loops.append(loop)
                pipe = ferrule.Pipe(loop)
                pipe.bind(b"\\0ferrule-thread-%d" % os.getpid())
                pipe.listen(print)
                ready.set()
                loop.run()
            print("ended in order")
        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait()
        except KeyboardInterrupt:
            print("interrupted")
        loops[0].stop()
        thread.join()
    """
    with Child(child) as process:
        assert process.end() == (0, "interrupted\nended in order\n", "")


def test_ctrl_c_ends_a_program_with_a_traceback(folder: Path) -> None:
    child = """
        import sys, ferrule
        loop = ferrule.Loop()
        pipe = ferrule.Pipe(loop)
        pipe.bind(sys.argv[1])
        pipe.listen(print)
        loop.post(print, "ready")
        loop.run()
    """
    with Child(child, f"{folder}/s") as process:
        assert process.line() == "ready"
        process.process.send_signal(signal.SIGINT)
        code, output, errors = process.end()
    assert code == -signal.SIGINT
    assert output == ""
    assert "KeyboardInterrupt" in errors
    assert "in run" in errors


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_ctrl_c_ends_a_program_on_asyncio(address: str, library: str) -> None:
    child = """
        import asyncio, sys, importlib, ferrule
        async def main():
            async with ferrule.listen(sys.argv[1], lambda channel: channel.abort()) as server:
                print("ready")
                await server.serve_forever()
        importlib.import_module(sys.argv[2]).run(main())
    """
    with Child(child, address, library) as process:
        assert process.line() == "ready"
        process.process.send_signal(signal.SIGINT)
        code, output, errors = process.end()
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert "ferrule" not in errors.splitlines()[-1]


# --- The blocking twin -----------------------------------------------------------------------------------------


def waits(address: str) -> dict[str, Callable[[Any], object]]:
    def send(stack: Any) -> None:
        channel = stack.channel
        while True:
            channel.send(bytes(1 << 20))

    return {
        "recv": lambda stack: stack.channel.recv(),
        "recv with a timeout": lambda stack: stack.channel.recv(30),
        "send": send,
        "close": lambda stack: stack.channel.close(),
        "accept": lambda stack: stack.server.accept(),
        "connect": lambda stack: ferrule.sync.connect(address + "-silent"),
        "connect to nobody": lambda stack: ferrule.sync.connect(address + "-nobody"),
    }


class Stack:
    """A server, a channel of it, and the raw peer of that, which never answers."""

    def __init__(self, address: str) -> None:
        self.server = ferrule.sync.listen(address, close_timeout=None)
        self.raw = raw_connect(address)
        self.raw.sendall(hello())
        self.channel = self.server.accept()

    def close(self) -> None:
        self.channel.abort()
        self.server.close()
        self.raw.close()


@pytest.fixture
def stack(address: str) -> Iterator[Stack]:
    made = Stack(address)
    with raw_listener(address + "-silent"):
        yield made
    made.close()


@pytest.mark.parametrize("name", list(waits("")))
def test_ctrl_c_interrupts_a_call_that_waits(stack: Stack, address: str, name: str) -> None:
    thread = send_when_asleep(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        waits(address)[name](stack)
    thread.join()


@pytest.mark.parametrize("name", list(waits("")))
def test_a_call_goes_on_after_a_handler(stack: Stack, address: str, name: str, handled: list[int]) -> None:
    """Two handlers that return, then Ctrl-C, so that the test ends."""
    thread = send_when_asleep(signal.SIGUSR1, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        waits(address)[name](stack)
    thread.join()
    assert handled == [signal.SIGUSR1] * 2


def test_a_timeout_counts_through_signals(stack: Stack, handled: list[int]) -> None:
    thread = send_when_asleep(signal.SIGUSR1, 2)
    with pytest.raises(TimeoutError):
        stack.channel.recv(0.5)
    thread.join()
    assert handled == [signal.SIGUSR1] * 2


def test_ctrl_c_at_any_time_leaves_a_channel_of_use(stack: Stack) -> None:
    """Wherever it comes in a call: the next one is not refused for it."""
    previous = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for microseconds in range(50, 2050):
            try:
                signal.setitimer(signal.ITIMER_REAL, microseconds / 4_000_000)
                while True:
                    stack.channel.flush()
            except KeyboardInterrupt:
                pass
            stack.channel.flush()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def test_nothing_is_lost_or_sent_twice_through_signals(address: str, handled: list[int]) -> None:
    child = """
        import sys, ferrule.sync
        with ferrule.sync.listen(sys.argv[1]) as server:
            print("ready")
            with server.accept() as channel:
                sys.stdin.readline()
                print([len(message) for message in channel])
    """
    with Child(child, address) as process:
        assert process.line() == "ready"
        with ferrule.sync.connect(address) as channel:

            def read_on() -> None:
                assert process.process.stdin
                process.process.stdin.write("go\n")
                process.process.stdin.flush()

            thread = send_when_asleep(signal.SIGUSR1, 3, read_on)
            for number in range(20):
                channel.send(bytes(1000000 + number))
            thread.join()
        code, output, errors = process.end()
        assert (code, errors) == (0, "")
        assert output == f"{[1000000 + number for number in range(20)]}\n"
    assert len(handled) == 3


def test_ctrl_c_is_not_lost_as_objects_are_let_go(address: str) -> None:
    """What the handler of a signal raises in a destructor that is written in Python is lost."""
    child = """
        import sys, ferrule
        def on_read(client, data, error):
            if data is None:
                client.close()
            else:
                client.write(data)
        def on_connection(server, error):
            client = ferrule.Pipe(server.loop)
            server.accept(client)
            client.start_read(on_read)
        loop = ferrule.Loop()
        server = ferrule.Pipe(loop)
        server.bind(sys.argv[1])
        server.listen(on_connection)
        print("ready")
        loop.run()
    """
    for _ in range(8):
        with Child(child, path_of(address)) as process:
            assert process.line() == "ready"
            with raw_connect(address) as raw:
                raw.sendall(b"x")
                raw.recv(1)
            # The child closes its end, and lets it go, just as the signal comes.
            process.process.send_signal(signal.SIGINT)
            code, output, errors = process.end()
        assert (code, output) == (-signal.SIGINT, "")
        assert "KeyboardInterrupt" in errors
