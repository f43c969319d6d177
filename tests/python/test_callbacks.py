"""Every type of callback of the library: an exception in it, closing in it, being told in the end."""

from __future__ import annotations

import gc
import socket
import sys
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import _ferrule as c


class Stage:
    """A loop with a pipe and its peer, and a channel and its peer, all connected, used by flat functions."""

    def __init__(self, folder: Path) -> None:
        self.loop = ferrule.Loop()
        self.l = self.loop._c
        self.address = f"pipe:{folder}/channel"
        self.seen: list[Any] = []
        ours, self.peer = socket.socketpair()
        self.pipe = c.fer_pipe_new(self.l, 0)
        c.fer_pipe_open(self.pipe, ours.detach())
        self.listener = c.fer_pipe_new(self.l, 0)
        c.fer_pipe_bind(self.listener, f"{folder}/pipe", None)
        self.path = f"{folder}/pipe"
        self.server_channel: Any = None
        self.server = c.fer_server_listen(self.l, self.address, {"high_water": 1000}, self.on_channel)
        self.channel = c.fer_channel_connect(self.l, self.address, {"high_water": 1000}, self.seen.append)
        while not (self.seen and self.server_channel):
            self.loop.step(None)
        assert self.seen.pop() == 0

    def on_channel(self, status: int, channel: Any) -> None:
        self.server_channel = channel

    def close(self) -> None:
        self.loop.close()
        self.peer.close()
        for handle in (self.pipe, self.listener):
            c.fer_handle_unref(handle)
        for channel in (self.channel, self.server_channel):
            c.fer_channel_unref(channel)
        c.fer_server_unref(self.server)


@pytest.fixture
def stage(folder: Path) -> Iterator[Stage]:
    made = Stage(folder)
    yield made
    made.close()


# --- One entry for each type of callback: how to have it called with `cb` ---------------------------------------


def posted(stage: Stage, cb: Any) -> None:
    c.fer_loop_post(stage.l, cb)


def connection(stage: Stage, cb: Any) -> None:
    c.fer_stream_listen(stage.listener, 0, cb)
    raw = socket.socket(socket.AF_UNIX)
    raw.connect(stage.path)
    raw.close()


def read(stage: Stage, cb: Any) -> None:
    c.fer_stream_read_start(stage.pipe, cb)
    stage.peer.send(b"data")


def end_of_stream(stage: Stage, cb: Any) -> None:
    c.fer_stream_read_start(stage.pipe, cb)
    stage.peer.shutdown(socket.SHUT_WR)


def pipe_connected(stage: Stage, cb: Any) -> None:
    c.fer_stream_listen(stage.listener, 0, lambda status: None)
    pipe = c.fer_pipe_new(stage.l, 0)
    c.fer_pipe_connect(pipe, stage.path, cb)
    c.fer_handle_unref(c.fer_handle_ref(pipe))
    stage.extra = pipe  # type: ignore[attr-defined]


def written(stage: Stage, cb: Any) -> None:
    c.fer_stream_write(stage.pipe, (b"data", cb))


def shut_down(stage: Stage, cb: Any) -> None:
    c.fer_stream_shutdown(stage.pipe, cb)


def handle_closed(stage: Stage, cb: Any) -> None:
    c.fer_handle_close(stage.pipe, cb)


def channel_connected(stage: Stage, cb: Any) -> None:
    stage.extra_channel = c.fer_channel_connect(stage.l, stage.address, None, cb)  # type: ignore[attr-defined]


def connect_failed(stage: Stage, cb: Any) -> None:
    stage.extra_channel = c.fer_channel_connect(  # type: ignore[attr-defined]
        stage.l, stage.address + "-none", {"connect_timeout_ms": 1}, cb
    )


def messages(stage: Stage, cb: Any) -> None:
    c.fer_channel_receive(stage.channel, cb)
    c.fer_channel_send(stage.server_channel, (b"message", None))


def messages_end(stage: Stage, cb: Any) -> None:
    c.fer_channel_receive(stage.channel, cb)
    c.fer_channel_abort(stage.server_channel)


