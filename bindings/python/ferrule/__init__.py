"""Pipes and channels between processes on one machine, the same in C, Python and Node.

Channels carry whole messages, and handles with them: ``await connect(address)``, ``async with listen(address,
handler)``, on asyncio or uvloop; ``await spawn(program)`` and ``await parent()`` between a process and the one that it
starts; ``ferrule.sync`` has the same names for programs without an event loop. ``Loop``,
``Pipe``, ``TCP`` and ``UDP`` have callbacks, as in pyuv; pipes pass all three, and sockets, to other processes.
``ferrule.ipc`` is aea's way for two processes to find each other.
"""

from . import _ferrule, errno, error, ipc, sync
from ._access import Allow, Credentials
from ._connect import connect, pair
from ._message import HasFileno, Message, Passable, ReceivedHandle
from ._options import Options
from ._parent import activation_address, parent
from ._spawn import Child, spawn
from ._stats import ChannelInfo, ChannelStats
from ._streams import ClientConnected, PipeName, PipeServer, open_pipe_connection, start_pipe_server
from .channel import Address, Channel
from .error import EndOfStream, Error
from .handle import Handle
from .io_handle import UV_FILE, UV_NAMED_PIPE, UV_TCP, UV_UDP, UV_UNKNOWN_HANDLE, IOHandle
from .loop import UV_RUN_DEFAULT, UV_RUN_NOWAIT, UV_RUN_ONCE, Loop
from .pipe import Pipe
from .server import Handler, Server, listen
from .stream import Stream
from .tcp import TCP, UV_TCP_IPV6ONLY, UV_TCP_REUSEPORT
from .timer import Timer
from .udp import (
    UDP,
    UV_JOIN_GROUP,
    UV_LEAVE_GROUP,
    UV_UDP_IPV6ONLY,
    UV_UDP_PARTIAL,
    UV_UDP_REUSEADDR,
    UV_UDP_REUSEPORT,
)
from .wakeup import Async

__version__: str = _ferrule.fer_version_string()
LIBUV_VERSION: str = _ferrule.fer_version_uv()
"""Of the libuv that the library runs on."""

__all__ = [
    "LIBUV_VERSION",
    "TCP",
    "UDP",
    "UV_FILE",
    "UV_JOIN_GROUP",
    "UV_LEAVE_GROUP",
    "UV_NAMED_PIPE",
    "UV_RUN_DEFAULT",
    "UV_RUN_NOWAIT",
    "UV_RUN_ONCE",
    "UV_TCP",
    "UV_TCP_IPV6ONLY",
    "UV_TCP_REUSEPORT",
    "UV_UDP",
    "UV_UDP_IPV6ONLY",
    "UV_UDP_PARTIAL",
    "UV_UDP_REUSEADDR",
    "UV_UDP_REUSEPORT",
    "UV_UNKNOWN_HANDLE",
    "Address",
    "Allow",
    "Async",
    "Channel",
    "ChannelInfo",
    "ChannelStats",
    "Child",
    "ClientConnected",
    "Credentials",
    "EndOfStream",
    "Error",
    "Handle",
    "Handler",
    "HasFileno",
    "IOHandle",
    "Loop",
    "Message",
    "Options",
    "Passable",
    "Pipe",
    "PipeName",
    "PipeServer",
    "ReceivedHandle",
    "Server",
    "Stream",
    "Timer",
    "__version__",
    "activation_address",
    "connect",
    "errno",
    "error",
    "ipc",
    "listen",
    "open_pipe_connection",
    "pair",
    "parent",
    "spawn",
    "start_pipe_server",
    "sync",
]
