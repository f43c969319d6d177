"""The demo's servers and clients as processes. README.md says what they take and print."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

HERE = Path(__file__).resolve().parent
LANGUAGES = ["C", "Python", "Node"]
# Without a word for so long, a program counts as hung.
QUIET_SECONDS = 60.0


class Trouble(Exception):
    """Why a pair is not ✓."""


@dataclass
class Outcome:
    """What a client reports at its end."""

    messages: int
    bytes: int
    seconds: float


def command(language: str, role: str) -> list[str]:
    """How to start the server or the client of a language."""
    if language == "C":
        build = Path(os.environ.get("FERRULE_BUILD_DIR", HERE.parent / "build" / "dev"))
        return [str(build / "bin" / f"ferrule_sha_{role}")]
    if language == "Python":
        return [sys.executable, "-u", str(HERE / f"sha_{role}.py")]
    return ["node", str(HERE / f"sha_{role}.mjs")]


class Program:
    """One process, and what it says."""

    def __init__(self, language: str, role: str) -> None:
        self.name = f"the {language} {role}"
        self.language = language
        self.role = role
        self._process: Optional[asyncio.subprocess.Process] = None
        self._complaints: Optional[asyncio.Task[bytes]] = None

    async def start(self, *arguments: str) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command(self.language, self.role),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise Trouble(f"cannot start {self.name}: {error}") from error
        assert self._process.stderr is not None
        self._complaints = asyncio.ensure_future(self._process.stderr.read())

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "not started"
        return self._process

    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def lines(self) -> AsyncIterator[list[str]]:
        """What it prints, word by word, until its end."""
        output = self.process.stdout
        assert output is not None
        while True:
            try:
                line = await asyncio.wait_for(output.readline(), QUIET_SECONDS)
            except asyncio.TimeoutError:
                raise Trouble(f"{self.name} hung: silent for {QUIET_SECONDS:.0f} s") from None
            if not line:
                return
            yield line.decode("utf-8", "replace").rstrip("\n").split(" ")

    async def ended(self) -> str:
        """How it ended and its last complaint, once it has; empty when all was well."""
        try:
            status = await asyncio.wait_for(self.process.wait(), QUIET_SECONDS)
        except asyncio.TimeoutError:
            return f"{self.name} hung: it does not end"
        assert self._complaints is not None
        complaint = (await self._complaints).decode("utf-8", "replace").strip()
        if status == 0:
            return ""
        how = f"exit code {status}"
        if status < 0:
            how = f"crashed: {signal.Signals(-status).name}"
        last = complaint.splitlines()[-1:] or [""]
        return f"{self.name}: {how}" + (f": {last[0]}" if last[0] else "")

    async def stop(self) -> str:
        """Ends it the orderly way, by the end of its standard input. As ended()."""
        if self._process is None:
            return ""
        if self.process.stdin is not None:
            self.process.stdin.close()
        reason = await self.ended()
        await self.kill()
        return reason

    async def kill(self) -> None:
        """Ends it at once, if it runs."""
        if self._process is None:
            return
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
            await self._process.wait()
        if self._complaints is not None:
            await self._complaints


async def start_server(language: str, address: str, max_message: int) -> Program:
    """A server that listens."""
    server = Program(language, "server")
    await server.start(address, str(max_message))
    try:
        async for words in server.lines():
            if words[0] == "ready":
                return server
            if words[0] == "failed":
                raise Trouble(f"{server.name}: {' '.join(words[1:])}")
        raise Trouble(await server.ended() or f"{server.name} ended before it listened")
    except BaseException:
        await server.kill()
        raise


async def run_client(
    language: str,
    address: str,
    max_message: int,
    names: Path,
    on_progress: Callable[[int, int], None],
) -> Outcome:
    """Runs a client to its end."""
    client = Program(language, "client")
    await client.start(address, str(max_message), str(names))
    outcome = None
    failure = ""
    try:
        async for words in client.lines():
            if words[0] == "progress":
                on_progress(int(words[1]), int(words[2]))
            elif words[0] == "done":
                outcome = Outcome(int(words[1]), int(words[2]), float(words[3]))
            elif words[0] == "failed":
                failure = " ".join(words[1:])
        ended = await client.ended()
    finally:
        await client.kill()
    if failure or ended or outcome is None:
        raise Trouble(failure or ended or f"{client.name} ended without a result")
    return outcome
