"""pyzmq, a DEALER on each side. An empty message is the end, and is answered with one.

zeromq.py serve|drive PATH MODE SIZE SECONDS
"""

from __future__ import annotations

import sys

import zmq
from task import Tally, Task, now, ready, result

# From this size on copying a message costs more than tracking it: zmq.COPY_THRESHOLD.
ZERO_COPY = zmq.COPY_THRESHOLD
# What a socket may queue: ZeroMQ's own default, and less of large messages.
QUEUED_MOST, QUEUED_LEAST, QUEUED_BYTES = 1000, 4, 4 << 20


def open_socket(context: zmq.Context, task: Task) -> zmq.Socket:
    socket = context.socket(zmq.DEALER)
    socket.set_hwm(max(QUEUED_LEAST, min(QUEUED_MOST, QUEUED_BYTES // task.size)))
    return socket


def receive(socket: zmq.Socket, copy: bool) -> bytes | memoryview:
    received = socket.recv(copy=copy)
    return received if isinstance(received, bytes) else received.buffer


def serve(task: Task, context: zmq.Context) -> None:
    tally = Tally(task)
    copy = task.size < ZERO_COPY
    with open_socket(context, task) as socket:
        socket.bind("ipc://" + task.path)
        ready()
        while len(message := receive(socket, copy)) > 0:
            tally.add(message)
            if not task.streams:
                socket.send(message, copy=copy)
        result(task, tally.count, now() - tally.started)
        socket.send(b"")


def drive_stream(task: Task, socket: zmq.Socket) -> int:
    count = 0
    copy = task.size < ZERO_COPY
    for messages in task.rounds():
        for message in messages:
            socket.send(message, copy=copy)
        count += len(messages)
    return count


def drive_rtt(task: Task, socket: zmq.Socket) -> int:
    tally = Tally(task)
    copy = task.size < ZERO_COPY
    for messages in task.rounds():
        for message in messages:
            socket.send(message, copy=copy)
            tally.add(receive(socket, copy))
    return tally.count


def drive(task: Task, context: zmq.Context) -> None:
    with open_socket(context, task) as socket:
        socket.connect("ipc://" + task.path)
        started = now()
        count = (drive_stream if task.streams else drive_rtt)(task, socket)
        ended = now()
        socket.send(b"")
        socket.recv()
    result(task, count, ended - started)


def main() -> None:
    task = Task(sys.argv[1:])
    with zmq.Context() as context:
        (serve if task.serves else drive)(task, context)


main()
