#!/usr/bin/env python3
"""visible.py SCRATCH CONFIG VAULT SEED: what is seen of a backup before it is acknowledged: nothing.
An agent in Python goes through sessions step by step and leaves them anywhere; the controller is
stopped and killed within its commits.  After each step the snapshots are listed by the API (from the
catalog), by the command line (from the store), and what is listed is verified.  One claim a line."""
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from enemy import HF, PEOPLE, claim, cli, is_status, join, order_for
from peer import BYTES, hf1

SCRATCH, CONFIG, VAULT, SEED = sys.argv[1:5]
RECORDS, BATCHES = 3000, 6
STOPS, KILLS = 10, 4


class Controller:
    def __init__(self):
        self.start()

    def start(self):
        self.p = subprocess.Popen([HF, "controller", "run", "--config", CONFIG],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=open(os.path.join(SCRATCH, "log"), "ab"))
        claim("the controller listens", b"agents port" in self.p.stdout.readline())

    def kill(self):
        self.p.kill()
        self.p.wait()


class Looker:
    """What is acknowledged, and what may be there besides because its commit is on its way."""

    def __init__(self):
        self.known, self.looks = set(), 0

    def store(self):
        r = cli("snapshot", "list", "--vault", VAULT, "--json")
        if r.returncode != 0:
            claim("the store can be listed", False, r.stderr)
        return {s["id"] for s in json.loads(r.stdout)["snapshots"]}

    def api(self):
        a = PEOPLE.ask("GET", "/api/v1/snapshots?source=one&limit=1000")
        return {s["id"] for s in a[1]["snapshots"]}

    def look(self, where, maybe=frozenset(), has_api=True):
        self.looks += 1
        store = self.store()
        claim(where + ": the store shows what was acknowledged and nothing partial",
              self.known <= store <= self.known | set(maybe), (self.known ^ store))
        if has_api:
            listed = self.api()
            claim(where + ": the API shows no more, and no less than was acknowledged",
                  self.known <= listed <= store | set(maybe), listed ^ self.known)
        r = cli("verify", "--vault", VAULT)
        claim(where + ": all that is listed is whole", r.returncode == 0, r.stdout + r.stderr)
        return store


class Agent:
    def __init__(self):
        self.p, self.seq, self.prev = join(SCRATCH, "line3", "capture"), 1, bytes(32)
        made = [self.p.record(b"%d " % i + os.urandom(24)) for i in range(RECORDS)]
        self.pairs = [(ref[0], len(cr)) for cr, ref in made]
        size = RECORDS // BATCHES
        self.batches = [b"".join(cr for cr, _ in made[i * size:(i + 1) * size])
                        for i in range(BATCHES)]

    def begin(self):
        self.order = order_for(self.p, "one")
        status, s = self.p.begin(self.order)
        claim("a session begins", status == 200, (status, s))
        self.session = "/v1/sessions/" + s["session"]
        self.seq = s.get("seq", 0) + 1
        self.prev = bytes.fromhex(s.get("base", "00" * 32))
        cr, self.root = self.p.record(b"root " + os.urandom(40))
        self.own = self.pairs + [(self.root[0], len(cr))]
        self.list = b"".join(hf1.refs_build(self.own)[0])
        self.first = cr

    def put(self, n, batch):
        return self.p.call("PUT", "%s/batches/%d" % (self.session, n), batch, BYTES)

    def put_list(self, offset, end):
        return self.p.call("PUT", "%s/list/%d" % (self.session, offset), self.list[offset:end],
                           BYTES)

    def body(self):
        body, snap = self.p.commit_body("one", self.root, self.own, self.seq, self.prev)
        return body, snap.hex()

    def all_but_commit(self):
        self.begin()
        self.put(0, self.first)
        self.put_list(0, len(self.list))

    def commit(self, body):
        return self.p.call("POST", self.session + "/commit", body, BYTES)


def step_by_step(agent, eye, leave_at):
    """One session with a look after every step; left at step ${leave_at} (None: committed)."""
    agent.begin()
    steps = [lambda: agent.put(0, agent.first)]
    steps += [lambda i=i: agent.put(i + 1, agent.batches[i]) for i in range(BATCHES)]
    half = len(agent.list) // 2
    steps += [lambda: agent.put_list(0, half), lambda: agent.put_list(half, len(agent.list))]
    eye.look("an open session")
    for n, step in enumerate(steps):
        is_status("step %d" % n, step(), 204)
        if leave_at is None or n == leave_at:
            eye.look("step %d of a session" % n)
        if n == leave_at:
            agent.p.drop()
            is_status("the agent begins anew", agent.p.hello(["one"]), 200)
            eye.look("a session left at step %d" % n)
            return
    body, snap = agent.body()
    is_status("a commit", agent.commit(body), 200)
    eye.known.add(snap)
    eye.look("a commit that was acknowledged")
    is_status("its job ends", agent.p.result(agent.order, snapshot=snap), 200)


def honest(agent, eye):
    """A commit, to see how long it takes."""
    agent.all_but_commit()
    body, snap = agent.body()
    began = time.monotonic()
    is_status("an honest commit", agent.commit(body), 200)
    took = time.monotonic() - began
    eye.known.add(snap)
    is_status("its job ends", agent.p.result(agent.order, snapshot=snap), 200)
    return took


def commit_beside(agent, body):
    """Commit on another thread; what became of it will be in the list."""
    got = []
    thread = threading.Thread(target=lambda: got.append(agent.commit(body)))
    thread.start()
    return thread, got


def stopped(agent, eye, controller, r, long):
    """The controller stands still somewhere within the commit."""
    agent.all_but_commit()
    body, snap = agent.body()
    thread, got = commit_beside(agent, body)
    time.sleep(r.uniform(0, 1.3 * long))
    controller.p.send_signal(signal.SIGSTOP)
    is_early = snap not in eye.look("within a commit", {snap}, has_api=False)
    controller.p.send_signal(signal.SIGCONT)
    thread.join()
    is_status("it goes on", got[0], 200)
    eye.known.add(snap)
    eye.look("after it")
    is_status("its job ends", agent.p.result(agent.order, snapshot=snap), 200)
    return is_early


def killed(agent, eye, controller, r, long):
    """The controller dies somewhere within the commit: its snapshot is there whole or not at all."""
    agent.all_but_commit()
    body, snap = agent.body()
    thread, got = commit_beside(agent, body)
    time.sleep(r.uniform(0, 1.3 * long))
    controller.kill()
    store = eye.look("killed within a commit", {snap}, has_api=False)
    thread.join()
    if got[0][0] == 200:
        claim("what was acknowledged is there", snap in store, got)
    if snap in store:
        eye.known.add(snap)
    controller.start()
    eye.look("after the restart")
    return snap in store


def main():
    controller = Controller()
    try:
        r, eye, agent = random.Random(SEED), Looker(), Agent()
        step_by_step(agent, eye, None)
        for at in (0, 3, BATCHES + 1, BATCHES + 2):
            step_by_step(agent, eye, at)
        long = min(honest(agent, eye) for _ in range(3))
        early = sum(stopped(agent, eye, controller, r, long) for _ in range(STOPS))
        there = sum(killed(agent, eye, controller, r, long) for _ in range(KILLS))
        print("NOTE seed %s: a commit takes %.0f ms; %d of %d stops before its snapshot was there, "
              "%d of %d kills after; %d looks" % (SEED, long * 1000, early, STOPS, there, KILLS,
                                                  eye.looks))
        claim("stops were within commits (seed %s)" % SEED, early > 0, early)
    finally:
        controller.kill()


main()
