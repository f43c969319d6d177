"""What programs for pyuv need beside pipes and sockets: timers, wake-ups, members of loops, errors."""

from __future__ import annotations

import copy
import errno as platform_errno
import gc
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import errno, error, sync
from support import run_child

PROGRAM = Path(__file__).with_name("pyuv_program.py")


def test_a_program_for_pyuv_runs_unchanged(folder: Path) -> None:
    start = f"""
        import runpy, sys
        import ferrule as pyuv
        sys.modules["pyuv"] = pyuv
        sys.argv = ["program", {str(folder / "s")!r}]
        runpy.run_path({str(PROGRAM)!r}, run_name="__main__")
    """
    code, output, errors = run_child(start)
    assert code == 0, errors
    assert output.splitlines() == [
        "woken up",
        "hook: RuntimeError from a callback",
        "['worker says 0', 'worker says 1', 'worker says 2']",
        "closed True True",
        "True 2",
    ]
    assert not errors.replace("ResourceWarning", "")


# --- Timers ----------------------------------------------------------------------------------------------------


def test_a_timer_calls_once_and_not_early(loop: ferrule.Loop) -> None:
    calls: list[tuple[ferrule.Timer, bool]] = []
    timer = ferrule.Timer(loop)
    assert not timer.active and not loop.alive
    before = time.monotonic()
    timer.start(lambda timer: calls.append((timer, timer.active)), 0.02)
    assert timer.active and loop.alive and timer in loop.handles
    loop.run()
    assert time.monotonic() - before >= 0.02
    assert calls == [(timer, False)]


def test_a_timer_repeats_until_it_is_stopped_and_can_go_on(loop: ferrule.Loop) -> None:
    calls: list[float] = []

    def tick(timer: ferrule.Timer) -> None:
        calls.append(timer.repeat)
        if len(calls) % 3 == 0:
            timer.stop()
        timer.repeat = 0.002

    timer = ferrule.Timer(loop)
    timer.start(tick, 0, 0.001)
    loop.run()
    assert calls == [0.001, 0.002, 0.002] and not timer.active
    timer.stop()
    timer.again()
    assert timer.active
    loop.run()
    assert len(calls) == 6
    timer.repeat = 0
    timer.again()
    assert not timer.active and not loop.alive


def test_a_timer_is_started_anew(loop: ferrule.Loop) -> None:
    calls: list[str] = []
    timer = ferrule.Timer(loop)
    timer.start(lambda _: calls.append("first"), 0)
    timer.start(lambda _: calls.append("second"), 0)
    loop.run()
    assert calls == ["second"]


def test_a_closed_timer_calls_nothing_but_the_end(loop: ferrule.Loop) -> None:
    calls: list[object] = []
    timer = ferrule.Timer(loop)
    timer.start(lambda _: calls.append("time"), 0)
    timer.close(calls.append)
    assert timer.closed and not timer.active and timer not in loop.handles
    loop.run()
    assert calls == [timer]
    for call in (timer.stop, timer.again, lambda: timer.start(print, 0), lambda: setattr(timer, "ref", True)):
        with pytest.raises(error.ClosedError):
            call()
    timer.close(calls.append)
    loop.run()
    assert calls == [timer, timer]


def test_a_timer_without_ref_does_not_hold_the_loop(loop: ferrule.Loop) -> None:
    timer = ferrule.Timer(loop)
    assert timer.ref and timer.has_ref
    timer.start(print, 3600)
    timer.ref = False
    assert not timer.ref and timer.active and not loop.alive
    loop.run()
    loop.step(0)
    assert loop.get_timeout() > 3000
    timer.close()
    loop.run()


def test_a_running_timer_is_kept_by_its_loop_and_another_is_not() -> None:
    calls: list[str] = []
    with ferrule.Loop() as loop:

        def on_time(timer: ferrule.Timer) -> None:
            calls.append("kept")
            timer.close()

        ferrule.Timer(loop).start(on_time, 0.001)
        gc.collect()
        loop.run()
        assert calls == ["kept"]
        with pytest.warns(ResourceWarning, match="unclosed timer"):
            ferrule.Timer(loop)
            gc.collect()
        loop.run()
        assert not loop.handles


