"""The peer program in Python, on asyncio. ../README.md describes its arguments and its output."""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any

import ferrule
from common import KINDS, Result, contents, expand, handle_is_good, make_handle, say, tells


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
        if arguments.max_handles:
            self.options["max_handles"] = arguments.max_handles
        if arguments.close_timeout is not None:
            self.options["close_timeout"] = arguments.close_timeout / 1000
        self.made = 0
        self.seen = 0
        self.marks: list[tuple[int, int]] = []

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
        self.result.unsent = channel.unsent

    def check(self, message: ferrule.Message) -> None:
        """Notes a message, and whether it and its handles are what was sent."""
        good = True
        for handle in message.handles:
            with handle:
                good &= handle.kind == KINDS[self.seen % len(KINDS)]
                good &= handle_is_good(handle.fileno(), self.seen)
                if self.arguments.action == "ping":
                    good &= self.marks[self.seen : self.seen + 1] == [tells(handle.fileno())]
            self.seen += 1
        self.result.check(message, len(message.handles), good)

    async def echo(self, channel: ferrule.Channel) -> None:
        while True:
            message = await channel.recv_message()
            await channel.send(message, handles=message.handles)
            for handle in message.handles:
                handle.close()
            self.result.count(len(message), len(message.handles))

    async def collect(self, channel: ferrule.Channel) -> None:
        await self.going.wait()
        while True:
            self.check(await channel.recv_message())

    async def send_all(self, channel: ferrule.Channel) -> None:
        number = 0
        for size, count in self.arguments.sizes:
            handles = [make_handle(self.made + index) for index in range(count)]
            marks = [tells(handle) for handle in handles]
            try:
                await channel.send(contents(number, size), handles=handles)
            except ferrule.Error as error:
                if not handles or error.status != "FER_ENOTSUP":
                    raise
                self.result.refused += 1
                continue
            finally:
                for handle in handles:
                    os.close(handle)
            number += 1
            self.made += count
            self.marks += marks
            if self.arguments.action == "send":
                self.result.count(size, count)

    async def send(self, channel: ferrule.Channel) -> None:
        dropping = asyncio.ensure_future(self.drop(channel))
        try:
            await self.send_all(channel)
            if self.arguments.stay:
                # What was sent in a turn leaves at its end.
                await asyncio.sleep(0)
                say("accepted")
                flushing = asyncio.ensure_future(channel.flush())
                await asyncio.wait({flushing, dropping}, return_when=asyncio.FIRST_COMPLETED)
                if flushing.done() and flushing.exception() is None:
                    say("flushed")
                flushing.cancel()
                await asyncio.wait([flushing])
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
            # What is refused is not awaited; the last message never is.
            while not sending.done() or self.result.messages + self.result.refused < len(
                self.arguments.sizes
            ):
                self.check(await channel.recv_message())
            await sending
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def listen(self) -> None:
        channels: asyncio.Queue[ferrule.Channel] = asyncio.Queue()
        tasks = set()
        try:
            server = await ferrule.listen(self.arguments.address, channels.put_nowait, **self.options)
        except ferrule.Error as error:
            self.result.error = error.status
            return
        say(f"at {server.address}")
        say("ready")
        try:
            while True:
                channel = await channels.get()
                tasks.add(asyncio.ensure_future(self.serve(channel)))
                if self.arguments.action != "echo":
                    # On FIFOs the client may still be about to open the second one.
                    if not self.arguments.address.startswith("fifo:"):
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
    parser.add_argument("--max-handles", type=int, default=0)
    parser.add_argument("--close-timeout", type=int)
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
