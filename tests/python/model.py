"""Helpers: random sequences of operations against a simple model, by hypothesis.

In the normal run the sequences are always the same ones, and few. With ``--long`` they are many and new each time.
"""

from __future__ import annotations

import os

import ferrule
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from support import BUILD

LONG = bool(os.environ.get("FERRULE_TEST_LONG"))

# It looks at our sources for interesting numbers, and keeps what it found.
set_hypothesis_home_dir(BUILD / "hypothesis")

Sent = tuple[bytes, tuple[int, ...]]
"""A message as the model has it: its bytes, and what its handles are."""

SIDES = st.integers(0, 1)
# An end in the first steps would leave nothing to look at.
LATE = 12

SIZES = (0, 1, 12, 1500, 9000, 70_000, 300_000)
"""Of messages: below and above what is copied, what leaves at once, what is read at once, what goes another way."""


def run(machine: type[RuleBasedStateMachine], examples: int, steps: int = 40) -> None:
    """Run sequences of so many steps; fifty times as many of them in the long run."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples * 50 if LONG else examples,
            stateful_step_count=steps,
            derandomize=not LONG,
            database=None,
            deadline=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
        ),
    )


def payload(serial: int, size: int) -> bytes:
    """Bytes that no other message of this size has, if there is room for it."""
    return (b"%d:" % serial).ljust(size, b".")[:size]


def identity(fd: int) -> int:
    """What a descriptor is, which is the same for its copies."""
    return os.fstat(fd).st_ino


def as_sent(message: bytes) -> Sent:
    """What came, as the model has it. Its handles are closed."""
    handles = message.handles if isinstance(message, ferrule.Message) else ()
    found = tuple(identity(handle.fileno()) for handle in handles)
    for handle in handles:
        handle.close()
    return bytes(message), found
