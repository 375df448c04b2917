#include "vault/record_reader.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "tests/lib/sealed_records.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/node_codec.h"
#include "vault/record.h"
#include "vault/ref_table.h"
#include "vault/snapshot.h"
#include "vault/tree_reader.h"

/* Two sealed records in memory, and what the reader asks for. */
static struct {
	struct buf cr[2];
	struct ref ref[2];
	int asked;
	int bad_byte; /* of what is brought; -1 = none */
	bool swaps;   /* bring the other record */
} shop;

static int bring(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	(void)self;
	shop.asked++;
	for (size_t i = 0; i < 2; i++) {
		if (memcmp(shop.ref[i].id, id, 32) != 0)
			continue;
		const struct buf *b = &shop.cr[shop.swaps ? 1 - i : i];
		cr_assert(eq(int, buf_add(cr, b->data, b->len, err), 0));
		if (shop.bad_byte >= 0)
			cr->data[shop.bad_byte] ^= 1;
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "no such record");
}

static const char *const text[2] = { "one of the batch records", "another of the batch records" };
static const struct record_store store = { .get = bring };
static struct record_reader *reader;

static void setup(void)
{
	const uint8_t k_mle[32] = { 7 };
	struct record_sealer *sealer = NULL;
	cr_assert(eq(
		int, record_sealer_new(AEAD_CHACHA20, k_mle, RECORD_CHECK_FULL, &sealer, NULL), 0));
	for (size_t i = 0; i < 2; i++) {
		shop.cr[i] = (struct buf)BUF_INIT(4096);
		cr_assert(eq(int,
			record_seal(sealer, RECORD_DATA, RECORD_CLASS_STREAM, text[i],
				strlen(text[i]), &shop.cr[i], &shop.ref[i], NULL),
			0));
	}
	record_sealer_free(sealer);
	shop.bad_byte = -1;
	cr_assert(eq(int, record_reader_new(&store, &reader, NULL), 0));
}

static void teardown(void)
{
	record_reader_free(reader);
	buf_done(&shop.cr[0]);
	buf_done(&shop.cr[1]);
}

TestSuite(record_reader, .init = setup, .fini = teardown);

static int get(const struct ref *ref, struct buf *out, struct err *err)
{
	const struct record_source *s = record_reader_source(reader);
	return s->get(s->self, ref, RECORD_DATA, out, err);
}

Test(record_reader, opens_what_is_brought_and_asks_once)
{
	struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	for (int i = 0; i < 3; i++) {
		buf_clear(&out);
		cr_assert(eq(int, get(&shop.ref[0], &out, &err), 0), "%s", err.msg);
		cr_expect(eq(sz, out.len, strlen(text[0])));
		cr_expect(eq(int, memcmp(out.data, text[0], out.len), 0));
	}
	cr_expect(eq(int, shop.asked, 1));
	buf_done(&out);
}

Test(record_reader, another_key_is_no_way_into_the_cache)
{
	struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	struct ref other = shop.ref[0];
	cr_assert(eq(int, get(&shop.ref[0], &out, &err), 0), "%s", err.msg);
	other.key[0] ^= 1;
	buf_clear(&out);
	cr_expect(eq(int, get(&other, &out, &err), -ERR_CORRUPT));
	cr_expect(eq(sz, out.len, 0));
	buf_done(&out);
}

Test(record_reader, trusts_nothing_it_is_brought)
{
	struct buf out = BUF_INIT(4096);
	struct err err = ERR_INIT;
	for (int i = 0; i < (int)shop.cr[0].len; i++) {
		shop.bad_byte = i;
		cr_expect(eq(int, get(&shop.ref[0], &out, &err), -ERR_CORRUPT), "byte %d", i);
		cr_expect(eq(sz, out.len, 0));
	}
	shop.bad_byte = -1;
	shop.swaps = true;
	cr_expect(eq(int, get(&shop.ref[0], &out, &err), -ERR_CORRUPT));
	shop.swaps = false;
	struct ref unknown = shop.ref[0];
	unknown.id[0] ^= 1;
	cr_expect(eq(int, get(&unknown, &out, &err), -ERR_NOT_FOUND));
	buf_done(&out);
}

/* ---- the hint, on a real tree ---- */

struct hinted {
	struct fetch *fetch;
	uint8_t (*ids)[32];
	size_t count, unexpected, gets;
};

static int near_get(void *self, const uint8_t id[32], struct buf *cr, struct err *err)
{
	struct hinted *h = self;
	bool is_known = false;
	for (size_t i = 0; i < h->count; i++)
		is_known |= memcmp(h->ids[i], id, 32) == 0;
	h->unexpected += !is_known;
	h->gets++;
	return fetch_record(h->fetch, id, cr, err);
}

