"""Sections 8 and 10 of docs/FORMAT.md, read from the page alone: session marks, prune orders, pruned
records, collection lists, dead objects; and what they make of a vault's snapshots and packs."""
import hf1
from hf1 import Bytes, Newer, need, sha

PRUNE, PRUNED, SESSION, GC, DEAD = 7, 8, 9, 10, 11
CONDEMNED, WAITS, FENCE, DELETE = 1, 2, 3, 4
PACK, REFERENCES, ENVELOPES = 1, 2, 3
NONE = bytes(32)


def i64(b):
    v = b.number(8)
    return v - (1 << 64) if v >> 63 else v


def begin(body, magic, reserved, text):
    b = Bytes(body, text)
    need(b.take(4) == magic, text + ": magic")
    need(b.number(1) == 1, text + ": version", Newer)
    if reserved:
        need(b.take(reserved) == bytes(reserved), text + ": reserved bytes")
    return b


def ascending(keys, text):
    need(all(a < b for a, b in zip(keys, keys[1:])), text + ": not in order")


def order_parse(body):
    b = begin(body, b"HFPR", 0, "prune order")
    cause = b.number(1)
    need(b.take(2) == bytes(2), "prune order: reserved bytes")
    need(cause in (1, 2, 3), "prune order: cause", Newer)
    out = {"cause": cause, "id": b.take(16), "wall_ns": i64(b)}
    for name in ("policy", "approval"):
        length = b.number(2)
        need(length <= 4096, "prune order: " + name)
        out[name] = b.take(length)
        need(0 not in out[name], "prune order: " + name)
    count = b.number(4)
    need(1 <= count <= 65536, "prune order: count")
    out["items"] = [(b.take(32), b.take(32), i64(b)) for _ in range(count)]
    b.end()
    ascending([i[0] for i in out["items"]], "prune order")
    return out


def pruned_parse(body):
    b = begin(body, b"HFHS", 3, "pruned records")
    order = order_parse(b.take(b.number(4)))
    records = [b.take(368) for _ in order["items"]]
    b.end()
    for (snap_hash, _, _), record in zip(order["items"], records):
        need(sha(record) == snap_hash, "pruned records: another record than ordered")
    return order, records


def dead_items(b, text):
    out = []
    for _ in range(b.number(4)):
        digest, length, kind, cause = b.take(32), b.number(4), b.number(1), b.number(1)
        need(b.take(2) == bytes(2), text + ": reserved bytes")
        need(kind in (1, 2, 3) and cause in (1, 2), text + ": class or cause", Newer)
        out.append((kind, digest, length, cause))
    ascending([i[:2] for i in out], text)
    return out


def list_parse(name, body):
    """One gc/ object."""
    b = begin(body, b"HFGC", 0, name)
    kind = b.number(1)
    need(b.take(2) == bytes(2), name + ": reserved bytes")
    need(kind in (CONDEMNED, WAITS, FENCE, DELETE), name + ": type", Newer)
    out = {"type": kind, "run": b.take(16), "n": b.number(4), "wall_ns": i64(b), "items": [],
           "sessions": [], "verdicts": [], "about": None}
    need(name.startswith("gc/%s-%08x-" % (out["run"].hex(), out["n"])), name + ": name")
    if kind in (WAITS, DELETE):
        out["about"] = b.take(32)
    if kind == FENCE:
        out["sessions"] = [b.take(16)]
    if kind == WAITS:
        out["sessions"] = [b.take(16) for _ in range(b.number(4))]
        ascending(out["sessions"], name)
    if kind in (CONDEMNED, DELETE):
        out["items"] = dead_items(b, name)
    if kind == DELETE:
        out["verdicts"] = [(b.take(16), b.take(32)) for _ in range(b.number(4))]
        ascending([v[0] for v in out["verdicts"]], name)
    b.end()
    return out


def dead_parse(body):
    b = begin(body, b"HFDD", 3, "dead objects")
    out = {"run": b.take(16), "about": b.take(32), "wall_ns": i64(b)}
    out["items"] = dead_items(b, "dead objects")
    b.end()
    return out


def mark_parse(name, body):
    b = begin(body, b"HFSE", 0, name)
    state = b.number(1)
    need(b.take(2) == bytes(2), name + ": reserved bytes")
    need(state in (1, 2, 3, 4), name + ": state", Newer)
    out = {"state": state, "session": b.take(16), "agent_id": b.take(16),
           "source_id": b.take(16), "n": b.number(8), "base": b.take(32), "wall_ns": i64(b)}
    b.end()
    need(name == "se/%s-%08x" % (out["session"].hex(), out["n"]), name + ": name")
    return out


class Collection:
    """What lies in pr/, hs/, gc/, dd/ and se/ of a vault, every object of it opened."""

    def __init__(self, store, key):
        def bodies(prefix, kind):
            return [(n, hf1.sealed_open(key, kind, store.get(n))) for n in store.list(prefix)]
        self.orders = [order_parse(b) for _, b in bodies("pr", PRUNE)]
        self.pruned = [pruned_parse(b) for _, b in bodies("hs", PRUNED)]
        self.lists = [list_parse(n, b) for n, b in bodies("gc", GC)]
        self.dead = [dead_parse(b) for _, b in bodies("dd", DEAD)]
        self.marks = []
        for name in store.list("se"):
            with open(store.path + "/" + name, "rb") as f:
                self.marks.append(mark_parse(name, hf1.sealed_open(key, SESSION, f.read())))

    def records(self):
        """The records of pruned snapshots by their hash."""
        return {sha(r): hf1.snap_parse(r) for _, records in self.pruned for r in records}

    def is_pruned(self, snap_hash):
        return any(i[0] == snap_hash for o in self.orders for i in o["items"])

    def is_void(self, session, snap_hash):
        return any(s == session and h != snap_hash for x in self.lists for s, h in x["verdicts"])

    def dead_packs(self):
        return {i[1] for d in self.dead for i in d["items"] if i[0] == PACK}
