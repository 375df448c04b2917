#include "vault/index.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "lib/vault_kat.h"

#define PACK_LEN (1u << 20)

static struct index *idx;
static struct buf body = BUF_INIT(64 << 20);
static struct err err = ERR_INIT;

static void setup(void)
{
	cr_assert(eq(int, index_new(&idx, &err), 0));
}

static void teardown(void)
{
	index_free(idx);
	buf_done(&body);
}

TestSuite(index, .init = setup, .fini = teardown);

static void id_of(uint32_t number, uint8_t out[32])
{
	uint8_t bytes[4];
	bytes_put32(bytes, number);
	hash_sha256(bytes, sizeof(bytes), out);
}

/* Pack ${pack} holds records first .. first + count - 1, of 40 + number % 60 bytes each. */
static void add_pack(struct index *to, uint32_t pack, uint32_t first, uint32_t count)
{
	uint8_t name[32];
	struct pack_place *places = calloc(count + 1, sizeof(*places));
	uint32_t offset = 0;
	id_of(0x80000000u + pack, name);
	for (uint32_t i = 0; i < count; i++) {
		id_of(first + i, places[i].id);
		places[i].suite = 1;
		places[i].type = (uint8_t)(1 + i % 4);
		places[i].offset = offset;
		places[i].cr_len = 40 + (first + i) % 60;
		offset += places[i].cr_len - 12;
	}
	cr_assert(
		eq(int, index_add_pack(to, name, PACK_LEN, places, count, &err), 0), "%s", err.msg);
	free(places);
}

static bool finds(uint32_t number, size_t nth, struct index_place *out)
{
	uint8_t id[32];
	id_of(number, id);
	return index_find(idx, id, nth, out);
}

Test(index, finds_every_record_of_many_packs_and_no_other)
{
	struct index_place place;
	for (uint32_t pack = 0; pack < 30; pack++) {
		add_pack(idx, pack, pack * 200, 200);
		if (pack % 7 == 0)
			cr_assert(eq(int, index_settle(idx, &err), 0));
	}
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_expect(eq(sz, index_entry_count(idx), 6000));
	cr_expect(eq(sz, index_pack_count(idx), 30));
	for (uint32_t i = 0; i < 6000; i++) {
		uint8_t name[32];
		id_of(0x80000000u + i / 200, name);
		cr_assert(finds(i, 0, &place));
		cr_assert(memcmp(place.pack, name, 32) == 0);
		cr_assert(eq(u32, place.cr_len, 40 + i % 60));
		cr_assert(eq(u32, place.pack_len, PACK_LEN));
		cr_assert(eq(int, place.type, 1 + (int)(i % 200 % 4)));
		cr_assert(not(finds(i, 1, &place)));
	}
	for (uint32_t i = 6000; i < 9000; i++)
		cr_assert(not(finds(i, 0, &place)));
}

Test(index, finds_ids_that_are_not_spread)
{
	struct pack_place places[300];
	uint8_t name[32] = { 1 };
	struct index_place place;
	memset(places, 0, sizeof(places));
	for (int i = 0; i < 300; i++) {
		places[i].id[0] = i < 150 ? 0 : 0xff;
		places[i].id[31] = (uint8_t)(i * 7);
		places[i].id[30] = (uint8_t)(i / 100);
		places[i].suite = 1;
		places[i].type = 1;
		places[i].cr_len = 40;
	}
	cr_assert(eq(int, index_add_pack(idx, name, PACK_LEN, places, 300, &err), 0));
	cr_assert(eq(int, index_settle(idx, &err), 0));
	for (int i = 0; i < 300; i++)
		cr_assert(index_find(idx, places[i].id, 0, &place), "%d", i);
	uint8_t none[32] = { 0x7f };
	cr_expect(not(index_find(idx, none, 0, &place)));
	memset(none, 0xff, 32);
	cr_expect(not(index_find(idx, none, 0, &place)));
	memset(none, 0, 32);
	none[31] = 1;
	cr_expect(not(index_find(idx, none, 0, &place)));
}

Test(index, an_empty_or_unsettled_index_finds_nothing)
{
	struct index_place place;
	cr_expect(not(finds(1, 0, &place)));
	add_pack(idx, 0, 0, 5);
	cr_expect(not(finds(1, 0, &place)));
	cr_expect(eq(int, index_encode(idx, 0, &body, &err), -ERR_FAILED));
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_expect(finds(1, 0, &place));
}

