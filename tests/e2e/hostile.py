#!/usr/bin/env python3
"""hostile.py SCRATCH CONTROLLER-PID CA-KEY-FILE SEED: enemies of a controller, one claim a line.
A refusal counts only with its status and its id: 401 on the people's port without a token that
counts, 403 for every other right that lacks (docs/PROTOCOL.md)."""
import base64
import datetime
import json
import os
import random
import socket
import sys
import time

import peer as peers
from enemy import (PEOPLE, alive, claim, is_refused, is_shut_out, is_status, join, order_for,
                   rss_kib, token)
from peer import BYTES, Peer, hf1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SCRATCH, PID, CA_KEY, SEED = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])


# ---- enrolment -----------------------------------------------------------------------------------
def enrolment(a):
    other = Peer(SCRATCH, a.name, "capture", PEOPLE)
    is_refused("a spent token with other keys", other.ask_in(a.token), 403, "auth")
    again = PEOPLE.ask("POST", "/v1/enrol", a.sent)
    claim("the same request is answered the same", again == (200, a.answer), again)
    stolen = dict(a.sent, ik=peers.b64(hf1.ed_public(other.ik)))
    is_refused("the same with another identity key", PEOPLE.ask("POST", "/v1/enrol", stolen),
               400, "corrupt")
    _, secret, _ = peers.token_parse(a.token)
    saved, a.delivery = a.delivery, os.urandom(32)
    is_refused("a spent token, the same identity, another delivery key",
               PEOPLE.ask("POST", "/v1/enrol", a.enrolment(secret)), 403, "auth")
    a.delivery = saved
    p = Peer(SCRATCH, "roles", "sandbox", PEOPLE)
    is_refused("a token of another role", p.ask_in(token("capture")), 403, "auth")
    p = Peer(SCRATCH, "names", "capture", PEOPLE)
    is_refused("a token of another name", p.ask_in(token("capture", name="somebody")), 403, "auth")
    short = token("capture", ttl=1)
    time.sleep(0.1)
    is_refused("an expired token", p.ask_in(short), 403, "auth")
    is_refused("a token that was never made",
               PEOPLE.ask("POST", "/v1/enrol", p.enrolment(os.urandom(20))), 403, "auth")
    m = p.enrolment(os.urandom(20))
    m["name"] = "changed"
    is_refused("a request changed on the way", PEOPLE.ask("POST", "/v1/enrol", m), 400, "corrupt")
    p.ik = a.ik
    is_refused("another agent's identity key under a good token", p.ask_in(token("capture")),
               409, "exists")
    good = Peer(SCRATCH, "clocks", "capture", PEOPLE)
    is_status("clocks asks in", good.ask_in(token("capture")), 200)
    for days in (-2, 2):
        is_refused("a clock %d days off while collecting" % days,
                   good.collect(int(time.time() * 1000) + days * 86400000), 403, "auth")
    thief = Peer(SCRATCH, "thief", "capture", PEOPLE)
    thief.agent_id, thief.domain_id = a.agent_id, a.domain_id
    is_refused("collecting what another agent was given", thief.collect(), 403, "auth")
    thief.agent_id = os.urandom(16)
    is_refused("collecting for an agent that is not there", thief.collect(), 403, "auth")
    m = {"agent_id": a.agent_id.hex(), "ik": peers.b64(hf1.ed_public(a.ik)),
         "at": int(time.time() * 1000), "proof": peers.b64(os.urandom(64))}
    is_refused("collecting with the identity but not its key",
               PEOPLE.ask("POST", "/v1/enrol/collect", m), 400, "corrupt")


