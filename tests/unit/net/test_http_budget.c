#include "net/http_budget.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "net/http_server.h"

#define COUNT 300

static struct http_budget b;
static struct http_budget_claim c[COUNT];
static struct http_peer peers[COUNT];

/* Each a peer of its own, but 10 of every hundred: those have no certificate. */
static void begin(size_t total)
{
	memset(c, 0, sizeof(c));
	memset(peers, 0, sizeof(peers));
	for (int i = 0; i < COUNT; i++) {
		peers[i].has_cert = i % 10 != 9;
		memset(peers[i].key_hash, peers[i].has_cert ? i % 256 : 0, 32);
		(void)snprintf(peers[i].address, sizeof(peers[i].address), "10.0.0.%d",
			peers[i].has_cert ? 1 : i);
	}
	http_budget_init(&b, total);
}

static int next(void)
{
	struct http_budget_claim *got = http_budget_next(&b);
	return got == NULL ? -1 : (int)(got - c);
}

Test(http_budget, what_fits_is_held_at_once_and_the_next_waits)
{
	begin(100);
	cr_expect(http_budget_ask(&b, &c[0], &peers[0], 60));
	cr_expect(http_budget_ask(&b, &c[1], &peers[1], 40));
	cr_expect(not(http_budget_ask(&b, &c[2], &peers[2], 1)));
	cr_expect(eq(sz, b.held, 100));
	cr_expect(eq(int, next(), -1));
	http_budget_leave(&b, &c[1]);
	cr_expect(eq(int, next(), 2));
	cr_expect(eq(int, next(), -1));
	cr_expect(eq(sz, b.held, 61));
}

Test(http_budget, a_large_one_is_not_overtaken_for_ever_by_small_ones)
{
	begin(100);
	cr_expect(http_budget_ask(&b, &c[0], &peers[0], 50));
	cr_expect(not(http_budget_ask(&b, &c[1], &peers[1], 100)));
	cr_expect(not(http_budget_ask(&b, &c[2], &peers[2], 1)));
	http_budget_leave(&b, &c[0]);
	cr_expect(eq(int, next(), 1));
	cr_expect(eq(int, next(), -1));
	http_budget_leave(&b, &c[1]);
	cr_expect(eq(int, next(), 2));
}

Test(http_budget, one_peer_takes_no_more_than_half_by_several)
{
	begin(100);
	cr_expect(http_budget_ask(&b, &c[0], &peers[0], 30));
	cr_expect(not(http_budget_ask(&b, &c[1], &peers[0], 30)));
	cr_expect(http_budget_ask(&b, &c[2], &peers[0], 20));
	cr_expect(http_budget_ask(&b, &c[3], &peers[3], 50));
	http_budget_leave(&b, &c[3]);
	cr_expect(eq(int, next(), -1));
	http_budget_leave(&b, &c[0]);
	cr_expect(eq(int, next(), 1));
	http_budget_leave(&b, &c[1]);
	http_budget_leave(&b, &c[2]);
	cr_expect(http_budget_ask(&b, &c[4], &peers[0], 100)); /* a single one may be as large */
}

Test(http_budget, who_holds_least_is_next_and_the_earliest_of_equals)
{
	begin(100);
	cr_expect(http_budget_ask(&b, &c[0], &peers[0], 40));
	cr_expect(http_budget_ask(&b, &c[1], &peers[1], 50));
	cr_expect(not(http_budget_ask(&b, &c[2], &peers[0], 11)));
	cr_expect(http_budget_ask(&b, &c[3], &peers[0], 10)); /* the other has its half */
	for (int i = 4; i < 8; i++)
		cr_expect(not(http_budget_ask(&b, &c[i], &peers[i < 6 ? 0 : i], 10)));
	http_budget_leave(&b, &c[0]); /* 10 are held by peer 0 now */
	cr_expect(eq(int, next(), 6));
	cr_expect(eq(int, next(), 7));
	cr_expect(eq(int, next(), 2));
	cr_expect(eq(int, next(), -1)); /* 9 are left */
}

Test(http_budget, without_certificates_addresses_tell_peers_apart)
{
	begin(100);
	cr_expect(http_budget_ask(&b, &c[0], &peers[9], 50));
	cr_expect(not(http_budget_ask(&b, &c[1], &peers[9], 10)));
	cr_expect(http_budget_ask(&b, &c[2], &peers[19], 10));
	cr_expect(http_budget_ask(&b, &c[3], &peers[0], 10));
}

Test(http_budget, leaving_is_fine_at_any_time)
{
	begin(100);
	http_budget_leave(&b, &c[0]);
	cr_expect(http_budget_ask(&b, &c[1], &peers[1], 100));
	cr_expect(not(http_budget_ask(&b, &c[2], &peers[2], 10)));
	cr_expect(not(http_budget_ask(&b, &c[3], &peers[3], 10)));
	http_budget_leave(&b, &c[2]);
	http_budget_leave(&b, &c[2]);
	http_budget_leave(&b, &c[1]);
	http_budget_leave(&b, &c[1]);
	cr_expect(eq(int, next(), 3));
	cr_expect(eq(int, next(), -1));
	cr_expect(eq(sz, b.held, 10));
}

Test(http_budget, whatever_comes_and_goes_the_total_holds_and_everybody_gets_a_turn)
{
	begin(1000);
	unsigned seed = 7;
	int served = 0, left = 0;
	for (int asked = 0; served < COUNT; left++) {
		while (asked < COUNT && asked < left + 40) {
			struct http_peer *peer = &peers[asked % 3 == 0 ? 0 : asked];
			seed = seed * 1103515245 + 12345;
			served += http_budget_ask(&b, &c[asked], peer, 1 + (seed >> 16) % 1000);
			asked++;
		}
		cr_assert(le(sz, b.held, 1000));
		for (int got = next(); got >= 0; got = next()) {
			served++;
			cr_assert(le(sz, b.held, 1000));
		}
		struct http_budget_claim *oldest = TAILQ_FIRST(&b.holding);
		cr_assert(ne(ptr, oldest, NULL)); /* never all waiting */
		http_budget_leave(&b, oldest);
	}
	cr_expect(eq(int, TAILQ_EMPTY(&b.waiting), 1));
}
