#!/usr/bin/env python3
"""hostile.py SCRATCH CONTROLLER-PID CA-KEY-FILE SEED: enemies of a controller, one claim a line
(PASS or FAIL).  Needs HOLDFAST, HOLDFAST_SERVER, HOLDFAST_TOKEN_FILE, HOLDFAST_CA, HOLDFAST_OFFICER_KEY."""
import datetime
import json
import os
import random
import socket
import ssl
import subprocess
import sys
import time

import peer as peers
from peer import BYTES, Peer, People, hf1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SCRATCH, PID, CA_KEY, SEED = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
HF = os.environ["HF"]
PEOPLE = People(os.environ["HOLDFAST_SERVER"], os.environ["HOLDFAST_CA"],
                open(os.environ["HOLDFAST_TOKEN_FILE"]).read().strip())


def claim(name, held, told=""):
    print("PASS" if held else "FAIL", name, "" if held else repr(told)[:300], flush=True)


def is_status(name, got, *want):
    status = got[0] if isinstance(got, tuple) else got
    claim(name, status in want, (got, "instead of", want))


def cli(*args):
    return subprocess.run([HF, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def rss_kib():
    for line in open("/proc/%d/status" % PID):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def alive(name):
    status, _ = PEOPLE.ask("GET", "/api/v1/status")
    claim(name + ": it still answers", status == 200, status)


def token(role, **more):
    status, a = PEOPLE.ask("POST", "/api/v1/enrolments", dict(role=role, **more))
    claim("a token is made", status // 100 == 2, (status, a))
    return a["token"]


def approve(p):
    agents = json.loads(cli("agent", "list", "--json").stdout)["agents"]
    mine = [a for a in agents if a["name"] == p.name and a["state"] == "pending"]
    r = cli("agent", "approve", p.name, "--fingerprint", mine[0]["fingerprint"])
    claim("approve " + p.name, r.returncode == 0, r.stderr)


def join(name, role):
    p = Peer(SCRATCH, name, role, PEOPLE)
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
    claim("a job is ordered", status // 100 == 2, (status, job))
    status, order = p.work(5000)
    claim("the order comes", status == 200 and order["source"] == source, (status, order))
    return order


# ---- enrolment -----------------------------------------------------------------------------------
def enrolment(a):
    other = Peer(SCRATCH, a.name, "capture", PEOPLE)
    is_status("a spent token with other keys", other.ask_in(a.token), 401, 403)
    status, again = PEOPLE.ask("POST", "/v1/enrol", a.sent)
    claim("the same request is answered the same", status == 200 and again == a.answer, status)
    stolen = dict(a.sent, ik=peers.b64(hf1.ed_public(other.ik)))
    is_status("the same with another identity key", PEOPLE.ask("POST", "/v1/enrol", stolen),
              400, 401)
    p = Peer(SCRATCH, "roles", "sandbox", PEOPLE)
    is_status("a token of another role", p.ask_in(token("capture")), 401, 403)
    p = Peer(SCRATCH, "names", "capture", PEOPLE)
    is_status("a token of another name", p.ask_in(token("capture", name="somebody")), 401, 403)
    short = token("capture", ttl=1)
    time.sleep(0.1)
    is_status("an expired token", p.ask_in(short), 401, 403)
    ca, secret, address = peers.token_parse(short)
    is_status("a token that was never made", PEOPLE.ask(
        "POST", "/v1/enrol", p.enrolment(os.urandom(20))), 401, 403)
    m = p.enrolment(os.urandom(20))
    m["name"] = "changed"
    is_status("a request changed on the way", PEOPLE.ask("POST", "/v1/enrol", m), 400, 401)
    good = Peer(SCRATCH, "clocks", "capture", PEOPLE)
    is_status("clocks asks in", good.ask_in(token("capture")), 200)
    is_status("a clock two days off while collecting",
              good.collect(int(time.time() * 1000) - 2 * 86400000), 403)
    thief = Peer(SCRATCH, "thief", "capture", PEOPLE)
    thief.agent_id, thief.domain_id = a.agent_id, a.domain_id
    is_status("collecting what another agent was given", thief.collect(), 401, 403, 404)


# ---- certificates --------------------------------------------------------------------------------
def make_cert(p, key, issuer_key, issuer, days=30, uri=None):
    now = datetime.datetime.utcnow()
    first = now - datetime.timedelta(days=60)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, p.name)])
    uri = uri or "holdfast:agent:" + p.agent_id.hex()
    return (x509.CertificateBuilder().subject_name(name).issuer_name(issuer)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(first).not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]),
                           False)
            .add_extension(x509.ExtendedKeyUsage(
                [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]), False)
            .sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode())


