#include "vault/pack.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "crypto/aead.h"
#include "crypto/hmac.h"
#include "lib/vault_kat.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "vault/fetch.h"
#include "vault/record.h"

#define ROOT_BYTES VAULT_KAT_ROOT_LEN

static struct vault_kat kat;
static struct store *store;
static struct pack *pack;
static struct pack_made made;
static struct buf object = BUF_INIT(PACK_MAX_BYTES);
static struct err err = ERR_INIT;
static uint8_t chunk[VAULT_KAT_CHUNK_LEN], chunk_id[32];
static uint8_t root[ROOT_BYTES], root_id[32];

/* The root record of the known answers: 32 bytes a0.. and the chunk's ref, stored plain. */
static void make_root(void)
{
	uint8_t *inner = root + 12;
	uint8_t key[32];
	record_header(1, RECORD_ROOT, ROOT_BYTES, root);
	memset(inner, 0, ROOT_BYTES - 28);
	bytes_put32(inner + 4, 104);
	bytes_put32(inner + 8, 104);
	vault_kat_range(inner + 12, 0xa0, 32);
	memcpy(inner + 44, chunk_id, 32);
	cr_assert(eq(int, text_unhex(VAULT_KAT_CHUNK_KEY, 32, inner + 76), 0));
	bytes_put32(inner + 108, 12);
	bytes_put32(inner + 112, VAULT_KAT_CHUNK_LEN);
	const struct hmac_part parts[] = { { "hf1/chunk-key", 14 }, { root, 12 },
		{ inner, ROOT_BYTES - 28 } };
	hmac_sha256(kat.k_mle, 32, parts, 3, key);
	cr_assert(
		eq(int, aead_seal(1, key, NULL, root, 12, inner, ROOT_BYTES - 28, inner, &err), 0));
	hash_sha256(root, ROOT_BYTES, root_id);
}

static void setup(void)
{
	vault_kat_init(&kat);
	cr_assert(eq(int, text_unhex(VAULT_KAT_CHUNK_CR, sizeof(chunk), chunk), 0));
	hash_sha256(chunk, sizeof(chunk), chunk_id);
	make_root();
	struct store_mem *mem = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, mem, NULL, &store, &err), 0));
	cr_assert(eq(int, pack_new(store, PACK_DATA, &pack, &err), 0));
}

static void teardown(void)
{
	pack_free(pack);
	store_free(store);
	buf_done(&object);
}

TestSuite(pack, .init = setup, .fini = teardown);

