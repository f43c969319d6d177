"""Callbacks for C that hold their owners weakly, and sets of what is held weakly.

What C holds is invisible to the garbage collector. So C gets a callable that knows its owner by a weak
reference, and whatever the program gave as a callback stays in an attribute of the owner.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any, Callable, Generic, TypeVar

_keys = itertools.count()
_T = TypeVar("_T")


class WeakSet(Generic[_T]):
    """What is alive of what was added.

    Nothing here is Python code as an object goes, unlike in ``weakref.WeakSet``: a handler of a signal that ran just
    then could raise KeyboardInterrupt where nobody gets it.
    """

    __slots__ = ("_references",)

    def __init__(self) -> None:
        self._references: set[weakref.ref[_T]] = set()

    def add(self, one: _T) -> None:
        """Add an object whose identity is its equality."""
        self._references.add(weakref.ref(one, self._references.discard))

    def __iter__(self) -> Iterator[_T]:
        """Those that are alive now; what comes and goes meanwhile is no error."""
        for reference in self._references.copy():
            one = reference()
            if one is not None:
                yield one


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
