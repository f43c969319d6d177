"""Answers every message with its SHA-256: sha_server.py ADDRESS MAX_MESSAGE. README.md has the rest."""

import asyncio
import hashlib
import sys

import ferrule


async def serve(channel: ferrule.Channel) -> None:
    try:
        async for message in channel:
            await channel.send(hashlib.sha256(message).digest())
    except ConnectionError as error:
        # The client died. The others go on.
        print(f"sha_server: {error}", file=sys.stderr)


async def input_end() -> None:
    """Waits until whoever started us closes our standard input."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    await reader.read()


async def main() -> int:
    if len(sys.argv) != 3:
        print("usage: sha_server.py ADDRESS MAX_MESSAGE", file=sys.stderr)
        return 2
    try:
        async with ferrule.listen(sys.argv[1], serve, max_message=int(sys.argv[2])):
            print("ready", flush=True)
            await input_end()
    except ferrule.Error as error:
        print(f"failed {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
