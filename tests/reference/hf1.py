#!/usr/bin/env python3
"""Independent reference of the hf1 objects, written from docs/FORMAT.md and nothing else.

Builds and opens records, packs, sealed objects, key slots, the vault header, the domain config,
snapshot records, envelopes and reference segments with python3-cryptography.  The tree inside the
records is hf1_tree.py's, pruning and collection are hf1_collect.py's.

  hf1.py open-store DIR (--rk HEX | --recovery-file FILE --passphrase-file FILE) [--tree]

opens a vault in a directory, follows the read order of section 9 and checks every hash, tag,
signature, chain and envelope on the way; prints a JSON summary.  With --tree every file of every
snapshot is read and its digest compared.  Exit status 1 and one line on damage.
"""
import argparse
import ctypes
import hashlib
import hmac
import json
import os
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ZERO_NONCE = bytes(12)
DATA, NODE, ROOT, ATTR = 1, 2, 3, 4
INDEX, REFS, ENVELOPES, SNAPSHOT, CONFIG, LOG = 1, 2, 3, 4, 5, 6
PRUNE, PRUNED, SESSION, GC, DEAD, REWRAP = 7, 8, 9, 10, 11, 12
RECOVERY, DRILL, GRANT = 1, 2, 3
NO_LOG = (1 << 64) - 1


class Corrupt(Exception):
    """Bytes are not what they must be."""


class Newer(Exception):
    """Well formed, but of a version this reference does not know."""


class WrongKey(Exception):
    """Well formed, but for another key, passphrase or epoch."""


def need(claim, text, kind=Corrupt):
    if not claim:
        raise kind(text)


# ---- section 0 and 1: primitives and keys ------------------------------------------------------
def sha(data):
    return hashlib.sha256(data).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def u16(v):
    return struct.pack(">H", v)


def u32(v):
    return struct.pack(">I", v)


def u64(v):
    return struct.pack(">Q", v)


def get32(data, at):
    return struct.unpack_from(">I", data, at)[0]


def extract(salt, ikm):
    return mac(salt or bytes(32), ikm)


