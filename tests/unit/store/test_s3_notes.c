#include "store/s3/s3_notes.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "store/s3/s3_location.h"
#include "store/s3/s3_wire.h"
#include "store/s3/store_s3.h"
#include "tests/lib/s3_stub.h"

#define KEY "plant/" S3_CAPS_NAME
#define NS INT64_C(1000000000)

static struct err err;
static struct s3_stub *stub;
static struct store *store;

static void reopen(bool is_read_only)
{
	char place[256];
	const struct store_s3_opts opts = { .is_read_only = is_read_only, .create = !is_read_only };
	(void)snprintf(place, sizeof(place), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(stub));
	store_free(store);
	store = NULL;
	cr_assert(eq(int, store_s3_open(place, &opts, &store, &err), 0), "%s", err.msg);
}

static void setup(void)
{
	const struct s3_stub_kind kind = { .has_versions = true, .has_lock = true };
	const struct store_lock lock = { STORE_LOCK_COMPLIANCE, 100 * NS };
	stub = s3_stub_new(&kind);
	s3_stub_environment();
	reopen(false);
	cr_assert(eq(int, store_set_lock(store, &lock, &err), 0), "%s", err.msg);
}

static void teardown(void)
{
	store_free(store);
	s3_stub_free(stub);
}

TestSuite(s3_notes, .init = setup, .fini = teardown, .timeout = 60);

static bool is_locking(void)
{
	struct store_lock lock;
	store_locks_by(store, &lock);
	return lock.mode == STORE_LOCK_COMPLIANCE && lock.keep_ns == 100 * NS;
}

Test(s3_notes, they_are_locked_where_objects_are_and_for_longer_with_them)
{
	cr_expect(is_locking());
	cr_assert(eq(int, store_put(store, "pk/a", "x", 1, &err), 0));
	struct store_item item = { .name = "pk/a",
		.mode = STORE_LOCK_COMPLIANCE,
		.until_ns = ((int64_t)time(NULL) + 900) * NS };
	unsigned before = s3_stub_count(stub, "PUT", S3_CAPS_NAME "?retention");
	cr_assert(eq(int, store_extend(store, &item, 1, &err), 0));
	cr_assert(eq(int, store_extend(store, &item, 1, &err), 0));
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", S3_CAPS_NAME "?retention"), before + 1));
	cr_expect(ge(sz, s3_stub_destroy(stub, KEY, true), (size_t)1), "it cannot be purged");
}

Test(s3_notes, removed_or_replaced_they_are_found_behind_that_and_put_back)
{
	(void)s3_stub_destroy(stub, KEY, true);
	unsigned puts = s3_stub_count(stub, "PUT", S3_CAPS_NAME);
	reopen(true);
	cr_expect(is_locking(), "to read, without writing");
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", S3_CAPS_NAME), puts));
	reopen(false);
	cr_expect(is_locking());
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", S3_CAPS_NAME), puts + 1));
	reopen(false);
	cr_expect(is_locking());
	cr_expect(eq(uint, s3_stub_count(stub, "PUT", S3_CAPS_NAME), puts + 1), "once");
	s3_stub_put(stub, KEY, "encrypted", 9);
	reopen(false);
	cr_expect(is_locking());
}

Test(s3_notes, rubbish_in_heaps_over_them_does_not_hide_them)
{
	for (int i = 0; i < 300; i++)
		s3_stub_put(stub, KEY, "encrypted", 9);
	reopen(true);
	cr_expect(is_locking());
}

/* Else backups would go on unlocked, and nobody would know. */
Test(s3_notes, that_versions_could_not_be_asked_for_is_an_error_and_that_none_is_whole_is_told)
{
	struct s3_stub_fault fail = { .how = S3_STUB_STATUS,
		.method = "GET",
		.part = "versions",
		.times = 1000,
		.status = 403,
		.code = "AccessDenied" };
	struct s3_location place;
	struct s3_wire *w = NULL;
	struct s3_notes n = { .is_lost = false };
	char text[256];
	(void)snprintf(text, sizeof(text), "http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(stub));
	(void)s3_stub_destroy(stub, KEY, false);
	cr_assert(eq(int, s3_location_parse(text, &place, &err), 0), "%s", err.msg);
	const struct s3_wire_opts opts = { .place = &place, .budget_ms = 200 };
	cr_assert(eq(int, s3_wire_new(&opts, &w, &err), 0), "%s", err.msg);
	s3_stub_put(stub, KEY, "encrypted", 9);
	s3_stub_break(stub, &fail);
	cr_expect(eq(int, s3_notes_read(w, "plant/", &n, &err), 0), "it may not list them");
	cr_expect(not(n.caps.is_known));
	s3_stub_heal(stub);
	fail.status = 500;
	fail.code = "InternalError";
	s3_stub_break(stub, &fail);
	cr_expect(lt(int, s3_notes_read(w, "plant/", &n, &err), 0));
	s3_stub_heal(stub);
	cr_expect(eq(int, s3_notes_read(w, "plant/", &n, &err), 0));
	cr_expect(n.is_behind);
	s3_stub_age(stub, 1000);
	(void)s3_stub_destroy(stub, KEY, true);
	s3_stub_put(stub, KEY, "encrypted", 9);
	cr_expect(eq(int, s3_notes_read(w, "plant/", &n, &err), 0));
	cr_expect(n.is_lost);
	s3_wire_free(w);
	s3_location_done(&place);
}

Test(s3_notes, without_any_the_bucket_is_tried_again_by_init_alone)
{
	s3_stub_age(stub, 1000);
	cr_expect(eq(sz, s3_stub_destroy(stub, KEY, true), (size_t)0));
	s3_stub_age(stub, 1000);
	(void)s3_stub_destroy(stub, KEY, true);
	reopen(true);
	cr_expect(not(is_locking()));
	cr_expect(eq(uint, store_features(store) & STORE_HAS_VERSIONS, 0u));
	reopen(false);
	cr_expect(ne(uint, store_features(store) & STORE_HAS_VERSIONS, 0u));
	cr_expect(not(is_locking()), "but nobody knows what was asked for");
}