static void near_expect(void *self, const uint8_t (*ids)[32], size_t count)
{
	struct hinted *h = self;
	h->ids = realloc(h->ids, (h->count + count) * 32);
	memcpy(h->ids + h->count, ids, count * 32);
	h->count += count;
}

Test(record_reader, everything_below_the_top_node_is_told_before_it_is_asked_for)
{
	static struct vault_fixture f;
	static uint8_t noise[1 << 20];
	struct err err = ERR_INIT;
	struct backup_result r;
	struct snapshot_list list;
	struct snapshot_opened opened;
	struct hinted h = { .count = 0 };
	struct record_reader *far = NULL;
	struct tree_reader *tree = NULL;
	vault_fixture_init(&f);
	vault_fixture_noise(noise, sizeof(noise), 3);
	const struct fake_file files[] = {
		{ .path = "plant", .kind = ENTRY_DIR, .mtime_s = 1 },
		{ .path = "plant/a",
			.kind = ENTRY_FILE,
			.data = noise,
			.len = sizeof(noise),
			.mtime_s = 5 },
		{ .path = "plant/b", .kind = ENTRY_FILE, .data = noise, .len = 100, .mtime_s = 5 },
	};
	cr_assert(eq(int, vault_fixture_backup(&f, files, 3, &r, &err), 0), "%s", err.msg);
	cr_assert(eq(int, snapshot_list(f.vault, NULL, NULL, &list, &err), 0));
	cr_assert(eq(int, fetch_new(f.vault, &h.fetch, &err), 0));
	cr_assert(eq(
		int, snapshot_open(f.vault, h.fetch, &list.at[0], f.keys.dk_sk, &opened, &err), 0));
	const struct record_store told = { .self = &h, .get = near_get, .expect = near_expect };
	cr_assert(eq(int, record_reader_new(&told, &far, &err), 0));
	const struct record_source *source = record_reader_source(far);
	cr_assert(eq(int, tree_reader_new(source, &opened.root.top, &tree, &err), 0));
	cr_assert(eq(int, tree_reader_seek(tree, NULL, 0, &err), 0));
	int more = 1;
	while (more == 1) {
		const uint8_t *key;
		size_t len;
		struct entry e;
		more = tree_reader_next(tree, &key, &len, &e, &err);
		for (size_t i = 0; more == 1 && e.kind == ENTRY_FILE && i < e.extent_count; i++) {
			struct buf raw = BUF_INIT(RECORD_MAX_RAW_BYTES);
			if (!e.extents[i].is_hole)
				cr_expect(eq(int,
					source->get(source->self, &e.extents[i].ref, RECORD_DATA,
						&raw, &err),
					0));
			buf_done(&raw);
		}
	}
	cr_expect(eq(int, more, 0));
	cr_expect(ge(sz, h.gets, 2));
	cr_expect(eq(sz, h.unexpected, 1), "only the top node is a surprise");
	tree_reader_free(tree);
	record_reader_free(far);
	fetch_free(h.fetch);
	free(h.ids);
	snapshot_list_done(&list);
	vault_fixture_done(&f);
}

/* ---- opening ahead ---- */

#define AHEAD_RECORDS 64
#define AHEAD_BYTES ((size_t)200000)

static int is_data(void *self, const uint8_t id[32])
{
	(void)self;
	(void)id;
	return RECORD_DATA;
}

/* Data records and a node that names them. */
static struct sealed_records *named_shop(struct ref *node)
{
	struct sealed_records *s = sealed_records_new();
	struct ref_table *table = NULL;
	struct buf out = BUF_INIT(NODE_CODEC_MAX_BYTES), items = BUF_INIT(1);
	uint8_t *raw = calloc(1, AHEAD_BYTES);
	cr_assert(raw != NULL);
	cr_assert(eq(int, ref_table_new(&table, NULL), 0));
	for (size_t i = 0; i < AHEAD_RECORDS; i++) {
		size_t index;
		vault_fixture_noise(raw, AHEAD_BYTES, i + 1);
		(void)sealed_records_put(s, raw, AHEAD_BYTES); /* i */
		cr_assert(eq(int, ref_table_add(table, &s->ref[i], &index, NULL), 0));
	}
	cr_assert(
		eq(int, node_codec_encode(NODE_CODEC_EXTENTS, 0, table, 1, &items, &out, NULL), 0));
	cr_assert(eq(int,
		s->sink.put(s, RECORD_NODE, RECORD_CLASS_META, out.data, out.len, node, NULL), 0));
	ref_table_free(table);
	buf_done(&out);
	free(raw);
	s->store.is_shared = true;
	s->store.type = is_data;
	return s;
}

