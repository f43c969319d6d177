"""A program as it is written for pyuv: workers get connections that were accepted elsewhere, over a pipe.

It knows nothing of ferrule: whoever runs it has ``pyuv`` be something. pyuv_program.py PATH
"""

import signal
import sys
import threading

import pyuv

NAME = sys.argv[1]
CLIENTS = 3


class Loop(pyuv.Loop):
    def excepthook(self, type, value, traceback):
        print("hook:", type.__name__, value)


class Worker:
    """Serves the connections that come over its end of a pipe."""

    def __init__(self, loop):
        self.loop = loop
        self.served = 0
        self.pipe = pyuv.Pipe(loop, True)
        self.pipe.connect(NAME, self.on_connect)

    def on_connect(self, pipe, error):
        assert error is None, pyuv.errno.strerror(error)
        pipe.start_read2(self.on_read2)

    def on_read2(self, pipe, data, pending, error):
        if error is not None:
            assert error == pyuv.errno.UV_EOF
            pipe.close()
            return
        if pending != pyuv.UV_UNKNOWN_HANDLE:
            assert pending == pyuv.UV_TCP
            client = pyuv.TCP(pipe.loop)
            pipe.accept(client)
            client.start_read(self.on_read)

    def on_read(self, client, data, error):
        if error is not None:
            client.close()
            return
        self.served += 1
        client.write([b"worker says ", data], lambda client, error: client.shutdown())


class Front:
    """Accepts connections and passes them on."""

    def __init__(self, loop):
        self.loop = loop
        self.passed = 0
        self.worker = None
        self.listener = pyuv.Pipe(loop)
        self.listener.bind(NAME)
        self.listener.listen(self.on_worker)
        self.server = pyuv.TCP(loop)
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(self.on_client, 16)

    def on_worker(self, listener, error):
        self.worker = pyuv.Pipe(self.loop, True)
        listener.accept(self.worker)
        listener.close()
        for number in range(CLIENTS):
            Client(self.loop, self.server.getsockname(), number)

    def on_client(self, server, error):
        client = pyuv.TCP(self.loop)
        server.accept(client)
        self.worker.write(b"x", lambda pipe, error: client.close(), client)
        self.passed += 1
        if self.passed == CLIENTS:
            server.close()
            self.worker.shutdown(lambda pipe, error: pipe.close())


class Client:
    answers = []

    def __init__(self, loop, address, number):
        self.number = number
        self.received = b""
        self.tcp = pyuv.TCP(loop)
        self.tcp.nodelay(True)
        self.tcp.connect(address, self.on_connect)

    def on_connect(self, tcp, error):
        assert error is None
        tcp.start_read(self.on_read)
        tcp.write(str(self.number).encode())

    def on_read(self, tcp, data, error):
        if data is not None:
            self.received += data
            return
        Client.answers.append(self.received.decode())
        tcp.close(self.on_close)

    def on_close(self, tcp):
        assert tcp.closed
        if self.number == 0:
            raise RuntimeError("from a callback")


def main():
    loop = Loop()
    ticks = []

    def tick(timer):
        ticks.append(loop.now())
        if len(ticks) == 3:
            timer.close()

    timer = pyuv.Timer(loop)
    timer.start(tick, 0.01, 0.01)
    assert timer.active and timer.repeat == 0.01

    forever = pyuv.Timer(loop)
    forever.start(lambda timer: None, 3600, 0)
    forever.ref = False

    def on_wakeup(wakeup):
        print("woken up")
        wakeup.close()

    wakeup = pyuv.Async(loop, on_wakeup)
    thread = threading.Thread(target=wakeup.send)
    thread.start()

    front = Front(loop)
    worker = Worker(loop)
    assert loop.alive and front.server in loop.handles
    loop.run(pyuv.UV_RUN_DEFAULT)
    thread.join()

    assert sorted(ticks) == ticks and len(ticks) == 3
    assert worker.served == front.passed == CLIENTS
    print(sorted(Client.answers))
    assert loop.handles == [forever], loop.handles
    forever.close()
    loop.run()
    assert not loop.handles and not loop.alive
    closed = pyuv.TCP(loop)
    closed.close()
    loop.run()
    try:
        closed.start_read(lambda *came: None)
    except pyuv.error.HandleClosedError as problem:
        print("closed", isinstance(problem, pyuv.error.UVError), issubclass(pyuv.error.UVError, Exception))
    try:
        used = pyuv.TCP(loop)
        used.bind(("127.0.0.1", 0))
        used.bind(("127.0.0.1", 0))
    except pyuv.error.TCPError as problem:
        print(problem.args[0] == pyuv.errno.UV_EINVAL, len(problem.args))
    used.close()
    loop.run()


signal.signal(signal.SIGPIPE, signal.SIG_DFL)
main()
