/*
 * fuzz_report: the statement of a drill report (docs/REPORT.md).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "fuzz/fuzz.h"
#include "lib/report_fixture.h"
#include "restore/report.h"
#include "restore/report_check.h"
#include "restore/report_json.h"
#include "restore/report_judge.h"
#include "restore/report_parse.h"

static int codec(const void *data, size_t len, struct buf *again, struct err *err)
{
	struct report *r = NULL;
	int rc = report_parse_statement(data, len, &r, err);
	if (rc == 0)
		rc = report_json_encode(r, again, err);
	report_free(r);
	return rc;
}

static void run(const uint8_t *data, size_t len)
{
	struct err err = ERR_INIT;
	fuzz_codec(codec, data, len, false);
	fuzz_verdict(report_check_judgement(data, len, &err), &err);
}

static void seeds(void)
{
	struct report *all[] = { report_fixture_good(), report_fixture_small() };
	struct err err = ERR_INIT;
	for (size_t i = 0; i < 2; i++) {
		struct buf out = BUF_INIT(FUZZ_MAX_BYTES);
		report_judge_run(all[i]);
		FUZZ_CHECK(report_json_encode(all[i], &out, &err) == 0);
		fuzz_seed(out.data, out.len);
		buf_done(&out);
		report_free(all[i]);
	}
}

const struct fuzz_target fuzz_report = { "report", run, seeds };
