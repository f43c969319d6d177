"""A program by somebody who knows only the installed package: two processes, a message between them, and a file with it.

It prints the version, what the other process wrote into the file, and the libraries that are loaded.
"""

import asyncio
import sys
import tempfile

import ferrule


def be_patient() -> None:
    """A machine that is busy is nothing for asyncio to report."""
    asyncio.get_running_loop().slow_callback_duration = 60


async def child() -> None:
    be_patient()
    async with ferrule.parent(max_handles=1) as channel:
        message = await channel.recv_message()
        with open(message.handles[0].detach(), "wb") as file:
            file.write(message + b", written by the other process")
        await channel.send(b"done")
        # The channel's end is the parent's to say.
        async for unexpected in channel:
            raise ValueError(unexpected)


async def parent() -> str:
    be_patient()
    with tempfile.TemporaryFile() as file:
        async with ferrule.spawn(sys.executable, __file__, "child") as other:
            await other.channel.send(b"hello", handles=[file])
            assert await other.channel.recv() == b"done"
        assert other.returncode == 0
        file.seek(0)
        return file.read().decode()


async def knows_the_secret(address: str) -> bool:
    """The proof of a secret is libsodium's work."""

    async def greet(channel: ferrule.Channel) -> None:
        await channel.send(b"welcome")

    be_patient()
    async with ferrule.listen(address, greet, secret="open sesame"):
        async with ferrule.connect(address, secret="open sesame") as channel:
            return await channel.recv() == b"welcome"


def libraries() -> list[str]:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return sorted({line.split(maxsplit=5)[5].rstrip("\n") for line in maps if ".so" in line})


if sys.argv[1] == "child":
    asyncio.run(child())
else:
    print(ferrule.__version__)
    print(asyncio.run(parent()))
    assert asyncio.run(knows_the_secret(sys.argv[1]))
    print(*libraries(), sep="\n")
