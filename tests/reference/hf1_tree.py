#!/usr/bin/env python3
"""Independent reference of the hf1 tree, written from docs/FORMAT.md section 4 and nothing else.

Chunker, bundle rule, entries, nodes, extent trees and root, encoded and decoded with the standard
library only.  `hf1_tree.py` prints the known answers that the unit tests carry; `--chunker` also
cuts the first 4 MiB of the chunker's vectors (slow).
"""
import hashlib
import hmac
import struct
import sys

M64 = (1 << 64) - 1
NODE_MAX, ITEMS_MAX, REFS_MAX, ITEMS_MIN = 256 << 10, 4096, 4096, 64
EXTENTS_MIN, EXTENTS_MAX, INLINE_EXTENTS = 64, 1024, 32
INLINE_MAX, SPILL_RECORD = 8192, 65536
DATA, NODE, ROOT, ATTR = 1, 2, 3, 4
FILE, DIR, SYMLINK, FIFO, CHAR, BLOCK = 1, 2, 3, 4, 5, 6


# ---- SipHash-2-4 -------------------------------------------------------------------------------
def siphash(k0, k1, data):
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D,
         k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rotl(x, b):
        return ((x << b) | (x >> (64 - b))) & M64

    def rounds(n):
        for _ in range(n):
            v[0] = (v[0] + v[1]) & M64
            v[1] = rotl(v[1], 13) ^ v[0]
            v[0] = rotl(v[0], 32)
            v[2] = (v[2] + v[3]) & M64
            v[3] = rotl(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & M64
            v[3] = rotl(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & M64
            v[1] = rotl(v[1], 17) ^ v[2]
            v[2] = rotl(v[2], 32)

    tail = len(data) % 8
    padded = data + bytes(7 - tail) + bytes([len(data) & 255])
    for (m,) in struct.iter_unpack("<Q", padded):
        v[3] ^= m
        rounds(2)
        v[0] ^= m
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def key_prf(k_tree, tag, key):
    k0, k1 = struct.unpack("<QQ", k_tree)
    return siphash(k0, k1, bytes([tag]) + key)


# ---- chunker 1 ---------------------------------------------------------------------------------
class Chunker:
    W = (1, 3, 5, 15, 3, 9, 15, 45)

    def __init__(self, key, average):
        st = b"".join(hmac.new(key, b"vcdc1" + bytes([i]), hashlib.sha256).digest()
                      for i in range(17))
        self.k0, self.k1 = struct.unpack("<QQ", st[:16])
        p, q = list(range(256)), 16
        for i in range(255, 0, -1):
            j = struct.unpack("<H", st[q:q + 2])[0] % (i + 1)
            p[i], p[j] = p[j], p[i]
            q += 2
        self.g = bytes(p[b & 15] ^ p[16 + (b >> 4)] for b in range(256))
        self.k = st[q] | 1
        self.m0, self.m1 = struct.unpack("<QQ", st[q + 1:q + 17])
        self.min, self.norm, self.max = average // 4, 13 * average // 16, 4 * average
        self.q1, self.q2 = (1 << 46) // average, (1 << 50) // average

    def is_candidate(self, b, t):
        if sum(w * self.g[b[t - i]] for i, w in enumerate(self.W)) & 255 != self.k:
            return False
        x0, x1 = struct.unpack("<QQ", b[t - 15:t + 1])
        return ((x0 ^ self.m0) * (x1 ^ self.m1) & M64) >> 59 == 0

    def cut(self, b):
        """Length of the first chunk of b; b is the rest of the stream."""
        n = len(b)
        if n <= self.min:
            return n
        full, n = n >= self.max, min(n, self.max)
        last, best = self.min - 2, None
        for t in range(self.min - 1, n):
            if not self.is_candidate(b, t):
                continue
            v = siphash(self.k0, self.k1, b[t - 63:t + 1]) >> 16
            d, last = t - last, t
            if v < (self.q1 if t + 1 < self.norm else self.q2) * d:
                return t + 1
            if best is None or v < best[0]:
                best = (v, t + 1)
        return best[1] if full and best else n


# ---- bundles -----------------------------------------------------------------------------------
def bundle_ends(k_tree, files):
    """files: (key, length) in key order; return how many bytes each bundle has."""
    out, size = [], 0
    for key, length in files:
        if size > 0 and size + length > 1 << 20:
            out.append(size)
            size = 0
        size += length
        if size >= 256 << 10 and key_prf(k_tree, 42, key) & 15 == 0:
            out.append(size)
            size = 0
    return out + ([size] if size else [])


# ---- bytes -------------------------------------------------------------------------------------
def varint(v):
    out = bytearray()
    while v > 127:
        out.append(v & 127 | 128)
        v >>= 7
    out.append(v)
    return bytes(out)


def tlv(tag, value):
    return bytes([tag]) + varint(len(value)) + value


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        assert n <= self.left(), "cut short"
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        v = shift = 0
        while True:
            b = self.u8()
            v |= (b & 127) << shift
            if b < 128:
                assert v <= M64 and (b or not shift), "varint"
                return v
            shift += 7


# ---- refs and nodes ----------------------------------------------------------------------------
# A ref is the tuple (id 32, key 32, raw length, record length).
def ref_bytes(ref):
    return ref[0] + ref[1] + struct.pack(">II", ref[2], ref[3])


def ref_parse(b):
    return (b[:32], b[32:64]) + struct.unpack(">II", b[64:72])


def use(refs, ref):
    if ref not in refs:
        refs.append(ref)
    return refs.index(ref)


def node_bytes(magic, level, refs, items):
    return (magic + bytes([1, level, 0, 0]) + struct.pack(">II", len(refs), len(items)) +
            b"".join(map(ref_bytes, refs)) + b"".join(items))


class Levels:
    """Nodes under construction, one a level; `limit(refs, items)` says when one is too full."""

    def __init__(self, put, magic, level_up):
        self.put, self.magic, self.level_up = put, magic, level_up
        self.open, self.done = {}, {}

    def get(self, level):
        return self.open.setdefault(level, {"refs": [], "items": [], "info": []})

    def close(self, level):
        n = self.open.pop(level)
        ref = self.put(NODE, node_bytes(self.magic, level, n["refs"], n["items"]))
        self.done[level] = self.done.get(level, 0) + 1
        return ref, n["info"]

    def finish(self):
        level = 0
        while self.done.get(level, 0):
            if level in self.open:
                self.level_up(level)
            level += 1
        n = self.get(level)
        if level > 0 and len(n["items"]) == 1:
            return n["refs"][0], level
        return self.close(level)[0], level + 1


# ---- extents -----------------------------------------------------------------------------------
# An extent is (ref, offset, length), or (None, 0, length) for a hole.
def extent_item(refs, x):
    ref, offset, length = x
    if ref is None:
        return varint(0) + varint(length)
    return varint(use(refs, ref) + 1) + varint(offset) + varint(length)


def extent_parse(r, refs):
    i = r.varint()
    if i == 0:
        return (None, 0, r.varint())
    return (refs[i - 1], r.varint(), r.varint())


def extent_tree(put, extents):
    """Return the ref of the top node and the height."""

    def add(level, item_of, length, last):
        n = levels.get(level)
        n["items"].append(item_of(n["refs"]))
        n["info"].append(length)
        full = len(n["items"]) >= EXTENTS_MIN and last is not None and last[0][31] == 0
        if full or len(n["items"]) == EXTENTS_MAX:
            up(level)

    def up(level):
        ref, info = levels.close(level)
        total = sum(info)
        add(level + 1, lambda refs: varint(use(refs, ref)) + varint(total), total, ref)

    levels = Levels(put, b"HFXN", up)
    for x in extents:
        add(0, lambda refs, x=x: extent_item(refs, x), x[2], x[0])
    return levels.finish()


def node_parse(magic, raw):
    assert raw[:5] == magic + b"\1" and raw[6:8] == b"\0\0"
    nrefs, n = struct.unpack(">II", raw[8:16])
    refs = [ref_parse(raw[16 + 72 * i:88 + 72 * i]) for i in range(nrefs)]
    assert len(set(r[0] for r in refs)) == nrefs
    return raw[5], refs, n, Reader(raw[16 + 72 * nrefs:])


def extent_tree_read(get, ref, height):
    level, refs, n, r = node_parse(b"HFXN", get(NODE, ref))
    assert level == height - 1 and n <= EXTENTS_MAX
    for _ in range(n):
        if level == 0:
            yield extent_parse(r, refs)
            continue
        child, total = refs[r.varint()], r.varint()
        got = list(extent_tree_read(get, child, height - 1))
        assert sum(x[2] for x in got) == total
        yield from got
    assert r.left() == 0


# ---- entries -----------------------------------------------------------------------------------
# An entry is a dict; absent keys have their default.
def entry_fields(e):
    """Everything before the extents, as a list of (tag, TLV)."""
    out = [(1, bytes([e["kind"]])), (2, varint(e["mode"])), (3, varint(e["uid"])),
           (4, varint(e["gid"]))]
    if e.get("user"):
        out.append((5, e["user"]))
    if e.get("group"):
        out.append((6, e["group"]))
    out.append((7, struct.pack(">qI", *e["mtime"])))
    if e.get("btime"):
        out.append((8, struct.pack(">qI", *e["btime"])))
    if e.get("flags"):
        out.append((9, struct.pack(">I", e["flags"])))
    if e["kind"] == SYMLINK:
        out.append((10, e["target"]))
    if e["kind"] in (CHAR, BLOCK):
        out.append((11, struct.pack(">II", *e["device"])))
    if e["kind"] == FILE:
        out.append((12, varint(e["size"])))
    if e.get("digest"):
        out.append((13, bytes([e["digest"][0]]) + e["digest"][1]))
    return [(tag, tlv(tag, value)) for tag, value in out]


def entry_parts(put, e):
    """Put extent tree and spilled attributes; return (tree or None, spilled TLVs, their refs)."""
    tree = None
    if len(e.get("extents", ())) > INLINE_EXTENTS:
        tree = extent_tree(put, e["extents"])
    xattrs = [(16, tlv(16, varint(len(n)) + n + v)) for n, v in e.get("xattrs", ())]
    attributes = [t for t in entry_fields(e) if t[0] == 10] + xattrs
    # the size counts two bytes for each ref index: as if 4095 refs were there already
    size = len(entry_encode(e, [None] * 4095, tree, [], []))
    spilled = []
    for t in sorted(attributes, key=lambda t: -len(t[1])):
        if size <= INLINE_MAX:
            break
        size -= len(t[1])
        spilled.append(t)
    spilled = [t for t in attributes if t in spilled]
    records = [b""]
    for _, t in spilled:
        if records[-1] and len(records[-1]) + len(t) > SPILL_RECORD:
            records.append(b"")
        records[-1] += t
    return tree, spilled, [put(ATTR, r) for r in records if r]


def entry_encode(e, refs, tree, spilled, spills):
    fixed_index = bool(refs) and refs[0] is None

    def index(ref):
        return 4095 if fixed_index else use(refs, ref)

    out = [t for t in entry_fields(e) if t not in spilled]
    if e["kind"] == FILE and e["size"]:
        if tree:
            value = b"\1" + varint(index(tree[0])) + bytes([tree[1]])
        else:
            value = b"\0"
            for ref, offset, length in e["extents"]:
                if ref is None:
                    value += varint(0) + varint(length)
                else:
                    value += varint(index(ref) + 1) + varint(offset) + varint(length)
        out.append((14, tlv(14, value)))
    if e.get("hardlink"):
        out.append((15, tlv(15, varint(e["hardlink"]))))
    for n, v in e.get("xattrs", ()):
        t = (16, tlv(16, varint(len(n)) + n + v))
        if t not in spilled:
            out.append(t)
    if spills:
        out.append((17, tlv(17, b"".join(varint(index(s)) for s in spills))))
    if e.get("notes"):
        out.append((18, tlv(18, varint(e["notes"]))))
    return b"".join(t for _, t in out)


def tlvs_parse(data):
    r = Reader(data)
    while r.left():
        tag = r.u8()
        yield tag, r.take(r.varint())


def entry_decode(get, data, refs):
    e = {"xattrs": []}
    numbers = {2: "mode", 3: "uid", 4: "gid", 12: "size", 15: "hardlink", 18: "notes"}
    fields = list(tlvs_parse(data))
    for tag, value in list(fields):
        if tag == 17:
            r = Reader(value)
            while r.left():
                fields += tlvs_parse(get(ATTR, refs[r.varint()]))
    for tag, value in fields:
        r = Reader(value)
        if tag in numbers:
            e[numbers[tag]] = r.varint()
        elif tag == 1:
            e["kind"] = value[0]
        elif tag in (5, 6):
            e["user" if tag == 5 else "group"] = value
        elif tag in (7, 8):
            e["mtime" if tag == 7 else "btime"] = struct.unpack(">qI", value)
        elif tag == 9:
            (e["flags"],) = struct.unpack(">I", value)
        elif tag == 10:
            e["target"] = value
        elif tag == 11:
            e["device"] = struct.unpack(">II", value)
        elif tag == 13:
            e["digest"] = (value[0], value[1:])
        elif tag == 14:
            if r.u8() == 1:
                e["extents"] = list(extent_tree_read(get, refs[r.varint()], r.u8()))
            else:
                e["extents"] = []
                while r.left():
                    e["extents"].append(extent_parse(r, refs))
        elif tag == 16:
            e["xattrs"].append((r.take(r.varint()), r.take(r.left())))
        else:
            assert tag == 17, "unknown tag"
    e["xattrs"].sort()
    return e


# ---- the tree ----------------------------------------------------------------------------------
def shared_prefix(a, b):
    n = 0
    while n < len(a) and n < len(b) and a[n] == b[n]:
        n += 1
    return n


def tree_build(put, k_tree, entries):
    """entries: (key, entry) in key order.  Return the ref of the top node."""

    def add(level, key, payload_of, info):
        n = levels.get(level)
        last = n["info"][-1][0] if n["info"] else b""
        shared = shared_prefix(last, key)
        refs = list(n["refs"])
        item = varint(shared) + varint(len(key) - shared) + key[shared:] + payload_of(refs)
        size = 16 + 72 * len(refs) + sum(map(len, n["items"])) + len(item)
        if n["items"] and (len(n["items"]) == ITEMS_MAX or len(refs) > REFS_MAX or
                           size > NODE_MAX):
            up(level)
            return add(level, key, payload_of, info)
        n["refs"] = refs
        n["items"].append(item)
        n["info"].append((key,) + info)
        if len(n["items"]) >= ITEMS_MIN and key_prf(k_tree, level, key) & 511 == 0:
            up(level)
        return None

    def up(level):
        ref, info = levels.close(level)
        count, size = sum(i[1] for i in info), sum(i[2] for i in info)
        add(level + 1, info[0][0],
            lambda refs: varint(use(refs, ref)) + varint(count) + varint(size), (count, size))

    levels = Levels(put, b"HFTN", up)
    for key, e in entries:
        tree, spilled, spills = entry_parts(put, e)

        def payload(refs, e=e, parts=(tree, spilled, spills)):
            body = entry_encode(e, refs, *parts)
            return varint(len(body)) + body

        add(0, key, payload, (1, e.get("size", 0)))
    return levels.finish()[0]


def tree_read(get, top):
    level, refs, n, r = node_parse(b"HFTN", get(NODE, top))
    key = b""
    for _ in range(n):
        shared = r.varint()
        key = key[:shared] + r.take(r.varint())
        if level == 0:
            yield key, entry_decode(get, r.take(r.varint()), refs)
            continue
        child, count, size = refs[r.varint()], r.varint(), r.varint()
        got = list(tree_read(get, child))
        assert got[0][0] == key and len(got) == count
        assert sum(e.get("size", 0) for _, e in got) == size
        yield from got
    assert r.left() == 0


# ---- root --------------------------------------------------------------------------------------
def root_bytes(r):
    out = r["nonce"]
    out += tlv(1, struct.pack(">BI", *r["chunker"])) + tlv(2, bytes([r["check"], 1]))
    out += tlv(3, b"\0\0") + tlv(4, bytes([r["consistency"]]))
    if r.get("truth"):
        out += tlv(5, ref_bytes(r["truth"]))
    return out + tlv(6, r["label"]) + tlv(7, r["tool"]) + ref_bytes(r["top"])


def root_parse(b):
    f = dict(tlvs_parse(b[32:-72]))
    r = {"nonce": b[:32], "chunker": struct.unpack(">BI", f[1]), "check": f[2][0],
         "consistency": f[4][0], "label": f[6], "tool": f[7], "top": ref_parse(b[-72:])}
    if 5 in f:
        r["truth"] = ref_parse(f[5])
    return r


def root_commit(ref):
    return hashlib.sha256(b"hf1/root-commit\0" + ref_bytes(ref)).digest()


# ---- known answers -----------------------------------------------------------------------------
K_TREE = bytes.fromhex("860a8d182a9f7237b2d8aab970032349")


class Store:
    """A fake: the ref of a record is made from its raw bytes."""

    def __init__(self):
        self.records, self.all, self.count = {}, hashlib.sha256(), 0

    def put(self, kind, raw):
        name = hashlib.sha256(bytes([kind]) + raw).digest()
        self.records[name] = raw
        self.count += 1
        self.all.update(bytes([kind]) + struct.pack(">I", len(raw)) + raw)
        return (name, hashlib.sha256(name).digest(), len(raw), len(raw) + 40)

    def get(self, _, ref):
        return self.records[ref[0]]


def data_ref(n):
    name = hashlib.sha256(b"data" + struct.pack(">I", n)).digest()
    return (name, hashlib.sha256(name).digest(), 1 << 20, (1 << 20) + 40)


def sample_extents(seed, count):
    return [(None, 0, 65536 + j) if j % 10 == 9 else (data_ref(seed + j), j, 1000 + j)
            for j in range(count)]


def sample_xattrs(i):
    if i % 97 == 5:
        out = [(b"user.x%04d" % k, bytes([k]) * (k * 37 % 700)) for k in range(40)]
        return out + [(b"user.y%04d" % k, bytes([i & 255]) * (40000 + 5000 * k)) for k in range(5)]
    if i % 9 == 0:
        return [(b"user.a", b"v%d" % i), (b"user.b", b"B" * (i % 40))]
    return []


def sample_file(e, i):
    e["size"], e["extents"] = 0, []
    if i % 13 == 0:
        pass
    elif i % 17 == 0:
        e["extents"] = sample_extents(i * 1000, 33 + i % 900)
    elif i % 19 == 0:
        e["extents"] = sample_extents(i * 1000, 11)
    else:
        e["extents"] = [(data_ref(i // 8), i % 8 * 5000, 100 + i)]
    e["size"] = sum(x[2] for x in e["extents"])
    if i % 3:
        e["digest"] = (i % 3, hashlib.sha256(b"digest" + struct.pack(">I", i)).digest())
    if i % 23 == 0:
        e["hardlink"] = i // 23 + 1
    if i % 29 == 0:
        e["notes"] = 1


def sample(i):
    """Entry number i of the sample: (key, entry)."""
    key = b"d%03d" % (i // 50) + (b"\0f%02d" % (i % 50) if i % 50 else b"")
    kinds = {0: DIR, 1: SYMLINK, 2: CHAR, 3: FIFO, 4: BLOCK}
    e = {"kind": kinds.get(i % 50, FILE), "mode": i * 7 & 0o7777, "uid": i % 5 * 1000,
         "gid": i % 3, "mtime": (-i if i % 7 == 0 else 1600000000 + i, i * 1000003 % 10**9),
         "xattrs": sample_xattrs(i)}
    if i % 2:
        e["user"] = b"user%d" % (i % 5)
    if i % 3 == 0:
        e["group"] = b"plant"
    if i % 4 == 0:
        e["btime"] = (i, i)
    if i % 11 == 0:
        e["flags"] = 16
    if e["kind"] == SYMLINK:
        e["target"] = b"t" * 9000 if i % 100 == 51 else b"../x%d" % i
    if e["kind"] in (CHAR, BLOCK):
        e["device"] = (i, i + 1)
    if e["kind"] == FILE:
        sample_file(e, i)
    return key, e


def normal(e):
    return {k: v for k, v in e.items() if v or k in ("mode", "uid", "gid", "size")}


def show(name, value):
    print("%-24s %s" % (name, value))


def known_tree():
    for count in (0, 1, 40, 6000):
        store, entries = Store(), [sample(i) for i in range(count)]
        top = tree_build(store.put, K_TREE, entries)
        back = list(tree_read(store.get, top))
        assert [(k, normal(e)) for k, e in back] == [(k, normal(e)) for k, e in entries]
        show("tree %d records" % count, store.count)
        show("tree %d all" % count, store.all.hexdigest())
        show("tree %d top" % count, top[0].hex())


def known_extents():
    for count in (33, 1000, 100000):
        store, extents = Store(), sample_extents(7, count)
        top, height = extent_tree(store.put, extents)
        assert list(extent_tree_read(store.get, top, height)) == extents
        show("extents %d" % count, "%d records, height %d, top %s" % (
            store.count, height, top[0].hex()))


def known_root():
    r = {"nonce": bytes(range(32)), "chunker": (1, 1 << 20), "check": 1, "consistency": 4,
         "truth": data_ref(1), "label": hashlib.sha256(b"label").digest(),
         "tool": b"holdfast 0.1.0", "top": data_ref(2)}
    raw = root_bytes(r)
    assert root_parse(raw) == r
    show("root bytes", "%d %s" % (len(raw), hashlib.sha256(raw).hexdigest()))
    show("root commit", root_commit(data_ref(3)).hex())


def known_bundles():
    files = [(b"d%d\0f%05d" % (i // 1000, i), (i * 7919) % 60000 + 1) for i in range(4000)]
    ends = bundle_ends(K_TREE, files)
    show("bundles", "%d first %s sha %s" % (len(ends), ends[:6], hashlib.sha256(
        b"".join(struct.pack(">I", e) for e in ends)).hexdigest()))


def known_chunks():
    c, x, a = Chunker(bytes(range(32)), 1 << 20), 88172645463325252, bytearray()
    for _ in range((4 << 20) // 8):
        x ^= x << 13 & M64
        x ^= x >> 7
        x ^= x << 17 & M64
        a += struct.pack("<Q", x)
    third = b"".join(struct.pack("<IIQ", i, 0, i // 64) for i in range((4 << 20) // 16))
    for name, data in (("A", bytes(a)), ("C", third)):
        first = c.cut(data)
        show("chunker " + name, [first, first + c.cut(data[first:])])


if __name__ == "__main__":
    known_bundles()
    known_root()
    known_extents()
    known_tree()
    if "--chunker" in sys.argv:
        known_chunks()