/* Put the pack, and get what the store has of it into ${object}. */
static void finish(const uint8_t *random)
{
	char name[FETCH_PACK_NAME_BYTES];
	cr_assert(eq(int, pack_put(pack, &kat.key, random, &made, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(store, &err), 0));
	fetch_pack_name(made.hash, name);
	buf_clear(&object);
	cr_assert(eq(int, store_get(store, name, &object, &err), 0), "%s", err.msg);
	cr_assert(eq(u32, made.len, (uint32_t)object.len));
}

static void finish_two(void)
{
	cr_assert(eq(int, pack_add(pack, chunk_id, chunk, sizeof(chunk), &err), 0));
	cr_assert(eq(int, pack_add(pack, root_id, root, sizeof(root), &err), 0));
	finish(kat.random);
}

struct seen {
	size_t count;
	struct pack_place at[4];
	int answer;
};

static int see(void *arg, const struct pack_place *place, struct err *e)
{
	struct seen *s = arg;
	if (s->answer != 0)
		return err_set(e, (enum err_code) - s->answer, "stop");
	if (s->count < 4)
		s->at[s->count] = *place;
	s->count++;
	return 0;
}

static int refuse_all(void *arg, const char *object_name, uint64_t size)
{
	(void)arg;
	(void)object_name;
	(void)size;
	return -ERR_EXISTS;
}

static int open_tail(const uint8_t *data, size_t len, struct seen *s)
{
	int class = -1;
	*s = (struct seen){ .count = 0 };
	return pack_footer_open(&kat.key, data, len, len, &class, see, s, &err);
}

Test(pack, gives_the_known_answer)
{
	cr_expect(eq(str, (char *)vault_kat_hex(root_id, 32), VAULT_KAT_ROOT_ID));
	finish_two();
	cr_expect(eq(sz, object.len, 4096));
	cr_expect(eq(str, (char *)vault_kat_hex(object.data + 4096 - 48, 32),
		"53629fb64e435bb34409962269c13f3363361c94bb5d42d670766da70940056b"));
	cr_expect(eq(str, (char *)vault_kat_hex(made.hash, 32),
		"a089a3a067564b8730c826f9909d48eb893445bedc9d20346b20df8abb5f9c67"));
	cr_expect(eq(str, (char *)vault_kat_sha(object.data, object.len),
		(char *)vault_kat_hex(made.hash, 32)));
}

Test(pack, footer_tells_where_each_record_lies)
{
	finish_two();
	size_t need = 0;
	cr_assert(eq(int, pack_footer_need(object.data + 4000, 96, &need, &err), 0));
	cr_expect(eq(sz, need, 4096 - 40 - 136));
	struct seen s = { .count = 0 };
	int class = -1;
	cr_assert(eq(int,
		pack_footer_open(
			&kat.key, object.data + 4096 - need, need, 4096, &class, see, &s, &err),
		0));
	cr_expect(eq(int, class, PACK_DATA));
	cr_expect(eq(sz, s.count, 2));
	cr_expect(eq(u32, s.at[0].offset, 0));
	cr_expect(eq(u32, s.at[1].offset, 40));
	cr_expect(eq(u32, s.at[1].cr_len, ROOT_BYTES));
	cr_expect(eq(int, s.at[1].type, RECORD_ROOT));
	/* header and stripped bytes make the record again */
	uint8_t again[ROOT_BYTES];
	record_header(s.at[1].suite, s.at[1].type, s.at[1].cr_len, again);
	memcpy(again + 12, object.data + s.at[1].offset, ROOT_BYTES - 12);
	cr_expect(memcmp(again, root, ROOT_BYTES) == 0);
}

Test(pack, a_finished_pack_is_empty_and_usable_again)
{
	cr_assert(eq(int, pack_add(pack, root_id, root, sizeof(root), &err), 0));
	cr_assert(eq(int, pack_add(pack, chunk_id, chunk, sizeof(chunk), &err), 0));
	cr_expect(eq(sz, pack_count(pack), 2));
	cr_expect(eq(sz, pack_bytes(pack), 136 + 40));
	finish(NULL);
	cr_expect(eq(sz, made.count, 2));
	cr_expect(eq(u32, made.places[1].offset, 136));
	cr_expect(memcmp(made.places[1].id, chunk_id, 32) == 0);
	cr_expect(eq(sz, pack_count(pack) + pack_bytes(pack), 0));
	cr_expect(eq(int, pack_put(pack, &kat.key, NULL, &made, &err), -ERR_FAILED));
	cr_expect(eq(int, pack_add(pack, chunk_id, chunk, sizeof(chunk), &err), 0));
}

Test(pack, broken_headers_and_repeated_records_are_not_taken)
{
	cr_assert(eq(int, pack_add(pack, chunk_id, chunk, sizeof(chunk), &err), 0));
	cr_expect(eq(int, pack_add(pack, chunk_id, chunk, sizeof(chunk), &err), -ERR_EXISTS));
	cr_expect(eq(int, pack_add(pack, root_id, root, sizeof(root) - 1, &err), -ERR_CORRUPT));
	cr_expect(eq(int, pack_add(pack, root_id, root, 11, &err), -ERR_CORRUPT));
	root[0] = 'X';
	cr_expect(eq(int, pack_add(pack, root_id, root, sizeof(root), &err), -ERR_CORRUPT));
	cr_expect(eq(sz, pack_count(pack), 1));
	cr_expect(eq(sz, pack_bytes(pack), 40));
}

/* Around the length of a piece, in which the body goes to the store. */
Test(pack, holds_the_records_one_behind_the_other_whatever_their_lengths)
{
	const uint32_t lens[] = { 40, 300000, 100, 262144 + 12, 262144 + 13, 1u << 20, 77777, 40 };
	const size_t count = sizeof(lens) / sizeof(lens[0]);
	uint8_t *cr = malloc(1u << 20);
	cr_assert(cr != NULL);
	for (int round = 0; round < 2; round++) { /* the second: it is usable again */
		struct buf body = BUF_INIT(PACK_MAX_BYTES);
		for (size_t i = 0; i < count; i++) {
			memset(cr, (int)(i + 3), lens[i]);
			record_header(1, RECORD_DATA, lens[i], cr);
			uint8_t id[32] = { (uint8_t)i, (uint8_t)round };
			cr_assert(eq(int, pack_add(pack, id, cr, lens[i], &err), 0));
			cr_expect(eq(int, pack_add(pack, id, cr, lens[i], &err), -ERR_EXISTS));
			cr_assert(eq(int, buf_add(&body, cr + 12, lens[i] - 12, &err), 0));
		}
		cr_expect(eq(sz, pack_bytes(pack), body.len));
		finish(NULL);
		cr_expect(eq(sz, made.count, count));
		cr_expect(eq(str, (char *)vault_kat_sha(object.data, object.len),
			(char *)vault_kat_hex(made.hash, 32)));
		cr_assert(object.len > body.len);
		cr_expect(memcmp(object.data, body.data, body.len) == 0);
		struct seen s;
		cr_assert(eq(int, open_tail(object.data, object.len, &s), 0), "%s", err.msg);
		cr_expect(eq(sz, s.count, count));
		cr_expect(eq(u32, s.at[3].offset, lens[0] + lens[1] + lens[2] - 3 * 12));
		buf_done(&body);
	}
	free(cr);
}

Test(pack, leaves_nothing_on_the_store_when_it_is_dropped)
{
	uint8_t *cr = calloc(1, 600000);
	const uint8_t id[32] = { 1 };
	cr_assert(cr != NULL);
	record_header(1, RECORD_DATA, 600000, cr);
	cr_assert(eq(int, pack_add(pack, id, cr, 600000, &err), 0));
	pack_free(pack);
	pack = NULL;
	cr_assert(eq(int, store_barrier(store, &err), 0));
	cr_expect(eq(int, store_list(store, "", refuse_all, NULL, &err), 0));
	free(cr);
}

Test(pack, is_good_for_nothing_once_a_write_failed)
{
	struct store_mem *mem = NULL;
	struct store_fault *fault = NULL;
	struct store *torn = NULL;
	struct pack *p = NULL;
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_fault_new(&store_mem_driver, mem, &fault, &err), 0));
	cr_assert(eq(int, store_new(store_fault_driver(fault), fault, NULL, &torn, &err), 0));
	cr_assert(eq(int, pack_new(torn, PACK_DATA, &p, &err), 0));
	cr_assert(eq(int, pack_add(p, chunk_id, chunk, sizeof(chunk), &err), 0));
	store_fault_fail(fault, STORE_FAULT_ANY, 1, 1, ERR_NOSPACE);
	cr_expect(eq(int, pack_put(p, &kat.key, NULL, &made, &err), -ERR_NOSPACE));
	cr_expect(eq(int, pack_put(p, &kat.key, NULL, &made, &err), -ERR_FAILED));
	cr_expect(eq(int, pack_add(p, root_id, root, sizeof(root), &err), -ERR_FAILED));
	cr_expect(eq(int, pack_add(p, chunk_id, chunk, sizeof(chunk), &err), -ERR_FAILED));
	cr_assert(eq(int, store_barrier(torn, &err), 0));
	cr_expect(eq(int, store_list(torn, "", refuse_all, NULL, &err), 0), "nothing is there");
	pack_free(p);
	store_free(torn);
}

