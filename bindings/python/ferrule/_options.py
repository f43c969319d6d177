"""The options of channels, from keywords to what C takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from . import _check, _ferrule, _time

if TYPE_CHECKING:
    from typing_extensions import Buffer

CONNECT_TIMEOUT = 10.0
"""Seconds until there is a listener."""

_NO_CAP = 1 << 62

WIRES = {"native": _ferrule.FER_WIRE_NATIVE, "plain": _ferrule.FER_WIRE_PLAIN}


class Options(TypedDict, total=False):
    """What ``connect()`` and ``listen()`` take, here and in ``ferrule.sync``.

    wire: ``"native"``, or ``"plain"`` for peers that speak the wire of aea.
    max_message: bytes in a message that is taken or sent, up to 4 GiB - 1; 64 MiB when missing.
    high_water: bytes that wait to be sent, above which ``send()`` waits; 1 MiB when missing.
    handshake_timeout: seconds until the peer has said hello; 5 when missing, None for no limit.
    close_timeout: seconds until the peer has said goodbye; 5 when missing, None for no limit.
    frame_timeout: seconds of silence in the middle of a message; no limit when missing or None.
    max_handles: handles that are taken with a message, up to 64; none when missing. Only on ``pipe:`` and on ``fd:``
    of a Unix domain socket, on the native wire.
    any_host: let ``tcp:`` addresses be others than those of the loopback.
    any_user: connect on ``tcp:`` without asking whose the server is.
    secret: bytes, or text as UTF-8, that both sides know and nobody else: each proves it to the other before a
    message goes. Between a server and its clients, on the native wire.
    inline: share no memory: all bytes go through the transport.
    busy_poll: seconds, up to 0.001, to look for an answer before going to sleep, where answers come that soon; 0.00005
    when missing, 0: never.
    """

    wire: str
    max_message: int
    high_water: int
    handshake_timeout: float | None
    close_timeout: float | None
    frame_timeout: float | None
    max_handles: int
    any_host: bool
    any_user: bool
    secret: str | Buffer
    inline: bool
    busy_poll: float


def _limit(seconds: float | None) -> int:
    # 0 stands for the default in C.
    return _time.milliseconds(seconds) or 1


def _busy_poll(seconds: float) -> int:
    most = _ferrule.FER_BUSY_POLL_MAX_US
    if not 0 <= _check.real("busy_poll", seconds) <= most / 1_000_000:
        raise ValueError(f"busy_poll must be from 0 to {most / 1_000_000} seconds")
    # 0 stands for the default in C.
    return max(1, round(seconds * 1_000_000)) if seconds else -1


def _positive(name: str, number: int) -> int:
    if _check.whole(name, number) <= 0:
        raise ValueError(f"{name} must be positive")
    return number


def _bytes_of(secret: object) -> bytes:
    if isinstance(secret, str):
        return secret.encode()
    try:
        return memoryview(secret).tobytes()  # type: ignore[arg-type]
    except TypeError:
        raise TypeError("a secret is bytes or text") from None


def number(name: str, count: int) -> int:
    """A limit on how many; 0 stands for the default.

    Raises TypeError for what is no whole number, ValueError for what C has no room for.
    """
    if not 0 <= _check.whole(name, count) < 1 << 32:
        raise ValueError(f"{name} is out of range")
    return count


_FLAGS = {
    "any_host": _ferrule.FER_CHANNEL_ANY_HOST,
    "any_user": _ferrule.FER_CHANNEL_ANY_USER,
    "inline": _ferrule.FER_CHANNEL_INLINE,
}


def to_c(options: Options, connect_timeout: float | None = CONNECT_TIMEOUT) -> dict[str, Any]:
    """The fields of ``fer_channel_options``.

    Raises TypeError for an unknown name and a value of another type, ValueError for a value that makes no sense.
    """
    # send() waits at the high-water mark, so that nothing is ever refused because of what is queued.
    fields: dict[str, Any] = {"connect_timeout_ms": _limit(connect_timeout), "hard_cap": _NO_CAP}
    for name in options.keys() - Options.__annotations__.keys():
        raise TypeError(f"no such option: {name}")
    if "wire" in options:
        if not isinstance(options["wire"], str):
            raise TypeError(f"wire must be a str, not {options['wire']!r}")
        if options["wire"] not in WIRES:
            raise ValueError(f"no such wire: {options['wire']!r}; there are {', '.join(WIRES)}")
        fields["wire"] = WIRES[options["wire"]]
    if "max_message" in options:
        fields["max_message"] = _positive("max_message", options["max_message"])
    if "high_water" in options:
        fields["high_water"] = _positive("high_water", options["high_water"])
    if "handshake_timeout" in options:
        fields["handshake_timeout_ms"] = _limit(options["handshake_timeout"])
    if "close_timeout" in options:
        fields["close_timeout_ms"] = _limit(options["close_timeout"])
    if "frame_timeout" in options:
        fields["frame_timeout_ms"] = _limit(options["frame_timeout"])
    if "max_handles" in options:
        fields["max_handles"] = options["max_handles"]
    if "busy_poll" in options:
        fields["busy_poll_us"] = _busy_poll(options["busy_poll"])
    if "secret" in options:
        fields["secret"] = _bytes_of(options["secret"])
    given: dict[str, Any] = {**options}
    fields["flags"] = sum(flag for name, flag in _FLAGS.items() if _check.flag(name, given.get(name, False)))
    return fields
