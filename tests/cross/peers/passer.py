"""The passer in Python: gives a handle to another process, takes one, or relays it. ../README.md describes it."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Callable

import ferrule

HERE = ("127.0.0.1", 0)
SERVED = b"served\n"
KINDS = {ferrule.UV_TCP: ferrule.TCP, ferrule.UV_UDP: ferrule.UDP, ferrule.UV_NAMED_PIPE: ferrule.Pipe}

loop = ferrule.Loop()


def check(error: int | None) -> None:
    """No callback has anything but success to tell. What this raises comes out of the loop's run()."""
    if error:
        raise ferrule.error.from_status(error)


def expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise ValueError(f"{found!r} instead of {wanted!r}")


# --- give ------------------------------------------------------------------------------------------------------


def read_all(stream: ferrule.Stream, then: Callable[[bytes], None]) -> None:
    """Read up to the end of the stream, and close it."""
    data = bytearray()

    def on_read(stream: ferrule.Stream, part: bytes | None, error: int | None) -> None:
        if part is not None:
            data.extend(part)
            return
        expect(error, ferrule.errno.FER_EOF)
        stream.close()
        then(bytes(data))

    stream.start_read(on_read)


class Giver:
    """Makes a handle, passes it, and proves that it works where it arrived."""

    def __init__(self, address: str, kind: str) -> None:
        self.address = address
        self.proven = False
        self.handle: Any = None
        self.prove: Callable[[], None] = self.done
        self.pipe = ferrule.Pipe(loop, ipc=True)
        getattr(self, f"make_{kind.replace('-', '_')}")()

    def connect(self) -> None:
        """The handle is made."""
        self.pipe.connect(self.address, self.on_connected)

    def on_connected(self, pipe: ferrule.Pipe, error: int | None) -> None:
        check(error)
        pipe.write(b"h", self.on_passed, self.handle)

    def on_passed(self, pipe: ferrule.Pipe, error: int | None) -> None:
        check(error)
        # The receiver alone has it from now on.
        self.handle.close()
        self.prove()

    def done(self, data: bytes = SERVED) -> None:
        expect(data, SERVED)
        self.pipe.close()
        self.proven = True

    # Each makes the handle, and says how it is proven.

    def make_tcp_bound(self) -> None:
        self.handle = ferrule.TCP(loop)
        self.handle.bind(HERE)
        address = self.handle.getsockname()
        self.prove = lambda: self.connect_until_served(address)
        self.connect()

    def make_tcp_listening(self) -> None:
        self.make_tcp_bound()
        self.handle.listen(lambda tcp, error: None)

    def connect_until_served(self, address: tuple[str, int]) -> None:
        """A socket that is bound only refuses, until who got it listens."""

        def on_connected(tcp: ferrule.TCP, error: int | None) -> None:
            if error == ferrule.errno.FER_ECONNREFUSED:
                tcp.close()
                self.connect_until_served(address)
            else:
                self.on_served(tcp, error)

        ferrule.TCP(loop).connect(address, on_connected)

    def make_pipe_listener(self) -> None:
        name = self.address + ".passed"
        self.handle = ferrule.Pipe(loop)
        self.handle.bind(name, keep_file=True)
        self.prove = lambda: ferrule.Pipe(loop).connect(name, self.on_served)
        self.connect()

    def on_served(self, stream: ferrule.Stream, error: int | None) -> None:
        check(error)
        read_all(stream, self.done)

    def make_pipe_connection(self) -> None:
        self.handle, far = ferrule.Pipe.pair(loop)
        self.prove = lambda: read_all(far, self.done)
        self.connect()

    def make_tcp_connection(self) -> None:
        listener, far = ferrule.TCP(loop), ferrule.TCP(loop)
        listener.bind(HERE)

        def on_connection(listener: ferrule.TCP, error: int | None) -> None:
            check(error)
            self.handle = ferrule.TCP(loop)
            listener.accept(self.handle)
            listener.close()
            opened(self.handle)

        def on_far_connected(far: ferrule.TCP, error: int | None) -> None:
            check(error)
            opened(far)

        def opened(end: ferrule.TCP) -> None:
            ends.append(end)
            if len(ends) == 2:
                self.connect()

        ends: list[ferrule.TCP] = []
        self.prove = lambda: read_all(far, self.done)
        listener.listen(on_connection)
        far.connect(listener.getsockname(), on_far_connected)

    def make_udp(self) -> None:
        self.handle = ferrule.UDP(loop)
        self.handle.bind(HERE)
        address = self.handle.getsockname()

        def on_pong(udp: ferrule.UDP, sender: Any, flags: int, data: Any, error: int | None) -> None:
            check(error)
            expect((sender, data), (address, b"pong"))
            udp.close()
            self.done()

        def prove() -> None:
            udp = ferrule.UDP(loop)
            udp.send(address, b"ping")
            udp.start_recv(on_pong)

        self.prove = prove
        self.connect()


