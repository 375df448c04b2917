#include "vault/collect_sessions.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "tests/lib/store_image.h"
#include "tests/lib/vault_fixture.h"
#include "vault/collect_view.h"
#include "vault/snapshot.h"
#include "vault/vault_internal.h"

static struct vault_fixture f;
static struct collect_view view; /* nothing is in gc/ */
static struct collect_sessions s;
static struct err err;

static void setup(void)
{
	vault_fixture_init(&f);
}

static void teardown(void)
{
	collect_sessions_done(&s);
	vault_fixture_done(&f);
}

TestSuite(collect_sessions, .init = setup, .fini = teardown);

/* Put the marks of a session, in these states one after the other. */
static struct session_mark put(
	uint8_t id, bool is_restore, const enum session_mark_state *states, size_t count)
{
	struct session_mark m = { .session = { id } };
	if (!is_restore)
		memset(m.agent_id, 1, sizeof(m.agent_id));
	for (size_t i = 0; i < count; i++)
		cr_assert(
			eq(int, session_mark_put(&m, states[i], &f.vault->key, f.store, &err), 0));
	return m;
}

static void load(void)
{
	collect_sessions_done(&s);
	cr_assert(eq(int, collect_sessions_load(f.vault, &s, &err), 0), "%s", err.msg);
}

static const struct collect_session *find(uint8_t id)
{
	const uint8_t session[16] = { id };
	return collect_sessions_find(&s, session);
}

static const enum session_mark_state going_on[] = { SESSION_MARK_OPEN, SESSION_MARK_HEARTBEAT };
static const enum session_mark_state ended[] = { SESSION_MARK_OPEN, SESSION_MARK_HEARTBEAT,
	SESSION_MARK_END };
static const enum session_mark_state broken[] = { SESSION_MARK_OPEN, SESSION_MARK_VOID };

Test(collect_sessions, the_newest_mark_says_whether_a_session_is_open)
{
	(void)put(1, false, going_on, 2);
	(void)put(2, false, ended, 3);
	(void)put(3, false, broken, 2);
	(void)put(4, true, going_on, 1);
	load();
	cr_assert(eq(sz, s.count, 4));
	cr_expect(collect_sessions_is_open(find(1), &view));
	cr_expect(not(collect_sessions_is_open(find(2), &view)));
	cr_expect(not(collect_sessions_is_open(find(3), &view)));
	cr_expect(collect_sessions_is_open(find(4), &view));
	cr_expect(eq(u64, find(1)->last.number, 1));
	cr_expect(eq(u64, find(1)->first, 0));
	cr_expect(find(4)->is_restore);
	cr_expect(not(find(1)->is_restore));
	cr_expect(eq(ptr, (void *)find(9), NULL));
}

Test(collect_sessions, a_mark_that_cannot_be_read_may_be_of_one_that_is_open)
{
	struct store_image se;
	(void)put(1, false, ended, 3);
	store_image_take(f.store, "se/", &se);
	cr_assert(eq(int, store_mem_flip(f.mem, se.at[0].name, 300, &err), 0));
	store_image_done(&se);
	cr_expect(eq(int, collect_sessions_load(f.vault, &s, &err), -ERR_CORRUPT));
	memset(&s, 0, sizeof(s));
}

static size_t marks_left(void)
{
	struct store_image se;
	store_image_take(f.store, "se/", &se);
	size_t n = se.count;
	store_image_done(&se);
	return n;
}

static uint64_t clean(const struct snapshot_list *list)
{
	uint64_t removed = 0;
	load();
	cr_assert(eq(int, collect_sessions_clean(f.vault, &view, &s, list, &removed, &err), 0));
	return removed;
}

Test(collect_sessions, marks_go_when_they_tell_nothing)
{
	const struct snapshot_list none = { .count = 0 };
	(void)put(1, false, going_on, 2); /* open: stays */
	(void)put(2, false, broken, 2);   /* void: goes */
	(void)put(3, true, ended, 3);     /* a reader that ended: goes */
	(void)put(4, false, ended, 3);    /* no snapshot is behind its own: stays */
	cr_expect(eq(u64, clean(&none), 5));
	cr_expect(eq(sz, marks_left(), 5));
	load();
	cr_expect(ne(ptr, (void *)find(1), NULL));
	cr_expect(ne(ptr, (void *)find(4), NULL));
	/* with a snapshot of the source behind it the last one has nothing to say */
	struct snapshot behind = { .record = { .seq = 7 } };
	memset(behind.record.agent_id, 1, sizeof(behind.record.agent_id));
	const struct snapshot_list list = { .at = &behind, .count = 1 };
	cr_expect(eq(u64, clean(&list), 3));
	cr_expect(eq(sz, marks_left(), 2));
}

Test(collect_sessions, broken_off_what_is_left_of_a_session_says_that_it_is_over)
{
	const struct snapshot_list none = { .count = 0 };
	uint64_t removed = 0;
	int rc = -1;
	uint64_t n;
	for (n = 1; rc != 0; n++) {
		(void)put((uint8_t)n, true, ended, 3);
		load();
		store_fault_reset(f.fault);
		store_fault_crash(f.fault, n);
		rc = collect_sessions_clean(f.vault, &view, &s, &none, &removed, &err);
		store_fault_reset(f.fault);
		load();
		for (size_t i = 0; i < s.count; i++)
			cr_expect(not(collect_sessions_is_open(&s.at[i], &view)), "operation %d",
				(int)n);
		(void)clean(&none);
		cr_expect(eq(sz, marks_left(), 0));
	}
	cr_expect(ge(u64, n, 5));
}
