"""The peer program in Python, on asyncio. ../README.md describes its arguments and its output."""

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Any, Optional

import ferrule

PRIME = 251
STEP = 31
PATTERN = bytes(range(PRIME))


def contents(number: int, size: int) -> bytes:
    """The contents of a message."""
    first = STEP * number % PRIME
    return (PATTERN * ((first + size) // PRIME + 1))[first : first + size]


def expand(text: str) -> list[int]:
    """A list of sizes, one for each message."""
    sizes: list[int] = []
    for word in text.split(","):
        if "x" in word:
            size, count = word.split("x")
            sizes += [int(size)] * int(count)
        elif "-" in word:
            first, last = word.split("-")
            sizes += range(int(first), int(last) + 1)
        else:
            sizes.append(int(word))
    return sizes


def say(line: str) -> None:
    print(line, flush=True)


class Result:
    """What was sent or received."""

    def __init__(self) -> None:
        self.messages = 0
        self.runs: list[list[int]] = []
        self.bad = -1
        self.end = "FER_OK"
        self.error: Optional[str] = None

    def count(self, size: int) -> None:
        self.messages += 1
        if self.runs and self.runs[-1][0] == size:
            self.runs[-1][1] += 1
        else:
            self.runs.append([size, 1])

    def check(self, message: bytes) -> None:
        if self.bad < 0 and message != contents(self.messages, len(message)):
            self.bad = self.messages
        self.count(len(message))

    def say(self) -> None:
        fields: dict[str, Any] = {
            "messages": self.messages,
            "bad": self.bad,
            "end": self.end,
            "runs": self.runs,
        }
        if self.error is not None:
            fields["error"] = self.error
        say("result " + json.dumps(fields))


class Peer:
    """One run of the program."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.result = Result()
        self.going = asyncio.Event()
        if not arguments.hold:
            self.going.set()
        self.options: dict[str, Any] = {"wire": arguments.wire}
        if arguments.max_message is not None:
            self.options["max_message"] = arguments.max_message

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Notes how the channel ends."""
        try:
            yield
        except ferrule.Error as error:
            self.result.end = error.status

    async def serve(self, channel: ferrule.Channel) -> None:
        """Does with an open channel what is to be done."""
        say("open")
        ended = self.result.end
        self.result.end = "FER_OK"
        try:
            with self.ending():
                await getattr(self, self.arguments.action)(channel)
        except asyncio.CancelledError:
            self.result.end = ended
            channel.abort()
            raise
        try:
            await channel.close()
        except ferrule.Error as error:
            if self.result.end == "FER_OK":
                self.result.end = error.status

    async def echo(self, channel: ferrule.Channel) -> None:
        while True:
            message = await channel.recv()
            await channel.send(message)
            self.result.count(len(message))

    async def collect(self, channel: ferrule.Channel) -> None:
        await self.going.wait()
        while True:
            self.result.check(await channel.recv())

    async def send_all(self, channel: ferrule.Channel) -> None:
        for number, size in enumerate(self.arguments.sizes):
            await channel.send(contents(number, size))
            if self.arguments.action == "send":
                self.result.count(size)

    async def send(self, channel: ferrule.Channel) -> None:
        dropping = asyncio.ensure_future(self.drop(channel))
        try:
            await self.send_all(channel)
            if self.arguments.stay:
                await asyncio.sleep(0)
                say("accepted")
                while channel.info["queued"] > 0 and not dropping.done():
                    await asyncio.sleep(0.001)
                if not dropping.done():
                    say("flushed")
                await dropping
        finally:
            dropping.cancel()
            await asyncio.wait([dropping])

    async def drop(self, channel: ferrule.Channel) -> None:
        while True:
            await channel.recv()

    async def ping(self, channel: ferrule.Channel) -> None:
        sending = asyncio.ensure_future(self.send_all(channel))
        try:
            for _ in self.arguments.sizes:
                self.result.check(await channel.recv())
            await sending
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def listen(self) -> None:
        channels: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
        tasks = set()
        server = await ferrule.listen(self.arguments.address, channels.put_nowait, **self.options)
        say("ready")
        try:
            while True:
                channel = await channels.get()
                tasks.add(asyncio.ensure_future(self.serve(channel)))
                if self.arguments.action != "echo":
                    await server.close()
                    await asyncio.wait(tasks)
                    return
        finally:
            await server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def connect(self) -> None:
        try:
            channel = await ferrule.connect(self.arguments.address, **self.options)
        except ferrule.Error as error:
            self.result.error = error.status
            return
        await self.serve(channel)

    async def watch_input(self) -> None:
        """Each line lets a peer that holds back go on; ends with the input."""
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while await reader.readline():
            self.going.set()

    async def run(self) -> None:
        work = asyncio.ensure_future(getattr(self, self.arguments.role)())
        watch = asyncio.ensure_future(self.watch_input())
        await asyncio.wait([work, watch], return_when=asyncio.FIRST_COMPLETED)
        for task in (work, watch):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.result.say()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["listen", "connect"])
    parser.add_argument("address")
    parser.add_argument("action", choices=["echo", "collect", "send", "ping"])
    parser.add_argument("sizes", nargs="?", type=expand)
    parser.add_argument("--wire", default="native")
    parser.add_argument("--max-message", type=int)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--stay", action="store_true")
    arguments = parser.parse_args()
    if arguments.action in ("send", "ping") and arguments.sizes is None:
        parser.error("SIZES is missing")
    return arguments


async def main() -> None:
    await Peer(parse()).run()


if __name__ == "__main__":
    asyncio.run(main())
