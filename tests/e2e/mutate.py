#!/usr/bin/env python3
"""mutate.py SCRATCH CONTROLLER-PID SEED SECONDS: mutated messages to every route, from agents that
were let in: with an open session and an open grant, and with people's tokens.  One claim a line.

Every answer is held against docs/PROTOCOL.md: a refusal is an object with a known id and the status
that goes with it, and none is a 5xx but 501, 503 and 507.  Round N depends on SEED and N alone, but
for what the peers' random keys and the controller's ids bring in."""
import base64
import json
import os
import random
import sys
import time

from enemy import (PEOPLE, alive, claim, error_of, is_refused, is_status, join, order_for, rss_kib,
                   token)
from peer import BYTES, b64, hf1

SCRATCH, PID, SEED, SECONDS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
RSS_MAX_KIB = 96 * 1024  # of the controller, at any time; 17 MiB at its start
STATUS = {"usage": 400, "config": 400, "corrupt": 400, "rollback": 400, "fork": 400, "auth": 403,
          "not-found": 404, "busy": 409, "exists": 409, "interrupted": 410, "limit": 413,
          "needs-newer-version": 501, "unreachable": 503, "no-space": 507}
HTTP = {405, 408, 411, 431, 505}
LARGE = bytes(15 << 20)  # as much as a batch may be, less a little
PLAN = b"""plan = {
  id = "small"; version = 1; title = "projects";
  systems = ( { id = "plc3"; type = "plc_project"; tier = 1; mtpd = "48h"; rto = "1h"; rpo = "7d";
    source = "source:one";
    steps = ( { name = "restore"; do = "restore"; budget = "10m"; } );
    checks = ( { id = "files"; type = "hash_manifest"; mandatory = true; expect = "all"; },
               { id = "xml"; type = "xml"; mandatory = true; expect = "all"; } );
  } );
  sandbox = { must_not_reach = ( { host = "192.0.2.10"; port = 502; } ); };
  cleanup = { on_success = "erase"; on_fail = "erase"; };
};
"""
ODD = [None, True, -1, 0, 1, 2**31, 2**63, -2**63, 2**64, 1e308, "", "x" * 70, "\u0000", "..",
       "a/b", [], {}, [[]], "0" * 32, b64(b"\0" * 32), "\ud83d\ude00", 1.5]
PIECES = [b"\0", b"\xff\xff", b"{", b"[[", b"1e999", b"-1", b"\\u0000", b"9223372036854775808",
          b'"', b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"]


# ---- mutations
def change_json(r, o):
    """One member, at any depth, becomes something else, goes or comes."""
    if isinstance(o, dict) and o and r.randrange(4):
        key = r.choice(sorted(o))
        if isinstance(o[key], (dict, list)) and r.randrange(2):
            return {**o, key: change_json(r, o[key])}
        kind = r.randrange(4)
        if kind == 0:
            return {k: v for k, v in o.items() if k != key}
        if kind == 1 and isinstance(o[key], str):
            return {**o, key: change_bytes(r, o[key].encode()).decode("latin1")}
        return {**o, key: r.choice(ODD), **({"more": r.choice(ODD)} if kind == 2 else {})}
    if isinstance(o, list) and o and r.randrange(3):
        at = r.randrange(len(o))
        return o[:at] + [change_json(r, o[at])] * r.choice((1, 1, 2, 300)) + o[at + 1:]
    return r.choice(ODD)


def change_bytes(r, data):
    data = bytearray(data)
    for _ in range(r.choice((1, 1, 1, 2, 5))):
        at, kind = r.randrange(len(data) + 1), r.randrange(7)
        if kind <= 1 and at < len(data):
            data[at] ^= 1 << r.randrange(8) if kind else r.randrange(1, 256)
        elif kind == 2:
            del data[at:at + r.randrange(1, 40)]
        elif kind == 3:
            del data[at:]
        elif kind == 4:
            data[at:at] = data[:r.randrange(0, 80)]
        elif kind == 5:
            piece = r.choice(PIECES)
            data[at:at + len(piece)] = piece
        else:
            data[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 9)))
    return bytes(data)