# ---- certificates --------------------------------------------------------------------------------
def make_cert(p, key, issuer_key, issuer, days=30, uri=None, first=-60):
    """A certificate from ${first} to ${days}, in days from now."""
    now = datetime.datetime.utcnow()
    first = now + datetime.timedelta(days=first)
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
    is_shut_out("no certificate", a, a.hello())
    rogue = ec.generate_private_key(ec.SECP256R1())
    ca = x509.load_pem_x509_certificate(open(a.ca_file, "rb").read())
    a.use(make_cert(a, a.tls, rogue, ca.subject), a.tls)
    is_shut_out("a certificate of another CA", a, a.hello())
    a.use(make_cert(a, a.tls, a.tls, x509.Name([])), a.tls)
    is_shut_out("a certificate of its own", a, a.hello())
    real = serialization.load_pem_private_key(open(CA_KEY, "rb").read(), None)
    a.use(make_cert(a, rogue, real, ca.subject), rogue)
    is_refused("our CA's, but of a key that the catalog does not list", a.hello(), 403, "auth")
    a.use(make_cert(a, a.tls, real, ca.subject,
                    uri="holdfast:agent:" + b.agent_id.hex()), a.tls)
    is_refused("our CA's, with the name of another agent", a.hello(), 403, "auth")
    a.use(make_cert(a, a.tls, real, ca.subject, uri="holdfast:agent:" + "0" * 32), a.tls)
    is_refused("our CA's, with the name of nobody", a.hello(), 403, "auth")
    a.use(make_cert(a, a.tls, real, ca.subject, uri="holdfast:officer"), a.tls)
    is_refused("our CA's, with a name that is no agent's", a.hello(), 403, "auth")
    # the dates are looked at in the handshake, for a listed key too
    a.use(make_cert(a, a.tls, real, ca.subject, days=-1), a.tls)
    is_shut_out("our CA's, the listed key, expired", a, a.hello())
    claim("and it says so", "expired" in str(a.last_error), a.last_error)
    a.use(make_cert(a, a.tls, real, ca.subject, first=1), a.tls)
    is_shut_out("our CA's, the listed key, not valid yet", a, a.hello())
    a.use(make_cert(a, a.tls, real, ca.subject), a.tls)
    is_status("the same within its dates", a.hello(["plant"]), 200)
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
    is_refused("a second source in the same job", a.begin(order, "two"), 404, "not-found")
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
        is_refused("another agent's session: " + method + " " + tail,
                   b.call(method, path, body, BYTES), 410, "interrupted")
        unknown = path.replace(sid, "0" * 32)
        claim("which looks like one that is not there",
              b.call(method, path, body, BYTES) == b.call(method, unknown, body, BYTES))
    is_refused("another agent's job: progress", b.progress(order), 404, "not-found")
    is_refused("another agent's job: result", b.result(order), 404, "not-found")
    is_refused("another agent's job: a session", b.begin(order), 404, "not-found")
    late = dict(order, attempt=order["attempt"] + 1)
    is_refused("an attempt that is not there yet: a session", a.begin(late), 410, "interrupted")
    is_refused("an attempt that is not there yet: progress", a.progress(late), 410, "interrupted")
    is_refused("an attempt that is not there yet: result", a.result(late), 410, "interrupted")
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
        is_refused("forged record: " + name, commit(a, again(), body), 400, "corrupt")
    fenced = sid
    body, snap = a.commit_body("one", ref, pairs)
    is_refused("an older session of the job is fenced", commit(a, fenced, body), 410,
               "interrupted")
    bad = bytearray(body)
    bad[100] ^= 1
    is_refused("a record changed on the way", commit(a, again(), bytes(bad)), 400, "corrupt")
    mine, a.ik = a.ik, b.ik
    forged_by_b, _ = a.commit_body("one", ref, pairs)
    a.ik = mine
    is_refused("signed by another agent", commit(a, again(), forged_by_b), 403, "auth")
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
    is_status("told again, answered again", a.result(order, snapshot=snap.hex()), 200)
    is_refused("its session is over", commit(a, sid, body), 410, "interrupted")
    is_refused("the old order replayed: a session", a.begin(order), 410, "interrupted")
    is_refused("the old order replayed: progress", a.progress(order), 410, "interrupted")
    # replay into a new session
    order = order_for(a, "one")
    status, s = a.begin(order)
    claim("the chain is known", s.get("base") == snap.hex() and s.get("seq") == 1, s)
    sid = s["session"]
    is_status("the list again", a.call("PUT", "/v1/sessions/%s/list/0" % sid, segs, BYTES), 204)
    is_refused("an old commit replayed", commit(a, sid, body), 400, "corrupt")
    count = len(PEOPLE.ask("GET", "/api/v1/snapshots?source=one&limit=50")[1]["snapshots"])
    claim("an old commit replayed makes no second snapshot", count == 1, count)
    is_status("the job is given up", a.result(order, error="interrupted", message="played"), 200)
    # b asks for what a has
    order = order_for(b, "one")
    status, s = b.begin(order)
    claim("a source of the same name at another agent begins anew", "base" not in s, s)
    has = b.call("POST", "/v1/sessions/%s/has" % s["session"], ref[0] + os.urandom(32), BYTES)
    claim("what others hold is not told", has == (200, b"\0\0"), has)
    body, _ = b.commit_body("one", ref, pairs)
    b.call("PUT", "/v1/sessions/%s/list/0" % s["session"], segs, BYTES)
    is_refused("nor claimed", commit(b, s["session"], body), 400, "corrupt")
    for name, method, tail, data in (
            ("a batch of rubbish", "PUT", "batches/1", os.urandom(5000)),
            ("has of too many", "POST", "has", os.urandom(32 * 257)),
            ("has of half an id", "POST", "has", os.urandom(33)),
            ("has of nothing", "POST", "has", b""),
            ("a list with a hole", "PUT", "list/99999999999", segs),
            ("a commit cut short", "POST", "commit", body[:-1]),
            ("a commit with more behind it", "POST", "commit", body + b"x")):
        sid = b.begin(order)[1]["session"]
        is_refused(name, b.call(method, "/v1/sessions/%s/%s" % (sid, tail), data, BYTES),
                   400, "corrupt")
    sid = b.begin(order)[1]["session"]
    for method, tail in (("PUT", "list/"), ("PUT", "list"), ("PUT", "list/0x0"), ("PUT", "list/-1"),
                         ("PUT", "batches/x"), ("POST", "has/1"), ("POST", "commit/0")):
        is_refused("no such part of a session: " + tail, b.call(
            method, "/v1/sessions/%s/%s" % (sid, tail), segs, BYTES), 404, "not-found")
    is_status("the job is given up", b.result(order, error="interrupted", message="played"), 200)
    return ref[0]


