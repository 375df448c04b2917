/*
 * plan_order: in which order the systems of a plan come back, and how long that may take.
 * Pure: reads a struct plan, keeps nothing.  Thread-safe.
 */
#ifndef PLANS_PLAN_ORDER_H
#define PLANS_PLAN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct plan;

/**
 * plan_order_find(p, order, err):
 * Store the indices of all systems in ${order} (room for p->system_count): every system behind
 * those it names in `after`, among the free ones the lower tier first, then as in the file.
 * Return 0, or -ERR_CONFIG when systems wait for each other (the cycle is named).
 */
int plan_order_find(const struct plan *p, size_t *order, struct err *err);

/**
 * plan_order_critical_path(p, finish_ns, out_ns, err):
 * For each system store in ${finish_ns} (room for p->system_count, or NULL) the longest sum of step
 * budgets along a path that ends with its own steps: the earliest it can be back by the plan when
 * systems that do not wait for each other are recovered at the same time.  The longest of all goes
 * to *${out_ns}.  Nanoseconds.  Return 0, -ERR_CONFIG (a cycle) or -ERR_NOMEM.
 */
int plan_order_critical_path(
	const struct plan *p, int64_t *finish_ns, int64_t *out_ns, struct err *err);

/**
 * plan_order_cycle(p, done, cycle):
 * Find systems that wait for each other.  ${done} (room for p->system_count) begins all false and
 * carries the state from call to call; ${cycle} has the same room.  Return the length of the next
 * cycle, each member waiting for the one behind it and the last for the first; 0 = no more.
 */
size_t plan_order_cycle(const struct plan *p, bool *done, size_t *cycle);

#endif