def change(r, body):
    """Mostly one thing wrong; now and then nothing, so that the state goes on."""
    if body is None or r.randrange(12) == 0:
        return json.dumps(body).encode() if isinstance(body, dict) else body
    if isinstance(body, dict):
        if r.randrange(3):
            return json.dumps(change_json(r, body)).encode()
        body = json.dumps(body).encode()
    return change_bytes(r, body)


def change_path(r, path):
    parts = path.split("/")
    at = r.randrange(2, len(parts))
    parts[at] = r.choice(["", "..", "%2e%2e", "%00", "a" * 300, "0", "18446744073709551616", "-1",
                          "99999999999999", parts[at] + "x", parts[at][:5], parts[at].upper(),
                          parts[at] + "?x=%", "*", "'"])
    return "/".join(parts)


# ---- the capture agent: an order and an open session
class Capture:
    def __init__(self):
        self.p = join(SCRATCH, "capture", "capture")
        self.order, self.sid, self.seq, self.prev = None, None, 1, bytes(32)
        self.receipts = set()

    def ready(self):
        """An order, a session, a record and its list; whatever of it is gone is made anew."""
        p = self.p
        for _ in range(3):
            if self.order is None:
                self.order = order_for(p, "one")
            status, s = p.begin(self.order)
            if status == 200:
                break
            self.order = None
        self.sid = s["session"]
        if "base" in s:
            self.seq, self.prev = s["seq"] + 1, bytes.fromhex(s["base"])
        self.record, self.ref = p.record(b"root " + os.urandom(40))
        self.pairs = [(self.ref[0], len(self.record))]
        self.list = b"".join(hf1.refs_build(self.pairs)[0])
        p.call("PUT", "/v1/sessions/%s/batches/0" % self.sid, self.record, BYTES)
        p.call("PUT", "/v1/sessions/%s/list/0" % self.sid, self.list, BYTES)

    def messages(self, r):
        job, s = "/v1/jobs/" + self.order["job"], "/v1/sessions/" + self.sid
        numbers = dict.fromkeys(("files", "bytes", "read_bytes", "sent_bytes"), 3)
        attempt = self.order["attempt"]
        commit, _ = self.p.commit_body("one", self.ref, self.pairs, self.seq, self.prev)
        return [
            (8, "POST", s + "/has", self.ref[0] * 3), (8, "PUT", s + "/batches/1", self.record * 2),
            (6, "PUT", s + "/list/0", self.list), (3, "PUT", s + "/list/40", self.list[40:]),
            (1, "PUT", s + "/batches/2", LARGE), (1, "PUT", s + "/list/0", self.list + LARGE),
            (8, "POST", s + "/commit", commit), (1, "DELETE", s, None),
            (4, "POST", "/v1/sessions", {"job": self.order["job"], "attempt": attempt,
                                         "source": "one"}),
            (4, "POST", job + "/progress", dict(numbers, attempt=attempt, phase="backup",
                                                text="x")),
            (1, "POST", job + "/result", {"attempt": attempt, "warnings": 0, "stats": dict(
                numbers, dirs=0, others=0, records=1)}),
            (2, "POST", "/v1/work", {"wait_ms": 0, "busy": [self.order["job"]]}),
            (2, "POST", "/v1/renew", {"csr": self.p.csr()}),
            (1, "POST", "/v1/hello", hello(self.p, ["one"]))]

    def round(self, r):
        if self.sid is None:
            self.ready()
        method, path, body = pick(r, self.messages(r))
        if r.randrange(15) == 0:
            path = change_path(r, path)
        got = send(self.p, method, path, change(r, body))
        if got[0] == 200 and path.endswith("/commit"):
            self.receipts.add(json.loads(got[1])["snapshot"])
            self.committed = self.ref[0]
        # ended, or broken by a refusal (which it may tell again for a while)
        if got[0] in (200, 204, 410) and ("/commit" in path or method == "DELETE") or \
                got[0] == 410 or "/hello" in path or path == "/v1/sessions" or \
                got[0] not in (200, 204) and r.randrange(3) == 0:
            self.sid = None
        return method, path, got

    def finish(self):
        """After all of it: an honest backup."""
        self.order = None
        self.ready()
        body, snap = self.p.commit_body("one", self.ref, self.pairs, self.seq, self.prev)
        got = self.p.call("POST", "/v1/sessions/%s/commit" % self.sid, body, BYTES)
        is_status("an honest backup afterwards", got, 200)
        self.receipts.add(snap.hex())
        is_status("is done", self.p.result(self.order, snapshot=snap.hex()), 200)


