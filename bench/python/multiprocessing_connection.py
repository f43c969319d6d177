"""multiprocessing.connection, both sides: multiprocessing_connection.py serve|drive PATH MODE SIZE SECONDS"""

from __future__ import annotations

import sys
from multiprocessing.connection import Client, Connection, Listener

from task import Tally, Task, now, ready, result


def serve(task: Task) -> None:
    tally = Tally(task)
    with Listener(task.path, "AF_UNIX") as listener:
        ready()
        connection = listener.accept()
    with connection:
        try:
            while True:
                message = connection.recv_bytes()
                tally.add(message)
                if not task.streams:
                    connection.send_bytes(message)
        except EOFError:
            result(task, tally.count, now() - tally.started)


def drive_stream(task: Task, connection: Connection) -> int:
    count = 0
    for messages in task.rounds():
        for message in messages:
            connection.send_bytes(message)
        count += len(messages)
    return count


def drive_rtt(task: Task, connection: Connection) -> int:
    tally = Tally(task)
    for messages in task.rounds():
        for message in messages:
            connection.send_bytes(message)
            tally.add(connection.recv_bytes())
    return tally.count


def drive(task: Task) -> None:
    with Client(task.path, "AF_UNIX") as connection:
        started = now()
        count = (drive_stream if task.streams else drive_rtt)(task, connection)
        ended = now()
    result(task, count, ended - started)


def main() -> None:
    task = Task(sys.argv[1:])
    (serve if task.serves else drive)(task)


main()