def certificates(a, b):
    good = a.certificate
    a.use(None, None)
    is_status("no certificate", a.hello(), -1)
    rogue = ec.generate_private_key(ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(open(a.ca_file, "rb").read())
    a.use(make_cert(a, a.tls, rogue, ca.subject), a.tls)
    is_status("a certificate of another CA", a.hello(), -1)
    a.use(make_cert(a, a.tls, a.tls, x509.Name([])), a.tls)
    is_status("a certificate of its own", a.hello(), -1)
    real = serialization.load_pem_private_key(open(CA_KEY, "rb").read(), None)
    a.use(make_cert(a, rogue, real, ca.subject), rogue)
    is_status("our CA's, but of a key that the catalog does not list", a.hello(), 401, 403)
    a.use(make_cert(a, a.tls, real, ca.subject,
                    uri="holdfast:agent:" + b.agent_id.hex()), a.tls)
    is_status("our CA's, with the name of another agent", a.hello(), 401, 403)
    a.use(make_cert(a, a.tls, real, ca.subject, days=-1), a.tls)
    claim("an expired certificate of a listed key counts only as the protocol says",
          a.hello()[0] in (200, -1), a.hello())
    a.use(make_cert(a, rogue, real, ca.subject, days=-1), rogue)
    is_status("an expired certificate of a key that is not listed", a.hello(), -1, 401, 403)
    a.use(good, a.tls)
    is_status("the right one", a.hello(["plant"]), 200)


# ---- a hijacked capture agent --------------------------------------------------------------------
def commit(p, session, body):
    return p.call("POST", "/v1/sessions/%s/commit" % session, body, BYTES)


def sessions(a, b):
    order = order_for(a, "one")
    status, s = a.begin(order)
    claim("a session begins", status == 200, (status, s))
    sid = s["session"]
    is_status("a second source in the same job", a.begin(order, "two"), 404)
    cr, ref = a.record(b"root " + os.urandom(40))
    pairs = [(ref[0], len(cr))]
    segs = b"".join(hf1.refs_build(pairs)[0])
    is_status("a batch", a.call("PUT", "/v1/sessions/%s/batches/0" % sid, cr, BYTES), 204)
    is_status("the same batch again", a.call("PUT", "/v1/sessions/%s/batches/0" % sid, cr, BYTES),
              204)
    is_status("the list", a.call("PUT", "/v1/sessions/%s/list/0" % sid, segs, BYTES), 204)
    # another agent's session
    for method, tail, body in (("POST", "has", ref[0]), ("PUT", "batches/5", cr),
                               ("PUT", "list/0", segs), ("POST", "commit", b"x" * 700),
                               ("DELETE", "", None)):
        path = ("/v1/sessions/%s/%s" % (sid, tail)).rstrip("/")
        is_status("another agent's session: " + method + " " + tail,
                  b.call(method, path, body, BYTES), 410)
        unknown = path.replace(sid, "0" * 32)
        claim("which looks like one that is not there",
              b.call(method, path, body, BYTES) == b.call(method, unknown, body, BYTES))
    is_status("another agent's job: progress", b.post(
        "/v1/jobs/%s/progress" % order["job"],
        dict.fromkeys(("files", "bytes", "read_bytes", "sent_bytes"), 0) |
        {"attempt": 1, "phase": "backup"}), 404, 410)
    is_status("another agent's job: result", b.result(order), 404, 410)
    is_status("another agent's job: a session", b.begin(order), 404, 410)
    # forged records
    year = 365 * 86400 * 10**9
    forged = {
        "seq 0": dict(seq=0), "seq 2 of a new chain": dict(seq=2, prev=os.urandom(32)),
        "a prev that is not there": dict(prev=os.urandom(32)),
        "another agent": dict(agent_id=b.agent_id),
        "another source": dict(source_id=os.urandom(16)),
        "another domain": dict(domain_id=os.urandom(16)),
        "a year ago": dict(t_start=time.time_ns() - year, t_end=time.time_ns() - year),
        "a year ahead": dict(t_start=time.time_ns() + year, t_end=time.time_ns() + year),
        "an end before its start": dict(t_start=time.time_ns(), t_end=time.time_ns() - 10**10),
        "a config of the future": dict(config_epoch=99999),
        "a wrong count": dict(ref_count=7),
        "a wrong list": dict(refs_root=os.urandom(32)),
        "a root that was not sent": dict(root_id=os.urandom(32)),
    }
    def again():
        """A session fails with its first refusal: each claim has its own."""
        sid = a.begin(order)[1]["session"]
        a.call("PUT", "/v1/sessions/%s/batches/0" % sid, cr, BYTES)
        a.call("PUT", "/v1/sessions/%s/list/0" % sid, segs, BYTES)
        return sid

    for name, changed in forged.items():
        body, _ = a.commit_body("one", ref, pairs, **changed)
        is_status("forged record: " + name, commit(a, again(), body), 400, 403, 409)
    fenced = sid
    body, snap = a.commit_body("one", ref, pairs)
    is_status("an older session of the job is fenced", commit(a, fenced, body), 410)
    bad = bytearray(body)
    bad[100] ^= 1
    is_status("a record changed on the way", commit(a, again(), bytes(bad)), 400)
    mine, a.ik = a.ik, b.ik
    forged_by_b, _ = a.commit_body("one", ref, pairs)
    a.ik = mine
    is_status("signed by another agent", commit(a, again(), forged_by_b), 400, 401, 403)
    sid = again()
    # no oracle
    is_status("one record of its own is known", a.call(
        "POST", "/v1/sessions/%s/has" % sid, ref[0], BYTES), 200)
    claim("to itself", a.call("POST", "/v1/sessions/%s/has" % sid, ref[0], BYTES)[1] == b"\1")
    status, raw = commit(a, sid, body)
    claim("the true one is taken", status == 200 and
          json.loads(raw)["snapshot"] == snap.hex(), (status, raw))
    claim("given again, answered again", commit(a, sid, body)[1] == raw)
    is_status("the job ends", a.result(order, snapshot=snap.hex()), 200)
    is_status("its session is over", commit(a, sid, body), 410, 200)
    # replay into a new session
    order = order_for(a, "one")
    status, s = a.begin(order)
    claim("the chain is known", s.get("base") == snap.hex() and s.get("seq") == 1, s)
    sid = s["session"]
    is_status("the list again", a.call("PUT", "/v1/sessions/%s/list/0" % sid, segs, BYTES), 204)
    status, raw = commit(a, sid, body)
    count = len(PEOPLE.ask("GET", "/api/v1/snapshots?source=one&limit=50")[1]["snapshots"])
    claim("an old commit replayed makes no second snapshot", count == 1, (status, raw, count))
    is_status("the job is given up", a.result(order, error="interrupted", message="played"), 200)
    # b asks for what a has
    order = order_for(b, "one")
    status, s = b.begin(order)
    claim("a source of the same name at another agent begins anew", "base" not in s, s)
    has = b.call("POST", "/v1/sessions/%s/has" % s["session"], ref[0] + os.urandom(32), BYTES)
    claim("what others hold is not told", has == (200, b"\0\0"), has)
    body, _ = b.commit_body("one", ref, pairs)
    b.call("PUT", "/v1/sessions/%s/list/0" % s["session"], segs, BYTES)
    is_status("nor claimed", commit(b, s["session"], body), 400)
    is_status("a batch of rubbish", b.call("PUT", "/v1/sessions/%s/batches/1" % s["session"],
                                           os.urandom(5000), BYTES), 400)
    is_status("has of too many", b.call("POST", "/v1/sessions/%s/has" % s["session"],
                                        os.urandom(32 * 257), BYTES), 400, 413)
    is_status("has of half an id", b.call("POST", "/v1/sessions/%s/has" % s["session"],
                                          os.urandom(33), BYTES), 400)
    is_status("a list with a hole", b.call("PUT", "/v1/sessions/%s/list/99999999999" %
                                           s["session"], segs, BYTES), 400, 413)
    is_status("the job is given up", b.result(order, error="interrupted", message="played"), 200)
    return ref[0]


def no_verbs(a, record_id):
    """Whatever it asks: there is no verb for it."""
    name = record_id.hex()
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"):
        for path in ("/v1/records/" + name, "/v1/snapshots", "/v1/pk/" + name, "/v1/vault",
                     "/v1/agents", "/v1/jobs", "/v1/sessions", "/v1/grants", "/v1/config",
                     "/v1/snapshots/" + name, "/v1/retention", "/api/v1/jobs", "/api/v1/agents",
                     "/api/v1/snapshots", "/api/v1/tokens", "/api/v1/enrolments"):
            if (method, path) == ("POST", "/v1/sessions"):
                continue
            status, raw = a.call(method, path, b"{}" if method in ("POST", "PUT") else None)
            claim("no verb: %s %s" % (method, path), status in (400, 403, 404, 405, 501, -1),
                  (status, raw))
    for path in ("/api/v1/jobs", "/api/v1/agents", "/api/v1/snapshots", "/api/v1/tokens",
                 "/api/v1/audit"):
        is_status("the people's port without a token: " + path,
                  PEOPLE.ask("GET", path, token="hft1-nothing"), 401, 403)
    is_status("an order without a token", PEOPLE.ask(
        "POST", "/api/v1/jobs", {"agent": a.name, "source": "one"}, token="x"), 401, 403)


def roles(a, box):
    is_status("a sandbox asks for a session", box.post(
        "/v1/sessions", {"job": "0" * 32, "attempt": 1, "source": "one"}), 403)
    is_status("a sandbox writes", box.call("PUT", "/v1/sessions/%s/batches/0" % ("0" * 32),
                                           b"x" * 100, BYTES), 403)
    for path, method in (("/v1/grants/%s" % ("0" * 32), "GET"),
                         ("/v1/grants/%s/records" % ("0" * 32), "POST")):
        is_status("a capture agent asks a grant", a.call(method, path, b"" if method == "POST"
                                                         else None, BYTES), 403)
        is_status("a sandbox without a drill", box.call(method, path, os.urandom(32)
                                                        if method == "POST" else None, BYTES), 404,
                  410)
    is_status("a capture agent reports a drill", a.call(
        "POST", "/v1/jobs/%s/report" % ("0" * 32), b"{}"), 403)
    is_status("a sandbox says it is a capture agent", box.hello(role="capture"), 403)
    claim("a sandbox has no key that makes records", box.k_mle == bytes(32) ==
          box.k_cdc, "keys")


# ---- forms ---------------------------------------------------------------------------------------
def oversize(a):
    s = a.socket()
    s.sendall(b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    claim("an oversize body", b" 413 " in s.recv(4096).split(b"\r\n")[0], "")
    s.close()
    s = a.socket()
    try:
        s.sendall(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"b" * 300000 + b"\r\n\r\n")
        told = s.recv(4096).split(b"\r\n")[0]
    except OSError:
        told = b""
    claim("an oversize head", told == b"" or any(x in told for x in (b" 400 ", b" 413 ", b" 431 ")),
          told)
    s.close()
    is_status("an oversize request of people",
              PEOPLE.ask("POST", "/api/v1/jobs", b"[" * 1048000), 400, 413)
    is_status("deep nesting", a.call("POST", "/v1/hello", b"[" * 200000), 400)


def smuggle(a):
    hello = json.dumps({"wait_ms": 0, "busy": []}).encode()
    inner = b"POST /v1/work HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hello) + hello
    heads = {
        "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(inner),
        "a length with a sign": b"Content-Length: +0\r\n",
        "a length in hex": b"Content-Length: 0x0\r\n",
        "a list of lengths": b"Content-Length: 0, %d\r\n" % len(inner),
        "a folded head": b"X: a\r\n Content-Length: 0\r\n",
        "a blank before the colon": b"Content-Length : 0\r\n",
        "an unknown coding": b"Transfer-Encoding: xchunked\r\n",
        "a coding twice": b"Transfer-Encoding: chunked, chunked\r\n",
        "a bare line feed": b"X: a\nContent-Length: 0\r\n",
        "a NUL": b"X: a\0b\r\n",
    }
    for name, head in heads.items():
        s = a.socket()
        s.settimeout(3)
        got = b""
        try:
            s.sendall(b"POST /v1/work HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + inner)
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except OSError:
            pass
        s.close()
        claim("smuggled: " + name, got.count(b"HTTP/1.1 204") == 0 and
              got.count(b"\r\nDate:") <= 1, got.replace(b"\r\n", b"|")[-280:])


def slow(a):
    """Half a head, half a body, a byte at a time: nobody else waits for it."""
    held = []
    for i in range(60):
        s = a.socket()
        s.sendall(b"POST /v1/hello HT" if i % 2 else
                  b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        held.append(s)
    raw = []
    for _ in range(60):  # no handshake at all
        host, port = a.address.rsplit(":", 1)
        raw.append(socket.create_connection((host, int(port))))
    begin = time.time()
    is_status("a hello beside slow senders", a.hello(["one"]), 200)
    claim("in time", time.time() - begin < 3, time.time() - begin)
    alive("slow senders")
    for s in held + raw:
        s.close()


def fuzz(a, rounds):
    r = random.Random(SEED)
    hello = json.dumps({"protocol": 1, "name": a.name, "version": "0.1.0", "role": "capture",
                        "clock": int(time.time() * 1000), "sources": []}).encode()
    seeds = [("POST", "/v1/hello", hello),
             ("POST", "/v1/work", b'{"wait_ms":0,"busy":[]}'),
             ("POST", "/v1/sessions", b'{"job":"' + b"0" * 32 + b'","attempt":1,"source":"one"}'),
             ("POST", "/v1/renew", json.dumps({"csr": a.csr()}).encode()),
             ("POST", "/v1/jobs/" + "0" * 32 + "/progress",
              b'{"attempt":1,"phase":"x","files":0,"bytes":0,"read_bytes":0,"sent_bytes":0}'),
             ("POST", "/v1/jobs/" + "0" * 32 + "/result",
              b'{"attempt":1,"warnings":0,"stats":{}}'),
             ("PUT", "/v1/sessions/" + "0" * 32 + "/batches/0", os.urandom(300)),
             ("POST", "/v1/sessions/" + "0" * 32 + "/commit", os.urandom(800))]
    enrol = json.dumps(a.sent).encode()
    bad = []
    for i in range(rounds):
        method, path, body = r.choice(seeds)
        people = i % 5 == 0
        if people:
            method, path, body = "POST", "/v1/enrol", enrol
        data = bytearray(body)
        for _ in range(r.randrange(1, 6)):
            at = r.randrange(len(data) + 1)
            kind = r.randrange(5)
            if kind == 0 and at < len(data):
                data[at] = r.randrange(256)
            elif kind == 1:
                del data[at:at + r.randrange(1, 20)]
            elif kind == 2:
                data[at:at] = bytes(r.randrange(256) for _ in range(r.randrange(1, 9)))
            elif kind == 3:
                data[at:at] = data[:r.randrange(0, 60)]
            else:
                data[at:at] = r.choice([b"\0", b"\xff\xff", b"{", b"[[", b"1e999", b"-1", b"\\u0000",
                                        b"9223372036854775808", b'"'])
        if r.randrange(8) == 0:
            path += r.choice(["/..", "//", "?x=1", "/%00", "/" + "a" * 200, "%2e%2e"])
        if people:
            status = PEOPLE.ask(method, path, bytes(data))[0]
        else:
            status, _ = a.call(method, path, bytes(data), timeout=20)
        if status >= 500 and status != 501 or status == -1 and i % 97 == 0:
            bad.append((i, status, method, path, bytes(data)[:80]))
    claim("fuzz of %d requests, seed %d: no 5xx" % (rounds, SEED), not bad, bad[:3])


def revoked(b):
    is_status("before", b.hello(["one"]), 200)
    is_status("revoke", PEOPLE.ask("POST", "/api/v1/agents/%s/revoke" % b.name, {}), 200)
    is_status("revoked: its next request", b.work(), 401, 403)
    is_status("revoked: hello", b.hello(["one"]), 401, 403)
    is_status("revoked: renewal", b.post("/v1/renew", {"csr": b.csr()}), 401, 403)
    is_status("revoked: collecting again", b.collect(), 401, 403)


def clocks(a):
    is_status("two days ahead", a.hello(clock=int((time.time() + 2 * 86400) * 1000)), 403)
    is_status("two days behind", a.hello(clock=int((time.time() - 2 * 86400) * 1000)), 403)
    is_status("the wrong protocol", a.hello(protocol=2), 501)
    is_status("right again", a.hello(["one"]), 200)


def main():
    a, b = join("hijacked", "capture"), join("neighbour", "capture")
    box = join("box", "sandbox")
    is_status("hello of the sandbox", box.hello(), 200)
    begin = rss_kib()
    enrolment(a)
    certificates(a, b)
    is_status("hello of the neighbour", b.hello(["one"]), 200)
    record_id = sessions(a, b)
    no_verbs(a, record_id)
    roles(a, box)
    clocks(a)
    oversize(a)
    smuggle(a)
    slow(a)
    fuzz(a, int(os.environ.get("FUZZ_ROUNDS", "400")))
    revoked(b)
    alive("at the end")
    claim("memory stays bounded", rss_kib() - begin < 48 * 1024 or "SANITIZED" in os.environ,
          "%d KiB, then %d KiB" % (begin, rss_kib()))
    print("NOTE VmRSS %d KiB at first, %d KiB at the end" % (begin, rss_kib()))


main()