# ---- the sandbox: a drill and its open grant
class Sandbox:
    def __init__(self, capture):
        self.p = join(SCRATCH, "box", "sandbox")
        self.job, self.capture, self.granted, self.order = None, capture, 0, None
        is_status("hello of the sandbox", self.p.hello(), 200)

    def ready(self):
        if self.job is not None:
            PEOPLE.ask("POST", "/api/v1/jobs/%s/cancel" % self.job, {})
            self.p.post("/v1/hello", hello(self.p, []))
        status, job = PEOPLE.ask("POST", "/api/v1/drills", {
            "agent": self.p.name, "plan_name": "small.plan",
            "plan": base64.b64encode(PLAN).decode()})
        claim("a drill is ordered", status == 200, (status, job))
        status, self.order = self.p.work(5000)
        claim("its order comes", status == 200 and self.order["verb"] == "drill",
              (status, self.order))
        self.job = self.order["job"]
        got = self.p.call("GET", "/v1/grants/" + self.job)
        self.record_id = self.capture.committed
        claim("its grant opens", got[0] == 200 and json.loads(got[1])["points"], got)
        got = self.p.call("POST", "/v1/grants/%s/records" % self.job, self.record_id, BYTES)
        claim("and gives a record", got[0] == 200 and len(got[1]) > 40, got)
        self.granted += 1

    def messages(self, r):
        job, grant, attempt = "/v1/jobs/" + self.job, "/v1/grants/" + self.job, \
            self.order["attempt"]
        numbers = dict.fromkeys(("files", "bytes", "read_bytes", "sent_bytes"), 3)
        key = {"keyid": "0" * 64, "publicKey": b64(hf1.ed_public(self.p.report)),
               "sig": b64(os.urandom(64))}
        report = {"payload": b64(b'{"_type":"https://in-toto.io/Statement/v1","subject":[]}'),
                  "payloadType": "application/vnd.in-toto+json", "signatures": [key]}
        return [
            (8, "POST", grant + "/records", self.record_id * r.choice((1, 3, 256, 257))),
            (2, "GET", grant, None), (6, "POST", job + "/report", report),
            (6, "PUT", job + "/evidence/log-%d.txt" % r.randrange(4), b"what happened\n" * 20),
            (4, "POST", job + "/progress", dict(numbers, attempt=attempt, phase="drill")),
            (1, "POST", job + "/result", {"attempt": attempt, "warnings": 0, "stats": dict(
                numbers, dirs=0, others=0, records=1), "verdict": "pass"}),
            (2, "POST", "/v1/work", {"wait_ms": 0, "busy": [self.job]}),
            (1, "POST", "/v1/renew", {"csr": self.p.csr()})]

    def round(self, r):
        if self.order is None:
            self.ready()
        method, path, body = pick(r, self.messages(r))
        if r.randrange(15) == 0:
            path = change_path(r, path)
        got = send(self.p, method, path, change(r, body))
        if "/result" in path or got[0] == 410:
            self.order = None
        return method, path, got


# ---- people
def people_messages(a):
    return [
        (4, "POST", "/v1/enrol", a.enrolment(os.urandom(20))),
        (2, "POST", "/v1/enrol", a.sent),
        (2, "POST", "/v1/enrol/collect", {
            "agent_id": a.agent_id.hex(), "ik": b64(hf1.ed_public(a.ik)), "at": 1,
            "proof": b64(os.urandom(64))}),
        (3, "POST", "/api/v1/jobs", {"agent": a.name, "source": "none", "retries": 1}),
        (3, "POST", "/api/v1/drills", {"agent": "none", "plan_name": "x", "plan": b64(PLAN)}),
        (2, "POST", "/api/v1/enrolments", {"role": "capture", "name": "x", "ttl": 1}),
        (2, "POST", "/api/v1/tokens", {"name": "officer", "role": "viewer", "ttl": 1}),
        (2, "POST", "/api/v1/agents/none/approve", {"config": b64(os.urandom(300))}),
        (1, "GET", "/api/v1/agents/%s/approval" % a.name, None),
        (1, "GET", "/api/v1/jobs?limit=1&state=done", None),
        (1, "GET", "/api/v1/schedules?next=2", None), (1, "GET", "/api/v1/audit?limit=2", None),
        (1, "GET", "/api/v1/reports/00000000-0000-4000-8000-000000000000", None),
        (1, "GET", "/api/v1/snapshots?source=one&limit=1", None)]


