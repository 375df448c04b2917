#include "base/lineup.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>

#include "base/err.h"

TestSuite(lineup);

struct piece {
	unsigned long from, sum;
	unsigned worker;
	sigset_t blocked;
};

/* The later it was given, the sooner it is done. */
static void add(void *arg, unsigned worker)
{
	struct piece *p = arg;
	for (unsigned long i = p->from; i < 1000; i++)
		p->sum += i;
	p->worker = worker;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &p->blocked);
}

static unsigned long expected(unsigned long from)
{
	return (999UL * 1000 - (from == 0 ? 0 : (from - 1) * from)) / 2;
}

Test(lineup, pieces_come_back_done_in_the_order_they_were_given)
{
	struct err err = ERR_INIT;
	struct piece pieces[LINEUP_MAX_PLACES];
	for (size_t places = 1; places <= LINEUP_MAX_PLACES; places += 5) {
		struct lineup *l = NULL;
		cr_assert(eq(int, lineup_new(places, add, &l, &err), 0));
		cr_expect(eq(ptr, lineup_take(l), NULL));
		for (unsigned long given = 0, taken = 0; taken < 500;) {
			if (given < 500 && lineup_has_room(l)) {
				struct piece *p = &pieces[given % places];
				*p = (struct piece){ .from = given++ };
				lineup_give(l, p);
				continue;
			}
			struct piece *p = lineup_take(l);
			cr_assert(eq(ptr, p, &pieces[taken % places]));
			cr_assert(eq(ulong, p->sum, expected(taken)));
			cr_assert(lt(uint, p->worker, lineup_threads()));
			if (lineup_threads() > 1)
				cr_assert(eq(int, sigismember(&p->blocked, SIGTERM), 1));
			taken++;
		}
		cr_expect(eq(ptr, lineup_take(l), NULL));
		lineup_free(l);
	}
}

Test(lineup, what_was_not_taken_is_left)
{
	struct err err = ERR_INIT;
	struct piece pieces[8];
	for (int round = 0; round < 50; round++) {
		struct lineup *l = NULL;
		cr_assert(eq(int, lineup_new(8, add, &l, &err), 0));
		for (size_t i = 0; i < 8; i++) {
			pieces[i] = (struct piece){ .from = i };
			lineup_give(l, &pieces[i]);
		}
		cr_expect(not(lineup_has_room(l)));
		cr_expect(eq(ptr, lineup_take(l), &pieces[0]));
		lineup_free(l); /* no thread touches them any more */
		for (size_t i = 0; i < 8; i++)
			cr_expect(pieces[i].sum == 0 || pieces[i].sum == expected(i),
				"round %d, piece %zu: %lu", round, i, pieces[i].sum);
	}
	lineup_free(NULL);
}