def no_verbs(a, record_id):
    """Whatever it asks: there is no verb for it."""
    name = record_id.hex()
    told = {"HEAD": 405, "PATCH": 405}
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"):
        for path in ("/v1/records/" + name, "/v1/snapshots", "/v1/pk/" + name, "/v1/vault",
                     "/v1/agents", "/v1/jobs", "/v1/config", "/v1/snapshots/" + name,
                     "/v1/retention", "/v1/enrol", "/api/v1/jobs", "/api/v1/agents",
                     "/api/v1/snapshots", "/api/v1/tokens", "/api/v1/enrolments"):
            got = a.call(method, path, b"{}" if method in ("POST", "PUT") else None)
            claim("no verb: %s %s" % (method, path), got[0] == told.get(method, 404), got)


PEOPLE_MAY = (  # docs/API.md; what is asked for does not exist, so that a right changes nothing
    ("viewer", "GET", "status"), ("viewer", "GET", "agents"), ("viewer", "GET", "agents/none"),
    ("viewer", "GET", "agents/none/approval"), ("viewer", "GET", "jobs"),
    ("viewer", "GET", "jobs/none"), ("viewer", "GET", "schedules"), ("viewer", "GET", "drills"),
    ("viewer", "GET", "reports/none"), ("viewer", "GET", "snapshots"), ("viewer", "GET", "config"), ("auditor", "GET", "audit"),
    ("operator", "POST", "enrolments"), ("operator", "POST", "jobs"),
    ("operator", "POST", "jobs/none/cancel"), ("operator", "POST", "drills"),
    ("approver", "POST", "agents/none/approve"), ("approver", "POST", "agents/none/revoke"),
    ("approver", "POST", "keys/none/strike"), ("officer", "GET", "tokens"), ("officer", "POST", "tokens"),
    ("officer", "POST", "tokens/none/revoke"))


