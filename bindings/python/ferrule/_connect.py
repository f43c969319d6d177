"""``connect`` and ``pair``: the ways to a channel on asyncio."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, Callable

from . import _embed, _ferrule, _options, error
from ._opening import Opening
from ._weak import weak_method
from .channel import Address, Channel

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._ferrule import _ChannelPointer


def connect(
    address: Address,
    *,
    timeout: float | None = _options.CONNECT_TIMEOUT,
    **options: Unpack[_options.Options],
) -> Opening[Channel]:
    """Connect to a server: ``await connect(...)``, or ``async with connect(...) as channel``.

    address: where the server is.
    timeout: seconds until there is a listener, which is tried again and again; None for no limit.
    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, any_host, any_user,
    secret, inline, busy_poll: see ``Options``.

    On ``fifo:IN,OUT`` both sides may do this, each with its own order of the two. The descriptor of ``fd:N`` is the
    channel's from now on.

    >>> async def upper(channel):
    ...     async for message in channel:
    ...         await channel.send(message.upper())
    >>> async def main():
    ...     async with ferrule.listen("pipe:upper", upper), ferrule.connect("pipe:upper", timeout=5) as channel:
    ...         await channel.send(b"hello")
    ...         return await channel.recv()
    >>> asyncio.run(main())
    b'HELLO'

    Raises NotFoundError, RefusedError or TimedOutError when nobody listened in time; AddressError;
    AccessError, also for a host beyond the loopback, for a FIFO or a server on TCP of another user, and for a peer
    without the secret or that asks for one; ProtocolError or VersionError
    after a bad handshake, ResetError when the peer went away during it, TimedOutError when it was slow;
    NotSupportedError for handles where none can go; Error FER_EPROTOTYPE, FER_ELOOP for what is no FIFO,
    FER_EADDRINUSE for a FIFO that somebody else reads, FER_EBADF and others for a descriptor that is no connected
    socket, which stays the caller's; TypeError and ValueError for options.
    Source: ``fer_channel_connect``; aea ``IPCChannelClient.connect``.
    """
    return Opening(_connect(address, _options.to_c(options, timeout)))


async def pair(**options: Unpack[_options.Options]) -> tuple[Channel, Channel]:
    """Make two channels that are connected with each other, over a Unix domain socket.

    >>> async def main():
    ...     one, other = await ferrule.pair()
    ...     async with one, other:
    ...         await one.send(b"to the other")
    ...         return await other.recv()
    >>> asyncio.run(main())
    b'to the other'

    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: of both; see ``Options``.

    Raises OSError when the system gives no more descriptors; NotSupportedError for handles on the plain wire;
    TypeError and ValueError for options.
    Source: ``fer_channel_pair``; ``socket.socketpair``.
    """
    fields = _options.to_c(options)
    ends = socket.socketpair()
    channels = []
    try:
        for end in ends:
            channels.append(begin(fields, _ferrule.fer_channel_connect, f"fd:{end.fileno()}"))
            end.detach()  # It is the channel's.
        one, other = [await opened(channel) for channel in channels]
    except BaseException:
        for channel in channels:
            await channel._abandon()
        raise
    finally:
        for end in ends:
            end.close()
    return one, other


async def _connect(address: Address, options: dict[str, Any]) -> Channel:
    return await opened(begin(options, _ferrule.fer_channel_connect, address))


def begin(options: dict[str, Any], connect: Callable[..., _ChannelPointer], *where: Address) -> Channel:
    """A channel that opens."""
    embedded = _embed.here()
    channel = Channel(embedded, options.get("max_handles", 0) > 0)
    channel._opening = asyncio.get_running_loop().create_future()
    call = weak_method(channel._on_connected)
    try:
        channel._own(connect(embedded.c, *where, options, call))
    finally:
        embedded.look()
    return channel


async def opened(channel: Channel) -> Channel:
    """Wait until the channel is open."""
    assert channel._opening is not None
    try:
        status, detail = await channel._opening
        if status:
            raise error.from_status(status, detail)
        channel._start()
    except BaseException:
        await channel._abandon()
        raise
    return channel
