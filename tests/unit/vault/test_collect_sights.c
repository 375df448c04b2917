#include "vault/collect_sights.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"
#include "vault/collect_sessions.h"
#include "vault/collect_view.h"

static struct collect_sights sights;
static struct err err;
static const struct collect_view no_lists;

static void teardown(void)
{
	collect_sights_done(&sights);
}

TestSuite(collect_sights, .fini = teardown);

static int64_t note(uint8_t session, uint64_t number, int64_t mono_ns)
{
	int64_t silent = -1;
	const struct session_mark m = { .session = { session }, .number = number };
	cr_assert(eq(int, collect_sights_note(&sights, &m, mono_ns, &silent, &err), 0));
	return silent;
}

Test(collect_sights, silence_counts_from_when_the_newest_mark_was_seen_first)
{
	cr_expect(eq(i64, note(1, 0, 100), 0));
	cr_expect(eq(i64, note(2, 0, 150), 0));
	cr_expect(eq(i64, note(1, 0, 300), 200));
	cr_expect(eq(i64, note(1, 1, 400), 0)); /* a sign of life */
	cr_expect(eq(i64, note(1, 1, 450), 50));
	cr_expect(eq(i64, note(2, 0, 450), 300));
}

Test(collect_sights, a_clock_that_begins_anew_is_no_silence)
{
	cr_expect(eq(i64, note(1, 0, 1000000), 0));
	cr_expect(eq(i64, note(1, 0, 5), 0));
	cr_expect(eq(i64, note(1, 0, 25), 20));
}

static struct collect_session sessions[3] = {
	{ .last = { .session = { 1 }, .state = SESSION_MARK_OPEN } },
	{ .last = { .session = { 2 }, .state = SESSION_MARK_END } },
	{ .last = { .session = { 3 }, .state = SESSION_MARK_HEARTBEAT }, .is_restore = true },
};

Test(collect_sights, sessions_without_a_mark_are_forgotten)
{
	const struct collect_sessions open = { .at = &sessions[1], .count = 1 };
	(void)note(1, 0, 100);
	(void)note(2, 0, 100);
	collect_sights_keep(&sights, &open);
	cr_expect(eq(i64, note(2, 0, 200), 100));
	cr_expect(eq(i64, note(1, 0, 200), 0));
}

Test(collect_sights, packs_wait_for_backups_that_were_open_and_for_no_reader)
{
	static const uint8_t packs[3][32] = { { 9 }, { 3 }, { 6 } };
	static const uint8_t other[32] = { 4 };
	struct collect_sessions all = { .at = sessions, .count = 3 };
	cr_expect(collect_sights_is_settled(&sights, &all, &no_lists)); /* of nobody */
	cr_assert(eq(int, collect_sights_defer(&sights, packs, 3, &all, &no_lists, &err), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(collect_sights_has_pack(&sights, packs[i]));
	cr_expect(not(collect_sights_has_pack(&sights, other)));
	cr_expect(eq(sz, sights.session_count, 1));
	cr_expect(not(collect_sights_is_settled(&sights, &all, &no_lists)));
	struct collect_session over[1] = { sessions[0] };
	over[0].last.state = SESSION_MARK_END;
	const struct collect_sessions now = { .at = over, .count = 1 };
	cr_expect(collect_sights_is_settled(&sights, &now, &no_lists));
	const struct collect_sessions gone = { .count = 0 };
	cr_expect(collect_sights_is_settled(&sights, &gone, &no_lists));
}
