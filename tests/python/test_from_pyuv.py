"""Every row of the tables in docs/from-pyuv.md is true: each has a test, here or elsewhere."""

from __future__ import annotations

import importlib
import os
import re
import socket
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import errno, error
from support import ROOT

PAGE = (ROOT / "docs" / "from-pyuv.md").read_text()

# By the beginning of each row: the tests that show what it says.
THERE = {
    "`Loop`: ": "test_pyuv.test_the_members_of_a_loop test_loop.test_the_default_loop",
    "`Handle`: ": "test_pyuv.test_the_members_of_a_loop test_pyuv.test_a_timer_without_ref_does_not_hold_the_loop",
    "`Pipe`, `TCP`": "test_pyuv.test_a_program_for_pyuv_runs_unchanged test_udp.test_what_waits_for_the_kernel",
    "`Timer`, `Async`": "test_pyuv.test_a_timer_repeats_until_it_is_stopped_and_can_go_on",
    "`errno`, `error`": "test_from_pyuv.test_the_names_of_the_module",
    "`Idle`, ": "test_from_pyuv.test_the_next_turn",
    "`Signal`": "test_pyuv.test_a_wakeup_comes_from_a_signal_handler test_signals.test_another_handler_runs_and_the_loop_goes_on",
    "`Poll`": "test_tcp.test_a_descriptor_goes_in_and_out test_loop.test_embedding_by_hand",
    "`Process`, ": "test_spawn.test_spawn test_from_pyuv.test_a_process_with_a_pipe",
    "`Loop.queue_work`": "test_from_pyuv.test_work_in_another_thread",
}
DIFFERENT = {
    "what a callback raises": "test_pyuv.test_the_hook_takes_what_callbacks_raise_and_the_loop_goes_on",
    "Ctrl-C waits": "test_signals.test_ctrl_c_interrupts_a_waiting_loop",
    "`UVError` is": "test_pyuv.test_the_family_of_errors_is_that_of_pyuv",
    "what a method raises": "test_pyuv.test_which_error_is_raised_where",
    "numbers of errors": "test_status.test_every_status_has_a_number_and_the_name_of_pyuv",
    "any thread may": "test_loop.test_other_threads_are_refused test_pyuv.test_a_wakeup_comes_from_any_thread",
    "`close()` of a closed": "test_from_pyuv.test_closing_what_is_closed",
    "a handle that is dropped": "test_lifetime.test_a_dropped_pipe_warns_and_is_closed",
    "a loop goes": "test_from_pyuv.test_a_loop_that_is_dropped",
    "`Pipe.bind()`": "test_pipe_mode.test_the_mode_from_the_first_instant test_pipe_name.test_a_stale_socket_is_replaced",
    "`Timer.start()`": "test_from_pyuv.test_less_than_a_millisecond",
    "`Loop.now()`": "test_from_pyuv.test_the_time_goes_on_in_callbacks",
    "`Loop.get_timeout()`": "test_from_pyuv.test_a_loop_with_only_a_wakeup",
    "a callback may come": "test_from_pyuv.test_no_callback_before_the_call_returned",
    "`write([])`": "test_from_pyuv.test_writing_nothing",
    "`UDP.send()` tells": "test_udp.test_what_cannot_be_sent",
    "`UV_UDP_REUSEADDR`": "test_from_pyuv.test_several_sockets_share_a_port",
}


def rows(heading: str) -> list[str]:
    """The first cells of the table under a heading."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [re.split(r"(?<!\\) \| ?", line[2:])[0].strip() for line in lines[2:]]


@pytest.mark.parametrize(("heading", "known"), [("What is there", THERE), ("What is different", DIFFERENT)])
def test_every_row_has_its_test(heading: str, known: dict[str, str]) -> None:
    found = rows(heading)
    assert len(found) == len(known)
    for row in found:
        [tests] = [tests for start, tests in known.items() if row.startswith(start)]
        for name in tests.split():
            module, _, function = name.partition(".")
            assert callable(getattr(importlib.import_module(module), function)), name


# --- What is there ---------------------------------------------------------------------------------------------


def test_the_names_of_the_module() -> None:
    names = """
        UV_RUN_DEFAULT UV_RUN_ONCE UV_RUN_NOWAIT UV_TCP UV_TCP_IPV6ONLY UV_UDP UV_UDP_IPV6ONLY UV_UDP_PARTIAL
        UV_UDP_REUSEADDR UV_NAMED_PIPE UV_JOIN_GROUP UV_LEAVE_GROUP LIBUV_VERSION Loop Handle Pipe TCP UDP Timer Async
    """
    for name in names.split():
        assert hasattr(ferrule, name)
    for name in "UVError HandleError HandleClosedError StreamError PipeError TCPError UDPError TimerError AsyncError".split():
        assert issubclass(getattr(error, name), error.UVError)
    assert errno.UV_EOF == errno.FER_EOF and errno.strerror(errno.UV_EOF)


def test_the_next_turn(loop: ferrule.Loop) -> None:
    """What Idle, Prepare and Check are there for."""
    turns: list[int] = []

    def again(number: int) -> None:
        turns.append(number)
        if number < 3:
            loop.post(again, number + 1)

    again(0)
    assert turns == [0]
    loop.run()
    assert turns == [0, 1, 2, 3]


def test_a_process_with_a_pipe(loop: ferrule.Loop) -> None:
    """subprocess, and one end of a socketpair() as a Pipe."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(["cat"], stdin=theirs.fileno(), stdout=theirs.fileno())
    pipe = ferrule.Pipe(loop)
    pipe.open(ours.detach())
    came: list[bytes | None] = []

    def on_read(pipe: ferrule.Pipe, data: bytes | None, failure: int | None) -> None:
        came.append(data)
        if data is None:
            pipe.close()

    pipe.start_read(on_read)
    pipe.write(b"there and back")
    pipe.shutdown()
    loop.run()
    assert process.wait() == 0 and came == [b"there and back", None]


