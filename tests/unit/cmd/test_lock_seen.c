#include "cmd/lock_seen.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cmd/console.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "store/s3/store_s3.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"

#define DAY INT64_C(86400)
#define NOTE LOCKED_VAULT_PREFIX "tmp/s3"
#define HEAD "holdfast s3 1\nversioning=yes\nobject-lock=yes\nobject-lock-kept=yes\n"

static struct locked_vault l;
static struct err err;
static char dir[64];
static char path[192];  /* of the memory of ${place} */
static char place[128]; /* where the vault's store is */

static void setup(void)
{
	uint8_t hash[HASH_BYTES];
	char hex[2 * HASH_BYTES + 1];
	(void)snprintf(dir, sizeof(dir), "/tmp/holdfast-lock-seen-XXXXXX");
	cr_assert(ne(ptr, (void *)mkdtemp(dir), NULL));
	cr_assert(eq(int, setenv("HOLDFAST_STATE_DIR", dir, 1), 0));
	locked_vault_init(&l, true); /* compliance:10d */
	(void)snprintf(place, sizeof(place), "s3:http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant",
		s3_stub_port(l.stub));
	hash_sha256(place, strlen(place), hash);
	text_hex(hash, sizeof(hash), hex);
	(void)snprintf(path, sizeof(path), "%s/locks/%s", dir, hex);
}

static void teardown(void)
{
	char command[96];
	locked_vault_done(&l);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", dir);
	cr_expect(eq(int, system(command), 0)); // NOLINT(cert-env33-c)
}

TestSuite(lock_seen, .init = setup, .fini = teardown, .timeout = 120);

static void note(const char *text)
{
	s3_stub_put(l.stub, NOTE, text, strlen(text));
}

/* Open the vault's store once more, hold it to what is remembered, put an object.  Return for how
 * many days that is locked. */
