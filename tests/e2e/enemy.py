"""What the enemies of a controller share: claims, one a line (PASS or FAIL), and peers let in.
Needs HF, HOLDFAST_SERVER, HOLDFAST_TOKEN_FILE, HOLDFAST_CA, HOLDFAST_OFFICER_KEY."""
import json
import os
import ssl
import subprocess

from peer import Peer, people_of_environment

HF = os.environ["HF"]
PEOPLE = people_of_environment()


def claim(name, held, told=""):
    print("PASS" if held else "FAIL", name, "" if held else repr(told)[:300], flush=True)
    return held


def is_status(name, got, want):
    return claim(name, got[0] == want, (got, "instead of", want))


def error_of(answer):
    """The id of a refusal, from bytes or what was parsed; None when it is none."""
    try:
        a = json.loads(answer) if isinstance(answer, (bytes, str)) else answer
        assert set(a) <= {"error", "message", "hint"} and a["message"], a
        return a["error"]
    except (ValueError, TypeError, KeyError, AssertionError):
        return None


def is_refused(name, got, status, error):
    """Exactly this status, with the error's id, as docs/PROTOCOL.md says."""
    return claim(name, (got[0], error_of(got[1])) == (status, error),
                 (got, "instead of", status, error))


def is_shut_out(name, peer, got):
    """No answer, because TLS itself refused, not because nobody listens."""
    return claim(name, got[0] == -1 and isinstance(peer.last_error, ssl.SSLError),
                 (got, peer.last_error))


def cli(*args):
    return subprocess.run([HF, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def rss_kib(pid):
    for line in open("/proc/%d/status" % pid):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def alive(name):
    status, _ = PEOPLE.ask("GET", "/api/v1/status")
    claim(name + ": it still answers", status == 200, status)


def token(role, **more):
    status, a = PEOPLE.ask("POST", "/api/v1/enrolments", dict(role=role, **more))
    claim("a token is made", status == 200, (status, a))
    return a["token"]


def approve(p):
    agents = json.loads(cli("agent", "list", "--json").stdout)["agents"]
    mine = [a for a in agents if a["name"] == p.name and a["state"] == "pending"]
    r = cli("agent", "approve", p.name, "--fingerprint", mine[0]["fingerprint"])
    claim("approve " + p.name, r.returncode == 0, r.stderr)


def join(scratch, name, role):
    p = Peer(scratch, name, role, PEOPLE)
    p.token = token(role, **({"group": "line3"} if role == "sandbox" else {}))
    is_status(name + " asks in", p.ask_in(p.token), 200)
    is_status(name + " must be approved", p.collect(), 202)
    approve(p)
    is_status(name + " collects", p.collect(), 200)
    return p


def order_for(p, source):
    """Order a backup of the peer and take the order."""
    is_status("hello of " + p.name, p.hello([source]), 200)
    status, job = PEOPLE.ask("POST", "/api/v1/jobs",
                             {"agent": p.name, "source": source, "retries": 0})
    claim("a job is ordered", status == 200, (status, job))
    status, order = p.work(5000)
    claim("the order comes", status == 200 and order["source"] == source, (status, order))
    return order
