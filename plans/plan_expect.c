#include "plans/plan_expect.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/human.h"

/*
 * INVARIANTS
 * (1) A parsed number is the double nearest to its decimal text, whatever the locale: at most 15
 *     digits make an exact integer, and it is divided once by an exact power of ten.
 */

#define NUMBER_DIGITS 15
#define MANIFEST_WORD "manifest"

/* Longer spellings first: ">" begins ">=". */
static const struct {
	const char *text;
	enum plan_expect_op op;
} ops[] = {
	{ "==", PLAN_OP_EQ },
	{ "!=", PLAN_OP_NE },
	{ ">=", PLAN_OP_GE },
	{ "<=", PLAN_OP_LE },
	{ ">", PLAN_OP_GT },
	{ "<", PLAN_OP_LT },
};

const char *plan_expect_op_name(enum plan_expect_op op)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (ops[i].op == op)
			return ops[i].text;
	}
	return "?";
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " ");
}

/* Step over an operator.  Return what follows it, or NULL. */
static const char *read_op(const char *p, enum plan_expect_op *out)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		size_t len = strlen(ops[i].text);
		if (strncmp(p, ops[i].text, len) == 0) {
			*out = ops[i].op;
			return p + len;
		}
	}
	return NULL;
}

/* "-12.5", to the end of the text. */
static bool read_number(const char *p, double *out)
{
	bool is_negative = *p == '-';
	if (is_negative)
		p++;
	if (!isdigit((unsigned char)*p))
		return false;
	int64_t whole = 0;
	double scale = 1;
	bool has_point = false;
	for (int digits = 0; *p != '\0'; p++) {
		if (*p == '.' && !has_point && isdigit((unsigned char)p[1])) {
			has_point = true;
			continue;
		}
		if (!isdigit((unsigned char)*p) || ++digits > NUMBER_DIGITS)
			return false;
		whole = whole * 10 + (*p - '0');
		scale *= has_point ? 10 : 1;
	}
	*out = (is_negative ? -1.0 : 1.0) * (double)whole / scale;
	return true;
}

/* What follows "lag". */
static bool parse_lag(const char *p, struct plan_expect *out)
{
	p = read_op(skip_blanks(p), &out->op);
	if (p == NULL || (out->op != PLAN_OP_LE && out->op != PLAN_OP_LT))
		return false;
	out->kind = PLAN_EXPECT_LAG;
	return human_parse_duration(skip_blanks(p), &out->lag_ns) == 0;
}

static bool parse_value(const char *p, struct plan_expect *out)
{
	p = read_op(p, &out->op);
	if (p == NULL)
		return false;
	p = skip_blanks(p);
	out->kind = PLAN_EXPECT_VALUE;
	out->is_manifest = strcmp(p, MANIFEST_WORD) == 0;
	return out->is_manifest || read_number(p, &out->number);
}

int plan_expect_parse(const char *text, struct plan_expect *out, struct err *err)
{
	struct plan_expect e = { .kind = PLAN_EXPECT_NONE };
	bool fits;
	if (strcmp(text, "all") == 0) {
		e.kind = PLAN_EXPECT_ALL;
		fits = true;
	} else if (strncmp(text, "lag", 3) == 0) {
		fits = parse_lag(text + 3, &e);
	} else {
		fits = parse_value(text, &e);
	}
	if (!fits)
		return err_set(err, ERR_CONFIG,
			"unable to use expect \"%s\": expected \"all\", an operator and a value "
			"such as \">=4200\" or \"==manifest\", or \"lag<=10m\"",
			text);
	*out = e;
	return 0;
}

static bool compare(enum plan_expect_op op, double a, double b)
{
	switch (op) {
	case PLAN_OP_EQ:
		return !(a < b) && !(a > b);
	case PLAN_OP_NE:
		return a < b || a > b;
	case PLAN_OP_GE:
		return a >= b;
	case PLAN_OP_LE:
		return a <= b;
	case PLAN_OP_GT:
		return a > b;
	case PLAN_OP_LT:
		return a < b;
	}
	return false;
}

bool plan_expect_holds(const struct plan_expect *e, double observed, double manifest)
{
	double wanted = manifest;
	if (isnan(observed))
		return false;
	switch (e->kind) {
	case PLAN_EXPECT_ALL:
		return manifest > 0 && compare(PLAN_OP_EQ, observed, manifest);
	case PLAN_EXPECT_VALUE:
		if (!e->is_manifest)
			wanted = e->number;
		return !isnan(wanted) && compare(e->op, observed, wanted);
	case PLAN_EXPECT_LAG:
		return compare(e->op, fabs(observed), (double)e->lag_ns);
	case PLAN_EXPECT_NONE:
		break;
	}
	return false;
}
