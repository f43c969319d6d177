"""Sends all bytes back, with callbacks, as a program for pyuv does: pipe_server.py PATH"""

import argparse

import ferrule as pyuv


def on_read(client: pyuv.Pipe, data: "bytes | None", error: "int | None") -> None:
    if data is None:
        client.close()
    else:
        client.write(data)


def on_connection(server: pyuv.Pipe, error: "int | None") -> None:
    client = pyuv.Pipe(server.loop)
    server.accept(client)
    client.start_read(on_read)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("path")
path = parser.parse_args().path
loop = pyuv.Loop.default_loop()
server = pyuv.Pipe(loop)
server.bind(path)
server.listen(on_connection)
print(f"listening at {server.getsockname()}", flush=True)
try:
    loop.run()
except KeyboardInterrupt:
    pass
