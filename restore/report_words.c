#include "restore/report_words.h"

#include <stddef.h>
#include <stdio.h>

#include "base/human.h"
#include "restore/report.h"

_Static_assert(REPORT_WORDS_BYTES >= HUMAN_BYTES, "human_* writes into the same buffers");

#define MS_MAX (INT64_MAX / 1000000) /* what fits in ns */

#define PICK(value, ...)                                                                           \
	do {                                                                                       \
		static const char *const names[] = { "?", __VA_ARGS__ };                           \
		return (value) < sizeof(names) / sizeof(names[0]) ? names[value] : "?";            \
	} while (0)

const char *report_words_verdict(unsigned verdict)
{
	PICK(verdict, "Passed", "Passed with findings", "Not demonstrated", "Aborted", "Failed");
}

const char *report_words_met(unsigned met)
{
	PICK(met, "met", "missed", "not demonstrated");
}

const char *report_words_status(unsigned status)
{
	PICK(status, "passed", "failed", "not demonstrated", "skipped");
}

const char *report_words_reach(unsigned reach)
{
	PICK(reach, "unreachable", "reached", "not probed");
}

const char *report_words_grade(unsigned grade)
{
	PICK(grade, "major nonconformity", "minor nonconformity", "observation");
}

const char *report_words_envelope(unsigned envelope)
{
	PICK(envelope, "present and recomputed", "differs from the recomputed one", "absent");
}

const char *report_words_consistency(unsigned consistency)
{
	PICK(consistency, "application consistent", "crash consistent", "quiesced", "fuzzy");
}

const char *report_words_phase(unsigned t)
{
	PICK(t, "begin", "recovery point and key", "sandbox", "restore", "start", "checks",
		"cleanup");
}

const char *report_words_duration(char out[REPORT_WORDS_BYTES], int64_t ms)
{
	if (ms == REPORT_NONE)
		(void)snprintf(out, REPORT_WORDS_BYTES, "not measured"); /* fits */
	else if (ms > MS_MAX || ms < -MS_MAX)
		(void)snprintf(out, REPORT_WORDS_BYTES, "%lld ms", (long long)ms); /* fits */
	else if (ms >= 1000 && ms < 60000 && ms % 1000 == 0)
		(void)snprintf(out, REPORT_WORDS_BYTES, "%d s", (int)(ms / 1000)); /* fits */
	else if (ms >= 60000 && ms < 3600000 && ms % 60000 == 0)
		(void)snprintf(out, REPORT_WORDS_BYTES, "%d min", (int)(ms / 60000)); /* fits */
	else if (ms >= 3600000 && ms < 86400000 * INT64_C(3) && ms % 3600000 == 0)
		(void)snprintf(out, REPORT_WORDS_BYTES, "%d h", (int)(ms / 3600000)); /* fits */
	else
		(void)human_duration(out, ms * 1000000);
	return out;
}

const char *report_words_time(char out[REPORT_WORDS_BYTES], int64_t ms)
{
	char full[HUMAN_BYTES];
	if (ms == REPORT_NONE || ms > MS_MAX || ms < -MS_MAX) {
		(void)snprintf(out, REPORT_WORDS_BYTES, "not recorded"); /* fits */
		return out;
	}
	(void)human_time_utc(full, ms * 1000000);
	/* "2026-11-24T02:19:53.120Z" */
	(void)snprintf(out, REPORT_WORDS_BYTES, "%.10s %.8s UTC", full, full + 11); /* fits */
	return out;
}
