#!/usr/bin/env python3
"""door_enemy.py SOCKET VAULT_FILE ...: whoever has a place at the door of an append-only vault does to it all
that the wire and rubbish can say.  VAULT_FILE: names of objects that are there.  Prints a line for
each trial that was not refused; exit status 1 if there was one.
door_enemy.py --litter SOCKET: puts rubbish where it is taken."""
import hashlib
import os
import random
import socket
import struct
import sys
import time

MAGIC = 0x31414648
PUT, GET, RANGE, STAT, LIST, BARRIER = 1, 2, 3, 4, 5, 6
trouble = []


class Door:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(path)
        self.hello = self.hear()

    def take(self, n):
        data = b""
        while len(data) < n:
            more = self.s.recv(n - len(data))
            if not more:
                raise ConnectionError("closed")
            data += more
        return data

    def hear(self):
        magic, code, msg, hint, _, a, length = struct.unpack("=IIHHIQQ", self.take(32))
        assert magic == MAGIC
        self.take(msg + hint)
        return code, a, self.take(length)

    def ask(self, verb, name, a=0, b=0, data=b""):
        self.s.sendall(struct.pack("=IBBHQQ", MAGIC, verb, 0, len(name), a, b) + name + data)
        return self.hear()

    def put(self, name, data):
        return self.ask(PUT, name.encode(), len(data), 0, data)[0]


def refused(what, door, name, data):
    code = door.put(name, data)
    if code == 0:
        trouble.append(f"{what}: '{name}' was taken")


def litter(path):
    """Rubbish under the names that are taken unseen."""
    door = Door(path)
    rubbish = os.urandom(5000)
    h = hashlib.sha256(rubbish).hexdigest()
    codes = [door.put(name, rubbish)
             for name in (f"pk/{h[:2]}/{h}", f"ix/{h}", f"rf/{h}", f"ev/{h}")]
    sys.exit(1 if any(codes) or door.ask(BARRIER, b"")[0] else 0)


def main():
    path, there = sys.argv[1], sys.argv[2:]
    if path == "--litter":
        litter(there[0])
    door = Door(path)
    if door.hello[0] != 0:
        sys.exit(f"not let in: {door.hello[0]}")
    rubbish = os.urandom(5000)
    h = hashlib.sha256(rubbish).hexdigest()
    now = int(time.time() * 1000)
    for name in there:
        refused("overwrite", door, name, rubbish)
        refused("truncate", door, name, b"")
    for name in (f"pr/{h}", f"gc/{h[:32]}-00000000-{h}", f"dd/{h}", f"hs/{h}", f"cf/{h}",
                 f"ks/{h}", f"vh/00000009-{h}", f"rw/{h}", f"pa/{h[:2]}/{h}", f"wb/pk_{h}",
                 f"qr/pk_{h}-{h}", "README.txt", f"sn/{0:012x}-{h}",
                 f"sn/{now + 86400000:012x}-{h}", f"sn/{now - 86400000:012x}-{h}",
                 f"pk/{h[:2]}/{'0' * 64}", f"ix/{'0' * 64}", f"se/{'0' * 32}-00000001", "tmp/x",
                 "../x", "/etc/x", "x", ""):
        refused("put", door, name, rubbish)
    for name in there:  # another session's marks, its own bytes too
        if name.startswith("se/"):
            code, _, own = door.ask(GET, name.encode())
            refused("another's mark again", door, name, own)
            refused("another's next mark", door, name[:-8] + f"{int(name[-8:], 16) + 1:08x}", own)
    # names that may be put, of bytes that are none: what every run of the owner's reads is refused
    junk = os.urandom(3000)
    refused("a mark that is none", door, f"se/{os.urandom(16).hex()}-00000000", junk)
    for size in (0, 3000, 300000):
        junk = os.urandom(size)
        j = hashlib.sha256(junk).hexdigest()
        refused("a snapshot that is none", door, f"sn/{int(time.time() * 1000):012x}-{j}", junk)
    for name in there:  # a good one's bytes under another time, or another session
        if name.startswith("sn/"):
            code, _, own = door.ask(GET, name.encode())
            refused("a snapshot at another time", door,
                    f"sn/{int(time.time() * 1000):012x}-{name[-64:]}", own)
    for name in there:
        if name.startswith("se/"):
            code, _, own = door.ask(GET, name.encode())
            refused("a mark of another", door, f"se/{os.urandom(16).hex()}-00000000", own)
    for verb in (0, 7, 8, 77, 255):  # is there a verb that takes away?
        for name in there[:3]:
            other = Door(path)
            try:
                other.ask(verb, name.encode())
            except (ConnectionError, AssertionError, socket.timeout):
                pass
            other.s.close()
    random.seed(5)
    for _ in range(200):  # rubbish that begins well
        other = Door(path)
        if other.hello[0] == 0:
            name = random.choice(there).encode()[:random.randrange(1, 60)]
            head = struct.pack("=IBBHQQ", MAGIC, random.randrange(1, 7), random.randrange(256),
                               len(name), random.getrandbits(random.choice((8, 24, 63))),
                               random.getrandbits(8))
            try:
                other.s.sendall((head + name + os.urandom(300))[:random.randrange(10, 400)])
            except OSError:
                pass
        other.s.close()
    held = []
    try:
        for _ in range(100):  # every place there is
            held.append(Door(path))
            if held[-1].hello[0] != 0:
                break
        else:
            trouble.append("a hundred connections were let in")
    except OSError as why:
        trouble.append(f"the door broke: {why}")
    if door.ask(LIST, b"sn/")[0] != 0:
        trouble.append("the first connection is not served any more")
    print("\n".join(trouble) or "all was refused")
    sys.exit(1 if trouble else 0)


main()