def sent(stage: Stage, cb: Any) -> None:
    c.fer_channel_send(stage.channel, (b"message", cb))


def drain(stage: Stage, cb: Any) -> None:
    c.fer_channel_on_drain(stage.channel, cb)
    c.fer_channel_send(stage.channel, (bytes(8 << 20), None))
    c.fer_channel_receive(stage.server_channel, lambda status, messages: None)


def channel_closed(stage: Stage, cb: Any) -> None:
    c.fer_channel_close(stage.channel, cb)
    c.fer_channel_abort(stage.channel)


def server_channel(stage: Stage, cb: Any) -> None:
    address = stage.address + "-2"
    stage.extra_server = c.fer_server_listen(stage.l, address, None, cb)  # type: ignore[attr-defined]
    stage.extra_channel = c.fer_channel_connect(stage.l, address, None, lambda status: None)  # type: ignore[attr-defined]


def server_closed(stage: Stage, cb: Any) -> None:
    c.fer_server_close(stage.server, cb)


TYPES = {
    function.__name__: function
    for function in [
        posted,
        connection,
        read,
        end_of_stream,
        pipe_connected,
        written,
        shut_down,
        handle_closed,
        channel_connected,
        connect_failed,
        messages,
        messages_end,
        sent,
        drain,
        channel_closed,
        server_channel,
        server_closed,
    ]
}

ONE_SHOT = [
    "posted",
    "pipe_connected",
    "written",
    "shut_down",
    "handle_closed",
    "channel_connected",
    "connect_failed",
    "sent",
    "channel_closed",
    "server_closed",
]

FIRST = {
    "end_of_stream": (c.FER_EOF, None),
    "read": (0, b"data"),
    "handle_closed": (),
    "drain": (),
    "server_closed": (),
    "connect_failed": (c.FER_ENOENT,),
    "messages": (0, [b"message"]),
    "messages_end": (c.FER_ECONNRESET, []),
    "channel_closed": (c.FER_ECANCELED,),
}


@pytest.fixture(params=list(TYPES))
def trigger(request: pytest.FixtureRequest, stage: Stage) -> Iterator[Callable[[Any], None]]:
    """Has one type of callback called with what is given."""

    def call(cb: Any) -> None:
        TYPES[request.param](stage, cb)

    call.name = request.param  # type: ignore[attr-defined]
    yield call
    stage.loop.close()
    for name, unref in (
        ("extra", c.fer_handle_unref),
        ("extra_channel", c.fer_channel_unref),
        ("extra_server", c.fer_server_unref),
    ):
        if hasattr(stage, name):
            unref(getattr(stage, name))


def keep(arguments: tuple[Any, ...]) -> None:
    """A server's callback gets a reference to a channel: drop it."""
    if len(arguments) == 2 and "fer_channel" in repr(arguments[1]):
        c.fer_channel_unref(arguments[1])


def test_each_is_called_with_what_it_is_about(stage: Stage, trigger: Any) -> None:
    calls: list[tuple[Any, ...]] = []

    def cb(*arguments: Any) -> None:
        keep(arguments)
        calls.append(arguments)

    trigger(cb)
    assert calls == []  # Never before the function that took it has returned.
    while not calls:
        stage.loop.step(None)
    if trigger.name == "server_channel":
        assert calls[0][0] == 0
    else:
        assert calls[0] == FIRST.get(trigger.name, (0,))
    if trigger.name in ONE_SHOT:
        stage.loop.close()
        assert len(calls) == 1


@pytest.mark.parametrize("exception", [ValueError, KeyboardInterrupt, SystemExit])
def test_what_each_raises_comes_out_of_run(
    stage: Stage, trigger: Any, exception: type[BaseException]
) -> None:
    left = ["from the callback"]

    def cb(*arguments: Any) -> None:
        keep(arguments)
        if left:
            raise exception(left.pop())

    trigger(cb)
    with pytest.raises(exception) as caught:
        stage.loop.run()
    assert str(caught.value) == "from the callback"
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-1] == "cb"
    assert "run" in frames
    assert caught.value.__context__ is None
    # The loop goes on.
    stage.loop.post(stage.seen.append, "later")
    while "later" not in stage.seen:
        stage.loop.step(None)


