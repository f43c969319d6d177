"""What all tests share: both asyncio loops, a census before and after every test, addresses."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
import support
import uvloop
from ferrule import _embed, _options

HOSTS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A coroutine function is run on asyncio's own loop, and on uvloop."""
    if inspect.iscoroutinefunction(metafunc.function):
        metafunc.fixturenames.append("host")
        metafunc.parametrize("host", list(HOSTS))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    run_on(str(pyfuncitem.callspec.params["host"]), pyfuncitem.obj, arguments)
    return True


def run_on(host: str, function: Any, arguments: dict[str, Any]) -> None:
    """Run a test to its end. Everything must be closed then, without the help of the collector."""
    failures: list[dict[str, Any]] = []
    loop = HOSTS[host]()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    pyfuncitem_failures = arguments.get("failures")

    async def main() -> None:
        before = asyncio.all_tasks()
        await function(**arguments)
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert not left, f"tasks are left: {left}"
        assert loop not in _embed._embedded, "the library's loop is still there"

    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.wait_for(main(), 60))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        end_tasks(loop)
        asyncio.set_event_loop(None)
        loop.close()
    if pyfuncitem_failures is None:
        assert not failures, failures
    else:
        pyfuncitem_failures.extend(failures)


def end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what a test that failed has left: uvloop's end would wait for its processes for ever."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=30))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that load a sanitizer take longer to say hello than others may."""
    if "ASAN_OPTIONS" not in support.SANITIZER:
        return
    plain = _options.to_c

    def patient(options: Any, *arguments: Any) -> dict[str, Any]:
        return {"handshake_timeout_ms": 60_000, **plain(options, *arguments)}

    monkeypatch.setattr(_options, "to_c", patient)


@pytest.fixture
def failures() -> list[dict[str, Any]]:
    """What the exception handler of the asyncio loop was told, for tests that look at it afterwards."""
    return []


@pytest.fixture(scope="session", autouse=True)
def warm() -> None:
    """What a process opens once and keeps is opened before anything is counted."""
    for new in HOSTS.values():
        new().close()
    with ferrule.Loop() as loop:
        ferrule.Pipe(loop).close()
        loop.run()
    # What is there by now is not looked at again, which makes the collections of every census quick.
    gc.collect()
    gc.freeze()


def census() -> dict[str, object]:
    gc.collect()
    return {
        "descriptors": support.descriptors(),
        "threads": threading.active_count(),
        "system threads": len(os.listdir("/proc/self/task")),
    }


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No descriptor or thread more after a test than before."""
    before = census()
    yield
    # A thread that was joined may still be on its way out of the kernel.
    for _ in range(10000):
        if len(os.listdir("/proc/self/task")) == before["system threads"]:
            break
        os.sched_yield()
    assert census() == before


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder for socket files; none may be left in it."""
    yield tmp_path
    left = [path for path in tmp_path.rglob("*") if path.is_socket()]
    assert not left or "leftover" in request.keywords, left


@pytest.fixture
def loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ferrule.Loop]:
    """A loop that is closed after the test; until then it keeps the handles that the test makes."""
    kept: list[ferrule.Handle] = []
    own = ferrule.Handle._own

    def keep(handle: ferrule.Handle, *arguments: Any) -> None:
        own(handle, *arguments)
        kept.append(handle)

    monkeypatch.setattr(ferrule.Handle, "_own", keep)
    with ferrule.Loop() as made:
        # What it opens when it first waits is opened before a test counts.
        made.post(list)
        made.run()
        yield made


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may look into and write to."""
    path = Path(tempfile.mkdtemp(prefix="ferrule-public-"))
    path.chmod(0o777)
    yield path
    left = os.listdir(path)
    shutil.rmtree(path)
    assert not left


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The statuses of the clients that servers have turned away so far."""
    return lambda: [re.findall(r"\[(\w+)\]", record.getMessage())[0] for record in caplog.records]


@pytest.fixture
def address(folder: Path) -> str:
    """An address that nobody listens at yet."""
    return f"pipe:{folder}/s"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "leftover: the test kills a process that cannot remove its socket file"
    )
