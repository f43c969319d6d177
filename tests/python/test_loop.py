"""Loops of their own: running, stopping, posting, embedding, threads and forks."""

from __future__ import annotations

import gc
import os
import select
import threading
from typing import Any

import ferrule
import pytest


def test_run_returns_when_nothing_can_call_back() -> None:
    with ferrule.Loop() as loop:
        assert loop.run() is False
        assert not loop.alive
        assert "open" in repr(loop)
    assert loop.closed
    assert "closed" in repr(loop)


def test_posts_run_in_their_order_with_their_arguments() -> None:
    seen: list[Any] = []
    with ferrule.Loop() as loop:
        for number in range(5):
            loop.post(seen.append, number)
        assert loop.alive
        assert seen == []
        loop.run()
    assert seen == [0, 1, 2, 3, 4]


def test_posts_from_other_threads() -> None:
    seen: list[tuple[int, int]] = []
    with ferrule.Loop() as loop:
        listener = ferrule.Pipe(loop)  # Holds the loop.
        listener.bind(b"\0ferrule-test-%d" % os.getpid())
        listener.listen(print)

        def post(thread: int) -> None:
            for number in range(500):
                loop.post(seen.append, (thread, number))
            loop.post(done, thread)

        def done(thread: int) -> None:
            assert threading.current_thread() is threading.main_thread()
            left.discard(thread)
            if not left:
                loop.stop()

        left = set(range(4))
        threads = [threading.Thread(target=post, args=(number,)) for number in left]
        for thread in threads:
            thread.start()
        loop.run()
        for thread in threads:
            thread.join()
        listener.close()
    for number in range(4):
        assert [n for thread, n in seen if thread == number] == list(range(500))


def test_stop_from_another_thread_and_before_the_run() -> None:
    with ferrule.Loop() as loop:
        listener = ferrule.Pipe(loop)
        listener.bind(b"\0ferrule-stop-%d" % os.getpid())
        listener.listen(print)
        loop.stop()
        assert loop.run() is True
        thread = threading.Thread(target=loop.stop)
        thread.start()
        loop.run()
        thread.join()
        loop.post(loop.stop)
        loop.run()


def test_steps() -> None:
    with ferrule.Loop() as loop:
        seen: list[int] = []
        assert loop.step(0) is False
        loop.post(seen.append, 1)
        loop.step(None)
        assert seen == [1]
        loop.post(seen.append, 2)
        loop.run(ferrule.UV_RUN_NOWAIT)
        loop.post(seen.append, 3)
        loop.run(ferrule.UV_RUN_ONCE)
        assert seen == [1, 2, 3]
        loop.step(0.001)
        with pytest.raises(ValueError, match="mode"):
            loop.run(7)
        for time in (-1, float("nan")):
            with pytest.raises(ValueError, match="time"):
                loop.step(time)


def test_embedding_by_hand(folder: Any) -> None:
    """As any other loop would do it: wait for the descriptor or the time, then step."""
    with ferrule.Loop() as loop:
        server, client, accepted = (ferrule.Pipe(loop) for _ in range(3))
        seen: list[bytes] = []

        def on_connection(pipe: ferrule.Pipe, error: int | None) -> None:
            pipe.accept(accepted)
            accepted.start_read(lambda _, data, error: seen.append(data or b""))

        server.bind(f"{folder}/s")
        server.listen(on_connection)
        client.connect(f"{folder}/s", lambda pipe, error: pipe.write(b"hello"))
        while not seen:
            timeout = loop.get_timeout()
            select.select([loop.fileno()], [], [], None if timeout < 0 else timeout)
            loop.step(0)
        assert seen == [b"hello"]


def test_the_host_is_notified_of_work_left_outside_of_a_step(folder: Any) -> None:
    with ferrule.Loop() as loop:
        notes: list[int] = []
        loop.set_notify(lambda: notes.append(1))
        pipe = ferrule.Pipe(loop)
        pipe.close()
        assert notes == [1]
        loop.step(0)
        loop.set_notify(None)
        ferrule.Pipe(loop).close()
        assert notes == [1]
        with pytest.raises(TypeError):
            loop.set_notify(7)  # type: ignore[arg-type]


def test_what_notify_raises_is_unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)

    def fail() -> None:
        raise KeyError("in notify")

    with ferrule.Loop() as loop:
        loop.set_notify(fail)
        ferrule.Pipe(loop).close()
        assert [unraisable.exc_type for unraisable in told] == [KeyError]
        loop.set_notify(None)
    told.clear()


def test_the_default_loop() -> None:
    loop = ferrule.Loop.default_loop()
    assert ferrule.Loop.default_loop() is loop
    loop.close()
    other = ferrule.Loop.default_loop()
    assert other is not loop
    assert not other.closed
    other.close()


