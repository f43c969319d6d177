"""A pipe of ferrule inside trio: sends a line to pipe_server.py and prints what comes back. trio_client.py [NAME]"""

import argparse
import math
from typing import Optional

import ferrule
import trio


async def turn(loop: ferrule.Loop) -> None:
    """Run the callbacks of a ferrule loop as they become due, until this is cancelled."""
    waiting = trio.CancelScope()

    def work_was_left() -> None:
        waiting.cancel()

    loop.set_notify(work_was_left)
    while True:
        waiting = trio.CancelScope()
        loop.step(0)
        timeout = loop.get_timeout()
        waiting.deadline = trio.current_time() + timeout if timeout >= 0 else math.inf
        with waiting:
            await trio.lowlevel.wait_readable(loop.fileno())


async def connect(loop: ferrule.Loop, name: str) -> ferrule.Pipe:
    """Connect to a pipe. Any method with a callback becomes something to await in this way."""
    done: list[Optional[int]] = []
    event = trio.Event()

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
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turn, loop)
            pipe = await connect(loop, name)
            sender, receiver = trio.open_memory_channel[bytes](math.inf)

            def arrived(pipe: ferrule.Pipe, data: Optional[bytes], error: Optional[int]) -> None:
                if data is None:
                    sender.close()
                else:
                    sender.send_nowait(data)

            pipe.start_read(arrived)
            pipe.write(b"hello")
            print((await receiver.receive()).decode())
            nursery.cancel_scope.cancel()


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("name", nargs="?", default="echo.sock")
trio.run(main, parser.parse_args().name)
