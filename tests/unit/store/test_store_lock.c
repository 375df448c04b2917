#include "store/store_lock.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "base/err.h"

#define DAY (INT64_C(86400) * 1000000000)

static struct err err;

Test(store_lock, a_policy_is_read_as_it_is_written)
{
	static const struct {
		const char *text;
		int mode;
		int64_t keep_ns;
		const char *again;
	} cases[] = {
		{ "compliance:30d", STORE_LOCK_COMPLIANCE, 30 * DAY, "compliance:2592000s" },
		{ "governance:1h30m", STORE_LOCK_GOVERNANCE, 5400 * INT64_C(1000000000),
			"governance:5400s" },
		{ "COMPLIANCE:2w", STORE_LOCK_COMPLIANCE, 14 * DAY, "compliance:1209600s" },
		{ "off", STORE_LOCK_NONE, 0, "off" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_lock l, back;
		char text[STORE_LOCK_TEXT_BYTES];
		cr_assert(eq(int, store_lock_parse(cases[i].text, &l, &err), 0), "%s", err.msg);
		cr_expect(eq(int, (int)l.mode, cases[i].mode));
		cr_expect(eq(i64, l.keep_ns, cases[i].keep_ns));
		cr_expect(eq(str, (char *)store_lock_format(&l, text), (char *)cases[i].again));
		cr_assert(eq(int, store_lock_parse(text, &back, &err), 0));
		cr_expect(eq(i64, back.keep_ns, l.keep_ns));
	}
}

Test(store_lock, two_are_equal_in_mode_and_time)
{
	const struct store_lock weak = { STORE_LOCK_GOVERNANCE, 9 },
				brief = { STORE_LOCK_GOVERNANCE, 3 },
				strict = { STORE_LOCK_COMPLIANCE, 9 };
	cr_expect(store_lock_is_equal(&weak, &weak));
	cr_expect(not(store_lock_is_equal(&weak, &brief) || store_lock_is_equal(&weak, &strict)));
}

Test(store_lock, what_is_no_policy_is_refused_with_its_reason)
{
	static const char *const bad[][2] = {
		{ "compliance", "a mode, a colon" },
		{ "compliance:", "a duration" },
		{ "compliance:30", "a duration" },
		{ "forever:30d", "compliance or governance" },
		{ ":30d", "compliance or governance" },
		{ "a very long word indeed:30d", "a mode, a colon" },
		{ "compliance:59s", "at least a minute" },
		{ "compliance:36501d", "at most 100 years" },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct store_lock l = { .keep_ns = 5 };
		cr_expect(eq(int, store_lock_parse(bad[i][0], &l, &err), -ERR_USAGE), "%s",
			bad[i][0]);
		cr_expect(ne(ptr, strstr(err.msg, bad[i][1]), NULL), "%s", err.msg);
		cr_expect(ne(str, err.hint, ""));
		cr_expect(eq(i64, l.keep_ns, (int64_t)5), "untouched");
	}
}

Test(store_lock, a_lock_is_made_longer_by_a_step_of_at_most_thirty_days)
{
	const struct store_lock day = { STORE_LOCK_COMPLIANCE, DAY };
	const struct store_lock year = { STORE_LOCK_COMPLIANCE, 365 * DAY };
	cr_expect(eq(i64, store_lock_until(&day, 5), 2 * DAY + 5));
	cr_expect(eq(i64, store_lock_least(&day, 5), DAY + 5));
	cr_expect(eq(i64, store_lock_until(&year, 0), 395 * DAY));
}

Test(store_lock, the_words_of_protocols)
{
	cr_expect(eq(str, (char *)store_lock_word(STORE_LOCK_COMPLIANCE), "COMPLIANCE"));
	cr_expect(eq(int, (int)store_lock_mode_of("GOVERNANCE"), STORE_LOCK_GOVERNANCE));
	cr_expect(eq(int, (int)store_lock_mode_of(""), STORE_LOCK_NONE));
	cr_expect(eq(int, (int)store_lock_mode_of("ON"), STORE_LOCK_NONE));
}
