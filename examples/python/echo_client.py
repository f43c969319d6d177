"""Sends a message to an echo server and prints what comes back: echo_client.py [ADDRESS]"""

import asyncio
import sys

import ferrule


async def main() -> None:
    async with ferrule.connect(sys.argv[1] if len(sys.argv) > 1 else "pipe:echo") as channel:
        await channel.send(b"hello")
        print((await channel.recv()).decode())


asyncio.run(main())
