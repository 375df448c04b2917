#!/usr/bin/env python3
"""The known answers of docs/FORMAT.md section 15 against the Python reference, round trips of its
objects, and a whole vault built and read back in a scratch directory."""
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hf1  # noqa: E402
import hf1_parity  # noqa: E402


def span(first, n):
    return bytes(range(first, first + n))


K_DOM, DOMAIN, AGENT, SOURCE = span(0, 32), span(0x40, 16), span(0x50, 16), span(0x60, 16)
IK_SEED, RK_SK = span(0x80, 32), span(0xC0, 32)
K_VAULT, VAULT_ID, RANDOM = span(0x20, 32), span(0x70, 16), span(0xB0, 16)
KEY = hf1.SealedKey(VAULT_ID, 1, K_VAULT)
K_MLE, K_CDC = hf1.epoch_keys(K_DOM, DOMAIN, 1)
RK_PK = hf1.x_public(RK_SK)
CHUNK, CHUNK_REF = hf1.record_seal(K_MLE, hf1.DATA, b"hello, plant")
ROOT, ROOT_REF = hf1.record_seal(K_MLE, hf1.ROOT, span(0xA0, 32) + hf1.ref_bytes(CHUNK_REF))
SEGMENTS, REFS_ROOT, REF_COUNT = hf1.refs_build(
    [(CHUNK_REF[0], len(CHUNK)), (ROOT_REF[0], len(ROOT))])


def snapshot(**changes):
    fields = {"suite": 1, "flags": 0, "config_epoch": 1, "domain_id": DOMAIN, "agent_id": AGENT,
              "source_id": SOURCE, "seq": 1, "t_start": 1700000000 * 10**9,
              "t_end": 1700000060 * 10**9, "raw_bytes": 12, "ref_count": REF_COUNT,
              "prev": bytes(32), "root_id": ROOT_REF[0],
              "root_commit": hf1.root_commit(ROOT_REF), "refs_root": REFS_ROOT, "log_size": 0,
              "log_root": hf1.sha(b"")}
    fields.update(changes)
    return hf1.snap_sign(fields, IK_SEED)


