"""Parity of a vault (docs/FORMAT.md section 10.3), written from the page alone: trailers parsed, every
stripe's hash compared with the members on the store, and stripes computed anew in plain arithmetic.

  hf1_parity.py STORE     check every object in pa/ of a store; no key is needed
"""
import hashlib
import os
import sys

STRIPE = 65536
CLASSES = {0: ("pk/",), 1: ("pk/",), 2: ("vh/", "ks/", "cf/", "rf/", "ev/", "rw/", "sn/", "hs/")}


class Corrupt(Exception):
    """The bytes are not what they must be."""


def need(claim, text):
    if not claim:
        raise Corrupt(text)


def sha(data):
    return hashlib.sha256(data).digest()


def times(x, y):
    """The product in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1."""
    out = 0
    while y:
        if y & 1:
            out ^= x
        x <<= 1
        if x & 0x100:
            x ^= 0x11D
        y >>= 1
    return out


def factor(row, slot):
    out = 1
    for _ in range(slot if row else 0):
        out = times(out, 2)
    return out


def row_of(row, blocks):
    """The parity of [(slot, bytes)], as long as the longest."""
    out = bytearray(max(len(data) for _, data in blocks))
    for slot, data in blocks:
        table = bytes(times(factor(row, slot), v) for v in range(256))
        for i, v in enumerate(data.translate(table)):
            out[i] ^= v
    return bytes(out)


def stripes(data):
    return [data[at:at + STRIPE] for at in range(0, len(data), STRIPE)]


def encode(row, rows, class_id, members):
    """The whole object of one row; members are (slot, name, content)."""
    parity = row_of(row, [(slot, content) for slot, _, content in members])
    trailer = b"HFPA" + bytes([1, row, rows, class_id, len(members), 0, 0, 0])
    trailer += len(parity).to_bytes(4, "big")
    for slot, name, content in members:
        trailer += bytes([slot, len(name)]) + len(content).to_bytes(4, "big") + name.encode()
    for content in [m[2] for m in members] + [parity]:
        trailer += b"".join(sha(s) for s in stripes(content))
    tail = sha(trailer) + (len(trailer) + 44).to_bytes(4, "big") + b"HFPARI01"
    return parity + trailer + tail


def parse(data):
    """-> row, rows, class, [(slot, name, length)], {stripe hashes by member}, parity bytes, own hashes."""
    need(len(data) >= 44 and data[-8:] == b"HFPARI01", "no end")
    length = int.from_bytes(data[-12:-8], "big")
    need(60 <= length <= len(data), "length of the trailer")
    trailer, tail = data[-length:-44], data[-44:]
    need(sha(trailer) == tail[:32], "hash of the trailer")
    need(trailer[:5] == b"HFPA\x01" and trailer[9:12] == bytes(3), "head")
    row, rows, class_id, count = trailer[5:9]
    need(1 <= rows <= 2 and row < rows and class_id in CLASSES and 1 <= count <= 32, "head")
    parity_len = int.from_bytes(trailer[12:16], "big")
    at, members = 16, []
    for _ in range(count):
        slot, name_len = trailer[at:at + 2]
        size = int.from_bytes(trailer[at + 2:at + 6], "big")
        name = trailer[at + 6:at + 6 + name_len].decode("ascii")
        at += 6 + name_len
        need(0 < size <= 60 << 20 and slot < 255, "member")
        need(not members or members[-1][0] < slot, "order of the slots")
        need(name.startswith(CLASSES[class_id]), "class of a member")
        members.append((slot, name, size))
    need(parity_len == max(m[2] for m in members), "length of the parity")
    hashes = []
    for size in [m[2] for m in members] + [parity_len]:
        n = -(-size // STRIPE)
        hashes.append([trailer[at + 32 * i:at + 32 * i + 32] for i in range(n)])
        at += 32 * n
    need(at == len(trailer) and len(data) == parity_len + length, "lengths")
    return row, rows, class_id, members, hashes, data[:parity_len]


def check_object(store, name):
    with open(os.path.join(store, name), "rb") as f:
        data = f.read()
    hexa = sha(data).hex()
    need(name == f"pa/{hexa[:2]}/{hexa}", f"{name}: does not hash to its name")
    row, _, _, members, hashes, parity = parse(data)
    contents = []
    for (_, member, size), want in zip(members, hashes):
        with open(os.path.join(store, member), "rb") as f:
            contents.append(f.read())
        need(len(contents[-1]) == size, f"{member}: its length")
        need(sha(contents[-1]).hex() == member[-64:], f"{member}: its hash")
        need([sha(s) for s in stripes(contents[-1])] == want, f"{member}: its stripes")
    need([sha(s) for s in stripes(parity)] == hashes[-1], f"{name}: its own stripes")
    last = (len(parity) - 1) // STRIPE
    for stripe in {0, last}:
        blocks = [(m[0], c[stripe * STRIPE:(stripe + 1) * STRIPE])
                  for m, c in zip(members, contents)]
        made = row_of(row, blocks)
        need(made == parity[stripe * STRIPE:stripe * STRIPE + STRIPE], f"{name}: stripe {stripe}")
    return len(members)


def main():
    store, count, covered = sys.argv[1], 0, 0
    for folder, _, names in os.walk(os.path.join(store, "pa")):
        for name in names:
            covered += check_object(store, os.path.relpath(os.path.join(folder, name), store))
            count += 1
    need(count > 0, "no parity on this store")
    print(f"{count} parity objects, {covered} members")


if __name__ == "__main__":
    main()
