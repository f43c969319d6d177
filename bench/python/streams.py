"""asyncio's streams, a length in front of each message, both sides.

streams.py asyncio|uvloop serve|drive PATH MODE SIZE SECONDS
"""

from __future__ import annotations

import asyncio
import sys

import loops
from task import HEADER, Tally, Task, now, ready, result

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def read_message(reader: Reader) -> bytes | None:
    """None at the end of the stream."""
    try:
        header = await reader.readexactly(HEADER)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    return await reader.readexactly(int.from_bytes(header, "big"))


async def serve(task: Task) -> None:
    tally = Tally(task)
    frames = task.frames()
    ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def on_client(reader: Reader, writer: Writer) -> None:
        try:
            while (message := await read_message(reader)) is not None:
                tally.add(message)
                if not task.streams:
                    writer.write(frames[(tally.count - 1) % len(frames)])
                    await writer.drain()
            ended.set_result(now())
            writer.close()
        except BaseException as error:
            ended.set_exception(error)

    server = await asyncio.start_unix_server(on_client, task.path)
    ready()
    seconds = await ended - tally.started
    server.close()
    result(task, tally.count, seconds)


async def drive(task: Task) -> None:
    reader, writer = await asyncio.open_unix_connection(task.path)
    frames = task.frames()
    tally = Tally(task)
    count = 0
    started = now()
    while count == 0 or now() - started < task.seconds:
        for frame in frames:
            writer.write(frame)
            await writer.drain()
            if not task.streams:
                message = await read_message(reader)
                if message is None:
                    sys.exit("bench: the stream ended too early")
                tally.add(message)
        count += len(frames)
    ended = now()
    writer.close()
    await writer.wait_closed()
    result(task, count, ended - started)


def main() -> None:
    task = Task(sys.argv[2:])
    loops.run(sys.argv[1], serve(task) if task.serves else drive(task))


main()
