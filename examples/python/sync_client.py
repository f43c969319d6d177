"""The same client without an event loop: sync_client.py [ADDRESS]"""

import argparse

from ferrule import sync

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address", nargs="?", default="pipe:echo")
with sync.connect(parser.parse_args().address) as channel:
    channel.send(b"hello")
    print(channel.recv(timeout=5).decode())