Test(pack, takes_no_more_than_a_pack_may_hold)
{
	const uint32_t cr_len = 8u << 20;
	uint8_t *cr = calloc(1, cr_len);
	cr_assert(ne(ptr, cr, NULL));
	record_header(1, RECORD_DATA, cr_len, cr);
	uint8_t id[32] = { 0 };
	int rc = 0;
	while (rc == 0) {
		id[0]++;
		rc = pack_add(pack, id, cr, cr_len, &err);
	}
	cr_expect(eq(int, rc, -ERR_LIMIT));
	cr_expect(eq(sz, pack_count(pack), 7)); /* the eighth leaves no room for a footer */
	free(cr);
}

Test(pack, takes_no_more_than_65535_records)
{
	uint8_t cr[40] = { 0 };
	uint8_t id[32] = { 0 };
	record_header(1, RECORD_DATA, sizeof(cr), cr);
	for (uint32_t i = 0; i < PACK_MAX_RECORDS; i++) {
		bytes_put32(id, i);
		bytes_put32(id + 4, i * 2654435761u);
		cr_assert(eq(int, pack_add(pack, id, cr, sizeof(cr), &err), 0));
	}
	id[31] = 1;
	cr_expect(eq(int, pack_add(pack, id, cr, sizeof(cr), &err), -ERR_LIMIT));
	finish(kat.random);
	struct seen s;
	cr_expect(eq(int, open_tail(object.data, object.len, &s), 0), "%s", err.msg);
	cr_expect(eq(sz, s.count, PACK_MAX_RECORDS));
}