def people(a):
    """401 is for who has no token that counts, whatever the path; 403 for who may not."""
    roles = ("viewer", "auditor", "operator", "approver", "officer")
    made = {r: PEOPLE.ask("POST", "/api/v1/tokens", {"name": "p-" + r, "role": r})[1]["token"]
            for r in roles}
    gone = PEOPLE.ask("POST", "/api/v1/tokens", {"name": "gone", "role": "officer"})[1]["token"]
    is_status("a token is revoked", PEOPLE.ask("POST", "/api/v1/tokens/gone/revoke", {}), 200)
    late = PEOPLE.ask("POST", "/api/v1/tokens",
                      {"name": "late", "role": "officer", "ttl": 1})[1]["token"]
    time.sleep(0.01)
    for need, method, path in PEOPLE_MAY + (("viewer", "GET", "nothing"),):
        body = {} if method == "POST" else None
        for name, text in (("no token", ""), ("a token that was never made", "hfp-nothing"),
                           ("a revoked token", gone), ("a token past its time", late),
                           ("an enrolment token", a.token)):
            is_refused("%s: %s %s" % (name, method, path),
                       PEOPLE.ask(method, "/api/v1/" + path, body, token=text), 401, "auth")
        for r in roles:
            got = PEOPLE.ask(method, "/api/v1/" + path, body, token=made[r])
            if roles.index(r) < roles.index(need):
                is_refused("%s: %s %s" % (r, method, path), got, 403, "auth")
            else:
                claim("%s may: %s %s" % (r, method, path), got[0] in (200, 400, 404), got)
    for what, body in (("a token's end that is no number", {"ttl": "1h"}),
                       ("a token's end in the past", {"ttl": -1}),
                       ("a token's end beyond all time", {"ttl": 2**63 - 1}),
                       ("a name that is a number", {"name": 7})):
        is_refused(what, PEOPLE.ask("POST", "/api/v1/tokens",
                                    dict({"name": "never", "role": "viewer"}, **body)),
                   400, "usage")
    is_refused("an enrolment token for ever", PEOPLE.ask(
        "POST", "/api/v1/enrolments", {"role": "capture", "ttl": 2**40}), 400, "usage")
    is_refused("more tries than there may be", PEOPLE.ask(
        "POST", "/api/v1/jobs", {"agent": a.name, "source": "one", "retries": 101}), 400, "usage")
    is_refused("a limit that is none", PEOPLE.ask("GET", "/api/v1/jobs?limit=x"), 400, "usage")
    is_refused("an order without a token", PEOPLE.ask(
        "POST", "/api/v1/jobs", {"agent": a.name, "source": "one"}, token="x"), 401, "auth")
    is_refused("another scheme", PEOPLE.ask("GET", "/api/v1/jobs", token="", headers={
        "Authorization": "Basic " + made["officer"]}), 401, "auth")


def roles(a, box):
    session, none = "/v1/sessions/" + "0" * 32, "0" * 32
    is_refused("a sandbox asks for a session", box.post(
        "/v1/sessions", {"job": none, "attempt": 1, "source": "one"}), 403, "auth")
    for method, tail in (("PUT", "batches/0"), ("PUT", "list/0"), ("POST", "has"),
                         ("POST", "commit")):
        is_refused("a sandbox writes: " + tail,
                   box.call(method, session + "/" + tail, b"x" * 100, BYTES), 403, "auth")
    is_refused("a sandbox ends a session", box.call("DELETE", session), 403, "auth")
    for method, path in (("GET", "/v1/grants/" + none), ("POST", "/v1/grants/%s/records" % none),
                         ("PUT", "/v1/jobs/%s/evidence/x" % none),
                         ("POST", "/v1/jobs/%s/report" % none)):
        body = os.urandom(32) if method != "GET" else None
        is_refused("a capture agent: %s %s" % (method, path), a.call(method, path, body, BYTES),
                   403, "auth")
        is_refused("a sandbox without a drill: %s %s" % (method, path),
                   box.call(method, path, body, BYTES), 404, "not-found")
    is_refused("a sandbox says it is a capture agent", box.hello(role="capture"), 403, "auth")
    claim("a sandbox has no key that makes records", box.k_mle == bytes(32) ==
          box.k_cdc, "keys")


