#!/usr/bin/env python3
"""chain_check.py VAULT: every job that is done has its one snapshot in the vault, chains have no
gap and no fork, attempts of a job never overlap, every failed one has a reason.  One claim a line."""
import collections
import json
import os
import subprocess
import sys

HF, VAULT = os.environ["HF"], sys.argv[1]


def ask(*args):
    r = subprocess.run([HF, *args, "--json"], capture_output=True, text=True,
                       stdin=subprocess.DEVNULL)
    if r.returncode != 0:
        print("FAIL", " ".join(args), r.stderr.replace("\n", " "))
        return {}
    return json.loads(r.stdout)


def claim(name, bad):
    print("FAIL" if bad else "PASS", name, str(bad)[:300] if bad else "")


snaps = ask("snapshot", "list", "--vault", VAULT).get("snapshots", [])
ids = {s.get("id") or s["snapshot_id"] for s in snaps}
chains = collections.defaultdict(list)
for s in snaps:
    chains[s["source"]].append(s["seq"])
claim("chains without gaps and forks",
      {k: v for k, v in chains.items() if sorted(v) != list(range(1, len(v) + 1))})
jobs = [ask("job", "show", j["id"]) for j in ask("job", "list", "--limit", "1000").get("jobs", [])]
acknowledged = [j["result"]["snapshot"] for j in jobs if j.get("state") in ("done", "warnings")]
claim("jobs were done", "" if acknowledged else "none")
claim("every acknowledged snapshot is there", [s for s in acknowledged if s not in ids])
claim("one snapshot a job", [s for s, n in collections.Counter(acknowledged).items() if n > 1])
overlap, silent = [], []
for j in jobs:
    last = ""
    for t in j.get("attempts", []):
        if "started" in t and t["started"] < last:
            overlap.append((j["id"], t))
        last = t.get("ended", "9")
        if t.get("outcome") in ("failed", "lost", "interrupted") and not t.get("reason"):
            silent.append((j["id"], t))
claim("attempts never overlap", overlap)
claim("what failed says why", silent)
print("NOTE %d jobs, %d acknowledged, %d snapshots, %d tries" % (
    len(jobs), len(acknowledged), len(snaps), sum(len(j.get("attempts", [])) for j in jobs)))