def expand(prk, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = mac(prk, block + info + bytes([i]))
        out += block
        i += 1
    return out[:length]


def kdf(ikm, salt, label, ctx, length):
    return expand(extract(salt, ikm), label + b"\0" + ctx, length)


def aead(suite, key):
    return {1: AESGCM, 2: ChaCha20Poly1305}[suite](key)


def aead_open(suite, key, sealed, aad, text):
    try:
        return aead(suite, key).decrypt(ZERO_NONCE, sealed, aad)
    except InvalidTag:
        raise Corrupt(text + ": tag") from None


def merkle(leaves):
    if not leaves:
        return sha(b"")
    level = [sha(b"\0" + leaf) for leaf in leaves]
    # RFC 6962: split at the largest power of two below the length

    def head(hashes):
        if len(hashes) == 1:
            return hashes[0]
        split = 1 << ((len(hashes) - 1).bit_length() - 1)
        return sha(b"\1" + head(hashes[:split]) + head(hashes[split:]))
    return head(level)


def x_public(sk):
    key = X25519PrivateKey.from_private_bytes(sk).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def x_shared(sk, pk):
    return X25519PrivateKey.from_private_bytes(sk).exchange(X25519PublicKey.from_public_bytes(pk))


def ed_public(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def ed_sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def ed_check(pk, message, sig, text):
    try:
        Ed25519PublicKey.from_public_bytes(pk).verify(sig, message)
    except InvalidSignature:
        raise Corrupt(text + ": signature") from None


def k_ss(k_vault, vault_id, epoch):
    return kdf(k_vault, vault_id, b"hf1/seal-salt", u32(epoch), 32)


def epoch_keys(k_dom, domain_id, epoch):
    return (kdf(k_dom, domain_id, b"hf1/mle", u32(epoch), 32),
            kdf(k_dom, domain_id, b"hf1/cdc", u32(epoch), 32))


def cut_keys(k_cdc, domain_id, epoch):
    return (kdf(k_cdc, domain_id, b"hf1/vcdc1", u32(epoch), 32),
            kdf(k_cdc, domain_id, b"hf1/tree", u32(epoch), 16))


def mle_agent(k_dom, domain_id, epoch, agent_id):
    return kdf(k_dom, domain_id, b"hf1/mle-agent", u32(epoch) + agent_id, 32)


def root_keys(rk_sk, vault_id):
    """What stand-alone use derives from the recovery key."""
    seed = kdf(rk_sk, vault_id, b"hf1/officer", b"", 32)
    return {"k_dom": kdf(rk_sk, vault_id, b"hf1/kdom", b"", 32),
            "domain_id": kdf(rk_sk, vault_id, b"hf1/domain", b"", 16),
            "agent_id": kdf(rk_sk, vault_id, b"hf1/agent", b"", 16),
            "officer_seed": seed, "officer_pk": ed_public(seed)}


def source_id(domain_id, agent_id, name):
    return sha(b"hf1/source\0" + domain_id + agent_id + name)[:16]


WRITER_FIELDS = (("vault_id", 16), ("domain_id", 16), ("agent_id", 16), ("kv_epoch", 4),
                 ("config_epoch", 4), ("k_vault", 32), ("k_mle", 32), ("k_cdc", 32),
                 ("ik_seed", 32), ("rk_pk", 32), ("officer_pk", 32), ("k_fp", 32))


def writer_bytes(w):
    body = b"HFWK\1\0\0\0"
    for name, size in WRITER_FIELDS:
        body += u32(w[name]) if size == 4 else w[name]
    return body + sha(body)


def writer_parse(data):
    need(data[:4] == b"HFWK", "writer key file: magic")
    need(data[4] == 1, "writer key file: version", Newer)
    need(len(data) == 320 and sha(data[:-32]) == data[-32:], "writer key file: checksum")
    need(data[5:8] == bytes(3), "writer key file: reserved")
    out, at = {}, 8
    for name, size in WRITER_FIELDS:
        out[name] = get32(data, at) if size == 4 else data[at:at + size]
        at += size
    return out


# ---- HPKE (RFC 9180): base mode, 0x0020, 0x0001, 0x0002 ----------------------------------------
KEM = b"KEM\x00\x20"
HPKE = b"HPKE\x00\x20\x00\x01\x00\x02"


def l_extract(suite, salt, label, ikm):
    return extract(salt, b"HPKE-v1" + suite + label + ikm)


def l_expand(suite, prk, label, info, length):
    return expand(prk, u16(length) + b"HPKE-v1" + suite + label + info, length)


def hpke_derive_key(ikm):
    return l_expand(KEM, l_extract(KEM, b"", b"dkp_prk", ikm), b"sk", b"", 32)


def hpke_context(shared, kem_context, info):
    prk = l_extract(KEM, b"", b"eae_prk", shared)
    secret = l_expand(KEM, prk, b"shared_secret", kem_context, 32)
    ctx = b"\0" + l_extract(HPKE, b"", b"psk_id_hash", b"") + l_extract(
        HPKE, b"", b"info_hash", info)
    prk = l_extract(HPKE, secret, b"secret", b"")
    return AESGCM(l_expand(HPKE, prk, b"key", ctx, 32)), l_expand(
        HPKE, prk, b"base_nonce", ctx, 12)


def hpke_seal(sk_e, pk_r, info, aad, plain):
    enc = x_public(sk_e)
    cipher, nonce = hpke_context(x_shared(sk_e, pk_r), enc + pk_r, info)
    return enc, cipher.encrypt(nonce, plain, aad)


def hpke_open(sk_r, enc, info, aad, sealed, text):
    cipher, nonce = hpke_context(x_shared(sk_r, enc), enc + x_public(sk_r), info)
    try:
        return cipher.decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Corrupt(text + ": tag") from None


# ---- section 3: records ------------------------------------------------------------------------
# A ref is the tuple (id 32, key 32, raw length, record length).
def ref_bytes(ref):
    return ref[0] + ref[1] + u32(ref[2]) + u32(ref[3])


def ref_parse(data):
    need(len(data) == 72, "ref: length")
    return (data[:32], data[32:64]) + struct.unpack(">II", data[64:72])


def padme(n):
    if n < 2:
        return n
    e = n.bit_length() - 1
    bits = e - e.bit_length()
    if bits <= 0:
        return n
    mask = (1 << bits) - 1
    return (n + mask) & ~mask


def record_header(suite, kind, cr_len):
    return b"HFC1" + bytes([suite, kind, 0, 0]) + u32(cr_len - 28)


def record_seal(k_mle, kind, payload, comp=0, filter_id=0, raw_len=None, suite=1):
    """Seal a payload that is packed already; return (record, ref)."""
    raw_len = len(payload) if raw_len is None else raw_len
    inner = bytes([comp, 0, filter_id, 0]) + u32(raw_len) + u32(len(payload)) + payload
    inner += bytes(padme(len(inner)) - len(inner))
    header = record_header(suite, kind, len(inner) + 28)
    key = mac(k_mle, b"hf1/chunk-key\0" + header + inner)
    cr = header + aead(suite, key).encrypt(ZERO_NONCE, inner, header)
    return cr, (sha(cr), key, raw_len, len(cr))


_zstd = None


def zstd_open(frame, raw_len):
    global _zstd
    if _zstd is None:
        _zstd = ctypes.CDLL("libzstd.so.1")
        _zstd.ZSTD_decompress.restype = ctypes.c_size_t
        _zstd.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p,
                                          ctypes.c_size_t]
    out = ctypes.create_string_buffer(raw_len + 1)
    got = _zstd.ZSTD_decompress(out, raw_len, frame, len(frame))
    need(got == raw_len, "record: zstd frame")
    return out.raw[:raw_len]


def col1_parse(payload):
    need(len(payload) >= 2, "filter: cut short")
    stride, phase = payload[0], payload[1]
    need(4 <= stride <= 128 and stride % 4 == 0 and phase < stride, "filter: stride, phase")
    width = 8 if stride % 8 == 0 else 4
    columns = stride // width
    need(columns <= 16, "filter: columns")
    used = 2 + (columns * 2 + 7) // 8
    need(len(payload) >= used, "filter: cut short")
    bits = int.from_bytes(payload[2:used], "little")
    modes = [bits >> 2 * i & 3 for i in range(columns)]
    need(bits >> 2 * columns == 0 and all(m <= 2 for m in modes), "filter: modes")
    return stride, phase, width, modes, used


def col1_inverse(stride, phase, width, modes, data):
    rows = (len(data) - phase) // stride
    out = bytearray(len(data))
    at = 0
    for column, mode in enumerate(modes):
        part = data[at:at + rows * width]
        at += rows * width
        if mode:
            part = b"".join(bytes(part[plane * rows + row] for plane in range(width))
                            for row in range(rows))
        if mode == 2:
            words, last = bytearray(), 0
            for row in range(rows):
                step = int.from_bytes(part[row * width:(row + 1) * width], "little")
                last = (last + step) % (1 << 8 * width)
                words += last.to_bytes(width, "little")
            part = bytes(words)
        for row in range(rows):
            to = phase + row * stride + column * width
            out[to:to + width] = part[row * width:(row + 1) * width]
    out[:phase] = data[at:at + phase]
    out[phase + rows * stride:] = data[at + phase:]
    return bytes(out)


def record_open(ref, kind, cr):
    """Every check of section 3, in its order; return the raw bytes."""
    need(len(cr) == ref[3] and len(cr) <= (16 << 20) + 28, "record: length")
    need(sha(cr) == ref[0], "record: id")
    need(cr[:4] == b"HFC1", "record: magic")
    need(cr[4] in (1, 2), "record: suite", Newer)
    need(1 <= cr[5] <= 4, "record: type", Newer)
    need(cr[6:8] == b"\0\0", "record: reserved")
    need(cr[5] == kind, "record: another type")
    need(get32(cr, 8) == len(cr) - 28, "record: length")
    inner = aead_open(cr[4], ref[1], cr[12:], cr[:12], "record")
    comp, flags, filter_id, reserved = inner[:4]
    raw_len, pay_len = get32(inner, 4), get32(inner, 8)
    need(len(inner) == padme(12 + pay_len), "record: padded length")
    need(not any(inner[12 + pay_len:]), "record: padding")
    need(reserved == 0, "record: reserved")
    need(comp <= 1, "record: compression", Newer)
    need(flags == 0, "record: flags", Newer)
    need(filter_id <= 1, "record: filter", Newer)
    need(raw_len == ref[2] and raw_len <= 64 << 20, "record: raw length")
    payload, params = inner[12:12 + pay_len], None
    if filter_id:
        params = col1_parse(payload)
        payload = payload[params[4]:]
        need(params[1] < raw_len, "filter: phase")
    raw = zstd_open(payload, raw_len) if comp else payload
    need(len(raw) == raw_len, "record: raw length")
    return col1_inverse(*params[:4], raw) if params else raw


# ---- section 6: sealed objects, packs, index ---------------------------------------------------
class SealedKey:
    def __init__(self, vault_id, epoch, k_vault):
        self.vault_id, self.epoch, self.k_vault = vault_id, epoch, k_vault
        self.k_ss = k_ss(k_vault, vault_id, epoch)
        self.older = None

    def of(self, epoch, text):
        key = self
        while key is not None and key.epoch != epoch:
            key = key.older
        need(key is not None, text + ": epoch", WrongKey)
        return key


def padded(n):
    step = 4096 if n <= 1 << 20 else 65536
    return (n + step - 1) // step * step


def sealed_seal(key, kind, body, random=None):
    plain = u32(len(body)) + body
    plain += bytes(padded(48 + len(plain) + 16) - 64 - len(plain))
    salt = mac(key.k_ss, bytes([kind]) + (random or os.urandom(16)) + plain)
    header = b"HFO1" + bytes([1, kind, 0, 0]) + u32(key.epoch) + u32(len(plain)) + salt
    k = kdf(key.k_vault, salt, b"hf1/sealed", key.vault_id + bytes([kind]), 32)
    return header + aead(1, k).encrypt(ZERO_NONCE, plain, header)


def sealed_open(key, kind, data):
    need(4096 <= len(data) <= 64 << 20 and padded(len(data)) == len(data), "object: length")
    need(data[:4] == b"HFO1", "object: magic")
    need(data[4] in (1, 2), "object: suite", Newer)
    need(data[5] == kind, "object: kind")
    need(data[6:8] == b"\0\0", "object: reserved")
    need(get32(data, 12) == len(data) - 64, "object: length")
    key = key.of(get32(data, 8), "object")
    k = kdf(key.k_vault, data[16:48], b"hf1/sealed", key.vault_id + bytes([kind]), 32)
    plain = aead_open(data[4], k, data[48:], data[:48], "object")
    n = get32(plain, 0)
    need(n <= len(plain) - 4 and padded(68 + n) == len(data), "object: body length")
    need(not any(plain[4 + n:]), "object: padding")
    return plain[4:4 + n]


def pack_seal(key, class_id, records, random=None):
    """records: whole records, in order."""
    body = b"".join(cr[12:] for cr in records)
    footer = b"HFPF" + bytes([1, class_id, 0, 0]) + u32(len(records)) + u32(len(body))
    for cr in records:
        footer += sha(cr) + cr[4:6] + b"\0\0" + u32(len(cr))
    total = padded(len(body) + len(footer) + 64)
    footer += bytes(total - 64 - len(body) - len(footer))
    salt = mac(key.k_ss, b"P" + (random or os.urandom(16)) + footer)
    tail = salt + u32(key.epoch) + u32(len(footer) + 16) + b"HFPACK01"
    k = kdf(key.k_vault, salt, b"hf1/pack-footer", key.vault_id, 32)
    return body + aead(1, k).encrypt(ZERO_NONCE, footer, tail) + tail


def pack_open(key, data):
    """Return (class, [(id, suite, type, offset, record length)])."""
    need(len(data) >= 48 and data[-8:] == b"HFPACK01", "pack: magic")
    tail = data[-48:]
    key = key.of(get32(tail, 32), "pack")
    sealed_len = get32(tail, 36)
    need(72 <= sealed_len <= len(data) - 48 and len(data) <= 64 << 20, "pack: footer length")
    k = kdf(key.k_vault, tail[:32], b"hf1/pack-footer", key.vault_id, 32)
    footer = aead_open(1, k, data[-48 - sealed_len:-48], tail, "pack footer")
    need(footer[:4] == b"HFPF", "pack footer: magic")
    need(footer[4] == 1 and footer[5] <= 1, "pack footer: version, class", Newer)
    need(footer[6:8] == b"\0\0", "pack footer: reserved")
    count, body_len = get32(footer, 8), get32(footer, 12)
    end = 16 + 40 * count
    need(1 <= count <= 65535 and end <= len(footer), "pack footer: count")
    need(padded(body_len + end + 64) == len(data), "pack: length")
    need(body_len + len(footer) + 64 == len(data), "pack: length")
    need(not any(footer[end:]), "pack footer: padding")
    places, at, seen = [], 0, set()
    for i in range(count):
        entry = footer[16 + 40 * i:56 + 40 * i]
        cr_len = get32(entry, 36)
        need(entry[34:36] == b"\0\0" and 40 <= cr_len <= (16 << 20) + 28, "pack footer: entry")
        need(entry[32] in (1, 2) and 1 <= entry[33] <= 4, "pack footer: suite, type", Newer)
        need(entry[:32] not in seen, "pack footer: a record twice")
        seen.add(entry[:32])
        places.append((entry[:32], entry[32], entry[33], at, cr_len))
        at += cr_len - 12
    need(at == body_len, "pack footer: sum of lengths")
    return footer[5], places


def index_bytes(packs, entries):
    """packs: [(name, length)]; entries: [(id, pack number, offset, length, suite, type)]."""
    out = b"HFIX" + u32(1) + u32(len(packs)) + u32(len(entries))
    for name, length in packs:
        out += name + u32(length) + u32(0)
    for e in sorted(entries):
        out += e[0] + u32(e[1]) + u32(e[2]) + u32(e[3]) + bytes([e[4], e[5], 0, 0])
    return out


def index_parse(body):
    need(body[:4] == b"HFIX", "index: magic")
    need(get32(body, 4) == 1, "index: version", Newer)
    npacks, n = get32(body, 8), get32(body, 12)
    need(n <= 400000 and len(body) == 16 + 40 * npacks + 48 * n, "index: length")
    packs, entries = [], []
    for i in range(npacks):
        p = body[16 + 40 * i:56 + 40 * i]
        need(get32(p, 36) == 0, "index: pack flags", Newer)
        packs.append((p[:32], get32(p, 32)))
    for i in range(n):
        at = 16 + 40 * npacks + 48 * i
        e = body[at:at + 48]
        need(e[46:48] == b"\0\0" and get32(e, 32) < npacks, "index: entry")
        entries.append((e[:32],) + struct.unpack(">III", e[32:44]) + (e[44], e[45]))
        need(get32(e, 36) + get32(e, 40) - 12 <= packs[get32(e, 32)][1], "index: outside a pack")
        need(i == 0 or entries[-2][:3] < entries[-1][:3], "index: order")
    return packs, entries


# ---- section 7: slots and header ---------------------------------------------------------------
def rkid_of(pk):
    return sha(b"hf1/rk\0" + pk)


def kid_of(pk):
    return sha(b"hf1/ik\0" + pk)


def scrypt(passphrase, salt, log2n, r, p):
    return hashlib.scrypt(passphrase, salt=salt, n=1 << log2n, r=r, p=p, dklen=64,
                          maxmem=(128 * r << log2n) + (64 << 20))


def hfbg_seal(rk_sk, passphrase, log2n=17, salt=None):
    salt = salt or os.urandom(32)
    derived = scrypt(passphrase, salt, log2n, 8, 1)
    head = b"HFBG\1\1" + bytes([log2n, 8, 1]) + salt + derived[32:]
    return head + aead(1, derived[:32]).encrypt(ZERO_NONCE, rk_sk, head)


def hfbg_open(slot, passphrase):
    need(slot[:4] == b"HFBG", "HFBG: magic")
    need(slot[4:6] == b"\1\1", "HFBG: version", Newer)
    need(len(slot) == 121 and all(slot[6:9]), "HFBG: form")
    need(slot[6] <= 20 and slot[7] <= 16 and slot[8] <= 4, "HFBG: too much work")
    derived = scrypt(passphrase, slot[9:41], slot[6], slot[7], slot[8])
    need(hmac.compare_digest(derived[32:], slot[41:73]), "HFBG: wrong passphrase", WrongKey)
    return aead_open(1, derived[:32], slot[73:], slot[:73], "HFBG")


def hfkv_seal(vault_id, epoch, k_vault, rk_pk):
    rkid = rkid_of(rk_pk)
    head = b"HFKV\1\1\0\0" + vault_id + u32(epoch) + rkid
    sk_e = hpke_derive_key(kdf(k_vault, vault_id, b"hf1/kv-eph", u32(epoch) + rkid, 32))
    aad = head + x_public(sk_e)
    _, sealed = hpke_seal(sk_e, rk_pk, b"hf1/kv\0" + vault_id + rkid, aad, k_vault)
    return aad + sealed


def hfkv_open(slot, rk_sk):
    """Return (vault id, epoch, K_vault)."""
    need(slot[:4] == b"HFKV", "HFKV: magic")
    need(slot[4:6] == b"\1\1", "HFKV: suite, version", Newer)
    need(len(slot) == 140 and slot[6:8] == b"\0\0", "HFKV: form")
    rk_pk = x_public(rk_sk)
    need(slot[28:60] == rkid_of(rk_pk), "HFKV: another recovery key", WrongKey)
    vault_id, epoch = slot[8:24], get32(slot, 24)
    k_vault = hpke_open(rk_sk, slot[60:92], b"hf1/kv\0" + vault_id + slot[28:60], slot[:92],
                        slot[92:], "HFKV")
    need(hfkv_seal(vault_id, epoch, k_vault, rk_pk) == slot, "HFKV: not the derived one")
    return vault_id, epoch, k_vault


def hfkp_key(vault_id, epoch, k_vault):
    return kdf(k_vault, vault_id, b"hf1/kv-prev", u32(epoch), 32)


def hfkp_seal(vault_id, epoch, k_vault, before):
    head = b"HFKP\1\1\0\0" + vault_id + u32(epoch)
    return head + aead(1, hfkp_key(vault_id, epoch, k_vault)).encrypt(ZERO_NONCE, before, head)


def hfkp_open(slot, key):
    """K_vault of the epoch before that of ${key}."""
    need(slot[:4] == b"HFKP", "HFKP: magic")
    need(slot[4:6] == b"\1\1", "HFKP: suite, version", Newer)
    need(len(slot) == 76 and slot[6:8] == b"\0\0" and get32(slot, 24) >= 2, "HFKP: form")
    need(slot[8:24] == key.vault_id and get32(slot, 24) == key.epoch, "HFKP: other key", WrongKey)
    return aead_open(1, hfkp_key(key.vault_id, key.epoch, key.k_vault), slot[28:], slot[:28],
                     "HFKP")


def hfkr_seal(vault_id, rk_sk, root):
    rkid = rkid_of(x_public(rk_sk))
    head = b"HFKR\1\1\0\0" + vault_id + rkid
    plain = root["k_dom"] + root["domain_id"] + root["agent_id"] + root["officer_seed"]
    key = kdf(rk_sk, vault_id, b"hf1/root", rkid, 32)
    return head + aead(1, key).encrypt(ZERO_NONCE, plain, head)


def hfkr_open(slot, vault_id, rk_sk):
    """What stand-alone use derives from the first recovery key, as root_keys() has it."""
    need(slot[:4] == b"HFKR", "HFKR: magic")
    need(slot[4:6] == b"\1\1", "HFKR: suite, version", Newer)
    need(len(slot) == 168 and slot[6:8] == b"\0\0", "HFKR: form")
    rkid = rkid_of(x_public(rk_sk))
    need(slot[8:56] == vault_id + rkid, "HFKR: another key", WrongKey)
    key = kdf(rk_sk, vault_id, b"hf1/root", rkid, 32)
    plain = aead_open(1, key, slot[56:], slot[:56], "HFKR")
    return {"k_dom": plain[:32], "domain_id": plain[32:48], "agent_id": plain[48:64],
            "officer_seed": plain[64:], "officer_pk": ed_public(plain[64:])}


HEADER = ">4sHHI16sQQQII"


def header_bytes(h, k_vault):
    body = struct.pack(HEADER, b"HFVH", h["major"], h["minor"], h["generation"], h["vault_id"],
                       h["incompat"], h["ro_compat"], h["compat"], h["suites"], h["kv_epoch"])
    return body + mac(kdf(k_vault, h["vault_id"], b"hf1/vh", u32(h["kv_epoch"]), 32), body)


def header_open(data, k_vault):
    need(data[:4] == b"HFVH", "header: magic")
    need(data[4:6] == b"\0\1", "header: major", Newer)
    need(len(data) == 92, "header: length")
    names = ("major", "minor", "generation", "vault_id", "incompat", "ro_compat", "compat",
             "suites", "kv_epoch")
    h = dict(zip(names, struct.unpack(HEADER, data[:60])[1:]))
    key = kdf(k_vault, h["vault_id"], b"hf1/vh", u32(h["kv_epoch"]), 32)
    need(hmac.compare_digest(mac(key, data[:60]), data[60:]), "header: HMAC")
    need(h["incompat"] & ~1 == 0 and h["suites"] & 6, "header: features", Newer)
    need(h["generation"] > 0, "header: generation")
    return h


def config_bytes(c, officer_seed):
    out = b"HFCF\1\0\0\0" + u32(c["epoch"]) + c["domain_id"] + u32(len(c["agents"]))
    for agent_id, ik_pk, revoked in c["agents"]:
        out += agent_id + ik_pk + bytes([1 if revoked else 0, 0, 0, 0])
    for keys in (c["recovery"], c["officers"]):
        out += bytes([len(keys)]) + b"".join(keys)
    out += bytes([len(c["groups"])])
    for name, pk in c["groups"]:
        out += bytes([len(name)]) + name + pk
    out += ed_public(officer_seed)
    return out + ed_sign(officer_seed, b"hf1/config\0" + out)


class Bytes:
    """Bounded reading."""

    def __init__(self, data, text):
        self.data, self.at, self.text = data, 0, text

    def take(self, n):
        need(self.at + n <= len(self.data), self.text + ": cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def varint(self):
        out = shift = 0
        while True:
            b = self.number(1)
            need(shift < 63 or b <= 1, self.text + ": varint")
            out |= (b & 127) << shift
            if b < 128:
                need(b or not shift, self.text + ": varint not minimal")
                return out
            shift += 7

    def end(self):
        need(self.at == len(self.data), self.text + ": bytes behind the end")


def config_open(body, trusted_officer=None):
    need(body[:4] == b"HFCF", "config: magic")
    need(body[4] == 1, "config: version", Newer)
    need(len(body) >= 131, "config: cut short")
    signer = body[-96:-64]
    ed_check(signer, b"hf1/config\0" + body[:-64], body[-64:], "config")
    need(trusted_officer in (None, signer), "config: another officer", WrongKey)
    b = Bytes(body[5:-96], "config")
    need(b.take(3) == bytes(3), "config: reserved")
    c = {"epoch": b.number(4), "domain_id": b.take(16), "agents": [], "groups": []}
    for _ in range(b.number(4)):
        agent_id, ik_pk, flags = b.take(16), b.take(32), b.take(4)
        need(flags[1:] == bytes(3), "config: reserved")
        need(flags[0] <= 1, "config: flags", Newer)
        c["agents"].append((agent_id, ik_pk, flags[0] == 1))
    c["recovery"] = [b.take(32) for _ in range(b.number(1))]
    c["officers"] = [b.take(32) for _ in range(b.number(1))]
    for _ in range(b.number(1)):
        c["groups"].append((b.take(b.number(1)), b.take(32)))
    b.end()
    need(signer in c["officers"], "config: signer is no officer")
    need(len({a[1] for a in c["agents"]}) == len(c["agents"]), "config: an identity twice")
    return c


# ---- section 5: snapshots ----------------------------------------------------------------------
RECORD = ">8sBBHI16s16s16sQqqQQ32s32s32s32sQ32s32s"
RECORD_NAMES = ("magic", "suite", "flags", "reserved", "config_epoch", "domain_id", "agent_id",
                "source_id", "seq", "t_start", "t_end", "raw_bytes", "ref_count", "prev", "root_id",
                "root_commit", "refs_root", "log_size", "log_root", "kid")


def snap_sign(fields, ik_seed):
    r = dict(fields, magic=b"HFSNAP01", reserved=0, kid=kid_of(ed_public(ik_seed)))
    body = struct.pack(RECORD, *(r[n] for n in RECORD_NAMES))
    return body + ed_sign(ik_seed, b"hf1/snap\0" + body)


def snap_parse(record):
    need(len(record) == 368, "snapshot: length")
    r = dict(zip(RECORD_NAMES, struct.unpack(RECORD, record[:304])))
    need(r["magic"] == b"HFSNAP01" and r["reserved"] == 0, "snapshot: form")
    need(r["suite"] in (1, 2) and r["flags"] <= 3, "snapshot: suite, flags", Newer)
    need(r["seq"] > 0 and (r["seq"] == 1) == (r["prev"] == bytes(32)), "snapshot: chain")
    return r


def snap_check(record, ik_pk):
    need(record[272:304] == kid_of(ik_pk), "snapshot: another identity")
    ed_check(ik_pk, b"hf1/snap\0" + record[:304], record[304:], "snapshot")


def root_commit(ref):
    return sha(b"hf1/root-commit\0" + ref_bytes(ref))


def envelope_seal(kind, domain_id, snap_hash, pk, ref, sk_e=None):
    rkid, plain = rkid_of(pk), ref_bytes(ref)
    sk_e = sk_e or hpke_derive_key(kdf(plain, snap_hash, b"hf1/env-eph", rkid, 32))
    enc, sealed = hpke_seal(sk_e, pk, b"hf1/env\0" + domain_id + rkid, snap_hash, plain)
    return b"HFE1" + bytes([1, kind, 0, 0]) + snap_hash + rkid + enc + sealed


def envelope_open(env, domain_id, sk):
    need(len(env) == 192 and env[:4] == b"HFE1" and env[6:8] == b"\0\0", "envelope: form")
    need(env[4] == 1 and 1 <= env[5] <= 3, "envelope: suite, recipient", Newer)
    pk = x_public(sk)
    need(env[40:72] == rkid_of(pk), "envelope: another key", WrongKey)
    ref = ref_parse(hpke_open(sk, env[72:104], b"hf1/env\0" + domain_id + env[40:72], env[8:40],
                              env[104:], "envelope"))
    need(envelope_seal(env[5], domain_id, env[8:40], pk, ref) == env,
         "envelope: not the derived one")
    return ref


def refs_cut(record_id, count):
    return count >= 8192 or (count >= 512 and get32(record_id, 28) & 0xFFF == 0)


def refs_build(pairs):
    """pairs: (id, record length) in post-order.  Return (segments, refs_root, count)."""
    segments, seg, seen, total = [], [], set(), 0

    def close():
        segments.append(b"HFR1" + u32(len(seg)) + b"".join(i + u32(n) for i, n in seg))
        seg.clear()
        seen.clear()
    for record_id, length in pairs:
        if record_id in seen:
            continue
        seen.add(record_id)
        seg.append((record_id, length))
        total += 1
        if refs_cut(record_id, len(seg)):
            close()
    if seg:
        close()
    return segments, merkle([sha(s) for s in segments]), total


def refs_parse(segment, is_last):
    need(segment[:4] == b"HFR1", "segment: magic")
    n = get32(segment, 4)
    need(1 <= n <= 8192 and len(segment) == 8 + 36 * n, "segment: length")
    pairs = [(segment[8 + 36 * i:40 + 36 * i], get32(segment, 40 + 36 * i)) for i in range(n)]
    need(len({p[0] for p in pairs}) == n, "segment: a record twice")
    for i, (record_id, length) in enumerate(pairs):
        need(40 <= length <= (16 << 20) + 28, "segment: record length")
        cut, end = refs_cut(record_id, i + 1), i + 1 == n
        need(end if cut else not end or is_last, "segment: ends at a wrong place")
    return pairs


def label_parse(data):
    out = {"paths": [], "tags": []}
    b, last = Bytes(data, "label"), 0
    while b.at < len(data):
        tag = b.number(1)
        value = b.take(b.varint())
        need(tag >= last, "label: order")
        need(tag != last or tag in (3, 4) or tag >= 128, "label: a field twice")
        last = tag
        if tag in (3, 4):
            out["paths" if tag == 3 else "tags"].append(value.decode("utf-8", "backslashreplace"))
        elif tag == 5:
            need(len(value) == 32, "label: counts")
            out["counts"] = dict(zip(("files", "dirs", "others", "new_bytes"),
                                     struct.unpack(">QQQQ", value)))
        elif tag == 7:
            need(len(value) == 8 and any(value), "label: names left out")
            out["left_out"] = struct.unpack(">Q", value)[0]
        elif tag in (1, 2, 6):
            name = {1: "source", 2: "host", 6: "tool"}[tag]
            out[name] = value.decode("utf-8", "backslashreplace")
        else:
            need(tag >= 128, "label: unknown field", Newer)
    return out


def body_parse(body):
    """The body of an sn object."""
    b = Bytes(body, "snapshot object")
    out = {"record": b.take(368)}
    need(b.take(4) == b"HFRC", "snapshot object: receipt")
    out.update(receipt_ns=b.number(8), gateway=b.take(16), session=b.take(16), log=b.number(8))
    out["segments"] = [(b.take(32), b.take(32), b.number(4), b.number(4))
                       for _ in range(b.number(4))]
    out["ev"] = b.take(32)
    out["label"] = b.take(b.number(4))
    b.end()
    return out


# ---- a vault in a directory --------------------------------------------------------------------
class Store:
    """Objects as files; what a name says of the bytes is checked at every read."""

    def __init__(self, path):
        self.path = path

    def list(self, prefix):
        top = os.path.join(self.path, prefix)
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), self.path)

    def get(self, name):
        with open(os.path.join(self.path, name), "rb") as f:
            data = f.read()
        need(name.rpartition("/")[2].rpartition("-")[2] == sha(data).hex(),
             name + ": does not hash to its name")
        return data


