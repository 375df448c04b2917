#include "vault/retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/*
 * INVARIANTS
 * (1) The newest snapshot of a source (highest seq, then receipt) always stays.
 * (2) A rule only ever adds bits: more rules never let more snapshots go.
 * (3) A clock that was wrong for a while lets no more go: the rules are asked by the receipts and
 *     by the order of the chain, and what either keeps stays.
 */

#define SECOND_NS INT64_C(1000000000)
#define DAY_S 86400

static const char *const words[RETENTION_BITS] = { "newest", "last", "hourly", "daily", "weekly",
	"monthly", "yearly", "within", "within-hourly", "within-daily", "within-weekly",
	"within-monthly", "within-yearly", "tag", "min-keep", "future", "held" };

const char *retention_why_word(unsigned bit)
{
	for (unsigned i = 0; i < RETENTION_BITS; i++) {
		if (bit == 1u << i)
			return words[i];
	}
	return "unknown";
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Months since year 0 of the civil date that is ${days} after 1970-01-01 (Gregorian). */
static int64_t month_of(int64_t days)
{
	int64_t z = days + 719468; /* from 0000-03-01 */
	int64_t era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t from_march = (5 * doy + 2) / 153;
	return (era * 400 + yoe) * 12 + from_march + 2; /* March of year 0 is month 2 */
}

/* The number of the period that a time lies in. */
static int64_t period_of(enum retention_period period, int64_t ns)
{
	int64_t s = floor_div(ns, SECOND_NS);
	int64_t days = floor_div(s, DAY_S);
	switch (period) {
	case RETENTION_HOUR:
		return floor_div(s, 3600);
	case RETENTION_DAY:
		return days;
	case RETENTION_WEEK:
		return floor_div(days + 3, 7); /* 1970-01-01 was a Thursday */
	case RETENTION_MONTH:
		return month_of(days);
	case RETENTION_YEAR:
	case RETENTION_PERIODS:
		break;
	}
	return floor_div(month_of(days), 12);
}

/* By source, then the newest first. */
static int compare(const void *left, const void *right)
{
	const struct retention_item *a = *(struct retention_item *const *)left;
	const struct retention_item *b = *(struct retention_item *const *)right;
	int order = memcmp(a->source, b->source, sizeof(a->source));
	if (order != 0)
		return order;
	if (a->time_ns != b->time_ns)
		return a->time_ns > b->time_ns ? -1 : 1;
	return (a->seq < b->seq) - (a->seq > b->seq);
}

/* As the chain has them; of a fork the later receipt is behind. */
static int compare_seq(const void *left, const void *right)
{
	const struct retention_item *a = *(struct retention_item *const *)left;
	const struct retention_item *b = *(struct retention_item *const *)right;
	if (a->seq != b->seq)
		return a->seq < b->seq ? -1 : 1;
	return (a->receipt_ns > b->receipt_ns) - (a->receipt_ns < b->receipt_ns);
}

static bool has_rule(const struct retention_policy *p)
{
	bool has = p->last > 0 || p->within_ns > 0 || p->tag_count > 0;
	for (int i = 0; i < RETENTION_PERIODS; i++)
		has = has || p->count[i] > 0 || p->within_period_ns[i] > 0;
	return has;
}

/* The newest so many; with slots one of each, the newest whole one. */
static void keep_last(const struct retention_policy *p, struct retention_item **at, size_t count)
{
	uint32_t left = p->last;
	for (size_t i = 0; i < count && left > 0;) {
		size_t end = i + 1;
		size_t best = i;
		while (p->slot_ns > 0 && end < count &&
			floor_div(at[end]->time_ns, p->slot_ns) ==
				floor_div(at[i]->time_ns, p->slot_ns)) {
			if (at[best]->is_partial && !at[end]->is_partial)
				best = end;
			end++;
		}
		at[best]->why |= RETENTION_LAST;
		left -= left != RETENTION_ALL;
		i = end;
	}
}

/* The newest whole one of each period, of the last ${most} periods that have one, or of those that
 * end behind ${since_ns}. */
static void keep_periods(enum retention_period period, struct retention_item **at, size_t count,
	uint32_t most, int64_t since_ns, unsigned bit)
{
	for (size_t i = 0; i < count && most > 0 && at[i]->time_ns >= since_ns;) {
		size_t end = i + 1;
		size_t best = i;
		while (end < count &&
			period_of(period, at[end]->time_ns) == period_of(period, at[i]->time_ns)) {
			if (at[best]->is_partial && !at[end]->is_partial)
				best = end;
			end++;
		}
		at[best]->why |= bit;
		most -= most != RETENTION_ALL;
		i = end;
	}
}

static bool has_tag(const struct retention_policy *p, const struct retention_item *item)
{
	for (size_t i = 0; i < p->tag_count; i++) {
		for (size_t k = 0; k < item->tag_count; k++) {
			if (strcmp(p->tags[i], item->tags[k]) == 0)
				return true;
		}
	}
	return false;
}

/* One's own rules, whatever the others are. */
static void keep_alone(const struct retention_policy *p, struct retention_item *item,
	int64_t newest_ns, int64_t now_ns)
{
	if (item->is_held)
		item->why |= RETENTION_HELD;
	if (item->time_ns > now_ns)
		item->why |= RETENTION_FUTURE;
	/* unsigned: the distance of any two times fits */
	else if ((uint64_t)now_ns - (uint64_t)item->time_ns < (uint64_t)p->min_keep_ns)
		item->why |= RETENTION_MIN_KEEP;
	if (has_tag(p, item))
		item->why |= RETENTION_TAG;
	if (p->within_ns > 0 &&
		(uint64_t)newest_ns - (uint64_t)item->time_ns <= (uint64_t)p->within_ns)
		item->why |= RETENTION_WITHIN;
}

/* What the rules keep by time_ns.  ${at}: the snapshots of one source, the newest first. */
static void keep_by_time(
	const struct retention_policy *p, struct retention_item **at, size_t count, int64_t now_ns)
{
	int64_t newest_ns = at[0]->time_ns;
	for (size_t i = 0; i < count; i++)
		keep_alone(p, at[i], newest_ns, now_ns);
	keep_last(p, at, count);
	for (int k = 0; k < RETENTION_PERIODS; k++) {
		int64_t within = p->within_period_ns[k];
		keep_periods((enum retention_period)k, at, count, p->count[k], INT64_MIN,
			(unsigned)RETENTION_PERIOD << k);
		if (within > 0)
			keep_periods((enum retention_period)k, at, count, RETENTION_ALL,
				newest_ns < INT64_MIN + within ? INT64_MIN : newest_ns - within,
				(unsigned)RETENTION_WITHIN_PERIOD << k);
	}
}

/* Give each the latest receipt up to it in the chain, of those that are not after now: what was
 * received by a clock that had gone back is as new as what came before it.  True: that is later
 * than the receipt of some.  ${at}: ascending by seq. */
static bool raise_times(struct retention_item **at, size_t count, int64_t now_ns)
{
	int64_t latest_ns = INT64_MIN;
	bool is_some = false;
	for (size_t i = 0; i < count; i++) {
		if (at[i]->receipt_ns > latest_ns && at[i]->receipt_ns <= now_ns)
			latest_ns = at[i]->receipt_ns;
		if (at[i]->receipt_ns >= latest_ns)
			continue;
		at[i]->time_ns = latest_ns;
		is_some = true;
	}
	return is_some;
}

/* ${at}: the snapshots of one source, the newest first; the order may change.  Invariant 3. */
static void decide_source(
	const struct retention_policy *p, struct retention_item **at, size_t count, int64_t now_ns)
{
	keep_by_time(p, at, count, now_ns);
	qsort(at, count, sizeof(struct retention_item *), compare_seq);
	at[count - 1]->why |= RETENTION_NEWEST;
	if (!raise_times(at, count, now_ns))
		return;
	qsort(at, count, sizeof(struct retention_item *), compare);
	keep_by_time(p, at, count, now_ns);
}

static void sum_up(struct retention_item **at, size_t count, struct retention_verdict *out)
{
	size_t going = 0;
	for (size_t i = 0; i < count; i++)
		going += at[i]->why == 0;
	out->going += going;
	out->kept += count - going;
	if (going * 100 <= count * RETENTION_SHARE_PERCENT)
		return;
	unsigned percent = (unsigned)(going * 100 / count);
	out->guards |= RETENTION_GUARD_SHARE;
	if (percent >= out->share_percent) {
		out->share_percent = percent;
		memcpy(out->share_source, at[0]->source, sizeof(out->share_source));
	}
}

int retention_decide(const struct retention_policy *p, struct retention_item *items, size_t count,
	int64_t now_ns, struct retention_verdict *out, struct err *err)
{
	if (!has_rule(p)) {
		err_set(err, ERR_USAGE, "no rule says which snapshots to keep");
		return err_hint(err, "give at least one of --keep-last, --keep-daily and so on");
	}
	struct retention_verdict v = { .kept = 0 };
	CLEANUP(cleanup_free_p)
	struct retention_item **at = calloc(count + 1, sizeof(struct retention_item *));
	if (at == NULL)
		return err_set(err, ERR_NOMEM, "out of memory for %zu snapshots", count);
	int64_t newest = INT64_MIN;
	for (size_t i = 0; i < count; i++) {
		items[i].why = 0;
		items[i].time_ns = items[i].receipt_ns;
		at[i] = &items[i];
		if (items[i].receipt_ns > newest)
			newest = items[i].receipt_ns;
	}
	if (count > 1)
		qsort(at, count, sizeof(struct retention_item *), compare);
	for (size_t begin = 0; begin < count;) {
		size_t end = begin + 1;
		while (end < count && memcmp(at[end]->source, at[begin]->source, 32) == 0)
			end++;
		decide_source(p, at + begin, end - begin, now_ns);
		sum_up(at + begin, end - begin, &v);
		begin = end;
	}
	if (count > 0 && newest > now_ns)
		v.guards |= RETENTION_GUARD_FUTURE;
	else if (count > 0 &&
		 (uint64_t)now_ns - (uint64_t)newest > (uint64_t)RETENTION_CLOCK_STEP_NS)
		v.guards |= RETENTION_GUARD_CLOCK;
	if (v.going == 0)
		v.guards = 0;
	*out = v;
	return 0;
}

static int format_count(const char *name, uint32_t count, struct buf *out, struct err *err)
{
	if (count == 0)
		return 0;
	return count == RETENTION_ALL ? buf_addf(out, err, " --keep-%s all", name)
				      : buf_addf(out, err, " --keep-%s %u", name, count);
}

static int format_time(const char *name, int64_t ns, struct buf *out, struct err *err)
{
	return ns == 0 ? 0 : buf_addf(out, err, " --%s %llds", name, (long long)(ns / SECOND_NS));
}

int retention_format(const struct retention_policy *p, struct buf *out, struct err *err)
{
	size_t begin = out->len;
	int rc = format_count("last", p->last, out, err);
	for (int k = 0; rc == 0 && k < RETENTION_PERIODS; k++)
		rc = format_count(words[k + 2], p->count[k], out, err);
	if (rc == 0)
		rc = format_time("keep-within", p->within_ns, out, err);
	for (int k = 0; rc == 0 && k < RETENTION_PERIODS; k++) {
		char name[40] = "keep-";
		(void)strncat(name, words[k + 8], sizeof(name) - 6); /* fits */
		rc = format_time(name, p->within_period_ns[k], out, err);
	}
	for (size_t i = 0; rc == 0 && i < p->tag_count; i++)
		rc = buf_addf(out, err, " --keep-tag %s", p->tags[i]);
	if (rc == 0)
		rc = format_time("min-keep", p->min_keep_ns, out, err);
	if (rc == 0)
		rc = format_time("slot", p->slot_ns, out, err);
	if (rc == 0 && out->len > begin) { /* without the first blank */
		memmove(out->data + begin, out->data + begin + 1, out->len - begin - 1);
		out->len--;
	}
	return rc;
}

void retention_guards_text(
	const struct retention_verdict *v, const char *source, char out[RETENTION_GUARDS_BYTES])
{
	int len = 0;
	out[0] = '\0';
	if ((v->guards & RETENTION_GUARD_SHARE) != 0)
		len += snprintf(
			out, 200, "%u %% of source '%.100s' would go", v->share_percent, source);
	if ((v->guards & RETENTION_GUARD_CLOCK) != 0)
		len += snprintf(out + len, 150,
			"%sthe clock is more than 36 hours after the newest snapshot",
			len > 0 ? "; " : "");
	if ((v->guards & RETENTION_GUARD_FUTURE) != 0)
		(void)snprintf(out + len, 150, "%sa snapshot was received after now by the clock",
			len > 0 ? "; " : ""); /* fits: 200 + 2 * 150 */
}