def test_everything_may_be_closed_in_each(stage: Stage, trigger: Any) -> None:
    closed: list[str] = []

    def cb(*arguments: Any) -> None:
        keep(arguments)
        for number, handle in enumerate((stage.pipe, stage.listener)):
            c.fer_handle_close(handle, lambda number=number: closed.append(f"handle {number}"))  # type: ignore[misc]
        for number, channel in enumerate((stage.channel, stage.server_channel)):
            c.fer_channel_abort(channel)
            c.fer_channel_close(channel, lambda status, number=number: closed.append(f"channel {number}"))  # type: ignore[misc]
        c.fer_server_close(stage.server, lambda: closed.append("server"))
        for name, unref in (
            ("extra", c.fer_handle_unref),
            ("extra_channel", c.fer_channel_unref),
            ("extra_server", c.fer_server_unref),
        ):
            if hasattr(stage, name):
                unref(getattr(stage, name))
                delattr(stage, name)

    trigger(cb)
    stage.loop.run()
    assert set(closed) == {"handle 0", "handle 1", "channel 0", "channel 1", "server"}
    assert not stage.loop.alive


def test_each_is_let_go_in_the_end(stage: Stage, trigger: Any) -> None:
    """One-shot ones after their call, registered ones after their last."""

    class Callback:
        def __call__(self, *arguments: Any) -> None:
            keep(arguments)
            calls.append(arguments)

    calls: list[Any] = []
    cb = Callback()
    alive = weakref.ref(cb)
    trigger(cb)
    del cb
    assert alive() is not None
    while not calls:
        stage.loop.step(None)
    if trigger.name in ONE_SHOT:
        assert alive() is None
    stage.loop.close()
    for name, unref in (("extra_server", c.fer_server_unref), ("extra_channel", c.fer_channel_unref)):
        if hasattr(stage, name):
            unref(getattr(stage, name))
            delattr(stage, name)
    assert alive() is None


def test_each_is_let_go_when_the_call_fails(stage: Stage) -> None:
    class Callback:
        def __call__(self, *arguments: Any) -> None:
            raise AssertionError("called")

    def attempts(cb: Any) -> list[Callable[[], Any]]:
        return [
            lambda: c.fer_loop_post(None, cb),
            lambda: c.fer_loop_set_notify(None, cb),
            lambda: c.fer_stream_listen(None, 0, cb),
            lambda: c.fer_stream_listen(stage.pipe, 0, cb),
            lambda: c.fer_stream_read_start(stage.listener, cb),
            lambda: c.fer_stream_write(None, (b"x", cb)),
            lambda: c.fer_stream_write(stage.listener, (b"x", cb)),
            lambda: c.fer_stream_shutdown(stage.listener, cb),
            lambda: c.fer_handle_close(None, cb),
            lambda: c.fer_pipe_connect(stage.pipe, "x", cb),
            lambda: c.fer_channel_connect(stage.l, "nonsense", None, cb),
            lambda: c.fer_channel_connect(stage.l, stage.address, {"flags": 1 << 30}, cb),
            lambda: c.fer_channel_send_fds(None, (b"x", [0], cb)),
            lambda: c.fer_channel_send_fds(stage.channel, (b"x", [0], cb)),
            lambda: c.fer_channel_send_fds(stage.channel, (b"x", ["0"], cb)),  # type: ignore[list-item]
            lambda: c.fer_channel_receive(None, cb),
            lambda: c.fer_channel_on_drain(None, cb),
            lambda: c.fer_channel_send(None, (b"x", cb)),
            lambda: c.fer_channel_close(None, cb),
            lambda: c.fer_server_listen(stage.l, stage.address, None, cb),
            lambda: c.fer_server_listen(stage.l, stage.address, {"x": 1}, cb),
            lambda: c.fer_server_close(None, cb),
            lambda: c.fer_stream_write(stage.pipe, ("text", cb)),  # type: ignore[arg-type]
            lambda: c.fer_pipe_connect(stage.pipe, 7, cb),  # type: ignore[arg-type]
        ]

    for number in range(len(attempts(None))):
        cb = Callback()
        alive = weakref.ref(cb)
        with pytest.raises((ferrule.Error, TypeError)) as caught:
            attempts(cb)[number]()
        del cb, caught
        gc.collect()
        assert alive() is None, number


