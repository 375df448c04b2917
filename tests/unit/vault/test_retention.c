#include "vault/retention.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define S INT64_C(1000000000)
#define HOUR (3600 * S)
#define DAY (24 * HOUR)
#define BASE (INT64_C(1767225600) * S) /* Thursday, 2026-01-01T00:00:00Z */

static struct retention_item items[4096];
static struct retention_verdict v;
static struct err err;

/* ${count} snapshots of one source, ${step} apart, the oldest first. */
static void make(size_t count, int64_t first, int64_t step)
{
	memset(items, 0, sizeof(items));
	for (size_t i = 0; i < count; i++) {
		items[i].seq = i + 1;
		items[i].receipt_ns = first + (int64_t)i * step;
	}
}

static void decide(const struct retention_policy *p, size_t count, int64_t now)
{
	err = (struct err)ERR_INIT;
	cr_assert(eq(int, retention_decide(p, items, count, now, &v, &err), 0), "%s", err.msg);
}

static size_t kept(size_t count)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++)
		n += items[i].why != 0;
	return n;
}

Test(retention, a_policy_without_a_rule_is_refused)
{
	struct retention_policy p = { .min_keep_ns = DAY, .slot_ns = HOUR };
	make(3, BASE, DAY);
	cr_expect(eq(int, retention_decide(&p, items, 3, BASE + 9 * DAY, &v, &err), -ERR_USAGE));
}

Test(retention, nothing_at_all_is_fine)
{
	struct retention_policy p = { .last = 1 };
	decide(&p, 0, BASE);
	cr_expect(eq(sz, v.kept, 0));
	cr_expect(eq(sz, v.going, 0));
	cr_expect(eq(uint, v.guards, 0));
}

Test(retention, last_keeps_the_newest_so_many)
{
	struct retention_policy p = { .last = 3 };
	make(10, BASE, DAY);
	decide(&p, 10, BASE + 10 * DAY);
	for (size_t i = 0; i < 10; i++)
		cr_expect(eq(int, items[i].why != 0, i >= 7), "%d", (int)i);
	cr_expect(eq(sz, v.going, 7));
	p.last = RETENTION_ALL;
	decide(&p, 10, BASE + 10 * DAY);
	cr_expect(eq(sz, v.going, 0));
}

Test(retention, last_counts_one_snapshot_of_each_schedule_slot)
{
	struct retention_policy p = { .last = 2, .slot_ns = DAY };
	make(12, BASE, 8 * HOUR); /* three a day: a loop of backups pushes nothing out */
	decide(&p, 12, BASE + 4 * DAY);
	cr_expect(eq(sz, kept(12), 2));
	cr_expect(ne(uint, items[11].why & RETENTION_LAST, 0));
	cr_expect(ne(uint, items[8].why & RETENTION_LAST, 0));
}

Test(retention, a_slot_is_filled_by_its_newest_whole_snapshot)
{
	struct retention_policy p = { .last = 1, .slot_ns = DAY };
	make(3, BASE, HOUR);
	items[2].is_partial = true;
	decide(&p, 3, BASE + DAY);
	cr_expect(eq(uint, items[2].why, RETENTION_NEWEST)); /* the end of the chain, no more */
	cr_expect(eq(uint, items[1].why, RETENTION_LAST));
	cr_expect(eq(uint, items[0].why, 0));
}

Test(retention, periods_keep_the_newest_of_each)
{
	struct retention_policy p = { .count = { [RETENTION_DAY] = 3 } };
	make(72, BASE, HOUR); /* three days, hourly */
	decide(&p, 72, BASE + 3 * DAY);
	cr_expect(eq(sz, kept(72), 3));
	cr_expect(ne(uint, items[23].why, 0));
	cr_expect(ne(uint, items[47].why, 0));
	cr_expect(ne(uint, items[71].why, 0));
}

Test(retention, periods_without_a_snapshot_are_not_counted)
{
	struct retention_policy p = { .count = { [RETENTION_DAY] = 2 } };
	make(3, BASE, 100 * DAY);
	decide(&p, 3, BASE + 201 * DAY);
	cr_expect(eq(uint, items[0].why, 0));
	cr_expect(ne(uint, items[1].why, 0));
}