def test_a_timer_and_its_loop_can_be_a_cycle() -> None:
    def cycle() -> list[weakref.ref[Any]]:
        loop = ferrule.Loop()
        timer = ferrule.Timer(loop)
        wakeup = ferrule.Async(loop, lambda _: timer)
        timer.start(lambda _: (loop, timer, wakeup), 3600)
        loop.excepthook = lambda *_: loop
        return [weakref.ref(loop), weakref.ref(timer), weakref.ref(wakeup)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        watched = cycle()
        gc.collect()
        assert [reference() for reference in watched] == [None] * 3


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), None])
def test_a_timer_refuses_what_is_no_time(loop: ferrule.Loop, bad: Any) -> None:
    timer = ferrule.Timer(loop)
    calls: list[Callable[[], object]] = [
        lambda: timer.start(print, bad),
        lambda: timer.start(print, 1, bad),
        lambda: setattr(timer, "repeat", bad),
    ]
    for call in calls:
        with pytest.raises(ValueError):
            call()
    assert not timer.active


def test_a_timer_refuses_wrong_types(loop: ferrule.Loop) -> None:
    timer = ferrule.Timer(loop)
    with pytest.raises(TypeError):
        timer.start(None, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        timer.start(print, "1")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ferrule.Timer(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        ferrule.Handle()
    with pytest.raises(error.InvalidArgumentError):
        timer.again()
    with pytest.raises(TypeError):
        ferrule.Pipe(loop).accept(timer)  # type: ignore[arg-type]


# --- Wake-ups --------------------------------------------------------------------------------------------------


def test_a_wakeup_comes_from_any_thread(loop: ferrule.Loop) -> None:
    threads: list[int] = []
    together = 4
    start = threading.Barrier(together)

    def arrived(wakeup: ferrule.Async) -> None:
        threads.append(threading.get_ident())
        if len(threads) >= 2 and all(not sender.is_alive() for sender in senders):
            wakeup.close()

    def send() -> None:
        start.wait()
        for _ in range(200):
            wakeup.send()

    wakeup = ferrule.Async(loop, arrived)
    senders = [threading.Thread(target=send) for _ in range(together)]
    for sender in senders:
        sender.start()

    def finish() -> None:
        for sender in senders:
            sender.join()
        wakeup.send()

    last = threading.Thread(target=finish)
    last.start()
    while not threads or last.is_alive():
        loop.run(ferrule.UV_RUN_ONCE)
    wakeup.close()
    loop.run()
    last.join()
    assert set(threads) == {threading.get_ident()}
    assert 1 <= len(threads) <= 200 * together + 1


def test_wakeups_before_the_callback_are_one(loop: ferrule.Loop) -> None:
    calls: list[ferrule.Async] = []

    def arrived(wakeup: ferrule.Async) -> None:
        calls.append(wakeup)
        if len(calls) < 3:
            wakeup.send()
        else:
            wakeup.close()

    wakeup = ferrule.Async(loop, arrived)
    assert wakeup.active and loop.alive
    wakeup.send()
    wakeup.send()
    loop.run()
    assert calls == [wakeup] * 3
    with pytest.raises(error.HandleClosedError):
        wakeup.send()


def test_a_wakeup_that_was_sent_and_closed_is_not_called(loop: ferrule.Loop) -> None:
    calls: list[object] = []
    wakeup = ferrule.Async(loop, calls.append)
    wakeup.send()
    wakeup.close()
    loop.run()
    assert not calls
    silent = ferrule.Async(loop)
    silent.send()
    assert loop.step(0)
    silent.ref = False
    assert not silent.ref
    loop.run()
    silent.close()
    for bad in (1, "x"):
        with pytest.raises(TypeError):
            ferrule.Async(loop, bad)  # type: ignore[arg-type]


def test_a_wakeup_of_a_closed_loop_says_so() -> None:
    loop = ferrule.Loop()
    wakeup = ferrule.Async(loop)
    loop.close()
    assert wakeup.closed
    with pytest.raises(error.ClosedError):
        wakeup.send()


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no such signals")
def test_a_wakeup_comes_from_a_signal_handler(loop: ferrule.Loop) -> None:
    def handler(*_: object) -> None:
        wakeup.send()

    wakeup = ferrule.Async(loop, lambda wakeup: wakeup.close())
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert wakeup.closed


# --- Loops -----------------------------------------------------------------------------------------------------


def test_the_hook_takes_what_callbacks_raise_and_the_loop_goes_on(loop: ferrule.Loop) -> None:
    told: list[tuple[Any, ...]] = []
    loop.excepthook = lambda *arguments: told.append(arguments)
    for number in range(3):
        loop.post(int, f"no number {number}")
    loop.post(told.append, ("end",))
    assert not loop.run()
    assert [entry[0] for entry in told] == [ValueError] * 3 + ["end"]
    assert all(isinstance(entry[1], ValueError) and entry[2] is not None for entry in told[:3])
    loop.excepthook = None
    loop.post(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        loop.run()


def test_what_the_hook_raises_and_what_is_no_exception_comes_out(loop: ferrule.Loop) -> None:
    def hook(kind: object, value: BaseException, traceback: object) -> None:
        raise LookupError("in the hook") from value

    loop.excepthook = hook
    loop.post(int, "x")
    with pytest.raises(LookupError, match="in the hook") as raised:
        loop.run()
    assert isinstance(raised.value.__cause__, ValueError)
    loop.post(sys.exit, 3)
    with pytest.raises(SystemExit):
        loop.run()


def test_the_hook_may_stop_the_loop_and_be_a_method() -> None:
    class Mine(ferrule.Loop):
        told: list[BaseException] = []

        def excepthook(self, kind: object, value: BaseException, traceback: object) -> None:
            self.told.append(value)
            self.stop()

    with Mine() as loop:
        timer = ferrule.Timer(loop)
        timer.start(lambda _: 1 / 0, 0, 0.001)
        loop.run()
        assert [type(value) for value in loop.told] == [ZeroDivisionError]
        loop.run()
        assert len(loop.told) == 2
        timer.close()
        loop.run()


def test_the_members_of_a_loop(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    tcp = ferrule.TCP(loop)
    assert {one, other, tcp} <= set(loop.handles)
    assert not one.active
    one.start_read(lambda *_: None)
    assert one.active and not other.active
    tcp.close()
    assert tcp not in loop.handles
    before = loop.now()
    loop.update_time()
    assert 0 <= loop.now() - before < 60_000
    assert not loop.default
    for handle in loop.handles:
        handle.close()
    loop.run()
    assert loop.handles == []
    assert loop.get_timeout() == -1


def test_the_default_loop_is_one_and_the_same() -> None:
    code, output, errors = run_child("""
        import ferrule as pyuv
        loop = pyuv.Loop.default_loop()
        print(loop is pyuv.Loop.default_loop(), loop.default, pyuv.Loop().default, pyuv.LIBUV_VERSION.count("."))
        timer = pyuv.Timer(loop)
        timer.start(lambda timer: (print("time"), timer.close()), 0.001, 0)
        print(loop.run())
    """)
    assert (code, output.split()) == (0, ["True", "True", "False", "2", "time", "False"]), errors


# --- Sockets as pyuv has them ----------------------------------------------------------------------------------


def test_options_of_a_socket_to_come(loop: ferrule.Loop) -> None:
    client = ferrule.TCP(loop)
    client.nodelay(True)
    client.keepalive(True, 7)
    client.bind(("", 0))
    assert client.getsockname()[0] == "0.0.0.0"
    with client.to_socket() as made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_broadcast_has_a_name(loop: ferrule.Loop) -> None:
    udp = ferrule.UDP(loop)
    udp.bind(("", 0), ferrule.UV_UDP_REUSEADDR)
    assert udp.getsockname()[0] == "0.0.0.0"
    with pytest.raises(error.AccessError):
        udp.try_send(("<broadcast>", 9), b"x")


# --- Errors ----------------------------------------------------------------------------------------------------


def test_the_family_of_errors_is_that_of_pyuv() -> None:
    family = {
        error.HandleError: error.UVError,
        error.ThreadError: error.UVError,
        error.HandleClosedError: error.HandleError,
        error.StreamError: error.HandleError,
        error.PipeError: error.StreamError,
        error.TCPError: error.StreamError,
        error.UDPError: error.HandleError,
        error.TimerError: error.HandleError,
        error.AsyncError: error.HandleError,
    }
    for kind, parent in family.items():
        assert kind.__base__ is parent and issubclass(kind, OSError)
        with pytest.raises(parent):
            raise kind(errno.UV_EINVAL, "detail")
    failure = error.from_status(errno.UV_ECONNREFUSED, "detail")
    assert failure.args == (errno.FER_ECONNREFUSED, failure.strerror)
    assert failure.errno == platform_errno.ECONNREFUSED
    assert errno.strerror(failure.args[0]) in failure.args[1]


def stream_calls(make: Callable[[ferrule.Loop], Any]) -> list[tuple[Callable[[Any], object], int]]:
    """Calls that fail on a stream which is not connected, and how."""
    return [
        (lambda stream: stream.start_read(print), errno.UV_ENOTCONN),
        (lambda stream: stream.write(b"x"), errno.UV_ENOTCONN),
        (lambda stream: stream.write(b"x", print), errno.UV_ENOTCONN),
        (lambda stream: stream.try_write(b"x"), errno.UV_ENOTCONN),
        (lambda stream: stream.shutdown(), errno.UV_ENOTCONN),
        (lambda stream: stream.listen(print), errno.UV_EDESTADDRREQ),
        (lambda stream: stream.accept(make(stream.loop)), errno.UV_EINVAL),
        (lambda stream: stream.open(0x7FFFFFF), errno.UV_EBADF),
        (lambda stream: stream.fileno(), errno.UV_EBADF),
        (lambda stream: stream.getsockname(), errno.UV_EBADF),
        (lambda stream: stream.getpeername(), errno.UV_EBADF),
        (lambda stream: stream.send_buffer_size, errno.UV_EBADF),
        (lambda stream: setattr(stream, "receive_buffer_size", 1), errno.UV_EBADF),
        (lambda stream: stream.set_blocking(True), errno.UV_EBADF),
        (lambda stream: stream.detach(), errno.UV_EBADF),
    ]


WRONG_CALLS: list[tuple[type[Any], type[error.HandleError], list[tuple[Callable[[Any], object], int]]]] = [
    (
        ferrule.Pipe,
        error.PipeError,
        [
            *stream_calls(ferrule.Pipe),
            (lambda pipe: pipe.bind("/nowhere/at/all"), errno.UV_ENOENT),
            (lambda pipe: pipe.connect("", print), errno.UV_EINVAL),
            (lambda pipe: pipe.start_read2(print), errno.UV_EINVAL),
            (lambda pipe: pipe.write(b"x", None, pipe), errno.UV_EINVAL),
            (lambda pipe: pipe.pending_instances(0), errno.UV_EINVAL),
            (lambda pipe: pipe.accept_fd(), errno.UV_EINVAL),
            (lambda pipe: pipe.peer_credentials(), errno.UV_ENOTCONN),
        ],
    ),
    (
        ferrule.TCP,
        error.TCPError,
        [
            *stream_calls(ferrule.TCP),
            (lambda tcp: tcp.bind(("no address", 0)), errno.FER_EADDRESS),
            (lambda tcp: tcp.bind(("192.0.2.1", 0)), errno.UV_EADDRNOTAVAIL),
            (lambda tcp: tcp.connect(("no address", 0), print), errno.FER_EADDRESS),
        ],
    ),
    (
        ferrule.UDP,
        error.UDPError,
        [
            (lambda udp: udp.send(None, b"x"), errno.UV_EDESTADDRREQ),
            (lambda udp: udp.try_send(None, b"x"), errno.UV_EDESTADDRREQ),
            (lambda udp: udp.send(("no address", 9), b"x", print), errno.FER_EADDRESS),
            (lambda udp: udp.bind(("192.0.2.1", 0)), errno.UV_EADDRNOTAVAIL),
            (lambda udp: udp.disconnect(), errno.UV_ENOTCONN),
            (lambda udp: udp.set_ttl(1), errno.UV_EBADF),
            (lambda udp: udp.set_membership("224.0.0.1", ferrule.UV_JOIN_GROUP), errno.UV_EBADF),
            (lambda udp: udp.getsockname(), errno.UV_EBADF),
            (lambda udp: udp.open(0x7FFFFFF), errno.UV_EBADF),
            (lambda udp: udp.fileno(), errno.UV_EBADF),
        ],
    ),
    (ferrule.Timer, error.TimerError, [(lambda timer: timer.again(), errno.UV_EINVAL)]),
]


@pytest.mark.parametrize(
    ("make", "kind", "calls"), WRONG_CALLS, ids=lambda value: getattr(value, "__name__", "")
)
def test_which_error_is_raised_where(loop: ferrule.Loop, make: Any, kind: Any, calls: Any) -> None:
    """As in pyuv: the class is that of the handle; a closed handle has one of its own."""
    handle = make(loop)
    for call, status in calls:
        with pytest.raises(kind) as caught:
            call(handle)
        assert caught.value.args[0] == status == caught.value.code
        assert type(error.from_status(status)) in (*type(caught.value).__mro__, error.Error)
        for other in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
            assert type(other) is type(caught.value) and other.args == caught.value.args
    handle.close()
    for call, _ in calls:
        with pytest.raises(error.HandleClosedError) as caught:
            call(handle)
        assert type(caught.value) is error.HandleClosedError and isinstance(caught.value, ValueError)
    loop.run()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (ferrule.Pipe, error.PipeError),
        (ferrule.TCP, error.TCPError),
        (ferrule.UDP, error.UDPError),
        (ferrule.Timer, error.TimerError),
        (ferrule.Async, error.AsyncError),
    ],
)
def test_which_error_another_thread_gets(loop: ferrule.Loop, make: Any, kind: Any) -> None:
    handle = make(loop)
    caught: list[BaseException] = []

    def elsewhere() -> None:
        for call in (handle.close, lambda: setattr(handle, "ref", False)):
            with pytest.raises(error.ThreadError) as raised:
                call()
            caught.append(raised.value)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [isinstance(failure, kind) for failure in caught] == [True, True]
    assert not handle.closed


def test_what_is_no_handle_has_no_error_of_handles(address: str) -> None:
    one, other = sync.pair()
    one.abort()
    other.abort()
    with ferrule.Loop() as loop:
        pass
    calls: list[Callable[[], object]] = [lambda: one.send(b"x"), loop.stop]
    for call in calls:
        with pytest.raises(error.ClosedError) as caught:
            call()
        assert not isinstance(caught.value, error.HandleError)


def test_python_is_not_needed_for_a_timer_that_ends_with_the_interpreter() -> None:
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ferrule; loop = ferrule.Loop(); timer = ferrule.Timer(loop);"
            "wakeup = ferrule.Async(loop, print); timer.start(print, 0, 0.001); wakeup.send(); loop.step(0)",
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0 and "Traceback" not in result.stderr, result.stderr
