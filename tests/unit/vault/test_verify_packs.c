#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "crypto/hash.h"
#include "tests/lib/vault_fixture.h"
#include "vault/fetch.h"
#include "vault/pack.h"
#include "vault/record.h"
#include "vault/vault_internal.h"
#include "vault/verify.h"

#define MIB (1u << 20)
#define RECORDS 308
#define NONE RECORDS

static struct vault_fixture f;
static struct err err = ERR_INIT;
static uint8_t *bytes; /* of the longest record */

static void setup(void)
{
	vault_fixture_init(&f);
	bytes = malloc(RECORD_MAX_BYTES);
	cr_assert(bytes != NULL);
	vault_fixture_noise(bytes, RECORD_MAX_BYTES, 11);
}

static void teardown(void)
{
	free(bytes);
	vault_fixture_done(&f);
}

TestSuite(verify_packs, .init = setup, .fini = teardown);

/* More short ones than are hashed at once, one that ends with a slice, one that is longer than any
 * slice, and what leaves the others at any place of a step. */
static uint32_t record_bytes(size_t i)
{
	static const uint32_t large[] = { 5 * MIB + 7, 3 * MIB, 8 * MIB, 461, 11 * MIB + 3, 463,
		2 * MIB, 4 * MIB + 1 };
	return i < 300 ? 60 + (uint32_t)i : large[i - 300];
}

/* A pack of them, of which record ${wrong} lies under an ID that is not its own.  *${offset}: where
 * that is. */
static void put_pack(size_t wrong, char name[FETCH_PACK_NAME_BYTES], size_t *size, size_t *offset)
{
	struct pack *p = NULL;
	struct pack_made made;
	cr_assert(eq(int, pack_new(f.store, PACK_DATA, &p, &err), 0));
	for (size_t i = 0; i < RECORDS; i++) {
		uint8_t id[HASH_BYTES];
		const uint32_t len = record_bytes(i);
		record_header(1, RECORD_DATA, len, bytes);
		hash_sha256(bytes, len, id);
		id[31] ^= i == wrong;
		cr_assert(eq(int, pack_add(p, id, bytes, len, &err), 0), "%s", err.msg);
	}
	cr_assert(eq(int, pack_put(p, &f.vault->key, NULL, &made, &err), 0), "%s", err.msg);
	*offset = wrong < RECORDS ? made.places[wrong].offset : 0;
	*size = made.len;
	fetch_pack_name(made.hash, name);
	pack_free(p);
	cr_assert(eq(int, store_barrier(f.store, &err), 0));
}

struct seen {
	int problems;
	char object[256], what[512];
};

static void on_finding(void *arg, const struct verify_finding *x)
{
	struct seen *s = arg;
	if (x->is_warning)
		return;
	s->problems++;
	(void)snprintf(s->object, sizeof(s->object), "%s", x->object);
	(void)snprintf(s->what, sizeof(s->what), "%s", x->what);
}

static struct verify_result run(struct seen *seen)
{
	struct verify_opts opts = { .arg = seen, .on_finding = on_finding };
	struct verify_result r = { .packs = 0 };
	memset(seen, 0, sizeof(*seen));
	cr_assert(eq(int, verify_run(f.vault, &opts, &r, &err), 0), "%s", err.msg);
	return r;
}

Test(verify_packs, a_large_pack_is_read_in_slices_and_all_of_its_records_count)
{
	struct seen seen;
	char name[FETCH_PACK_NAME_BYTES];
	size_t size, offset;
	run(&seen);
	cr_assert(eq(int, seen.problems, 0), "%s", seen.what);
	store_fault_reset(f.fault);
	struct verify_result before = run(&seen);
	const uint64_t gets = store_fault_count(f.fault, STORE_FAULT_GET);
	put_pack(NONE, name, &size, &offset);
	store_fault_reset(f.fault);
	struct verify_result r = run(&seen);
	cr_expect(eq(int, seen.problems, 0), "%s: %s", seen.object, seen.what);
	cr_expect(eq(u64, r.packs, before.packs + 1));
	cr_expect(eq(u64, r.records, before.records + RECORDS));
	cr_expect(eq(u64, r.bytes, before.bytes + size));
	/* nothing of it as a whole */
	cr_expect(eq(u64, store_fault_count(f.fault, STORE_FAULT_GET), gets));
	cr_expect(ge(u64, store_fault_count(f.fault, STORE_FAULT_GET_RANGE), size / (8 * MIB)));
}