Test(pack, every_flipped_bit_of_footer_and_tail_is_refused)
{
	finish_two();
	struct seen s;
	for (size_t i = 176; i < object.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			object.data[i] ^= (uint8_t)(1 << bit);
			int rc = open_tail(object.data, object.len, &s);
			object.data[i] ^= (uint8_t)(1 << bit);
			int want = i >= 4096 - 16 && i < 4096 - 12 ? -ERR_AUTH : -ERR_CORRUPT;
			cr_assert(eq(int, rc, want), "byte %zu bit %d: %s", i, bit, err.msg);
			cr_assert(eq(sz, s.count, 0));
		}
	}
}

Test(pack, every_truncation_and_a_wrong_pack_length_are_refused)
{
	finish_two();
	struct seen s;
	int class;
	for (size_t cut = 1; cut < 4000; cut += 13)
		cr_assert(eq(int, open_tail(object.data + cut + 176, object.len - cut - 176, &s),
			-ERR_CORRUPT));
	cr_expect(
		eq(int, pack_footer_open(&kat.key, object.data, 4096, 8192, &class, see, &s, &err),
			-ERR_CORRUPT));
	cr_expect(eq(int,
		pack_footer_open(&kat.key, object.data, 4096, (uint64_t)PACK_MAX_BYTES + 4096,
			&class, see, &s, &err),
		-ERR_CORRUPT));
	size_t need;
	cr_expect(eq(int, pack_footer_need(object.data, 47, &need, &err), -ERR_CORRUPT));
}

Test(pack, what_a_callback_returns_ends_the_walk)
{
	finish_two();
	struct seen s = { .answer = -ERR_INTERRUPTED };
	int class = -1;
	cr_expect(
		eq(int, pack_footer_open(&kat.key, object.data, 4096, 4096, &class, see, &s, &err),
			-ERR_INTERRUPTED));
	cr_expect(eq(int, class, -1));
}

