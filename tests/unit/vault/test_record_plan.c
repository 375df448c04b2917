#include "vault/record_plan.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#define REFS 200

static struct record_plan *plan;
static struct ref refs[REFS];
static uint8_t coded[REFS][REF_BYTES];

static void setup(void)
{
	for (size_t i = 0; i < REFS; i++) {
		refs[i] = (struct ref){ .raw_len = 1u << 20, .cr_len = 1u << 19 };
		memset(refs[i].id, (int)i + 1, sizeof(refs[i].id));
		ref_encode(&refs[i], coded[i]);
	}
	cr_assert(eq(int, record_plan_new(&plan, NULL), 0));
}

static void teardown(void)
{
	record_plan_free(plan);
}

TestSuite(record_plan, .init = setup, .fini = teardown);

/* How many are to be opened now; they are ${first} and those behind it. */
static size_t take_from(size_t first)
{
	struct ref ref;
	size_t n = 0;
	for (; record_plan_next(plan, &ref); n++)
		cr_assert(eq(int, memcmp(&ref, &refs[first + n], sizeof(ref)), 0), "%zu", n);
	return n;
}

static void ask(size_t nth, enum record_type type)
{
	record_plan_ask(plan, &refs[nth], type);
}

Test(record_plan, looks_further_the_longer_the_walk_goes_straight_and_never_too_far)
{
	size_t done = 1;
	record_plan_enter(plan, coded[0], REFS);
	cr_expect(eq(sz, take_from(0), 0), "no content was asked for yet");
	for (size_t i = 0; i + 20 < REFS; i++) {
		ask(i, RECORD_DATA);
		done += take_from(done);
		cr_expect(ge(sz, done, (i + 1) + 1));
		cr_expect(le(sz, (done - i - 1) << 20, RECORD_PLAN_MAX_BYTES));
	}
	cr_expect(ge(sz, done, REFS - 20 + 7), "the whole width was used");
}

Test(record_plan, small_records_are_bounded_by_number)
{
	for (size_t i = 0; i < REFS; i++) {
		refs[i].raw_len = 10;
		ref_encode(&refs[i], coded[i]);
	}
	record_plan_enter(plan, coded[0], REFS);
	ask(0, RECORD_DATA);
	cr_expect(eq(sz, take_from(1), RECORD_PLAN_MAX_RECORDS));
	cr_expect(eq(sz, take_from(1), 0), "each once");
}

Test(record_plan, goes_into_a_node_and_comes_back)
{
	record_plan_enter(plan, coded[0], 3);
	ask(0, RECORD_DATA);
	cr_expect(eq(sz, take_from(1), 1));
	ask(1, RECORD_NODE);
	record_plan_enter(plan, coded[100], 2);
	ask(100, RECORD_DATA);
	struct ref ref;
	cr_assert(record_plan_next(plan, &ref));
	cr_expect(eq(int, memcmp(&ref, &refs[101], sizeof(ref)), 0));
	cr_assert(record_plan_next(plan, &ref));
	cr_expect(eq(int, memcmp(&ref, &refs[2], sizeof(ref)), 0), "behind the node");
	cr_expect(not(record_plan_next(plan, &ref)));
}

Test(record_plan, what_was_opened_in_vain_makes_it_begin_anew)
{
	record_plan_enter(plan, coded[0], REFS);
	for (size_t i = 0; i < 10; i++)
		ask(i, RECORD_DATA);
	cr_expect(eq(sz, take_from(10), 8));
	ask(40, RECORD_DATA);
	cr_expect(eq(sz, take_from(41), 1), "as narrow as at first");
	ask(199, RECORD_NODE); /* another tree: nothing of this one is wanted */
	record_plan_enter(plan, coded[100], 50);
	cr_expect(eq(sz, take_from(100), 0));
}

Test(record_plan, a_record_used_again_changes_nothing)
{
	record_plan_enter(plan, coded[0], REFS);
	ask(0, RECORD_DATA);
	cr_expect(eq(sz, take_from(1), 1));
	ask(0, RECORD_DATA);
	cr_expect(eq(sz, take_from(2), 0));
	ask(1, RECORD_DATA);
	cr_expect(eq(sz, take_from(2), 2));
}

Test(record_plan, nodes_deeper_than_any_tree_are_not_followed)
{
	for (size_t i = 0; i < 100; i++)
		record_plan_enter(plan, coded[0], 1);
	ask(0, RECORD_DATA);
	struct ref ref;
	size_t n = 0;
	while (record_plan_next(plan, &ref))
		n++;
	cr_expect(le(sz, n, RECORD_PLAN_MAX_RECORDS));
}
