/*
 * plan_lint: is this a plan that can work?  Rules that look at more than one key; what a single
 * key may hold is in the table of plan.c.  docs/PLAN.md lists the rules.
 * Pure: reads the plan, adds to the list.  Thread-safe.
 */
#ifndef PLANS_PLAN_LINT_H
#define PLANS_PLAN_LINT_H

struct conf_problems;
struct err;
struct plan;

/**
 * plan_lint_check(p, problems, err):
 * Add everything that is wrong (errors) or doubtful (warnings) with ${p} to ${problems}, rule by
 * rule (the caller sorts).  Parts of ${p} that are not known (0, NULL) were told by the reader and
 * are passed over.  Return 0 whatever was found, or -ERR_NOMEM.
 */
int plan_lint_check(const struct plan *p, struct conf_problems *problems, struct err *err);

#endif
