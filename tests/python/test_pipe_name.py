"""Names of pipes: which there can be, who gets one, what is in the way, and the modes of their files."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import ferrule
import pytest
from handles import Inbox, answer_once, run_until, status_of
from support import Child, run_child


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that everybody may look into, and only root may change."""
    made = Path(tempfile.mkdtemp(prefix="ferrule-"))
    made.chmod(0o555)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


def serve_at(loop: ferrule.Loop, name: Any) -> None:
    """Bind, connect, and get bytes across."""
    listener = ferrule.Pipe(loop)
    listener.bind(name)
    serve_through(loop, listener, name)


def serve_through(loop: ferrule.Loop, listener: ferrule.Pipe, name: Any) -> None:
    client = ferrule.Pipe(loop)
    answer_once(listener)
    inboxes: list[Inbox] = []

    def on_connected(pipe: ferrule.Pipe, error: int | None) -> None:
        assert error is None
        assert listener.getsockname() == os.fsdecode(name)
        inboxes.append(Inbox(pipe))

    client.connect(name, on_connected)
    run_until(loop, lambda: inboxes and inboxes[0].end)
    assert inboxes[0].data == b"served\n"


def test_long_names(loop: ferrule.Loop, folder: Path) -> None:
    deep = folder / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    serve_at(loop, deep / ("s" * 60))


@pytest.mark.parametrize("size", [1, 200])
def test_both_ends_know_the_name(loop: ferrule.Loop, folder: Path, size: int) -> None:
    name = str(folder / ("n" * size))
    listener, client, served = ferrule.Pipe(loop), ferrule.Pipe(loop), ferrule.Pipe(loop)
    events: list[Any] = []
    listener.bind(name)
    listener.listen(lambda pipe, error: events.append(error))
    client.connect(name, lambda pipe, error: events.append(error))
    run_until(loop, lambda: len(events) == 2)
    assert events == [None, None]
    listener.accept(served)
    listener.close()
    loop.step(0)
    assert (client.getsockname(), client.getpeername()) == ("", name)
    assert (served.getsockname(), served.getpeername()) == (name, "")
    client.close()
    served.close()


