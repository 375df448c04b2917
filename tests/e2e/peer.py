"""An agent in Python: real keys, a real certificate, and whatever it likes to say (docs/PROTOCOL.md).
The tests play with it what an agent of ours never does."""
import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference"))
import hf1  # noqa: E402
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.x509.oid import NameOID  # noqa: E402

JSON = "application/json"
BYTES = "application/octet-stream"


def b64(data):
    return base64.b64encode(data).decode()


def canonical(o):
    return json.dumps(o, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()).decode()


def token_parse(text):
    body = text.strip()[len("hfe1-"):].upper()
    raw = base64.b32decode(body + "=" * (-len(body) % 8))
    return raw[:32], raw[32:52], raw[52:].decode()


class People:
    """The people's port, as the officer."""

    def __init__(self, address, ca, token):
        self.host, port = address.rsplit(":", 1)
        self.port, self.token = int(port), token
        self.context = ssl.create_default_context(cafile=ca)

    def ask(self, method, path, body=None, token=None, headers=None):
        """Return (status, answer); token None: the officer's, "": none at all."""
        c = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=30)
        head = {"Authorization": "Bearer " + (token or self.token)} if token != "" else {}
        head.update(headers or {})
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            c.request(method, path, data, head)
            a = c.getresponse()
            raw = a.read()
        finally:
            c.close()
        try:
            return a.status, json.loads(raw) if raw else None
        except ValueError:
            return a.status, raw


def people_of_environment():
    return People(os.environ["HOLDFAST_SERVER"], os.environ["HOLDFAST_CA"],
                  open(os.environ["HOLDFAST_TOKEN_FILE"]).read().strip())