Test(retention, a_week_begins_on_monday)
{
	struct retention_policy p = { .count = { [RETENTION_WEEK] = RETENTION_ALL } };
	make(8, BASE, DAY); /* Thursday 1 .. Thursday 8 */
	decide(&p, 8, BASE + 8 * DAY);
	cr_expect(ne(uint, items[3].why, 0)); /* Sunday 4 */
	cr_expect(eq(uint, items[4].why, 0)); /* Monday 5 */
	cr_expect(eq(sz, kept(8), 2));
}

/* The periods of every day of 1600 years, against the C library. */
Test(retention, months_and_years_are_those_of_the_calendar)
{
	struct retention_policy month = { .count = { [RETENTION_MONTH] = RETENTION_ALL } };
	struct retention_policy year = { .count = { [RETENTION_YEAR] = RETENTION_ALL } };
	for (int64_t day = -106000; day < 106000; day += 1) { /* 1679 .. 2260 */
		time_t a = day * 86400;
		time_t b = (day + 1) * 86400;
		struct tm ta;
		struct tm tb;
		gmtime_r(&a, &ta);
		gmtime_r(&b, &tb);
		make(2, day * DAY, DAY);
		decide(&month, 2, (day + 2) * DAY);
		cr_assert(eq(int, items[0].why != 0, ta.tm_mon != tb.tm_mon), "day %lld",
			(long long)day);
		decide(&year, 2, (day + 2) * DAY);
		cr_assert(eq(int, items[0].why != 0, ta.tm_year != tb.tm_year), "day %lld",
			(long long)day);
	}
}

Test(retention, a_partial_snapshot_does_not_push_a_whole_one_out_of_its_period)
{
	struct retention_policy p = { .count = { [RETENTION_DAY] = 1 } };
	make(3, BASE, HOUR);
	items[1].is_partial = items[2].is_partial = true;
	decide(&p, 3, BASE + DAY);
	cr_expect(eq(uint, items[0].why, RETENTION_PERIOD << RETENTION_DAY));
	cr_expect(eq(uint, items[1].why, 0));
	cr_expect(eq(uint, items[2].why, RETENTION_NEWEST));
}

Test(retention, within_counts_from_the_newest_of_the_source_not_from_now)
{
	struct retention_policy p = { .within_ns = 2 * DAY };
	make(10, BASE, DAY);
	decide(&p, 10, BASE + 900 * DAY); /* a source that stopped long ago keeps its last days */
	cr_expect(eq(sz, kept(10), 3));
	cr_expect(ne(uint, items[7].why & RETENTION_WITHIN, 0));
	cr_expect(eq(uint, items[6].why, 0));
}

Test(retention, within_a_time_the_newest_of_each_period)
{
	struct retention_policy p = { .within_period_ns = { [RETENTION_DAY] = 3 * DAY } };
	make(24 * 10, BASE, HOUR);
	decide(&p, 24 * 10, BASE + 10 * DAY);
	cr_expect(eq(sz, kept(24 * 10), 4)); /* 3 days before the newest: four calendar days */
}

Test(retention, a_tag_keeps)
{
	const char *const wanted[] = { "audit", "keep" };
	char *tags[] = { (char *)"x", (char *)"keep" };
	struct retention_policy p = { .last = 1, .tags = wanted, .tag_count = 2 };
	make(5, BASE, DAY);
	items[1].tags = tags;
	items[1].tag_count = 2;
	items[2].tags = tags;
	items[2].tag_count = 1;
	decide(&p, 5, BASE + 5 * DAY);
	cr_expect(eq(uint, items[1].why, RETENTION_TAG));
	cr_expect(eq(uint, items[2].why, 0));
}

/* The clock's battery died: a few are received "in 2000", and the clock is right again. */
static void make_behind(void)
{
	make(24, BASE, DAY);
	for (size_t i = 20; i < 23; i++)
		items[i].receipt_ns = INT64_C(946684800) * S + (int64_t)i * DAY;
}

Test(retention, what_a_clock_that_was_behind_received_is_not_the_oldest)
{
	struct retention_policy p = { .last = 3 };
	make_behind();
	decide(&p, 24, BASE + 24 * DAY);
	for (size_t i = 21; i < 24; i++)
		cr_expect(ne(uint, items[i].why & RETENTION_LAST, 0), "%d", (int)i);
	cr_expect(eq(sz, kept(24), 5)); /* and those that the receipts name: 18 and 19 */
	make_behind();
	p = (struct retention_policy){ .count = { [RETENTION_DAY] = 1 },
		.min_keep_ns = RETENTION_MIN_KEEP_NS };
	decide(&p, 24, BASE + 24 * DAY);
	for (size_t i = 20; i < 23; i++)
		cr_expect(eq(uint, items[i].why, RETENTION_MIN_KEEP), "%d", (int)i);
	decide(&p, 24, BASE + 90 * DAY);
	cr_expect(eq(sz, kept(24), 1)); /* in the end they go as others do */
}

