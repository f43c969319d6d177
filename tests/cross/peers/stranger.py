"""A peer that does not know the library: plain sockets, and what docs/wire-format.md says.

It takes the arguments of the other peers and prints what they print, as far as README.md says. It sends the descriptors of
its messages in turn in each of the ways that the page allows.
"""

import argparse
import collections
import contextlib
import os
import select
import socket
from typing import Optional

from common import Result, contents, expand, handle_is_good, make_handle, say, tells
from stranger_wire import Channel, Ended, Fifos, Socket, Stream

MOST_HANDLES = 64
HIGH_WATER = 1 << 20
MOST_LEAVING_MS = 100
KIND_BYTES = (4, 1, 2, 3)


class Peer:
    """One run of the program."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.result = Result()
        self.channels: list[Channel] = []
        self.opened: set[Channel] = set()
        self.listener: Optional[socket.socket] = None
        self.fifos: Optional[tuple[str, str]] = None
        self.meeting: Optional[Fifos] = None
        self.left = collections.deque(arguments.sizes or ())
        self.awaited = 0
        self.made = 0
        self.seen = 0
        self.marks: list[tuple[int, int]] = []

    # Meeting.

    def listen(self) -> None:
        kind, _, place = self.arguments.address.partition(":")
        address = self.arguments.address
        if kind == "fifo":
            reads, writes = place.split(",")
            for path in (reads, writes):
                with contextlib.suppress(FileExistsError):
                    os.mkfifo(path, 0o600)
            self.fifos = (reads, writes)
            self.meeting = Fifos(reads, writes)
            address = f"fifo:{writes},{reads}"
        elif kind == "tcp":
            host, _, port = place.rpartition(":")
            self.listener = socket.create_server((host, int(port)))
            address = f"tcp:{host}:{self.listener.getsockname()[1]}"
        else:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(place)
            self.listener.listen()
        say(f"at {address}")
        say("ready")

    def connect(self) -> None:
        kind, _, place = self.arguments.address.partition(":")
        if kind == "fifo":
            self.meeting = Fifos(*place.split(","))
            return
        sock = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
        host, _, port = place.rpartition(":")
        sock.connect((host, int(port)) if kind == "tcp" else place)
        self.add(Socket(sock))

    def add(self, stream: Stream) -> None:
        arguments = self.arguments
        channel = Channel(stream, arguments.wire, arguments.max_message, arguments.max_handles)
        self.channels.append(channel)
        self.serve(channel, 0)

    # Working.

    def take(self, channel: Channel, data: bytes, handles: "list[int]") -> None:
        action = self.arguments.action
        if action == "echo":
            kinds = [KIND_BYTES[(self.seen + number) % 4] for number in range(len(handles))]
            self.seen += len(handles)
            channel.way = self.result.messages % 3
            channel.send(data, handles, kinds)
            self.result.count(len(data), len(handles))
        elif action != "send":
            good = True
            for handle in handles:
                good &= handle_is_good(handle, self.seen)
                if action == "ping":
                    good &= self.marks[self.seen : self.seen + 1] == [tells(handle)]
                self.seen += 1
            self.result.check(data, len(handles), good)
        for handle in handles:
            os.close(handle)

    def feed(self, channel: Channel) -> None:
        """Send while there is room, and close when all is done."""
        while self.left and channel.queued < HIGH_WATER:
            size, count = self.left.popleft()
            refusal = channel.can_send(size, count)
            if refusal == "FER_ENOTSUP":
                self.result.refused += 1
                continue
            if refusal is not None:
                self.result.end = refusal
                self.left.clear()
                channel.goodbye()
                return
            handles = [make_handle(self.made + number) for number in range(count)]
            kinds = [KIND_BYTES[(self.made + number) % 4] for number in range(count)]
            self.made += count
            self.marks += map(tells, handles)
            channel.way = self.awaited % 3
            channel.send(contents(self.awaited, size), handles, kinds)
            for handle in handles:
                os.close(handle)
            self.awaited += 1
            if self.arguments.action == "send":
                self.result.count(size, count)
        if not self.left and (self.arguments.action == "send" or self.result.messages == self.awaited):
            channel.goodbye()

    def serve(self, channel: Channel, events: int) -> None:
        try:
            if events & ~select.POLLOUT:
                for data, handles in channel.receive():
                    self.take(channel, data, handles)
            if channel.peer is not None and channel not in self.opened:
                self.opened.add(channel)
                say("open")
            if channel.end is None and channel in self.opened and self.arguments.action in ("send", "ping"):
                self.feed(channel)
            if channel.end == "FER_EOF":
                channel.goodbye()
            channel.flush()
        except Ended as ended:
            channel.end = channel.end or str(ended)
        if channel.end is not None and (channel.end != "FER_EOF" or not channel.outgoing):
            self.finish(channel)

    def finish(self, channel: Channel) -> None:
        own_end = self.arguments.action in ("send", "ping") and channel.said_goodbye
        # One that failed its handshake does not count for a server.
        if (channel in self.opened or self.listener is None) and not (own_end and channel.end == "FER_EOF"):
            self.result.end = channel.end or "FER_OK"
            self.result.unsent = channel.queued
        self.channels.remove(channel)
        self.opened.discard(channel)
        if self.fifos is not None and self.arguments.action == "echo":
            self.leave(channel)
        else:
            channel.close()

    def leave(self, channel: Channel) -> None:
        """The next client on FIFOs can come when the one before it has closed them.

        The one that is read is closed at once, so that nobody begins to write. The end of the client shows on the other,
        unless the next one has opened that already.
        """
        assert self.fifos is not None
        assert isinstance(channel.stream, Fifos)
        channel.stream.close_reader()
        poll = select.poll()
        poll.register(channel.stream.writer, 0)
        poll.poll(MOST_LEAVING_MS)
        channel.close()
        self.meeting = Fifos(*self.fifos)

    def turn(self) -> bool:
        """Wait for something, and see to it. False when the input has ended."""
        poll = select.poll()
        poll.register(0, select.POLLIN)
        if self.listener is not None:
            poll.register(self.listener, select.POLLIN)
        by_fd: dict[int, Channel] = {}
        for channel in self.channels:
            reads = select.POLLIN if channel.queued < HIGH_WATER or self.arguments.action != "echo" else 0
            writes = select.POLLOUT if channel.outgoing else 0
            if channel.stream.reader == channel.stream.writer:
                poll.register(channel.stream.reader, reads | writes)
            else:
                poll.register(channel.stream.reader, reads)
                poll.register(channel.stream.writer, writes)
            by_fd[channel.stream.reader] = by_fd[channel.stream.writer] = channel
        # Nothing tells when somebody opens a FIFO for reading.
        for descriptor, events in poll.poll(5 if self.meeting is not None else None):
            if descriptor == 0 and not os.read(0, 4096):
                return False
            if descriptor in by_fd and by_fd[descriptor] in self.channels:
                self.serve(by_fd[descriptor], events)
            elif self.listener is not None and descriptor == self.listener.fileno():
                self.add(Socket(self.listener.accept()[0]))
        if self.meeting is not None and self.meeting.meet():
            self.add(self.meeting)
            self.meeting = None
        return True

    def run(self) -> None:
        if self.arguments.role == "listen":
            self.listen()
        else:
            self.connect()
        served = False
        while self.turn():
            served |= bool(self.opened)
            if served and not self.channels and self.arguments.action != "echo":
                break
            if self.arguments.role == "connect" and not self.channels and self.meeting is None:
                break
        for channel in self.channels:
            channel.close()
        self.clean()
        self.result.say()

    def clean(self) -> None:
        if self.listener is not None:
            self.listener.close()
            if self.arguments.address.startswith("pipe:"):
                os.unlink(self.arguments.address[len("pipe:") :])
        for path in self.fifos or ():
            os.unlink(path)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["listen", "connect"])
    parser.add_argument("address")
    parser.add_argument("action", choices=["echo", "collect", "send", "ping"])
    parser.add_argument("sizes", nargs="?", type=expand)
    parser.add_argument("--wire", default="native")
    parser.add_argument("--max-message", type=int, default=64 << 20)
    parser.add_argument("--max-handles", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.max_handles > MOST_HANDLES:
        parser.error("too many handles")
    Peer(arguments).run()


if __name__ == "__main__":
    main()
