"""Callbacks for C that hold their owners weakly.

What C holds is invisible to the garbage collector. So C gets a callable that knows its owner by a weak
reference, and whatever the program gave as a callback stays in an attribute of the owner.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any, Callable

_keys = itertools.count()


def weak_method(method: Callable[..., object]) -> Callable[..., None]:
    """A callable that calls a bound method as long as its object lives."""
    owner = weakref.ref(method.__self__)  # type: ignore[attr-defined]
    function = method.__func__  # type: ignore[attr-defined]

    def call(*arguments: Any) -> None:
        found = owner()
        if found is not None:
            function(found, *arguments)

    return call


def weak_question(method: Callable[..., int]) -> Callable[..., int]:
    """The same for a method that answers; 0 when its object is gone."""
    owner = weakref.ref(method.__self__)  # type: ignore[attr-defined]
    function = method.__func__  # type: ignore[attr-defined]

    def call(*arguments: Any) -> int:
        found = owner()
        return 0 if found is None else function(found, *arguments)

    return call


class Requests:
    """One-shot callbacks of one owner that C has yet to call."""

    __slots__ = ("__weakref__", "_callbacks")

    def __init__(self) -> None:
        self._callbacks: dict[int, Callable[..., object]] = {}

    def __bool__(self) -> bool:
        return bool(self._callbacks)

    def start(self, function: Callable[[Callable[..., None]], None], callback: Callable[..., object]) -> None:
        """Call ``function`` with a callable for C. When it fails, the callback is forgotten."""
        key = next(_keys)
        requests = weakref.ref(self)

        def call(*arguments: Any) -> None:
            found = requests()
            if found is not None:
                found._callbacks.pop(key)(*arguments)

        self._callbacks[key] = callback
        try:
            function(call)
        except BaseException:
            del self._callbacks[key]
            raise
