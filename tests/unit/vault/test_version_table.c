#include "vault/version_table.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"

static struct locked_vault l;
static struct err err;
static struct version_table t;

static void setup(void)
{
	locked_vault_init(&l, false);
}

static void teardown(void)
{
	version_table_done(&t);
	locked_vault_done(&l);
}

TestSuite(version_table, .init = setup, .fini = teardown, .timeout = 120);

Test(version_table, tells_what_lies_over_what)
{
	char name[80] = "ev/";
	uint8_t hash[HASH_BYTES];
	hash_sha256("true", 4, hash);
	text_hex(hash, sizeof(hash), name + 3);
	cr_assert(eq(int, store_put(l.f.store, name, "true", 4, &err), 0));
	cr_assert(eq(int, store_put(l.f.store, "ev/b", "b", 1, &err), 0));
	char key[128];
	(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "%s", name);
	s3_stub_put(l.stub, key, "rubbish", 7);
	cr_assert(eq(int, store_remove(l.f.store, "ev/b", &err), 0));
	for (int i = 0; i < 2; i++)
		s3_stub_put(l.stub, LOCKED_VAULT_PREFIX "ev/c", "twice", 5);
	cr_assert(eq(int, version_table_load(l.f.store, "ev/", &t, &err), 0), "%s", err.msg);
	cr_assert(eq(sz, t.count, (size_t)3));

	struct version_table_name found, *n = &found;
	cr_assert(version_table_find(&t, name, n));
	cr_expect(eq(str, n->name, name));
	cr_expect(not(version_table_is_hidden(&t, n)));
	cr_expect(eq(sz, n->real, (size_t)2));
	bool is = false;
	cr_assert(eq(int,
		version_table_is_true(l.f.store, &t, n, version_table_oldest(&t, n), &is, &err),
		0));
	cr_expect(is);
	cr_assert(eq(int,
		version_table_is_true(l.f.store, &t, n, version_table_newest(&t, n), &is, &err),
		0));
	cr_expect(not(is));
	cr_expect(not(version_table_is_same(&t, n)));
	cr_assert(version_table_find(&t, "ev/c", n));
	cr_assert(eq(sz, n->real, (size_t)2));
	cr_expect(version_table_is_same(&t, n), "put twice");
	cr_expect(version_table_is_as_oldest(&t, n));
	cr_assert(version_table_find(&t, "ev/b", n));
	cr_expect(version_table_is_same(&t, n), "there is one");
	cr_expect(not(version_table_is_as_oldest(&t, n)));
	cr_expect(version_table_is_hidden(&t, n));
	cr_expect(eq(sz, n->real, (size_t)1));
	cr_expect(eq(u64, version_table_oldest(&t, n)->size, (uint64_t)1));
	cr_expect(not(version_table_find(&t, "ev/d", n)));
	cr_expect(not(version_table_hash("ev/b", hash)));
}

Test(version_table, the_oldest_that_hashes_to_its_name_is_true_and_no_other)
{
	char key[256];
	const struct version_table_version *x = NULL;
	(void)snprintf(key, sizeof(key), "%s", locked_vault_key(&l, "ks/", 0));
	const char *name = key + strlen(LOCKED_VAULT_PREFIX);
	locked_vault_layer(&l, key, true);
	cr_assert(eq(int, version_table_load(l.f.store, "", &t, &err), 0), "%s", err.msg);
	struct version_table_name found, *n = &found;
	cr_assert(version_table_find(&t, name, n));
	cr_assert(eq(sz, n->count, (size_t)4));
	cr_expect(version_table_is_as_oldest(&t, n));
	cr_expect(not(version_table_is_same(&t, n)), "one between them is not");
	cr_assert(eq(int, version_table_true(l.f.store, &t, n, &x, &err), 0), "%s", err.msg);
	cr_expect(eq(ptr, (void *)(uintptr_t)x, (void *)&t.versions[n->first + 1]));
	cr_assert(version_table_find(&t, "README.txt", n));
	cr_assert(eq(int, version_table_true(l.f.store, &t, n, &x, &err), 0), "%s", err.msg);
	cr_expect(eq(ptr, (void *)(uintptr_t)x, NULL), "its name says nothing");
}

Test(version_table, a_list_that_breaks_off_leaves_nothing)
{
	struct s3_stub_fault deny = { .how = S3_STUB_STATUS,
		.method = "GET",
		.part = "key-marker",
		.times = 1,
		.status = 403,
		.code = "AccessDenied" };
	s3_stub_break(l.stub, &deny);
	cr_expect(eq(int, version_table_load(l.f.store, "", &t, &err), -ERR_AUTH));
	cr_expect(eq(sz, t.count, (size_t)0));
}

/* A bucket of packs, ${many} of them, each with one version as a Ceph RGW tells it. */
static uint64_t many;

static int tell_many(void *self, const char *prefix, store_version_fn fn, void *arg, struct err *e)
{
	(void)self;
	(void)prefix;
	for (uint64_t i = 0; i < many; i++) {
		char name[80], hex[65], id[33], tag[40];
		uint8_t hash[HASH_BYTES];
		hash_sha256(&i, sizeof(i), hash);
		hash[0] = (uint8_t)(i * 256 / many); /* ascending */
		text_hex(hash, sizeof(hash), hex);
		memcpy(hash + 1, &i, sizeof(i));
		(void)snprintf(name, sizeof(name), "pk/%.2s/%.2s%08x%.54s", hex, hex, (unsigned)i,
			hex + 10);
		(void)snprintf(id, sizeof(id), "%.31s.", hex + 30);
		(void)snprintf(tag, sizeof(tag), "\"%.32s\"", hex + 10);
		const struct store_version v = { .name = name,
			.id = id,
			.tag = tag,
			.size = 8000000 + i,
			.at_ns = INT64_C(1700000000) * 1000000000,
			.is_current = true };
		int rc = fn(arg, &v, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static void end_many(void *self)
{
	(void)self;
}

Test(version_table, an_object_takes_at_most_96_bytes)
{
	const struct store_driver driver = { .name = "many",
		.features = STORE_HAS_VERSIONS,
		.versions = tell_many,
		.free = end_many };
	static const uint64_t counts[] = { 30000, 100000, 200003 };
	struct store *s = NULL;
	cr_assert(eq(int, store_new(&driver, &many, NULL, &s, &err), 0));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct version_table_name n;
		char id[VERSION_PACK_ID_BYTES];
		many = counts[i];
		const struct mallinfo2 before = mallinfo2();
		cr_assert(eq(int, version_table_load(s, "", &t, &err), 0), "%s", err.msg);
		const struct mallinfo2 after = mallinfo2();
		size_t taken = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
		cr_assert(eq(sz, t.count, many));
		cr_expect(le(sz, version_table_memory(&t), many * VERSION_TABLE_BYTES));
		cr_expect(le(sz, taken, many * VERSION_TABLE_BYTES), "%.1f bytes each",
			(double)taken / (double)many);
		version_table_name_at(&t, many - 1, &n);
		cr_expect(version_table_find(&t, n.name, &n) && n.number == many - 1);
		cr_expect(eq(sz, n.count, 1));
		cr_expect(eq(sz, n.real, 1));
		cr_expect(eq(u64, version_table_newest(&t, &n)->size, 8000000 + many - 1));
		version_table_id(&t, version_table_newest(&t, &n), id);
		cr_expect(eq(sz, strlen(id), 32));
		version_table_done(&t);
	}
	store_free(s);
}
