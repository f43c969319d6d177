"""Statuses by number: what a callback gets as its ``error``, and what ``Error.code`` holds.

``FER_EOF``, ``FER_ECONNRESET`` and so on are the numbers; each also has the name that pyuv gives it, such
as ``UV_EOF``. The values are the same on every platform. docs/errors.md says when each of them comes.
"""

from __future__ import annotations

from . import _ferrule

errorcode: dict[int, str] = {
    number: name
    for name, number in vars(_ferrule).items()
    if isinstance(number, int) and (name.startswith("FER_E") or name == "FER_OK")
}
"""From the number of a status to its name."""

globals().update({name: number for number, name in errorcode.items()})
globals().update({"UV_" + name[4:]: number for number, name in errorcode.items()})


def strerror(number: int) -> str:
    """What a status means, in a few words.

    number: any number; one that is no status gives the text of ``FER_EUNKNOWN``.
    Source: ``fer_status_text``; pyuv ``errno.strerror``.
    """
    return _ferrule.fer_status_text(number)
