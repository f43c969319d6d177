"""Passes every message on to all other clients, of which a hundred may come: crowd_server.py [ADDRESS]"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import ferrule

LARGEST = 64 * 1024

# What waits to be sent to each client.
queues: set[asyncio.Queue[bytes]] = set()


async def deliver(channel: ferrule.Channel, queue: asyncio.Queue[bytes]) -> None:
    try:
        while True:
            await channel.send(await queue.get())
    except ferrule.Error:
        pass  # Receiving tells the same.


async def serve(channel: ferrule.Channel) -> None:
    # Whoever takes less than others may send has no place here.
    if channel.info["peer_max_message"] < LARGEST:
        channel.abort()
        return
    queue: asyncio.Queue[bytes] = asyncio.Queue(100)
    queues.add(queue)
    delivering = asyncio.ensure_future(deliver(channel, queue))
    try:
        async for message in channel:
            for other in queues:
                # One that does not read misses messages, and holds nobody up.
                if other is not queue and not other.full():
                    other.put_nowait(message)
    except ConnectionResetError as problem:
        print(problem, file=sys.stderr)
        channel.abort()
    finally:
        queues.remove(queue)
        delivering.cancel()


async def main(address: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Too many clients, strangers, and those that break the protocol, are warnings in the logger "ferrule".
    async with ferrule.listen(address, serve, max_channels=100, max_message=LARGEST) as server:
        print(f"listening at {server.address}", flush=True)
        await stop.wait()
        await server.drain()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address", nargs="?", default="pipe:crowd")
asyncio.run(main(parser.parse_args().address))
