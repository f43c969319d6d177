"""Statuses and exceptions."""

from __future__ import annotations

import copy
import errno
import pickle
import re

import ferrule
import pytest
from ferrule import _ferrule
from ferrule import errno as numbers
from ferrule import error as errors
from support import ROOT

HEADER = (ROOT / "capi" / "include" / "ferrule" / "status.h").read_text()
STATUSES = {name: int(value) for name, value in re.findall(r"X\((FER_\w+), *(-?\d+), *\"[^\"]*\"\)", HEADER)}


def test_every_status_has_a_number_and_the_name_of_pyuv() -> None:
    assert len(STATUSES) > 50
    assert numbers.errorcode == {value: name for name, value in STATUSES.items()}
    for name, value in STATUSES.items():
        assert getattr(numbers, name) == value
        assert getattr(numbers, "UV_" + name[4:]) == value
    stub = (ROOT / "bindings" / "python" / "ferrule" / "errno.pyi").read_text()
    assert set(re.findall(r"(FER_\w+): Final", stub)) == set(STATUSES)
    assert set(re.findall(r"(UV_\w+): Final", stub)) == {"UV_" + name[4:] for name in STATUSES}


@pytest.mark.parametrize("name", [name for name in STATUSES if name != "FER_OK"])
def test_every_status_is_an_error(name: str) -> None:
    failure = errors.from_status(STATUSES[name], "what was wrong")
    assert isinstance(failure, ferrule.Error)
    assert isinstance(failure, OSError)
    assert failure.status == name
    assert failure.code == STATUSES[name]
    assert failure.errno == _ferrule.fer_status_errno(STATUSES[name])
    assert failure.errno != 0 or name in ("FER_EOF",)
    assert failure.strerror == f"{numbers.strerror(STATUSES[name])}: what was wrong"
    assert str(failure) == f"[{name}] {failure.strerror}"
    for other in (pickle.loads(pickle.dumps(failure)), copy.copy(failure)):
        assert type(other) is type(failure)
        assert str(other) == str(failure)
        assert (other.code, other.errno, other.args) == (failure.code, failure.errno, failure.args)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("FER_EINVAL", ValueError),
        ("FER_ENOMEM", MemoryError),
        ("FER_EKIND", TypeError),
        ("FER_ECLOSED", ValueError),
        ("FER_EADDRESS", ValueError),
        ("FER_EOF", EOFError),
        ("FER_ETIMEDOUT", TimeoutError),
        ("FER_EAGAIN", BlockingIOError),
        ("FER_ENOTSUP", NotImplementedError),
        ("FER_EINTR", InterruptedError),
        ("FER_ECONNREFUSED", ConnectionRefusedError),
        ("FER_ECONNRESET", ConnectionResetError),
        ("FER_ECONNABORTED", ConnectionAbortedError),
        ("FER_EPIPE", BrokenPipeError),
        ("FER_ENOENT", FileNotFoundError),
        ("FER_EACCES", PermissionError),
        ("FER_EPERM", PermissionError),
        ("FER_EEXIST", FileExistsError),
        ("FER_ENOTDIR", NotADirectoryError),
        ("FER_EISDIR", IsADirectoryError),
    ],
)
def test_it_is_the_built_in_exception_too(name: str, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        raise errors.from_status(STATUSES[name])


def test_a_number_that_is_no_status() -> None:
    failure = errors.from_status(-12345)
    assert type(failure) is ferrule.Error
    assert failure.status == "FER_EUNKNOWN"
    assert numbers.strerror(4711) == numbers.strerror(numbers.FER_EUNKNOWN)
    assert _ferrule.fer_status_name(2**31 - 1) == "FER_EUNKNOWN"
    with pytest.raises(TypeError):
        _ferrule.fer_status_name("FER_OK")  # type: ignore[arg-type]
    assert str(ferrule.Error()) == f"[FER_EUNKNOWN] {numbers.strerror(numbers.FER_EUNKNOWN)}"


def test_the_text_says_what_was_wrong() -> None:
    with pytest.raises(ferrule.Error) as caught:
        _ferrule.fer_address_check("nonsense:x")
    assert caught.value.errno == errno.EINVAL
    assert "nonsense" in str(caught.value)
    _ferrule.fer_address_check("pipe:/x")


def test_versions() -> None:
    assert ferrule.__version__ == _ferrule.fer_version_string()
    assert re.fullmatch(r"\d+\.\d+\.\d+", ferrule.__version__)
    _ferrule.fer_version_check(_ferrule.FER_VERSION_HEX)
    with pytest.raises(errors.VersionError):
        _ferrule.fer_version_check(_ferrule.FER_VERSION_HEX + 1)
    assert _ferrule.fer_version() == _ferrule.FER_VERSION_HEX
    assert _ferrule.fer_version_uv().startswith("1.")
