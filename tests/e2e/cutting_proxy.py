#!/usr/bin/env python3
"""cutting_proxy.py LISTEN-PORT TARGET-PORT SEED: passes TCP through and cuts: some connections are
reset, some half-closed, after a random number of bytes."""
import random
import socket
import struct
import sys
import threading

LISTEN, TARGET, SEED = (int(x) for x in sys.argv[1:4])
RANDOM = random.Random(SEED)


def pump(source, target, budget, is_reset):
    try:
        while budget > 0:
            data = source.recv(min(65536, budget))
            if not data:
                break
            budget -= len(data)
            target.sendall(data)
        if budget <= 0 and is_reset:
            for s in (source, target):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.close()
        else:
            target.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", LISTEN))
    server.listen(64)
    while True:
        near, _ = server.accept()
        try:
            far = socket.create_connection(("127.0.0.1", TARGET))
        except OSError:
            near.close()
            continue
        for pair in ((near, far), (far, near)):
            budget = 1 << 60
            if RANDOM.random() < 0.35:
                budget = int(10 ** RANDOM.uniform(3, 7))
            threading.Thread(target=pump, args=(*pair, budget, RANDOM.random() < 0.6),
                             daemon=True).start()


main()
