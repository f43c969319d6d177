"""Sends a message to an echo server and prints what comes back: echo_client.py [ADDRESS]"""

import argparse
import asyncio

import ferrule


async def main(address: str) -> None:
    async with ferrule.connect(address) as channel:
        await channel.send(b"hello")
        print((await channel.recv()).decode())


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address", nargs="?", default="pipe:echo")
asyncio.run(main(parser.parse_args().address))
