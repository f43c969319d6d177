"""Sends every message back to the client it came from: echo_server.py [ADDRESS]"""

import asyncio
import sys

import ferrule


async def echo(channel: ferrule.Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def main() -> None:
    async with ferrule.listen(sys.argv[1] if len(sys.argv) > 1 else "pipe:echo", echo) as server:
        print(f"listening at {server.address}", flush=True)
        await server.serve_forever()


try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
