#!/usr/bin/env python3
"""load.py SCRATCH CONTROLLER-PID MEMORY: agents that send more at once than the controller may hold.
Each sends the largest batch on several connections at the same time; all must arrive, in MEMORY MiB
(body_memory of its configuration).  And a sandbox that asks for as much as there is on many
connections and reads nothing of it.  One claim a line (PASS or FAIL).
Needs HF, HOLDFAST_SERVER, HOLDFAST_TOKEN_FILE, HOLDFAST_CA, HOLDFAST_OFFICER_KEY."""
import os
import sys
import threading

from enemy import join
from peer import BYTES, b64, hf1, joined, people_of_environment

SCRATCH, PID, MEMORY_KIB = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) << 10
AGENTS, CONNECTIONS, FIRST = 4, 8, 2
BATCH = 16 << 20
SLACK_KIB = 16 << 10  # read buffers and the allocator's leftovers
PEOPLE = people_of_environment()


def claim(name, held, told=""):
    print("PASS" if held else "FAIL", name, "" if held else repr(told)[:300], flush=True)


def peak_kib():
    for line in open("/proc/%d/status" % PID):
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise SystemExit("no VmHWM")


class Sender:
    def __init__(self, name):
        self.peer, self.pairs, self.sent, self.made = joined(SCRATCH, name, PEOPLE), [], [], []
        self.name = name  # of the agent, and of its source
        assert self.peer.hello([name])[0] == 200
        status, job = PEOPLE.ask("POST", "/api/v1/jobs",
                                 {"agent": name, "source": name, "retries": 0})
        assert status // 100 == 2, (status, job)
        self.order = self.peer.work(5000)[1]
        self.sid = self.peer.begin(self.order)[1]["session"]
        self.path = "/v1/sessions/%s/" % self.sid

    def batch(self):
        """Two records, as long as fit together."""
        made = b""
        for _ in range(2):
            cr, ref = self.peer.record(os.urandom(BATCH // 2 - (160 << 10)))
            self.pairs.append((ref[0], len(cr)))
            made += cr
        assert BATCH - (1 << 20) < len(made) <= BATCH, len(made)
        return made

    def put(self, number, data):
        """On a connection of its own, as http.client has one request at a time."""
        other = object.__new__(type(self.peer))
        other.__dict__.update(self.peer.__dict__, connection=None)
        self.sent.append(other.call("PUT", self.path + "batches/%d" % number, data, BYTES,
                                    timeout=120)[0])
        other.drop()

    def commit(self):
        cr, ref = self.peer.record(b"root " + os.urandom(40))
        self.pairs.append((ref[0], len(cr)))
        done = [self.peer.call("PUT", self.path + "batches/99", cr, BYTES)[0]]
        at = 0
        for part in hf1.refs_build(self.pairs)[0]:
            done.append(self.peer.call("PUT", self.path + "list/%d" % at, part, BYTES)[0])
            at += len(part)
        body, snap = self.peer.commit_body(self.name, ref, self.pairs)
        done.append(self.peer.call("POST", self.path + "commit", body, BYTES)[0])
        done.append(self.peer.result(self.order, snapshot=snap.hex())[0])
        return done


PLAN = b"""plan = {
  id = "large"; version = 1; title = "large records";
  systems = ( { id = "plc3"; type = "plc_project"; tier = 1; mtpd = "48h"; rto = "1h"; rpo = "7d";
    source = "source:load0";
    steps = ( { name = "restore"; do = "restore"; budget = "10m"; } );
    checks = ( { id = "files"; type = "hash_manifest"; mandatory = true; expect = "all"; },
               { id = "xml"; type = "xml"; mandatory = true; expect = "all"; } );
  } );
  sandbox = { must_not_reach = ( { host = "192.0.2.10"; port = 502; } ); };
  cleanup = { on_success = "erase"; on_fail = "erase"; };
};
"""
DEAF = 12


def rss_kib():
    for line in open("/proc/%d/status" % PID):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise SystemExit("no VmRSS")


def deaf(ids):
    """A drill's sandbox asks for 16 MiB on each of many connections and takes none of it."""
    box = join(SCRATCH, "box", "sandbox")
    assert box.hello()[0] == 200
    status, job = PEOPLE.ask("POST", "/api/v1/drills", {"agent": "box", "plan_name": "large.plan",
                                                       "plan": b64(PLAN)})
    assert status == 200, (status, job)
    job = box.work(5000)[1]["job"]
    assert box.call("GET", "/v1/grants/" + job)[0] == 200
    path, want = "/v1/grants/%s/records" % job, b"".join(ids)
    whole = box.call("POST", path, want, BYTES)
    claim("a grant gives the largest answer", whole[0] == 200 and len(whole[1]) > BATCH - (1 << 20),
          (whole[0], len(whole[1])))
    before, held = rss_kib(), [box.socket() for _ in range(DEAF)]
    for s in held:
        s.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (
            path.encode(), len(want)) + want)
    told = [int(s.recv(16).split()[1]) for s in held]
    grown = rss_kib() - before
    print("KiB: %d more for %d answers that nobody reads, %s" % (grown, DEAF, told))
    claim("who does not read is given few answers", 1 <= told.count(200) <= 3, told)
    claim("and told to read them", told.count(503) == DEAF - told.count(200), told)
    claim("answers that nobody reads are bounded", grown < 4 * (BATCH >> 10)
          or "SANITIZED" in os.environ, grown)
    for s in held:
        s.close()
    again = box.call("POST", path, want, BYTES)
    claim("afterwards it is given one", again == whole, again[0])
    assert PEOPLE.ask("POST", "/api/v1/jobs/%s/cancel" % job, {})[0] == 200


def main():
    senders = [Sender("load%d" % i) for i in range(AGENTS)]
    for n in range(FIRST):  # what sessions take, their packs as good as full, and one body
        for s in senders:
            s.put(n, s.batch())
    alone = peak_kib()
    claim("one batch after the other", all(s.sent == [204] * FIRST for s in senders),
          [s.sent for s in senders])
    work = [threading.Thread(target=s.put, args=(n, s.batch()))
            for n in range(FIRST, FIRST + CONNECTIONS) for s in senders]
    for t in work:
        t.start()
    for t in work:
        t.join()
    grown, room = peak_kib() - alone, MEMORY_KIB - (BATCH >> 10) + SLACK_KIB
    print("peak KiB: %d one by one, %d with %d at once, %d allowed" % (
        alone, alone + grown, len(work), alone + room))
    claim("all arrive", all(s.sent == [204] * (FIRST + CONNECTIONS) for s in senders),
          [s.sent for s in senders])
    claim("within the memory", 0 < grown <= room or "SANITIZED" in os.environ, (grown, room))
    done = [s.commit() for s in senders]
    claim("and are committed", all(set(d) <= {200, 204} for d in done), done)
    deaf([record_id for record_id, _ in senders[0].pairs[:2]])


main()
