"""``parent`` and ``activation_address``: what a process was started with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _ferrule, _options
from ._connect import begin, opened
from ._opening import Opening
from .channel import Channel

if TYPE_CHECKING:
    from typing_extensions import Unpack

VARIABLE = _ferrule.FER_PARENT_VARIABLE
"""Names the channel to the parent: ``fd:`` and the number of a descriptor."""


def parent(**options: Unpack[_options.Options]) -> Opening[Channel]:
    """Open the channel to the process that started this one: ``await parent()``, or ``async with parent() as channel``.

    The environment variable that names it is removed, so that this works once, and children of this process do not
    take it for theirs.

    wire, max_message, high_water, handshake_timeout, close_timeout, frame_timeout, max_handles, inline,
    busy_poll: see ``Options``.

    >>> async def main():
    ...     try:
    ...         await ferrule.parent()
    ...     except FileNotFoundError as problem:
    ...         return problem.status
    >>> asyncio.run(main())
    'FER_ENOENT'

    Raises NotFoundError when this process was not started with a channel, or took it before; AddressError for a
    variable that does not name a descriptor, InvalidArgumentError for a standard stream, Error FER_EBADF,
    FER_ENOTSOCK and others for a descriptor that is no connected socket; otherwise as ``connect()``.
    Source: ``fer_channel_parent``.
    """
    return Opening(_parent(_options.to_c(options)))


async def _parent(options: dict[str, Any]) -> Channel:
    with taking():
        channel = begin(options, _ferrule.fer_channel_parent)
    return await opened(channel)


@contextmanager
def taking() -> Iterator[None]:
    """C removes the variable inside the block: follow it in ``os.environ``, which is a copy."""
    try:
        yield
    finally:
        if not _ferrule.ferpy_has_variable(VARIABLE):
            os.environ.pop(VARIABLE, None)


def activation_address(name: str | None = None, index: int = 0) -> str:
    """The address of a listening socket that a service manager passed, for ``listen()``: ``LISTEN_FDS`` of systemd.

    name: as ``LISTEN_FDNAMES`` has it; None: by number.
    index: which of those with this name, from 0.

    Raises NotFoundError when there is no such socket, or the variables are for another process.
    Source: ``fer_activation_address``; sd_listen_fds.
    """
    return _ferrule.fer_activation_address(name, index)
