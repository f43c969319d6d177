"""Channels by which two processes find each other: the names, signatures and bytes of ``aea.helpers.pipe``.

One process makes a channel and tells the other its two rendezvous points. The other makes a client of them, with the
two in the other order, and both connect::

    channel = make_ipc_channel()
    start_the_other(channel.out_path, channel.in_path)  # It calls make_ipc_channel_client() with these.
    if await channel.connect():
        await channel.write(b"hello")

It is for programs that were written for aea's module, and for peers that use it; ``ferrule.connect()`` and
``ferrule.listen()`` can do more. Everything belongs to the asyncio loop that runs when it connects.
"""

from __future__ import annotations

import logging
import os
import re
from asyncio import AbstractEventLoop

from ._ipc import PIPE_CONN_TIMEOUT, IPCChannel, IPCChannelClient
from ._ipc import default_logger as _default_logger
from ._ipc_fifo import PosixNamedPipeChannel, PosixNamedPipeChannelClient, PosixNamedPipeProtocol
from ._ipc_tcp import TCPSocketChannel, TCPSocketChannelClient, TCPSocketProtocol

_PORT = re.compile(r"([^/]*:)?[0-9]+")


def make_ipc_channel(
    logger: logging.Logger = _default_logger, loop: AbstractEventLoop | None = None
) -> IPCChannel:
    """Make a channel that another process can find: of FIFOs, or on Windows of TCP.

    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    >>> async def main():
    ...     channel = make_ipc_channel()
    ...     client = make_ipc_channel_client(channel.out_path, channel.in_path)
    ...     await asyncio.gather(channel.connect(), client.connect())
    ...     await client.write(b"envelope")
    ...     received = await channel.read()
    ...     await asyncio.gather(channel.close(), client.close())
    ...     return received
    >>> asyncio.run(main())
    b'envelope'

    Raises OSError when it cannot be made.
    Source: aea ``make_ipc_channel``; in C ``fer_ipc_channel_new``.
    """
    if os.name == "nt":
        return TCPSocketChannel(logger, loop)
    return PosixNamedPipeChannel(logger, loop)


def make_ipc_channel_client(
    in_path: str,
    out_path: str,
    logger: logging.Logger = _default_logger,
    loop: AbstractEventLoop | None = None,
) -> IPCChannelClient:
    """Make the other side of a channel.

    in_path: the channel's ``out_path``: a FIFO; a port, or ``host:port``.
    out_path: the channel's ``in_path``.
    logger: told of what goes on; never of what is in the messages.
    loop: not needed; the loop that runs is used.

    Source: aea ``make_ipc_channel_client``; in C ``fer_ipc_client_new``.
    """
    if _PORT.fullmatch(in_path):
        return TCPSocketChannelClient(in_path, out_path, logger, loop)
    return PosixNamedPipeChannelClient(in_path, out_path, logger, loop)


__all__ = [
    "PIPE_CONN_TIMEOUT",
    "IPCChannel",
    "IPCChannelClient",
    "PosixNamedPipeChannel",
    "PosixNamedPipeChannelClient",
    "PosixNamedPipeProtocol",
    "TCPSocketChannel",
    "TCPSocketChannelClient",
    "TCPSocketProtocol",
    "make_ipc_channel",
    "make_ipc_channel_client",
]