Test(verify_packs, the_first_record_under_a_wrong_id_is_named_wherever_it_lies)
{
	static const size_t wrong[] = { 0, 255, 256, 299, 300, 302, 303, 304, 305, 307 };
	struct verify_result before, r;
	struct seen seen;
	before = run(&seen);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char name[FETCH_PACK_NAME_BYTES], want[100];
		size_t size, offset;
		put_pack(wrong[i], name, &size, &offset);
		r = run(&seen);
		(void)snprintf(
			want, sizeof(want), "the record at %zu does not hash to its ID", offset);
		cr_expect(eq(int, seen.problems, 1), "record %zu", wrong[i]);
		cr_expect(eq(str, seen.object, name), "record %zu", wrong[i]);
		cr_expect(eq(str, seen.what, want), "record %zu", wrong[i]);
		cr_expect(eq(u64, r.packs, before.packs + 1));
		cr_expect(eq(u64, r.records, before.records + wrong[i]));
		cr_assert(eq(int, store_remove(f.store, name, &err), 0), "%s", err.msg);
		cr_assert(eq(int, store_barrier(f.store, &err), 0));
	}
}

Test(verify_packs, any_other_byte_of_a_large_pack_is_told_as_its_name)
{
	struct seen seen;
	char name[FETCH_PACK_NAME_BYTES];
	size_t size, offset;
	run(&seen);
	put_pack(NONE, name, &size, &offset);
	/* records, both sides of slices, the footer, its tail */
	const size_t at[] = { 0, 8 * MIB - 1, 8 * MIB, 17 * MIB, size - 20000, size - 50,
		size - 1 };
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		cr_assert(eq(int, store_mem_flip(f.mem, name, 8 * at[i], &err), 0));
		struct verify_result r = run(&seen);
		cr_expect(eq(int, seen.problems, 1), "byte %zu", at[i]);
		cr_expect(eq(str, seen.object, name), "byte %zu", at[i]);
		cr_expect(eq(str, seen.what, "its bytes do not hash to its name"));
		cr_expect(eq(u64, r.packs, 0));
		cr_assert(eq(int, store_mem_flip(f.mem, name, 8 * at[i], &err), 0));
	}
	for (size_t len = size - 1; len > MIB; len /= 2) {
		cr_assert(eq(int, store_mem_truncate(f.mem, name, len, &err), 0));
		run(&seen);
		cr_expect(eq(int, seen.problems, 1), "%zu bytes", len);
		cr_expect(eq(str, seen.what, "its bytes do not hash to its name"));
	}
}

Test(verify_packs, a_slice_that_cannot_be_read_is_named_and_the_run_goes_on)
{
	struct seen seen;
	char name[FETCH_PACK_NAME_BYTES];
	size_t size, offset;
	put_pack(NONE, name, &size, &offset);
	store_fault_reset(f.fault);
	run(&seen);
	const uint64_t reads = store_fault_count(f.fault, STORE_FAULT_GET_RANGE);
	cr_assert(ge(u64, reads, 4));
	for (uint64_t n = 1; n <= reads; n++) {
		store_fault_reset(f.fault);
		store_fault_tear(f.fault, STORE_FAULT_GET_RANGE, n, ERR_IO);
		run(&seen);
		cr_expect(eq(int, seen.problems, 1), "read %d", (int)n);
		cr_expect(eq(str, seen.object, name), "read %d", (int)n);
	}
	store_fault_reset(f.fault);
	run(&seen);
	cr_expect(eq(int, seen.problems, 0), "%s", seen.what);
}
