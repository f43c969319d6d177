"""Ferrule without an event loop, both sides: ferrule_sync.py serve|drive PATH MODE SIZE SECONDS"""

from __future__ import annotations

import sys

from ferrule import error, sync
from task import Tally, Task, now, ready, result

HAS_SEND_MANY = hasattr(sync.Channel, "send_many")
HAS_RECV_MANY = hasattr(sync.Channel, "recv_many")


def serve(task: Task) -> None:
    tally = Tally(task)
    with sync.listen("pipe:" + task.path) as server:
        ready()
        channel = server.accept()
    with channel:
        try:
            while task.streams and HAS_RECV_MANY:
                tally.add_many(channel.recv_many())
        except error.EndOfStream:
            pass
        else:
            for message in channel:
                tally.add(message)
                if not task.streams:
                    channel.send(message)
        result(task, tally.count, now() - tally.started)


def drive_stream(task: Task, channel: sync.Channel) -> int:
    count = 0
    for messages in task.rounds():
        if HAS_SEND_MANY:
            channel.send_many(messages)
        else:
            for message in messages:
                channel.send(message)
        count += len(messages)
    return count


def drive_rtt(task: Task, channel: sync.Channel) -> int:
    tally = Tally(task)
    for messages in task.rounds():
        for message in messages:
            channel.send(message)
            tally.add(channel.recv())
    return tally.count


def drive(task: Task) -> None:
    with sync.connect("pipe:" + task.path) as channel:
        started = now()
        count = (drive_stream if task.streams else drive_rtt)(task, channel)
        ended = now()
    result(task, count, ended - started)


def main() -> None:
    task = Task(sys.argv[1:])
    (serve if task.serves else drive)(task)


main()