Test(retention, a_clock_that_was_ahead_costs_no_period_and_holds_nothing_for_good)
{
	struct retention_policy p = { .count = { [RETENTION_DAY] = 5 } };
	make(20, BASE, DAY);
	items[10].receipt_ns = BASE + 18 * DAY + HOUR; /* a week ahead */
	decide(&p, 20, BASE + 20 * DAY);
	for (size_t i = 15; i < 18; i++)
		cr_expect(ne(uint, items[i].why, 0), "%d", (int)i);
	make(20, BASE, DAY);
	items[10].receipt_ns = BASE + 9000 * DAY; /* after now: no measure for those behind it */
	decide(&p, 20, BASE + 20 * DAY);
	cr_expect(eq(sz, kept(20), 5));
	cr_expect(eq(uint, items[10].why & RETENTION_FUTURE, RETENTION_FUTURE));
	cr_expect(ne(uint, v.guards & RETENTION_GUARD_FUTURE, 0));
}

Test(retention, nothing_younger_than_min_keep_goes)
{
	struct retention_policy p = { .last = 1, .min_keep_ns = RETENTION_MIN_KEEP_NS };
	make(30, BASE, DAY);
	int64_t now = BASE + 29 * DAY;
	decide(&p, 30, now);
	for (size_t i = 0; i < 30; i++)
		cr_expect(eq(int, items[i].why != 0, now - items[i].receipt_ns < 14 * DAY));
}

Test(retention, the_end_of_the_chain_stays_also_when_the_clock_went_back)
{
	struct retention_policy p = { .last = 1 };
	make(3, BASE, DAY);
	items[2].receipt_ns = BASE - 50 * DAY; /* number 3 was received by a slow clock */
	decide(&p, 3, BASE + 5 * DAY);
	cr_expect(eq(uint, items[2].why, RETENTION_NEWEST | RETENTION_LAST));
	cr_expect(eq(uint, items[1].why, RETENTION_LAST));
	cr_expect(eq(uint, items[0].why, 0));
}

Test(retention, what_is_held_or_from_the_future_stays)
{
	struct retention_policy p = { .last = 1 };
	make(4, BASE, DAY);
	items[0].is_held = true;
	items[1].receipt_ns = BASE + 500 * DAY;
	decide(&p, 4, BASE + 4 * DAY);
	cr_expect(eq(uint, items[0].why, RETENTION_HELD));
	cr_expect(eq(uint, items[1].why, RETENTION_FUTURE | RETENTION_LAST));
	cr_expect(ne(uint, v.guards & RETENTION_GUARD_FUTURE, 0));
}

Test(retention, every_source_is_decided_by_itself)
{
	struct retention_policy p = { .last = 2 };
	make(10, BASE, HOUR);
	for (size_t i = 0; i < 10; i++) {
		items[i].source[0] = i % 2;
		items[i].source[31] = (uint8_t)(7 * (i % 2));
	}
	decide(&p, 10, BASE + DAY);
	for (size_t i = 0; i < 10; i++)
		cr_expect(eq(int, items[i].why != 0, i >= 6), "%d", (int)i);
}

Test(retention, more_than_a_fifth_of_a_source_asks_for_an_approval)
{
	struct retention_policy p = { .last = 8 };
	make(10, BASE, DAY);
	decide(&p, 10, BASE + 10 * DAY);
	cr_expect(eq(uint, v.guards & RETENTION_GUARD_SHARE, 0)); /* 20 % */
	p.last = 7;
	decide(&p, 10, BASE + 10 * DAY);
	cr_expect(ne(uint, v.guards & RETENTION_GUARD_SHARE, 0));
	cr_expect(eq(uint, v.share_percent, 30));
	for (size_t i = 0; i < 1000; i++) { /* another source does not hide it */
		items[10 + i] = items[9];
		items[10 + i].source[0] = 1;
		items[10 + i].seq = i + 1;
	}
	p.count[RETENTION_HOUR] = 1;
	decide(&p, 10, BASE + 10 * DAY);
	cr_expect(ne(uint, v.guards & RETENTION_GUARD_SHARE, 0));
}

