"""Pipes and channels between processes on one machine, the same in C, Python and Node.

Channels carry whole messages: ``await connect(address)``, ``async with listen(address, handler)``, on asyncio
or uvloop; ``ferrule.sync`` has the same names for programs without an event loop. ``Loop`` and ``Pipe`` are
streams of bytes with callbacks, as pyuv has them.
"""

from . import _ferrule, errno, error, sync
from ._options import Options
from .channel import Address, Channel, connect
from .error import EndOfStream, Error
from .loop import UV_RUN_DEFAULT, UV_RUN_NOWAIT, UV_RUN_ONCE, Loop
from .pipe import Pipe
from .server import Handler, Server, listen

__version__: str = _ferrule.fer_version_string()

__all__ = [
    "UV_RUN_DEFAULT",
    "UV_RUN_NOWAIT",
    "UV_RUN_ONCE",
    "Address",
    "Channel",
    "EndOfStream",
    "Error",
    "Handler",
    "Loop",
    "Options",
    "Pipe",
    "Server",
    "__version__",
    "connect",
    "errno",
    "error",
    "listen",
    "sync",
]