static bool borrows(const struct record_source *src, const struct ref *ref, size_t nth)
{
	static uint8_t want[AHEAD_BYTES];
	const uint8_t *raw = NULL;
	struct err err = ERR_INIT;
	vault_fixture_noise(want, AHEAD_BYTES, nth + 1);
	return src->borrow(src->self, ref, RECORD_DATA, &raw, &err) == 0 &&
	       memcmp(raw, want, AHEAD_BYTES) == 0;
}

Test(record_reader, opens_ahead_what_a_node_names_each_once_and_all_the_same)
{
	struct ref node;
	struct sealed_records *s = named_shop(&node);
	struct record_reader *r = NULL;
	struct buf out = BUF_INIT(NODE_CODEC_MAX_BYTES);
	cr_assert(eq(int, record_reader_new(&s->store, &r, NULL), 0));
	const struct record_source *src = record_reader_source(r);
	cr_assert(eq(int, src->get(src->self, &node, RECORD_NODE, &out, NULL), 0));
	cr_expect(eq(sz, s->asked, 1), "nobody asked for content yet");
	for (size_t i = 0; i < AHEAD_RECORDS; i++) {
		cr_assert(borrows(src, &s->ref[i], i), "%zu", i);
		cr_assert(borrows(src, &s->ref[i], i), "%zu, again", i);
		if (i % 20 == 19)
			src->rest(src->self);
	}
	src->rest(src->self);
	cr_expect(eq(sz, s->asked, 1 + AHEAD_RECORDS), "every record was brought once");
	record_reader_free(r);
	sealed_records_free(s);
	buf_done(&out);
}

Test(record_reader, a_damaged_record_fails_for_who_asks_for_it_and_nobody_else)
{
	struct ref node;
	struct sealed_records *s = named_shop(&node);
	struct record_reader *r = NULL;
	struct buf out = BUF_INIT(NODE_CODEC_MAX_BYTES);
	cr_assert(eq(int, record_reader_new(&s->store, &r, NULL), 0));
	const struct record_source *src = record_reader_source(r);
	for (size_t i = 5; i < AHEAD_RECORDS; i += 7)
		sealed_records_flip(s, i);
	cr_assert(eq(int, src->get(src->self, &node, RECORD_NODE, &out, NULL), 0));
	for (size_t i = 0; i < AHEAD_RECORDS; i++) {
		const uint8_t *raw;
		struct err err = ERR_INIT;
		int rc = src->borrow(src->self, &s->ref[i], RECORD_DATA, &raw, &err);
		cr_assert(eq(int, rc, i % 7 == 5 ? -ERR_CORRUPT : 0), "%zu", i);
	}
	record_reader_free(r);
	sealed_records_free(s);
	buf_done(&out);
}

Test(record_reader, what_is_lent_stays_for_as_long_as_it_is_told_to)
{
	enum { COUNT = 80 };
	static uint8_t raw[COUNT][50000];
	const uint8_t *lent[COUNT];
	struct sealed_records *shop_of = sealed_records_new();
	struct record_reader *r = NULL;
	for (size_t i = 0; i < COUNT; i++) {
		vault_fixture_noise(raw[i], sizeof(raw[i]), i + 1);
		(void)sealed_records_put(shop_of, raw[i], sizeof(raw[i]));
	}
	cr_assert(eq(int, record_reader_new(&shop_of->store, &r, NULL), 0));
	const struct record_source *s = record_reader_source(r);
	for (size_t keep = 0; keep <= COUNT; keep += 20) { /* records */
		const size_t stay = keep > RECORD_KEEP_MAX ? RECORD_KEEP_MAX : keep;
		s->keep(s->self, keep * sizeof(raw[0]));
		for (size_t i = 0; i < COUNT; i++) {
			cr_assert(eq(int,
				s->borrow(s->self, &shop_of->ref[i], RECORD_DATA, &lent[i], NULL),
				0));
			for (size_t k = i < stay ? 0 : i - stay; k <= i; k++)
				cr_assert(eq(int, memcmp(lent[k], raw[k], sizeof(raw[k])), 0),
					"%zu kept, record %zu behind %zu", keep, k, i);
		}
		s->rest(s->self);
	}
	record_reader_free(r);
	sealed_records_free(shop_of);
}
