#include "cmd/lock_seen.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "cmd/console.h"
#include "store/s3/store_s3.h"
#include "store/store.h"
#include "tests/lib/locked_vault.h"

#define DAY INT64_C(86400)
#define NOTE LOCKED_VAULT_PREFIX "tmp/s3"
#define HEAD "holdfast s3 1\nversioning=yes\nobject-lock=yes\nobject-lock-kept=yes\n"

static struct locked_vault l;
static struct err err;
static char dir[64];
static char path[96];

static void setup(void)
{
	(void)snprintf(dir, sizeof(dir), "/tmp/holdfast-lock-seen-XXXXXX");
	cr_assert(ne(ptr, (void *)mkdtemp(dir), NULL));
	(void)snprintf(path, sizeof(path), "%s/lock", dir);
	locked_vault_init(&l, true); /* compliance:10d */
}

static void teardown(void)
{
	locked_vault_done(&l);
	(void)unlink(path);
	(void)rmdir(dir);
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
	cr_assert(eq(int, lock_seen_hold(dir, s, out, &err), 0), "%s", err.msg);
	(void)snprintf(name, sizeof(name), "ks/%s", object);
	(void)snprintf(key, sizeof(key), LOCKED_VAULT_PREFIX "%s", name);
	cr_assert(eq(int, store_put(s, name, object, strlen(object), &err), 0), "%s", err.msg);
	cr_assert(eq(int, store_barrier(s, &err), 0), "%s", err.msg);
	store_free(s);
	int64_t until = s3_stub_locked(l.stub, key);
	return until == 0 ? 0 : (until - time(NULL) + DAY / 2) / DAY;
}

Test(lock_seen, a_note_that_says_less_is_not_gone_by)
{
	static const char *const less[] = { HEAD "lock=compliance:3600s\n",
		HEAD "lock=governance:31536000s\n", HEAD, "holdfast s3 1\nversioning=no\n" };
	struct lock_seen seen;
	cr_expect(eq(i64, days("first", &seen), 20));
	cr_expect(not(seen.is_less || seen.is_more));
	cr_expect(eq(int, (int)seen.kept.mode, STORE_LOCK_COMPLIANCE));
	for (size_t i = 0; i < sizeof(less) / sizeof(less[0]); i++) {
		char object[8];
		note(less[i]);
		(void)snprintf(object, sizeof(object), "o%zu", i);
		cr_expect(ge(i64, days(object, &seen), 20), "%s", less[i]);
		cr_expect(seen.is_less, "%s", less[i]);
		cr_expect(eq(int, (int)seen.kept.mode, STORE_LOCK_COMPLIANCE));
	}
}

Test(lock_seen, a_note_whose_every_version_is_rubbish_counts_as_gone)
{
	struct lock_seen seen;
	(void)days("first", &seen);
	s3_stub_age(l.stub, 30 * DAY); /* its locks are over */
	(void)s3_stub_destroy(l.stub, NOTE, true);
	struct store *s = locked_vault_store(&l, false);
	struct store_lock lock;
	cr_assert(eq(int, lock_seen_hold(dir, s, &seen, &err), 0), "%s", err.msg);
	store_locks_by(s, &lock);
	cr_expect(eq(int, (int)lock.mode, STORE_LOCK_COMPLIANCE));
	cr_expect(seen.is_less);
	cr_expect(ne(uint, store_features(s) & STORE_HAS_OBJECT_LOCK, 0));
	store_free(s);
}

Test(lock_seen, the_owners_word_counts_and_a_note_that_says_more_is_told_once)
{
	const struct store_lock hour = { STORE_LOCK_COMPLIANCE, INT64_C(3600) * 1000000000 };
	struct lock_seen seen;
	struct console c;
	(void)days("first", &seen);
	note(HEAD "lock=compliance:3600s\n");
	cr_assert(eq(int, lock_seen_set(dir, &hour, &err), 0), "%s", err.msg);
	cr_expect(eq(i64, days("second", &seen), 0)); /* two hours */
	cr_expect(not(seen.is_less || seen.is_more));
	note(HEAD "lock=compliance:259200s\n");
	console_init(&c);
	for (int i = 0; i < 2; i++) {
		struct store *s = locked_vault_store(&l, false);
		cr_expect(lock_seen_use(&c, dir, s) == (i == 0));
		cr_expect(eq(u64, c.warnings, 1));
		store_free(s);
	}
}

Test(lock_seen, what_the_place_says_counts_alone_and_is_not_remembered)
{
	char place[256];
	struct lock_seen seen;
	struct store_lock lock;
	struct store *s = NULL;
	(void)days("first", &seen);
	(void)snprintf(place, sizeof(place), "s3:http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant?%s",
		s3_stub_port(l.stub), "lock=compliance:1h");
	cr_assert(eq(int, store_s3_open(place + 3, NULL, &s, &err), 0), "%s", err.msg);
	cr_assert(eq(int, lock_seen_hold(dir, s, &seen, &err), 0), "%s", err.msg);
	store_locks_by(s, &lock);
	cr_expect(eq(i64, lock.keep_ns, INT64_C(3600) * 1000000000));
	cr_expect(not(seen.is_less || seen.is_more));
	store_free(s);
	cr_expect(eq(i64, days("second", &seen), 20));
}

Test(lock_seen, a_place_that_asks_for_locks_does_not_believe_a_note_that_denies_them)
{
	for (int reads = 1; reads >= 0; reads--) { /* who writes puts the note right */
		char place[256];
		struct store *s = NULL;
		const struct store_s3_opts opts = { .is_read_only = reads == 1 };
		note("holdfast s3 1\nversioning=no\n");
		(void)snprintf(place, sizeof(place),
			"http://127.0.0.1:%d/" S3_STUB_BUCKET "/plant?%s", s3_stub_port(l.stub),
			"lock=compliance:1h");
		cr_assert(eq(int, store_s3_open(place, &opts, &s, &err), 0), "%s", err.msg);
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
	struct store *s = locked_vault_store(&l, false);
	console_init(&c);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *f = fopen(path, "we");
		cr_assert(ne(ptr, (void *)f, NULL));
		(void)fputs(bad[i], f);
		cr_assert(eq(int, fclose(f), 0));
		cr_expect(eq(int, lock_seen_hold(dir, s, &seen, &err), -ERR_CORRUPT), "%s", bad[i]);
		cr_expect(lock_seen_use(&c, dir, s));
		cr_expect(eq(u64, c.warnings, i + 1));
	}
	store_free(s);
}
