#include "vault/root.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/wire.h"
#include "crypto/hash.h"
#include "tests/lib/fake_records.h"

static struct root sample(void)
{
	struct root r = { .chunker_id = 1,
		.chunker_bytes = 1u << 20,
		.check = 1,
		.consistency = ROOT_APPLICATION,
		.has_truth = true,
		.tool = "holdfast 0.1.0" };
	for (unsigned i = 0; i < 32; i++)
		r.nonce[i] = (uint8_t)i;
	r.truth = fake_records_data(1);
	r.top = fake_records_data(2);
	hash_sha256("label", 5, r.label_hash);
	return r;
}

static void encode(const struct root *r, struct buf *out)
{
	cr_assert(eq(int, root_encode(r, out, NULL), 0));
}

Test(root, bytes_are_those_of_the_reference)
{
	struct root r = sample();
	struct buf raw = BUF_INIT(4096);
	uint8_t digest[32];
	char hex[65];

	encode(&r, &raw);
	hash_sha256(raw.data, raw.len, digest);
	cr_expect(eq(sz, raw.len, 246));
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_hex(digest, 32, hex),
		"165faf425543be430555d8b9607897757f26fe14573964cc4c422429662cea7f"));
	buf_done(&raw);
}

Test(root, what_was_encoded_comes_back)
{
	struct buf raw = BUF_INIT(4096);
	for (int with_truth = 0; with_truth < 2; with_truth++) {
		struct root r = sample(), back;
		r.has_truth = with_truth;
		buf_clear(&raw);
		encode(&r, &raw);
		cr_assert(eq(int, root_decode(raw.data, raw.len, &back, NULL), 0));
		cr_expect(eq(int, memcmp(back.nonce, r.nonce, 32), 0));
		cr_expect(eq(u8, back.chunker_id, 1));
		cr_expect(eq(u32, back.chunker_bytes, 1u << 20));
		cr_expect(eq(u8, back.check, 1));
		cr_expect(eq(u8, back.consistency, ROOT_APPLICATION));
		cr_expect(eq(int, back.has_truth, with_truth));
		if (with_truth)
			cr_expect(eq(int, memcmp(&back.truth, &r.truth, sizeof(r.truth)), 0));
		cr_expect(eq(int, memcmp(back.label_hash, r.label_hash, 32), 0));
		cr_expect(eq(str, back.tool, "holdfast 0.1.0"));
		cr_expect(eq(int, memcmp(&back.top, &r.top, sizeof(r.top)), 0));
	}
	buf_done(&raw);
}

Test(root, commit_is_the_hash_of_label_and_ref)
{
	struct ref ref = fake_records_data(3);
	uint8_t commit[32];
	char hex[65];
	root_commit(&ref, commit);
	cr_expect(eq(str, (char *)(uintptr_t)fake_records_hex(commit, 32, hex),
		"0a48ff2deb0f02f9ada8f10eb1e2055106c071b6c3f8dbf29131a97dcd8e78d8"));
}

Test(root, incomplete_roots_are_not_written)
{
	struct buf raw = BUF_INIT(4096);
	struct root r = sample();
	r.tool[0] = '\0';
	cr_expect(eq(int, root_encode(&r, &raw, NULL), -ERR_CORRUPT));
	r = sample();
	r.tool[3] = '\n';
	cr_expect(eq(int, root_encode(&r, &raw, NULL), -ERR_CORRUPT));
	r = sample();
	memset(r.tool, 'x', sizeof(r.tool));
	cr_expect(eq(int, root_encode(&r, &raw, NULL), -ERR_CORRUPT));
	r = sample();
	r.chunker_id = 0;
	cr_expect(eq(int, root_encode(&r, &raw, NULL), -ERR_CORRUPT));
	r = sample();
	raw.max = 100;
	cr_expect(eq(int, root_encode(&r, &raw, NULL), -ERR_LIMIT));
	cr_expect(eq(sz, raw.len, 0));
	buf_done(&raw);
}