class KnownAnswers(unittest.TestCase):
    def known(self, value, text):
        self.assertEqual(value.hex(), text)

    def test_keys(self):
        self.known(K_MLE, "a506856cfbab9bb3786f120a19e8693d9534960b08619515ca461e7a5e8ff978")
        self.known(hf1.mle_agent(K_DOM, DOMAIN, 1, AGENT),
                   "9710942609984d443be971000326dfdc2e348f85dd2612794920e569de033e30")
        self.known(K_CDC, "f27b621cacf0bfb65e1d4c426d01f377a3bb68e6f8c834bd459cbcc21e783ba7")
        self.known(hf1.cut_keys(K_CDC, DOMAIN, 1)[1], "860a8d182a9f7237b2d8aab970032349")
        self.known(KEY.k_ss, "ce0d072210881fe027f52cdca3a5cd034e45bab4a34dad16eb5144442194e3ea")
        self.known(RK_PK, "dc2cca31e8e43bbd91dff7e475cca3347eb478107d5bd765aba4ae4a30c35d44")

    def test_records(self):
        self.known(CHUNK, "48464331010100000000001849d871a8838b37c0db010f2c2f3d3c63d4ac5b96f647"
                          "607017fa16d5537dc2802f91d40d6fbee412")
        self.known(CHUNK_REF[1], "f6a26bd3fae5615c3d4c5da0325a1e57"
                                 "41f92abc9e95f948c9493fe3dd698dca")
        self.known(CHUNK_REF[0], "8f12cf0aa00461086634416b7bb44af7"
                                 "03fc869f1e636e3b807b106fc9566dee")
        self.known(ROOT_REF[1], "08cb501d34960bdf2dd213a94916ef724c7d21df9f7f3d30b2feca903d273290")
        self.known(ROOT_REF[0], "491409fac122e82a58398531838f9b28287c1e1e8e11fc299c829e88cfa1c267")
        self.assertEqual(len(ROOT), 0x94)

    def test_padme(self):
        for n, want in ((9, 10), (24, 24), (100, 104), (1000, 1024), (65536, 65536),
                        (65537, 67584), (1048576, 1048576), (1048577, 1081344),
                        (3000000, 3014656), (0, 0), (1, 1), (2, 2), (3, 3)):
            self.assertEqual(hf1.padme(n), want)

    def test_snapshot_and_envelopes(self):
        self.known(hf1.root_commit(ROOT_REF),
                   "ccae33926d3aee0165b2d028e22c833bef541ddb8de55ad3e2d177e7c0c514cf")
        self.known(REFS_ROOT, "8283ec9e86594d1cb2974c241c618f689f40b91c41b87cb67d5f72a6374be2d4")
        record = snapshot()
        self.known(record[272:304],
                   "2872bc930dc5bad22ea06be7d16b5ab4cb87d308d370521df828e885a007c044")
        self.known(record[304:],
                   "434b7fcc7cf5b2233676e4a9bca476fc4ff8eee9a709e4a551c945b769c5fafc"
                   "8bee9d3c7d5be04a80f38cb8ff03dec04553d158683120ec239ab77350043804")
        snap_hash = hf1.sha(record)
        self.known(snap_hash, "33e4e94ec981a692c6138ad1ba727ac3a0607a8ee2f15f65caf3f89a2700d845")
        self.known(hf1.rkid_of(RK_PK),
                   "18aee1e09a546c16892d13d39c9801233af1bd5a35015f1e48b9c572ededc710")
        given = hf1.envelope_seal(hf1.RECOVERY, DOMAIN, snap_hash, RK_PK, ROOT_REF,
                                  span(0xE0, 32))
        self.known(hf1.sha(given),
                   "8eb03655ea92f970f05bee6aee3d2e24c397d4988a1e19268648d7bfc3f22aa9")
        env = hf1.envelope_seal(hf1.RECOVERY, DOMAIN, snap_hash, RK_PK, ROOT_REF)
        self.known(env[72:104],
                   "f88471c26dfcb0d4c6987c9ceee6378f2ea4b52b12eb0c0a56d0e0e7cd2aa001")
        self.known(hf1.sha(env),
                   "fab33afab188f6e25ccb473c5a85da80ba4662d3a9228fc18e6c082c68fef28e")
        self.assertEqual(hf1.envelope_open(env, DOMAIN, RK_SK), ROOT_REF)
        with self.assertRaises(hf1.Corrupt):
            hf1.envelope_open(given, DOMAIN, RK_SK)

    def test_sealed_and_pack(self):
        obj = hf1.sealed_seal(KEY, 1, b"hello, vault", RANDOM)
        self.known(obj[16:48], "ba4637eadb5adebecb713f4ec947a0a10fcdcf75f9c91c8917d70086ed181c04")
        self.known(hf1.sha(obj), "36d1e32367052e63327126b9fc9f2b5d7b23986b2a5b92052d621fca32f93aa2")
        self.assertEqual(hf1.sealed_open(KEY, 1, obj), b"hello, vault")
        pack = hf1.pack_seal(KEY, 0, [CHUNK, ROOT], RANDOM)
        self.known(pack[-48:-16],
                   "53629fb64e435bb34409962269c13f3363361c94bb5d42d670766da70940056b")
        self.known(hf1.sha(pack),
                   "a089a3a067564b8730c826f9909d48eb893445bedc9d20346b20df8abb5f9c67")
        class_id, places = hf1.pack_open(KEY, pack)
        self.assertEqual((class_id, places[1]), (0, (ROOT_REF[0], 1, 3, 40, len(ROOT))))

    def test_slots_and_header(self):
        kv = hf1.hfkv_seal(VAULT_ID, 1, K_VAULT, RK_PK)
        self.known(kv[60:92], "c9466d4f7d421a9a9e3850c61dfbf880287366fa237ea9f6b69d0dee2a00f97b")
        self.known(hf1.sha(kv), "e25537ffde6ae65554f9a59c626efb8955c9aed980ea27f2f1d1335006913412")
        self.assertEqual(hf1.hfkv_open(kv, RK_SK), (VAULT_ID, 1, K_VAULT))
        before = bytes(range(32))
        kp = hf1.hfkp_seal(VAULT_ID, 2, K_VAULT, before)
        self.assertEqual(hf1.sha(kp).hex(), "58cc9f49df207b79a6609a91c9d8bfdd29ba245d005079ec92bdc8754950e7a1")
        self.assertEqual(hf1.hfkp_open(kp, hf1.SealedKey(VAULT_ID, 2, K_VAULT)), before)
        root = {"k_dom": K_DOM, "domain_id": DOMAIN, "agent_id": AGENT, "officer_seed": IK_SEED,
                "officer_pk": hf1.ed_public(IK_SEED)}
        kr = hf1.hfkr_seal(VAULT_ID, RK_SK, root)
        self.known(hf1.sha(kr), "d5008129b68abf811b1b60cab4e2b2e7b3248c2b0bb94d35eca2a6130f7c4f7f")
        self.assertEqual(hf1.hfkr_open(kr, VAULT_ID, RK_SK), root)
        with self.assertRaises(hf1.WrongKey):
            hf1.hfkr_open(kr, VAULT_ID, K_VAULT)
        bg = hf1.hfbg_seal(RK_SK, b"correct horse battery staple", 17, span(0, 32))
        self.known(bg[73:], "12c1ceb42832bc8cfbf7e8bf504742792d0c2e15a0994038f306d3aba875b18c"
                            "d8ae68cb5195c8fd9983c3c6c3d69310")
        header = hf1.header_bytes({"major": 1, "minor": 3, "generation": 9, "vault_id": VAULT_ID,
                                   "incompat": 0, "ro_compat": 4, "compat": 1 << 63 | 1,
                                   "suites": 6, "kv_epoch": 1}, K_VAULT)
        self.known(header[60:], "cd1fb577ff12c26f00b999ff480afa7ac2d0f73f7df147f539c70f93516caf1d")

    def test_stand_alone_keys(self):
        keys = hf1.root_keys(RK_SK, VAULT_ID)
        self.known(keys["k_dom"], "8b2aef7569112da9674df22d418655c9eef27998ddc06e0fbbce9ae1a5ae4e3d")
        self.known(keys["domain_id"], "023793b8fd37f41f5f6449c30199d764")
        self.known(keys["agent_id"], "0f39c4f150a6c0fc39b55bf4500c5876")
        self.known(keys["officer_seed"], "512f7105ba9924828e7ce7ea3cb5b4fb25afa07819e571498aee52a6b20b9f57")
        self.known(hf1.source_id(DOMAIN, AGENT, b"historian"), "b930e629941df587a789bf3130e46811")
        self.known(hf1.cut_keys(K_CDC, DOMAIN, 1)[0], "0dedf8def10fd760a6c6a06e1491547ac1078c22b284a69f2bd07d5858a003da")


