/*
 * plan_expect: what a check must find: `all`, an operator and a value, or a bound on a lag.
 *   all            every item examined is good, and there was at least one
 *   >=4200         operators ==, !=, >=, <=, >, < and a decimal number
 *   ==manifest     the value the truth manifest of the snapshot gives
 *   lag<=10m       a duration; operators <= and <
 * Knows nothing of checks: which form fits which check is plan_lint's.  Thread-safe.
 */
#ifndef PLANS_PLAN_EXPECT_H
#define PLANS_PLAN_EXPECT_H

#include <stdbool.h>
#include <stdint.h>

struct err;

enum plan_expect_kind {
	PLAN_EXPECT_NONE, /* not known: nothing holds */
	PLAN_EXPECT_ALL,
	PLAN_EXPECT_VALUE,
	PLAN_EXPECT_LAG,
};

enum plan_expect_op {
	PLAN_OP_EQ,
	PLAN_OP_NE,
	PLAN_OP_GE,
	PLAN_OP_LE,
	PLAN_OP_GT,
	PLAN_OP_LT,
};

struct plan_expect {
	enum plan_expect_kind kind;
	enum plan_expect_op op; /* of VALUE and LAG */
	bool is_manifest;       /* VALUE: compare with the truth manifest */
	double number;          /* VALUE, unless is_manifest */
	int64_t lag_ns;         /* LAG */
};

/**
 * plan_expect_parse(text, out, err):
 * Read ${text}; blanks around the operator are fine.  A number has at most 15 digits, so that it
 * is exact.  Return 0 or -ERR_CONFIG.
 */
int plan_expect_parse(const char *text, struct plan_expect *out, struct err *err);

/**
 * plan_expect_holds(e, observed, manifest):
 * Return true if what was ${observed} is what ${e} wants.
 *   ALL: ${observed} good items of ${manifest} items; of none, nothing was shown: false.
 *   VALUE: ${observed} against the number, or against ${manifest}.
 *   LAG: ${observed} nanoseconds from the newest record to the snapshot.  A record from behind the
 *   snapshot by more than the bound is as wrong as one too old.
 * A value that is not known is NAN, and nothing holds for it.
 */
bool plan_expect_holds(const struct plan_expect *e, double observed, double manifest);

/* "==", "!=", ">=", "<=", ">" or "<". */
const char *plan_expect_op_name(enum plan_expect_op op);

#endif
