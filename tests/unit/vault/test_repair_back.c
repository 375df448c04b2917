#include "vault/repair_back.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/fault/store_fault.h"
#include "store/mem/store_mem.h"
#include "store/store.h"
#include "tests/lib/store_image.h"

static struct store_mem *mem;
static struct store_fault *fault;
static struct store *store;
static char name[STORE_MAX_NAME_BYTES];
static const char whole[] = "the whole bytes of an object";
static struct err err;

static void setup(void)
{
	uint8_t hash[32];
	char hex[65];
	cr_assert(eq(int, store_mem_new(&mem, &err), 0));
	cr_assert(eq(int, store_fault_new(&store_mem_driver, mem, &fault, &err), 0));
	cr_assert(eq(int, store_new(store_fault_driver(fault), fault, NULL, &store, &err), 0));
	hash_sha256(whole, sizeof(whole), hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(name, sizeof(name), "pk/%.2s/%s", hex, hex);
}

static void teardown(void)
{
	store_free(store);
}

TestSuite(repair_back, .init = setup, .fini = teardown);

static void put(const char *where, const void *data, size_t len)
{
	cr_assert(eq(int, store_put(store, where, data, len, &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(store, &err), 0));
}

static size_t count(const char *prefix)
{
	struct store_image s;
	store_image_take(store, prefix, &s);
	size_t n = s.count;
	store_image_done(&s);
	return n;
}

static bool is_whole_there(void)
{
	struct store_image s;
	store_image_take(store, "pk/", &s);
	bool is_it = s.count == 1 && strcmp(s.at[0].name, name) == 0 &&
		     s.at[0].len == sizeof(whole) &&
		     memcmp(s.at[0].data, whole, sizeof(whole)) == 0;
	store_image_done(&s);
	return is_it;
}

static int write_back(void)
{
	return repair_back_write(store, name, whole, sizeof(whole), &err);
}

Test(repair_back, whole_is_what_hashes_to_the_name)
{
	cr_expect(repair_back_is_whole(name, whole, sizeof(whole)));
	cr_expect(not(repair_back_is_whole(name, whole, sizeof(whole) - 1)));
	cr_expect(not(repair_back_is_whole("pk/none", whole, sizeof(whole))));
	cr_expect(not(repair_back_is_whole("README.txt", whole, sizeof(whole))));
	cr_expect(eq(int, repair_back_write(store, name, whole, 3, &err), -ERR_FAILED));
	cr_expect(eq(sz, count(""), 0));
}

Test(repair_back, lost_or_damaged_bytes_are_replaced_and_nothing_is_left_over)
{
	cr_assert(eq(int, write_back(), 0), "%s", err.msg);
	cr_expect(is_whole_there());
	cr_assert(eq(int, store_mem_flip(mem, name, 9, &err), 0));
	cr_expect(not(is_whole_there()));
	cr_assert(eq(int, write_back(), 0), "%s", err.msg);
	cr_expect(is_whole_there());
	cr_expect(eq(sz, count(""), 1));
}

/* At every operation: what is durable then, by the next run, is the whole object. */
Test(repair_back, broken_off_at_any_operation_the_next_run_has_the_bytes)
{
	int rc = -1;
	uint64_t n;
	for (n = 1; rc != 0; n++) {
		uint64_t resumed = 0;
		store_image_remove(store, name);
		put(name, "damaged", 7);
		store_fault_reset(fault);
		store_fault_crash(fault, n);
		rc = write_back();
		store_fault_reset(fault);
		struct store_image s;
		store_image_take(store, "", &s);
		bool is_any = s.count > 0;
		store_image_done(&s);
		cr_expect(is_any, "operation %d: neither the old bytes nor the new", (int)n);
		cr_assert(eq(int, repair_back_resume(store, &resumed, &err), 0), "%s", err.msg);
		cr_expect(eq(sz, count(REPAIR_BACK_LOG), 0));
		if (resumed > 0)
			cr_expect(is_whole_there(), "operation %d", (int)n);
		cr_assert(eq(int, write_back(), 0));
		cr_expect(is_whole_there());
	}
	cr_expect(ge(u64, n, 6));
}

Test(repair_back, a_log_that_is_rotten_itself_brings_nothing)
{
	uint64_t resumed = 0;
	char log[STORE_MAX_NAME_BYTES];
	(void)snprintf(log, sizeof(log), "%s%s", REPAIR_BACK_LOG, name);
	for (char *p = log + strlen(REPAIR_BACK_LOG); *p != '\0'; p++)
		*p = *p == '/' ? '_' : *p;
	put(name, "damaged", 7);
	put(log, "rotten", 6);
	cr_assert(eq(int, repair_back_resume(store, &resumed, &err), 0));
	cr_expect(eq(u64, resumed, 1));
	cr_expect(eq(sz, count(REPAIR_BACK_LOG), 0));
	cr_expect(eq(sz, count("pk/"), 1)); /* the damaged bytes stay */
	put(log, whole, sizeof(whole));
	cr_assert(eq(int, repair_back_resume(store, &resumed, &err), 0));
	cr_expect(is_whole_there());
}

Test(repair_back, what_is_set_aside_is_kept_under_both_names_until_it_is_discarded)
{
	uint64_t discarded = 0;
	uint8_t hash[32];
	char hex[65];
	struct store_image s;
	put(name, "damaged", 7);
	cr_assert(eq(int, repair_back_set_aside(store, name, "damaged", 7, &err), 0));
	cr_expect(eq(sz, count("pk/"), 0));
	store_image_take(store, REPAIR_BACK_QUARANTINE, &s);
	cr_assert(eq(sz, s.count, 1));
	hash_sha256("damaged", 7, hash);
	text_hex(hash, sizeof(hash), hex);
	cr_expect(strstr(s.at[0].name, hex) != NULL);
	cr_expect(strstr(s.at[0].name, strrchr(name, '/') + 1) != NULL);
	cr_expect(eq(sz, s.at[0].len, 7));
	store_image_done(&s);
	cr_assert(eq(int, repair_back_set_aside(store, name, "", 0, &err), 0)); /* nothing there */
	cr_expect(eq(sz, count(REPAIR_BACK_QUARANTINE), 2));
	cr_assert(eq(int, repair_back_discard(store, &discarded, &err), 0));
	cr_expect(eq(u64, discarded, 2));
	cr_expect(eq(sz, count(""), 0));
}
