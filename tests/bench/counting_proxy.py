#!/usr/bin/env python3
"""counting_proxy.py LISTEN-PORT TARGET-PORT FILE: passes TCP through; FILE holds how many bytes went
to the target so far, newest ten times a second."""
import os
import socket
import sys
import threading
import time

LISTEN, TARGET, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
lock = threading.Lock()
total = 0


def pump(source, target, is_counted):
    global total
    try:
        while data := source.recv(65536):
            if is_counted:
                with lock:
                    total += len(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def tell():
    while True:
        with open(FILE + ".new", "w") as f:
            f.write("%d\n" % total)
        os.rename(FILE + ".new", FILE)
        time.sleep(0.1)


def main():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", LISTEN))
    server.listen(64)
    threading.Thread(target=tell, daemon=True).start()
    while True:
        near, _ = server.accept()
        try:
            far = socket.create_connection(("127.0.0.1", TARGET))
        except OSError:
            near.close()
            continue
        for source, target, is_counted in ((near, far, True), (far, near, False)):
            threading.Thread(target=pump, args=(source, target, is_counted), daemon=True).start()


main()
