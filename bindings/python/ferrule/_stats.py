"""``ChannelStats``: what has gone over a channel."""

from __future__ import annotations

from typing import NamedTuple


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