def test_the_second_exception_of_a_turn_is_unraisable(monkeypatch: pytest.MonkeyPatch, stage: Stage) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_value))

    def fail(text: str) -> None:
        raise ValueError(text)

    stage.loop.post(fail, "first")
    stage.loop.post(fail, "second")
    stage.loop.post(stage.seen.append, "third")
    with pytest.raises(ValueError, match="first"):
        stage.loop.run()
    assert [str(failure) for failure in told] == ["second"]
    assert stage.seen == ["third"]
    told.clear()


def test_what_is_no_callable_is_refused_everywhere(stage: Stage) -> None:
    attempt: Callable[[], object]
    for attempt in (
        lambda: c.fer_loop_post(stage.l, 7),  # type: ignore[arg-type]
        lambda: c.fer_stream_read_start(stage.pipe, "x"),  # type: ignore[arg-type]
        lambda: c.fer_stream_write(stage.pipe, (b"x", 7)),  # type: ignore[arg-type]
        lambda: c.fer_stream_write(stage.pipe, b"x"),  # type: ignore[arg-type]
        lambda: c.fer_channel_send(stage.channel, (b"x",)),  # type: ignore[arg-type]
        lambda: c.fer_channel_receive(stage.channel, 1.5),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError):
            attempt()


def test_no_callback_where_one_must_be(stage: Stage) -> None:
    attempt: Callable[[], object]
    for attempt in (
        lambda: c.fer_loop_post(stage.l, None),
        lambda: c.fer_stream_read_start(stage.pipe, None),
        lambda: c.fer_pipe_connect(c.fer_pipe_new(stage.l, 0), "x", None),
        lambda: c.fer_channel_receive(stage.channel, None),
        lambda: c.fer_channel_connect(stage.l, stage.address, None, None),
    ):
        with pytest.raises(ValueError, match="FER_EINVAL"):
            attempt()


def test_a_wrong_kind_of_object_is_refused(stage: Any) -> None:
    attempt: Callable[[], object]
    for attempt in (
        lambda: c.fer_stream_write(stage.channel, (b"x", None)),
        lambda: c.fer_channel_send(stage.pipe, (b"x", None)),
        lambda: c.fer_loop_run(stage.pipe),
        lambda: c.fer_loop_run("loop"),  # type: ignore[arg-type]
        lambda: c.fer_server_close(stage.loop, None),
        lambda: c.fer_stream_accept(stage.listener, stage.loop),
    ):
        with pytest.raises(TypeError):
            attempt()
    for attempt in (
        lambda: c.fer_loop_run(None),
        lambda: c.fer_stream_read_stop(None),
        lambda: c.fer_channel_send(None, (b"x", None)),
        lambda: c.fer_server_address(None),
        lambda: c.fer_sync_receive(None, 0),
    ):
        with pytest.raises(ValueError, match="FER_EINVAL"):
            attempt()


def test_an_object_of_ones_own_hangs_on_a_handle_and_a_channel(stage: Stage) -> None:
    class Data:
        pass

    set_data: Any
    get: Any
    for set_data, get, owner in (
        (c.fer_handle_set_data, c.fer_handle_data, stage.pipe),
        (c.fer_channel_set_data, c.fer_channel_data, stage.channel),
    ):
        data = Data()
        alive = weakref.ref(data)
        assert get(owner) is None
        set_data(owner, data)
        assert get(owner) is data
        del data
        assert alive() is not None
        set_data(owner, None)
        assert alive() is None