/* Seal a footer as it is, as a faulty writer could; body_bytes zeros lie before it. */
static void seal_footer(const uint8_t *plain, size_t len, size_t body_bytes)
{
	uint8_t tail[48] = { 0 };
	uint8_t key[32];
	bytes_put32(tail + 32, 1);
	bytes_put32(tail + 36, (uint32_t)len + 16);
	memcpy(tail + 40, "HFPACK01", 8);
	hmac_kdf(kat.k_vault, 32, tail, 32, "hf1/pack-footer", kat.vault_id, 16, key, 32);
	buf_clear(&object);
	cr_assert(eq(int, buf_add_zero(&object, body_bytes + len + 16, &err), 0));
	cr_assert(eq(int,
		aead_seal(1, key, NULL, tail, 48, plain, len, object.data + body_bytes, &err), 0));
	cr_assert(eq(int, buf_add(&object, tail, 48, &err), 0));
}

#define PLAIN_BYTES (4096 - 80 - 64)

/* Open a footer of two 52-byte records after ${change} set ${byte} to ${value}. */
static int open_changed(size_t byte, uint8_t value)
{
	uint8_t plain[PLAIN_BYTES] = { 'H', 'F', 'P', 'F', 1, 0 };
	struct seen s;
	bytes_put32(plain + 8, 2);
	bytes_put32(plain + 12, 80);
	for (int i = 0; i < 2; i++) {
		uint8_t *entry = plain + 16 + i * 40;
		memset(entry, i + 1, 32);
		entry[32] = 1;
		entry[33] = 1;
		bytes_put32(entry + 36, 52);
	}
	plain[byte] = value;
	if (byte == 56) /* make the second ID the first */
		memset(plain + 56, 1, 32);
	seal_footer(plain, sizeof(plain), 80);
	int rc = open_tail(object.data, object.len, &s);
	cr_assert(eq(sz, s.count, rc == 0 ? 2 : 0));
	return rc;
}

Test(pack, footers_that_are_wrong_under_a_right_tag_are_refused)
{
	cr_expect(eq(int, open_changed(0, 'H'), 0), "%s", err.msg);
	cr_expect(eq(int, open_changed(0, 'X'), -ERR_CORRUPT), "magic");
	cr_expect(eq(int, open_changed(4, 2), -ERR_UNSUPPORTED), "version");
	cr_expect(eq(int, open_changed(5, 1), 0), "class metadata: %s", err.msg);
	cr_expect(eq(int, open_changed(5, 2), -ERR_UNSUPPORTED), "class");
	cr_expect(eq(int, open_changed(7, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, open_changed(11, 0), -ERR_CORRUPT), "no records");
	cr_expect(eq(int, open_changed(11, 1), -ERR_CORRUPT), "a record less");
	cr_expect(eq(int, open_changed(11, 3), -ERR_CORRUPT), "a record more");
	cr_expect(eq(int, open_changed(8, 1), -ERR_CORRUPT), "far too many records");
	cr_expect(eq(int, open_changed(15, 81), -ERR_CORRUPT), "body length");
	cr_expect(eq(int, open_changed(16 + 32, 3), -ERR_UNSUPPORTED), "suite");
	cr_expect(eq(int, open_changed(16 + 33, 5), -ERR_UNSUPPORTED), "type");
	cr_expect(eq(int, open_changed(16 + 33, 0), -ERR_UNSUPPORTED), "type 0");
	cr_expect(eq(int, open_changed(16 + 34, 1), -ERR_CORRUPT), "reserved of an entry");
	cr_expect(eq(int, open_changed(16 + 39, 53), -ERR_CORRUPT), "sum of lengths");
	cr_expect(eq(int, open_changed(16 + 39, 39), -ERR_CORRUPT), "length below any record");
	cr_expect(eq(int, open_changed(16 + 36, 2), -ERR_CORRUPT), "length above any record");
	cr_expect(eq(int, open_changed(56, 1), -ERR_CORRUPT), "a record twice");
	cr_expect(eq(int, open_changed(96, 1), -ERR_CORRUPT), "padding");
	cr_expect(eq(int, open_changed(PLAIN_BYTES - 1, 1), -ERR_CORRUPT), "last padding byte");
}
