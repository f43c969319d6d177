"""Channels without the library: plain sockets and FIFOs, and what docs/wire-format.md says."""

import array
import collections
import errno
import fcntl
import os
import select
import socket
import struct
from typing import Optional, Union

HELLO, MESSAGE, HANDLE, GOODBYE = 1, 2, 3, 4
MAGIC = b"FERRULE\n"
VERSION = 1
MOST_IN_HELLO = 4096
MOST_IN_HANDLE = 64
MOST_SKIPPED = 1 << 20
AT_ONCE = 1 << 18
INTEGER = array.array("i").itemsize


class Ended(Exception):
    """The channel ended: args[0] is the name of the status."""


class Socket:
    """A stream that is one socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.reader = self.writer = sock.fileno()
        self.carries = sock.family == socket.AF_UNIX

    def read(self, room: int) -> "tuple[bytes, list[int]]":
        if not self.carries:
            return self.sock.recv(AT_ONCE), []
        data, ancillary, flags, _ = self.sock.recvmsg(
            AT_ONCE, socket.CMSG_SPACE(room * INTEGER) if room else 0
        )
        descriptors = array.array("i")
        for level, kind, body in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(body[: len(body) - len(body) % INTEGER])
        if flags & socket.MSG_CTRUNC:
            for descriptor in descriptors:
                os.close(descriptor)
            raise Ended("FER_EPROTO")
        return data, list(descriptors)

    def write(self, data: memoryview, descriptors: "list[int]") -> int:
        if not descriptors:
            return self.sock.send(data)
        body = array.array("i", descriptors)
        return self.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, body)])

    def close(self) -> None:
        self.sock.close()


class Fifos:
    """A stream that is two FIFOs."""

    carries = False

    def __init__(self, reads: str, writes: str) -> None:
        self.writes = writes
        self.heard = False
        self.writer = -1
        self.reader = os.open(reads, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.flock(self.reader, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def meet(self) -> bool:
        """Whether the other side is there."""
        try:
            self.writer = os.open(self.writes, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        return self.writer >= 0

    def read(self, room: int) -> "tuple[bytes, list[int]]":
        data = os.read(self.reader, AT_ONCE)
        if data:
            self.heard = True
        elif not self.heard:
            poll = select.poll()
            poll.register(self.writer, 0)
            # Nobody has opened it for writing yet, unless the other side is gone altogether.
            if not poll.poll(0):
                raise BlockingIOError
        return data, []

    def write(self, data: memoryview, descriptors: "list[int]") -> int:
        return os.write(self.writer, data)

    def close_reader(self) -> None:
        os.close(self.reader)
        self.reader = -1

    def close(self) -> None:
        for descriptor in (self.reader, self.writer):
            if descriptor >= 0:
                os.close(descriptor)


Stream = Union[Socket, Fifos]


class Channel:
    """One end of a channel."""

    def __init__(self, stream: Stream, wire: str, max_message: int, max_handles: int) -> None:
        self.stream = stream
        self.native = wire == "native"
        self.max_message = max_message
        self.max_handles = max_handles
        self.way = 0
        self.incoming = bytearray()
        self.waiting: collections.deque[int] = collections.deque()
        self.claimed: list[int] = []
        self.outgoing: collections.deque[tuple[memoryview, list[int]]] = collections.deque()
        self.queued = 0
        self.peer: Optional[tuple[int, int]] = None if self.native else (0xFFFFFFFF, 0)
        self.said_goodbye = False
        self.end: Optional[str] = None
        if self.native:
            hello = MAGIC + struct.pack(">HHIQI", VERSION, VERSION, 0, self.max_message, self.max_handles)
            self.push(struct.pack(">BBHI", HELLO, 0, 0, len(hello)) + hello)

    # Sending.

    def push(self, data: bytes, descriptors: "tuple[int, ...]" = ()) -> None:
        self.outgoing.append((memoryview(data), [os.dup(one) for one in descriptors]))
        self.queued += len(data)

    def can_send(self, size: int, handles: int) -> "Optional[str]":
        """The name of the status with which the message must be refused."""
        assert self.peer is not None
        if handles > self.peer[1] or (handles and not self.stream.carries):
            return "FER_ENOTSUP"
        if size > min(self.max_message, self.peer[0]):
            return "FER_EMSGSIZE"
        return "FER_EINVAL" if size == 0 and not self.native else None

    def send(self, data: bytes, descriptors: "list[int]", kinds: "list[int]") -> None:
        """Queue a message, in one of the ways in which descriptors may ride."""
        if not self.native:
            self.push(struct.pack(">I", len(data)))
        else:
            frames = [struct.pack(">BBHIB", HANDLE, 0, 0, 1, kind) for kind in kinds]
            way = self.way
            if frames and way == 0:
                self.push(b"".join(frames), tuple(descriptors))
            for frame, descriptor in zip(frames, descriptors):
                if way == 1:
                    self.push(frame, (descriptor,))
                elif way == 2:
                    self.push(frame[:-1])
                    self.push(frame[-1:], (descriptor,))
            self.push(struct.pack(">BBHI", MESSAGE, len(descriptors), 0, len(data)))
        if data:
            self.push(data)

    def goodbye(self) -> None:
        if not self.said_goodbye:
            self.said_goodbye = True
            self.push(struct.pack(">BBHI", GOODBYE, 0, 0, 0) if self.native else struct.pack(">I", 0))

    def flush(self) -> None:
        """Write until the kernel takes no more."""
        while self.outgoing:
            data, descriptors = self.outgoing[0]
            try:
                written = self.stream.write(data, descriptors)
            except BlockingIOError:
                return
            except (BrokenPipeError, ConnectionResetError) as error:
                self.drop_outgoing()
                # What the peer had sent before says more, if it is there.
                if not self.said_goodbye:
                    raise Ended("FER_" + errno.errorcode[error.errno or 0]) from None
                return
            for descriptor in descriptors:
                os.close(descriptor)
            self.queued -= written
            if written == len(data):
                self.outgoing.popleft()
            else:
                self.outgoing[0] = (data[written:], [])

    def drop_outgoing(self) -> None:
        for _, descriptors in self.outgoing:
            for descriptor in descriptors:
                os.close(descriptor)
        self.outgoing.clear()

    # Receiving.

    def receive(self) -> "list[tuple[bytes, list[int]]]":
        """The messages that one read brings; their descriptors are the caller's. ``end`` says how it ended."""
        messages: list[tuple[bytes, list[int]]] = []
        try:
            try:
                data, descriptors = self.stream.read(self.max_handles)
            except BlockingIOError:
                return messages
            except ConnectionResetError:
                raise Ended("FER_ECONNRESET") from None
            self.waiting.extend(descriptors)
            self.incoming += data
            self.parse(messages)
            if not data:
                clean = not self.native and not self.incoming
                raise Ended("FER_EOF" if clean else "FER_ECONNRESET")
            inside = 0 < len(self.incoming) and (len(self.incoming) < 8 or self.incoming[0] == HANDLE)
            stray = self.waiting and not self.claimed and not (self.native and inside)
            if stray or len(self.waiting) > self.max_handles:
                raise Ended("FER_EPROTO")
        except Ended as ended:
            self.end = str(ended)
        return messages

    def take(self, head: int, size: int) -> "Optional[bytes]":
        """A frame's payload when it is there, and the frame is off the buffer."""
        if len(self.incoming) < head + size:
            return None
        with memoryview(self.incoming) as view:
            data = bytes(view[head : head + size])
        del self.incoming[: head + size]
        return data

    def parse(self, messages: "list[tuple[bytes, list[int]]]") -> None:
        while self.end is None:
            if not (self.parse_native(messages) if self.native else self.parse_plain(messages)):
                return

    def parse_plain(self, messages: "list[tuple[bytes, list[int]]]") -> bool:
        if len(self.incoming) < 4:
            return False
        (size,) = struct.unpack_from(">I", self.incoming)
        if size == 0:
            raise Ended("FER_EOF")
        if size > self.max_message:
            raise Ended("FER_EMSGSIZE")
        data = self.take(4, size)
        if data is not None:
            messages.append((data, []))
        return data is not None

    def parse_native(self, messages: "list[tuple[bytes, list[int]]]") -> bool:
        if self.peer is None:
            return self.parse_hello()
        if len(self.incoming) < 8:
            return False
        kind, handles, reserved, size = struct.unpack_from(">BBHI", self.incoming)
        if kind >= 128:
            if size > MOST_SKIPPED:
                raise Ended("FER_EPROTO")
            return self.take(8, size) is not None
        if reserved or kind not in (MESSAGE, HANDLE, GOODBYE) or (handles and kind != MESSAGE):
            raise Ended("FER_EPROTO")
        if kind == HANDLE:
            if not self.max_handles or not 1 <= size <= MOST_IN_HANDLE:
                raise Ended("FER_EPROTO")
            if self.take(8, size) is None:
                return False
            if not self.waiting or len(self.claimed) == self.max_handles:
                raise Ended("FER_EPROTO")
            self.claimed.append(self.waiting.popleft())
            return True
        if handles != len(self.claimed) or (kind == GOODBYE and size):
            raise Ended("FER_EPROTO")
        if kind == GOODBYE:
            raise Ended("FER_EOF")
        if size > self.max_message:
            raise Ended("FER_EMSGSIZE")
        data = self.take(8, size)
        if data is not None:
            messages.append((data, self.claimed))
            self.claimed = []
        return data is not None

    def parse_hello(self) -> bool:
        if len(self.incoming) < 8:
            return False
        kind, handles, reserved, size = struct.unpack_from(">BBHI", self.incoming)
        if kind != HELLO or handles or reserved or not 28 <= size <= MOST_IN_HELLO:
            raise Ended("FER_EPROTO")
        data = self.take(8, size)
        if data is None:
            return False
        magic, least, most, _, max_message, max_handles = struct.unpack_from(">8sHHIQI", data)
        if magic != MAGIC or least > most:
            raise Ended("FER_EPROTO")
        if not least <= VERSION <= most:
            raise Ended("FER_EVERSION")
        self.peer = (max_message, max_handles)
        return True

    def close(self) -> None:
        for descriptor in (*self.waiting, *self.claimed):
            os.close(descriptor)
        self.drop_outgoing()
        self.stream.close()