class Peer:
    def __init__(self, scratch, name, role, people):
        self.scratch, self.name, self.role, self.people = scratch, name, role, people
        self.new_keys()
        self.connection = self.last_error = None

    def new_keys(self):
        self.tls = ec.generate_private_key(ec.SECP256R1())
        self.ik, self.delivery, self.dk, self.report = (os.urandom(32) for _ in range(4))

    def csr(self):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        made = x509.CertificateSigningRequestBuilder().subject_name(name)
        return made.sign(self.tls, hashes.SHA256()).public_bytes(
            serialization.Encoding.PEM).decode()

    def enrolment(self, secret, **changed):
        m = {"secret": b64(secret), "role": self.role, "name": self.name, "version": "0.1.0",
             "csr": self.csr(), "ik": b64(hf1.ed_public(self.ik)),
             "delivery": b64(hf1.x_public(self.delivery))}
        if self.role == "sandbox":
            m.update(dk=b64(hf1.x_public(self.dk)), report=b64(hf1.ed_public(self.report)))
        m.update(changed)
        proof = b"hf1/enrol\0" + hashlib.sha256(canonical(m)).digest()
        m["proof"] = b64(hf1.ed_sign(self.ik, proof))
        return m

    def ask_in(self, token_text, **changed):
        """Return (status, answer) of the enrolment; what was sent stays in self.sent."""
        _, secret, _ = token_parse(token_text)
        self.sent = self.enrolment(secret, **changed)
        status, answer = self.people.ask("POST", "/v1/enrol", self.sent)
        if status == 200:
            self.answer = answer
            self.agent_id = bytes.fromhex(answer["agent_id"])
            self.domain_id = bytes.fromhex(answer["domain_id"])
        return status, answer

    def collect(self, at=None):
        """Return (status, answer); when it is 200 the peer calls with what it was given."""
        at = int(time.time() * 1000) if at is None else at
        text = b"hf1/collect\0" + self.agent_id + struct.pack(">Q", at)
        m = {"agent_id": self.agent_id.hex(), "ik": b64(hf1.ed_public(self.ik)), "at": at,
             "proof": b64(hf1.ed_sign(self.ik, text))}
        status, a = self.people.ask("POST", "/v1/enrol/collect", m)
        if status != 200:
            return status, a
        sealed = base64.b64decode(a["keys"])
        raw = hf1.hpke_open(self.delivery, sealed[:32],
                            b"hf1/kdom\0" + self.domain_id + self.agent_id, b"", sealed[32:],
                            "delivered keys")
        self.kv_epoch, self.config_epoch = struct.unpack(">II", raw[48:56])
        self.rk_pk, self.k_mle, self.k_cdc = raw[56:88], raw[88:120], raw[120:152]
        self.address = a["address"]
        self.use(a["certificate"], self.tls, a["ca"])
        return status, a

    def use(self, certificate, key, ca=None):
        """Call with this certificate from now on (None: with none)."""
        if ca is not None:
            self.ca_file = os.path.join(self.scratch, self.name + ".ca")
            open(self.ca_file, "w").write(ca)
        self.context = ssl.create_default_context(cafile=self.ca_file)
        if certificate is not None:
            path = os.path.join(self.scratch, self.name + ".pem")
            with open(path, "w") as f:
                f.write(certificate + pem_key(key))
            self.context.load_cert_chain(path)
            self.certificate = certificate
        self.drop()

    def drop(self):
        if getattr(self, "connection", None) is not None:
            self.connection.close()
        self.connection = None

    def call(self, method, path, body=None, kind=JSON, timeout=70):
        """Return (status, bytes); -1 when there was no answer: self.last_error says why."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        host, port = self.address.rsplit(":", 1)
        for _ in range(2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection(
                        host, int(port), context=self.context, timeout=timeout)
                    self.connection.connect()
                self.connection.sock.settimeout(timeout)
                self.connection.request(method, path, data, {"Content-Type": kind})
                a = self.connection.getresponse()
                out = a.status, a.read()
                if a.will_close:
                    self.drop()
                self.last_error = None
                return out
            except (OSError, http.client.HTTPException) as e:
                self.drop()
                self.last_error = e
                if isinstance(e, TimeoutError):
                    break
        return -1, b""

    def post(self, path, o, **more):
        status, raw = self.call("POST", path, o, **more)
        try:
            return status, json.loads(raw) if raw else None
        except ValueError:
            return status, raw

    def socket(self):
        """A TLS connection to the agents' port, to say anything on."""
        host, port = self.address.rsplit(":", 1)
        raw = socket.create_connection((host, int(port)), timeout=30)
        return self.context.wrap_socket(raw, server_hostname=host)

    # ---- work
    def hello(self, sources=(), **changed):
        m = {"protocol": 1, "name": self.name, "version": "0.1.0", "role": self.role,
             "clock": int(time.time() * 1000),
             "sources": [{"name": s, "type": "files", "consistency": "fuzzy"} for s in sources]}
        m.update(changed)
        return self.post("/v1/hello", m)

    def work(self, wait_ms=0):
        return self.post("/v1/work", {"wait_ms": wait_ms, "busy": []})

    def begin(self, order, source=None):
        return self.post("/v1/sessions", {"job": order["job"], "attempt": order["attempt"],
                                          "source": source or order["source"]})

    def progress(self, order, **more):
        m = {"attempt": order["attempt"], "phase": "backup"}
        m.update(dict.fromkeys(("files", "bytes", "read_bytes", "sent_bytes"), 0), **more)
        return self.post("/v1/jobs/%s/progress" % order["job"], m)

    def result(self, order, **more):
        m = {"attempt": order["attempt"], "warnings": 0,
             "stats": dict.fromkeys(("files", "dirs", "others", "bytes", "read_bytes",
                                     "sent_bytes", "records"), 0)}
        m.update(more)
        return self.post("/v1/jobs/%s/result" % order["job"], m)

    def record(self, payload):
        cr, ref = hf1.record_seal(self.k_mle, 3, payload)
        return cr, ref

    def commit_body(self, source, ref, pairs, seq=1, prev=bytes(32), **changed):
        now = time.time_ns()
        _, root, count = hf1.refs_build(pairs)
        fields = dict(suite=1, flags=0, config_epoch=self.config_epoch, domain_id=self.domain_id,
                      agent_id=self.agent_id,
                      source_id=hf1.source_id(self.domain_id, self.agent_id, source.encode()),
                      seq=seq, t_start=now - 10**9, t_end=now, raw_bytes=10, ref_count=count,
                      prev=prev, root_id=ref[0], root_commit=hf1.root_commit(ref), refs_root=root,
                      log_size=0, log_root=hashlib.sha256(b"").digest())
        fields.update(changed)
        record = hf1.snap_sign(fields, self.ik)
        snap = hashlib.sha256(record).digest()
        envelope = hf1.envelope_seal(1, self.domain_id, snap, self.rk_pk, ref)
        label = bytes([1, len(source)]) + source.encode()
        label += bytes([5, 32]) + struct.pack(">QQQQ", 1, 0, 0, 0)
        return (record + struct.pack(">H", 1) + envelope + struct.pack(">I", len(label)) + label,
                snap)


def joined(scratch, name, people):
    """A capture agent that is enrolled and approved, by the program $HF as the officer."""
    p = Peer(scratch, name, "capture", people)
    status, a = people.ask("POST", "/api/v1/enrolments", {"role": "capture", "name": name})
    assert status // 100 == 2, (status, a)
    assert p.ask_in(a["token"])[0] == 200, name
    agent = [os.environ["HF"], "agent"]
    shown = subprocess.run([*agent, "show", name, "--json"], capture_output=True, check=True,
                           stdin=subprocess.DEVNULL).stdout
    subprocess.run([*agent, "approve", name, "--fingerprint", json.loads(shown)["fingerprint"]],
                   check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    assert p.collect()[0] == 200, name
    return p
