#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "agents/sender.h"
#include "base/buf.h"
#include "base/err.h"

#define RECORD_BYTES 5000u

/* A port whose puts wait until they are let go, and fail from the ${fails}-th on (0 = never). */
struct slow_port {
	struct port port;
	pthread_mutex_t gate;
	int fails;
	atomic_int puts;
	pthread_t who;
	atomic_int tends, under_way; /* tend says 1 so many times, -ERR_FAILED below 0 */
	uint8_t last;                /* first byte of the last record that came */
	bool is_ordered;
	size_t longest;
};

static int slow_has(
	void *self, const uint8_t (*ids)[32], size_t count, uint8_t *present, struct err *err)
{
	(void)self;
	(void)err;
	for (size_t i = 0; i < count; i++)
		present[i] = ids[i][1]; /* the test says by it what is there */
	return 0;
}

static int slow_put(void *self, const uint8_t *batch, size_t len, struct err *err)
{
	struct slow_port *p = self;
	(void)pthread_mutex_lock(&p->gate);
	(void)pthread_mutex_unlock(&p->gate);
	p->who = pthread_self();
	p->longest = len > p->longest ? len : p->longest;
	if (++p->puts == p->fails)
		return err_set(err, ERR_UNREACHABLE, "put %d fails", p->fails);
	for (size_t at = 0; at < len; at += RECORD_BYTES) {
		p->is_ordered = p->is_ordered && batch[at] == (uint8_t)(p->last + 1);
		p->last = batch[at];
	}
	return 0;
}

static int slow_tend(void *self, struct err *err)
{
	struct slow_port *p = self;
	p->tends++;
	if (p->under_way < 0)
		return err_set(err, ERR_FAILED, "it went wrong under way");
	return p->under_way > 0 ? p->under_way-- > 0 : 0;
}

static struct sender *start(struct slow_port *p, bool (*is_stopped)(void *arg))
{
	struct sender *s = NULL;
	*p = (struct slow_port){ .fails = p->fails, .under_way = p->under_way, .is_ordered = true };
	p->port = (struct port){ .self = p, .has = slow_has, .put = slow_put, .tend = slow_tend };
	cr_assert(eq(int, pthread_mutex_init(&p->gate, NULL), 0));
	const struct sender_opts opts = { .port = &p->port, .is_stopped = is_stopped };
	cr_assert(eq(int, sender_new(&opts, &s, NULL), 0));
	return s;
}

/* Add a record whose bytes are all ${byte}. */
static int add(struct sender *s, uint8_t byte, bool is_there, struct err *err)
{
	static uint8_t raw[RECORD_BYTES];
	const uint8_t id[32] = { byte, is_there };
	memset(raw, byte, sizeof(raw));
	return sender_add(s, id, raw, sizeof(raw), RECORD_DATA, err);
}

static bool is_stopped(void *arg)
{
	(void)arg;
	return true;
}

Test(sender, one_batch_is_filled_while_another_is_on_its_way)
{
	static struct slow_port p;
	struct sender *s = start(&p, NULL);
	(void)pthread_mutex_lock(&p.gate);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_give(s, NULL), 0));
	cr_expect(eq(int, add(s, 2, false, NULL), 0), "the first one is still held");
	cr_expect(eq(int, p.puts, 0));
	(void)pthread_mutex_unlock(&p.gate);
	cr_assert(eq(int, sender_wait(s, NULL), 0));
	cr_expect(eq(int, p.puts, 2));
	cr_expect(p.is_ordered);
	cr_expect(not(pthread_equal(p.who, pthread_self())), "sent by a thread of its own");
	sender_free(s);
}

Test(sender, sends_what_lacks_in_order_and_counts_it)
{
	static struct slow_port p;
	struct sender_stats stats;
	struct sender *s = start(&p, NULL);
	uint8_t sent = 0;
	for (int i = 0; i < 1000; i++) {
		bool is_there = i % 3 == 0;
		sent += !is_there;
		cr_assert(eq(int, add(s, is_there ? 0 : sent, is_there, NULL), 0));
	}
	cr_assert(eq(int, sender_wait(s, NULL), 0));
	sender_get_stats(s, &stats);
	cr_expect(p.is_ordered);
	cr_expect(eq(u64, stats.sent_records, 666));
	cr_expect(eq(u64, stats.sent_bytes, 666 * RECORD_BYTES));
	cr_expect(eq(u64, stats.sent_data_records, 666));
	cr_expect(ge(int, p.puts, 3), "a batch goes when it is long enough");
	sender_free(s);
}

