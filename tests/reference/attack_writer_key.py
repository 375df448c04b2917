#!/usr/bin/env python3
"""An attacker has the whole store and a writer key file: attack_writer_key.py STORE WRITER-KEY

Tries to open content with everything the file holds, and must fail: every 32 bytes of it as an
X25519 secret against every envelope and key slot, as a record key against every record, and as
K_mle (a guess of the whole plaintext is needed, so a record's own ciphertext is no help).
Exits 0 if nothing opened, 1 if something did, 2 if the attack itself could not be mounted.
"""
import sys

import hf1
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE = bytes(12)


def windows(data):
    """Every 32 bytes in a row, and what the format derives from the keys."""
    out = {data[i:i + 32] for i in range(len(data) - 31)}
    w = hf1.writer_parse(data)
    out.update(hf1.cut_keys(w["k_cdc"], w["domain_id"], 1)[:1])
    out.add(hf1.k_ss(w["k_vault"], w["vault_id"], w["kv_epoch"]))
    return w, sorted(out)


def main(path, key_file):
    with open(key_file, "rb") as f:
        data = f.read()
    writer, keys = windows(data)
    store = hf1.Store(path)
    key = hf1.SealedKey(writer["vault_id"], writer["kv_epoch"], writer["k_vault"])
    tried, opened = 0, []
    records = []
    for name in store.list("pk"):
        pack = store.get(name)
        _, entries = hf1.pack_open(key, pack)  # the footer does open: ids and lengths
        for record_id, suite, kind, at, cr_len in entries:
            head = hf1.record_header(suite, kind, cr_len)
            records.append((record_id, head, pack[at:at + cr_len - 12]))
    for candidate in keys:
        gcm = AESGCM(candidate)
        for record_id, head, sealed in records:
            tried += 1
            try:
                gcm.decrypt(NONCE, sealed, head)
                opened.append("record " + record_id.hex())
            except InvalidTag:
                pass
    envelopes = []
    for name in store.list("ev"):
        body = hf1.sealed_open(key, hf1.ENVELOPES, store.get(name))
        envelopes += [body[34 + i:226 + i] for i in range(0, len(body) - 34, 192)]
    slots = [s for s in (store.get(n) for n in store.list("ks")) if s[:4] == b"HFKV"]
    for candidate in keys:
        for env in envelopes:
            tried += 1
            try:
                hf1.envelope_open(env, writer["domain_id"], candidate)
                opened.append("an envelope")
            except (hf1.Corrupt, hf1.WrongKey, hf1.Newer, ValueError):
                pass
        for slot in slots:
            try:
                hf1.hfkv_open(slot, candidate)
                opened.append("a key slot")
            except (hf1.Corrupt, hf1.WrongKey, hf1.Newer, ValueError):
                pass
    print("%d keys, %d records, %d envelopes, %d tries: %d opened"
          % (len(keys), len(records), len(envelopes), tried, len(opened)))
    if not records or not envelopes or not slots:
        print("there was nothing to attack")
        return 2
    return 1 if opened else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