READ_ONLY = """
import sys, ferrule
with ferrule.Loop() as loop:
    try:
        ferrule.Pipe(loop).bind(sys.argv[1] + "/s")
    except ferrule.Error as error:
        print(error.status, error.errno)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder read-only for one process")
def test_a_read_only_place(folder: Path) -> None:
    mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'
    if subprocess.run(
        ["unshare", "-m", "sh", "-c", mount, "sh", folder], stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("this process may not mount")
    ran = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            mount + ' && exec "$2" -c "$3" "$1"',
            "sh",
            folder,
            sys.executable,
            READ_ONLY,
        ],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    assert ran.stdout == f"FER_EROFS {errno.EROFS}\n"


def test_names_that_are_no_text(loop: ferrule.Loop, folder: Path) -> None:
    serve_at(loop, os.fsencode(folder) + b"/\xff\xfe s")


def test_abstract_names_with_anything_in_them(loop: ferrule.Loop) -> None:
    serve_at(loop, b"\0ferrule\0\xff\n%d" % os.getpid())


def test_a_path_object_of_bytes(loop: ferrule.Loop, folder: Path) -> None:
    class Name:
        def __fspath__(self) -> bytes:
            return os.fsencode(folder / "s")

    serve_at(loop, Name())


# --- What is in the way ----------------------------------------------------------------------------------------


def test_names_that_cannot_be_bound(loop: ferrule.Loop, folder: Path) -> None:
    (folder / "file").write_text("kept")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "elsewhere")
    live = socket.socket(socket.AF_UNIX)
    with live:
        live.bind(f"{folder}/live")
        live.listen()
        pipe = ferrule.Pipe(loop)
        for name, status in (
            (folder / "file", "FER_EADDRINUSE"),
            (folder / "folder", "FER_EADDRINUSE"),
            (folder / "link", "FER_EADDRINUSE"),
            (folder / "live", "FER_EADDRINUSE"),
            (folder / "none" / "s", "FER_ENOENT"),
            (folder / "file" / "s", "FER_ENOTDIR"),
            (folder / ("x" * 300), "FER_ENAMETOOLONG"),
            ("", "FER_EINVAL"),
            (f"{folder}/a\0b", "FER_EINVAL"),
            (b"\0" + b"x" * 300, "FER_ENAMETOOLONG"),
        ):
            assert status_of(lambda name=name: pipe.bind(name)) == status, name  # type: ignore[misc]
        assert (folder / "file").read_text() == "kept"
        assert (folder / "link").is_symlink()
        assert not (folder / "elsewhere").exists()
    (folder / "live").unlink()
    for wrong in (None, 7, ["s"], memoryview(b"s")):
        with pytest.raises(TypeError):
            pipe.bind(wrong)  # type: ignore[arg-type]
    pipe.bind(folder / "s")
    assert status_of(lambda: pipe.bind(folder / "t")) == "FER_EINVAL"
    assert not (folder / "t").exists()


def test_a_folder_that_may_not_be_written(locked: Path) -> None:
    child = """
        import os, sys, ferrule
        with ferrule.Loop() as loop:
            pipe = ferrule.Pipe(loop)
            if os.geteuid() == 0:
                os.setegid(65534)
                os.seteuid(65534)
            try:
                pipe.bind(sys.argv[1])
            except PermissionError as error:
                print(error.status)
            pipe.close()
    """
    assert run_child(child, f"{locked}/s") == (0, "FER_EACCES\n", "")
    assert list(locked.iterdir()) == []


def test_names_that_cannot_be_connected_to(loop: ferrule.Loop, folder: Path) -> None:
    (folder / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{folder}/stale")
    ends: dict[str, int | None] = {}
    for name, status in (
        ("none", "FER_ENOENT"),
        ("file", "FER_ENOTSOCK"),
        ("stale", "FER_ECONNREFUSED"),
        ("file/s", "FER_ENOTDIR"),
    ):
        pipe = ferrule.Pipe(loop)
        pipe.connect(folder / name, lambda pipe, error, name=name: ends.update({name: error}))  # type: ignore[misc]
        loop.run()
        assert ferrule.errno.errorcode[ends[name] or 0] == status
    fresh = ferrule.Pipe(loop)
    never: list[Any] = []
    for wrong, status in (("", "FER_EINVAL"), ("a\0b", "FER_EINVAL"), ("x" * 300, "FER_ENAMETOOLONG")):
        assert status_of(lambda wrong=wrong: fresh.connect(wrong, never.append)) == status  # type: ignore[misc,arg-type]
    assert never == []
    assert loop._active == set()
    (folder / "stale").unlink()


def test_a_socket_that_may_not_be_connected_to(loop: ferrule.Loop, locked: Path) -> None:
    child = """
        import os, sys, ferrule
        if os.geteuid() == 0:
            os.setegid(65534)
            os.seteuid(65534)
        with ferrule.Loop() as loop:
            pipe = ferrule.Pipe(loop)
            pipe.connect(sys.argv[1], lambda pipe, error: print(ferrule.errno.errorcode[error]))
            loop.run()
            pipe.close()
    """
    locked.chmod(0o755)
    listener = ferrule.Pipe(loop)
    listener.bind(locked / "s")
    listener.listen(print)
    # For its owner too, who made it.
    listener.chmod(0)
    assert run_child(child, f"{locked}/s") == (0, "FER_EACCES\n", "")


# --- Stale, or not ---------------------------------------------------------------------------------------------


def leave_stale(path: Path) -> os.stat_result:
    """A socket file that nobody listens at any more."""
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    return path.lstat()


def test_a_stale_socket_is_replaced(loop: ferrule.Loop, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{folder}/s")
    serve_at(loop, folder / "s")


def test_a_link_is_not_followed_to_a_stale_socket(loop: ferrule.Loop, folder: Path) -> None:
    before = leave_stale(folder / "target")
    (folder / "s").symlink_to("target")
    pipe = ferrule.Pipe(loop)
    assert status_of(lambda: pipe.bind(folder / "s")) == "FER_EADDRINUSE"
    assert (folder / "s").is_symlink()
    assert os.path.samestat((folder / "target").lstat(), before)
    (folder / "target").unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_a_stale_socket_of_another_user_stays(loop: ferrule.Loop, folder: Path) -> None:
    before = leave_stale(folder / "s")
    os.lchown(folder / "s", 65534, 65534)
    pipe = ferrule.Pipe(loop)
    assert status_of(lambda: pipe.bind(folder / "s")) == "FER_EADDRINUSE"
    assert (folder / "s").lstat().st_ino == before.st_ino
    (folder / "s").unlink()


def test_only_the_own_file_is_removed(loop: ferrule.Loop, folder: Path) -> None:
    one, other = ferrule.Pipe(loop), ferrule.Pipe(loop)
    one.bind(folder / "s")
    (folder / "s").unlink()
    other.bind(folder / "s")
    one.close()
    loop.run()
    serve_through(loop, other, folder / "s")
    other.close()
    assert not (folder / "s").exists()


BINDER = """
    import sys, ferrule
    with ferrule.Loop() as loop:
        for name in iter(sys.stdin.readline, ""):
            pipe = ferrule.Pipe(loop)
            try:
                pipe.bind(name.strip())
                print("bound")
            except ferrule.Error as error:
                print(error.status)
            sys.stdin.readline()
            pipe.close()
            loop.step(0)
            print("closed")