# --- take ------------------------------------------------------------------------------------------------------


class Taker:
    """Takes one handle, and serves with it, or passes it on to another path."""

    def __init__(self, path: str, onward: str | None = None) -> None:
        self.onward = onward
        self.took = ""
        self.answered = False
        self.listener = ferrule.Pipe(loop)
        self.listener.bind(path)
        self.listener.listen(self.on_connection)
        print("ready", flush=True)

    def on_connection(self, listener: ferrule.Pipe, error: int | None) -> None:
        check(error)
        pipe = ferrule.Pipe(loop, ipc=True)
        listener.accept(pipe)
        listener.close()
        pipe.start_read2(self.on_read)

    def on_read(self, pipe: ferrule.Pipe, data: bytes | None, pending: int, error: int | None) -> None:
        check(error)
        expect(data, b"h")
        pipe.stop_read()
        handle = KINDS[pending](loop)
        pipe.accept(handle)
        pipe.close()
        self.took = type(handle).__name__.lower()
        if self.onward is not None:
            self.relay(handle, self.onward)
        elif isinstance(handle, ferrule.UDP):
            self.serve_udp(handle)
        else:
            self.serve_stream(handle)

    def relay(self, handle: Any, onward: str) -> None:
        def on_connected(pipe: ferrule.Pipe, error: int | None) -> None:
            check(error)
            pipe.write(b"h", self.on_answered, handle)
            # The receiver alone has it from now on.
            handle.close()

        ferrule.Pipe(loop, ipc=True).connect(onward, on_connected)

    def serve_udp(self, udp: ferrule.UDP) -> None:
        def on_ping(udp: ferrule.UDP, sender: Any, flags: int, data: Any, error: int | None) -> None:
            check(error)
            expect(data, b"ping")
            udp.send(sender, b"pong", self.on_answered)

        udp.start_recv(on_ping)

    def serve_stream(self, stream: Any) -> None:
        try:
            stream.getpeername()
        except ferrule.Error as error:
            expect(error.status, "FER_ENOTCONN")
            stream.listen(self.on_client)
        else:
            self.serve(stream)

    def on_client(self, listener: Any, error: int | None) -> None:
        check(error)
        client = type(listener)(loop)
        listener.accept(client)
        listener.close()
        self.serve(client)

    def serve(self, stream: Any) -> None:
        stream.write(SERVED)
        stream.shutdown(self.on_answered)

    def on_answered(self, stream: Any, error: int | None) -> None:
        check(error)
        stream.close()
        self.answered = True


def main() -> None:
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(dest="role", required=True)
    give, take, relay = (roles.add_parser(name) for name in ("give", "take", "relay"))
    for role in (give, take, relay):
        role.add_argument("path")
    kinds = [name[len("make_") :].replace("_", "-") for name in dir(Giver) if name.startswith("make_")]
    give.add_argument("kind", choices=kinds)
    relay.add_argument("onward")
    arguments = parser.parse_args()
    if arguments.role == "give":
        giver = Giver(arguments.path, arguments.kind)
        loop.run()
        ended = "ok" if giver.proven else ""
    else:
        taker = Taker(arguments.path, getattr(arguments, "onward", None))
        loop.run()
        ended = f"ok {taker.took}" if taker.answered else ""
    loop.close()
    if not ended:
        sys.exit("nothing happens any more")
    print(ended, flush=True)


if __name__ == "__main__":
    main()
