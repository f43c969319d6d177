"""Sends files and checks the SHA-256 that comes back: sha_client.py ADDRESS MAX_MESSAGE LIST.

README.md has the rest.
"""

import asyncio
import hashlib
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import ferrule

WINDOW = 64
WINDOW_BYTES = 16 << 20


class Wrong(Exception):
    """Why the client cannot say that all is well."""


@dataclass
class Question:
    """A file that was sent and not answered yet."""

    name: str
    size: int
    digest: bytes


class Client:
    """Sends and checks at the same time."""

    def __init__(self, channel: ferrule.Channel, names: list[bytes]) -> None:
        self.channel = channel
        self.names = names
        self.waiting: deque[Question] = deque()
        self.waiting_bytes = 0
        self.answered = asyncio.Event()
        self.messages = 0
        self.bytes = 0
        self.shown = time.monotonic()

    async def send(self) -> None:
        for name in self.names:
            while len(self.waiting) >= WINDOW or self.waiting_bytes >= WINDOW_BYTES:
                self.answered.clear()
                await self.answered.wait()
            path = Path(os.fsdecode(name))
            try:
                data = path.read_bytes()
            except OSError as error:
                raise Wrong(f"cannot read {path}: {error.strerror}") from None
            self.waiting.append(Question(str(path), len(data), hashlib.sha256(data).digest()))
            self.waiting_bytes += len(data)
            await self.channel.send(data)

    async def check(self) -> None:
        for _ in self.names:
            answer = await self.channel.recv()
            if not self.waiting:
                raise Wrong("an answer came that nobody asked for")
            question = self.waiting.popleft()
            if answer != question.digest:
                raise Wrong(f"wrong SHA-256 for {question.name}")
            self.waiting_bytes -= question.size
            self.messages += 1
            self.bytes += question.size
            self.answered.set()
            self.show_progress()

    def show_progress(self) -> None:
        now = time.monotonic()
        if now - self.shown >= 0.1:
            self.shown = now
            print("progress", self.messages, self.bytes, flush=True)

    async def run(self) -> None:
        """The first of the two that fails ends the other."""
        tasks = [asyncio.ensure_future(self.send()), asyncio.ensure_future(self.check())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def main() -> int:
    if len(sys.argv) != 4:
        print("usage: sha_client.py ADDRESS MAX_MESSAGE LIST", file=sys.stderr)
        return 2
    names = Path(sys.argv[3]).read_bytes().split(b"\0")[:-1]
    try:
        async with ferrule.connect(sys.argv[1], max_message=int(sys.argv[2])) as channel:
            started = time.monotonic()
            client = Client(channel, names)
            await client.run()
    except (ferrule.Error, Wrong) as error:
        print("failed", error)
        return 1
    print("done", client.messages, client.bytes, f"{time.monotonic() - started:.6f}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