def people_round(r, a):
    method, path, body = pick(r, people_messages(a))
    if r.randrange(6) == 0:
        path = change_path(r, path)
    return method, path, PEOPLE.ask(method, path, change(r, body))


# ---- all of it
def hello(p, sources):
    return {"protocol": 1, "name": p.name, "version": "0.1.0", "role": p.role,
            "clock": int(time.time() * 1000),
            "sources": [{"name": s, "type": "files", "consistency": "fuzzy"} for s in sources]}


def send(p, method, path, body):
    """A poll may be held for as long as it asks: who leaves it is a case of its own."""
    if path != "/v1/work":
        return p.call(method, path, body, timeout=20)
    got = p.call(method, path, body, timeout=0.2)
    return (204, b"") if isinstance(p.last_error, TimeoutError) and got[0] == -1 else got


def pick(r, weighted):
    return r.choices(weighted, [m[0] for m in weighted])[0][1:]


def is_declared(got):
    """Is the answer one that docs/PROTOCOL.md has?"""
    status, body = got
    if 200 <= status < 300 or status in HTTP:
        return True
    return STATUS.get(error_of(body)) == status


def main():
    capture = Capture()
    capture.ready()
    body, snap = capture.p.commit_body("one", capture.ref, capture.pairs)
    is_status("a snapshot to drill", capture.p.call(
        "POST", "/v1/sessions/%s/commit" % capture.sid, body, BYTES), 200)
    capture.receipts.add(snap.hex())
    capture.committed, capture.sid = capture.ref[0], None
    box = Sandbox(capture)
    box.ready()
    path = "/v1/grants/%s/records" % box.job
    for what, ids in (("a record that was not granted", os.urandom(32)),
                      ("one that was and one that was not", box.record_id + os.urandom(32))):
        is_refused(what, box.p.call("POST", path, ids, BYTES), 404, "not-found")
    audit = PEOPLE.ask("GET", "/api/v1/audit?limit=5")[1]["audit"]
    claim("and the audit tells it", sum(a["action"] == "grant.refused" and a["object"] == box.job
                                        for a in audit) == 2, audit)
    first, most, bad, told = rss_kib(PID), 0, [], {}
    end, n = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        r = random.Random("%d %d" % (SEED, n))
        which = r.randrange(10)
        method, path, got = (capture.round(r) if which < 5 else box.round(r) if which < 8
                             else people_round(r, capture.p))
        told[got[0]] = told.get(got[0], 0) + 1
        if not is_declared(got):
            bad.append((n, method, path, got))
        n += 1
        if n % 10 == 0:
            most = max(most, rss_kib(PID))
    print("NOTE %d mutated requests, seed %d: %s; VmRSS %d KiB at first, at most %d" % (
        n, SEED, " ".join("%d*%d" % (told[k], k) for k in sorted(told)), first, most))
    claim("%d mutated requests, seed %d: every answer is a declared one" % (n, SEED), not bad,
          bad[:3])
    claim("they came to something", n > 100 and {200, 204, 400, 404} <= set(told), (n, told))
    claim("grants were open", box.granted > 0, box.granted)
    claim("memory stays below %d KiB (seed %d)" % (RSS_MAX_KIB, SEED), most < RSS_MAX_KIB or
          "SANITIZED" in os.environ, most)
    alive("at the end")
    capture.finish()
    listed = PEOPLE.ask("GET", "/api/v1/snapshots?source=one&limit=1000")[1]["snapshots"]
    claim("there are the snapshots that were acknowledged, and no others",
          {s["id"] for s in listed} == capture.receipts or len(listed) == 1000,
          (len(listed), len(capture.receipts)))


main()