/* Make a root of nonce, the given TLVs instead of tag ${drop}, and the top ref. */
static int decode_with(uint8_t drop, uint8_t tag, const void *value, size_t len)
{
	struct root r = sample(), back = { .chunker_id = 77 };
	struct buf raw = BUF_INIT(100000), changed = BUF_INIT(100000);
	uint8_t last = 0, at = 0;
	struct wire w, v;
	bool is_in = false;

	encode(&r, &raw);
	w = (struct wire){ .p = raw.data + 32, .left = raw.len - 32 - REF_BYTES };
	(void)buf_add(&changed, raw.data, 32, NULL);
	while (wire_next_tlv(&w, &last, &at, &v, NULL) > 0) {
		if (!is_in && tag != 0 && at > tag) {
			(void)wire_add_tlv(&changed, tag, value, len, NULL);
			is_in = true;
		}
		if (at != drop)
			(void)wire_add_tlv(&changed, at, v.p, v.left, NULL);
	}
	if (!is_in && tag != 0)
		(void)wire_add_tlv(&changed, tag, value, len, NULL);
	(void)buf_add(&changed, raw.data + raw.len - REF_BYTES, REF_BYTES, NULL);
	int rc = root_decode(changed.data, changed.len, &back, NULL);
	cr_expect(eq(int, back.chunker_id == 77, rc != 0), "out touched by a failure");
	buf_done(&raw);
	buf_done(&changed);
	return rc;
}

Test(root, unknown_low_tags_need_a_newer_version_and_high_ones_are_skipped)
{
	cr_expect(eq(int, decode_with(0, 8, "x", 1), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_with(0, 127, "x", 1), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_with(0, 128, "x", 1), 0));
	cr_expect(eq(int, decode_with(0, 255, "", 0), 0));
}

Test(root, unknown_values_need_a_newer_version)
{
	cr_expect(eq(int, decode_with(1, 1, "\3\0\0\0\1", 5), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_with(2, 2, "\1\2", 2), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_with(3, 3, "\1\0", 2), -ERR_UNSUPPORTED));
	cr_expect(eq(int, decode_with(3, 3, "\0\1", 2), -ERR_UNSUPPORTED));
}

Test(root, malformed_fields_are_damage)
{
	static const uint8_t needed[] = { 1, 2, 3, 4, 6, 7 };
	static uint8_t zeros[65536];
	for (size_t i = 0; i < sizeof(needed); i++) {
		cr_expect(eq(int, decode_with(needed[i], 0, NULL, 0), -ERR_CORRUPT),
			"without tag %u", needed[i]);
		cr_expect(eq(int, decode_with(needed[i], needed[i], zeros, 0), -ERR_CORRUPT),
			"empty tag %u", needed[i]);
		cr_expect(lt(int, decode_with(needed[i], needed[i], zeros, 100), 0), "long tag %u",
			needed[i]);
		cr_expect(eq(int, decode_with(0, needed[i], zeros, 0), -ERR_CORRUPT),
			"tag %u twice", needed[i]);
	}
	cr_expect(eq(int, decode_with(5, 5, zeros, 71), -ERR_CORRUPT));
	cr_expect(eq(int, decode_with(7, 7, "holdfast\0x", 10), -ERR_CORRUPT));
	cr_expect(eq(int, decode_with(0, 200, zeros, sizeof(zeros)), -ERR_CORRUPT));
}

Test(root, every_shorter_payload_is_refused)
{
	struct root r = sample(), back;
	struct buf raw = BUF_INIT(4096);
	encode(&r, &raw);
	for (size_t len = 0; len < raw.len; len++)
		cr_expect(lt(int, root_decode(raw.data, len, &back, NULL), 0), "length %zu", len);
	buf_done(&raw);
}

Test(root, consistency_has_a_name)
{
	cr_expect(eq(str, (char *)(uintptr_t)root_consistency_name(ROOT_FUZZY), "fuzzy"));
	cr_expect(eq(str, (char *)(uintptr_t)root_consistency_name(ROOT_QUIESCED), "quiesced"));
	cr_expect(eq(str, (char *)(uintptr_t)root_consistency_name(ROOT_CRASH), "crash"));
	cr_expect(
		eq(str, (char *)(uintptr_t)root_consistency_name(ROOT_APPLICATION), "application"));
	cr_expect(eq(str, (char *)(uintptr_t)root_consistency_name(9), "unknown"));
}
