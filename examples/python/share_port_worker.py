"""Answers HTTP clients at a port that examples/node/share_port.mjs owns, and sends: share_port_worker.py [ADDRESS]"""

from __future__ import annotations

import argparse
import asyncio
import os

import ferrule


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request."""
    await reader.readuntil(b"\r\n\r\n")
    body = f"answered by Python, process {os.getpid()}\n".encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


async def main(address: str) -> None:
    async with ferrule.connect(address, max_handles=1) as channel:
        message = await channel.recv_message()
        listener = message.handles[0].to_socket()
        listener.setblocking(False)
        server = await asyncio.start_server(answer, sock=listener)
        print(f"serving {message.decode()}", flush=True)
        async for news in channel:  # Until the owner says goodbye.
            print(news.decode())
        server.close()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address", nargs="?", default="pipe:share_port")
try:
    asyncio.run(main(parser.parse_args().address))
except ConnectionResetError:
    print("the owner is gone")
