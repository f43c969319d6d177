"""Rules that the sources of the binding keep, and what the module lets others see."""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import re
import shutil
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ferrule
import pytest
from ferrule import _ferrule, error
from support import PYTHON_SOURCES, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import headers  # noqa: E402

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


# They mirror nothing.
OWN = {"ferrule.EndOfStream", "ferrule.HasFileno", "ferrule.HasFileno.fileno", "ferrule.Options"}


def test_what_mirrors_something_names_it() -> None:
    silent = {name for name, member in public_members() if "Source: " not in (inspect.getdoc(member) or "")}
    assert silent == OWN


# What any call may give, which the pages and the classes say once; and what cannot come, or is dealt with, in Python.
ANY_CALL = set(
    "FER_EINVAL FER_ECLOSED FER_ETHREAD FER_EFORK FER_ENOMEM FER_EBUSY FER_EKIND FER_ENOBUFS FER_EUNKNOWN".split()
)
# Mistakes in types are not told each time; the others turn one failure into another.
LEFT_OUT = {
    "require_callable",
    "check_callable",
    "check_loop",
    "flag",
    "whole",
    "real",
    "make",
    "from_status",
    "of_kind",
}
# FER_EBADF is taken for "later", and FER_ENOTSUP is for channels and servers that wait.
NEVER = {"ferrule.TCP.nodelay", "ferrule.TCP.keepalive", "ferrule.Channel.abort", "ferrule.Server.abort"}


def function_behind(call: ast.Call, function: types.FunctionType, owner: type | None) -> Any:
    """What is called, where that can be told: a function, a method of self, a function of a module."""
    found: Any = None
    if isinstance(call.func, ast.Name):
        found = function.__globals__.get(call.func.id)
    elif isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
        place = function.__globals__.get(call.func.value.id)
        if call.func.value.id in ("self", "cls") and owner:
            found = inspect.getattr_static(owner, call.func.attr, None)
        elif isinstance(place, types.ModuleType):
            found = getattr(place, call.func.attr, None)
    return getattr(found, "__func__", found)


def reasons(function: Any, owner: type | None, statuses: dict[str, set[str]], depth: int = 4) -> set[str]:
    """Why it can raise: what it and what it calls raises, and what the functions of C that they call return."""
    if not inspect.isfunction(function) or function.__name__ in LEFT_OUT or depth == 0:
        return set()
    if not function.__module__.startswith("ferrule"):
        return set()
    found = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            text = ast.unparse(node.exc)
            if not text.startswith(("Stop", "TypeError", "NotImplementedError")):
                found.add(text)
        elif isinstance(node, ast.Attribute):
            found |= statuses.get(node.attr, set())
        elif isinstance(node, ast.Call):
            found |= reasons(function_behind(node, function, owner), owner, statuses, depth - 1)
    return found


def test_what_can_raise_says_so() -> None:
    statuses = {
        function.name: set(re.findall(r"FER_E\w+", (function.doc or "").partition("@return")[2])) - ANY_CALL
        for function in headers.all_functions()
        if function.returns == "fer_status"
    }
    assert statuses["fer_pipe_bind"] > {"FER_EADDRINUSE"}
    silent, telling = {}, 0
    for name, member in public_members():
        if inspect.isclass(member):
            continue
        owner = getattr(sys.modules[member.__module__], member.__qualname__.partition(".")[0])
        why = reasons(member, owner if inspect.isclass(owner) else None, statuses)
        says = re.search(r"\b[Rr]aises\b|^As ``", inspect.getdoc(member) or "")
        telling += bool(why and says)
        if why and not says:
            silent[name] = why
    assert telling > 50
    assert silent.keys() == NEVER, silent


def test_what_is_said_to_be_raised_exists() -> None:
    known = {status for status, _, _ in headers.statuses()}
    for name, member in public_members():
        raised = (inspect.getdoc(member) or "").partition("Raises")[2].partition("Source:")[0]
        for word in re.findall(r"\b[A-Z]\w*Error\b", raised):
            assert hasattr(error, word) or hasattr(builtins, word) or hasattr(asyncio, word), (
                f"{name}: {word}"
            )
        for word in re.findall(r"\bFER_E\w+", raised):
            assert word in known, f"{name}: {word}"


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
