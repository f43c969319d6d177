"""The options of channels, from keywords to what C takes."""

from __future__ import annotations

from typing import TypedDict

from . import _ferrule, _time

CONNECT_TIMEOUT = 10.0
"""Seconds until there is a listener."""

WIRES = {"native": _ferrule.FER_WIRE_NATIVE, "plain": _ferrule.FER_WIRE_PLAIN}


class Options(TypedDict, total=False):
    """What ``connect()`` and ``listen()`` take, here and in ``ferrule.sync``.

    wire: ``"native"``, or ``"plain"`` for peers that speak the wire of aea.
    max_message: bytes in a message that is taken, up to 4 GiB - 1; 64 MiB when missing.
    high_water: bytes that wait to be sent, above which ``send()`` waits; 1 MiB when missing.
    handshake_timeout: seconds until the peer has said hello; 5 when missing, None for no limit.
    close_timeout: seconds until the peer has said goodbye; 5 when missing, None for no limit.
    """

    wire: str
    max_message: int
    high_water: int
    handshake_timeout: float | None
    close_timeout: float | None


def _limit(seconds: float | None) -> int:
    # 0 stands for the default in C.
    return _time.milliseconds(seconds) or 1


def _positive(name: str, number: int) -> int:
    if number <= 0:
        raise ValueError(f"{name} must be positive")
    return number


def to_c(options: Options, connect_timeout: float | None = CONNECT_TIMEOUT) -> dict[str, int]:
    """The fields of ``fer_channel_options``.

    Raises TypeError for an unknown name, ValueError for a value that makes no sense.
    """
    fields = {"connect_timeout_ms": _limit(connect_timeout)}
    for name in options.keys() - Options.__annotations__.keys():
        raise TypeError(f"no such option: {name}")
    if "wire" in options:
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
    return fields