Test(index, one_record_may_lie_in_several_packs)
{
	struct index_place place[3];
	add_pack(idx, 0, 10, 3);
	add_pack(idx, 1, 11, 5);
	add_pack(idx, 2, 5, 7);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	for (size_t nth = 0; nth < 3; nth++)
		cr_assert(finds(11, nth, &place[nth]));
	struct index_place none;
	cr_expect(not(finds(11, 3, &none)));
	cr_expect(memcmp(place[0].pack, place[1].pack, 32) != 0);
	cr_expect(memcmp(place[1].pack, place[2].pack, 32) != 0);
}

Test(index, places_told_twice_are_kept_once)
{
	add_pack(idx, 0, 0, 50);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_assert(eq(int, index_encode(idx, 0, &body, &err), 0));
	cr_assert(eq(int, index_add_segment(idx, body.data, body.len, &err), 0));
	add_pack(idx, 0, 0, 50);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_expect(eq(sz, index_entry_count(idx), 50));
	cr_expect(eq(sz, index_pack_count(idx), 1));
}

Test(index, segments_hold_the_packs_from_a_number_on)
{
	uint8_t name[32];
	uint32_t pack_len = 0;
	add_pack(idx, 0, 0, 100);
	add_pack(idx, 1, 50, 100);
	add_pack(idx, 2, 1000, 10);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_assert(eq(int, index_encode(idx, 1, &body, &err), 0));
	cr_expect(eq(sz, body.len, 16 + 2 * 40 + 110 * 48));

	struct index *all = idx;
	cr_assert(eq(int, index_new(&idx, &err), 0));
	cr_assert(eq(int, index_add_segment(idx, body.data, body.len, &err), 0), "%s", err.msg);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_expect(eq(sz, index_entry_count(idx), 110));
	id_of(0x80000001u, name);
	cr_expect(index_has_pack(idx, name));
	cr_expect(memcmp(index_pack_at(idx, 0, &pack_len), name, 32) == 0);
	cr_expect(eq(u32, pack_len, PACK_LEN));
	id_of(0x80000000u, name);
	cr_expect(not(index_has_pack(idx, name)));
	struct index_place place;
	struct index_place same;
	for (uint32_t i = 50; i < 150; i++) {
		cr_assert(finds(i, 0, &place));
		uint8_t id[32];
		id_of(i, id);
		cr_assert(index_find(all, id, i < 100 ? 1 : 0, &same));
		cr_assert(eq(u32, place.offset, same.offset));
		cr_assert(eq(u32, place.cr_len, same.cr_len));
	}
	cr_expect(not(finds(49, 0, &place)));
	buf_clear(&body);
	cr_expect(eq(int, index_encode(all, 3, &body, &err), 0));
	cr_expect(eq(sz, body.len, 16));
	index_free(all);
}

Test(index, has_the_bytes_of_the_format_page)
{
	struct pack_place place = { .suite = 1, .type = 2, .offset = 7, .cr_len = 52 };
	uint8_t name[32];
	vault_kat_range(name, 0x10, 32);
	vault_kat_range(place.id, 0x30, 32);
	cr_assert(eq(int, index_add_pack(idx, name, 4096, &place, 1, &err), 0));
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_assert(eq(int, index_encode(idx, 0, &body, &err), 0));
	cr_expect(eq(str, (char *)vault_kat_hex(body.data, body.len),
		"484649580000000100000001"
		"00000001"
		"101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
		"0000100000000000"
		"303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f"
		"0000000000000007000000340102"
		"0000"));
}

/* A segment of one pack and two records, changed in one byte. */
static int add_changed(size_t at, uint8_t value)
{
	struct index *other = NULL;
	struct pack_place places[2] = { { .suite = 1, .type = 1, .offset = 0, .cr_len = 52 },
		{ .suite = 1, .type = 1, .offset = 40, .cr_len = 52 } };
	uint8_t name[32] = { 9 };
	places[0].id[0] = 1;
	places[1].id[0] = 2;
	CLEANUP(buf_done) struct buf b = BUF_INIT(1000);
	cr_assert(eq(int, index_new(&other, &err), 0));
	cr_assert(eq(int, index_add_pack(other, name, 4096, places, 2, &err), 0));
	cr_assert(eq(int, index_settle(other, &err), 0));
	cr_assert(eq(int, index_encode(other, 0, &b, &err), 0));
	index_free(other);
	cr_assert(eq(sz, b.len, 152));
	b.data[at] = value;
	int rc = index_add_segment(idx, b.data, b.len, &err);
	cr_assert(eq(sz, index_entry_count(idx), rc == 0 ? 2 : 0));
	cr_assert(eq(sz, index_pack_count(idx), rc == 0 ? 1 : 0));
	return rc;
}

