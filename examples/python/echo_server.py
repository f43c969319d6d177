"""Sends every message back to the client it came from: echo_server.py [ADDRESS]"""

import argparse
import asyncio

import ferrule


async def echo(channel: ferrule.Channel) -> None:
    async for message in channel:
        await channel.send(message)


async def main(address: str) -> None:
    async with ferrule.listen(address, echo) as server:
        print(f"listening at {server.address}", flush=True)
        await server.serve_forever()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address", nargs="?", default="pipe:echo")
try:
    asyncio.run(main(parser.parse_args().address))
except KeyboardInterrupt:
    pass
