#!/usr/bin/env python3
"""Counts test results. A crash, a hang, an empty suite and a runner that fails without saying why are failures.

Usage:
  results.py ctest SUITE JUNIT FOLDER STATUS COUNTS   results of ctest; FOLDER has the XML files of cmocka
  results.py lines SUITE FILE STATUS COUNTS           one JSON object a line: {"event", "name", "result", "detail"}
  results.py sum COUNTS...                            the closing line; status 1 when anything failed

STATUS is the exit status of the runner. COUNTS is a file that gets the numbers of the suite.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from supervise import LEFT_BEHIND, OUT_OF_TIME

# Files of tests that are named for what each language has alike: c.test_pipe_bad, test_pipe.py, pipe_name.test.js.
_TOPIC = re.compile(
    r"(?:\S*/)?(?:c\.)?(?:test_)?(pipe|tcp|udp|passing)(?:_[a-z_]+)?(?:\.py::|\.test\.js: |$)"
)


@dataclass
class Tally:
    """What happened in one suite."""

    passed: int = 0
    topics: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[str, str]] = field(default_factory=list)
    skips: list[tuple[str, str]] = field(default_factory=list)

    def succeed(self, name: str, count: int = 1) -> None:
        self.passed += count
        topic = _TOPIC.match(name)
        if topic:
            self.topics[topic[1]] += count

    def fail(self, name: str, detail: str) -> None:
        self.failures.append((name, detail.strip()))

    def close(self, status: int) -> None:
        """Adds what only the whole run shows."""
        if status == LEFT_BEHIND:
            self.fail("the runner", "left processes running")
        elif status == OUT_OF_TIME:
            self.fail("the runner", "was ended because it took too long")
        elif status != 0 and not self.failures:
            self.fail("the runner", f"ended with status {status}, but reported no failed test")
        if self.passed == 0 and not self.failures and not self.skips:
            self.fail("the suite", "ran no test")


def cmocka_cases(path: Path) -> tuple[Tally, str]:
    """The cases in one XML file of cmocka, and why it could not be read."""
    tally = Tally()
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        return tally, f"{path.name}: {error}"
    for case in root.iter("testcase"):
        name = case.get("name", "?")
        problem = case.find("failure")
        if problem is None:
            problem = case.find("error")
        if problem is not None:
            tally.fail(name, (problem.text or "") + " ".join(problem.attrib.values()))
        elif case.find("skipped") is not None:
            tally.skips.append((name, ""))
        else:
            tally.passed += 1
    return tally, ""


def read_ctest(junit: Path, folder: Path) -> Tally:
    """The cases of a ctest run. A test that left XML of cmocka counts as its cases, any other as one."""
    tally = Tally()
    try:
        root = ElementTree.parse(junit).getroot()
    except (OSError, ElementTree.ParseError) as error:
        tally.fail("ctest", f"left no results: {error}")
        return tally
    for case in root.iter("testcase"):
        name = case.get("name", "?")
        output = case.findtext("system-out") or ""
        status = case.get("status")
        # ctest calls both a skipped and a disabled test "notrun" or "disabled".
        if status in ("notrun", "disabled"):
            skipped = case.find("skipped")
            reason = "" if skipped is None else skipped.get("message", "")
            if reason.startswith("SKIP_RETURN_CODE") or status == "disabled":
                tally.skips.append((name, (output.strip().splitlines() or [reason])[-1]))
            else:
                tally.fail(name, f"was not run: {reason}\n{output}")
            continue
        groups = sorted(folder.glob(f"{name}.*.xml"))
        inner_failures = 0
        for path in groups:
            cases, problem = cmocka_cases(path)
            tally.succeed(name, cases.passed)
            tally.skips += [(f"{name}: {inner}", why) for inner, why in cases.skips]
            tally.failures += [(f"{name}: {inner}", why) for inner, why in cases.failures]
            inner_failures += len(cases.failures)
            if problem:
                tally.fail(name, problem)
                inner_failures += 1
        if status == "fail":
            if inner_failures == 0:
                failure = case.find("failure")
                reason = "" if failure is None else failure.get("message", "")
                tally.fail(name, f"{reason}\n{output}")
        elif not groups:
            tally.succeed(name)
    return tally


def read_lines(path: Path) -> Tally:
    """The cases that a runner wrote as it went. What was started and never ended has crashed or hung."""
    tally = Tally()
    running: dict[str, int] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        tally.fail("the runner", f"left no results: {error}")
        return tally
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            tally.fail("the runner", f"was cut off while it wrote: {line[:200]}")
            continue
        name = entry["name"]
        if entry["event"] == "start":
            running[name] = running.get(name, 0) + 1
            continue
        running[name] = running.get(name, 0) - 1
        if entry["result"] == "passed":
            tally.succeed(name)
        elif entry["result"] == "skipped":
            tally.skips.append((name, entry.get("detail", "")))
        else:
            tally.fail(name, entry.get("detail", ""))
    for name, count in running.items():
        for _ in range(count):
            tally.fail(name, "started and never ended: it crashed, or was ended because it hung")
    return tally


def report(suite: str, tally: Tally, counts: Path) -> int:
    """Prints the suite's line and its failures, and writes the numbers down."""
    for name, detail in tally.failures:
        print(f"  FAILED {suite}: {name}")
        lines = detail.splitlines()
        if len(lines) > 60:
            lines = [f"... {len(lines) - 60} lines before"] + lines[-60:]
        for line in lines:
            print(f"    {line}")
    for name, reason in tally.skips:
        print(f"  skipped {suite}: {name}{': ' if reason else ''}{reason.strip()}")
    skipped = f", {len(tally.skips)} skipped" if tally.skips else ""
    print(f"  {suite}: {tally.passed} passed, {len(tally.failures)} failed{skipped}")
    if len(tally.topics) > 1:
        print(f"    of these {', '.join(f'{topic} {tally.topics[topic]}' for topic in sorted(tally.topics))}")
    numbers = {"suite": suite, "passed": tally.passed, "failed": len(tally.failures)}
    counts.write_text(json.dumps(numbers) + "\n", encoding="utf-8")
    return 1 if tally.failures else 0


def add_up(paths: list[str]) -> int:
    """The closing line."""
    passed = failed = 0
    for path in paths:
        try:
            numbers = json.loads(Path(path).read_text(encoding="utf-8"))
            passed += numbers["passed"]
            failed += numbers["failed"]
        except (OSError, ValueError, KeyError):
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main(arguments: list[str]) -> int:
    if len(arguments) == 6 and arguments[0] == "ctest":
        suite, junit, folder, status, counts = arguments[1:]
        tally = read_ctest(Path(junit), Path(folder))
    elif len(arguments) == 5 and arguments[0] == "lines":
        suite, lines, status, counts = arguments[1:]
        tally = read_lines(Path(lines))
    elif len(arguments) > 1 and arguments[0] == "sum":
        return add_up(arguments[1:])
    else:
        print(__doc__)
        return 2
    tally.close(int(status))
    return report(suite, tally, Path(counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
