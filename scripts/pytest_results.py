"""A pytest plugin: writes each result down at once, so that a crash leaves the results before it.

Used by ./dev test as `-p pytest_results`; FERRULE_RESULTS names the file.
"""

import json
import os

import pytest

_results: dict[str, dict[str, str]] = {}


def _write(**entry: str) -> None:
    path = os.environ.get("FERRULE_RESULTS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    _results[nodeid] = {"result": "passed", "detail": ""}
    _write(event="start", name=nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    entry = _results[report.nodeid]
    if report.failed:
        entry["result"] = "failed"
        entry["detail"] += f"{report.when}: {report.longreprtext}\n"
        for title, text in report.sections:
            entry["detail"] += f"{title}:\n{text}\n"
    elif report.skipped and entry["result"] == "passed":
        entry["result"] = "skipped"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        entry["detail"] = getattr(report, "wasxfail", "") or reason


def pytest_runtest_logfinish(nodeid: str) -> None:
    _write(event="end", name=nodeid, **_results.pop(nodeid))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        _write(event="start", name=report.nodeid)
        _write(event="end", name=report.nodeid, result="failed", detail=report.longreprtext)
