"""Waiting for the clients of a blocking server, and for channels, in one selector."""

from __future__ import annotations

import os
import selectors
import sys
import threading
from contextlib import ExitStack

import pytest
from ferrule import error, sync
from support import hello, message, own_hello, raw_connect, receive_exactly

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="epoll is Linux's")


def is_readable(server: sync.Server, timeout: float = 0) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def await_channel(server: sync.Server) -> sync.Channel:
    """Wait, and accept once, until there is a channel."""
    while True:
        assert is_readable(server, 30)
        try:
            return server.accept(0)
        except error.TimedOutError:
            pass


def settle(server: sync.Server) -> None:
    """Have the server do what there is to do, without a client that is open."""
    for _ in range(1000):
        if not is_readable(server):
            return
        with pytest.raises(error.TimedOutError):
            server.accept(0)
    pytest.fail("there is no end to it")


def test_clients_and_channels_in_one_selector(address: str) -> None:
    clients = 20
    answers: list[bytes] = []

    def ask(number: int) -> None:
        with sync.connect(address) as channel:
            channel.send(b"%d" % number)
            answers.append(channel.recv(30))

    threads = [threading.Thread(target=ask, args=[i]) for i in range(clients)]
    with sync.listen(address) as server, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        for thread in threads:
            thread.start()
        ended = 0
        while ended < clients:
            for key, _ in selector.select(30):
                channel = key.fileobj
                if channel is server:
                    try:
                        selector.register(server.accept(0), selectors.EVENT_READ)
                    except error.TimedOutError:
                        pass
                    continue
                assert isinstance(channel, sync.Channel)
                try:
                    while True:
                        channel.send(b"<%s>" % channel.recv(0))
                except error.TimedOutError:
                    pass
                except EOFError:
                    selector.unregister(channel)
                    channel.close()
                    ended += 1
        for thread in threads:
            thread.join()
        assert sorted(answers) == sorted(b"<%d>" % i for i in range(clients))
        assert not is_readable(server)


def test_clients_that_wait_behind_one_are_seen(address: str) -> None:
    with sync.listen(address) as server, ExitStack() as stack:
        for _ in range(5):
            raw = stack.enter_context(raw_connect(address))
            raw.sendall(hello() + message(b"m"))
        for _ in range(5):
            channel = await_channel(server)
            assert channel.recv(30) == b"m"
            channel.abort()
        assert not is_readable(server)


def test_a_slow_handshake(address: str) -> None:
    first = hello()
    with sync.listen(address) as server, raw_connect(address) as slow:
        for i in range(len(first) - 1):
            settle(server)
            slow.sendall(first[i : i + 1])
            assert is_readable(server, 30)
        settle(server)
        slow.sendall(first[-1:])
        await_channel(server).abort()
        assert not is_readable(server)


def test_a_client_whose_time_is_up(address: str) -> None:
    with sync.listen(address, handshake_timeout=0.03) as server, raw_connect(address) as silent:
        settle(server)
        assert is_readable(server, 30)
        settle(server)
        assert receive_exactly(silent, len(own_hello())) == own_hello()
        assert silent.recv(1) == b""


def test_what_allow_raises_comes_out_of_a_call_that_does_not_wait(address: str) -> None:
    def decide(who: object) -> bool:
        raise LookupError("who is that?")

    with sync.listen(address, allow=decide) as server, raw_connect(address) as raw:
        raw.sendall(hello())
        assert is_readable(server, 30)
        with pytest.raises(LookupError, match="who is that"):
            server.accept(0)
        settle(server)


def test_the_descriptor_ends_with_the_server(address: str) -> None:
    server = sync.listen(address)
    fd = server.fileno()
    assert server.fileno() == fd
    server.close()
    with pytest.raises(error.ClosedError):
        server.fileno()
    with pytest.raises(OSError):
        os.fstat(fd)


def test_fifos_have_none() -> None:
    with sync.listen("fifo:") as server, pytest.raises(error.NotSupportedError, match="one client at a time"):
        server.fileno()
