#include "vault/pack_out.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/record.h"
#include "vault/vault_internal.h"

static struct vault_fixture f;
static struct pack_out out;

static void setup(void)
{
	struct err err = ERR_INIT;
	vault_fixture_init(&f);
	cr_assert(eq(int, pack_out_begin(f.vault, &out, &err), 0));
}

static void teardown(void)
{
	pack_out_done(&out);
	vault_fixture_done(&f);
}

TestSuite(pack_out, .init = setup, .fini = teardown);

/* A record of noise as a pack holds it; the vault of the tests cannot open it, nobody tries to. */
static uint8_t bytes[3][2000];
static struct pack_place record(unsigned n, uint8_t type)
{
	struct pack_place p = {
		.suite = 1, .type = type, .cr_len = sizeof(bytes[n]) + RECORD_HEADER_BYTES
	};
	uint8_t header[RECORD_HEADER_BYTES];
	vault_fixture_noise(bytes[n], sizeof(bytes[n]), n + 1);
	record_header(p.suite, p.type, p.cr_len, header);
	const struct hash_part parts[] = { { header, sizeof(header) },
		{ bytes[n], sizeof(bytes[n]) } };
	hash_parts(parts, 2, p.id);
	return p;
}

static int add(unsigned n, enum pack_class class, const struct pack_place *p)
{
	struct err err = ERR_INIT;
	return pack_out_add(&out, class, p, bytes[n], &err);
}

static size_t count(const char *prefix)
{
	struct store_image s;
	store_image_take(f.store, prefix, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n;
}

Test(pack_out, records_come_to_lie_in_packs_of_their_class_that_a_segment_lists)
{
	struct err err = ERR_INIT;
	struct pack_place data = record(0, RECORD_DATA);
	struct pack_place node = record(1, RECORD_NODE);
	struct index *index = NULL;
	struct fetch *fetch = NULL;
	struct index_place place;
	cr_expect(eq(int, add(0, PACK_DATA, &data), 0));
	cr_expect(eq(int, add(1, PACK_METADATA, &node), 0));
	cr_expect(eq(int, add(0, PACK_DATA, &data), 0)); /* twice is once */
	cr_expect(eq(sz, count("pk/"), 0));
	cr_assert(eq(int, pack_out_end(&out, &err), 0), "%s", err.msg);
	cr_expect(eq(sz, count("pk/"), 2));
	cr_expect(eq(sz, count("ix/"), 1));
	cr_assert(eq(int, fetch_new(f.vault, &fetch, &err), 0));
	cr_assert(eq(int, fetch_index(fetch, &index, &err), 0));
	cr_expect(eq(sz, index_entry_count(index), 2));
	cr_assert(index_find(index, data.id, 0, &place));
	cr_expect(eq(u32, place.cr_len, data.cr_len));
	struct fetch_footer footer;
	cr_assert(eq(int, fetch_footer(f.vault, place.pack, place.pack_len, &footer, &err), 0));
	cr_expect(eq(int, footer.class, PACK_DATA));
	cr_expect(eq(sz, footer.count, 1));
	fetch_footer_done(&footer);
	fetch_free(fetch);
}

Test(pack_out, what_does_not_hash_to_its_id_is_not_taken)
{
	struct err err = ERR_INIT;
	struct pack_place p = record(0, RECORD_DATA);
	bytes[0][77] ^= 1;
	cr_expect(eq(int, add(0, PACK_DATA, &p), -ERR_CORRUPT));
	bytes[0][77] ^= 1;
	p.type = RECORD_NODE; /* part of the header that the ID is of */
	cr_expect(eq(int, add(0, PACK_DATA, &p), -ERR_CORRUPT));
	cr_assert(eq(int, pack_out_end(&out, &err), 0));
	cr_expect(eq(sz, count("pk/") + count("ix/"), 0));
}

Test(pack_out, all_of_it_is_durable_when_it_ends)
{
	struct err err = ERR_INIT;
	struct store_mem *left = NULL;
	struct store *after = NULL;
	struct store_image now;
	struct pack_place p = record(2, RECORD_DATA);
	cr_assert(eq(int, add(2, PACK_DATA, &p), 0));
	cr_assert(eq(int, pack_out_end(&out, &err), 0));
	store_image_take(f.store, "", &now);
	cr_assert(eq(int, store_mem_crash(f.mem, 0, &left, &err), 0));
	cr_assert(eq(int, store_new(&store_mem_driver, left, NULL, &after, &err), 0));
	cr_expect(store_image_lacks(after, &now) == NULL);
	store_free(after);
	store_image_done(&now);
}

Test(pack_out, a_pack_that_is_there_is_listed_without_being_put_again)
{
	struct err err = ERR_INIT;
	struct pack_place p = record(0, RECORD_DATA);
	static const uint8_t name[32] = { 7 };
	p.offset = 0;
	cr_assert(eq(int, pack_out_list(&out, name, 4096, &p, 1, &err), 0));
	cr_assert(eq(int, pack_out_end(&out, &err), 0));
	cr_expect(eq(sz, count("pk/"), 0));
	cr_expect(eq(sz, count("ix/"), 1));
}