class Objects(unittest.TestCase):
    def refused(self, call, *args):
        self.assertRaises((hf1.Corrupt, hf1.Newer, hf1.WrongKey), call, *args)

    def flips(self, data, step=1):
        for i in range(0, len(data) * 8, step):
            yield data[:i // 8] + bytes([data[i // 8] ^ 1 << i % 8]) + data[i // 8 + 1:]

    def test_every_flipped_bit_is_refused(self):
        for bad in self.flips(CHUNK):
            self.refused(hf1.record_open, CHUNK_REF, hf1.DATA, bad)
        obj = hf1.sealed_seal(KEY, 1, b"body", RANDOM)
        for bad in self.flips(obj, 37):
            self.refused(hf1.sealed_open, KEY, 1, bad)
        pack = hf1.pack_seal(KEY, 0, [CHUNK, ROOT], RANDOM)
        for bad in self.flips(pack[176:], 37):
            self.refused(hf1.pack_open, KEY, pack[:176] + bad)
        for bad in self.flips(hf1.hfkv_seal(VAULT_ID, 1, K_VAULT, RK_PK), 7):
            self.refused(hf1.hfkv_open, bad, RK_SK)
        record = snapshot()
        for bad in self.flips(record, 13):
            self.refused(hf1.snap_check, bad, hf1.ed_public(IK_SEED))

    def test_records_come_back_with_both_suites_and_the_filter(self):
        for suite in (1, 2):
            cr, ref = hf1.record_seal(K_MLE, hf1.ATTR, b"x" * 1000, suite=suite)
            self.assertEqual(hf1.record_open(ref, hf1.ATTR, cr), b"x" * 1000)
        raw = bytes(i * 7 % 251 for i in range(5 + 16 * 20 + 3))
        rows = [raw[5 + 16 * i:21 + 16 * i] for i in range(20)]
        first = b"".join(bytes(r[b] for r in rows) for b in range(8))  # byte planes
        words = [int.from_bytes(r[8:], "little") for r in rows]
        steps = [(w - p) % (1 << 64) for w, p in zip(words, [0] + words)]
        steps = [s.to_bytes(8, "little") for s in steps]
        second = b"".join(bytes(s[b] for s in steps) for b in range(8))
        payload = bytes([16, 5, 1 | 2 << 2]) + first + second + raw[:5] + raw[-3:]
        cr, ref = hf1.record_seal(K_MLE, hf1.DATA, payload, 0, 1, len(raw))
        self.assertEqual(hf1.record_open(ref, hf1.DATA, cr), raw)

    def test_newer_is_told_from_damaged(self):
        cr, ref = hf1.record_seal(K_MLE, hf1.DATA, b"x", comp=2)
        self.assertRaises(hf1.Newer, hf1.record_open, ref, hf1.DATA, cr)
        cr, ref = hf1.record_seal(K_MLE, 5, b"x")
        self.assertRaises(hf1.Newer, hf1.record_open, ref, hf1.DATA, cr)
        cr, ref = hf1.record_seal(K_MLE, hf1.DATA, b"x", raw_len=2)
        self.assertRaises(hf1.Corrupt, hf1.record_open, ref, hf1.DATA, cr)

    def test_hfbg_tells_a_wrong_passphrase(self):
        bg = hf1.hfbg_seal(RK_SK, b"right", 4)
        self.assertEqual(hf1.hfbg_open(bg, b"right"), RK_SK)
        self.assertRaises(hf1.WrongKey, hf1.hfbg_open, bg, b"wrong")

    def test_writer_file_and_config_come_back(self):
        w = {n: hf1.sha(n.encode())[:size] for n, size in hf1.WRITER_FIELDS}
        w.update(kv_epoch=1, config_epoch=9)
        data = hf1.writer_bytes(w)
        self.assertEqual(len(data), 320)
        self.assertEqual(hf1.writer_parse(data), w)
        for bad in self.flips(data, 11):
            self.refused(hf1.writer_parse, bad)
        c = config()
        body = hf1.config_bytes(c, hf1.root_keys(RK_SK, VAULT_ID)["officer_seed"])
        self.assertEqual(hf1.config_open(body), c)
        for bad in self.flips(body, 11):
            self.refused(hf1.config_open, bad)

    def test_reference_lists_are_cut_by_content(self):
        ids = [hf1.sha(hf1.u32(i))[:31] + b"\1" for i in range(9500)]
        ids[600] = ids[600][:30] + b"\0\0"
        segments, root, count = hf1.refs_build((i, 1000) for i in ids + ids[-5:])
        self.assertEqual([hf1.get32(s, 4) for s in segments], [601, 8192, 707])
        self.assertEqual(count, 9500)
        self.assertEqual(root, hf1.merkle([hf1.sha(s) for s in segments]))
        self.assertEqual(len(hf1.refs_parse(segments[0], False)), 601)
        self.refused(hf1.refs_parse, segments[2], False)


def config():
    keys = hf1.root_keys(RK_SK, VAULT_ID)
    return {"epoch": 1, "domain_id": DOMAIN, "recovery": [RK_PK],
            "agents": [(AGENT, hf1.ed_public(IK_SEED), False)],
            "officers": [keys["officer_pk"]], "groups": [(b"line-1", hf1.x_public(K_DOM))]}


class WholeVault(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.dir)
        self.build()

    def put(self, prefix, data):
        name = prefix + hf1.sha(data).hex()
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        return path, hf1.sha(data)

    def build(self):
        label = bytes([1, 9]) + b"historian" + bytes([3, 6]) + b"/plant"
        payload = span(0xA0, 32) + bytes([6, 32]) + hf1.sha(label) + hf1.ref_bytes(CHUNK_REF)
        root, root_ref = hf1.record_seal(K_MLE, hf1.ROOT, payload)
        segments, refs_root, count = hf1.refs_build(
            [(CHUNK_REF[0], len(CHUNK)), (root_ref[0], len(root))])
        self.put("ks/", hf1.hfkv_seal(VAULT_ID, 1, K_VAULT, RK_PK))
        self.put("vh/00000001-", hf1.header_bytes(
            {"major": 1, "minor": 0, "generation": 1, "vault_id": VAULT_ID, "incompat": 0,
             "ro_compat": 0, "compat": 0, "suites": 2, "kv_epoch": 1}, K_VAULT))
        officer = hf1.root_keys(RK_SK, VAULT_ID)["officer_seed"]
        self.config = self.seal("cf/", hf1.CONFIG, hf1.config_bytes(config(), officer))[0]
        pack = hf1.pack_seal(KEY, 0, [CHUNK])
        self.pack = self.put("pk/%s/" % hf1.sha(pack).hex()[:2], pack)[0]
        meta = hf1.pack_seal(KEY, 1, [root])
        self.put("pk/%s/" % hf1.sha(meta).hex()[:2], meta)
        self.seal("ix/", hf1.INDEX, hf1.index_bytes(
            [(hf1.sha(pack), len(pack))], [(CHUNK_REF[0], 0, 0, len(CHUNK), 1, 1)]))
        _, rf = self.seal("rf/", hf1.REFS, segments[0])
        record = snapshot(root_id=root_ref[0], root_commit=hf1.root_commit(root_ref),
                          refs_root=refs_root, ref_count=count)
        body = hf1.sha(record) + hf1.u16(2)
        for kind, pk in ((hf1.RECOVERY, RK_PK), (hf1.DRILL, hf1.x_public(K_DOM))):
            body += hf1.envelope_seal(kind, DOMAIN, hf1.sha(record), pk, root_ref)
        self.ev, ev = self.seal("ev/", hf1.ENVELOPES, body)
        receipt = 1700000061 * 10**9
        sn = record + b"HFRC" + hf1.u64(receipt) + bytes(32) + hf1.u64(hf1.NO_LOG) + hf1.u32(1)
        sn += hf1.sha(segments[0]) + rf + hf1.u32(0) + hf1.u32(len(segments[0]))
        sn += ev + hf1.u32(len(label)) + label
        self.seal("sn/%012x-" % (receipt // 10**6), hf1.SNAPSHOT, sn)

    def seal(self, prefix, kind, body):
        return self.put(prefix, hf1.sealed_seal(KEY, kind, body))

    def test_a_vault_is_read_and_its_snapshot_opened(self):
        out = hf1.open_store(self.dir, RK_SK, False)
        self.assertEqual(out["vault_id"], VAULT_ID.hex())
        self.assertEqual((out["packs"], out["records"]), (2, 2))
        snap = out["snapshots"][0]
        self.assertEqual((snap["seq"], snap["refs"], snap["envelopes"]), (1, 2, 2))
        self.assertEqual(snap["label"]["source"], "historian")
        self.assertEqual(snap["label"]["paths"], ["/plant"])

    def test_damage_and_wrong_keys_are_told(self):
        self.assertRaises(hf1.WrongKey, hf1.open_store, self.dir, K_DOM, False)
        for path in (self.pack, self.ev, self.config):
            with open(path, "r+b") as f:
                f.seek(20)
                before = f.read(1)
                f.seek(20)
                f.write(bytes([before[0] ^ 1]))
            self.assertRaises(hf1.Corrupt, hf1.open_store, self.dir, RK_SK, False)
            with open(path, "r+b") as f:
                f.seek(20)
                f.write(before)
        hf1.open_store(self.dir, RK_SK, False)
        os.remove(self.pack)
        self.assertRaises(hf1.Corrupt, hf1.open_store, self.dir, RK_SK, False)


class Parity(unittest.TestCase):
    def test_known_answers(self):
        contents = [bytes((i * 7 + 3) & 255 for i in range(70000)),
                    bytes((i * 13 + 5) & 255 for i in range(1000))]
        names = ["pk/%s/%s" % (h[:2], h) for h in (hf1.sha(c).hex() for c in contents)]
        members = list(zip(range(2), names, contents))
        for row, want in enumerate((
                "07eb1e0ba4bacb905a7284147179a848ee74eb8f981080ef52192c7de91f9243",
                "2572b11388a96cb0c72971d93adc9c25eb1aaeaf8939a8050632eacb27d69576")):
            data = hf1_parity.encode(row, 2, 0, members)
            self.assertEqual(len(data), 70372)
            self.assertEqual(hf1.sha(data).hex(), want)
            self.assertEqual(hf1_parity.parse(data)[:2], (row, 2))
            for at in (70000, 70010, 70100, 70371):
                bad = bytearray(data)
                bad[at] ^= 1
                self.assertRaises(hf1_parity.Corrupt, hf1_parity.parse, bytes(bad))


if __name__ == "__main__":
    unittest.main()
