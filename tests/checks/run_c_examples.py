#!/usr/bin/env python3
"""Runs the example server and each of the example clients against it.

Usage: run_c_examples.py SERVER CLIENT...
"""

import subprocess
import sys
import tempfile


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(__doc__)
        return 2
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        address = f"pipe:{folder}/echo"
        server = subprocess.Popen([arguments[0], address], stdin=subprocess.DEVNULL)
        try:
            for client in arguments[1:]:
                # It waits until the server listens.
                done = subprocess.run([client, address], stdout=subprocess.PIPE, text=True, timeout=60)
                if (done.returncode, done.stdout) != (0, "hello\n"):
                    bad += 1
                    print(f"{client} ended with {done.returncode} and printed: {done.stdout!r}")
            if server.poll() is not None:
                bad += 1
                print(f"the server ended with {server.returncode}")
        finally:
            server.kill()
            server.wait()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
