"""Answers HTTP clients whose connections examples/node/hand_over.mjs accepted: hand_over_worker.py [PIPE]"""

from __future__ import annotations

import argparse
import os
import sys

import ferrule


def serve(client: ferrule.TCP) -> None:
    """Answer the request that comes over a connection."""
    request = bytearray()

    def on_read(client: ferrule.TCP, data: bytes | None, error: int | None) -> None:
        if data is None:
            client.close()
            return
        request.extend(data)
        if b"\r\n\r\n" in request:
            client.stop_read()
            body = f"answered by Python, process {os.getpid()}\n".encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            client.write([head, body], lambda client, error: client.close())

    client.start_read(on_read)


def on_handle(pipe: ferrule.Pipe, data: bytes | None, pending: int, error: int | None) -> None:
    if error is not None:
        # The program that accepts has ended.
        pipe.close()
        return
    while pipe.pending_count:
        client = ferrule.TCP(pipe.loop)
        pipe.accept(client)
        serve(client)


def on_connect(pipe: ferrule.Pipe, error: int | None) -> None:
    if error is not None:
        sys.exit(ferrule.errno.strerror(error))
    pipe.start_read2(on_handle)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("pipe", nargs="?", default="hand_over.sock")
name = parser.parse_args().pipe
loop = ferrule.Loop()
pipe = ferrule.Pipe(loop, ipc=True)
pipe.connect(name, on_connect)
try:
    loop.run()
except KeyboardInterrupt:
    pass