class Vault:
    """Section 9, in its order, for the holder of the recovery key."""

    def __init__(self, path, rk_sk):
        self.store, self.rk_sk, self.rk_pk = Store(path), rk_sk, x_public(rk_sk)
        self.key = self._slot()
        self.header = self._header()
        self.config = self._config()
        import hf1_collect  # it imports this module
        self.collection = hf1_collect.Collection(self.store, self.key)
        self.places = self._index()
        self.rewrapped = self._rewrapped()

    def _slot(self):
        keys, links = {}, []
        for name in self.store.list("ks"):
            slot = self.store.get(name)
            if slot[:4] == b"HFKP":
                links.append(slot)
            if slot[:4] != b"HFKV":
                continue
            try:
                vault_id, epoch, k_vault = hfkv_open(slot, self.rk_sk)
            except WrongKey:
                continue
            keys[epoch] = SealedKey(vault_id, epoch, k_vault)
        need(keys, "no key slot for this recovery key", WrongKey)
        epoch = get32(self.store.get(max(self.store.list("vh"))), 56)  # its HMAC: _header()
        need(epoch in keys, "no key slot of the header's epoch", WrongKey)
        self.links = 0
        for e in range(epoch, 1, -1):
            keys[e].older = keys[e - 1]
            for slot in links:  # the other way to the epoch before leads there too
                if get32(slot, 24) == e and hfkp_open(slot, keys[e]) == keys[e - 1].k_vault:
                    self.links += 1
        return keys[epoch]

    def _header(self):
        names = sorted(self.store.list("vh"))
        need(names, "no vault header")
        h = header_open(self.store.get(names[-1]), self.key.k_vault)
        need(h["vault_id"] == self.key.vault_id, "header: another vault")
        need(names[-1].startswith("vh/%08x-" % h["generation"]), "header: name")
        return h

    def _config(self):
        officer = self._root()["officer_pk"]
        configs = [config_open(sealed_open(self.key, CONFIG, self.store.get(n)), officer)
                   for n in self.store.list("cf")]
        need(configs, "no domain config")
        newest = max(configs, key=lambda c: c["epoch"])
        need(self.rk_pk in newest["recovery"], "config: recovery key is not in it")
        return newest

    def _root(self):
        for name in self.store.list("ks"):
            try:
                return hfkr_open(self.store.get(name), self.key.vault_id, self.rk_sk)
            except (Corrupt, Newer, WrongKey):
                continue  # of another kind, or of another recovery key
        return root_keys(self.rk_sk, self.key.vault_id)

    def _rewrapped(self):
        """The envelopes in rw/, by the snapshot's hash."""
        out = {}
        for name in self.store.list("rw"):
            body = sealed_open(self.key, REWRAP, self.store.get(name))
            need(body[:8] == b"HFRW\1\0\0\0", name + ": form")
            count = get32(body, 8)
            need(1 <= count <= 65536 and len(body) == 12 + 192 * count, name + ": length")
            envelopes = [body[12 + 192 * i:204 + 192 * i] for i in range(count)]
            order = [e[8:72] for e in envelopes]
            need(all(a < b for a, b in zip(order, order[1:])), name + ": order")
            for e in envelopes:
                out.setdefault(e[8:40], []).append(e)
        return out

    def _index(self):
        """From the packs themselves, and every index segment must agree."""
        places, packs, dead = {}, {}, self.collection.dead_packs()
        for name in self.store.list("pk"):
            data = self.store.get(name)
            pack_id = sha(data)
            need(name == "pk/%s/%s" % (pack_id.hex()[:2], pack_id.hex()), name + ": name")
            _, entries = pack_open(self.key, data)
            packs[pack_id] = (name, len(data))
            for record_id, suite, kind, at, cr_len in entries:
                cr = record_header(suite, kind, cr_len) + data[at:at + cr_len - 12]
                need(sha(cr) == record_id, name + ": a record does not hash to its id")
                if pack_id not in dead:  # an index place in a dead pack does not exist
                    places.setdefault(record_id, []).append((name, at, cr_len, suite, kind))
        for name in self.store.list("ix"):
            ix_packs, entries = index_parse(sealed_open(self.key, INDEX, self.store.get(name)))
            for e in entries:
                pack_id, length = ix_packs[e[1]]
                if pack_id in dead:
                    continue
                need(packs.get(pack_id, (0, 0))[1] == length, name + ": pack is not there")
                place = (packs[pack_id][0], e[2], e[3], e[4], e[5])
                need(place in places.get(e[0], ()), name + ": a record is not where it says")
        self.packs = len(packs)
        return places

    def record(self, ref):
        need(ref[0] in self.places, "record %s is not there" % ref[0].hex())
        name, at, cr_len, suite, kind = self.places[ref[0]][0]
        with open(os.path.join(self.store.path, name), "rb") as f:
            f.seek(at)
            return record_header(suite, kind, cr_len) + f.read(cr_len - 12)

    def get(self, kind, ref):
        return record_open(ref, kind, self.record(ref))

    def snapshots(self):
        out = []
        for name in sorted(self.store.list("sn")):
            s = body_parse(sealed_open(self.key, SNAPSHOT, self.store.get(name)))
            s.update(name=name, fields=snap_parse(s["record"]), hash=sha(s["record"]))
            need(name.startswith("sn/%012x-" % (s["receipt_ns"] // 1000000)), name + ": name")
            out.append(s)
        records = {s["hash"]: s["fields"] for s in out}
        records.update(self.collection.records())
        for s in out:
            f = s["fields"]
            b = records.get(f["prev"])
            need(b or f["seq"] == 1, s["name"] + ": its predecessor is not there")
            if b:
                need((b["agent_id"], b["source_id"], b["seq"] + 1) ==
                     (f["agent_id"], f["source_id"], f["seq"]), s["name"] + ": chain")
        return [s for s in out if not self.collection.is_pruned(s["hash"]) and
                not self.collection.is_void(s["session"], s["hash"])]

    def check_signer(self, s):
        f = s["fields"]
        need(f["domain_id"] == self.config["domain_id"], s["name"] + ": domain")
        need(f["config_epoch"] <= self.config["epoch"], s["name"] + ": config is older: rollback")
        keys = {kid_of(pk): (agent, pk) for agent, pk, _ in self.config["agents"]}
        need(f["kid"] in keys, s["name"] + ": unknown identity")
        agent_id, ik_pk = keys[f["kid"]]
        need(agent_id == f["agent_id"], s["name"] + ": identity of another agent")
        snap_check(s["record"], ik_pk)

    def check_refs(self, s):
        f, pairs, ids, bodies = s["fields"], [], [], {}
        for i, (segment_id, rf, offset, length) in enumerate(s["segments"]):
            if rf not in bodies:
                bodies[rf] = sealed_open(self.key, REFS, self.store.get("rf/" + rf.hex()))
            segment = bodies[rf][offset:offset + length]
            need(sha(segment) == segment_id, s["name"] + ": segment")
            pairs += refs_parse(segment, i + 1 == len(s["segments"]))
            ids.append(segment_id)
        need(merkle(ids) == f["refs_root"], s["name"] + ": refs_root")
        need(len(pairs) == f["ref_count"], s["name"] + ": ref_count")
        need(pairs[-1][0] == f["root_id"], s["name"] + ": the last reference is not the root")
        for record_id, length in pairs:
            need(any(p[2] == length for p in self.places.get(record_id, ())),
                 s["name"] + ": record %s is missing" % record_id.hex())
        return {p[0] for p in pairs}

    def open_snapshot(self, s):
        """Return (root ref, root payload, number of envelopes)."""
        f = s["fields"]
        body = sealed_open(self.key, ENVELOPES, self.store.get("ev/" + s["ev"].hex()))
        need(body[:32] == s["hash"], s["name"] + ": envelopes of another snapshot")
        count = struct.unpack(">H", body[32:34])[0]
        need(len(body) == 34 + 192 * count, s["name"] + ": envelopes")
        envelopes = [body[34 + 192 * i:226 + 192 * i] for i in range(count)]
        for e in self.rewrapped.get(s["hash"], ()):
            if e[40:72] not in [x[40:72] for x in envelopes]:
                envelopes.append(e)
        count = len(envelopes)
        need(count <= 64, s["name"] + ": too many envelopes")
        mine = [e for e in envelopes if e[40:72] == rkid_of(self.rk_pk)]
        need(len(mine) == 1 and mine[0][5] == RECOVERY, s["name"] + ": recovery envelope")
        need(mine[0][8:40] == s["hash"], s["name"] + ": envelope of another snapshot")
        ref = envelope_open(mine[0], f["domain_id"], self.rk_sk)
        need(root_commit(ref) == f["root_commit"], s["name"] + ": root_commit")
        need(ref[0] == f["root_id"], s["name"] + ": root_id")
        known = {rkid_of(pk): (RECOVERY, pk) for pk in self.config["recovery"]}
        known.update({rkid_of(pk): (DRILL, pk) for _, pk in self.config["groups"]})
        for e in envelopes:
            if e[40:72] in known:
                kind, pk = known[e[40:72]]
                need(e == envelope_seal(kind, f["domain_id"], s["hash"], pk, ref),
                     s["name"] + ": an envelope is not the derived one")
        return ref, self.get(ROOT, ref), count


BLOCK = 1 << 20


def digest_of(kind, content):
    if kind == 1:
        return sha(content)
    leaves = b"".join(sha(b"\0" + content[i:i + BLOCK]) for i in range(0, len(content), BLOCK))
    return sha(b"\1" + u64(len(content)) + leaves)


def read_tree(vault, payload, listed):
    """Read every file of a snapshot and compare its digest; return counts."""
    import hf1_tree
    raws, used = {}, set()

    def get(kind, ref):
        used.add(ref[0])
        if kind != DATA:
            return vault.get(kind, ref)
        if ref[0] not in raws:
            if len(raws) > 16:
                raws.clear()
            raws[ref[0]] = vault.get(kind, ref)
        return raws[ref[0]]
    root = hf1_tree.root_parse(payload)
    out = {"entries": 0, "files": 0, "bytes": 0, "digests": 0}
    last = b""
    for key, entry in hf1_tree.tree_read(get, root["top"]):
        need(out["entries"] == 0 or key > last, "tree: keys are not in order")
        last = key
        out["entries"] += 1
        if entry["kind"] != 1:
            continue
        parts = []
        for ref, offset, length in entry.get("extents", []):
            raw = bytes(length) if ref is None else get(DATA, ref)[offset:offset + length]
            need(len(raw) == length, "tree: an extent passes its record")
            parts.append(raw)
        content = b"".join(parts)
        need(len(content) == entry.get("size", 0), "tree: extents do not fill the file")
        out["files"] += 1
        out["bytes"] += len(content)
        if "digest" in entry and entry["digest"][0]:
            need(digest_of(entry["digest"][0], content) == entry["digest"][1],
                 "tree: digest of %r" % key)
            out["digests"] += 1
    need(used <= listed, "tree: a record is not in the reference list")
    return out, root["label"]


def open_store(path, rk_sk, with_tree):
    vault = Vault(path, rk_sk)
    out = {"vault_id": vault.key.vault_id.hex(), "kv_epoch": vault.key.epoch,
           "generation": vault.header["generation"], "config_epoch": vault.config["epoch"],
           "packs": vault.packs, "records": len(vault.places), "snapshots": []}
    for s in vault.snapshots():
        vault.check_signer(s)
        listed = vault.check_refs(s)
        ref, payload, envelopes = vault.open_snapshot(s)
        f = s["fields"]
        one = {"id": s["hash"].hex(), "seq": f["seq"], "source_id": f["source_id"].hex(),
               "receipt_ns": s["receipt_ns"], "refs": f["ref_count"], "envelopes": envelopes,
               "root": ref[0].hex(), "label": label_parse(s["label"])}
        need(sha(s["label"]) in payload[32:-72], s["name"] + ": label is not the root's")
        if with_tree:
            one["tree"], label = read_tree(vault, payload, listed)
            need(label == sha(s["label"]), s["name"] + ": label is not the root's")
        out["snapshots"].append(one)
    return out


def main():
    parser = argparse.ArgumentParser(description="independent reader of hf1 vaults")
    sub = parser.add_subparsers(dest="verb", required=True)
    verb = sub.add_parser("open-store", help="open and check a vault in a directory")
    verb.add_argument("dir")
    verb.add_argument("--rk", help="recovery secret key, hex")
    verb.add_argument("--recovery-file")
    verb.add_argument("--passphrase-file")
    verb.add_argument("--tree", action="store_true", help="read every file too")
    args = parser.parse_args()
    try:
        if args.rk:
            rk_sk = bytes.fromhex(args.rk)
        else:
            if not (args.recovery_file and args.passphrase_file):
                parser.error("--rk, or --recovery-file and --passphrase-file")
            with open(args.passphrase_file, "rb") as f:
                passphrase = f.read().rstrip(b"\n")
            with open(args.recovery_file, "rb") as f:
                rk_sk = hfbg_open(f.read(), passphrase)
        print(json.dumps(open_store(args.dir, rk_sk, args.tree), indent=1))
    except (Corrupt, Newer, WrongKey) as e:
        print("hf1: %s: %s" % (type(e).__name__, e), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.modules["hf1"] = sys.modules["__main__"]
    sys.exit(main())
