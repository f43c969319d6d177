"""The same client without an event loop: sync_client.py [ADDRESS]"""

import sys

from ferrule import sync

with sync.connect(sys.argv[1] if len(sys.argv) > 1 else "pipe:echo") as channel:
    channel.send(b"hello")
    print(channel.recv(timeout=5).decode())
