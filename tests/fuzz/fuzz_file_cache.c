/*
 * fuzz_file_cache: a file's record in the agent's cache, its MAC made right here.
 */
#include <stdlib.h>
#include <string.h>

#include "agents/content.h"
#include "agents/file_cache_form.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/err.h"
#include "crypto/siphash.h"
#include "fuzz/fuzz.h"

#define ATTRS 64

static void keys_of(struct file_cache_keys *k)
{
	static const uint8_t k_fp[32] = { 9 };
	file_cache_form_keys(k_fp, k);
}

static void run(const uint8_t *data, size_t len)
{
	struct file_cache_keys k;
	struct file_cache_header h, back;
	struct file_cache_record r;
	struct content *c = NULL;
	struct err err = ERR_INIT;
	uint8_t head[FILE_CACHE_HEADER_BYTES];
	keys_of(&k);
	if (len >= sizeof(head) && file_cache_form_decode_header(&k, data, &h) == 0) {
		file_cache_form_encode_header(&k, &h, head);
		FUZZ_CHECK(memcmp(head, data, sizeof(head)) == 0);
		FUZZ_CHECK(file_cache_form_decode_header(&k, head, &back) == 0);
	}
	if (len < FILE_CACHE_RECORD_HEAD_BYTES + FILE_CACHE_MAC_BYTES)
		return;
	uint8_t *record = malloc(len);
	FUZZ_CHECK(record != NULL);
	memcpy(record, data, len);
	bytes_put64(record + len - FILE_CACHE_MAC_BYTES,
		siphash_key(k.mac, record, len - FILE_CACHE_MAC_BYTES));
	if (file_cache_form_check_record(&k, record, len, &r) == 0) {
		struct buf again = BUF_INIT((size_t)1 << 20);
		struct entry_xattr xattrs[ATTRS];
		int rc = file_cache_form_content(&r, &c, &err);
		if (rc == 1) {
			fuzz_took();
			FUZZ_CHECK(file_cache_form_add_record(&k, &r, c, NULL, &again, &err) == 0);
		}
		size_t count = 0;
		struct entry e = { .flags = r.flags, .xattrs = xattrs };
		if (file_cache_form_attrs(&r, xattrs, ATTRS, &count) == 0 && rc == 1) {
			e.xattr_count = count;
			buf_clear(&again);
			FUZZ_CHECK(file_cache_form_add_record(&k, &r, c, &e, &again, &err) == 0);
			FUZZ_CHECK(
				file_cache_form_check_record(&k, again.data, again.len, &r) == 0 &&
				r.has_detail && r.flags == e.flags);
			FUZZ_CHECK(file_cache_form_attrs(&r, xattrs, ATTRS, &count) == 0 &&
				   count == e.xattr_count);
		}
		buf_done(&again);
		content_free(c);
	}
	free(record);
}

static void seeds(void)
{
	struct file_cache_keys k;
	struct file_cache_header h = { .count = 1, .index_at = 300, .file_bytes = 324 };
	struct file_cache_record r = {
		.fs_id = 1, .ino = 2, .size = 5000, .digest_kind = ENTRY_DIGEST_SHA256
	};
	struct ref ref = { .raw_len = 8192, .cr_len = 4000 };
	struct content *c = NULL;
	struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
	struct err err = ERR_INIT;
	uint8_t head[FILE_CACHE_HEADER_BYTES];
	keys_of(&k);
	file_cache_form_encode_header(&k, &h, head);
	fuzz_seed(head, sizeof(head));
	FUZZ_CHECK(content_new(&c, &err) == 0);
	FUZZ_CHECK(content_add(c, &ref, 10, 4000, &err) == 0);
	FUZZ_CHECK(content_add_hole(c, 1000, &err) == 0);
	FUZZ_CHECK(file_cache_form_add_record(&k, &r, c, NULL, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	const struct entry_xattr x[] = { { "user.a", 6, (const uint8_t *)"value", 5 },
		{ "user.b", 6, NULL, 0 } };
	const struct entry e = { .flags = 0x40, .xattrs = x, .xattr_count = 2 };
	buf_clear(&out);
	FUZZ_CHECK(file_cache_form_add_record(&k, &r, c, &e, &out, &err) == 0);
	fuzz_seed(out.data, out.len);
	content_free(c);
	buf_done(&out);
}

const struct fuzz_target fuzz_file_cache = { "file_cache", run, seeds };
