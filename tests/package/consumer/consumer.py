"""A program by somebody who knows only the installed package: a message there and back."""

import asyncio
import sys

import ferrule


async def echo(channel: ferrule.Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def main(address: str) -> bytes:
    async with ferrule.listen(address, echo):
        async with ferrule.connect(address) as channel:
            await channel.send(b"hello")
            return await channel.recv()


print(ferrule.__version__)
print(asyncio.run(main(sys.argv[1])).decode())
print(ferrule.__file__)