Test(index, broken_segments_are_refused_and_add_nothing)
{
	cr_expect(eq(int, add_changed(0, 'X'), -ERR_CORRUPT), "magic");
	cr_expect(eq(int, add_changed(7, 2), -ERR_UNSUPPORTED), "version");
	cr_expect(eq(int, add_changed(11, 2), -ERR_CORRUPT), "packs");
	cr_expect(eq(int, add_changed(8, 255), -ERR_CORRUPT), "far too many packs");
	cr_expect(eq(int, add_changed(15, 1), -ERR_CORRUPT), "a record less");
	cr_expect(eq(int, add_changed(12, 255), -ERR_CORRUPT), "far too many records");
	cr_expect(eq(int, add_changed(48, 0xff), -ERR_CORRUPT), "pack above any pack");
	cr_expect(eq(int, add_changed(50, 0), -ERR_CORRUPT), "pack of no bytes");
	cr_expect(eq(int, add_changed(55, 1), -ERR_UNSUPPORTED), "pack flags");
	cr_expect(eq(int, add_changed(56, 3), -ERR_CORRUPT), "order");
	cr_expect(eq(int, add_changed(56 + 35, 1), -ERR_CORRUPT), "record in no pack");
	cr_expect(eq(int, add_changed(56 + 36, 1), -ERR_CORRUPT), "offset outside the pack");
	cr_expect(eq(int, add_changed(56 + 43, 39), -ERR_CORRUPT), "length below any record");
	cr_expect(eq(int, add_changed(56 + 42, 0x20), -ERR_CORRUPT), "end outside the pack");
	cr_expect(eq(int, add_changed(56 + 40, 2), -ERR_CORRUPT), "length above any record");
	cr_expect(eq(int, add_changed(56 + 44, 3), -ERR_UNSUPPORTED), "suite");
	cr_expect(eq(int, add_changed(56 + 45, 0), -ERR_UNSUPPORTED), "type");
	cr_expect(eq(int, add_changed(56 + 47, 1), -ERR_CORRUPT), "reserved");
	cr_expect(eq(int, add_changed(0, 'H'), 0), "%s", err.msg);
}

Test(index, every_truncation_is_refused)
{
	add_pack(idx, 0, 0, 4);
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_assert(eq(int, index_encode(idx, 0, &body, &err), 0));
	for (size_t len = 0; len < body.len; len++)
		cr_assert(eq(int, index_add_segment(idx, body.data, len, &err), -ERR_CORRUPT));
	cr_assert(eq(int, buf_add8(&body, 0, &err), 0));
	cr_expect(eq(int, index_add_segment(idx, body.data, body.len, &err), -ERR_CORRUPT));
}

Test(index, one_pack_cannot_have_two_lengths)
{
	struct pack_place place = { .suite = 1, .type = 1, .cr_len = 52 };
	uint8_t name[32] = { 5 };
	cr_assert(eq(int, index_add_pack(idx, name, 4096, &place, 1, &err), 0));
	cr_expect(eq(int, index_add_pack(idx, name, 8192, &place, 1, &err), -ERR_CORRUPT));
	place.cr_len = 4096 + 13;
	cr_expect(eq(int, index_add_pack(idx, name, 4096, &place, 1, &err), -ERR_CORRUPT));
	place.cr_len = 52;
	place.suite = 9;
	cr_expect(eq(int, index_add_pack(idx, name, 4096, &place, 1, &err), -ERR_UNSUPPORTED));
	cr_expect(eq(sz, index_entry_count(idx), 1));
}

Test(index, a_segment_has_a_limit)
{
	struct pack_place *places = calloc(INDEX_SEGMENT_MAX + 1, sizeof(*places));
	uint8_t name[32] = { 5 };
	cr_assert(ne(ptr, places, NULL));
	for (uint32_t i = 0; i <= INDEX_SEGMENT_MAX; i++) {
		bytes_put32(places[i].id, i * 2654435761u);
		places[i].suite = 1;
		places[i].type = 1;
		places[i].cr_len = 40;
	}
	cr_assert(eq(
		int, index_add_pack(idx, name, PACK_LEN, places, INDEX_SEGMENT_MAX + 1, &err), 0));
	cr_assert(eq(int, index_settle(idx, &err), 0));
	cr_expect(eq(int, index_encode(idx, 0, &body, &err), -ERR_LIMIT));
	cr_expect(eq(sz, body.len, 0));
	free(places);
}
