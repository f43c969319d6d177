"""``Credentials``, and which clients a server serves."""

from __future__ import annotations

import inspect
from typing import Any, Callable, Literal, NamedTuple, Union

_NOT_TOLD = (1 << 32) - 1


class Credentials(NamedTuple):
    """Who is at the other end, as the kernel noted it when the connection was made.

    pid: the process, which may have ended.
    uid: the effective user.
    gid: the effective group.

    None is what the system does not tell.
    Source: ``fer_credentials``.
    """

    pid: int | None
    uid: int | None
    gid: int | None


def credentials(who: dict[str, int]) -> Credentials:
    """Those that C gives."""
    pid, uid, gid = who["pid"], who["uid"], who["gid"]
    return Credentials(
        None if pid < 0 else pid, None if uid == _NOT_TOLD else uid, None if gid == _NOT_TOLD else gid
    )


Allow = Union[Callable[[Credentials], bool], Literal["any"], None]
"""Which clients are served: a function that decides about each, ``"any"``; None for those of the same user and root."""


def decider(allow: Allow) -> Callable[[Credentials], bool] | None:
    """The function that decides. Raises TypeError and ValueError for what is none."""
    if allow is None:
        return None
    if isinstance(allow, str):
        if allow != "any":
            raise ValueError(f'allow is "any" or a function, not {allow!r}')
        return lambda who: True
    if not callable(allow):
        raise TypeError('allow is "any" or a function')
    if inspect.iscoroutinefunction(allow):
        # What it gives is true, whatever it would have said.
        raise TypeError("allow must decide at once: it cannot be a coroutine function")
    return allow


def decide(allow: Callable[[Credentials], bool], who: dict[str, int]) -> int:
    """What C takes as an answer. Raises TypeError for one that is neither True nor False."""
    answer: Any = allow(credentials(who))
    if answer is not True and answer is not False:
        raise TypeError(f"allow must answer True or False, not {answer!r}")
    return int(answer)
