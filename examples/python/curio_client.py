"""A pipe of ferrule inside curio: sends a line to pipe_server.py and prints what comes back. curio_client.py [NAME]"""

import argparse
from typing import Optional

import curio
import ferrule
from curio.traps import _read_wait


async def turn(loop: ferrule.Loop) -> None:
    """Run the callbacks of a ferrule loop as they become due, until this is cancelled."""
    # Work that is left makes the descriptor readable: that ends the wait below.
    wakeup = ferrule.Async(loop)
    loop.set_notify(wakeup.send)
    while True:
        loop.step(0)
        timeout = loop.get_timeout()
        async with curio.ignore_after(timeout if timeout >= 0 else None):
            await _read_wait(loop.fileno())


async def connect(loop: ferrule.Loop, name: str) -> ferrule.Pipe:
    """Connect to a pipe. Any method with a callback becomes something to await in this way."""
    done: list[Optional[int]] = []
    event = curio.UniversalEvent()

    def connected(pipe: ferrule.Pipe, error: Optional[int]) -> None:
        done.append(error)
        event.set()

    pipe = ferrule.Pipe(loop)
    try:
        pipe.connect(name, connected)
        await event.wait()
        if done[0] is not None:
            raise ferrule.error.from_status(done[0], name)
    except BaseException:
        pipe.close()
        raise
    return pipe


async def main(name: str) -> None:
    with ferrule.Loop() as loop:
        turning = await curio.spawn(turn, loop)
        try:
            pipe = await connect(loop, name)
            inbox = curio.UniversalQueue()

            def arrived(pipe: ferrule.Pipe, data: Optional[bytes], error: Optional[int]) -> None:
                inbox.put(data)

            pipe.start_read(arrived)
            pipe.write(b"hello")
            print((await inbox.get()).decode())
        finally:
            await turning.cancel()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("name", nargs="?", default="echo.sock")
curio.run(main, parser.parse_args().name)