static int64_t days(const char *object, struct lock_seen *out)
{
	char name[32];
	char key[64];
	struct store *s = locked_vault_store(&l, false);
	cr_assert(eq(int, lock_seen_hold(place, true, s, out, &err), 0), "%s", err.msg);
	(void)snprintf(name, sizeof(name), "ks/%s", object);
	(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "%s", name);
	cr_assert(eq(int, store_put(s, name, object, strlen(object), &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	store_free(s);
	int64_t until = s3_stub_locked(l.stub, key);
	return until == 0 ? 0 : (until - time(NULL) + DAY / 2) / DAY;
}

Test(lock_seen, a_note_that_says_other_than_at_first_is_not_gone_by)
{
	static const char *const other[] = { HEAD "lock=compliance:3600s\n",
		HEAD "lock=governance:31536000s\n", HEAD, "holdfast s3 1\nversioning=no\n",
		HEAD "lock=compliance:3153600000s\n" };
	struct lock_seen seen;
	cr_expect(eq(i64, days("first", &seen), 20));
	cr_expect(not(seen.is_other));
	cr_expect(eq(int, (int)seen.seen.mode, STORE_LOCK_COMPLIANCE));
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		char object[8];
		note(other[i]);
		(void)snprintf(object, sizeof(object), "o%zu", i);
		cr_expect(eq(i64, days(object, &seen), 20), "%s", other[i]);
		cr_expect(seen.is_other, "%s", other[i]);
	}
	note(HEAD "lock=compliance:864000s\n"); /* it is right again: nothing is left of the rest */
	cr_expect(eq(i64, days("last", &seen), 20));
	cr_expect(not(seen.is_other));
}

Test(lock_seen, where_nothing_was_to_be_locked_a_note_that_asks_for_it_is_not_gone_by)
{
	struct lock_seen seen;
	note(HEAD);
	cr_expect(eq(i64, days("first", &seen), 0));
	note(HEAD "lock=compliance:3153600000s\n");
	cr_expect(eq(i64, days("second", &seen), 0));
	cr_expect(seen.is_other);
}

Test(lock_seen, who_only_reads_remembers_nothing)
{
	struct lock_seen seen;
	struct store *s = locked_vault_store(&l, true);
	note(HEAD "lock=compliance:3153600000s\n");
	cr_assert(eq(int, lock_seen_hold(place, false, s, &seen, &err), 0));
	cr_expect(ne(int, access(path, F_OK), 0));
	store_free(s);
	note(HEAD "lock=compliance:864000s\n");
	cr_expect(eq(i64, days("first", &seen), 20));
	cr_expect(not(seen.is_other));
	cr_expect(eq(int, access(path, F_OK), 0));
}

Test(lock_seen, two_places_of_one_vault_have_a_memory_each)
{
	const struct store_lock day = { STORE_LOCK_GOVERNANCE, DAY * 1000000000 };
	struct lock_seen seen;
	(void)days("first", &seen);
	cr_assert(eq(int, lock_seen_set("s3:http://127.0.0.1:1/other/plant", &day, &err), 0));
	cr_expect(eq(i64, days("second", &seen), 20));
	cr_expect(not(seen.is_other));
	char with_options[192];
	(void)snprintf(with_options, sizeof(with_options), "%s/?region=x", place);
	cr_assert(eq(int, lock_seen_set(with_options, &day, &err), 0));
	cr_expect(eq(i64, days("third", &seen), 2), "it is the same place");
}

Test(lock_seen, a_note_whose_every_version_is_rubbish_counts_as_gone)
{
	struct lock_seen seen;
	(void)days("first", &seen);
	s3_stub_age(l.stub, 30 * DAY); /* its locks are over */
	(void)s3_stub_destroy(l.stub, NOTE, true);
	struct store *s = locked_vault_store(&l, false);
	struct store_lock lock;
	cr_assert(eq(int, lock_seen_hold(place, true, s, &seen, &err), 0), "%s", err.msg);
	store_locks_by(s, &lock);
	cr_expect(eq(int, (int)lock.mode, STORE_LOCK_COMPLIANCE));
	cr_expect(seen.is_other);
	cr_expect(ne(uint, store_features(s) & STORE_HAS_OBJECT_LOCK, 0));
	store_free(s);
}

Test(lock_seen, the_owners_word_counts_and_a_note_that_differs_is_told_each_time)
{
	const struct store_lock hour = { STORE_LOCK_COMPLIANCE, INT64_C(3600) * 1000000000 };
	struct lock_seen seen;
	struct console c;
	(void)days("first", &seen);
	note(HEAD "lock=compliance:3600s\n");
	cr_assert(eq(int, lock_seen_set(place, &hour, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, days("second", &seen), 0)); /* two hours */
	cr_expect(not(seen.is_other));
	note(HEAD "lock=compliance:259200s\n");
	console_init(&c);
	for (int i = 0; i < 2; i++) {
		struct store *s = locked_vault_store(&l, false);
		cr_expect(lock_seen_use(&c, place, true, s));
		cr_expect(eq(u64, c.warnings, i + 1));
		store_free(s);
	}
}

Test(lock_seen, what_the_place_says_counts_alone_and_is_not_remembered)
{
	char asks[192];
	struct lock_seen seen;
	struct store_lock lock;
	struct store *s = NULL;
	(void)days("first", &seen);
	(void)snprintf(asks, sizeof(asks), "%s?lock=compliance:1h", place);
	cr_assert(eq(int, store_s3_open(asks + 3, NULL, &s, &err), 0), "%s", err.msg);
	cr_assert(eq(int, lock_seen_hold(place, true, s, &seen, &err), 0), "%s", err.msg);
	store_locks_by(s, &lock);
	cr_expect(eq(i64, lock.keep_ns, INT64_C(3600) * 1000000000));
	cr_expect(not(seen.is_other));
	store_free(s);
	cr_expect(eq(i64, days("second", &seen), 20));
}

Test(lock_seen, a_place_that_asks_for_locks_does_not_believe_a_note_that_denies_them)
{
	for (int reads = 1; reads >= 0; reads--) { /* who writes puts the note right */
		char asks[192];
		struct store *s = NULL;
		const struct store_s3_opts opts = { .is_read_only = reads == 1 };
		note("holdfast s3 1\nversioning=no\n");
		(void)snprintf(asks, sizeof(asks), "%s?lock=compliance:1h", place);
		cr_assert(eq(int, store_s3_open(asks + 3, &opts, &s, &err), 0), "%s", err.msg);
		cr_expect(ne(uint, store_features(s) & STORE_HAS_OBJECT_LOCK, 0));
		if (reads == 0) {
			cr_assert(eq(int, store_put(s, "ks/x", "x", 1, &err), 0), "%s", err.msg);
			cr_expect(ne(i64, s3_stub_locked(l.stub, LOCKED_VAULT_PREFIX "ks/x"), 0));
		}
		store_free(s);
	}
	struct store *s = locked_vault_store(&l, false);
	cr_expect(ne(uint, store_features(s) & STORE_HAS_OBJECT_LOCK, 0));
	store_free(s);
}

Test(lock_seen, a_damaged_memory_is_told_and_nothing_of_it_used)
{
	static const char *const bad[] = { "", "holdfast-lock 1 ", "holdfast-lock 1 forever\n",
		"holdfast-lock 1 compliance:30d", "holdfast-lock 2 compliance:30d\n" };
	struct lock_seen seen;
	struct console c;
	char locks[96];
	struct store *s = locked_vault_store(&l, false);
	console_init(&c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(locks, sizeof(locks), "%s/locks", dir);
		(void)mkdir(locks, 0700); /* there from the second on */
		FILE *f = fopen(path, "we");
		cr_assert(ne(ptr, (void *)f, NULL));
		(void)fputs(bad[i], f);
		cr_assert(eq(int, fclose(f), 0));
		cr_expect(eq(int, lock_seen_hold(place, true, s, &seen, &err), -ERR_CORRUPT), "%s",
			bad[i]);
		cr_expect(lock_seen_use(&c, place, true, s));
		cr_expect(eq(u64, c.warnings, i + 1));
	}
	store_free(s);
}