def test_work_in_another_thread(loop: ferrule.Loop) -> None:
    done: list[tuple[int, int]] = []
    wakeup = ferrule.Async(loop, lambda wakeup: wakeup.close())

    def work() -> None:
        loop.post(done.append, (sum(range(10)), threading.get_ident()))
        wakeup.send()

    thread = threading.Thread(target=work)
    thread.start()
    loop.run()
    thread.join()
    assert [result for result, _ in done] == [45] and done[0][1] != threading.get_ident()


# --- What is different -----------------------------------------------------------------------------------------


def test_closing_what_is_closed(loop: ferrule.Loop) -> None:
    for make in (ferrule.Pipe, ferrule.TCP, ferrule.UDP, ferrule.Timer, ferrule.Async):
        calls: list[Any] = []
        handle = make(loop)
        handle.close()
        handle.close(calls.append)
        loop.run()
        assert calls == [handle]


def test_a_loop_that_is_dropped() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = ferrule.Loop()
        fd = loop.fileno()
        del loop
    assert [str(warning.message).split(" ")[0] for warning in caught] == ["unclosed"]
    with pytest.raises(OSError):
        os.fstat(fd)


def test_less_than_a_millisecond(loop: ferrule.Loop) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        timer = ferrule.Timer(loop)
        timer.start(lambda timer: timer.close(), 0.0001, 0.0001)
        assert timer.repeat == 0.001
    loop.run()


def test_the_time_goes_on_in_callbacks(loop: ferrule.Loop) -> None:
    seen: list[int] = []

    def wait_for_the_clock() -> None:
        begun = loop.now()
        while loop.now() == begun:
            time.sleep(0)
        loop.update_time()
        seen.extend((begun, loop.now()))

    loop.post(wait_for_the_clock)
    loop.run()
    assert seen[0] < seen[1]


def test_a_loop_with_only_a_wakeup(loop: ferrule.Loop) -> None:
    wakeup = ferrule.Async(loop)
    loop.step(0)
    assert loop.get_timeout() > 10**6
    wakeup.close()
    loop.step(0)
    assert loop.get_timeout() == -1


def test_no_callback_before_the_call_returned(loop: ferrule.Loop, folder: Path) -> None:
    """Also when how it ends is known at once."""
    calls: list[str] = []
    one, other = ferrule.Pipe.pair(loop)
    nowhere, udp = ferrule.Pipe(loop), ferrule.UDP(loop)
    udp.bind(("127.0.0.1", 0))
    operations: list[Callable[[Callable[..., None]], None]] = [
        lambda call: one.write(b"x", call),
        lambda call: one.shutdown(call),
        lambda call: nowhere.connect(str(folder / "nobody"), call),
        lambda call: udp.send(udp.getsockname(), b"x", call),
        lambda call: other.start_read(call),
        lambda call: udp.close(call),
    ]
    for number, operation in enumerate(operations):
        operation(lambda *_, number=number: calls.append(f"call {number}"))
        assert not calls
    while len(set(calls)) < len(operations):
        loop.step(None)


def test_writing_nothing(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    told: list[int | None] = []
    one.write([], lambda pipe, failure: told.append(failure))
    assert not told
    loop.step(0)
    assert told == [None]
    other.close()


def test_several_sockets_share_a_port(loop: ferrule.Loop) -> None:
    assert ferrule.UV_UDP_REUSEADDR == ferrule.UV_UDP_REUSEPORT
    one, other = ferrule.UDP(loop), ferrule.UDP(loop)
    one.bind(("127.0.0.1", 0), ferrule.UV_UDP_REUSEADDR)
    other.bind(one.getsockname(), ferrule.UV_UDP_REUSEADDR)
    assert one.getsockname() == other.getsockname()
    with socket.socket(fileno=os.dup(one.fileno())) as made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