Test(sender, the_first_failure_is_what_every_later_call_tells)
{
	static struct slow_port p;
	struct err err = ERR_INIT;
	p.fails = 2;
	struct sender *s = start(&p, NULL);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_wait(s, NULL), 0));
	for (uint8_t i = 2; i < 5; i++) {
		(void)add(s, i, false, NULL);
		err_clear(&err);
		cr_expect(eq(int, sender_wait(s, &err), -ERR_UNREACHABLE));
		cr_expect(eq(str, err.msg, "put 2 fails"));
	}
	cr_expect(eq(int, p.puts, 2), "nothing is sent after it");
	sender_free(s);
}

Test(sender, a_batch_that_was_refused_never_grows_past_its_tables)
{
	static struct slow_port p;
	p.fails = 1;
	struct sender *s = start(&p, NULL);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_expect(eq(int, sender_wait(s, NULL), -ERR_UNREACHABLE));
	for (int i = 0; i < PORT_HAS_IDS; i++)
		cr_assert(eq(int, add(s, 2, false, NULL), 0));
	cr_expect(eq(int, add(s, 2, false, NULL), -ERR_UNREACHABLE));
	cr_expect(eq(int, add(s, 2, false, NULL), -ERR_UNREACHABLE));
	sender_free(s);
}

Test(sender, a_batch_is_no_longer_than_its_measure_but_for_one_long_record)
{
	static uint8_t raw[5u << 20];
	static const uint32_t lens[] = { 1u << 20, (1u << 20) + 1, 5u << 20, 100, 1u << 20 };
	static const uint8_t id[32];
	static struct slow_port p;
	struct sender *s = start(&p, NULL);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		cr_assert(eq(int, sender_add(s, id, raw, lens[i], RECORD_DATA, NULL), 0));
	cr_assert(eq(int, sender_wait(s, NULL), 0));
	cr_expect(eq(int, p.puts, 4)); /* the last two go together */
	cr_expect(eq(sz, p.longest, 5u << 20));
	cr_expect(eq(int, sender_add(s, id, raw, RECORD_MAX_WRITE_BYTES + 1, RECORD_DATA, NULL),
		-ERR_LIMIT));
	sender_free(s);
}

Test(sender, a_wait_ends_when_it_is_stopped)
{
	static struct slow_port p;
	struct sender *s = start(&p, is_stopped);
	(void)pthread_mutex_lock(&p.gate);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_give(s, NULL), 0));
	cr_expect(eq(int, sender_wait(s, NULL), -ERR_INTERRUPTED));
	(void)pthread_mutex_unlock(&p.gate);
	sender_free(s);
	cr_expect(eq(int, p.puts, 1), "what was on its way is not cut");
}

static bool has_come(const atomic_int *what, int count)
{
	for (int i = 0; i < 1000 && *what < count; i++)
		(void)usleep(10000);
	return *what >= count;
}

Test(sender, what_is_under_way_is_looked_after_while_no_batch_comes)
{
	static struct slow_port p;
	p.under_way = 50;
	struct sender *s = start(&p, NULL);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_give(s, NULL), 0));
	cr_expect(has_come(&p.tends, 51), "until nothing is");
	cr_expect(eq(int, p.under_way, 0));
	sender_free(s);
}

Test(sender, between_wait_and_the_next_batch_the_port_is_the_callers)
{
	static struct slow_port p;
	p.under_way = 1000000000;
	struct sender *s = start(&p, NULL);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_wait(s, NULL), 0));
	int before = p.tends;
	(void)usleep(20000);
	cr_expect(eq(int, p.tends, before));
	cr_assert(eq(int, add(s, 2, false, NULL), 0));
	cr_assert(eq(int, sender_give(s, NULL), 0));
	cr_expect(has_come(&p.tends, before + 1));
	sender_free(s);
}

Test(sender, what_goes_wrong_under_way_is_told)
{
	static struct slow_port p;
	struct err err = ERR_INIT;
	p.under_way = -1;
	struct sender *s = start(&p, NULL);
	cr_assert(eq(int, add(s, 1, false, NULL), 0));
	cr_assert(eq(int, sender_give(s, NULL), 0));
	cr_assert(has_come(&p.tends, 1));
	cr_expect(eq(int, sender_wait(s, &err), -ERR_FAILED));
	cr_expect(eq(str, err.msg, "it went wrong under way"));
	sender_free(s);
}
