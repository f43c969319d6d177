"""``ChannelInfo`` and ``ChannelStats``: what is known of a channel, and what has gone over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict, cast

from . import _ferrule
from ._options import WIRES

if TYPE_CHECKING:
    from ._ferrule import _ChannelPointer

_NAMES = {number: name for name, number in WIRES.items()}


class ChannelInfo(TypedDict):
    """What is known of a channel; sizes are in bytes.

    wire: ``"native"`` or ``"plain"``.
    version: of the native wire, agreed with the peer; 0 on the plain one.
    max_message, peer_max_message: the largest message that this side, and the peer, takes.
    max_handles, peer_max_handles: handles that this side, and the peer, takes with a message.
    queued: what is accepted and the kernel does not have yet.
    high_water: the mark above which ``send()`` waits.

    Source: ``fer_channel_info``.
    """

    wire: str
    version: int
    max_message: int
    peer_max_message: int
    max_handles: int
    peer_max_handles: int
    queued: int
    high_water: int


class ChannelStats(NamedTuple):
    """What has gone over a channel; payloads are never looked at.

    messages_in, messages_out: messages that came whole, and that were accepted.
    bytes_in, bytes_out: of their payloads.
    handles_in, handles_out: handles with them.
    queued: bytes that are accepted and that the kernel does not have yet.
    high_water_hits: how often the queue went above the high-water mark.

    Source: ``fer_channel_stats``.
    """

    messages_in: int
    messages_out: int
    bytes_in: int
    bytes_out: int
    handles_in: int
    handles_out: int
    queued: int
    high_water_hits: int


def channel_info(channel: _ChannelPointer) -> ChannelInfo:
    """What is known of a channel, with the name of its wire."""
    known = _ferrule.fer_channel_get_info(channel)
    return cast("ChannelInfo", {**known, "wire": _NAMES[known["wire"]]})
