"""Ferrule on an event loop, both sides: ferrule_asyncio.py asyncio|uvloop[,asleep] serve|drive PATH MODE SIZE SECONDS"""

from __future__ import annotations

import asyncio
import sys

import ferrule
import loops
from task import Tally, Task, now, ready, result

LOOP, _, WAY = sys.argv[1].partition(",")
OPTIONS = {"busy_poll": 0} if WAY == "asleep" else {}
HAS_SEND_MANY = hasattr(ferrule.Channel, "send_many")


async def serve(task: Task) -> None:
    tally = Tally(task)
    ended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def on_client(channel: ferrule.Channel) -> None:
        try:
            while task.streams:
                tally.add_many(await channel.recv_many())
            async for message in channel:
                tally.add(message)
                await channel.send(message)
            ended.set_result(now())
        except ferrule.error.EndOfStream:
            ended.set_result(now())
        except BaseException as error:
            ended.set_exception(error)

    async with ferrule.listen("pipe:" + task.path, on_client, **OPTIONS):
        ready()
        seconds = await ended - tally.started
    result(task, tally.count, seconds)


async def drive_stream(task: Task, channel: ferrule.Channel) -> int:
    count = 0
    for messages in task.rounds():
        if HAS_SEND_MANY:
            await channel.send_many(messages)
        else:
            for message in messages:
                await channel.send(message)
        count += len(messages)
    return count


async def drive_rtt(task: Task, channel: ferrule.Channel) -> int:
    tally = Tally(task)
    for messages in task.rounds():
        for message in messages:
            await channel.send(message)
            tally.add(await channel.recv())
    return tally.count


async def drive(task: Task) -> None:
    async with ferrule.connect("pipe:" + task.path, **OPTIONS) as channel:
        started = now()
        count = await (drive_stream if task.streams else drive_rtt)(task, channel)
        ended = now()
    result(task, count, ended - started)


def main() -> None:
    task = Task(sys.argv[2:])
    loops.run(LOOP, serve(task) if task.serves else drive(task))


main()
