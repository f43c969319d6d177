"""The demo with folders that are not as nice as this repository, and with programs that fail."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import BUILD, PATIENCE, ROOT, wait_until

DEMO = ROOT / "demo"
sys.path.insert(0, str(DEMO))

import programs  # noqa: E402

needs_programs = pytest.mark.skipif(
    not (BUILD / "bin" / "ferrule_sha_server").exists(), reason="built without FER_BUILD_DEMO"
)


def run_demo(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(DEMO / "demo.py"), *map(str, arguments)],
        capture_output=True,
        timeout=2 * PATIENCE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


@needs_programs
def test_folder_of_odd_files(tmp_path: Path) -> None:
    """Nothing, much, and names that are no text: all nine pairs agree on every file."""
    (tmp_path / "empty").touch()
    (tmp_path / "two\nlines").write_text("x")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "small").write_bytes(bytes(range(256)))
    with open(os.path.join(os.fsencode(tmp_path), b"no-text-\xff"), "wb") as file:
        file.write(b"y")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((64 << 20) + 1)
    os.mkfifo(tmp_path / "fifo")
    done = run_demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Sending 5 files" in done.stdout
    assert "raising the limit" in done.stdout
    assert "FIFOs or devices: 1" in done.stdout
    assert "9 of 9 pairs ✓" in done.stdout
    assert done.stderr == ""


@needs_programs
def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """It is named, the others are sent, and the demo does not end as if all were well."""
    (tmp_path / "good").write_text("good")
    (tmp_path / "broken").symlink_to("nowhere")
    done = run_demo(tmp_path)
    assert done.returncode == 1
    assert f"cannot send {tmp_path}/broken: No such file or directory" in done.stdout
    assert "9 of 9 pairs ✓" in done.stdout


def test_no_folder(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "missing")
    assert done.returncode == 2
    assert "is not a folder" in done.stderr


def test_folder_without_files(tmp_path: Path) -> None:
    done = run_demo(tmp_path)
    assert done.returncode == 1
    assert "has no file that could be sent" in done.stdout


@needs_programs
def test_server_that_crashes(tmp_path: Path) -> None:
    """The pairs of the other languages go on, and the table says what happened."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "one").write_text("one")
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "ferrule_sha_client").symlink_to(BUILD / "bin" / "ferrule_sha_client")
    server = binaries / "ferrule_sha_server"
    server.write_text("#!/bin/sh\nkill -SEGV $$\n")
    server.chmod(0o755)
    done = run_demo(folder, FERRULE_BUILD_DIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.count("failed: the C server: crashed: SIGSEGV") >= 3
    assert "6 of 9 pairs ✓" in done.stdout


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts a shell script in the place of every program."""
    path = tmp_path / "fake"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setattr(programs, "command", lambda language, role: [str(path)])


def run_client(tmp_path: Path) -> Any:
    names = tmp_path / "names"
    names.touch()
    return asyncio.run(programs.run_client("C", "pipe:nowhere", 1000, names, lambda messages, done: None))


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo failed no luck; exit 1", "no luck"),
        ("echo some words >&2; exit 3", "the C client: exit code 3: some words"),
        ("kill -ABRT $$", "the C client: crashed: SIGABRT"),
        ("echo progress 1 1", "the C client ended without a result"),
        ("echo done 1 1 0.1; exit 1", "the C client: exit code 1"),
    ],
)
def test_client_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str) -> None:
    fake(tmp_path, monkeypatch, script)
    with pytest.raises(programs.Trouble, match=reason):
        run_client(tmp_path)


def test_client_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and said to hang."""
    monkeypatch.setattr(programs, "QUIET_SECONDS", 0.2)
    fake(tmp_path, monkeypatch, f"echo $$ > {tmp_path}/process; exec sleep 1000")
    with pytest.raises(programs.Trouble, match="the C client hung"):
        run_client(tmp_path)
    process = int((tmp_path / "process").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@needs_programs
def test_interrupt(tmp_path: Path) -> None:
    """Ctrl-C ends it and all that it started."""
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 30)
    demo = subprocess.Popen(
        [sys.executable, "-u", str(DEMO / "demo.py"), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def started() -> bool:
        return len(members(demo.pid)) > 1

    wait_until(started, "the first server starts")
    os.killpg(demo.pid, signal.SIGINT)
    _, complaints = demo.communicate(timeout=PATIENCE)
    assert demo.returncode == 130
    assert complaints == "demo: interrupted\n"
    assert not members(demo.pid)


def members(session: int) -> set[int]:
    """The processes of a session."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found
