#include "plans/plan_order.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "plans/plan.h"

/*
 * INVARIANTS
 * (1) done[i] means: system i is placed, or part of a cycle that was told.
 * (2) When nothing more can be placed, every system left waits for another one left, so a walk
 *     along those must come back to itself.
 */

#define CYCLE_TEXT_BYTES 512

/* The first system left that ${i} waits for, or PLAN_NO_INDEX. */
static size_t waits_for(const struct plan *p, size_t i, const bool *done)
{
	const struct plan_system *s = &p->systems[i];
	for (size_t k = 0; k < s->after_count; k++) {
		size_t d = s->after[k].index;
		if (d != PLAN_NO_INDEX && !done[d])
			return d;
	}
	return PLAN_NO_INDEX;
}

/* The next system that waits for nothing: lowest tier, then order of the file. */
static size_t next_free(const struct plan *p, const bool *done)
{
	size_t best = PLAN_NO_INDEX;
	for (size_t i = 0; i < p->system_count; i++) {
		if (done[i] || waits_for(p, i, done) != PLAN_NO_INDEX)
			continue;
		if (best == PLAN_NO_INDEX || p->systems[i].tier < p->systems[best].tier)
			best = i;
	}
	return best;
}

size_t plan_order_cycle(const struct plan *p, bool *done, size_t *cycle)
{
	for (size_t i = next_free(p, done); i != PLAN_NO_INDEX; i = next_free(p, done))
		done[i] = true;
	size_t at = 0;
	while (at < p->system_count && done[at])
		at++;
	if (at == p->system_count)
		return 0;

	size_t len = 0;
	size_t first = PLAN_NO_INDEX;
	while (first == PLAN_NO_INDEX) {
		cycle[len++] = at;
		at = waits_for(p, at, done); /* invariant (2): there is one */
		for (size_t i = 0; i < len && first == PLAN_NO_INDEX; i++) {
			if (cycle[i] == at)
				first = i;
		}
	}
	len -= first;
	memmove(cycle, cycle + first, len * sizeof(*cycle));
	for (size_t i = 0; i < len; i++)
		done[cycle[i]] = true;
	return len;
}

static int refuse_cycle(const struct plan *p, bool *done, size_t *cycle, struct err *err)
{
	char text[CYCLE_TEXT_BYTES] = "";
	size_t len = plan_order_cycle(p, done, cycle);
	size_t used = 0;
	for (size_t i = 0; i < len && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s -> ",
			p->systems[cycle[i]].id); /* a long one is cut */
	return err_set(err, ERR_CONFIG, "systems wait for each other: %s%s", text,
		p->systems[cycle[0]].id);
}

int plan_order_find(const struct plan *p, size_t *order, struct err *err)
{
	CLEANUP(cleanup_free_p) bool *done = calloc(p->system_count + 1, sizeof(*done));
	CLEANUP(cleanup_free_p) size_t *found = calloc(p->system_count + 1, sizeof(*found));
	if (done == NULL || found == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t n = 0; n < p->system_count; n++) {
		found[n] = next_free(p, done);
		if (found[n] == PLAN_NO_INDEX)
			return refuse_cycle(p, done, found, err);
		done[found[n]] = true;
	}
	memcpy(order, found, p->system_count * sizeof(*order));
	return 0;
}

/* Budgets are bounded by plan.c, but a plan made by hand may hold anything. */
static int64_t add_capped(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int plan_order_critical_path(
	const struct plan *p, int64_t *finish_ns, int64_t *out_ns, struct err *err)
{
	CLEANUP(cleanup_free_p) size_t *order = calloc(p->system_count + 1, sizeof(*order));
	CLEANUP(cleanup_free_p) int64_t *finish = calloc(p->system_count + 1, sizeof(*finish));
	if (order == NULL || finish == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = plan_order_find(p, order, err);
	if (rc != 0)
		return rc;

	int64_t longest = 0;
	for (size_t n = 0; n < p->system_count; n++) {
		const struct plan_system *s = &p->systems[order[n]];
		int64_t sum = 0;
		for (size_t k = 0; k < s->after_count; k++) {
			size_t d = s->after[k].index;
			if (d != PLAN_NO_INDEX && finish[d] > sum)
				sum = finish[d];
		}
		for (size_t k = 0; k < s->step_count; k++)
			sum = add_capped(sum, s->steps[k].budget_ns);
		finish[order[n]] = sum;
		longest = sum > longest ? sum : longest;
	}
	if (finish_ns != NULL)
		memcpy(finish_ns, finish, p->system_count * sizeof(*finish_ns));
	*out_ns = longest;
	return 0;
}
