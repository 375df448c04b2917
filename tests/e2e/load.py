#!/usr/bin/env python3
"""load.py SCRATCH CONTROLLER-PID MEMORY: agents that send more at once than the controller may hold.
Each sends the largest batch on several connections at the same time; all must arrive, in MEMORY MiB
(body_memory of its configuration).  One claim a line (PASS or FAIL).
Needs HF, HOLDFAST_SERVER, HOLDFAST_TOKEN_FILE, HOLDFAST_CA, HOLDFAST_OFFICER_KEY."""
import os
import sys
import threading

from peer import BYTES, hf1, joined, people_of_environment

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
        assert self.peer.hello(["plant"])[0] == 200
        status, job = PEOPLE.ask("POST", "/api/v1/jobs",
                                 {"agent": name, "source": "plant", "retries": 0})
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
        body, snap = self.peer.commit_body("plant", ref, self.pairs)
        done.append(self.peer.call("POST", self.path + "commit", body, BYTES)[0])
        done.append(self.peer.result(self.order, snapshot=snap.hex())[0])
        return done


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


main()