Test(retention, a_clock_that_jumped_asks_for_an_approval)
{
	struct retention_policy p = { .last = 9 };
	make(10, BASE, DAY);
	decide(&p, 10, items[9].receipt_ns + 36 * HOUR);
	cr_expect(eq(uint, v.guards, 0));
	decide(&p, 10, items[9].receipt_ns + 36 * HOUR + 1);
	cr_expect(eq(uint, v.guards, RETENTION_GUARD_CLOCK));
	decide(&p, 10, INT64_MAX);
	cr_expect(eq(uint, v.guards, RETENTION_GUARD_CLOCK));
	p.last = 10; /* nothing would go: nothing to ask for */
	decide(&p, 10, INT64_MAX);
	cr_expect(eq(uint, v.guards, 0));
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Random sets: more rules never let more go, the order of the input does not matter, the end of
 * each chain and all that is young stay, and deciding again on what stayed lets nothing more go
 * by "last" and "daily". */
Test(retention, holds_its_rules_on_random_sets)
{
	uint64_t x = 4711;
	for (int round = 0; round < 3000; round++) {
		size_t count = 1 + next(&x) % 60;
		struct retention_policy p = { .last = (uint32_t)(next(&x) % 6) };
		static bool kept_before[64];
		for (int k = 0; k < RETENTION_PERIODS; k++)
			p.count[k] = (uint32_t)(next(&x) % 4);
		p.last += p.count[RETENTION_DAY] == 0;
		make(count, BASE, 0);
		for (size_t i = 0; i < count; i++) {
			items[i].source[5] = next(&x) % 3;
			items[i].receipt_ns = BASE + (int64_t)(next(&x) % (400 * 24)) * HOUR;
			items[i].is_partial = next(&x) % 4 == 0;
		}
		int64_t now = BASE + 400 * DAY;
		decide(&p, count, now);
		for (size_t i = 0; i < count; i++)
			kept_before[i] = items[i].why != 0;
		for (size_t i = 0; i < count / 2; i++) { /* turned round */
			struct retention_item t = items[i];
			items[i] = items[count - 1 - i];
			items[count - 1 - i] = t;
		}
		size_t going = v.going;
		decide(&p, count, now);
		cr_assert(eq(sz, v.going, going), "round %d", round);
		p.min_keep_ns = 30 * DAY;
		p.within_ns = 3 * DAY;
		decide(&p, count, now);
		for (size_t i = 0; i < count; i++) {
			cr_assert(items[i].why != 0 || !kept_before[count - 1 - i]);
			cr_assert(items[i].why != 0 || now - items[i].receipt_ns >= 30 * DAY);
		}
		for (unsigned s = 0; s < 3; s++) {
			uint64_t newest = 0;
			unsigned why = 1;
			for (size_t i = 0; i < count; i++) {
				if (items[i].source[5] == s && items[i].seq > newest) {
					newest = items[i].seq;
					why = items[i].why;
				}
			}
			cr_assert(ne(uint, why, 0));
		}
	}
}

Test(retention, the_policy_reads_as_the_command_line)
{
	const char *const tags[] = { "audit" };
	struct retention_policy p = { .last = 3,
		.count = { [RETENTION_DAY] = 7, [RETENTION_YEAR] = RETENTION_ALL },
		.within_ns = 2 * DAY,
		.within_period_ns = { [RETENTION_HOUR] = DAY },
		.tags = tags,
		.tag_count = 1,
		.min_keep_ns = 14 * DAY,
		.slot_ns = HOUR };
	struct buf out = BUF_INIT(4096);
	cr_assert(eq(int, retention_format(&p, &out, &err), 0));
	cr_expect(eq(str, (char *)buf_cstr(&out),
		"--keep-last 3 --keep-daily 7 --keep-yearly all --keep-within 172800s "
		"--keep-within-hourly 86400s --keep-tag audit --min-keep 1209600s --slot 3600s"));
	buf_done(&out);
	cr_expect(
		eq(str, (char *)retention_why_word(RETENTION_PERIOD << RETENTION_WEEK), "weekly"));
	cr_expect(eq(str, (char *)retention_why_word(RETENTION_HELD), "held"));
}