"""


@pytest.mark.parametrize("stale", [False, True], ids=["nothing", "stale"])
def test_of_many_who_bind_at_once_one_wins(folder: Path, stale: bool) -> None:
    """The others are told that it is in use, and leave it alone."""
    with ExitStack() as stack:
        binders = [stack.enter_context(Child(BINDER)) for _ in range(4)]
        for number in range(25):
            path = folder / str(number)
            if stale:
                leave_stale(path)
            for line, outcomes in ((f"{path}\n", ["FER_EADDRINUSE"] * 3 + ["bound"]), ("\n", ["closed"] * 4)):
                for binder in binders:
                    assert binder.process.stdin
                    binder.process.stdin.write(line)
                    binder.process.stdin.flush()
                assert sorted(binder.line() for binder in binders) == outcomes
            assert not path.exists()
        for binder in binders:
            assert binder.end() == (0, "", "")


# --- Modes -----------------------------------------------------------------------------------------------------


def test_chmod(loop: ferrule.Loop, folder: Path) -> None:
    pipe = ferrule.Pipe(loop)
    assert status_of(lambda: pipe.chmod(0o600)) == "FER_EINVAL"
    pipe.bind(folder / "s")
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o600
    for mode in (0o666, 0o640):
        pipe.chmod(mode)
        assert stat.S_IMODE((folder / "s").stat().st_mode) == mode
    assert status_of(lambda: pipe.chmod(0o1777)) == "FER_EINVAL"
    with pytest.raises(OverflowError):
        pipe.chmod(-1)
    # Somebody else's file is left alone.
    (folder / "s").unlink()
    (folder / "s").write_text("")
    (folder / "s").chmod(0o644)
    assert status_of(lambda: pipe.chmod(0o600)) == "FER_ENOENT"
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o644
    pipe.close()
    loop.run()
    assert (folder / "s").exists()


def test_chmod_of_what_has_no_file(loop: ferrule.Loop) -> None:
    one, other = ferrule.Pipe.pair(loop)
    assert status_of(lambda: one.chmod(0o600)) == "FER_EINVAL"
    abstract = ferrule.Pipe(loop)
    abstract.bind(b"\0ferrule-chmod-%d" % os.getpid())
    assert status_of(lambda: abstract.chmod(0o600)) == "FER_EINVAL"


@pytest.mark.parametrize("mode", [0o1777, -1, 1 << 40, "600"])
def test_modes_that_cannot_be(loop: ferrule.Loop, folder: Path, mode: Any) -> None:
    pipe = ferrule.Pipe(loop)
    with pytest.raises((ValueError, TypeError, OverflowError)):
        pipe.bind(folder / "s", mode=mode)
    assert not (folder / "s").exists()
