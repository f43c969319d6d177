"""The counting of test results must not lose a failure."""

import contextlib
import io
import json
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import results

JUNIT = """<testsuite>
  <testcase name="c.good" status="run"><system-out>fine</system-out></testcase>
  <testcase name="c.bad" status="fail"><failure message="Failed"/><system-out>boom</system-out></testcase>
  <testcase name="c.skipped" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>no tool</system-out></testcase>
  <testcase name="c.lost" status="notrun"><skipped message="Unable to find executable"/></testcase>
</testsuite>
"""

CMOCKA = """<testsuites><testsuite name="tests">
  <testcase name="one" time="0"/>
  <testcase name="two" time="0"><failure><![CDATA[1 != 2]]></failure></testcase>
  <testcase name="three" time="0"><skipped/></testcase>
</testsuite></testsuites>
"""


class Results(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def lines(self, *entries: object) -> Path:
        return self.write("lines.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))

    def names(self, tally: results.Tally) -> list[str]:
        return [name for name, _ in tally.failures]

    def test_ctest(self) -> None:
        tally = results.read_ctest(self.write("junit.xml", JUNIT), self.folder)
        self.assertEqual(tally.passed, 1)
        self.assertEqual(self.names(tally), ["c.bad", "c.lost"])
        self.assertEqual(tally.skips, [("c.skipped", "no tool")])
        self.assertIn("boom", tally.failures[0][1])

    def test_ctest_with_cases(self) -> None:
        self.write("c.good.tests.xml", CMOCKA.replace("<failure><![CDATA[1 != 2]]></failure>", ""))
        self.write("c.bad.tests.xml", CMOCKA)
        tally = results.read_ctest(self.write("junit.xml", JUNIT), self.folder)
        self.assertEqual(tally.passed, 2 + 1)
        self.assertEqual(self.names(tally), ["c.bad: two", "c.lost"])

    def test_ctest_program_that_fails_after_its_cases(self) -> None:
        self.write("c.bad.tests.xml", CMOCKA.replace("<failure><![CDATA[1 != 2]]></failure>", ""))
        tally = results.read_ctest(self.write("junit.xml", JUNIT), self.folder)
        self.assertIn("c.bad", self.names(tally))

    def test_cmocka_cut_off(self) -> None:
        self.write("c.good.tests.xml", CMOCKA[:60])
        tally = results.read_ctest(self.write("junit.xml", JUNIT), self.folder)
        self.assertIn("c.good", self.names(tally))

    def test_ctest_without_results(self) -> None:
        self.assertEqual(self.names(results.read_ctest(self.folder / "none.xml", self.folder)), ["ctest"])

    def test_lines(self) -> None:
        tally = results.read_lines(
            self.lines(
                {"event": "start", "name": "a"},
                {"event": "end", "name": "a", "result": "passed"},
                {"event": "start", "name": "b"},
                {"event": "end", "name": "b", "result": "failed", "detail": "boom"},
                {"event": "start", "name": "c"},
                {"event": "end", "name": "c", "result": "skipped", "detail": "why"},
            )
        )
        self.assertEqual((tally.passed, tally.failures, tally.skips), (1, [("b", "boom")], [("c", "why")]))

    def test_topics(self) -> None:
        """Tests of what each language has alike are counted by the names of their files."""
        names = {
            "tests/python/test_pipe.py::test_names": "pipe",
            "test_pipe_name.py::test_passing": "pipe",
            "tests/node/passing_bad.test.js: what tcp refuses": "passing",
            "tests/node/tcp.test.js: pipe": "tcp",
            "tests/python/test_channel.py::test_pipe": None,
            "tests/node/channel.test.js: udp": None,
            "test_udp": "udp",
        }
        ends = [
            {"event": event, "name": name, "result": "passed"} for name in names for event in ("start", "end")
        ]
        tally = results.read_lines(self.lines(*ends))
        self.assertEqual(tally.passed, len(names))
        self.assertEqual(tally.topics, {"pipe": 2, "passing": 1, "tcp": 1, "udp": 1})
        self.write("c.test_tcp.tests.xml", "<t><testcase name='a'/><testcase name='b'/></t>")
        junit = self.write("junit.xml", "<t><testcase name='c.test_tcp' status='run'/></t>")
        self.assertEqual(results.read_ctest(junit, self.folder).topics, {"tcp": 2})

    def test_lines_crash(self) -> None:
        tally = results.read_lines(self.lines({"event": "start", "name": "a"}))
        self.assertEqual(self.names(tally), ["a"])

    def test_lines_cut_off(self) -> None:
        tally = results.read_lines(self.write("lines.jsonl", '{"event": "st'))
        self.assertEqual(self.names(tally), ["the runner"])

    def test_silent_failure(self) -> None:
        tally = results.Tally(passed=3)
        tally.close(1)
        self.assertEqual(self.names(tally), ["the runner"])

    def test_out_of_time_and_left_behind(self) -> None:
        for status, text in ((96, "left processes"), (97, "too long")):
            tally = results.Tally(passed=3, failures=[("a", "boom")])
            tally.close(status)
            self.assertEqual(self.names(tally), ["a", "the runner"])
            self.assertIn(text, tally.failures[1][1])

    def test_empty_suite(self) -> None:
        tally = results.Tally()
        tally.close(0)
        self.assertEqual(self.names(tally), ["the suite"])

    def close(self, *counts: object) -> tuple[int, str]:
        paths = [str(self.write(f"{number}.json", json.dumps(count))) for number, count in enumerate(counts)]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = results.add_up(paths)
        return status, output.getvalue()

    def test_closing_line(self) -> None:
        good = {"suite": "c", "passed": 2, "failed": 0}
        bad = {"suite": "d", "passed": 1, "failed": 3}
        self.assertEqual(self.close(good, good), (0, "4 passed, 0 failed\n"))
        self.assertEqual(self.close(good, bad), (1, "3 passed, 3 failed\n"))

    def test_closing_line_without_numbers(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            self.assertEqual(results.add_up([str(self.folder / "none.json")]), 1)
        self.assertEqual(output.getvalue(), "0 passed, 1 failed\n")


class Supervise(unittest.TestCase):
    def supervise(self, seconds: float, program: str) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "log"
            script = Path(results.__file__).with_name("supervise.py")
            done = subprocess.run(
                [sys.executable, str(script), str(log), str(seconds), sys.executable, "-c", program],
                stdout=subprocess.DEVNULL,
            )
            return done.returncode, log.read_text(encoding="utf-8")

    def test_status(self) -> None:
        self.assertEqual(self.supervise(60, "print('hello'); raise SystemExit(3)"), (3, "hello\n"))

    def test_signal(self) -> None:
        self.assertEqual(self.supervise(60, "import os; os.abort()")[0], 134)

    def test_out_of_time(self) -> None:
        status, log = self.supervise(0.2, "import signal; signal.pause()")
        self.assertEqual(status, 97)
        self.assertIn("out of time", log)

    def test_signals_are_not_ignored(self) -> None:
        program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.assertEqual(self.supervise(60, program), (0, "True\n"))
        finally:
            signal.signal(signal.SIGINT, before)

    def test_ended_from_outside(self) -> None:
        program = (
            "import os, signal; print(os.getpid(), flush=True); os.kill(os.getppid(), 15); signal.pause()"
        )
        status, log = self.supervise(60, program)
        self.assertEqual(status, 130)
        self.assert_gone(log.split()[0])

    def assert_gone(self, process: str) -> None:
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        self.assertIn(state, "ZX")

    def test_left_behind(self) -> None:
        child = "import signal; signal.pause()"
        program = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid)"
        status, log = self.supervise(60, program)
        self.assertEqual(status, 96)
        self.assertIn("left running:", log)
        self.assert_gone(log.split()[0])


if __name__ == "__main__":
    unittest.main()
