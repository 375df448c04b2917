/*
 * fuzz_plan: the plan language (docs/PLAN.md).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/fdio.h"
#include "conf/conf_problems.h"
#include "fuzz/fuzz.h"
#include "plans/plan.h"
#include "plans/plan_lint.h"
#include "plans/plan_order.h"

static void run(const uint8_t *data, size_t len)
{
	struct conf_problems problems = CONF_PROBLEMS_INIT;
	struct err err = ERR_INIT;
	struct plan *p = NULL;
	int rc = plan_parse("a.plan", (const char *)data, len, &p, &problems, &err);
	fuzz_verdict(rc, &err);
	if (rc == 0) {
		size_t order[PLAN_MAX_SYSTEMS];
		int64_t ends[PLAN_MAX_SYSTEMS], total = 0;
		fuzz_verdict(plan_lint_check(p, &problems, &err), &err);
		err_clear(&err);
		rc = plan_order_find(p, order, &err);
		fuzz_verdict(rc, &err);
		if (rc == 0)
			fuzz_verdict(plan_order_critical_path(p, ends, &total, &err), &err);
	}
	plan_free(p);
	conf_problems_done(&problems);
}

static void seeds(void)
{
	static const char *const files[] = { "plans/examples/line3.plan",
		"plans/examples/fileshare.plan" };
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct buf text = BUF_INIT(FUZZ_MAX_BYTES);
		struct err err = ERR_INIT;
		FUZZ_CHECK(fdio_read_file(AT_FDCWD, files[i], &text, &err) == 0);
		fuzz_seed(text.data, text.len);
		buf_done(&text);
	}
}

const struct fuzz_target fuzz_plan = { "plan", run, seeds };