def test_close_closes_what_is_open_and_tells_it() -> None:
    loop = ferrule.Loop()
    seen: list[object] = []
    pipe = ferrule.Pipe(loop)
    pipe.bind(b"\0ferrule-close-%d" % os.getpid())
    pipe.listen(lambda pipe, error: None)
    loop.post(seen.append, "posted")
    loop.close()
    loop.close()
    assert pipe.closed
    assert loop.closed
    assert not loop.alive


def test_calls_after_close() -> None:
    loop = ferrule.Loop()
    loop.close()
    calls: list[Any] = [
        loop.run,
        loop.step,
        loop.stop,
        loop.fileno,
        loop.get_timeout,
        lambda: loop.post(print),
    ]
    for call in [*calls, lambda: ferrule.Pipe(loop), lambda: loop.set_notify(print)]:
        with pytest.raises(ferrule.error.ClosedError) as caught:
            call()
        assert caught.value.status == "FER_ECLOSED"


def test_running_in_a_callback_is_refused() -> None:
    failures: list[ferrule.Error] = []

    def again() -> None:
        for call in (loop.run, loop.step, loop.close):
            try:
                call()
            except ferrule.Error as failure:
                failures.append(failure)

    with ferrule.Loop() as loop:
        loop.post(again)
        loop.run()
    assert [failure.status for failure in failures] == ["FER_EBUSY"] * 3


def test_two_loops_one_inside_a_callback_of_the_other() -> None:
    seen: list[str] = []

    def run_inner() -> None:
        with ferrule.Loop() as inner:
            inner.post(fail)
            with pytest.raises(LookupError):
                inner.run()
        seen.append("outer goes on")

    def fail() -> None:
        raise LookupError("inner")

    with ferrule.Loop() as outer:
        outer.post(run_inner)
        outer.run()
    assert seen == ["outer goes on"]


def test_other_threads_are_refused() -> None:
    with ferrule.Loop() as loop:
        pipe = ferrule.Pipe(loop)
        calls: dict[str, Any] = {
            "run": loop.run,
            "step": loop.step,
            "fileno": loop.fileno,
            "get_timeout": loop.get_timeout,
            "set_notify": lambda: loop.set_notify(print),
            "close": loop.close,
            "Pipe": lambda: ferrule.Pipe(loop),
            "bind": lambda: pipe.bind("x"),
            "listen": lambda: pipe.listen(print),
            "connect": lambda: pipe.connect("x", print),
            "open": lambda: pipe.open(0),
            "start_read": lambda: pipe.start_read(print),
            "stop_read": pipe.stop_read,
            "write": lambda: pipe.write(b"x"),
            "try_write": lambda: pipe.try_write(b"x"),
            "shutdown": pipe.shutdown,
            "accept": lambda: pipe.accept(pipe),
            "pipe close": pipe.close,
            "pipe fileno": pipe.fileno,
            "getsockname": pipe.getsockname,
        }
        outcome = {}

        def elsewhere() -> None:
            for name, call in calls.items():
                try:
                    outcome[name] = call()
                except ferrule.Error as failure:
                    outcome[name] = failure.status

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert outcome == dict.fromkeys(calls, "FER_ETHREAD")
        pipe.close()


def test_the_child_of_a_fork_is_refused_and_may_make_its_own() -> None:
    with ferrule.Loop() as loop:
        pipe, tcp, udp = ferrule.Pipe(loop), ferrule.TCP(loop), ferrule.UDP(loop)
        for socket in (tcp, udp):
            socket.bind(("127.0.0.1", 0))
        address = udp.getsockname()
        default = ferrule.Loop.default_loop()
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            answer = "?"
            try:
                statuses = []
                for call in (
                    loop.run, loop.stop, pipe.fileno, lambda: loop.post(print), loop.close,
                    lambda: tcp.listen(print), lambda: tcp.connect(address, print), tcp.detach,
                    lambda: udp.send(address, b"x"), lambda: udp.start_recv(print), lambda: udp.set_ttl(1),
                ):  # fmt: skip
                    try:
                        call()
                        statuses.append("no error")
                    except ferrule.error.ForkError as failure:
                        statuses.append(failure.status)
                own = ferrule.Loop.default_loop()
                assert own is not default
                own.post(statuses.append, "own")
                own.run()
                own.close()
                del pipe, tcp, udp, socket, loop
                gc.collect()
                answer = " ".join(statuses)
            except BaseException as failure:
                answer = repr(failure)
            finally:
                os.write(writer, answer.encode())
                os._exit(0)
        os.close(writer)
        with open(reader) as answers:
            assert answers.read() == "FER_EFORK " * 11 + "own"
        assert udp.try_send(address, b"x") == 1
        os.waitpid(pid, 0)
        default.close()
        pipe.close()
        loop.post(loop.stop)
        loop.run()


def test_what_is_not_callable_is_refused() -> None:
    with ferrule.Loop() as loop:
        with pytest.raises(TypeError):
            loop.post(7)  # type: ignore[arg-type]