# ---- forms ---------------------------------------------------------------------------------------
def oversize(a):
    s = a.socket()
    s.sendall(b"POST /v1/hello HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
    told = s.recv(4096)
    is_refused("an oversize body", (int(told.split()[1]), told.split(b"\r\n\r\n", 1)[1]),
               413, "limit")
    s.close()
    s = a.socket()
    # as much as is looked at before it is refused: what lies unread would reset the connection
    s.sendall(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 16384)
    told = s.recv(4096)
    is_refused("an oversize head", (int(told.split()[1]), told.split(b"\r\n\r\n", 1)[1]),
               431, "limit")
    s.close()
    is_refused("the largest request of people, of nothing but depth",
               PEOPLE.ask("POST", "/api/v1/jobs", b"[" * 1048000), 400, "corrupt")
    is_refused("deep nesting", a.call("POST", "/v1/hello", b"[" * 20000), 400, "corrupt")
    is_refused("a hello longer than a hello may be", a.call("POST", "/v1/hello", b"[" * 2000000),
               413, "limit")


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
        got, is_over = b"", False
        try:
            s.sendall(b"POST /v1/work HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n" + inner)
            while True:
                part = s.recv(65536)
                if not part:
                    is_over = True
                    break
                got += part
        except OSError:
            pass
        s.close()
        # one answer, a refusal, and the connection is at its end
        head, _, told = got.partition(b"\r\n\r\n")
        is_refused("smuggled: " + name, (int(head.split()[1]) if head else -1, told),
                   411 if "coding" in name else 400, "usage")
        claim("smuggled: " + name + ": the end", is_over, got)


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


def short_polls(a):
    begin = time.time()
    for _ in range(4):
        is_status("a poll of a millisecond", a.work(1), 204)
    claim("four of them do not wait for a tick of 5 s each", time.time() - begin < 5,
          time.time() - begin)


def plan_errors(box):
    told = PEOPLE.ask("POST", "/api/v1/drills", {"agent": box.name, "plan_name": "bad.plan",
                                                 "plan": peers.b64(b"plan = { id = 7; };\n")})
    is_refused("a plan that is none", told, 400, "config")
    text = json.dumps(told[1])
    claim("its text ends without a newline", "\\n\"" not in text and "bad.plan" in text, text)


def revoked(b):
    order = order_for(b, "one")
    session = b.begin(order)[1]["session"]
    is_status("revoke", PEOPLE.ask("POST", "/api/v1/agents/%s/revoke" % b.name, {}), 200)
    for name, got in (
            ("its next request", b.work()), ("hello", b.hello(["one"])),
            ("renewal", b.post("/v1/renew", {"csr": b.csr()})),
            ("collecting again", b.collect()), ("progress", b.progress(order)),
            ("result", b.result(order)), ("a session", b.begin(order)),
            ("its open session", b.call("POST", "/v1/sessions/%s/has" % session, os.urandom(32),
                                        BYTES)),
            ("its token again", PEOPLE.ask("POST", "/v1/enrol", b.sent))):
        is_refused("revoked: " + name, got, 403, "auth")
    job = PEOPLE.ask("GET", "/api/v1/jobs/" + order["job"])[1]
    claim("its job is over, and says why", (job["state"], job["reason"]) == (
        "failed", "its agent was revoked"), job)

    # told after the head: the body, which takes memory, is not waited for
    s = b.socket()
    s.sendall(b"PUT /v1/sessions/x/batches/0 HTTP/1.1\r\nHost: x\r\n"
              b"Content-Length: 16000000\r\n\r\n")
    told = s.recv(65536)
    is_refused("revoked: the head of a large body",
               (int(told.split()[1]), told.split(b"\r\n\r\n", 1)[1]), 403, "auth")
    s.close()
    is_refused("a large body without a token",
               PEOPLE.ask("POST", "/api/v1/jobs", b"[" * 20000, token=""), 401, "auth")


def clocks(a):
    for days in (-2, 2):
        is_refused("a clock %d days off" % days,
                   a.hello(clock=int((time.time() + days * 86400) * 1000)), 403, "auth")
    is_refused("the wrong protocol", a.hello(protocol=2), 501, "needs-newer-version")
    is_status("right again", a.hello(["one"]), 200)


def main():
    a, b = join(SCRATCH, "hijacked", "capture"), join(SCRATCH, "neighbour", "capture")
    box = join(SCRATCH, "box", "sandbox")
    is_status("hello of the sandbox", box.hello(), 200)
    begin = rss_kib(PID)
    enrolment(a)
    certificates(a, b)
    is_status("hello of the neighbour", b.hello(["one"]), 200)
    record_id = sessions(a, b)
    no_verbs(a, record_id)
    people(a)
    roles(a, box)
    clocks(a)
    oversize(a)
    smuggle(a)
    slow(a)
    short_polls(a)
    plan_errors(box)
    revoked(b)
    alive("at the end")
    claim("memory stays bounded", rss_kib(PID) - begin < 48 * 1024 or "SANITIZED" in os.environ,
          "%d KiB, then %d KiB" % (begin, rss_kib(PID)))
    print("NOTE VmRSS %d KiB at first, %d KiB at the end" % (begin, rss_kib(PID)))


main()
