"""Rules that the sources of the binding keep, and what the module lets others see."""

from __future__ import annotations

import ast
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import _ferrule
from support import PYTHON_SOURCES, ROOT

INTERFACES = sorted((PYTHON_SOURCES / "swig").glob("*.i"))
C_SOURCES = sorted((PYTHON_SOURCES / "src").glob("*.[ch]"))
PACKAGE = sorted((PYTHON_SOURCES / "ferrule").glob("*.py"))
HEADERS = sorted((ROOT / "capi" / "include" / "ferrule").glob("*.h"))
WAITS = {
    "fer_loop_run",
    "fer_loop_step",
    "fer_loop_linger",
    "fer_sync_connect",
    "fer_sync_send",
    "fer_sync_send_fds",
    "fer_sync_flush",
    "fer_sync_receive",
    "fer_sync_close",
    "fer_sync_accept",
    "fer_sync_parent",
}
NOT_WRAPPED = {
    "fer_channel_pair",
    "fer_channel_send_many",
    "fer_channel_set_body_memory",
    "fer_loop_attach",
    "fer_loop_detach",
    "fer_message_take",
    "fer_message_take_data",
    "fer_message_take_fd",
    "fer_set_allocator",
    "fer_sync_send_many",
}


def public_functions() -> set[str]:
    # ferrule.ipc is made of channels on asyncio, not of the calls of ipc.h that wait.
    text = "\n".join(path.read_text() for path in HEADERS if path.name != "ipc.h")
    return set(re.findall(r"^FER_API\b[^;(]*?\b(fer_\w+)\(", text, re.MULTILINE))


def without_comments(path: Path) -> str:
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


def test_every_public_function_is_wrapped() -> None:
    assert len(public_functions()) > 70
    wrapped = {name for name in dir(_ferrule) if name.startswith("fer_")}
    assert wrapped == public_functions() - NOT_WRAPPED


def test_typemaps_go_by_shape() -> None:
    """No function is named, except where the interpreter is let go."""
    for path in INTERFACES:
        for line in without_comments(path).splitlines():
            assert "%exception" not in line
            assert "director" not in line
            for name in public_functions():
                if re.search(rf"\b{name}\b", line):
                    assert line in (f"%thread {name};", f"%ignore {name};"), f"{path.name}: {line}"


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What SWIG makes of the interface."""
    folder = tmp_path_factory.mktemp("swig")
    swig = shutil.which("swig", path=str(Path(sys.executable).parent)) or shutil.which("swig")
    assert swig, "SWIG is not installed"
    includes = [f"-I{ROOT}/capi/include", f"-I{PYTHON_SOURCES}/swig", f"-I{PYTHON_SOURCES}/src"]
    output = folder / "wrap.c"
    subprocess.run(
        [swig, "-python", "-Wall", "-Werror", *includes, "-outdir", str(folder), "-o", str(output)]
        + [str(PYTHON_SOURCES / "swig" / "ferrule.i")],
        check=True,
    )
    return output.read_text()


def test_the_interpreter_is_let_go_where_c_waits_only(wrapper: str) -> None:
    functions = re.split(r"^SWIGINTERN PyObject \*_wrap_", wrapper, flags=re.MULTILINE)[1:]
    letting_go = {text.split("(")[0] for text in functions if "SWIG_PYTHON_THREAD_BEGIN_ALLOW;" in text}
    assert letting_go == WAITS


def test_every_callback_type_has_one_trampoline_with_one_way_in_and_out() -> None:
    text = "\n".join(path.read_text() for path in HEADERS if path.name != "uv.h")
    types = set(re.findall(r"typedef (?:void|int) \(\*(fer_\w+)\)", text))
    mapped = "\n".join(path.read_text() for path in INTERFACES)
    for name in types:
        assert re.search(rf"\b{name}\b", mapped), f"{name} has no typemap"
    source = (PYTHON_SOURCES / "src" / "trampolines.c").read_text()
    trampolines = re.findall(r"^(?:void|int) (ferpy_on_\w+)\(", source, re.MULTILINE)
    # The finalizer has two, for calls and for objects.
    assert len(trampolines) == len(types) + 1
    assert source.count("ferpy_enter(") == source.count("ferpy_leave(") == len(trampolines)
    for name in trampolines:
        assert name in mapped, f"{name} is not used"
    everything = "\n".join(without_comments(path) for path in C_SOURCES)
    assert everything.count("PyGILState_Ensure") == everything.count("PyGILState_Release") == 1


def test_files_are_small() -> None:
    for path in [*INTERFACES, *C_SOURCES, *PACKAGE]:
        assert len(path.read_text().splitlines()) < 500, path


def test_the_module_exports_what_python_looks_for_only() -> None:
    if not sys.platform.startswith("linux") or not shutil.which("nm"):
        pytest.skip("nm of binutils is needed")
    lines = subprocess.run(
        ["nm", "-D", "--defined-only", _ferrule.__file__], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__ferrule"]


def test_one_module_for_all_versions_from_3_11_on() -> None:
    assert _ferrule.__file__.endswith(".abi3.so") == (sys.version_info >= (3, 11))


def public_members() -> Iterator[tuple[str, Any]]:
    for module in (ferrule, ferrule.sync, ferrule.ipc):
        for name in module.__all__:
            member = getattr(module, name)
            if inspect.isfunction(member):
                yield f"{module.__name__}.{name}", member
            if inspect.isclass(member):
                yield f"{module.__name__}.{name}", member
                for inner, value in vars(member).items():
                    function = value.fget if isinstance(value, property) else value
                    function = getattr(function, "__func__", function)
                    if inspect.isfunction(function) and not inner.startswith("_"):
                        yield f"{module.__name__}.{name}.{inner}", function


def test_everything_public_is_documented() -> None:
    members = dict(public_members())
    assert len(members) > 60
    for name, member in members.items():
        text = inspect.getdoc(member)
        assert text, f"{name} has no docstring"
        if not inspect.isclass(member):
            parameters = [
                parameter.name
                for parameter in inspect.signature(member).parameters.values()
                if parameter.name not in ("self", "cls") and parameter.kind is not parameter.VAR_KEYWORD
            ]
            for parameter in parameters:
                assert re.search(rf"\b{parameter}\b", text), f"{name}: {parameter} is not described"


def test_every_parameter_has_a_type() -> None:
    for path in PACKAGE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.returns is not None, f"{path.name}: {node.name}"


def test_the_types_are_right(tmp_path: Path) -> None:
    """mypy over the package, and the stubs against what is really there."""
    cache = f"--cache-dir={tmp_path}/cache"
    check = [sys.executable, "-m", "mypy", "--strict", cache, "--python-version", "3.10", "ferrule"]
    result = subprocess.run(check, cwd=PYTHON_SOURCES, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    check = [sys.executable, "-m", "mypy.stubtest", "ferrule._ferrule", "ferrule.errno", "--concise"]
    result = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
